// From the loaded parts to what the views draw: pure but for the clock.

import { EXACT_UP_TO_SECONDS, parts } from "./data.js";
import * as format from "./format.js";
import { STEPS, WINDOWS, span, state } from "./state.js";
import { STATES, stateOf } from "./status.js";
import { BEATS, beatsOf, intervalOf } from "./views/heartbeat.js";

/** The order in which teams name their environments; others follow by name. */
const ORDER = ["dev", "development", "test", "qa", "staging", "preprod", "prod", "production"];
/** About as many buckets as a chart can show. */
const BUCKETS = 170;

/** What the parts are asked for. */
export function question() {
  const now = Date.now() / 1000;
  const names = environmentNames();
  const env = chosenEnvironment(names);
  const { from, to, isOpen, id: windowId } = windowOf(now);
  const oldest = oldestSeconds();
  const dataFrom = oldest != null && oldest < to ? Math.max(from, oldest) : from;
  return {
    names, env, from, to, isOpen, windowId, dataFrom,
    window: `${windowId} ${state.from} ${state.to}`,
    step: stepSeconds(to - dataFrom),
    metric: state.metric, percentile: state.percentile, open: state.open,
    isSimple: parts.health.value?.mode === "simple",
    isBeatACycle: cyclesAtMost(env) <= BEATS,
  };
}

export function viewOf() {
  const asked = question();
  const { names, env } = asked;
  const health = parts.health.value;
  const sinceHealth = (Date.now() - parts.health.at) / 1000;
  // A gateway may want its token for /health too: that is an answer.
  const unreachable = parts.health.error?.status === 401 ? null : parts.health.error;
  const unread = parts.summary.value === undefined && parts.summary.error ? `The figures of this window did not come: ${parts.summary.error.message}` : null;
  const interval = intervalOf(parts.recent.value ?? []);
  // As /health has it: three intervals, and never under 90 s.
  const staleAfter = interval == null ? null : Math.max(3 * interval, 90);
  const newsOf = (name) => ({ ...environmentHealth(name, { health, unreachable, unread, sinceHealth }), staleAfter, isListed: parts.models.value?.get(name)?.size > 0 });
  const groups = new Map((parts.summary.value ?? []).map((group) => [key(group.environment, group.name), group]));
  const begun = (parts.sparks.value?.times ?? []).filter((time) => time <= asked.to).length;
  const sparks = new Map((parts.sparks.value?.columns ?? []).map((column) => [key(column.environment, column.name), column.values.slice(0, begun)]));
  const allNames = modelNames();

  const cell = (environment, name) => {
    const group = groups.get(key(environment, name));
    const model = parts.models.value?.get(environment)?.get(name);
    if (group?.last) group.last.ageSeconds = Date.now() / 1000 - group.last.at / 1000;
    const known = newsOf(environment);
    return { name, group, model, state: stateOf(group, model, asked.isOpen ? known : { reason: unread }), spark: sparks.get(key(environment, name)), isSimulated: model?.simulated ?? group?.isSimulated ?? false };
  };
  const rows = allNames.map((name) => cell(env, name)).filter(({ state: { id } }) => id !== "absent");
  const environments = names.map((name) => {
    const cells = allNames.map((model) => cell(name, model)).filter(({ state: { id } }) => id !== "off" && id !== "absent");
    const worst = cells.map(({ state: { id } }) => id).sort((a, b) => STATES[a].rank - STATES[b].rank)[0];
    return {
      name, models: cells.length, failing: cells.filter(({ state: { id } }) => id === "failing").length,
      worst: worst && { id: worst, ...STATES[worst] }, isSimulated: cells.some(({ isSimulated }) => isSimulated),
    };
  });
  const beats = beatsOf(parts.beats.value, rows.map(({ name }) => name), interval);
  const envGroups = [...groups.values()].filter((group) => group.environment === env);
  const total = totalOf(envGroups);
  const byTtft = envGroups.filter(({ metrics }) => metrics.ttft_ms?.p50 != null).map(({ name, metrics }) => ({ name, value: metrics.ttft_ms.p50 })).sort((a, b) => a.value - b.value);
  const trend = parts.trend.value;
  return {
    ...asked, parts, health, unreachable, interval, environments, rows, cell, names: allNames, total,
    environment: newsOf(env),
    isSimulated: rows.some(({ isSimulated }) => isSimulated),
    needsToken: ["health", "models", "summary", "oldest", "recent"].some((name) => parts[name].error?.status === 401),
    loadedAt: parts.summary.at ? new Date(parts.summary.at) : null,
    fastest: byTtft[0], slowest: byTtft.length > 1 ? byTtft.at(-1) : undefined,
    beats: rows.filter(({ model }) => model?.monitored ?? true).map((row) => ({ ...row, beats: beats.get(row.name) ?? [] })).filter((row) => row.beats.length > 0),
    failureCount: total ? total.count - total.successes : 0,
    monitoringCost: total?.cost ?? null,
    times: trend?.times ?? [],
    series: (trend?.columns ?? []).map((column) => ({ ...column, index: allNames.indexOf(column.name), latest: column.values.findLast((value) => value != null) ?? null })).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })),
    ageNow: (seconds) => seconds + sinceHealth,
    latenessOf: (name) => latenessOf((parts.recent.value ?? []).filter(({ environment }) => environment === name)),
    beatStep: parts.beats.value?.step,
    costsToday: costsToday(env),
    title: titleOf(env, rows, newsOf(env)),
  };
}

/** Without a choice: the shortest window that holds all there is, up to a day. */
function windowOf(now) {
  if (state.window) return { ...span(now), id: state.window };
  const oldest = oldestSeconds();
  const seconds = oldest == null ? 86_400 : (WINDOWS.slice(1, 4).find((window) => now - oldest < window.seconds) ?? WINDOWS[3]).seconds;
  return { from: now - seconds, to: now, isOpen: true, id: WINDOWS.find((window) => window.seconds === seconds).id };
}

/** Probes of the model that has most: about how many cycles the window has. */
function cyclesAtMost(env) {
  return Math.max(0, ...(parts.summary.value ?? []).filter((group) => group.environment === env).map((group) => group.count));
}

function oldestSeconds() {
  const first = parts.oldest.value?.[0];
  return first ? Date.parse(first.timestamp) / 1000 : null;
}

function stepSeconds(seconds) {
  if (state.step !== "auto") return STEPS.find(({ id }) => id === state.step).seconds;
  const least = seconds > EXACT_UP_TO_SECONDS ? 3600 : 0;
  return (STEPS.find((step) => seconds / step.seconds <= BUCKETS && step.seconds >= least) ?? STEPS.at(-1)).seconds;
}

function environmentNames() {
  const rank = (name) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);
  return [...(parts.health.value?.environments.keys() ?? [])].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

function chosenEnvironment(names) {
  if (state.env) return state.env;
  const measured = names.find((name) => [...(parts.models.value?.get(name)?.values() ?? [])].some((model) => !model.simulated));
  if (parts.health.value?.mode === "simple" && measured) return measured;
  return names.find((name) => name.startsWith("prod")) ?? names[0] ?? "";
}

function modelNames() {
  const names = new Set((parts.summary.value ?? []).map((group) => group.name));
  for (const models of parts.models.value?.values() ?? []) for (const name of models.keys()) names.add(name);
  return [...names].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

function environmentHealth(name, { health, unreachable, unread, sinceHealth }) {
  if (unreachable) return { reason: "The monitor does not answer." };
  const environment = health?.environments.get(name);
  if (!environment) return { reason: health ? `The monitor has no environment “${name}”.` : "Not known yet." };
  if (environment.status === "stale") return { reason: environment.problems.join(" ") || "The last cycle is overdue." };
  if (environment.status === "unavailable") return { reason: "The store cannot be read." };
  if (sinceHealth > 180) return { reason: `This page has had no news for ${format.age(sinceHealth)}.` };
  return { reason: unread };
}

function totalOf(groups) {
  if (groups.length === 0) return null;
  const sum = (field) => groups.reduce((total, group) => total + (group[field] ?? 0), 0);
  const [count, successes, failures] = [sum("count"), sum("successes"), sum("failures")];
  const judged = successes + failures;
  return {
    count, successes, judged, rateLimited: sum("rateLimited"), successRate: judged ? successes / judged : null,
    interval: wilson(successes, judged), cost: groups.some(({ cost }) => cost != null) ? sum("cost") : null,
  };
}

/** The 95 % score interval (Wilson 1927). */
function wilson(successes, count) {
  if (count === 0) return null;
  const z = 1.959964;
  const share = successes / count;
  const centre = (share + (z * z) / (2 * count)) / (1 + (z * z) / count);
  const half = (z / (1 + (z * z) / count)) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}

/** What the models' use costs today (UTC), as the environment's usage endpoint says. */
function costsToday(env) {
  const today = new Date().toISOString().slice(0, 10);
  return parts.costs.value?.usage.days.find((day) => day.date === today && day.environment === env)?.cost ?? null;
}

function latenessOf(records) {
  const delays = records.map((record) => record.start_delay_ms).filter((delay) => delay != null).sort((a, b) => a - b);
  return delays.length ? delays[Math.min(delays.length - 1, Math.ceil(delays.length * 0.95) - 1)] : null;
}

function titleOf(env, rows, environment) {
  const failing = rows.filter(({ state: { id } }) => id === "failing").length;
  const lead = environment.reason && parts.health.at ? "? " : failing ? `(${failing}) ` : "";
  return `${lead}${env ? `${env} · ` : ""}LLM Monitor`;
}

function key(environment, name) {
  return `${environment}\u0000${name}`;
}
