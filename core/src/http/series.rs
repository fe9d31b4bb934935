//! `/api/series`: figures over time, for charts.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Problem,
    error::{ApiError, ReadFailures},
    latency_record::timestamp_text,
    parameters::Parameters,
    summary::GroupParameters,
    window::{Window, WindowParameters, kind_word, rounded_ms, rounded_share},
};
use crate::{
    history::EXACT_UP_TO,
    query::{self, Buckets, Figure, Series, Statistic},
    record::Metric,
};

/// Most buckets in one answer.
const BUCKETS_MAX: i64 = 2_000;
/// Most buckets over all series in one answer.
const CELLS_MAX: usize = 200_000;
/// About how many buckets the step is chosen for when none is given.
const BUCKETS_WANTED: i64 = 300;
/// The steps to choose from, in seconds: 1 min to 1 week.
const STEPS: [i64; 13] =
    [60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 2 * 86_400, 7 * 86_400];
const SECONDS_PER_HOUR: i64 = 3_600;
/// A year.
const STEP_MAX_SECONDS: i64 = 366 * 86_400;

/// What is drawn, and how finely.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesParameters {
    /// A duration (`latency_ms`, `ttft_ms`, `ttfa_ms`, `tpot_ms`, `connect_ms`, `dns_ms`, `tls_ms`, `ttfb_ms`, `max_gap_ms`,
    /// `start_delay_ms`, `client_delay_ms`, `load_ms`; over the successes), or `success_rate`, `cost`, `input_tokens`,
    /// `output_tokens`.
    #[param(
        required = false,
        default = "latency_ms",
        example = "ttft_ms",
        pattern = "^(latency_ms|ttft_ms|ttfa_ms|tpot_ms|connect_ms|dns_ms|tls_ms|ttfb_ms|max_gap_ms|start_delay_ms|client_delay_ms|load_ms|success_rate|cost|input_tokens|output_tokens)?$"
    )]
    metric: String,
    /// Of a duration: one or several of `p1` … `p99`, `min`, `mean`, `max`, with commas.
    #[param(
        required = false,
        default = "p50",
        example = "p50,p95",
        pattern = "^((p[1-9][0-9]?|min|mean|max)(,(p[1-9][0-9]?|min|mean|max))*)?$"
    )]
    percentile: String,
    /// Length of a bucket: seconds, or a number with `s`, `m`, `h`, `d`. Empty: what gives about 300 buckets. At most 2,000
    /// buckets are made.
    #[param(required = false, example = "5m", pattern = "^([0-9]+[smhd]?)?$")]
    step: String,
}

/// Figures over time. Bucket `i` begins at `times[i]` and lasts `step_seconds`; every list below has one entry for each.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2026-11-24T16:00:00.000Z", "to": "2026-11-24T16:15:00.000Z", "exact": true, "metric": "latency_ms", "unit": "ms",
    "step_seconds": 300, "include_simulated": false, "simulated_left_out": 0,
    "times": ["2026-11-24T16:00:00Z", "2026-11-24T16:05:00Z", "2026-11-24T16:10:00Z"],
    "series": [{
        "environment": "prod", "model_name": "gpt-4o-mini", "provider": "openai", "simulated": false, "simulated_left_out": 0,
        "count": [5, 0, 5], "failures": [1, 0, 0], "rate_limited": [0, 0, 0],
        "failure_kinds": [["timeout"], null, null],
        "values": {"p50": [1834.2, null, 1829.7], "p95": [2011.7, null, 1990.3]}
    }]
}))]
pub struct SeriesAnswer {
    /// The window's first instant: RFC 3339.
    #[schema(format = DateTime)]
    pub from: String,
    /// The window's end, which is not part of it.
    #[schema(format = DateTime)]
    pub to: String,
    /// `true`: made of every record; `false`: of rollups, within 1 %.
    pub exact: bool,
    /// What is drawn.
    pub metric: String,
    /// Of the values: `ms`, `share` (0 to 1), `USD` or `tokens`.
    #[schema(pattern = "^(ms|share|USD|tokens)$")]
    pub unit: &'static str,
    /// Length of a bucket.
    #[schema(minimum = 1)]
    pub step_seconds: i64,
    /// Whether simulated records count like measured ones.
    pub include_simulated: bool,
    /// Simulated records that were left out.
    pub simulated_left_out: u64,
    /// When each bucket begins: RFC 3339, at multiples of the step since 1970 (UTC). The first may begin before `from`; it holds
    /// only what is in the window.
    pub times: Vec<String>,
    /// In alphabetical order of what they have in common.
    pub series: Vec<OneSeries>,
}

/// One group's figures over time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct OneSeries {
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
    /// Probes in each bucket.
    pub count: Vec<u64>,
    /// Probes that failed, without rate limits.
    pub failures: Vec<u64>,
    /// Probes that the account's own limit refused.
    pub rate_limited: Vec<u64>,
    /// What made probes fail, `rate_limited` among them; `null` for a bucket without failures.
    pub failure_kinds: Vec<Option<Vec<&'static str>>>,
    /// By statistic as asked for (`p50`, …), else by `rate` (of `success_rate`) or `sum`: the values; `null` for a bucket
    /// without any. Never interpolated.
    pub values: BTreeMap<String, Vec<Option<f64>>>,
}

/// Series
///
/// Figures over time in buckets of equal length, for charts.
#[utoipa::path(
    get,
    path = "/api/series",
    tag = "figures",
    operation_id = "series",
    params(SeriesParameters, WindowParameters, GroupParameters),
    responses(
        (status = 200, description = "The figures", body = SeriesAnswer),
        (status = 400, description = "A parameter is not accepted, or there would be too many buckets", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<SeriesParameters>,
    Parameters(window): Parameters<WindowParameters>,
    Parameters(grouping): Parameters<GroupParameters>,
) -> Result<Json<SeriesAnswer>, ApiError> {
    let figure = parameters.figure()?;
    let statistics = parameters.statistics()?;
    let columns = grouping.columns()?;
    let (window, selection) = (window.window()?, window.selection(window.window()?)?);
    let buckets = parameters.buckets(window)?;
    let selected: Vec<Statistic> = statistics.iter().map(|(_, statistic)| *statistic).collect();
    let (series, exact) = query::series(&api.history, &selection, &columns, figure, &selected, &buckets).await?;
    if series.len().saturating_mul(buckets.count()) > CELLS_MAX {
        let accepted = format!("a longer step or fewer models: over all series at most {CELLS_MAX} buckets are made");
        return Err(ApiError::parameter("step", &parameters.step, accepted));
    }
    let series: Vec<_> = series.into_iter().map(|series| OneSeries::new(series, figure, &statistics)).collect();
    Ok(Json(SeriesAnswer {
        from: timestamp_text(window.from),
        to: timestamp_text(window.to),
        exact,
        metric: if parameters.metric.is_empty() { Metric::LatencyMs.to_string() } else { parameters.metric },
        unit: unit(figure),
        step_seconds: buckets.step_seconds(),
        include_simulated: selection.include_simulated,
        simulated_left_out: series.iter().map(|series| series.simulated_left_out).sum(),
        times: buckets.starts().map(|start| start.to_rfc3339_opts(SecondsFormat::Secs, true)).collect(),
        series,
    }))
}

impl SeriesParameters {
    fn figure(&self) -> Result<Figure, ApiError> {
        match self.metric.as_str() {
            "" => Ok(Figure::Duration(Metric::LatencyMs)),
            "success_rate" => Ok(Figure::SuccessRate),
            "cost" => Ok(Figure::Cost),
            "input_tokens" => Ok(Figure::InputTokens),
            "output_tokens" => Ok(Figure::OutputTokens),
            word => word.parse().map(Figure::Duration).map_err(|_| {
                let durations = Metric::ALL.map(Metric::as_str).join(", ");
                let accepted = format!("one of {durations}, success_rate, cost, input_tokens, output_tokens");
                ApiError::parameter("metric", word, accepted)
            }),
        }
    }

    /// Each once, by the word it was asked for with.
    fn statistics(&self) -> Result<Vec<(String, Statistic)>, ApiError> {
        let list = if self.percentile.is_empty() { "p50" } else { &self.percentile };
        let mut statistics: Vec<(String, Statistic)> = Vec::new();
        for word in list.split(',') {
            let statistic = statistic(word).ok_or_else(|| {
                let accepted = "one or several of p1 to p99, min, mean, max with commas";
                ApiError::parameter("percentile", &self.percentile, accepted)
            })?;
            if !statistics.iter().any(|(_, there)| *there == statistic) {
                statistics.push((word.to_owned(), statistic));
            }
        }
        Ok(statistics)
    }

    fn buckets(&self, window: Window) -> Result<Buckets, ApiError> {
        let length_seconds = (window.to - window.from).num_seconds();
        let step_seconds = if self.step.is_empty() {
            // Long windows in full hours, which is what rollups know.
            let least = if window.to - window.from > EXACT_UP_TO { SECONDS_PER_HOUR } else { 0 };
            let wanted = (length_seconds / BUCKETS_WANTED).max(least);
            let longest = (length_seconds / BUCKETS_MAX + 1).max(STEPS.last().copied().unwrap_or(1));
            let longest = (longest / SECONDS_PER_HOUR + 1) * SECONDS_PER_HOUR;
            STEPS.into_iter().find(|step| *step >= wanted).unwrap_or(longest)
        } else {
            seconds(&self.step).filter(|step| (1..=STEP_MAX_SECONDS).contains(step)).ok_or_else(|| {
                ApiError::parameter("step", &self.step, "a length from 1s to 366d, like 300, 5m, 1h or 1d")
            })?
        };
        let buckets = Buckets::new(window.from, window.to, step_seconds);
        if buckets.count() > BUCKETS_MAX as usize {
            let least = length_seconds / BUCKETS_MAX + 1;
            let accepted = format!(
                "a step of {least}s or more for this from/to: {step_seconds}s make {} buckets, and at most {BUCKETS_MAX} \
                 are made",
                buckets.count()
            );
            return Err(ApiError::parameter("step", &self.step, accepted));
        }
        Ok(buckets)
    }
}

fn statistic(word: &str) -> Option<Statistic> {
    match word {
        "min" => Some(Statistic::Min),
        "mean" => Some(Statistic::Mean),
        "max" => Some(Statistic::Max),
        _ => {
            let p =
                word.strip_prefix('p').filter(|digits| digits.starts_with(|first: char| matches!(first, '1'..='9')))?;

            p.parse().ok().filter(|p| (1..=99).contains(p)).map(Statistic::Percentile)
        }
    }
}

/// `300`, `300s`, `5m`, `1h`, `2d`.
fn seconds(text: &str) -> Option<i64> {
    let (digits, unit) = match text.find(|c: char| !c.is_ascii_digit()) {
        Some(at) => text.split_at_checked(at)?,
        None => (text, "s"),
    };
    let unit_seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(unit_seconds)
}

fn unit(figure: Figure) -> &'static str {
    match figure {
        Figure::Duration(_) => "ms",
        Figure::SuccessRate => "share",
        Figure::Cost => "USD",
        Figure::InputTokens | Figure::OutputTokens => "tokens",
    }
}

impl OneSeries {
    fn new(series: Series, figure: Figure, statistics: &[(String, Statistic)]) -> Self {
        let count: u64 = series.counts.iter().sum();
        let rounded: fn(f64) -> f64 = match figure {
            Figure::Duration(_) => rounded_ms,
            Figure::SuccessRate => rounded_share,
            Figure::Cost | Figure::InputTokens | Figure::OutputTokens => |sum| sum,
        };
        let names: Vec<String> = match figure {
            Figure::Duration(_) => statistics.iter().map(|(name, _)| name.clone()).collect(),
            Figure::SuccessRate => vec!["rate".to_owned()],
            Figure::Cost | Figure::InputTokens | Figure::OutputTokens => vec!["sum".to_owned()],
        };
        let provider = match series.key.provider {
            Some(provider) => (!provider.is_empty()).then_some(provider),
            None => series.provider,
        };
        Self {
            environment: series.key.environment,
            model_name: series.key.model_name,
            provider,
            simulated: series.simulated > 0 || (count == 0 && series.simulated_left_out > 0),
            simulated_left_out: series.simulated_left_out,
            count: series.counts,
            failures: series.failures,
            rate_limited: series.rate_limited,
            failure_kinds: series
                .failure_kinds
                .into_iter()
                .map(|kinds| (!kinds.is_empty()).then(|| kinds.into_iter().map(kind_word).collect()))
                .collect(),
            values: names
                .into_iter()
                .zip(series.values)
                .map(|(name, values)| (name, values.into_iter().map(|value| value.map(rounded)).collect()))
                .collect(),
        }
    }
}
