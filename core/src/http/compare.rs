//! `/api/compare`: two environments, or two windows, side by side.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Problem,
    error::{ApiError, ReadFailures},
    latency_record::timestamp_text,
    parameters::{Parameters, duration_metric},
    window::{self, ROWS_AT_MOST, Window, rounded_ms, rounded_share},
};
use crate::{
    query::{Difference, ENOUGH_SAMPLES, Selection, Side, Verdict, side},
    record::Environment,
    store::Scope,
};

/// Two sides. An empty parameter counts as absent; unknown ones are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct CompareParameters {
    /// The first environment.
    #[param(required = true, min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9-]{1,32}$", example = "prod")]
    a: String,
    /// The second environment; it may be the first one again, with another window.
    #[param(required = true, min_length = 1, max_length = 32, pattern = "^[A-Za-z0-9-]{1,32}$", example = "dev")]
    b: String,
    /// The duration that is compared: `latency_ms`, `ttft_ms`, `ttfa_ms`, `tpot_ms`, `connect_ms`, `dns_ms`, `tls_ms`,
    /// `ttfb_ms`, `max_gap_ms`, `start_delay_ms`, `client_delay_ms` or `load_ms`.
    #[param(
        required = false,
        default = "latency_ms",
        example = "ttft_ms",
        pattern = "^(latency_ms|ttft_ms|ttfa_ms|tpot_ms|connect_ms|dns_ms|tls_ms|ttfb_ms|max_gap_ms|start_delay_ms|client_delay_ms|load_ms)?$"
    )]
    metric: String,
    /// Only these models: one whole name or several with commas. Empty: all.
    #[param(required = false, example = "gpt-4o-mini")]
    model: String,
    /// Not older than this, on both sides: RFC 3339 (no zone: UTC), or a date. Empty: 24 hours before `to`.
    #[param(required = false, example = "2026-11-24T16:00:00Z")]
    from: String,
    /// Older than this, on both sides. Empty: the end of the running minute.
    #[param(required = false, example = "2026-11-25")]
    to: String,
    /// `from` of the first side, where it differs.
    #[param(required = false, example = "2026-11-23")]
    a_from: String,
    /// `to` of the first side, where it differs.
    #[param(required = false, example = "2026-11-24")]
    a_to: String,
    /// `from` of the second side, where it differs.
    #[param(required = false, example = "2026-11-24")]
    b_from: String,
    /// `to` of the second side, where it differs.
    #[param(required = false, example = "2026-11-25")]
    b_to: String,
    /// `true`: simulated records count like measured ones. Else they are left out, and the answer says how many.
    #[param(required = false, pattern = "^(true|false)?$", default = "false")]
    include_simulated: String,
}

/// Two sides, model by model.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "exact": true, "metric": "latency_ms", "unit": "ms", "confidence": 0.95, "include_simulated": false,
    "a": {"environment": "prod", "from": "2026-11-23T16:55:00.000Z", "to": "2026-11-24T16:55:00.000Z", "count": 1440,
        "simulated_left_out": 0},
    "b": {"environment": "dev", "from": "2026-11-23T16:55:00.000Z", "to": "2026-11-24T16:55:00.000Z", "count": 1440,
        "simulated_left_out": 0},
    "models": [{
        "model_name": "gpt-4o-mini",
        "a": {"count": 1440, "values": 1431, "median": 1834.2, "p95": 2103.9, "success_rate": 0.995_132},
        "b": {"count": 1440, "values": 1440, "median": 1790.0, "p95": 2050.1, "success_rate": 1.0},
        "difference": {"median": 41.2, "low": 36.9, "high": 45.5, "percent": 2.3},
        "verdict": "slower", "enough": true
    }]
}))]
pub struct CompareAnswer {
    /// `true`: made of every record; `false`: of rollups, within 1 %.
    pub exact: bool,
    /// The duration that is compared.
    pub metric: &'static str,
    /// Of the numbers: `ms`.
    #[schema(pattern = "^ms$")]
    pub unit: &'static str,
    /// Of the intervals: 0.95.
    pub confidence: f64,
    /// Whether simulated records count like measured ones.
    pub include_simulated: bool,
    /// The first side.
    pub a: ComparedSide,
    /// The second side.
    pub b: ComparedSide,
    /// In alphabetical order; every model that either side has.
    pub models: Vec<ComparedModel>,
}

/// What one side is made of.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComparedSide {
    /// Where the models are used.
    pub environment: String,
    /// First instant: RFC 3339.
    #[schema(format = DateTime)]
    pub from: String,
    /// End, which is not part of it.
    #[schema(format = DateTime)]
    pub to: String,
    /// Records that count.
    pub count: u64,
    /// Simulated records that were left out.
    pub simulated_left_out: u64,
}

/// One model on both sides.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ComparedModel {
    /// The model.
    pub model_name: String,
    /// On the first side.
    pub a: SideFigures,
    /// On the second side.
    pub b: SideFigures,
    /// *a* − *b*; `null` while a side has fewer than 20 values.
    #[schema(required = true)]
    pub difference: Option<DifferenceMs>,
    /// Of *a*: `faster` (it takes less time than *b*), `slower`, `no clear difference` (the interval holds 0) or
    /// `not enough data`.
    #[schema(pattern = "^(faster|slower|no clear difference|not enough data)$")]
    pub verdict: &'static str,
    /// Both sides have at least 20 values.
    pub enough: bool,
}

/// One model on one side.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SideFigures {
    /// Probes.
    pub count: u64,
    /// Successes that have the metric.
    pub values: u64,
    /// By nearest rank, in milliseconds; `null` of no values.
    #[schema(required = true)]
    pub median: Option<f64>,
    /// By nearest rank, in milliseconds; `null` of no values.
    #[schema(required = true)]
    pub p95: Option<f64>,
    /// Without rate limits, 0 to 1; `null` of no probes.
    #[schema(required = true, minimum = 0, maximum = 1)]
    pub success_rate: Option<f64>,
}

/// How far apart the sides lie, in milliseconds: the median of all differences between a value of *a* and one of *b* (Hodges and
/// Lehmann), with the 95 % interval that goes with the Mann–Whitney rank test.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DifferenceMs {
    /// *a* − *b*: negative where *a* is faster.
    pub median: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// `median` in per cent of the median of *b*; `null` where that is 0.
    #[schema(required = true)]
    pub percent: Option<f64>,
}

/// Compare
///
/// Two environments in one window, or two windows, side by side: for each model both medians, how far apart they are with a 95 %
/// interval, and that in words.
#[utoipa::path(
    get,
    path = "/api/compare",
    tag = "figures",
    operation_id = "compare",
    params(CompareParameters),
    responses(
        (status = 200, description = "Both sides", body = CompareAnswer),
        (status = 400, description = "A parameter is missing or not accepted, or a window holds too many records", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<CompareParameters>,
) -> Result<Json<CompareAnswer>, ApiError> {
    let metric = duration_metric(&parameters.metric)?;
    let include_simulated = window::include_simulated(&parameters.include_simulated)?;
    let [a, b] = parameters.sides(Utc::now())?;
    let models = window::models(&parameters.model);
    let selection = |side: &Asked| Selection {
        scope: Scope {
            environments: Some(vec![side.environment.clone()]),
            from: Some(side.window.from),
            to: Some(side.window.to),
        },
        models: models.clone(),
        include_simulated,
        rows_at_most: ROWS_AT_MOST,
    };
    let (found_a, is_a_exact) = side(&api.history, &selection(&a), metric).await?;
    let (found_b, is_b_exact) = side(&api.history, &selection(&b), metric).await?;
    let exact = is_a_exact && is_b_exact;
    let (a, b) = (ComparedSide::new(&a, &found_a), ComparedSide::new(&b, &found_b));

    let mut pairs: BTreeMap<String, (Side, Side)> = BTreeMap::new();
    for (model, side) in found_a {
        pairs.entry(model).or_default().0 = side;
    }
    for (model, side) in found_b {
        pairs.entry(model).or_default().1 = side;
    }
    let mut models = Vec::with_capacity(pairs.len());
    for (model_name, (a, b)) in pairs {
        models.push(ComparedModel::new(model_name, &a, &b));
        // Large samples take a while: other requests get their turn.
        tokio::task::yield_now().await;
    }
    let (metric, unit, confidence) = (metric.as_str(), "ms", 0.95);
    Ok(Json(CompareAnswer { exact, metric, unit, confidence, include_simulated, a, b, models }))
}

/// A side as it was asked for.
struct Asked {
    environment: Environment,
    window: Window,
}

/// A parameter's name and text.
type Named<'a> = (&'static str, &'a str);

impl CompareParameters {
    fn sides(&self, now: DateTime<Utc>) -> Result<[Asked; 2], ApiError> {
        let (from, to) = (("from", self.from.as_str()), ("to", self.to.as_str()));
        let (a_from, a_to) = (own_or(("a_from", &self.a_from), from), own_or(("a_to", &self.a_to), to));
        let (b_from, b_to) = (own_or(("b_from", &self.b_from), from), own_or(("b_to", &self.b_to), to));
        Ok([Asked::parse(("a", &self.a), a_from, a_to, now)?, Asked::parse(("b", &self.b), b_from, b_to, now)?])
    }
}

fn own_or<'a>(own: Named<'a>, shared: Named<'a>) -> Named<'a> {
    if own.1.is_empty() { shared } else { own }
}

impl Asked {
    fn parse(environment: Named<'_>, from: Named<'_>, to: Named<'_>, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let (name, text) = environment;
        let accepted = "the name of an environment: 1 to 32 of a-z, 0-9 and '-'";
        let environment = text.parse().map_err(|_| ApiError::parameter(name, text, accepted))?;
        let window = Window::parse([from.0, to.0], from.1, to.1, TimeDelta::hours(24), now)?;
        Ok(Self { environment, window })
    }
}

impl ComparedSide {
    fn new(asked: &Asked, found: &[(String, Side)]) -> Self {
        Self {
            environment: asked.environment.to_string(),
            from: timestamp_text(asked.window.from),
            to: timestamp_text(asked.window.to),
            count: found.iter().map(|(_, side)| side.count).sum(),
            simulated_left_out: found.iter().map(|(_, side)| side.simulated_left_out).sum(),
        }
    }
}

impl ComparedModel {
    fn new(model_name: String, a: &Side, b: &Side) -> Self {
        let enough = |side: &Side| side.values.values().len() as u64 >= ENOUGH_SAMPLES;
        let difference = Difference::between(&a.values, &b.values).filter(|_| enough(a) && enough(b));
        let verdict = match difference.map(|difference| difference.verdict()) {
            Some(Verdict::Faster) => "faster",
            Some(Verdict::Slower) => "slower",
            Some(Verdict::NoClearDifference) => "no clear difference",
            None => "not enough data",
        };
        let (figures_a, figures_b) = (SideFigures::of(a), SideFigures::of(b));
        let difference = difference.map(|difference| DifferenceMs {
            median: rounded_ms(difference.median),
            low: difference.low,
            high: difference.high,
            percent: figures_b
                .median
                .filter(|median| *median > 0.0)
                .map(|median| (difference.median / median * 10_000.0).round() / 100.0),
        });
        Self { model_name, a: figures_a, b: figures_b, enough: difference.is_some(), difference, verdict }
    }
}

impl SideFigures {
    fn of(side: &Side) -> Self {
        Self {
            count: side.count,
            values: side.values.values().len() as u64,
            median: side.values.percentile(50),
            p95: side.values.percentile(95),
            success_rate: (side.judged > 0).then(|| rounded_share(side.successes as f64 / side.judged as f64)),
        }
    }
}
