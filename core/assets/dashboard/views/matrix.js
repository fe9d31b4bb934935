// Models × environments: each cell's state, p95, course, and how it stands against the other environments.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { METRICS, href, state, update } from "../state.js";
import { RULE } from "../status.js";
import { badge, failed, heading, simulatedMark, sparkline, standIn } from "./common.js";

/** Differences under this share are noise to the eye and are not coloured. */
const WORTH_A_COLOUR = 0.1;

export function matrix(container, view) {
  const metric = METRICS.find(({ id }) => id === state.metric);
  render(container,
    heading("matrix", "Environments", [`p95 of ${metric.name}; against the median of the other environments’ p95. `, h("span", { class: "hint", tabindex: "0", role: "note", "aria-label": RULE, "data-tip": RULE }, "What do the states mean?")]),
    standIn(view.parts.summary, { isEmpty: () => view.names.length === 0, empty: "No model is known yet. The first cycle brings them." }) ?? [grid(view, metric), courses(view.parts.sparks)]);
}

/** Without their answer the cells have figures and no course. */
function courses({ value, error }) {
  return value === undefined && error ? failed(error) : null;
}

function grid(view, metric) {
  return h("table", { class: "matrix", key: "grid", role: "table" },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      h("th", { scope: "col", role: "columnheader", key: "" }, "Model"),
      view.environments.map((environment) => h("th", { scope: "col", role: "columnheader", key: environment.name, class: environment.name === view.env ? "is-chosen" : null },
        environment.name, environment.isSimulated && simulatedMark())))),
    h("tbody", { role: "rowgroup" }, view.names.map((name) => row(name, view, metric))));
}

function row(name, view, metric) {
  const cells = view.environments.map((environment) => view.cell(environment.name, name));
  const p95s = cells.map((cell) => cell.group?.metrics[metric.id]?.p95);
  return h("tr", { key: name, role: "row" },
    h("th", { scope: "row", role: "rowheader", key: "" }, h("span", { class: "model" }, name)),
    view.environments.map((environment, index) => {
      const others = p95s.filter((value, other) => other !== index && value != null).sort((a, b) => a - b);
      return cell(name, environment, cells[index], p95s[index], median(others), view, metric);
    }));
}

function cell(name, environment, { state: status, group, spark }, p95, others, view, metric) {
  const attributes = {
    key: environment.name, role: "cell", "data-label": environment.name,
    class: `is-${status.id} ${environment.name === view.env ? "is-chosen" : ""}`,
  };
  if (status.id === "absent") return h("td", attributes, h("span", { class: "absent", title: status.why }, format.UNKNOWN, h("span", { class: "unseen" }, status.label)));
  const target = { env: environment.name, open: name };
  const open = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    update(target, { isStep: true });
    document.getElementById("comparison").scrollIntoView();
  };
  return h("td", attributes,
    h("a", { class: "cell", href: href(target), on: { click: open } },
      h("span", { class: "cell-top" }, badge(status, { isShort: true }),
        h("span", { class: "number" }, format.metricValue(metric.id, p95)), against(p95, others, group)),
      sparkline(spark ?? [], `${metric.name} of ${name} in ${environment.name} over the window`)));
}

function against(p95, others, group) {
  const text = format.difference(p95, others);
  if (!text) return null;
  const change = p95 / others - 1;
  const side = Math.abs(change) < WORTH_A_COLOUR || !group.isEnough ? "" : change > 0 ? "is-slower" : "is-faster";
  const few = group.isEnough ? "" : " Few samples: take it with care.";
  return h("span", { class: `against ${side}`, title: `${text} against the median of the other environments (${format.duration(others)}).${few}` }, text);
}

function median(sorted) {
  if (sorted.length === 0) return null;
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}
