// The first look: is anything wrong, and the window's few figures that matter most.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { instant, mark, simulatedMark } from "./common.js";
import { update } from "../state.js";
import { STATES } from "../status.js";

export function overview(container, view) {
  render(container, verdict(view), tiles(view));
}

function verdict(view) {
  const { id, title, text } = judge(view);
  return h("div", { class: `verdict is-${id}`, key: "verdict" },
    mark({ id, symbol: STATES[id].symbol }),
    h("div", null, h("p", { class: "verdict-title" }, title, view.isSimulated && simulatedMark()), h("p", { class: "note" }, text), elsewhere(view)));
}

/** What fails in the environments that are not being looked at. */
function elsewhere({ environments, env, unreachable }) {
  const failing = environments.filter(({ name, failing: number }) => name !== env && number > 0);
  if (failing.length === 0 || unreachable) return null;
  return h("p", { key: "elsewhere", class: "note" }, "Elsewhere: ", failing.map(({ name, failing: number }, index) => [
    index > 0 && ", ",
    h("button", { key: name, class: "link", type: "button", on: { click: () => update({ env: name }, { isStep: true }) } }, `${format.integer(number)} failing in ${name}`),
  ]));
}

function judge(view) {
  const { rows, env } = view;
  const monitored = rows.filter(({ state }) => state.id !== "off" && state.id !== "absent");
  const inState = (id) => monitored.filter(({ state }) => state.id === id);
  const names = (list) => list.slice(0, 3).map(({ name }) => name).join(", ") + (list.length > 3 ? ` and ${list.length - 3} more` : "");
  if (view.unreachable) {
    return { id: "unknown", title: "Unknown: the monitor does not answer", text: [view.unreachable.message, view.loadedAt && [" What is shown below is from ", instant(view.loadedAt), "."]] };
  }
  if (view.environment.reason) return { id: "unknown", title: `Unknown: no news from ${env}`, text: view.environment.reason };
  if (monitored.length === 0) {
    return { id: "unknown", title: `No model is monitored in ${env}`, text: "Check the usage endpoint and the provider keys: “llm-monitor check” says what is missing." };
  }
  const failing = inState("failing");
  const unstable = [...inState("unstable"), ...inState("limited")];
  const unknown = inState("unknown");
  if (failing.length > 0) return { id: "failing", title: `${format.plural(failing.length, "model")} of ${monitored.length} failing in ${env}`, text: names(failing) };
  if (unknown.length === monitored.length) return { id: "unknown", title: `Unknown: no probe in ${env} in this window`, text: "Choose a longer window, or wait for the first cycle." };
  if (unstable.length > 0) return { id: "unstable", title: `${format.plural(unstable.length, "model")} of ${monitored.length} unstable in ${env}`, text: names(unstable) };
  if (unknown.length > 0) return { id: "unknown", title: `${format.plural(unknown.length, "model")} of ${monitored.length} unknown in ${env}`, text: names(unknown) };
  return { id: "ok", title: `All ${format.plural(monitored.length, "model")} in ${env} work`, text: "Every one answered its last probe." };
}

function tiles({ parts, total, fastest, slowest, costsToday, monitoringCost }) {
  const none = (text) => (parts.summary.value ? text : "not known");
  return h("dl", { class: "tiles", key: "tiles" },
    tile("Success rate", format.percent(total?.successRate),
      total ? `${format.integer(total.successes)} of ${format.plural(total.judged, "probe")}${total.rateLimited ? `, ${format.integer(total.rateLimited)} rate limited` : ""}` : none("no probe in this window"),
      total?.interval && `True rate, with 95 % confidence: ${format.percent(total.interval[0])} to ${format.percent(total.interval[1])}`),
    tile("Fastest first token", format.duration(fastest?.value), fastest ? `${fastest.name} · median TTFT` : none("no success in this window")),
    tile("Slowest first token", format.duration(slowest?.value), slowest ? `${slowest.name} · median TTFT` : none("no success in this window")),
    tile("Model use today", format.usd(costsToday), "as the usage endpoint says"),
    tile("Monitoring cost", format.usd(monitoringCost), "of this window’s probes"));
}

function tile(name, value, note, title) {
  return h("div", { class: "tile", key: name, title: title ?? null }, h("dt", null, name), h("dd", { class: "number" }, value), h("dd", { class: "note" }, note));
}
