// The failures of the window, grouped by what failed.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { update } from "../state.js";
import { heading, instant, simulatedMark, standIn } from "./common.js";

/** Groups that are shown before one asks for more. */
const FIRST_GROUPS = 8;
let isWhole = false;

export function failures(container, view) {
  const note = view.failureCount > 0 ? `${format.plural(view.failureCount, "probe")} of ${format.integer(view.total.count)} in ${view.env} failed in this window.` : null;
  render(container,
    heading("failures", "Failures", note),
    standIn(view.parts.failures, { isEmpty: (records) => records.length === 0, empty: `No failure in ${view.env} in this window.` }) ?? list(view));
}

function list(view) {
  const records = view.parts.failures.value;
  const all = grouped(records);
  const groups = isWhole ? all : all.slice(0, FIRST_GROUPS);
  return h("div", { key: "list" },
    h("table", { class: "plain cards", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ["Kind", "Model", "Probes", "First", "Last", "Last message"].map((name) => h("th", { scope: "col", role: "columnheader", key: name }, name)))),
      h("tbody", { role: "rowgroup" }, groups.map((group) => h("tr", { key: group.key, role: "row" },
        h("td", { key: "kind", role: "cell", "data-label": "Kind" }, h("span", null, h("span", { class: "kind" }, format.words(group.kind)), group.httpStatus && h("span", { class: "note" }, ` HTTP\u00a0${group.httpStatus}`), group.last.simulated && simulatedMark())),
        h("td", { key: "model", role: "cell", "data-label": "Model" }, h("button", { class: "link model", type: "button", on: { click: () => update({ open: group.model }, { isStep: true }) } }, group.model)),
        h("td", { key: "count", role: "cell", "data-label": "Probes", class: "number" }, format.integer(group.count)),
        h("td", { key: "first", role: "cell", "data-label": "First" }, instant(new Date(group.first.timestamp))),
        h("td", { key: "last", role: "cell", "data-label": "Last" }, instant(new Date(group.last.timestamp))),
        h("td", { key: "message", role: "cell", "data-label": "Last message", class: "message" }, group.last.error_message ?? format.UNKNOWN))))),
    all.length > FIRST_GROUPS && h("button", { key: "more", type: "button", class: "tool more", "aria-expanded": String(isWhole), on: { click: () => { isWhole = !isWhole; view.redraw(); } } },
      isWhole ? "Show fewer" : `Show all ${all.length} groups`),
    view.failureCount > records.length && h("p", { class: "note" }, `Grouped from the newest ${format.integer(records.length)} of ${format.integer(view.failureCount)}.`));
}

function grouped(records) {
  const groups = new Map();
  for (const record of records) {
    const key = [record.model_name, record.error_kind, record.http_status].join("\u0000");
    const group = groups.get(key);
    // Records come newest first.
    if (group) Object.assign(group, { count: group.count + 1, first: record });
    else groups.set(key, { key, model: record.model_name, kind: record.error_kind ?? "error", httpStatus: record.http_status, count: 1, first: record, last: record });
  }
  return [...groups.values()].sort((a, b) => b.count - a.count || b.last.timestamp.localeCompare(a.last.timestamp));
}
