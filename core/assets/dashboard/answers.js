// The API's answers in the shapes that the views use.

// Whatever is looked up by a name of others is a Map: a model may be called `__proto__`.

/** /health. */
export function healthOf(answer) {
  return { ...answer, environments: new Map(Object.entries(answer.environments)) };
}

/** One group of /api/summary. A rate limit is the account's own: it is counted apart and no failure of the model. */
export function groupOf(group) {
  const last = group.last_record;
  return {
    environment: group.environment,
    name: group.model_name,
    provider: group.provider,
    isSimulated: group.simulated,
    count: group.count,
    successes: group.successes,
    failures: group.failures,
    rateLimited: group.rate_limited,
    kinds: group.failures_by_kind,
    successRate: group.success_rate,
    interval: group.success_rate == null ? null : [group.success_rate_low, group.success_rate_high],
    metrics: Object.fromEntries(["ttft_ms", "tpot_ms", "latency_ms", "connect_ms"].map((id) => [id, { ...group[id], avg: group[id].mean }])),
    phases: phasesOfMeans(group.phases_ms),
    cost: group.cost,
    isEnough: group.enough,
    last: last && { at: Date.parse(last.timestamp), isSuccess: last.status === "success", kind: last.error_kind },
  };
}

function phasesOfMeans(means) {
  const { dns, tcp, tls, waiting, first_token: first, streaming } = means ?? {};
  return Object.entries({ dns, connect: tcp, tls, waiting, first, streaming }).map(([id, ms]) => ({ id, ms })).filter(({ ms }) => ms > 0);
}

/** /api/series: instants of the buckets' starts, and columns with one entry a bucket for each environment and model. */
export function seriesOf(answer) {
  return {
    step: answer.step_seconds,
    times: answer.times.map((time) => Date.parse(time) / 1000),
    columns: answer.series.map((series) => ({
      environment: series.environment,
      name: series.model_name,
      values: Object.values(series.values)[0],
      counts: series.count,
      failures: series.failures,
      limited: series.rate_limited,
      kinds: series.failure_kinds,
    })),
  };
}

/** /api/compare of one model; `null` where one of the two has no record of it. */
export function comparisonOf(other, answer) {
  const [model] = answer.models;
  return { other, verdict: model?.verdict ?? null, difference: model?.difference ?? null, median: model?.b.median ?? null, isEnough: model?.enough ?? false };
}
