// The API's answers in the shapes that the views use.

/** One group of /api/summary. */
export function groupOf(group) {
  const last = group.last ?? null;
  return {
    environment: group.environment,
    name: group.model_name,
    count: group.count,
    successes: group.successes,
    successRate: group.success_rate,
    interval: group.success_interval,
    failures: group.failures_by_kind ?? {},
    metrics: Object.fromEntries(["ttft_ms", "tpot_ms", "latency_ms", "connect_ms"].map((id) => [id, group[id]])),
    cost: group.cost,
    isEnough: group.enough,
    last: last && { at: Date.parse(last.timestamp), isSuccess: last.status === "success", kind: last.error_kind, provider: last.provider },
  };
}

/** /api/series: instants of the buckets' starts, and one column of values for each environment and model. */
export function seriesOf(answer) {
  return {
    times: answer.times.map((time) => Date.parse(time) / 1000),
    columns: answer.series.map((series) => ({ environment: series.environment, name: series.model_name, values: series.values, counts: series.counts, failures: series.failures, limited: series.rate_limited ?? [], kinds: series.failure_kinds })),
  };
}
