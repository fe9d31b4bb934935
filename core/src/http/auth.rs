//! Who may: `API_TOKEN`.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use super::{Api, error::ApiError};

/// With a token set, every request needs it; with none, only reading is allowed.
pub(super) async fn require_token(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let refusal = match &api.api_token {
        Some(token) => match bearer(request.headers()) {
            None => Some(unauthorized("this needs the header `Authorization: Bearer <API_TOKEN>`", "Bearer")),
            Some(given) if is_same(given.as_bytes(), token.expose_secret().as_bytes()) => None,
            Some(_) => Some(unauthorized("the token is not the right one", "Bearer error=\"invalid_token\"")),
        },
        None if matches!(*request.method(), Method::GET | Method::HEAD) => None,
        None => Some(ApiError::new(
            StatusCode::FORBIDDEN,
            "nothing can be written while no API_TOKEN is set; set one where the monitor runs and send it as \
             `Authorization: Bearer <API_TOKEN>`",
        )),
    };
    match refusal {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// Whether the request may read what is said only to those who may read the API.
pub(super) fn may_read(api: &Api, headers: &HeaderMap) -> bool {
    let Some(token) = &api.api_token else { return true };
    bearer(headers).is_some_and(|given| is_same(given.as_bytes(), token.expose_secret().as_bytes()))
}

fn unauthorized(detail: &str, challenge: &'static str) -> ApiError {
    let challenge = HeaderValue::from_static(challenge);
    ApiError::new(StatusCode::UNAUTHORIZED, detail).with_header(header::WWW_AUTHENTICATE, challenge)
}

/// The token of an `Authorization: Bearer …` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Takes as long for every wrong token of a length, so that time tells nothing of the right one, its length included: the
/// right one is repeated or cut to the given one's length, and both are compared whole.
fn is_same(given: &[u8], right: &[u8]) -> bool {
    let padded: Vec<u8> = right.iter().copied().cycle().take(given.len()).collect();
    let is_same_length = given.len().ct_eq(&right.len());
    (is_same_length & given.ct_eq(&padded)).into() && !right.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn only_the_right_token_is_the_same() {
        assert!(is_same(b"abc", b"abc"));
        for wrong in [b"".as_slice(), b"a", b"ab", b"abd", b"abca", b"abcabc", b"ABC"] {
            assert!(!is_same(wrong, b"abc"), "{wrong:?}");
        }
        assert!(!is_same(b"", b""), "an empty token opens nothing");
        assert!(!is_same(b"aa", b"a"));
    }
}
