//! `ETag` and `If-None-Match`: an answer that the client has already is not sent again.

use axum::{
    body::{Body, HttpBody, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::ApiError;
use crate::fnv;

/// Larger answers are sent without a tag.
const TAGGED_AT_MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What a client keeps it shows only after asking whether it is still so.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Tags every whole answer to a read, unless it says `no-store`, and answers 304 to who has it. Weak tags: what is compared is
/// the content before it is packed for the way.
pub(super) async fn answer_unchanged(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    let response = next.run(request).await;
    if !is_read || response.status() != StatusCode::OK {
        return response;
    }
    let response = match tagged(response).await {
        Ok(response) => response,
        Err(error) => return error.into_response(),
    };
    match response.headers().get(header::ETAG) {
        Some(tag) if known.iter().any(|list| names(list, tag)) => unchanged(response.headers()),
        _ => response,
    }
}

async fn tagged(response: Response) -> Result<Response, ApiError> {
    let is_fixed = response.body().size_hint().exact().is_some_and(|size| size <= TAGGED_AT_MOST_BYTES);
    if !is_fixed || response.headers().contains_key(header::ETAG) || is_no_store(response.headers()) {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    // A body of known size is in memory already: nothing is waited for here.
    let bytes = to_bytes(body, TAGGED_AT_MOST_BYTES as usize).await.map_err(|e| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer could not be read to its end: {e}"))
    })?;
    parts.headers.insert(header::ETAG, of(&bytes));
    parts.headers.entry(header::CACHE_CONTROL).or_insert(ASK_AGAIN);
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn is_no_store(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| value.contains("no-store"))
}

/// What RFC 9110 wants to see in a 304.
fn unchanged(full: &HeaderMap) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    for name in [header::ETAG, header::CACHE_CONTROL, header::VARY, header::LINK, header::CONTENT_SECURITY_POLICY] {
        for value in full.get_all(&name) {
            response.headers_mut().append(&name, value.clone());
        }
    }
    response
}

/// The weak tag of this content, the same in every process.
pub(super) fn of(content: &[u8]) -> HeaderValue {
    let hash = fnv::hash(content);
    HeaderValue::try_from(format!("W/\"{hash:016x}-{:x}\"", content.len()))
        .unwrap_or(HeaderValue::from_static("W/\"\""))
}

/// Whether the `If-None-Match` list names `tag`, weakly compared, or is `*`.
fn names(list: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(list), Ok(tag)) = (list.to_str(), tag.to_str()) else { return false };
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.trim() == "*" || list.split(',').any(|item| opaque(item) == opaque(tag))
}
