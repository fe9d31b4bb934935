//! Errors as RFC 9457 says, each naming what was wrong, its value and what is accepted.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{IntoResponses, ToSchema};

use crate::store::StoreError;

/// Longest piece of a client's own value that an error repeats, in characters.
const VALUE_MAX_CHARS: usize = 100;

/// How long a client should wait before it asks an unreachable store again, in seconds.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// An error (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "detail": "limit: \"0\" is not accepted; give a whole number from 1 to 1000",
    "parameter": "limit",
    "value": "0",
    "accepted": "a whole number from 1 to 1000",
    "request_id": "5f3a9c0d12345678"
}))]
pub struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What was wrong, for a person.
    detail: String,
    /// The query parameter or header that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// The field of the body that is wrong; the first, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// What stood there (cut to 100 characters).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    value: Option<String>,
    /// What is accepted there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    accepted: Option<String>,
    /// Every field of the body that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// The answer's `x-request-id`: look for it in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    request_id: Option<String>,
}

/// What any request for records may be answered, in the API's description: each handler lists it beside its own refusals.
#[derive(IntoResponses)]
#[allow(dead_code, reason = "it only describes what `ApiError` and the token's check answer: nobody makes one")]
pub(super) enum ReadFailures {
    /// No token, or not the right one
    #[response(status = 401, content_type = "application/problem+json")]
    NoToken(Problem),
    /// The store cannot be read now, or the program is busy; `retry-after` says when to ask again
    #[response(status = 503, content_type = "application/problem+json")]
    NoStore(Problem),
}

/// A request's failure: the problem to answer with. Small, as it stands in every handler's result.
#[derive(Debug, Clone)]
pub(super) struct ApiError(Box<Content>);

#[derive(Debug, Clone)]
struct Content {
    problem: Problem,
    header: Option<(HeaderName, HeaderValue)>,
}

/// One field of a body that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// The field.
    pub field: String,
    /// What stood there (cut to 100 characters); `null` where nothing stood.
    pub value: Option<String>,
    /// What is accepted there.
    pub accepted: String,
}

impl FieldProblem {
    /// `value` as it stood in the body; `None` where nothing stood.
    pub(super) fn new(field: &str, value: Option<&str>, accepted: impl Into<String>) -> Self {
        Self { field: field.to_owned(), value: value.map(shortened), accepted: accepted.into() }
    }
}

impl ApiError {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let problem = Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            parameter: None,
            field: None,
            value: None,
            accepted: None,
            errors: Vec::new(),
            request_id: None,
        };
        Self(Box::new(Content { problem, header: None }))
    }

    /// 400: a parameter of the query.
    pub(super) fn parameter(name: &str, value: &str, accepted: impl Into<String>) -> Self {
        let (value, accepted) = (shortened(value), accepted.into());
        let detail = format!("{name}: \"{value}\" is not accepted; give {accepted}");
        let mut error = Self::new(StatusCode::BAD_REQUEST, detail);
        let problem = &mut error.0.problem;
        problem.parameter = Some(name.to_owned());
        problem.value = Some(value);
        problem.accepted = Some(accepted);
        error
    }

    /// 404.
    pub(super) fn not_found(path: &str) -> Self {
        let path = shortened(path);
        Self::new(StatusCode::NOT_FOUND, format!("there is nothing at {path}; /openapi.json lists what there is"))
    }

    /// 422: fields of the body; there is at least one.
    pub(super) fn fields(errors: Vec<FieldProblem>) -> Self {
        let lines = errors.iter().map(|FieldProblem { field, value, accepted }| match value {
            Some(value) => format!("{field}: {value} is not accepted; give {accepted}"),
            None => format!("{field}: missing; give {accepted}"),
        });
        let detail = lines.collect::<Vec<_>>().join(" | ");
        let mut error = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let problem = &mut error.0.problem;
        if let Some(first) = errors.first() {
            problem.field = Some(first.field.clone());
            problem.value.clone_from(&first.value);
            problem.accepted = Some(first.accepted.clone());
        }
        problem.errors = errors;
        error
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    pub(super) fn with_accepted(mut self, value: Option<&str>, accepted: &str) -> Self {
        self.0.problem.value = value.map(shortened);
        self.0.problem.accepted = Some(accepted.to_owned());
        self
    }

    /// The body anew, with the request's id.
    pub(super) fn body_for(mut self, request_id: &str) -> Vec<u8> {
        self.0.problem.request_id = Some(request_id.to_owned());
        serde_json::to_vec(&self.0.problem).unwrap_or_default()
    }
}

/// 503: the store.
impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %error, "the store failed a request: {error}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, format!("the store cannot do this now: {error}"))
            .with_header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Content { problem, header } = &*self.0;
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some((name, value)) = header.clone() {
            headers.insert(name, value);
        }
        // For the guard, which knows the request's id.
        response.extensions_mut().insert(self);
        response
    }
}

/// 404 for every path that is no route.
pub(super) async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::not_found(uri.path())
}

/// 405; the router adds which methods the path allows.
pub(super) async fn no_such_method(method: Method, uri: Uri) -> ApiError {
    let (method, path) = (shortened(method.as_str()), shortened(uri.path()));
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, format!("{path} does not take {method}; see the allow header"))
}

/// A client's value, short enough to repeat.
pub(super) fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_MAX_CHARS) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None => value.to_owned(),
    }
}
