// What is behind a row: the distribution, where the time went, the use, the last probes.

import { h } from "../dom.js";
import * as format from "../format.js";
import { phasesOf } from "../phases.js";
import { METRICS } from "../state.js";
import { failed, instant, simulatedMark, standIn } from "./common.js";
import { phaseBar, phaseLegend } from "./phasebar.js";

const SHOWN_PROBES = 20;

export function detail(row, view) {
  const part = view.parts.detail;
  const isOther = part.value !== undefined && part.value?.name !== row.name;
  const wait = isOther ? h("p", { class: "loading", key: "loading" }, "Loading …") : standIn(part, { isEmpty: () => false, empty: "" });
  return [
    row.state.id !== "ok" && h("p", { key: "why", class: `why is-${row.state.id}` }, row.state.why),
    h("div", { key: "columns", class: "detail-columns" }, distribution(row), use(row)),
    row.group?.phases.length > 0 && typical(row.group),
    against(row, view),
    wait ?? probes(part.value.records),
  ];
}

const VERDICTS = { faster: "is-ok", slower: "is-failing" };

/** Here against the other environments: a difference counts only where its interval leaves out 0. */
function against(row, view) {
  const { value, error } = view.parts.compare;
  if (value === undefined && error) return h("div", { key: "against" }, h("h3", null, "Against the other environments"), failed(error));
  if (value?.name !== row.name || value.env !== view.env || !row.group) return null;
  const sides = value.sides.filter(({ verdict }) => verdict != null);
  if (sides.length === 0) return null;
  const metric = METRICS.find(({ id }) => id === value.metric);
  return h("div", { key: "against" },
    h("h3", null, `${metric.label} in ${view.env} against the other environments`),
    scrolling("Against the other environments", h("table", { class: "small" },
      h("thead", null, h("tr", null, h("th", { scope: "col", key: "" }, "Environment"), ["Its median", "Here it is", "Difference of medians", "95 % interval"].map((name) => h("th", { key: name, scope: "col", class: name === "Here it is" ? null : "number" }, name)))),
      h("tbody", null, sides.map(({ other, verdict, difference, median }) => h("tr", { key: other },
        h("th", { key: "", scope: "row" }, other),
        h("td", { key: "median", class: "number" }, format.metricValue(metric.id, median)),
        h("td", { key: "verdict" }, h("span", { class: `result ${VERDICTS[verdict] ?? ""}` }, verdict)),
        h("td", { key: "difference", class: "number" }, difference ? signed(metric.id, difference.median) : format.UNKNOWN),
        h("td", { key: "interval", class: "number" }, difference ? `${signed(metric.id, difference.low)} to ${signed(metric.id, difference.high)}` : format.UNKNOWN)))))));
}

function signed(metric, ms) {
  return `${ms < 0 ? "−" : "+"}${format.metricValue(metric, Math.abs(ms))}`;
}

/** On a narrow screen only this part scrolls sideways; with the keyboard, too. */
function scrolling(label, table) {
  return h("div", { key: label, class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

function distribution({ group }) {
  if (!group) return h("p", { class: "empty", key: "distribution" }, "No probe in this window. Choose a longer one.");
  const columns = ["min", "avg", "p50", "p90", "p95", "p99", "max"];
  const failures = Object.entries(group.kinds).map(([kind, number]) => `${number} ${format.words(kind)}`).join(", ");
  return h("div", { key: "distribution" },
    h("h3", null, "Distribution"),
    scrolling("Distribution", h("table", { class: "small" },
      h("thead", null, h("tr", null, h("th", { scope: "col", key: "" }, h("span", { class: "unseen" }, "Metric")), columns.map((name) => h("th", { key: name, scope: "col", class: "number" }, name)))),
      h("tbody", null, [...METRICS, { id: "connect_ms", label: "Connect", name: "DNS, TCP and TLS together" }].map(({ id, label, name }) =>
        h("tr", { key: id }, h("th", { scope: "row", title: name, key: "" }, id === "tpot_ms" ? "TPOT, per token" : label),
          columns.map((column) => h("td", { key: column, class: "number" }, format.duration(group.metrics[id]?.[column])))))))),
    h("p", { class: "note" }, `${format.plural(group.count, "probe")}: ${format.integer(group.successes)} succeeded, ${format.integer(group.count - group.successes)} failed${failures ? ` (${failures})` : ""}.`,
      group.isEnough ? "" : " Under 20 samples: read the high percentiles with care.",
      group.cost != null ? ` Their cost: ${format.usd(group.cost)}.` : ""));
}

function use({ model }) {
  const stats = model?.usage_stats;
  return h("div", { key: "use" },
    h("h3", null, "Use"),
    stats
      ? scrolling("Use", h("table", { class: "small" },
        h("thead", null, h("tr", null, h("th", { scope: "col", key: "" }, h("span", { class: "unseen" }, "Figure")), h("th", { key: "today", scope: "col", class: "number" }, "Today"), h("th", { key: "month", scope: "col", class: "number" }, "A day this month"))),
        h("tbody", null,
          useRow("Cost", format.usd(stats.daily_cost), format.usd(stats.monthly_avg_cost)),
          useRow("Input tokens", format.integer(stats.daily_input_tokens), format.integer(stats.monthly_avg_input_tokens)),
          useRow("Output tokens", format.integer(stats.daily_output_tokens), format.integer(stats.monthly_avg_output_tokens)),
          useRow("Prompts", format.integer(stats.daily_prompts), format.UNKNOWN))))
      : h("p", { class: "empty" }, "The usage endpoint reports no use of this model."));
}

function useRow(name, today, month) {
  return h("tr", { key: name }, h("th", { scope: "row", key: "" }, name), h("td", { key: "today", class: "number" }, today), h("td", { key: "month", class: "number" }, month));
}

function typical({ phases }) {
  const total = phases.reduce((sum, phase) => sum + phase.ms, 0);
  return h("div", { key: "typical", class: "typical" },
    h("h3", null, "Where the time goes"), phaseBar(phases, total), phaseLegend(phases),
    h("p", { class: "note" }, "Means over the window’s successes; together the mean latency. Every probe opens a fresh connection."));
}

function probes(records) {
  if (records.length === 0) return h("p", { class: "empty", key: "probes" }, "No probe of it in this window.");
  const shown = records.slice(0, SHOWN_PROBES);
  const longest = Math.max(...shown.map((record) => phasesOf(record).reduce((sum, phase) => sum + phase.ms, 0)));
  return h("div", { key: "probes" },
    h("h3", null, "Last probes"),
    scrolling("Last probes", h("table", { class: "small probes" },
      h("thead", null, h("tr", null, ["Time", "Result", "TTFT", "Latency", "Phases", "Tokens in → out", "Cost"].map((name) => h("th", { key: name, scope: "col", class: ["TTFT", "Latency", "Cost"].includes(name) ? "number" : null }, name)))),
      h("tbody", null, shown.map((record) => probe(record, longest))))));
}

function probe(record, longest) {
  const isSuccess = record.status === "success";
  const late = Math.max(record.start_delay_ms ?? 0, record.client_delay_ms ?? 0);
  return h("tr", { key: `${record.timestamp} ${record.cycle_id}` },
    h("td", { key: "time" }, instant(new Date(record.timestamp))),
    h("td", { key: "result" },
      h("span", { class: isSuccess ? "result is-ok" : "result is-failing", title: record.error_message ?? null }, isSuccess ? (record.finish_reason ? `ok (${record.finish_reason})` : "ok") : format.words(record.error_kind ?? "error")),
      record.http_status && record.http_status !== 200 ? h("span", { class: "note" }, ` HTTP ${record.http_status}`) : null,
      record.simulated && simulatedMark(),
      late > 100 && h("span", { class: "note", title: "The monitor itself was late; do not blame the model for all of it" }, ` monitor ${format.duration(late)} late`)),
    h("td", { key: "ttft", class: "number" }, format.duration(record.ttft_ms)),
    h("td", { key: "latency", class: "number" }, format.duration(record.latency_ms)),
    h("td", { key: "phases", class: "phase-cell" }, phaseBar(phasesOf(record), longest)),
    h("td", { key: "tokens", class: "number" }, `${format.integer(record.input_tokens)} → ${format.integer(record.output_tokens)}${record.token_source === "estimated" ? " (est.)" : ""}`),
    h("td", { key: "cost", class: "number" }, format.usd(record.cost)));
}
