//! What holds for every request: an id, a time limit, a panic that costs one answer only, a line in the log, safe headers.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;

use super::error::ApiError;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// For one request: under API Gateway's 30 s, so that a client gets our words and not the gateway's.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(25);

/// When to ask again after it, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// Longest path and query together.
const URI_MAX_LEN: usize = 8 * 1024;
/// All headers together, names and values.
const HEADERS_MAX_BYTES: usize = 32 * 1024;

/// Longest id taken over from a client or a proxy.
const REQUEST_ID_MAX_LEN: usize = 64;

const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// The state is the time limit.
pub(super) async fn guard(State(time_limit): State<Duration>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();

    let answer = match oversized(&request) {
        Some(refusal) => Ok(Ok(refusal.into_response())),
        None => AssertUnwindSafe(tokio::time::timeout(time_limit, next.run(request))).catch_unwind().await,
    };
    let mut response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(_elapsed)) => too_slow(time_limit).into_response(),
        // The panic's own words are in the log by the panic hook; they are not for clients.
        Err(_panic) => {
            tracing::error!(request_id, %method, path, "a panic while answering {method} {path}");
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the program failed on this request; its log says more")
                .into_response()
        }
    };

    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(error.body_for(&request_id));
    }
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, id);
    }
    log(&request_id, &method, &path, response.status(), started.elapsed());
    response
}

/// 414 or 431: more than any honest request needs.
fn oversized(request: &Request) -> Option<ApiError> {
    let uri_len = request.uri().path().len() + request.uri().query().map_or(0, str::len);
    if uri_len > URI_MAX_LEN {
        let detail = format!("the address is longer than {URI_MAX_LEN} bytes, the most that is read");
        return Some(ApiError::new(StatusCode::URI_TOO_LONG, detail));
    }
    let headers_bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let detail = format!("the headers are over {} KiB, the most that is read", HEADERS_MAX_BYTES / 1024);
    (headers_bytes > HEADERS_MAX_BYTES).then(|| ApiError::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail))
}

fn too_slow(time_limit: Duration) -> ApiError {
    let seconds = time_limit.as_secs();
    let detail = format!(
        "no answer within {seconds} s: ask again, as others may have been first, or for less: a shorter from/to, fewer \
         environments, a smaller skip"
    );
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail).with_header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
}

/// The client's or proxy's own id where it is a harmless one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_harmless = |id: &&str| {
        (1..=REQUEST_ID_MAX_LEN).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=' | b':' | b';'))
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_harmless);
    given.map_or_else(|| format!("{:016x}", fastrand::u64(..)), str::to_owned)
}

fn log(request_id: &str, method: &Method, path: &str, status: StatusCode, took: Duration) {
    let duration_ms = took.as_secs_f64() * 1000.0;
    let status = status.as_u16();
    if status >= 500 {
        tracing::warn!(request_id, %method, path, status, duration_ms, "{method} {path} {status}");
    } else {
        tracing::debug!(request_id, %method, path, status, duration_ms, "{method} {path} {status}");
    }
}
