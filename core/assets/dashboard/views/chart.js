// The trend's chart, drawn by uPlot. It is made anew only when its lines change; else it takes the new numbers.

import * as format from "../format.js";
import { resolved, strokeOf } from "../palette.js";
import { state, update } from "../state.js";

const LIBRARY = "assets/vendor/uplot-1.6.32/uPlot.iife.min.js";
const HEIGHT_PX = 300;
/** Each part that comes draws the page: without a pause, a library that does not load would be asked for many times a second. */
const PAUSE_MS = 5000;
const charts = new WeakMap();
let library = null;
let failedAt = -Infinity;

/** Loads the library when the first chart wants it: the figures do not wait for it. */
function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = LIBRARY;
    script.onload = resolve;
    script.onerror = () => {
      library = null;
      failedAt = performance.now();
      script.remove();
      reject(new Error(`${LIBRARY} did not load`));
    };
    document.head.append(script);
  });
  return library;
}

/** @param {HTMLElement} node @param {{series: object[], times: number[], metric: object, from: number, to: number}} chart */
export function drawChart(node, chart) {
  if (!globalThis.uPlot) {
    // Where it did not load, a later drawing tries again.
    if (performance.now() - failedAt >= PAUSE_MS) loadLibrary().then(chart.redraw, () => {});
    return;
  }
  const style = getComputedStyle(node);
  const look = JSON.stringify([chart.series.map(({ name, index }) => [name, index]), chart.metric.id, style.color, document.documentElement.dataset.theme ?? ""]);
  const data = [chart.times, ...chart.series.map(({ values }) => values)];
  let drawn = charts.get(node);
  if (drawn?.look !== look) {
    // Who reads it by the keyboard goes on where they were.
    const reading = document.activeElement === node ? drawn?.plot.data[0][drawn.plot.cursor.idx] : undefined;
    drawn?.plot.destroy();
    drawn?.observer.disconnect();
    drawn = { look, chart, reading, at: chart.parts.trend.at };
    drawn.plot = new uPlot(options(node, drawn, style), data, node);
    drawn.observer = new ResizeObserver(() => {
      if (node.clientWidth > 0) drawn.plot.setSize({ width: node.clientWidth, height: HEIGHT_PX });
    });
    drawn.observer.observe(node);
    charts.set(node, drawn);
    keyboard(node, drawn);
  } else if (drawn.chart.parts.trend.at !== drawn.at) {
    Object.assign(drawn, { chart, at: chart.parts.trend.at });
    drawn.plot.setData(data);
  }
  node.setAttribute("role", "group");
  node.setAttribute("aria-label", summary(chart));
  node.tabIndex = 0;
}

/** From the first probe on, where the window is longer than there are any. */
function range({ from, to, times, step }) {
  const first = times[0] ?? from;
  return [Math.max(from, first - step), Math.max(to, first + step)];
}

function options(node, drawn, style) {
  const muted = resolved(node, "--muted");
  const grid = { stroke: resolved(node, "--grid"), width: 1 };
  const font = `12px ${style.fontFamily}`;
  const axis = { stroke: muted, font, grid, ticks: { ...grid, size: 4 } };
  return {
    width: node.clientWidth || 600,
    height: HEIGHT_PX,
    padding: [12, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { time: true, range: () => range(drawn.chart) }, y: { range: (plot, low, high) => [0, high == null ? 1 : high * 1.08] } },
    axes: [
      { ...axis, space: 70, values: axisTimes },
      { ...axis, size: 66, values: (plot, splits) => splits.map((value) => (value === 0 ? "0" : format.duration(value))) },
    ],
    series: [{}, ...drawn.chart.series.map(({ name, index }) => {
      const { name: colour, dash } = strokeOf(index);
      return { label: name, stroke: resolved(node, colour), dash, width: 1.75, spanGaps: false, points: { size: 4, show: isSparse } };
    })],
    hooks: { ready: [(plot) => drawn.reading != null && point(plot, drawn.reading)], setCursor: [(plot) => readOut(node, drawn, plot)], setSelect: [zoom] },
  };
}

/** Few values are shown as points: a line of one value has no length. */
function isSparse(plot, series) {
  return plot.data[series].filter((value) => value != null).length <= 40;
}

/** Times of day; the day where it begins. */
function axisTimes(plot, splits) {
  let before = "";
  return splits.map((split, index) => {
    const date = new Date(split * 1000);
    const day = date.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
    const isFine = splits.length > 1 && splits[1] - splits[0] < 60;
    const isDaily = splits.length > 1 && splits[1] - splits[0] >= 86_400;
    const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: isFine ? "2-digit" : undefined });
    const text = isDaily ? day : day !== before && index > 0 ? `${clock}\n${day}` : clock;
    before = day;
    return text;
  });
}

function zoom(plot) {
  const { left, width } = plot.select;
  if (width < 8) return;
  const at = (px) => new Date(Math.round(plot.posToVal(px, "x")) * 1000).toISOString().replace(".000", "");
  plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  update({ window: "custom", from: at(left), to: at(left + width) }, { isStep: true });
}

/** Under the cursor: the instant and every line's value, highest first. */
function readOut(node, drawn, plot) {
  let box = node.querySelector(".readout");
  if (!box) {
    box = document.createElement("div");
    box.className = "readout";
    box.setAttribute("aria-live", "polite");
    plot.over.append(box);
  }
  const { idx, left } = plot.cursor;
  box.hidden = idx == null || left < 0;
  if (box.hidden) return;
  const { chart } = drawn;
  const lines = chart.series
    .map(({ name, index, values }) => ({ name, index, value: values[idx] }))
    .filter(({ value }) => value != null)
    .sort((a, b) => b.value - a.value);
  const time = document.createElement("div");
  time.className = "readout-time";
  const date = new Date(chart.times[idx] * 1000);
  time.textContent = `${format.dayTimeSecond(date)} (${format.utc(date)}), ${state.percentile}`;
  const rows = lines.map(({ name, index, value }) => {
    const row = document.createElement("div");
    row.className = "readout-row";
    const swatch = document.createElement("span");
    swatch.className = "swatch line";
    swatch.style.setProperty("--colour", `var(${strokeOf(index).name})`);
    const label = document.createElement("span");
    label.className = "model";
    label.textContent = name;
    const number = document.createElement("span");
    number.className = "number";
    number.textContent = format.metricValue(chart.metric.id, value);
    row.append(swatch, label, number);
    return row;
  });
  if (rows.length === 0) {
    const none = document.createElement("div");
    none.textContent = "No successful probe";
    rows.push(none);
  }
  box.replaceChildren(time, ...rows);
  const width = plot.over.clientWidth;
  const isRight = left > width / 2;
  box.style.setProperty("left", isRight ? "auto" : `${left + 14}px`);
  box.style.setProperty("right", isRight ? `${width - left + 14}px` : "auto");
}

function point(plot, time) {
  plot.setCursor({ left: plot.valToPos(time, "x"), top: 10 });
}

/** Left and right walk from bucket to bucket. */
function keyboard(node, drawn) {
  node.onkeydown = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") drawn.plot.setCursor({ left: -10, top: -10 });
    if (!step) return;
    event.preventDefault();
    const { plot, chart } = drawn;
    const now = plot.cursor.idx ?? (step < 0 ? chart.times.length : -1);
    const index = Math.min(Math.max(now + step, 0), chart.times.length - 1);
    point(plot, chart.times[index]);
  };
  node.onblur = () => drawn.plot.setCursor({ left: -10, top: -10 });
}

function summary({ series, metric }) {
  const latest = series.filter(({ latest: value }) => value != null).map(({ name, latest: value }) => `${name} ${format.metricValue(metric.id, value)}`);
  return `Chart of ${metric.name}, ${state.percentile}. Latest: ${latest.join(", ") || "none"}. Arrow keys read it bucket by bucket.`;
}
