// The models of one environment side by side. Every column sorts; a row opens into what is behind it.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { state, update } from "../state.js";
import { badge, heading, select, simulatedMark, standIn } from "./common.js";
import { detail } from "./detail.js";

/** `value`: what a column sorts by; `null` sorts last either way. `isNumber`: right-aligned. */
const COLUMNS = [
  { id: "model", label: "Model", value: (row) => row.name, show: (row) => modelCell(row) },
  { id: "status", label: "Status", value: (row) => row.state.rank, show: (row) => badge(row.state) },
  { id: "success", label: "Success", title: "Share of successful probes", isNumber: true, value: (row) => row.group?.successRate, show: success },
  { id: "ttft", label: "TTFT p50", title: "Time to first token, median", isNumber: true, value: metric("ttft_ms", "p50"), show: duration("ttft_ms", "p50") },
  { id: "ttft95", label: "TTFT p95", title: "Time to first token, 95th percentile", isNumber: true, value: metric("ttft_ms", "p95"), show: duration("ttft_ms", "p95") },
  { id: "p50", label: "Latency p50", title: "End to end to the last token, median", isNumber: true, value: metric("latency_ms", "p50"), show: duration("latency_ms", "p50") },
  { id: "p95", label: "Latency p95", title: "End to end to the last token, 95th percentile", isNumber: true, value: metric("latency_ms", "p95"), show: duration("latency_ms", "p95") },
  { id: "tpot", label: "TPOT p50", title: "Time per output token after the first, median: (latency − TTFT) / (output tokens − 1)", isNumber: true, value: metric("tpot_ms", "p50"), show: (row) => format.perToken(metric("tpot_ms", "p50")(row)) },
  { id: "context", label: "Context", title: "Context window in tokens", isNumber: true, value: (row) => row.model?.context_window, show: (row) => tokens(row.model?.context_window) },
  { id: "in", label: "In / 1k", title: "US dollars per 1,000 input tokens", isNumber: true, value: (row) => row.model?.pricing.input, show: (row) => price(row.model?.pricing.input) },
  { id: "out", label: "Out / 1k", title: "US dollars per 1,000 output tokens", isNumber: true, value: (row) => row.model?.pricing.output, show: (row) => price(row.model?.pricing.output) },
  { id: "tokens", label: "Tokens today", title: "Input and output tokens that the usage endpoint counts today", isNumber: true, value: (row) => used(row), show: (row) => tokens(used(row)) },
  { id: "where", label: "Where", title: "Cloud or on-prem", value: (row) => where(row), show: (row) => where(row) ?? format.UNKNOWN },
];

export function comparison(container, view) {
  render(container,
    heading("comparison", `Models in ${view.env || "…"}`, "A row opens into its distribution, its use and its last probes.",
      h("div", { class: "phone-sort", key: "sort" },
        select("Sort by", COLUMNS.map(({ id, label }) => ({ id, label })), state.sort, (id) => update({ sort: id })),
        h("button", { type: "button", class: "tool", on: { click: () => update({ order: state.order === "asc" ? "desc" : "asc" }) } }, state.order === "asc" ? "Ascending" : "Descending"))),
    standIn(view.parts.summary, { isEmpty: () => view.rows.length === 0, empty: "No model is known in this environment yet. The next cycle asks its usage endpoint." }) ?? table(view));
}

function table(view) {
  const column = COLUMNS.find(({ id }) => id === state.sort) ?? COLUMNS[0];
  const rows = sorted(view.rows, column, state.order === "desc" ? -1 : 1);
  return h("table", { class: "models", role: "table", key: "table" },
    h("caption", { class: "unseen" }, `Models in ${view.env}, sorted by ${column.label}`),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, COLUMNS.map((each) => columnHead(each, column)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => [
      bodyRow(row),
      row.name === state.open && h("tr", { key: `${row.name} detail`, role: "row", class: "detail-row" },
        h("td", { colspan: String(COLUMNS.length), role: "cell" }, h("div", { id: "detail", class: "detail" }, detail(row, view)))),
    ])));
}

function columnHead(each, column) {
  const isSorted = each === column;
  const sort = () => {
    const order = isSorted && state.order === "asc" ? "desc" : "asc";
    update({ sort: each.id, order });
  };
  return h("th", {
    key: each.id, scope: "col", role: "columnheader", class: each.isNumber ? "number" : null, title: each.title ?? null,
    "aria-sort": isSorted ? (state.order === "asc" ? "ascending" : "descending") : "none",
  }, h("button", { type: "button", class: "sort", on: { click: sort } }, each.label, h("span", { class: "arrow", "aria-hidden": "true" }, isSorted ? (state.order === "asc" ? "▲" : "▼") : "")));
}

function bodyRow(row) {
  const isOpen = row.name === state.open;
  return h("tr", { key: row.name, role: "row", class: `model-row ${isOpen ? "is-open" : ""}`, on: { click: (event) => event.target.closest("button, a") || getSelection().toString() || toggle(row.name) } },
    COLUMNS.map((column) => {
      const attributes = { key: column.id, role: column.id === "model" ? "rowheader" : "cell", "data-label": column.label, class: column.isNumber ? "number" : null };
      return h(column.id === "model" ? "th" : "td", column.id === "model" ? { ...attributes, scope: "row" } : attributes, column.show(row));
    }));
}

function toggle(name) {
  update({ open: state.open === name ? "" : name }, { isStep: true });
}

function modelCell(row) {
  const isOpen = row.name === state.open;
  return [
    h("button", { key: "open", type: "button", class: "open", "aria-expanded": String(isOpen), "aria-controls": isOpen ? "detail" : null, on: { click: () => toggle(row.name) } },
      h("span", { class: "chevron", "aria-hidden": "true" }), h("span", { class: "model" }, row.name)),
    h("span", { key: "provider", class: "note provider" }, row.model?.provider ?? row.group?.provider ?? "unknown provider", row.isSimulated && simulatedMark()),
  ];
}

function success(row) {
  if (!row.group) return format.UNKNOWN;
  const { successRate, interval, successes, failures, rateLimited } = row.group;
  const range = interval ? `; true rate, with 95 % confidence: ${format.percent(interval[0])} to ${format.percent(interval[1])}` : "";
  return h("span", { title: `${successes} of ${format.plural(successes + failures, "probe")}${rateLimited ? `, ${rateLimited} rate limited` : ""}${range}` }, format.percent(successRate));
}

function metric(id, percentile) {
  return (row) => row.group?.metrics[id]?.[percentile];
}

function duration(id, percentile) {
  return (row) => {
    const value = metric(id, percentile)(row);
    if (row.group && !row.group.isEnough && percentile !== "p50" && value != null) {
      return h("span", { class: "few", title: `Of ${format.plural(row.group.successes, "sample")} only: not yet a percentile to rely on` }, "≈ ", format.duration(value));
    }
    return format.duration(value);
  };
}

function tokens(number) {
  return number == null ? format.UNKNOWN : h("span", { title: `${format.integer(number)} tokens` }, format.count(number), h("span", { class: "unseen" }, " tokens"));
}

function price(perThousand) {
  return perThousand == null ? h("span", { title: "Unknown: the usage endpoint names no price" }, format.UNKNOWN) : format.usd(perThousand);
}

function used({ model }) {
  const use = model?.usage_stats;
  return use ? use.daily_input_tokens + use.daily_output_tokens : null;
}

function where({ model }) {
  return model ? (model.is_cloud ? "cloud" : "on-prem") : null;
}

function sorted(rows, column, direction) {
  return [...rows].sort((a, b) => {
    const [x, y] = [column.value(a), column.value(b)];
    if (x == null || y == null) return (x == null) - (y == null) || a.name.localeCompare(b.name);
    const order = typeof x === "string" ? x.localeCompare(y, "en", { numeric: true }) : x - y;
    return order * direction || a.name.localeCompare(b.name);
  });
}
