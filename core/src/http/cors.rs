//! Whose pages may call from a browser.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may keep a preflight's answer.
const PREFLIGHT_KEPT: Duration = Duration::from_mins(10);

/// Which origins' pages may read answers. Never with credentials (cookies); a token is sent by the page itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsPolicy {
    /// Pages on this machine, on any port: `http(s)://localhost`, `127.0.0.1`, `[::1]`.
    Loopback,
    /// Exactly these, each like `https://status.example.org`.
    Origins(Vec<String>),
    /// Only our own.
    Nobody,
}

impl CorsPolicy {
    /// Whether the pages of `origin` may call.
    pub(super) fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Nobody => false,
            Self::Loopback => is_loopback(origin),
            Self::Origins(origins) => origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()),
        }
    }

    pub(super) fn layer(&self) -> Option<CorsLayer> {
        if *self == Self::Nobody {
            return None;
        }
        let policy = self.clone();
        let origins = AllowOrigin::predicate(move |origin: &HeaderValue, _: &request::Parts| policy.allows(origin));
        let readable = [
            header::LINK,
            header::LOCATION,
            header::RETRY_AFTER,
            header::ETAG,
            HeaderName::from_static("x-request-id"),
        ];
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::HEAD, Method::POST])
            .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
            .expose_headers(readable)
            .max_age(PREFLIGHT_KEPT);
        Some(layer)
    }
}

/// `OPTIONS` that is no browser's preflight: 204 with the methods that the path takes. It goes through the routes as a method that
/// none takes, as these know which they do.
pub(super) async fn plain_options(mut request: Request, next: Next) -> Response {
    let is_preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let no_such = Method::from_bytes(b"LIST-METHODS").ok().filter(|_| *request.method() == Method::OPTIONS);
    let Some(no_such) = no_such.filter(|_| !is_preflight) else { return next.run(request).await };
    *request.method_mut() = no_such;
    let refused = next.run(request).await;
    // The router itself adds which methods the path takes.
    if refused.status() == StatusCode::METHOD_NOT_ALLOWED { StatusCode::NO_CONTENT.into_response() } else { refused }
}

/// `http://localhost:3000` and its like: the host whole, then nothing or a port.
fn is_loopback(origin: &HeaderValue) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    let Some(authority) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].into_iter().filter_map(|host| authority.strip_prefix(host)).any(|rest| {
        rest.is_empty()
            || rest.strip_prefix(':').is_some_and(|port| {
                !port.is_empty() && port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit())
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for yes in ["http://localhost:3000", "http://localhost", "https://127.0.0.1:8443", "http://[::1]:3000"] {
            assert!(is_loopback(&HeaderValue::from_static(yes)), "{yes}");
        }
        for no in [
            "null",
            "http://localhost.evil.example",
            "http://localhost:3000.evil.example",
            "http://localhost:",
            "http://127.0.0.1.evil.example",
            "http://evil.example",
            "ftp://localhost",
            "http://localhost:3000/",
        ] {
            assert!(!is_loopback(&HeaderValue::from_static(no)), "{no}");
        }
    }
}
