// The course of a metric over the window: one line a model, empty buckets left empty.

import { h, render } from "../dom.js";
import * as format from "../format.js";
import { strokeOf } from "../palette.js";
import { METRICS, PERCENTILES, STEPS, state, update } from "../state.js";
import { choice, heading, select, standIn } from "./common.js";
import { drawChart } from "./chart.js";

/** What is typed into the picker's search; of no interest to whoever gets the link. */
let search = "";

export function trend(container, view) {
  const metric = METRICS.find(({ id }) => id === state.metric);
  const steps = [{ id: "auto", label: `Auto (${format.age(view.step)})` }, ...STEPS.filter((step) => !step.isFine || step.id === state.step)];
  const chosen = view.series.filter(({ name }) => isPicked(name));
  const chart = { ...view, metric, series: chosen };
  render(container,
    heading("trend", `${metric.label} in ${view.env || "…"}`, `${capital(metric.name)}, ${state.percentile} of each ${format.age(view.step)}. Drag across the chart to zoom in.`,
      choice("Metric", METRICS.map(({ id, label, name }) => ({ id, label, title: capital(name) })), state.metric, (id) => update({ metric: id })),
      choice("Percentile", PERCENTILES.map((id) => ({ id, label: id })), state.percentile, (id) => update({ percentile: id })),
      select("Bucket", steps, state.step, (id) => update({ step: id }))),
    standIn(view.parts.trend, { isEmpty: () => view.series.length === 0, empty: "No successful probe in this window. Choose a longer one, or wait for the next cycle." })
      ?? h("div", { class: "trend", key: "trend" },
        h("div", { key: "chart" },
          chosen.length === 0
            ? h("p", { class: "empty", key: "empty" }, "No model is picked. Pick some in the list, or press “All”.")
            : h("div", { class: "chart", key: "chart", own: true }),
          chosen.length > 0 && values(chart)),
        picker(view, chosen)));
  const node = container.querySelector(".chart");
  if (node) drawChart(node, chart);
}

function isPicked(name) {
  return state.models === null || state.models.includes(name);
}

function picker(view, chosen) {
  const shown = view.series.filter(({ name }) => name.toLowerCase().includes(search.toLowerCase()));
  const pick = (names) => update({ models: names.length === view.series.length ? null : names });
  const toggle = (name) => pick(view.series.map((each) => each.name).filter((each) => (each === name ? !isPicked(each) : isPicked(each))));
  return h("fieldset", { class: "picker", key: "picker" },
    h("legend", null, `Models (${chosen.length} of ${view.series.length})`),
    h("div", { class: "picker-tools" },
      h("input", {
        type: "search", placeholder: "Search", "aria-label": "Search models", value: search,
        on: { input: (event) => { search = event.target.value; view.redraw(); } },
      }),
      h("button", { key: "all", type: "button", class: "tool", on: { click: () => pick(view.series.map(({ name }) => name)) } }, "All"),
      h("button", { key: "none", type: "button", class: "tool", on: { click: () => pick([]) } }, "None")),
    h("ul", { class: "picker-list" }, shown.map(({ name, index, latest }) =>
      h("li", { key: name, class: isPicked(name) ? null : "is-off" },
        h("label", null,
          h("input", { type: "checkbox", checked: isPicked(name), on: { change: () => toggle(name) } }),
          h("span", { class: "swatch line", "aria-hidden": "true", style: { "--colour": `var(${strokeOf(index).name})` } }),
          h("span", { class: "model" }, name),
          h("span", { class: "number note" }, format.metricValue(state.metric, latest))),
        h("button", { type: "button", class: "only", "aria-label": `Only ${name}`, title: `Only ${name}`, on: { click: () => pick([name]) } }, "only"))),
      shown.length === 0 && h("li", { key: "", class: "empty" }, "No model’s name holds that.")));
}

/** The chart as a table: for screen readers, and for copying. Built only when it is opened. */
let isTableOpen = false;

function values({ series, times, metric, redraw }) {
  return h("details", { class: "values", key: "values", on: { toggle: (event) => { if (isTableOpen !== event.target.open) { isTableOpen = event.target.open; redraw(); } } } },
    h("summary", null, "The chart as a table"),
    isTableOpen && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "The chart as a table" },
      h("table", { class: "small" },
        h("thead", null, h("tr", null, h("th", { scope: "col", key: "" }, "From"), series.map(({ name }) => h("th", { key: name, scope: "col", class: "number" }, name)))),
        h("tbody", null, times.map((time, row) => h("tr", { key: String(time) },
          h("th", { scope: "row", key: "", title: format.utc(new Date(time * 1000)) }, format.dayTimeSecond(new Date(time * 1000))),
          series.map(({ name, values: column }) => h("td", { key: name, class: "number" }, format.metricValue(metric.id, column[row])))))))));
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}
