//! The HTTP API: one router, served as it is by every host and called as it is by the tests.

mod admission;
mod assets;
mod auth;
mod badge;
mod compare;
mod compression;
mod cors;
mod costs;
mod costs_answer;
mod docs;
mod error;
mod etag;
mod export;
mod exported;
mod guard;
mod health;
mod hosts;
mod latency;
mod latency_record;
mod metrics;
mod models;
mod new_record;
mod openapi;
mod origin;
mod parameters;
mod root;
mod series;
mod summary;
mod window;

#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, State},
    middleware::{from_fn, from_fn_with_state},
    routing::get,
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{history::History, record::Environment, store::Store};

pub use admission::Limits;
pub use badge::ShieldsBadge;
pub use compare::{CompareAnswer, ComparedModel, ComparedSide, DifferenceMs, SideFigures};
pub use cors::CorsPolicy;
pub use costs_answer::{
    CostsAnswer, MonitoringOfDay, MonitoringOfModel, MonitoringOfMonth, MonitoringSums, PriceChangeAnswer, ProbeSum,
    UsageOfDay, UsageOfModel, UsageOfMonth, UsageSum, UsageSums,
};
pub use error::{FieldProblem, Problem};
pub use exported::{Chunks, Export, ExportFormat};
pub use health::{CatalogHealth, EnvironmentHealth, Health, HealthStatus, LastCycle, StoreState};
pub use hosts::HostPolicy;
pub use latency_record::LatencyRecord;
pub use models::{Model, Pricing, Usage};
pub use new_record::NewRecord;
pub use parameters::parse_instant;
pub use series::{OneSeries, SeriesAnswer};
pub use summary::{DistributionMs, GroupSummary, LastRecord, PhasesMs, SummaryAnswer};

/// Largest request body that is read.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// What the API answers from. Its answers derive from the store, so that a process that just started, or serves one request
/// and ends, gives the same ones.
#[derive(Debug)]
pub struct Api {
    /// Where records, catalogs and usage are kept.
    pub store: Arc<dyn Store>,
    /// Over the same store.
    pub history: Arc<History>,
    /// The configured environments, in the order of the settings.
    pub environments: Vec<Environment>,
    /// Every `/api` request needs it; `None`: reads are open and nothing can be posted.
    pub api_token: Option<SecretString>,
    /// Whose pages may call from a browser.
    pub cors: CorsPolicy,
    /// Of the program, for `/health` and the OpenAPI document.
    pub version: String,
    /// Between cycle starts: what `/health` measures lateness by.
    pub monitor_interval: Duration,
    /// One environment is measured and the others are derived from it.
    pub simple_mode: bool,
    /// When this process began to monitor, so that its first cycle is waited for and not missed; `None` where another
    /// process monitors.
    pub monitor_started_at: Option<DateTime<Utc>>,
    /// What the host knows to be wrong (rows that wait for room, say), in words for a person; shown by `/health`.
    pub host_problems: Option<watch::Receiver<Vec<String>>>,
}

/// What stands before the routes of a host that is reached directly.
#[derive(Debug, Clone)]
pub struct Gate {
    /// The names it answers to.
    pub hosts: HostPolicy,
    /// How much it takes on; `None`: something before it limits that.
    pub limits: Option<Limits>,
}

impl Gate {
    /// Of a host behind a gateway, which knows its own names and how many requests it sends.
    pub const OPEN: Self = Self { hosts: HostPolicy::Any, limits: None };
}

/// Every route there is, for a host behind a gateway.
pub fn router(api: Api) -> Router {
    router_behind(api, Gate::OPEN)
}

/// Every route there is, behind `gate`.
pub fn router_behind(api: Api, gate: Gate) -> Router {
    let cors = api.cors.layer();
    let origins = Arc::new(api.cors.clone());
    // Made when first asked for: a function that starts cold should not wait for it.
    let document = Arc::<OnceLock<Bytes>>::default();
    let show_document = move |State(api): State<Arc<Api>>| async move {
        openapi::show(document.get_or_init(|| openapi::document(&api.version)).clone())
    };
    let api = Arc::new(api);

    let with_token = Router::new()
        .route("/api/latency", get(latency::list).post(latency::add))
        .route("/api/models", get(models::list))
        .route("/api/summary", get(summary::show))
        .route("/api/series", get(series::show))
        .route("/api/compare", get(compare::show))
        .route("/api/costs", get(costs::show))
        .route("/api/export", get(export::show).layer(compression::of_streams()))
        .route("/metrics", get(metrics::show))
        .route("/badge/{environment}/{*model}", get(badge::show))
        .layer(Extension(Arc::new(metrics::Collector::default())));
    // Who may comes before whether there is room: a stranger takes no one's place.
    let admission = |limits| from_fn_with_state(Arc::new(admission::Admission::new(limits)), admission::admit);
    let with_token = match gate.limits {
        Some(limits) => with_token.route_layer(admission(limits)),
        None => with_token,
    };
    let with_token = with_token
        .route_layer(from_fn_with_state(Arc::clone(&api), auth::require_token))
        .route_layer(from_fn_with_state(origins, origin::refuse_foreign));

    // Anyone may ask for it, and it costs the store a look. Room of its own: readers' floods make no monitor look dead.
    let health = match gate.limits {
        Some(limits) => get(health::show).route_layer(admission(limits)),
        None => get(health::show),
    };
    let routes = Router::new()
        .route("/", get(root::index))
        .route("/health", health)
        .route("/openapi.json", get(show_document))
        .route("/docs", get(docs::swagger_ui))
        .route("/redoc", get(docs::redoc))
        .route("/assets/{*path}", get(assets::show))
        .merge(with_token)
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(from_fn(etag::answer_unchanged))
        .with_state(api);

    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    let routes = routes
        .layer(from_fn(cors::plain_options))
        .layer(from_fn_with_state(Arc::new(gate.hosts), hosts::refuse_strangers));
    routes.layer(from_fn_with_state(guard::TIME_LIMIT, guard::guard)).layer(compression::layer())
}
