// One strip a model: its last probes, oldest first. A failure tells its kind on hover and on focus; a missed cycle is unknown.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { badge, heading, standIn } from "./common.js";
import { walk } from "./walk.js";

/** Beats a strip shows at most; narrow screens hide the oldest. */
export const BEATS = 60;
const LIMITS = ["rate limited", "overloaded"];
/** A stretch that has this share of its cycles is taken as whole: a slow cycle may fall into the next. */
const WHOLE_FROM = 0.8;
/** One failure among many is still to be seen. */
const LEAST_SHOWN = 0.2;

export function heartbeat(container, view) {
  render(container,
    heading("heartbeat", `Heartbeat of ${view.env || "…"}`, `Each beat is ${view.beatStep ? format.age(view.beatStep) : "a cycle"}, the newest at the right. Arrow keys walk along a strip.`),
    standIn(view.parts.beats, { isEmpty: () => view.beats.length === 0, empty: "No probe in this window. Choose a longer one, or wait for the next cycle." })
      ?? h("ul", { class: "beats", key: "beats" }, view.beats.map((line) => strip(line, view))),
    h("ul", { class: "legend", key: "legend" },
      ["ok:succeeded", "limited:only rate limits or overload", view.beatStep && "partly:so much of it failed", "failing:failed", view.beatStep && "ok is-thin:cut: some cycles are missing", "unknown:unknown: no record"].filter(Boolean).map((entry) => {
        const [id, ...text] = entry.split(":");
        return h("li", { key: id }, h("span", { class: `swatch beat is-${id}`, "aria-hidden": "true" }), text.join(":"));
      })));
}

function strip({ name, beats, state, group }) {
  const failures = beats.filter((beat) => beat.id !== "ok" && beat.id !== "unknown").length;
  return h("li", { key: name, class: "beat-line" },
    h("span", { class: "beat-name" }, badge(state, { isShort: true }), h("span", { class: "model" }, name)),
    h("span", { class: "beat-strip", role: "group", "aria-label": `${name}: ${format.plural(beats.length, "beat")}, ${failures} with failures`, on: { keydown: walk } },
      beats.map((beat, index) => h("span", {
        key: beat.key, class: `beat is-${beat.id}${beat.isThin ? " is-thin" : ""}`, role: "img",
        style: beat.share < 1 ? { "--failed": `${Math.round(Math.max(LEAST_SHOWN, beat.share) * 100)}%` } : {}, tabindex: index === beats.length - 1 ? "0" : "-1",
        "aria-label": beat.tip.replaceAll("\n", ", "), "data-tip": beat.tip,
      }))),
    h("span", { class: "beat-rate number", title: "Success rate in the window" }, format.percent(group?.successRate)));
}

/**
 * The beats of each model: of single cycles from their records, of a longer window from its series.
 * @returns {Map<string, {key: string, id: string, tip: string}[]>}
 */
export function beatsOf(part, names, intervalSeconds) {
  if (!part) return new Map();
  return part.step ? beatsOfSeries(part, names, intervalSeconds) : beatsOfCycles(part.records, names, intervalSeconds);
}

/** A stretch without any probe is unknown; the one that still runs may just not have had one yet. */
function beatsOfSeries({ times, columns, step }, names, intervalSeconds) {
  const running = Date.now() / 1000 - step;
  // The first stretch begins before the window, and the last still runs: neither can be told to lack cycles.
  const isWhole = (index) => index > 0 && times[index] < running;
  return new Map(names.map((name) => {
    const column = columns.find((each) => each.name === name);
    const expected = intervalSeconds ? step / intervalSeconds : 0;
    const beats = times.map((time, index) => stretch(time, step, column, index, isWhole(index) ? expected : 0)).filter((beat) => beat.id !== "unknown" || beat.time < running);
    return [name, beats];
  }));
}

/** `expected`: cycles in a stretch, 0 where that is not known. */
function stretch(time, step, column, index, expected) {
  const when = `${format.dayTimeSecond(new Date(time * 1000))} to ${format.time(new Date((time + step) * 1000))}`;
  const count = column?.counts[index] ?? 0;
  const failed = (column?.failures[index] ?? 0) + (column?.limited[index] ?? 0);
  const isThin = count < expected * WHOLE_FROM - 1;
  const thin = isThin ? `\nOnly ${format.plural(count, "probe")} of about ${Math.round(expected)}: the rest is unknown` : "";
  const beat = (id, text, share) => ({ key: String(time), time, id, isThin, share, tip: `${when}\n${text}${thin}` });
  if (count === 0) return { ...beat("unknown", ""), isThin: false, tip: `${when}\nUnknown: no probe` };
  if (failed === 0) return beat("ok", `All ${format.plural(count, "probe")} succeeded`);
  const kinds = (column.kinds[index] ?? []).map(format.words);
  const isLimit = kinds.every((kind) => LIMITS.includes(kind));
  const text = `${failed} of ${format.plural(count, "probe")} failed: ${kinds.join(", ")}`;
  return beat(isLimit ? "limited" : failed === count ? "failing" : "partly", text, failed / count);
}

function beatsOfCycles(records, names, intervalSeconds) {
  const cycles = new Map();
  for (const record of records) {
    const key = record.cycle_id ?? record.timestamp;
    if (!cycles.has(key)) cycles.set(key, { key, at: startOf(record), records: new Map() });
    cycles.get(key).records.set(record.model_name, record);
  }
  const ordered = withMissed([...cycles.values()].sort((a, b) => a.at - b.at), intervalSeconds).slice(-BEATS);
  return new Map(names.map((name) => [name, ordered.map((cycle) => beat(cycle, name))]));
}

/** Seconds between cycles, as the records themselves tell: the median of the gaps. `null` while there are too few. */
export function intervalOf(records) {
  const starts = [...new Set(records.filter((record) => record.cycle_id).map((record) => record.cycle_id))].map(cycleStart).sort((a, b) => a - b);
  const gaps = starts.slice(1).map((start, index) => (start - starts[index]) / 1000).sort((a, b) => a - b);
  return gaps.length < 3 ? null : gaps[Math.floor(gaps.length / 2)];
}

function withMissed(cycles, intervalSeconds) {
  if (!intervalSeconds) return cycles;
  const all = [];
  for (const cycle of cycles) {
    const before = all.at(-1);
    const missed = before ? Math.round((cycle.at - before.at) / 1000 / intervalSeconds) - 1 : 0;
    if (missed > 0) {
      const text = `No cycle for ${format.plural(missed, "interval")}: ${format.dayTimeSecond(new Date(before.at))} to ${format.time(new Date(cycle.at))}`;
      // One beat for each of a few, a short run for a long silence.
      for (let n = 0; n < Math.min(missed, 5); n++) all.push({ key: `${before.key}+${n}`, at: before.at, missed: text, records: new Map() });
    }
    all.push(cycle);
  }
  return all;
}

function beat(cycle, name) {
  const record = cycle.records.get(name);
  const when = format.dayTimeSecond(new Date(cycle.at));
  if (cycle.missed) return { key: cycle.key, id: "unknown", tip: `Unknown\n${cycle.missed}` };
  if (!record) return { key: cycle.key, id: "unknown", tip: `${when}\nUnknown: no record of this model in this cycle` };
  const simulated = record.simulated ? "\nsimulated" : "";
  if (record.status === "success") {
    return { key: cycle.key, id: "ok", tip: `${when}\nTTFT ${format.duration(record.ttft_ms)}, latency ${format.duration(record.latency_ms)}${simulated}` };
  }
  const id = LIMITS.includes(format.words(record.error_kind)) ? "limited" : "failing";
  const http = record.http_status ? ` (HTTP ${record.http_status})` : "";
  return { key: cycle.key, id, tip: `${when}\nFailed: ${format.words(record.error_kind ?? "error")}${http}\n${record.error_message ?? ""}${simulated}`.trimEnd() };
}

function startOf(record) {
  return record.cycle_id ? cycleStart(record.cycle_id) : Date.parse(record.timestamp);
}

/** `20261124T165400Z` */
function cycleStart(id) {
  return Date.parse(id.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/, "$1-$2-$3T$4:$5:$6"));
}
