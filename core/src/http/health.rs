//! `/health`: whether what the other routes show can be relied on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    Api, Problem, auth,
    latency_record::timestamp_text,
    models::{CatalogError, kept_catalog},
};
use crate::{
    catalog::{Catalog, Source},
    query::last_cycles,
    record::{CycleId, Environment},
    store::{Scope, StoreError, StoreHealth},
};

/// How many intervals without a cycle make an environment stale.
const INTERVALS_UNTIL_STALE: i32 = 3;
/// With a short interval, one slow probe may hold a cycle longer than three of them.
const STALE_AT_LEAST: TimeDelta = TimeDelta::seconds(90);
/// How far back the last cycle is looked for; older than this is only told from never.
const LOOKED_BACK_AT_LEAST: TimeDelta = TimeDelta::hours(24);
/// How far back it is looked whether there ever was one, where the kept catalog does not tell: in a bucket of years a listing
/// of everything would take many requests, for each question again.
const EVER_LOOKED_BACK: TimeDelta = TimeDelta::days(31);
/// How many places of rows that cannot be read are named.
const NAMED_AT_MOST: usize = 5;
/// For all that is asked of the store.
const STORE_TIME_LIMIT: Duration = Duration::from_secs(10);

/// The monitor's own state.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "status": "ok", "version": "0.1.0", "mode": "full",
    "store": {"kind": "file", "location": "latency_data.csv", "problems": []},
    "environments": {"prod": {
        "status": "ok", "last_cycle": {"id": "20261124T165400Z", "age_seconds": 21.4},
        "catalog": {"source": "usage_endpoint", "fetched_at": "2026-11-24T16:54:00.020Z", "age_seconds": 21.3, "problems": []},
        "problems": []
    }},
    "skipped_rows": 0, "problems": []
}))]
pub struct Health {
    /// The worst of all below.
    pub status: HealthStatus,
    /// Of the program.
    pub version: String,
    /// `full`: every environment is measured; `simple`: one is, the others are derived from it.
    pub mode: &'static str,
    /// Where records are kept.
    pub store: StoreState,
    /// By environment.
    pub environments: BTreeMap<String, EnvironmentHealth>,
    /// Rows that could not be read; `llm-monitor verify` names each.
    pub skipped_rows: u64,
    /// All that is wrong, in words; empty when all is well.
    pub problems: Vec<String>,
}

/// From good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// All is well.
    Ok,
    /// The first cycle is still awaited.
    Starting,
    /// It works, but something wants looking after.
    Degraded,
    /// An environment had no cycle for more than three intervals: what is shown is old, and what is now is unknown.
    Stale,
    /// The store cannot be read.
    Unavailable,
}

/// Where records are kept.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct StoreState {
    /// `file`, `s3` or `memory`.
    pub kind: &'static str,
    /// Path or bucket.
    pub location: String,
    /// What is wrong now, in words.
    pub problems: Vec<String>,
    /// What it found out about where records are kept, in words.
    pub notes: Vec<String>,
}

/// One environment's state.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EnvironmentHealth {
    /// Of this environment.
    pub status: HealthStatus,
    /// `null` when there was none in the last 24 hours (or in three intervals, where these are longer).
    #[schema(required = true)]
    pub last_cycle: Option<LastCycle>,
    /// The catalog in use; `null` before the first cycle.
    #[schema(required = true)]
    pub catalog: Option<CatalogHealth>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

impl Health {
    /// Leaves states, times and counts: what a load balancer needs and a stranger may know.
    fn withhold_words(&mut self) {
        self.problems.clear();
        self.store = StoreState { kind: self.store.kind, ..StoreState::default() };
        for environment in self.environments.values_mut() {
            environment.problems.clear();
            if let Some(catalog) = &mut environment.catalog {
                catalog.problems.clear();
            }
        }
    }
}

/// The newest cycle that left a record, stored or waiting in memory to be.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LastCycle {
    /// Its scheduled time.
    pub id: String,
    /// Since its scheduled time.
    pub age_seconds: f64,
}

/// Where the catalog comes from, and how old it is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CatalogHealth {
    /// `usage_endpoint`; `last_good`: the endpoint fails now; `built_in`: it never answered.
    #[schema(pattern = "^(usage_endpoint|last_good|built_in)$")]
    pub source: &'static str,
    /// When the usage endpoint last answered: RFC 3339; `null` if it never did.
    #[schema(required = true, format = DateTime)]
    pub fetched_at: Option<String>,
    /// Since then.
    #[schema(required = true)]
    pub age_seconds: Option<f64>,
    /// What is wrong, in words.
    pub problems: Vec<String>,
}

/// What the store said of one environment.
struct Found {
    environment: Environment,
    last_cycle: Option<CycleId>,
    /// There was a cycle before that.
    ran_before: bool,
    catalog: Result<Option<Catalog>, CatalogError>,
}

/// Health
///
/// Whether cycles run on time, whether the store can be read, where the lists of models come from. Needs no token; where one is
/// set, only who sends it is told places and problems in words, which may name hosts and paths.
#[utoipa::path(
    get,
    path = "/health",
    tag = "monitor",
    operation_id = "health",
    responses(
        (status = 200, description = "`ok`, `starting` or `degraded`", body = Health),
        (status = 503, description = "`stale` or `unavailable`; as a problem: too many ask at this time", content(
            (Health = "application/json"),
            (Problem = "application/problem+json"),
        )),
    ),
)]
pub(super) async fn show(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let mut health = health(&api, Utc::now()).await;
    if !auth::may_read(&api, &headers) {
        health.withhold_words();
    }
    let status = match health.status {
        HealthStatus::Ok | HealthStatus::Starting | HealthStatus::Degraded => StatusCode::OK,
        HealthStatus::Stale | HealthStatus::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(health)).into_response()
}

async fn health(api: &Api, now: DateTime<Utc>) -> Health {
    let found = timeout(STORE_TIME_LIMIT, look(api, now)).await;
    let store = timeout(STORE_TIME_LIMIT, api.store.health()).await.unwrap_or_default();

    let mut status = HealthStatus::Ok;
    let mut problems: Vec<String> = Vec::new();
    let mut environments = BTreeMap::new();
    match found {
        Ok(Ok(found)) => {
            for mut found in found {
                // What waits in memory was measured all the same: the monitor is not late, its store is (and says so).
                found.last_cycle = found.last_cycle.max(store.waiting.get(&found.environment).copied());
                let name = found.environment.to_string();
                let health = EnvironmentHealth::new(api, found, now);
                status = status.max(health.status);
                problems.extend(health.problems.iter().map(|problem| format!("{name}: {problem}")));
                environments.insert(name, health);
            }
        }
        Ok(Err(error)) => {
            status = HealthStatus::Unavailable;
            problems.push(format!("the store cannot be read: {error}"));
        }
        Err(_elapsed) => {
            status = HealthStatus::Unavailable;
            problems.push(format!("the store did not answer within {} s", STORE_TIME_LIMIT.as_secs()));
        }
    }

    let StoreHealth { kind, location, skipped_rows, problems: store_problems, notes, waiting: _ } = store;
    let skipped_rows = skipped_rows.max(api.history.skipped_rows());
    problems.extend(store_problems.iter().cloned());
    if let Some(host) = &api.host_problems {
        problems.extend(host.borrow().iter().cloned());
    }
    if skipped_rows > 0 {
        problems.push(unreadable(skipped_rows, &api.history.most_skipped(NAMED_AT_MOST)));
    }
    if !problems.is_empty() {
        status = status.max(HealthStatus::Degraded);
    }
    Health {
        status,
        version: api.version.clone(),
        mode: if api.simple_mode { "simple" } else { "full" },
        store: StoreState { kind, location, problems: store_problems, notes },
        environments,
        skipped_rows,
        problems,
    }
}

/// Says how many rows cannot be read, and where most of them are.
fn unreadable(rows: u64, most: &[(Arc<str>, u64)]) -> String {
    let places: Vec<_> = most.iter().map(|(name, rows)| format!("{rows} in {name}")).collect();
    let of_them = if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) };
    format!("{rows} rows of the store cannot be read{of_them}; `llm-monitor verify` names each")
}

/// Asks the store for what every environment's state is told from: recent segments and the kept catalogs only.
async fn look(api: &Api, now: DateTime<Utc>) -> Result<Vec<Found>, StoreError> {
    let back = |span: TimeDelta| now.checked_sub_signed(span).unwrap_or(DateTime::UNIX_EPOCH);
    let since = back(looked_back(api));
    // Nearly always all are found close by, where a listing is short.
    let mut cycles = last_cycles(&api.history, &api.environments, back(stale_after(api))).await?;
    let missing: Vec<_> = api.environments.iter().filter(|name| !cycles.contains_key(*name)).cloned().collect();
    if !missing.is_empty() {
        cycles.extend(last_cycles(&api.history, &missing, since).await?);
    }
    let found = join_all(api.environments.iter().map(|environment| {
        let last_cycle = cycles.remove(environment);
        async move {
            let catalog = kept_catalog(api.store.as_ref(), environment).await;
            // Only a cycle asks for a catalog.
            let asked_at = catalog.as_ref().ok().and_then(|catalog| catalog.as_ref()?.fetched_at);
            let ran_before = match (last_cycle, asked_at) {
                (Some(_), _) => false,
                (None, Some(asked_at)) if now - asked_at > stale_after(api) => true,
                (None, _) => has_rows_before(api, environment, since).await?,
            };
            Ok(Found { environment: environment.clone(), last_cycle, ran_before, catalog })
        }
    }));
    found.await.into_iter().collect()
}

async fn has_rows_before(api: &Api, environment: &Environment, since: DateTime<Utc>) -> Result<bool, StoreError> {
    let from = since.checked_sub_signed(EVER_LOOKED_BACK);
    let scope = Scope { environments: Some(vec![environment.clone()]), from, to: Some(since) };
    let segments = api.store.segments(&scope).await?;
    Ok(segments.iter().any(|segment| segment.environment.as_ref().is_none_or(|only| only == environment)))
}

/// How far back the last cycle is looked for.
fn looked_back(api: &Api) -> TimeDelta {
    LOOKED_BACK_AT_LEAST.max(stale_after(api))
}

/// How old the newest cycle may be.
pub(super) fn stale_after(api: &Api) -> TimeDelta {
    let interval = TimeDelta::from_std(api.monitor_interval).unwrap_or(TimeDelta::days(365));
    interval.checked_mul(INTERVALS_UNTIL_STALE).unwrap_or(interval).max(STALE_AT_LEAST)
}

impl EnvironmentHealth {
    fn new(api: &Api, found: Found, now: DateTime<Utc>) -> Self {
        let mut problems = Vec::new();
        let catalog = match found.catalog {
            Ok(catalog) => catalog,
            Err(error) => {
                problems.push(error.to_string());
                None
            }
        };
        let last_cycle =
            found.last_cycle.map(|id| LastCycle { id: id.to_string(), age_seconds: age(id.scheduled(), now) });

        let stale_after = stale_after(api);
        let is_late = found.last_cycle.map_or(found.ran_before, |id| now - id.scheduled() > stale_after);
        // A process that monitors is given time for its first cycle; one that only shows is not, or it would call a dead
        // monitor alive after each of its own starts.
        let is_first_awaited = match api.monitor_started_at {
            Some(started_at) => now - started_at <= stale_after,
            None => found.last_cycle.is_none() && !found.ran_before,
        };
        let nothing_to_monitor =
            catalog.as_ref().is_some_and(|catalog| catalog.models.iter().all(|model| model.not_monitored.is_some()));

        let mut status = HealthStatus::Ok;
        if nothing_to_monitor {
            problems.push("no model is monitored; /api/models says why for each".to_owned());
        } else if is_late || found.last_cycle.is_none() {
            status = if is_first_awaited { HealthStatus::Starting } else { HealthStatus::Stale };
            if status == HealthStatus::Stale {
                let seconds = stale_after.num_seconds();
                problems.push(match &last_cycle {
                    Some(last) => {
                        format!("the last cycle was due {:.0} s ago; after {seconds} s it is stale", last.age_seconds)
                    }
                    None => format!("no cycle within the last {} hours", looked_back(api).num_hours()),
                });
            }
        }
        let catalog = catalog.map(|catalog| CatalogHealth::new(catalog, now));
        problems.extend(catalog.iter().flat_map(|catalog| catalog.problems.iter().cloned()));
        if !problems.is_empty() {
            status = status.max(HealthStatus::Degraded);
        }
        Self { status, last_cycle, catalog, problems }
    }
}

impl CatalogHealth {
    fn new(catalog: Catalog, now: DateTime<Utc>) -> Self {
        let (source, stale) = match catalog.source {
            Source::UsageEndpoint => ("usage_endpoint", None),
            Source::LastGood => ("last_good", Some("the usage endpoint fails; its last good catalog is used")),
            Source::BuiltIn => ("built_in", Some("the usage endpoint never answered; the built-in catalog is used")),
        };
        let mut problems = catalog.problems;
        if problems.is_empty() {
            problems.extend(stale.map(str::to_owned));
        }
        Self {
            source,
            fetched_at: catalog.fetched_at.map(timestamp_text),
            age_seconds: catalog.fetched_at.map(|fetched_at| age(fetched_at, now)),
            problems,
        }
    }
}

/// Seconds since `then`; 0 for what a clock set back has put in the future.
fn age(then: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    (now - then).num_milliseconds().max(0) as f64 / 1000.0
}
