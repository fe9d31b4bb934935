//! `/api/costs`: what the models cost, and what monitoring them costs on top.

use std::sync::Arc;

use axum::{Json, extract::State};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Api, Problem,
    costs_answer::{CostsAnswer, MonitoringSums, PriceChangeAnswer, UsageSums},
    error::{ApiError, ReadFailures},
    parameters::{Parameters, environments, instant},
    window::{self, ROWS_AT_MOST},
};
use crate::{
    query::{Selection, UsageDay, monitoring_costs, price_changes, usage_costs},
    record::Environment,
    store::Scope,
    usage::read_kept,
};

const DEFAULT_DAYS: u64 = 31;
const DAYS_MAX: i64 = 366;
/// Usage files that are read at the same time.
const READ_AHEAD: usize = 16;

/// An empty parameter counts as absent; unknown ones are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct CostsParameters {
    /// Only these environments: one name or several with commas. Empty: all that are configured.
    #[param(required = false, example = "prod")]
    environment: String,
    /// Only these models: one whole name or several with commas. Empty: all.
    #[param(required = false, example = "gpt-4o-mini")]
    model: String,
    /// First day (UTC): a date, or a time within it. Empty: 31 days before `to`. At most 366 days are summed up.
    #[param(required = false, example = "2026-11-01")]
    from: String,
    /// End: the day before is the last; a time means the end of its day. Empty: the end of today.
    #[param(required = false, example = "2026-12-01")]
    to: String,
}

/// Costs
///
/// What the models cost by day, month and environment, what monitoring them costs on top, and price changes.
#[utoipa::path(
    get,
    path = "/api/costs",
    tag = "figures",
    operation_id = "costs",
    params(CostsParameters),
    responses(
        (status = 200, description = "The costs", body = CostsAnswer),
        (status = 400, description = "A parameter is not accepted, or the window holds too many records", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<CostsParameters>,
) -> Result<Json<CostsAnswer>, ApiError> {
    let (from, to) = parameters.days(Utc::now())?;
    let mut wanted = environments(&parameters.environment).unwrap_or_else(|| api.environments.clone());
    wanted.retain(|environment| api.environments.contains(environment));
    wanted.sort();
    wanted.dedup();

    let days = usage_days(&api, &wanted, from, to).await?;
    let selection = Selection {
        scope: Scope { environments: Some(wanted), from: Some(midnight(from)), to: Some(midnight(to)) },
        models: window::models(&parameters.model),
        include_simulated: false,
        rows_at_most: ROWS_AT_MOST,
    };
    let wants = |model: &str| selection.models.as_ref().is_none_or(|models| models.iter().any(|name| name == model));
    let monitoring = monitoring_costs(&api.history, &selection).await?;
    Ok(Json(CostsAnswer {
        from: from.to_string(),
        to: to.to_string(),
        currency: "USD",
        exact: true,
        usage: UsageSums::of(usage_costs(&days, wants)),
        monitoring: MonitoringSums::of(monitoring),
        price_changes: price_changes(&days, wants).into_iter().map(PriceChangeAnswer::from).collect(),
    }))
}

impl CostsParameters {
    /// First day, and the day after the last.
    fn days(&self, now: DateTime<Utc>) -> Result<(NaiveDate, NaiveDate), ApiError> {
        let end_of_day = |time: DateTime<Utc>| {
            let date = time.date_naive();
            if time == midnight(date) { date } else { date.succ_opt().unwrap_or(date) }
        };
        let to = instant("to", &self.to)?;
        let given_from = instant("from", &self.from)?.map(|from| from.date_naive());
        let end = to.map_or_else(|| now.date_naive().succ_opt().unwrap_or_default(), end_of_day);
        let end = if to.is_none() { end.max(given_from.unwrap_or(end)) } else { end };
        let from = given_from.or(end.checked_sub_days(Days::new(DEFAULT_DAYS))).unwrap_or(end);
        let length = (end - from).num_days();
        if length < 0 {
            return Err(ApiError::parameter("to", &self.to, format!("a day not before from, which is {from}")));
        }
        if length > DAYS_MAX {
            let accepted = format!("a day at most {DAYS_MAX} days before to, which is {end}");
            return Err(ApiError::parameter("from", &self.from, accepted));
        }
        Ok((from, end))
    }
}

fn midnight(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

/// What is kept of the usage of `wanted`, day by day.
async fn usage_days(
    api: &Api,
    wanted: &[Environment],
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<UsageDay>, ApiError> {
    let dates = from.iter_days().take_while(|date| *date < to);
    let files: Vec<_> =
        dates.flat_map(|date| wanted.iter().map(move |environment| (environment.clone(), date))).collect();
    let days = stream::iter(files)
        .map(async |(environment, date)| {
            let Some(file) = api.store.read_usage(&environment, date).await? else { return Ok(None) };
            let (rows, skipped) = read_kept(&file);
            if skipped > 0 {
                tracing::warn!(%environment, %date, skipped, "usage of {environment}, {date}: {skipped} unreadable rows");
            }
            Ok::<_, ApiError>(Some(UsageDay { environment, date, rows }))
        })
        .buffered(READ_AHEAD)
        .try_filter_map(async |day| Ok(day));
    days.try_collect().await
}
