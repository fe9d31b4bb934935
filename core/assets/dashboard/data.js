// What the page shows, part by part. Each part loads on its own, so that one failing answer leaves the others in place; what was
// there stays until what is new has come, and where that fails, only if it was asked for the same.

import { get } from "./api.js";
import { comparisonOf, groupOf, healthOf, seriesOf } from "./answers.js";
import { BEATS } from "./views/heartbeat.js";

const MAX_ROWS = 1000;
const RECENT_ROWS = 150;
const DETAIL_ROWS = 60;
const FAILURE_ROWS = 500;
const SPARK_BUCKETS = 24;
const HOUR_SECONDS = 3600;
/** Of longer windows the API knows figures of whole hours at once; anything finer is made of every record. */
export const EXACT_UP_TO_SECONDS = 49 * HOUR_SECONDS;

/** The window in so many steps: of whole seconds, of whole hours where it is long. */
function stepOf(view, count) {
  const seconds = view.to - view.dataFrom;
  const unit = seconds > EXACT_UP_TO_SECONDS ? HOUR_SECONDS : 1;
  return Math.max(1, Math.ceil(seconds / count / unit)) * unit;
}

/**
 * A request is given up when a newer one of the same part starts. `about`: the fields of the view that its value is of: one
 * environment's figures never stand under another's name because a request failed.
 */
class Part {
  constructor(load, about = []) {
    this.load = load;
    this.about = about;
    this.value = undefined;
    this.error = null;
    this.at = 0;
  }

  async refresh(view) {
    this.controller?.abort();
    const controller = new AbortController();
    this.controller = controller;
    const asked = JSON.stringify(this.about.map((field) => view[field]));
    try {
      const value = await this.load(view, { signal: controller.signal });
      if (this.controller !== controller) return;
      Object.assign(this, { value, error: null, at: Date.now(), asked });
    } catch (error) {
      if (error.name === "AbortError" || this.controller !== controller) return;
      this.error = error;
      if (this.asked !== asked) this.value = undefined;
    }
  }
}

export const parts = {
  health: new Part(async (view, options) => healthOf(await get("health", {}, { ...options, accepts: [503] }))),
  models: new Part(async ({ names }, options) => {
    const lists = await Promise.all(names.map((environment) => get("api/models", { environment }, options)));
    return new Map(names.map((name, index) => [name, new Map(Object.entries(lists[index]))]));
  }),
  summary: new Part(async (view, options) => {
    const answer = await get("api/summary", { ...scope(view), group_by: "environment,model" }, options);
    return answer.groups.map(groupOf);
  }, ["window"]),
  sparks: new Part(async (view, options) => {
    const seconds = stepOf(view, SPARK_BUCKETS);
    return seriesOf(await get("api/series", { ...scope(view), from: iso(view.dataFrom), metric: view.metric, percentile: "p95", step: `${seconds}s` }, options));
  }, ["window", "metric"]),
  trend: new Part(async (view, options) =>
    seriesOf(await get("api/series", { ...scope(view), from: iso(view.dataFrom), environment: view.env, metric: view.metric, percentile: view.percentile, step: `${view.step}s` }, options)), ["window", "env", "metric", "percentile", "step"]),
  /** Of every environment, for how often cycles come and how late probes start. */
  recent: new Part((view, options) => get("api/latency", { limit: RECENT_ROWS }, options)),
  beats: new Part(async (view, options) => {
    const { env } = view;
    if (view.isBeatACycle) {
      return { records: await get("api/latency", { ...range(view), environment: env, limit: MAX_ROWS }, options) };
    }
    const step = stepOf(view, BEATS);
    const answer = await get("api/series", { ...scope(view), from: iso(view.dataFrom), environment: env, metric: "success_rate", step: `${step}s` }, options);
    return seriesOf(answer);
  }, ["window", "env"]),
  failures: new Part((view, options) => get("api/latency", { ...range(view), environment: view.env, status: "error", limit: FAILURE_ROWS }, options), ["window", "env"]),
  costs: new Part((view, options) => get("api/costs", {}, options)),
  detail: new Part(async (view, options) => {
    if (!view.open) return null;
    const records = await get("api/latency", { ...range(view), environment: view.env, model: view.open, limit: DETAIL_ROWS }, options);
    return { name: view.open, records };
  }, ["window", "env", "open"]),
  /** The open model here against each of the other environments. */
  compare: new Part(async (view, options) => {
    if (!view.open) return null;
    const others = view.names.filter((name) => name !== view.env);
    const answers = await Promise.all(others.map((b) => get("api/compare", { ...scope(view), a: view.env, b, metric: view.metric, model: view.open }, options)));
    return { name: view.open, env: view.env, metric: view.metric, sides: others.map((other, index) => comparisonOf(other, answers[index])) };
  }, ["window", "env", "metric", "open"]),
  oldest: new Part((view, options) => get("api/latency", { order: "asc", limit: 1 }, options)),
};

function range({ from, to, isOpen }) {
  return { from: iso(from), to: isOpen ? "" : iso(to) };
}

function scope(view) {
  return { ...range(view), include_simulated: view.isSimple ? "true" : "" };
}

export function iso(seconds) {
  return new Date(Math.floor(seconds) * 1000).toISOString().replace(".000", "");
}
