use std::{sync::Arc, time::Duration};

use chrono::NaiveDate;
use http::header::ACCEPT;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use url::Url;

use super::{
    forbidden::{SafeResolver, names_forbidden},
    report::{Report, parse},
};
use crate::{
    cause,
    provider::Secrets,
    redact,
    tls::{self, SharedTls, TlsSetupError},
};

/// Largest answer read, in bytes.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
const MAX_REDIRECTS: usize = 5;

/// Asks usage endpoints.
#[derive(Debug, Clone)]
pub struct UsageClient {
    timeout: Duration,
    roots: SharedTls,
    /// For endpoints by plain HTTP, which need no roots.
    plain: OnceCell<reqwest::Client>,
    tls: OnceCell<reqwest::Client>,
}

/// Why an environment's usage is not known now. No message holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    /// It names an address at which clouds keep secrets.
    #[error("{endpoint} is a link-local or metadata address, where no usage endpoint is asked")]
    Forbidden {
        /// Without credentials and query.
        endpoint: String,
    },
    /// No whole answer within the time limit.
    #[error("{endpoint} did not answer within {} s", timeout.as_secs_f64())]
    Timeout {
        /// Without credentials and query.
        endpoint: String,
        /// The limit that ran out.
        timeout: Duration,
    },
    /// No connection, or it broke.
    #[error("{endpoint} cannot be reached: {problem}")]
    Unreachable {
        /// Without credentials and query.
        endpoint: String,
        /// The innermost cause.
        problem: String,
    },
    /// Not a 2xx.
    #[error("{endpoint} answered HTTP {status}, expected 200")]
    Status {
        /// Without credentials and query.
        endpoint: String,
        /// The HTTP status.
        status: u16,
    },
    /// Larger than a report may be.
    #[error("the answer is larger than {} MiB", MAX_BODY_BYTES / 1024 / 1024)]
    TooLarge,
    /// The body is not JSON.
    #[error("the answer is not JSON (line {line}, column {column})")]
    NotJson {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// The body is JSON of another shape.
    #[error("the answer is {found}, expected an array of models")]
    NotAnArray {
        /// What it is instead.
        found: &'static str,
    },
}

impl UsageClient {
    /// `timeout` holds for one whole request. The roots of `tls` are read when the first `https` endpoint is asked.
    pub fn new(timeout: Duration, tls: SharedTls) -> Self {
        Self { timeout, roots: tls, plain: OnceCell::new(), tls: OnceCell::new() }
    }

    /// What `endpoint` says of `day` (UTC).
    ///
    /// # Errors
    /// Every reason why there is no report; entries that cannot be used are in the report's own list.
    pub async fn fetch(
        &self,
        endpoint: &Url,
        token: Option<&SecretString>,
        day: NaiveDate,
    ) -> Result<Report, UsageError> {
        if names_forbidden(endpoint) {
            return Err(UsageError::Forbidden { endpoint: redact::url(endpoint) });
        }
        let mut response = self.ask(endpoint, token, day).await?;
        if !response.status().is_success() {
            let status = response.status().as_u16();
            return Err(UsageError::Status { endpoint: redact::url(endpoint), status });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(endpoint, &error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(UsageError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(without_secrets(parse(&body)?, &Secrets::of(endpoint, token)))
    }

    async fn ask(
        &self,
        endpoint: &Url,
        token: Option<&SecretString>,
        day: NaiveDate,
    ) -> Result<reqwest::Response, UsageError> {
        let send = async |client: &reqwest::Client| {
            let mut request = client.get(dated(endpoint, day)).header(ACCEPT, "application/json");
            if let Some(token) = token {
                request = request.bearer_auth(token.expose_secret());
            }
            request.send().await.map_err(|error| self.explain(endpoint, &error))
        };
        let unusable = |problem: String| UsageError::Unreachable { endpoint: redact::url(endpoint), problem };
        if endpoint.scheme() != "https" {
            let make = || async { self.client(tls::client_config_with_roots(RootCertStore::empty()), false) };
            let response = send(self.plain.get_or_try_init(make).await.map_err(unusable)?).await?;
            // An endpoint that sends on to https is asked once more, by a client that has roots.
            if !response.status().is_redirection() {
                return Ok(response);
            }
        }
        let make = || async { self.client(self.roots.get().await, true) };
        send(self.tls.get_or_try_init(make).await.map_err(unusable)?).await
    }

    fn client(
        &self,
        tls: Result<Arc<ClientConfig>, TlsSetupError>,
        has_roots: bool,
    ) -> Result<reqwest::Client, String> {
        let tls = tls.map_err(|error| error.to_string())?;
        // Followed on the same host only: a token must go nowhere else, and the endpoint must not steer requests elsewhere.
        let same_host = reqwest::redirect::Policy::custom(move |attempt| {
            let first = attempt.previous().first();
            let is_same = first.is_some_and(|first| {
                let is_https = attempt.url().scheme() == "https";
                first.host_str() == attempt.url().host_str()
                    && (is_https || first.scheme() == attempt.url().scheme())
                    && (has_roots || !is_https)
            });
            if is_same && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
        });
        reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .user_agent(concat!("llm-monitor/", env!("CARGO_PKG_VERSION")))
            .redirect(same_host)
            .dns_resolver(SafeResolver)
            .referer(false)
            .timeout(self.timeout)
            .pool_max_idle_per_host(1)
            .build()
            .map_err(|error| error.to_string())
    }

    fn explain(&self, endpoint: &Url, error: &reqwest::Error) -> UsageError {
        let endpoint = redact::url(endpoint);
        if error.is_timeout() {
            return UsageError::Timeout { endpoint, timeout: self.timeout };
        }
        let cause = cause::innermost(error);
        let problem =
            if std::ptr::addr_eq(cause, error) { "the connection failed".to_owned() } else { cause.to_string() };
        UsageError::Unreachable { endpoint, problem }
    }
}

/// An endpoint may send back what it was sent. In a model's name that would stand in every record, so such a model is left out.
fn without_secrets(mut report: Report, secrets: &Secrets) -> Report {
    let entries = report.entries.len();
    report.entries.retain(|entry| !secrets.show_in(&entry.llm_code));
    let shown = entries - report.entries.len();
    report.skipped = report.skipped.iter().map(|line| secrets.strike_out(line)).collect();
    if shown > 0 {
        report.skipped.push(format!("{shown} whose llmCode shows a secret that the endpoint was sent"));
    }
    report
}

/// `endpoint` with `date=` merged into the query that it has already.
fn dated(endpoint: &Url, day: NaiveDate) -> Url {
    let others: Vec<(String, String)> = endpoint
        .query_pairs()
        .filter(|(name, _)| name != "date")
        .map(|(n, v)| (n.into_owned(), v.into_owned()))
        .collect();
    let mut url = endpoint.clone();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair("date", &day.to_string());
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_merged_into_the_urls_own_query() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a date");
        let with = |url: &str| dated(&url.parse().expect("a URL"), day).to_string();
        assert_eq!(with("http://h/u"), "http://h/u?date=2026-11-24");
        assert_eq!(with("http://h/u?team=a%20b&date=x"), "http://h/u?team=a+b&date=2026-11-24");
    }
}
