//! The HTTP API: one router, served as it is by every host and called as it is by the tests.

mod auth;
mod cors;
mod error;
mod guard;
mod health;
mod latency;
mod latency_record;
mod models;
mod new_record;
mod openapi;
mod parameters;
mod root;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::DefaultBodyLimit, middleware::from_fn_with_state, routing::get};
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::watch;

use crate::{history::History, record::Environment, store::Store};

pub use cors::CorsPolicy;
pub use error::{FieldProblem, Problem};
pub use health::{CatalogHealth, EnvironmentHealth, Health, HealthStatus, LastCycle, StoreState};
pub use latency_record::LatencyRecord;
pub use models::{Model, Pricing, Usage};
pub use new_record::NewRecord;

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

/// Every route there is.
pub fn router(api: Api) -> Router {
    let cors = api.cors.layer();
    let document = openapi::document(&api.version);
    let api = Arc::new(api);

    let with_token = Router::new()
        .route("/api/latency", get(latency::list).post(latency::add))
        .route("/api/models", get(models::list))
        .route_layer(from_fn_with_state(Arc::clone(&api), auth::require_token));

    let routes = Router::new()
        .route("/", get(root::index))
        .route("/health", get(health::show))
        .route("/openapi.json", get(move || async move { openapi::show(document) }))
        .merge(with_token)
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .with_state(api);

    let routes = match cors {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    routes.layer(from_fn_with_state(guard::TIME_LIMIT, guard::guard))
}
