use std::time::Duration;

use chrono::NaiveDate;
use http::header::ACCEPT;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::report::{Report, parse};
use crate::redact;

/// Largest answer read, in bytes.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;
const MAX_REDIRECTS: usize = 5;

/// Asks usage endpoints.
#[derive(Debug, Clone)]
pub struct UsageClient {
    http: reqwest::Client,
    timeout: Duration,
}

/// Why an environment's usage is not known now. No message holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
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
    /// `timeout` holds for one whole request.
    ///
    /// # Errors
    /// The TLS configuration is unusable.
    pub fn new(timeout: Duration, tls: rustls::ClientConfig) -> Result<Self, reqwest::Error> {
        // Followed on the same host only: a token must go nowhere else, and the endpoint must not steer requests elsewhere.
        let same_host = reqwest::redirect::Policy::custom(|attempt| {
            let first = attempt.previous().first();
            let is_same = first.is_some_and(|first| {
                first.host_str() == attempt.url().host_str()
                    && (first.scheme() == attempt.url().scheme() || attempt.url().scheme() == "https")
            });
            if is_same && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
        });
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("llm-monitor/", env!("CARGO_PKG_VERSION")))
            .redirect(same_host)
            .referer(false)
            .timeout(timeout)
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { http, timeout })
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
        let mut request = self.http.get(dated(endpoint, day)).header(ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        let mut response = request.send().await.map_err(|error| self.explain(endpoint, &error))?;
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
        parse(&body)
    }

    fn explain(&self, endpoint: &Url, error: &reqwest::Error) -> UsageError {
        let endpoint = redact::url(endpoint);
        if error.is_timeout() {
            return UsageError::Timeout { endpoint, timeout: self.timeout };
        }
        // The outer messages repeat the URL, which may hold secrets; the innermost is the operating system's own.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let problem =
            if std::ptr::addr_eq(cause, error) { "the connection failed".to_owned() } else { cause.to_string() };
        UsageError::Unreachable { endpoint, problem }
    }
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
