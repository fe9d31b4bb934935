// Small pieces that several views share.

import { h } from "../dom.js";
import * as format from "../format.js";

/** An instant in the reader's zone, with UTC on hover. `text` says it shorter or longer. */
export function instant(date, text = format.dayTimeSecond) {
  return h("time", { datetime: date.toISOString(), title: format.utc(date) }, text(date));
}

/** A state as a mark of its own shape and a word, so that colour is never the only difference. */
export function badge(state, { isShort = false } = {}) {
  return h("span", { class: `badge is-${state.id}`, title: state.why }, mark(state), h("span", { class: isShort ? "unseen" : null }, state.label));
}

export function mark(state) {
  return h("span", { class: `mark is-${state.id}`, "aria-hidden": "true" }, state.symbol);
}

export function simulatedMark() {
  return h("span", { class: "simulated", title: "Derived from another environment's measurement, not measured" }, "simulated");
}

/** A section's heading, what it shows in a line, and its controls. */
export function heading(id, title, note, ...controls) {
  return h("div", { class: "heading", key: "heading" },
    h("div", { class: "heading-text" }, h("h2", { id: `${id}-title` }, title), note && h("p", { class: "note" }, note)),
    controls.length > 0 && h("div", { class: "controls" }, ...controls));
}

/** Buttons of which one is pressed. `options`: `[{id, label, title?, extra?}]`, `extra` behind the label. */
export function choice(label, options, chosen, onChoose) {
  return h("div", { class: "choice", role: "group", "aria-label": label, key: label },
    options.map(({ id, label: text, title, extra }) =>
      h("button", {
        key: id, type: "button", "aria-pressed": String(id === chosen), title: title ?? null, on: { click: () => onChoose(id) },
      }, text, extra)));
}

export function select(label, options, chosen, onChoose) {
  return h("label", { class: "select", key: label },
    h("span", null, label),
    h("select", { value: chosen, on: { change: (event) => onChoose(event.target.value) } },
      options.map(({ id, label: text }) => h("option", { key: id, value: id }, text))));
}

/** What a part shows while it has nothing to show: an error and what to do, a wait, or why it is empty. `null` when it has. */
export function standIn(part, { isEmpty, empty }) {
  if (part.error && part.value === undefined) return failed(part.error);
  if (part.value === undefined) return h("p", { class: "loading", key: "loading" }, "Loading …");
  return isEmpty(part.value) ? h("p", { class: "empty", key: "empty" }, empty) : null;
}

export function failed(error) {
  return h("div", { class: "failed", key: "failed" },
    h("p", null, error.message),
    h("p", { class: "note" }, "It is asked again at the next refresh.", error.requestId ? ` Request id for the log: ${error.requestId}` : ""));
}

/** The course of some values as a small line; `label` is for those who don't see it. */
export function sparkline(values, label) {
  const known = values.filter((value) => value != null);
  if (known.length < 2) return h("span", { class: "spark is-empty", key: "spark" });
  const [width, height] = [100, 24];
  const low = Math.min(...known);
  const range = Math.max(...known) - low || 1;
  const x = (index) => ((index / (values.length - 1)) * width).toFixed(1);
  const y = (value) => (height - 2 - ((value - low) / range) * (height - 4)).toFixed(1);
  let path = "";
  let isBroken = true;
  values.forEach((value, index) => {
    if (value == null) {
      isBroken = true;
      return;
    }
    path += `${isBroken ? "M" : "L"}${x(index)} ${y(value)}`;
    // A bucket between two empty ones would be invisible without a length of its own.
    if (isBroken && values[index + 1] == null) path += `h1`;
    isBroken = false;
  });
  return h("svg", {
    class: "spark", key: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label,
  }, h("path", { d: path }));
}
