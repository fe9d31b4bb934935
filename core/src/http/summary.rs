//! `/api/summary`: a window in numbers.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Problem,
    error::{ApiError, ReadFailures},
    latency_record::{number, timestamp_text},
    parameters::Parameters,
    window::{WindowParameters, by_word, kind_word, rounded_ms, rounded_share},
};
use crate::{
    query::{self, Column, Distribution, ENOUGH_SAMPLES, GroupKey, Last, Phases, wilson},
    record::Metric,
};

/// How records are grouped.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupParameters {
    /// What the records of a group have in common: some of `environment`, `model`, `provider`, with commas, or `none` for one
    /// group of all.
    #[param(
        required = false,
        default = "environment,model",
        example = "environment,model",
        pattern = "^(none|(environment|model|provider)(,(environment|model|provider))*)?$"
    )]
    group_by: String,
}

/// A window in numbers. Durations are milliseconds over the successes; percentiles are by nearest rank: the smallest measured
/// value that at least so many per cent of all do not exceed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SummaryAnswer {
    /// The window's first instant: RFC 3339.
    #[schema(format = DateTime, example = "2026-11-23T16:55:00.000Z")]
    pub from: String,
    /// The window's end, which is not part of it.
    #[schema(format = DateTime, example = "2026-11-24T16:55:00.000Z")]
    pub to: String,
    /// `true`: made of every record; `false`: of rollups, within 1 %.
    #[schema(example = true)]
    pub exact: bool,
    /// What the records of a group have in common.
    #[schema(example = json!(["environment", "model"]))]
    pub group_by: Vec<&'static str>,
    /// Whether simulated records count like measured ones.
    #[schema(example = false)]
    pub include_simulated: bool,
    /// Simulated records that were left out.
    #[schema(example = 0)]
    pub simulated_left_out: u64,
    /// Records that count.
    #[schema(example = 1440)]
    pub count: u64,
    /// In alphabetical order of what they have in common.
    pub groups: Vec<GroupSummary>,
}

/// A group of records in numbers.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "environment": "prod", "model_name": "gpt-4o-mini", "provider": "openai", "simulated": false, "simulated_left_out": 0,
    "count": 1440, "successes": 1431, "failures": 7, "rate_limited": 2,
    "failures_by_kind": {"rate_limited": 2, "timeout": 7},
    "success_rate": 0.995_132, "success_rate_low": 0.989_986, "success_rate_high": 0.997_64, "enough": true,
    "latency_ms": {"count": 1431, "enough": true, "min": 1502.1, "mean": 1851.404, "p50": 1834.2, "p90": 2011.7, "p95": 2103.9,
        "p99": 2688.0, "max": 3911.5},
    "ttft_ms": {"count": 1431, "enough": true, "min": 301.1, "mean": 418.22, "p50": 412.7, "p90": 470.2, "p95": 498.8,
        "p99": 640.1, "max": 1204.0},
    "tpot_ms": {"count": 1431, "enough": true, "min": 9.1, "mean": 11.284, "p50": 11.2, "p90": 12.4, "p95": 13.0, "p99": 15.9,
        "max": 21.2},
    "connect_ms": {"count": 1431, "enough": true, "min": 30.2, "mean": 38.911, "p50": 38.1, "p90": 44.0, "p95": 47.3, "p99": 80.4,
        "max": 212.9},
    "phases_ms": {"dns": 2.3, "tcp": 14.511, "tls": 22.1, "waiting": 337.609, "first_token": 41.7,
        "streaming": 1433.184},
    "input_tokens": 174_240, "output_tokens": 183_168, "cached_input_tokens": 0, "reasoning_tokens": 0,
    "cost": 0.136_036_8, "priced": 1440,
    "last_record": {"timestamp": "2026-11-24T16:54:00.113Z", "status": "success", "latency_ms": 1834.2, "ttft_ms": 412.7,
        "error_kind": null, "error_message": null, "simulated": false}
}))]
pub struct GroupSummary {
    /// Where the models are used; `null` where records are not grouped by it.
    #[schema(required = true)]
    pub environment: Option<String>,
    /// The model; `null` where records are not grouped by it.
    #[schema(required = true)]
    pub model_name: Option<String>,
    /// Who serves it, as the newest record says.
    #[schema(required = true)]
    pub provider: Option<String>,
    /// Its records are simulated: those that count, or all of those that were left out.
    pub simulated: bool,
    /// Simulated records that were left out.
    pub simulated_left_out: u64,
    /// Probes: `successes` + `failures` + `rate_limited`.
    pub count: u64,
    /// Probes that succeeded.
    pub successes: u64,
    /// Probes that failed, without rate limits.
    pub failures: u64,
    /// Probes that the account's own limit refused: they say nothing of the model and are no part of `success_rate`.
    pub rate_limited: u64,
    /// Failed probes by their kind, `rate_limited` among them; `unknown` for records that name no kind.
    pub failures_by_kind: BTreeMap<&'static str, u64>,
    /// `successes` / (`successes` + `failures`), 0 to 1; `null` when there are none.
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub success_rate: Option<f64>,
    /// Lower end of its 95 % interval (Wilson).
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub success_rate_low: Option<f64>,
    /// Upper end of its 95 % interval (Wilson).
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub success_rate_high: Option<f64>,
    /// There are at least 20 probes.
    pub enough: bool,
    /// End to end, in milliseconds.
    pub latency_ms: DistributionMs,
    /// To the first generated text, in milliseconds.
    pub ttft_ms: DistributionMs,
    /// Per output token after the first, in milliseconds.
    pub tpot_ms: DistributionMs,
    /// DNS, TCP and TLS together, in milliseconds.
    pub connect_ms: DistributionMs,
    /// Where a success's time goes on average; `null` where no success has all phases.
    #[schema(required = true)]
    pub phases_ms: Option<PhasesMs>,
    /// Prompt tokens, cached ones included.
    pub input_tokens: u64,
    /// Generated tokens, reasoning included.
    pub output_tokens: u64,
    /// Of the prompt tokens: read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Of the generated tokens: reasoning.
    pub reasoning_tokens: u64,
    /// US dollars that these probes cost, over those whose price is known; `null` when it is of none.
    #[schema(required = true, minimum = 0)]
    pub cost: Option<f64>,
    /// Probes whose cost is known.
    pub priced: u64,
    /// The newest record that counts; where none does, the newest of those that were left out.
    #[schema(required = true)]
    pub last_record: Option<LastRecord>,
}

/// A duration's distribution over the successes, in milliseconds; `null` where there is no value.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DistributionMs {
    /// How many values.
    pub count: u64,
    /// There are at least 20. Below, percentiles say little: a p99 of 5 values is not a p99.
    pub enough: bool,
    /// The smallest.
    #[schema(required = true, minimum = 0)]
    pub min: Option<f64>,
    /// The arithmetic mean.
    #[schema(required = true, minimum = 0)]
    pub mean: Option<f64>,
    /// The median.
    #[schema(required = true, minimum = 0)]
    pub p50: Option<f64>,
    /// 90 % are not slower.
    #[schema(required = true, minimum = 0)]
    pub p90: Option<f64>,
    /// 95 % are not slower.
    #[schema(required = true, minimum = 0)]
    pub p95: Option<f64>,
    /// 99 % are not slower.
    #[schema(required = true, minimum = 0)]
    pub p99: Option<f64>,
    /// The largest.
    #[schema(required = true, minimum = 0)]
    pub max: Option<f64>,
}

/// Means, in milliseconds, over the successes that have all of them; together they are the mean latency.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PhasesMs {
    /// Name resolution.
    pub dns: f64,
    /// The TCP connection.
    pub tcp: f64,
    /// The TLS handshake; 0 without TLS.
    pub tls: f64,
    /// From the connection to the response's headers.
    pub waiting: f64,
    /// From the headers to the first generated text.
    pub first_token: f64,
    /// From the first to the last text.
    pub streaming: f64,
}

/// The newest record in short; `/api/latency` has it whole.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastRecord {
    /// When the probe started: RFC 3339.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// `success` or `error`.
    #[schema(pattern = "^(success|error)$")]
    pub status: &'static str,
    /// In milliseconds; `null` for a failure.
    #[schema(required = true)]
    pub latency_ms: Option<f64>,
    /// In milliseconds.
    #[schema(required = true)]
    pub ttft_ms: Option<f64>,
    /// What made it fail.
    #[schema(required = true)]
    pub error_kind: Option<&'static str>,
    /// The failure in words.
    #[schema(required = true)]
    pub error_message: Option<String>,
    /// Derived instead of measured.
    pub simulated: bool,
}

/// Summary
///
/// A window in numbers, by environment and model: how many probes, how many succeeded (with a 95 % interval), what failed, how
/// fast, how dear.
#[utoipa::path(
    get,
    path = "/api/summary",
    tag = "figures",
    operation_id = "summary",
    params(WindowParameters, GroupParameters),
    responses(
        (status = 200, description = "The window in numbers", body = SummaryAnswer),
        (status = 400, description = "A parameter is not accepted, or the window holds too many records", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<WindowParameters>,
    Parameters(grouping): Parameters<GroupParameters>,
) -> Result<Json<SummaryAnswer>, ApiError> {
    let window = parameters.window()?;
    let selection = parameters.selection(window)?;
    let columns = grouping.columns()?;
    let (summaries, exact) = query::summaries(&api.history, &selection, &columns).await?;
    let groups: Vec<_> = summaries.into_iter().map(|(key, summary)| GroupSummary::new(key, summary)).collect();
    Ok(Json(SummaryAnswer {
        from: timestamp_text(window.from),
        to: timestamp_text(window.to),
        exact,
        group_by: columns.into_iter().map(Column::as_str).collect(),
        include_simulated: selection.include_simulated,
        simulated_left_out: groups.iter().map(|group| group.simulated_left_out).sum(),
        count: groups.iter().map(|group| group.count).sum(),
        groups,
    }))
}

impl GroupParameters {
    /// The columns to group by, each once.
    pub(super) fn columns(&self) -> Result<Vec<Column>, ApiError> {
        match self.group_by.as_str() {
            "" => return Ok(vec![Column::Environment, Column::Model]),
            "none" => return Ok(Vec::new()),
            _ => {}
        }
        let mut columns = Vec::new();
        for word in self.group_by.split(',') {
            let column = word.parse().map_err(|_| {
                let accepted = "some of environment, model, provider with commas, or none";
                ApiError::parameter("group_by", &self.group_by, accepted)
            })?;
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        Ok(columns)
    }
}

impl GroupSummary {
    fn new(key: GroupKey, mut summary: query::Summary) -> Self {
        let judged = summary.successes + summary.failures();
        let share = wilson(summary.successes, judged);
        let mut distribution = |metric| DistributionMs::from(summary.take_distribution(metric));
        let (latency_ms, ttft_ms) = (distribution(Metric::LatencyMs), distribution(Metric::TtftMs));
        let (tpot_ms, connect_ms) = (distribution(Metric::TpotMs), distribution(Metric::ConnectMs));
        let provider = match key.provider {
            Some(provider) => (!provider.is_empty()).then_some(provider),
            None => summary.last.as_ref().and_then(|last| last.provider.clone()),
        };
        Self {
            environment: key.environment,
            model_name: key.model_name,
            provider,
            simulated: summary.simulated > 0 || (summary.count == 0 && summary.simulated_left_out > 0),
            simulated_left_out: summary.simulated_left_out,
            count: summary.count,
            successes: summary.successes,
            failures: summary.failures(),
            rate_limited: summary.rate_limited(),
            failures_by_kind: by_word(&summary.failures_by_kind),
            success_rate: share.map(|share| rounded_share(share.rate)),
            success_rate_low: share.map(|share| rounded_share(share.low)),
            success_rate_high: share.map(|share| rounded_share(share.high)),
            enough: judged >= ENOUGH_SAMPLES,
            latency_ms,
            ttft_ms,
            tpot_ms,
            connect_ms,
            phases_ms: PhasesMs::of(summary.phases),
            input_tokens: summary.input_tokens,
            output_tokens: summary.output_tokens,
            cached_input_tokens: summary.cached_input_tokens,
            reasoning_tokens: summary.reasoning_tokens,
            cost: (summary.priced > 0).then(|| number(summary.cost_usd.normalize())).flatten(),
            priced: summary.priced,
            last_record: summary.last.map(LastRecord::from),
        }
    }
}

impl From<Distribution> for DistributionMs {
    fn from(distribution: Distribution) -> Self {
        Self {
            count: distribution.count,
            enough: distribution.count >= ENOUGH_SAMPLES,
            min: distribution.min,
            mean: distribution.mean.map(rounded_ms),
            p50: distribution.p50,
            p90: distribution.p90,
            p95: distribution.p95,
            p99: distribution.p99,
            max: distribution.max,
        }
    }
}

impl PhasesMs {
    fn of(sums: Phases) -> Option<Self> {
        let mean = |sum_ms: f64| rounded_ms(sum_ms / sums.count as f64);
        (sums.count > 0).then(|| Self {
            dns: mean(sums.dns_ms),
            tcp: mean(sums.tcp_ms),
            tls: mean(sums.tls_ms),
            waiting: mean(sums.waiting_ms),
            first_token: mean(sums.first_token_ms),
            streaming: mean(sums.streaming_ms),
        })
    }
}

impl From<Last> for LastRecord {
    fn from(last: Last) -> Self {
        Self {
            timestamp: timestamp_text(last.timestamp),
            status: if last.is_success { "success" } else { "error" },
            latency_ms: last.latency_ms,
            ttft_ms: last.ttft_ms,
            error_kind: (!last.is_success).then(|| kind_word(last.error_kind)),
            error_message: last.error_message,
            simulated: last.simulated,
        }
    }
}
