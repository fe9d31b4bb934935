//! What a browser sends on behalf of a page: nothing is written for a page that may not even read.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{CorsPolicy, error::ApiError};

/// 403 for a `POST` by another origin's page, unless that is one of `CORS_ALLOWED_ORIGINS`. It stands beside the token, which no
/// browser adds by itself, and the content type, which no form can send.
pub(super) async fn refuse_foreign(State(policy): State<Arc<CorsPolicy>>, request: Request, next: Next) -> Response {
    if *request.method() == Method::POST && is_foreign(request.headers(), &policy) {
        let detail =
            "a page of another origin may not write here; if it should, add its origin to CORS_ALLOWED_ORIGINS";
        return ApiError::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Only browsers send `Origin`, and no page can change it (nor `Sec-Fetch-Site`, which a proxy's change of `Host` does not blur).
fn is_foreign(headers: &HeaderMap, policy: &CorsPolicy) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let is_ours = headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin")
        || headers.get(header::HOST).is_some_and(|host| {
            let origin = origin.as_bytes();
            let authority = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
            authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host.as_bytes()))
        });
    !is_ours && !policy.allows(origin)
}
