// The monitor's own health: whether what the rest of the page shows can be relied on.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { failed, heading, instant } from "./common.js";

const SOURCES = {
  usage_endpoint: "usage endpoint",
  last_good: "last good catalog (the endpoint fails)",
  built_in: "built-in catalog (the endpoint never answered)",
};
const STATUS = {
  ok: ["ok", "On time"],
  starting: ["unknown", "Waiting for the first cycle"],
  degraded: ["unstable", "Degraded"],
  stale: ["unknown", "Stale: what is now is unknown"],
  unavailable: ["failing", "Store unavailable"],
};

export function monitor(container, view) {
  const { health } = view;
  render(container,
    heading("monitor", "The monitor itself", "A cycle that is missed makes a model’s state unknown; it never stays green."),
    view.parts.health.error && failed(view.parts.health.error),
    health && [
      health.problems.length > 0 && h("ul", { class: "problems", key: "problems" }, health.problems.map((problem) => h("li", { key: problem }, problem))),
      h("table", { class: "plain cards", role: "table", key: "environments" },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["Environment", "Cycles", "Last cycle", "Probes started late by", "Catalog from", "Asked"].map((name) => h("th", { key: name, scope: "col", role: "columnheader" }, name)))),
        h("tbody", { role: "rowgroup" }, view.environments.map((environment) => row(environment, view)))),
      h("p", { class: "note", key: "store" }, `Version ${health.version}, ${health.mode} mode. Store: ${health.store.kind}, ${health.store.location}. ${health.skipped_rows === 0 ? "Every row can be read." : `${format.plural(health.skipped_rows, "row")} cannot be read; llm-monitor verify names each.`}`),
    ]);
}

function row({ name }, view) {
  const environment = view.health.environments.get(name);
  const cell = (label, ...content) => h("td", { key: label, role: "cell", "data-label": label }, h("span", null, ...content));
  if (!environment) return h("tr", { key: name, role: "row" }, h("th", { scope: "row", role: "rowheader", key: "" }, name), cell("Cycles", format.UNKNOWN));
  const { last_cycle: last, catalog } = environment;
  const [id, words] = view.unreachable ? ["unknown", "Unknown: no answer"] : STATUS[environment.status] ?? ["unknown", environment.status];
  const lateness = view.latenessOf(name);
  return h("tr", { key: name, role: "row" },
    h("th", { scope: "row", role: "rowheader", key: "" }, name),
    cell("Cycles", h("span", { class: `badge is-${id}`, title: environment.problems.join("\n") || null }, h("span", { class: `mark is-${id}`, "aria-hidden": "true" }, { ok: "✓", unstable: "!", failing: "✕" }[id] ?? "?"), words)),
    cell("Last cycle", last ? [`${format.age(view.ageNow(last.age_seconds))} ago, due `, instant(new Date(Date.now() - view.ageNow(last.age_seconds) * 1000), format.time)] : "none in 24 h"),
    cell("Probes started late by", lateness == null ? format.UNKNOWN : `${format.duration(lateness)} (p95)`),
    cell("Catalog from", catalog ? SOURCES[catalog.source] ?? catalog.source : "none yet"),
    cell("Asked", catalog?.age_seconds != null ? `${format.age(view.ageNow(catalog.age_seconds))} ago` : format.UNKNOWN));
}
