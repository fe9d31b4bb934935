//! Asks the server.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::future::{try_join, try_join_all};
use llm_monitor_core::{cause, redact, tls};
use reqwest::{
    StatusCode,
    header::{ACCEPT, CONTENT_TYPE},
    redirect,
};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;
use url::{Host, Url};

use super::answers::{Group, Health, Row, Series, Snapshot, Summary, interval_of};

/// For one answer.
const TIME_LIMIT: Duration = Duration::from_secs(15);
/// Largest answer read.
const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;
/// What an error is written as (RFC 9457).
const PROBLEM_KIND: &[u8] = b"application/problem+json";
/// Records of one model that the interval between cycles is told from.
const RECENT_ROWS: &str = "20";
/// Buckets of a cell's sparkline.
pub(super) const SPARK_BUCKETS: usize = 12;

/// One server.
#[derive(Debug)]
pub(super) struct Client {
    base: Url,
    token: Option<SecretString>,
    http: OnceCell<reqwest::Client>,
}

/// Why nothing can be shown of now. No message holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    #[error("no answer within {} s", TIME_LIMIT.as_secs())]
    Timeout,
    #[error("{0}")]
    Unreachable(String),
    #[error("it wants its token: set API_TOKEN, or give --token")]
    TokenWanted,
    #[error("the token is not the right one")]
    TokenWrong,
    #[error("{path} answered HTTP {status}{detail}")]
    Status { path: String, status: u16, detail: String },
    #[error("{path} did not answer as LLM Monitor does: {problem}")]
    NotOurs { path: String, problem: String },
}

impl Client {
    pub(super) fn new(base: Url, token: Option<SecretString>) -> Self {
        Self { base, token, http: OnceCell::new() }
    }

    /// Everything that is shown, of the last `window`.
    pub(super) async fn snapshot(&self, window: TimeDelta) -> Result<Snapshot, AskError> {
        let health: Health = self.get("health", &[]).await?;
        let at = health.now().unwrap_or_else(Utc::now);
        let from = text(at.checked_sub_signed(window).unwrap_or(DateTime::UNIX_EPOCH));
        let step = window.num_seconds().cast_unsigned().div_ceil(SPARK_BUCKETS as u64).max(1);
        let simulated = if health.mode == "simple" { "true" } else { "false" };
        let scope = [("from", from.as_str()), ("include_simulated", simulated)];
        let step = format!("{step}s");
        let drawn = [&scope[..], &[("metric", "ttft_ms"), ("percentile", "p95"), ("step", &step)]].concat();
        let figures = async {
            let (summary, series) =
                try_join(self.get::<Summary>("api/summary", &scope), self.get::<Series>("api/series", &drawn)).await?;
            Ok((self.interval(&summary.groups).await?, summary.groups, series.series))
        };
        let models = try_join_all(
            health
                .environments
                .keys()
                .map(async |name| Ok((name.clone(), self.get("api/models", &[("environment", name)]).await?))),
        );
        let ((interval, groups, series), models) = try_join(figures, models).await?;
        Ok(Snapshot { groups, series, models: models.into_iter().collect(), interval, at, health })
    }

    /// Between cycles: all environments have the same, so one model's records tell it.
    async fn interval(&self, groups: &[Group]) -> Result<Option<TimeDelta>, AskError> {
        let newest = groups.iter().max_by_key(|group| group.last_record.as_ref().map(|last| last.timestamp));
        let Some(Group { environment, model_name, .. }) = newest else { return Ok(None) };
        let scope = [("environment", environment.as_str()), ("model", model_name), ("limit", RECENT_ROWS)];
        Ok(interval_of(&self.get::<Vec<Row>>("api/latency", &scope).await?))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T, AskError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self.http().await?.get(url).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut response = request.send().await.map_err(explain)?;
        let status = response.status();
        let is_problem =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_KIND));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                let problem = format!("more than {} MiB", MAX_BODY_BYTES / 1024 / 1024);
                return Err(AskError::NotOurs { path: format!("/{path}"), problem });
            }
            body.extend_from_slice(&chunk);
        }
        let path = format!("/{path}");
        // An unhealthy monitor answers 503 and says why. One that is too busy to look says that as a problem.
        let is_unhealthy = status == StatusCode::SERVICE_UNAVAILABLE && path == "/health" && !is_problem;
        if !status.is_success() && !is_unhealthy {
            return Err(self.refused(path, status, &body));
        }
        serde_json::from_slice(&body).map_err(|error| AskError::NotOurs { path, problem: error.to_string() })
    }

    fn refused(&self, path: String, status: StatusCode, body: &[u8]) -> AskError {
        if status == StatusCode::UNAUTHORIZED {
            return if self.token.is_some() { AskError::TokenWrong } else { AskError::TokenWanted };
        }
        let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let detail = problem.and_then(|problem| Some(format!(": {}", problem.get("detail")?.as_str()?)));
        AskError::Status { path, status: status.as_u16(), detail: detail.unwrap_or_default() }
    }

    async fn http(&self) -> Result<&reqwest::Client, AskError> {
        let make = || async {
            // The platform's certificates are read only where they are needed.
            let tls = match self.base.scheme() {
                "https" => tls::SharedTls::default().get().await,
                _ => tls::client_config_with_roots(rustls::RootCertStore::empty()),
            };
            let tls = Arc::unwrap_or_clone(tls.map_err(|error| AskError::Unreachable(error.to_string()))?);
            let builder = reqwest::Client::builder();
            // What runs here is never behind a proxy.
            let builder = if is_this_machine(&self.base) { builder.no_proxy() } else { builder };
            builder
                .tls_backend_preconfigured(tls)
                .user_agent(concat!("llm-monitor/", env!("CARGO_PKG_VERSION")))
                // The token must go nowhere else.
                .redirect(redirect::Policy::none())
                .timeout(TIME_LIMIT)
                .build()
                .map_err(explain)
        };
        self.http.get_or_try_init(make).await
    }

    /// Fit to be shown.
    pub(super) fn shown_url(&self) -> String {
        redact::url(&self.base).trim_end_matches('/').to_owned()
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn explain(error: reqwest::Error) -> AskError {
    if error.is_timeout() {
        return AskError::Timeout;
    }
    AskError::Unreachable(cause::innermost(&error.without_url()).to_string())
}

fn text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
