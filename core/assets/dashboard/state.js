// What is shown, as the address says it: a link shows the same view to whoever opens it. A value that is the default is left out.

export const WINDOWS = [
  { id: "15m", label: "15 min", seconds: 900 },
  { id: "1h", label: "1 h", seconds: 3600 },
  { id: "6h", label: "6 h", seconds: 21_600 },
  { id: "24h", label: "24 h", seconds: 86_400 },
  { id: "7d", label: "7 d", seconds: 604_800 },
  { id: "30d", label: "30 d", seconds: 2_592_000 },
];
/** Widths of a chart's buckets. Those under 5 minutes are only chosen by `auto`, for a monitor that has just started. */
export const STEPS = [
  { id: "10s", label: "10 s", seconds: 10, isFine: true },
  { id: "1m", label: "1 min", seconds: 60, isFine: true },
  { id: "5m", label: "5 min", seconds: 300 },
  { id: "15m", label: "15 min", seconds: 900 },
  { id: "30m", label: "30 min", seconds: 1800 },
  { id: "1h", label: "1 h", seconds: 3600 },
  { id: "3h", label: "3 h", seconds: 10_800 },
  { id: "6h", label: "6 h", seconds: 21_600 },
];
export const METRICS = [
  { id: "ttft_ms", label: "TTFT", name: "time to first token" },
  { id: "latency_ms", label: "Latency", name: "end-to-end latency" },
  { id: "tpot_ms", label: "TPOT", name: "time per output token" },
];
export const PERCENTILES = ["p50", "p90", "p95", "p99"];

/** `models`: what the trend shows; `null` all, `[]` none. */
const DEFAULTS = {
  env: "", window: "", from: "", to: "", metric: "ttft_ms", percentile: "p50", step: "auto", models: null, open: "",
  sort: "model", order: "asc", live: "on", costs: "",
};

export let state = read();
const listeners = [];

function read() {
  const query = new URLSearchParams(location.search);
  const text = (name) => query.get(name) ?? DEFAULTS[name];
  const oneOf = (name, allowed) => (allowed.includes(query.get(name)) ? query.get(name) : DEFAULTS[name]);
  const isRange = isInstant(query.get("from"));
  return {
    env: text("env"),
    window: isRange ? "custom" : oneOf("window", WINDOWS.map((window) => window.id)),
    from: isRange ? query.get("from") : "",
    to: isRange && isInstant(query.get("to")) ? query.get("to") : "",
    metric: oneOf("metric", METRICS.map((metric) => metric.id)),
    percentile: oneOf("percentile", PERCENTILES),
    step: oneOf("step", STEPS.map((step) => step.id)),
    models: query.has("models") ? query.getAll("models").filter((model) => model !== "") : null,
    open: text("open"),
    sort: text("sort"),
    order: oneOf("order", ["asc", "desc"]),
    live: oneOf("live", ["on", "off"]),
    costs: oneOf("costs", ["all"]),
  };
}

function isInstant(text) {
  return text != null && text !== "" && !Number.isNaN(Date.parse(text));
}

/** Changes what is shown. `isStep`: the browser's back button undoes it. */
export function update(changes, { isStep = false } = {}) {
  const before = state;
  state = { ...state, ...changes };
  const address = href();
  if (isStep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  for (const listener of listeners) listener(state, before);
}

/** The address of the present view with some changes. */
export function href(changes = {}) {
  const wanted = { ...state, ...changes };
  const query = new URLSearchParams();
  for (const name of ["env", "window", "from", "to", "metric", "percentile", "step", "open", "sort", "order", "live", "costs"]) {
    const isImplied = wanted[name] === DEFAULTS[name] || (name === "window" && wanted.window === "custom");
    if (!isImplied) query.set(name, wanted[name]);
  }
  if (wanted.models?.length === 0) query.set("models", "");
  for (const model of wanted.models ?? []) query.append("models", model);
  const theme = new URLSearchParams(location.search).get("theme");
  if (theme) query.set("theme", theme);
  const text = query.toString();
  return `${location.pathname}${text ? `?${text}` : ""}${location.hash}`;
}

/** `listener(now, before)` */
export function onChange(listener) {
  listeners.push(listener);
}

addEventListener("popstate", () => {
  const before = state;
  state = read();
  for (const listener of listeners) listener(state, before);
});

/** The instants of the window, seconds since 1970; `isOpen` while it ends now. */
export function span(now = Date.now() / 1000) {
  if (state.window === "custom") {
    const from = Date.parse(state.from) / 1000;
    const to = state.to ? Date.parse(state.to) / 1000 : now;
    return { from: Math.min(from, to), to: Math.max(from, to), isOpen: !state.to };
  }
  const seconds = WINDOWS.find((window) => window.id === state.window)?.seconds ?? 86_400;
  return { from: now - seconds, to: now, isOpen: true };
}
