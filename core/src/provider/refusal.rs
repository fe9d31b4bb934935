//! What an answer means that is no stream: kinds by status and by the typed fields of a provider's error object, never by
//! searching text.

use http::{HeaderMap, StatusCode, header};
use serde_json::Value;

use crate::record::{ErrorKind, Failure};

/// Anthropic's (and some gateways') own status for "overloaded".
const OVERLOADED: u16 = 529;

/// An HTTP answer that is not the stream asked for.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// Its body, or the start of it.
    pub body: &'a [u8],
}

impl Refused<'_> {
    /// The body as JSON; of a list (Gemini sends one) the first element.
    pub fn json(&self) -> Option<Value> {
        match serde_json::from_slice(self.body).ok()? {
            Value::Array(mut list) if !list.is_empty() => Some(list.swap_remove(0)),
            value => Some(value),
        }
    }
}

/// What `refused` means.
pub fn classify(refused: &Refused<'_>) -> Failure {
    if refused.status.is_redirection() {
        return redirect(refused);
    }
    if let Some(body) = refused.json() {
        if !refused.status.is_success() || has_error(&body) {
            return from_error(refused.status, refused.headers, &body);
        }
        return Failure::new(ErrorKind::MalformedResponse, "the answer is one JSON document instead of a stream");
    }
    if refused.status.is_success() {
        let what = content_type(refused.headers).unwrap_or("a document of no stated type");
        return Failure::new(ErrorKind::MalformedResponse, format!("the answer is {what} instead of a stream"));
    }
    let text = content_type(refused.headers).filter(|kind| *kind == "text/plain").map_or("", |_| text(refused.body));
    Failure::new(kind_of_status(refused.status), describe(refused.status, refused.headers, text))
}

/// The failure that an error object tells of, in an answer of that status (200 inside a stream).
pub fn from_error(status: StatusCode, headers: &HeaderMap, body: &Value) -> Failure {
    let error = ErrorObject::of(body);
    let (kind, status) = error.kind(status);
    Failure::new(kind, describe(status, headers, error.message.unwrap_or_default()))
}

/// What a status says by itself.
pub fn kind_of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 | 403 => ErrorKind::Auth,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        429 => ErrorKind::RateLimited,
        503 | OVERLOADED => ErrorKind::Overloaded,
        300..500 => ErrorKind::BadRequest,
        100..300 => ErrorKind::MalformedResponse,
        _ => ErrorKind::ServerError,
    }
}

/// The kind that a provider's own word for an error (its `type`, `code`, `status` or `reason`) stands for.
fn kind_of_word(word: &str) -> Option<ErrorKind> {
    Some(match word {
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "insufficient_quota"
        | "tokens"
        | "requests"
        | "RateLimitError"
        | "RESOURCE_EXHAUSTED" => ErrorKind::RateLimited,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded"
        | "server_overloaded"
        | "ServiceUnavailableError"
        | "unavailable_error"
        | "UNAVAILABLE" => ErrorKind::Overloaded,
        "authentication_error"
        | "invalid_api_key"
        | "permission_error"
        | "permission_denied"
        | "AuthenticationError"
        | "PermissionDeniedError"
        | "PERMISSION_DENIED"
        | "UNAUTHENTICATED"
        | "API_KEY_INVALID" => ErrorKind::Auth,
        "not_found_error" | "model_not_found" | "DeploymentNotFound" | "NotFoundError" | "NOT_FOUND" => {
            ErrorKind::NotFound
        }
        "timeout_error" | "Timeout" | "DEADLINE_EXCEEDED" => ErrorKind::Timeout,
        "invalid_request_error"
        | "request_too_large"
        | "context_length_exceeded"
        | "exceed_context_size_error"
        | "BadRequestError"
        | "INVALID_ARGUMENT"
        | "FAILED_PRECONDITION"
        | "validation" => ErrorKind::BadRequest,
        "api_error" | "server_error" | "internal_server_error" | "InternalServerError" | "INTERNAL" | "generation" => {
            ErrorKind::ServerError
        }
        _ => return None,
    })
}

/// Whether a JSON body tells of an error.
pub fn has_error(body: &Value) -> bool {
    body.get("error").is_some_and(|error| !error.is_null())
        || body.get("object").and_then(Value::as_str) == Some("error")
        || body.get("type").and_then(Value::as_str) == Some("error")
        || body.get("detail").is_some()
}

/// The fields of an error object, in the shapes that servers give them: `{"error": {…}}`, `{"error": "…"}`, bare, or FastAPI's
/// `detail`.
#[derive(Debug, Default)]
pub(super) struct ErrorObject<'a> {
    message: Option<&'a str>,
    code: Option<u16>,
    words: Vec<&'a str>,
    param: Option<&'a str>,
}

impl<'a> ErrorObject<'a> {
    pub(super) fn of(body: &'a Value) -> Self {
        let inner = match body.get("error") {
            Some(error @ Value::Object(_)) => error,
            _ => body,
        };
        let details = ["details", "detail"].iter().filter_map(|key| inner.get(key)?.as_array()).flatten();
        let mut words: Vec<&str> =
            ["code", "type", "status", "error_type"].iter().filter_map(|key| inner.get(key)?.as_str()).collect();
        words.extend(details.clone().filter_map(|detail| detail.get("reason")?.as_str()));
        let message = inner.get("message").or(body.get("error")).or(body.get("detail")).and_then(Value::as_str);
        Self {
            message: message.or_else(|| details.clone().find_map(|detail| detail.get("msg")?.as_str())),
            code: inner.get("code").and_then(http_code),
            words,
            // FastAPI names the field by its path: ["body", "stream_options"].
            param: inner
                .get("param")
                .and_then(Value::as_str)
                .or_else(|| details.clone().find_map(|detail| detail.get("loc")?.as_array()?.get(1)?.as_str())),
        }
    }

    /// The request's parameter that the error names.
    pub(super) fn param(&self) -> Option<&'a str> {
        self.param
    }

    /// Whether it says no more than that something was wrong with the request.
    pub(super) fn is_generic(&self) -> bool {
        let is_specific = |word: &&str| !matches!(kind_of_word(word), None | Some(ErrorKind::BadRequest));
        self.param.is_none() && !self.words.iter().any(|word| is_specific(word) || *word == "context_length_exceeded")
    }

    /// The kind, and the status it stands for: a code in the error speaks where the answer's own status is 2xx.
    fn kind(&self, status: StatusCode) -> (ErrorKind, StatusCode) {
        let status =
            self.code.filter(|_| status.is_success()).and_then(|c| StatusCode::from_u16(c).ok()).unwrap_or(status);
        let of_word = self.words.iter().find_map(|word| kind_of_word(word));
        let of_reason = self.words.contains(&"API_KEY_INVALID").then_some(ErrorKind::Auth);
        let kind = match status.as_u16() {
            200..300 => of_word.unwrap_or(ErrorKind::ServerError),
            400 | 422 | 500 => of_reason.or(of_word).unwrap_or(kind_of_status(status)),
            // The account's limit and the provider's capacity share 429 with some.
            429 if of_word == Some(ErrorKind::Overloaded) => ErrorKind::Overloaded,
            _ => kind_of_status(status),
        };
        (kind, status)
    }
}

fn http_code(code: &Value) -> Option<u16> {
    let code = code.as_u64().or_else(|| code.as_str()?.parse().ok())?;
    u16::try_from(code).ok().filter(|code| (400..600).contains(code))
}

fn describe(status: StatusCode, headers: &HeaderMap, message: &str) -> String {
    let mut text = String::new();
    if !status.is_success() {
        text.push_str("HTTP ");
        text.push_str(status.as_str());
        let reason = if status.as_u16() == OVERLOADED { Some("Overloaded") } else { status.canonical_reason() };
        if let Some(reason) = reason {
            text.push(' ');
            text.push_str(reason);
        }
        if let Some(after) = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()) {
            let unit = if after.parse::<f64>().is_ok() { " s" } else { "" };
            text.extend([" (retry after ", after, unit, ")"]);
        }
    }
    match (text.is_empty(), message.is_empty()) {
        (true, true) => "the provider reports an error without saying which".to_owned(),
        (true, false) => message.to_owned(),
        (false, true) => text,
        (false, false) => format!("{text}: {message}"),
    }
}

/// Names the host a redirect leads to, and nothing else of its URL.
fn redirect(refused: &Refused<'_>) -> Failure {
    let location = refused.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let host =
        location.and_then(|location| url::Url::parse(location).ok()).and_then(|url| url.host().map(|h| h.to_string()));
    let to = host.map_or_else(|| "elsewhere on the same host".to_owned(), |host| format!("to {host}"));
    let status = describe(refused.status, refused.headers, "");
    Failure::new(ErrorKind::BadRequest, format!("{status}: a redirect {to}, not followed; mend the base URL"))
}

/// The media type, without parameters.
pub fn content_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim()).filter(|kind| !kind.is_empty())
}

/// The part of `bytes` that is UTF-8.
fn text(bytes: &[u8]) -> &str {
    bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    fn failure(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> (ErrorKind, String) {
        let status = StatusCode::from_u16(status).expect("a status");
        let headers =
            headers.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
        let headers: HeaderMap = headers.collect();
        let failure = classify(&Refused { status, headers: &headers, body: body.as_bytes() });
        (failure.kind.expect("a kind"), failure.message.expect("a message"))
    }

    #[test]
    fn a_status_tells_the_kind_and_the_body_tells_why() {
        use ErrorKind::*;
        let error = r#"{"error":{"message":"because","type":"some_error","param":null,"code":null}}"#;
        for (status, kind, message) in [
            (400, BadRequest, "HTTP 400 Bad Request: because"),
            (401, Auth, "HTTP 401 Unauthorized: because"),
            (403, Auth, "HTTP 403 Forbidden: because"),
            (404, NotFound, "HTTP 404 Not Found: because"),
            (408, Timeout, "HTTP 408 Request Timeout: because"),
            (413, BadRequest, "HTTP 413 Payload Too Large: because"),
            (429, RateLimited, "HTTP 429 Too Many Requests: because"),
            (500, ServerError, "HTTP 500 Internal Server Error: because"),
            (503, Overloaded, "HTTP 503 Service Unavailable: because"),
            (504, Timeout, "HTTP 504 Gateway Timeout: because"),
            (529, Overloaded, "HTTP 529 Overloaded: because"),
        ] {
            assert_eq!(failure(status, &[], error), (kind, message.to_owned()));
        }
    }

    #[test]
    fn retry_after_is_shown_in_either_form() {
        let (kind, message) = failure(429, &[("retry-after", "20")], r#"{"error":{"message":"slow down"}}"#);
        assert_eq!(
            (kind, &*message),
            (ErrorKind::RateLimited, "HTTP 429 Too Many Requests (retry after 20 s): slow down")
        );
        let (_, message) = failure(503, &[("retry-after", "Wed, 25 Nov 2026 07:28:00 GMT")], "");
        assert_eq!(message, "HTTP 503 Service Unavailable (retry after Wed, 25 Nov 2026 07:28:00 GMT)");
    }

    #[test]
    fn typed_fields_refine_a_vague_status() {
        for (status, body, kind) in [
            (
                400,
                r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
                ErrorKind::Auth,
            ),
            (400, r#"[{"error":{"code":400,"message":"no such model","status":"NOT_FOUND"}}]"#, ErrorKind::NotFound),
            (429, r#"{"error":{"message":"engine overloaded","type":"overloaded_error"}}"#, ErrorKind::Overloaded),
            (
                429,
                r#"{"error":{"message":"this text says overloaded","type":"rate_limit_error"}}"#,
                ErrorKind::RateLimited,
            ),
            (500, r#"{"error":{"message":"429 rate limit","type":"server_error"}}"#, ErrorKind::ServerError),
            (200, r#"{"error":{"message":"Provider returned error","code":429}}"#, ErrorKind::RateLimited),
            (200, r#"{"error":{"message":"Provider returned error","code":"502"}}"#, ErrorKind::ServerError),
            (200, r#"{"error":"model crashed"}"#, ErrorKind::ServerError),
            (200, r#"{"error":"busy","error_type":"overloaded"}"#, ErrorKind::Overloaded),
            (200, r#"{"object":"error","message":"bad","type":"BadRequestError","code":400}"#, ErrorKind::BadRequest),
            (
                200,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                ErrorKind::Overloaded,
            ),
        ] {
            assert_eq!(failure(status, &[], body).0, kind, "{body}");
        }
    }

    #[test]
    fn documents_instead_of_streams_are_malformed() {
        let html = failure(200, &[("content-type", "text/html; charset=utf-8")], "<html>Login, 429, error</html>");
        assert_eq!(html, (ErrorKind::MalformedResponse, "the answer is text/html instead of a stream".to_owned()));
        assert_eq!(failure(200, &[], r#"{"choices":[]}"#).0, ErrorKind::MalformedResponse);
        let envoy = failure(503, &[("content-type", "text/plain")], "upstream connect error");
        assert_eq!(envoy, (ErrorKind::Overloaded, "HTTP 503 Service Unavailable: upstream connect error".to_owned()));
        assert_eq!(failure(502, &[("content-type", "text/html")], "<h1>Bad</h1>").1, "HTTP 502 Bad Gateway");
    }

    #[test]
    fn a_redirect_names_the_host_alone() {
        let (kind, message) = failure(307, &[("location", "https://u:p@other.example/v1?key=s3cret")], "");
        assert_eq!(kind, ErrorKind::BadRequest);
        assert_eq!(
            message,
            "HTTP 307 Temporary Redirect: a redirect to other.example, not followed; mend the base URL"
        );
    }
}
