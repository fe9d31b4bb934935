//! `/api/latency`: records, read a page at a time, and one added.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::IntoParams;

use super::{
    Api, BODY_LIMIT_BYTES, FieldProblem, LatencyRecord, NewRecord, Problem,
    error::{ApiError, ReadFailures, shortened},
    latency_record::timestamp_text,
    parameters::{Instant, Parameters, environments, instant, whole_number},
};
use crate::{
    history::Direction,
    query::{self, Cursor, Filter, RecordQuery},
    record::Record,
    store::{Batch, Scope, Store},
};

const LIMIT_DEFAULT: &str = "100";
const LIMIT_MAX: u64 = 1000;
/// More than any history holds, and exact in every JSON reader.
const SKIP_MAX: u64 = 9_007_199_254_740_991;

/// An empty text counts as absent; unknown parameters are ignored.
#[derive(Debug, Clone, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct LatencyParameters {
    /// Only these environments: one name or several with commas. Empty: all. An unknown one has no records.
    #[param(required = false, example = "prod")]
    environment: String,
    /// Only this model (its whole name).
    #[param(required = false, example = "gpt-4o-mini")]
    model: String,
    /// Only probes that ended so: `success` or `error`.
    #[param(required = false, pattern = "^(success|error)?$")]
    status: String,
    /// Not older than this: RFC 3339 (no zone: UTC), or a date (its first instant, UTC).
    #[param(required = false, value_type = Instant, inline, example = "2026-11-24T16:00:00Z")]
    from: String,
    /// Older than this; written like `from`. Nothing is between a `from` and an earlier `to`.
    #[param(required = false, value_type = Instant, inline, example = "2026-11-25")]
    to: String,
    /// How many records to pass over. To read on, follow the `Link` header instead: it does not shift while records arrive.
    #[param(required = false, value_type = u64, minimum = 0, maximum = 9_007_199_254_740_991_u64, default = 0)]
    skip: String,
    /// Most records in the answer.
    #[param(required = false, value_type = u64, minimum = 1, maximum = 1000, default = 100)]
    limit: String,
    /// `desc`: newest first; `asc`: oldest first.
    #[param(required = false, pattern = "^(asc|desc)?$", default = "desc")]
    order: String,
    /// Where a page before ended, with `order=desc`: taken from its `Link` header.
    #[param(required = false, pattern = "^(-?[0-9]+\\.[0-9]{9}~[0-9a-f]{16}~[0-9]+~[a-z0-9-]{1,32}~.*)?$")]
    before: String,
    /// Where a page before ended, with `order=asc`: taken from its `Link` header.
    #[param(required = false, pattern = "^(-?[0-9]+\\.[0-9]{9}~[0-9a-f]{16}~[0-9]+~[a-z0-9-]{1,32}~.*)?$")]
    after: String,
}

/// Records
///
/// Newest first. When there are more than the page holds, the header `Link: <…>; rel="next"` leads to the next page.
#[utoipa::path(
    get,
    path = "/api/latency",
    tag = "records",
    operation_id = "listLatency",
    params(LatencyParameters),
    responses(
        (status = 200, description = "The page; an empty array when there is nothing", body = Vec<LatencyRecord>,
            headers(("link" = String, description = "`<…>; rel=\"next\"` when there is more"))),
        (status = 400, description = "A parameter is not accepted", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<LatencyParameters>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let page = query::page(&api.history, &parameters.query()?).await?;
    let records: Vec<_> = page.records.into_iter().map(LatencyRecord::from).collect();
    let mut response = Json(records).into_response();
    if let Some(link) = page.next.and_then(|next| parameters.link_to(uri.path(), &next)) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

impl Default for LatencyParameters {
    fn default() -> Self {
        let absent = String::new;
        Self {
            environment: absent(),
            model: absent(),
            status: absent(),
            from: absent(),
            to: absent(),
            skip: "0".to_owned(),
            limit: LIMIT_DEFAULT.to_owned(),
            order: absent(),
            before: absent(),
            after: absent(),
        }
    }
}

impl LatencyParameters {
    fn query(&self) -> Result<RecordQuery, ApiError> {
        let direction = self.direction()?;
        let status = match self.status.as_str() {
            "" => None,
            word => Some(word.parse().map_err(|_| ApiError::parameter("status", word, "success or error"))?),
        };
        Ok(RecordQuery {
            scope: Scope {
                environments: environments(&self.environment),
                from: instant("from", &self.from)?,
                to: instant("to", &self.to)?,
            },
            filter: Filter {
                models: (!self.model.is_empty()).then(|| vec![self.model.clone()]),
                status,
                ..Filter::default()
            },
            direction,
            after: self.cursor(direction)?,
            skip: whole_number("skip", or_default(&self.skip, "0"), 0..=SKIP_MAX)?,
            limit: whole_number("limit", or_default(&self.limit, LIMIT_DEFAULT), 1..=LIMIT_MAX)? as usize,
        })
    }

    fn direction(&self) -> Result<Direction, ApiError> {
        match self.order.as_str() {
            "" | "desc" => Ok(Direction::NewestFirst),
            "asc" => Ok(Direction::OldestFirst),
            word => Err(ApiError::parameter("order", word, "desc (newest first) or asc (oldest first)")),
        }
    }

    fn cursor(&self, direction: Direction) -> Result<Option<Cursor>, ApiError> {
        let (name, text) = match direction {
            Direction::NewestFirst if !self.after.is_empty() => {
                return Err(ApiError::parameter("after", &self.after, "it with order=asc only; desc takes before"));
            }
            Direction::OldestFirst if !self.before.is_empty() => {
                return Err(ApiError::parameter("before", &self.before, "it with order=desc only; asc takes after"));
            }
            Direction::NewestFirst => ("before", &self.before),
            Direction::OldestFirst => ("after", &self.after),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let accepted = "what a Link header of this API said, or leave it out";
        text.parse().map(Some).map_err(|_| ApiError::parameter(name, text, accepted))
    }

    /// The same question, after `next`.
    fn link_to(&self, path: &str, next: &Cursor) -> Option<HeaderValue> {
        let cursor = next.to_string();
        let name = if self.order == "asc" { "after" } else { "before" };
        let pairs = [
            ("environment", self.environment.as_str()),
            ("model", &self.model),
            ("status", &self.status),
            ("from", &self.from),
            ("to", &self.to),
            ("limit", &self.limit),
            ("order", &self.order),
            (name, &cursor),
        ];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish();
        HeaderValue::try_from(format!("<{path}?{query}>; rel=\"next\"")).ok()
    }
}

/// Add a record
///
/// Stores one record that was measured elsewhere. Needs the token; while no `API_TOKEN` is set, nothing can be added.
#[utoipa::path(
    post,
    path = "/api/latency",
    tag = "records",
    operation_id = "addLatency",
    request_body = NewRecord,
    responses(
        (status = 201, description = "Stored, and here it is", body = LatencyRecord,
            headers(("location" = String, description = "Where it can be read"))),
        (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 401, description = "No token, or not the right one", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "No token is configured", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is over 64 KiB", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/json`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Fields are missing or not accepted", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store cannot be written now, or the program is busy; `retry-after` says when to ask again", body = Problem, content_type = "application/problem+json"),
    ),
    security(("token" = [])),
)]
pub(super) async fn add(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    require_json(&headers)?;
    let body = body.map_err(|rejection| unreadable(&rejection))?;
    let record = parse(&body)?.into_record(&api.environments, Utc::now()).map_err(ApiError::fields)?;
    store(Arc::clone(&api.store), record.clone()).await?;
    let location = location_of(&record);
    let mut response = (StatusCode::CREATED, Json(LatencyRecord::from(record))).into_response();
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence =
        given.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    let detail = match given.as_deref() {
        Some(given) => format!("content-type: \"{}\" is not accepted; send application/json", shortened(given)),
        None => "content-type: missing; send application/json".to_owned(),
    };
    let error = ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    Err(error.with_accepted(given.as_deref(), "application/json"))
}

/// An empty parameter counts as absent.
fn or_default<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}

fn unreadable(rejection: &BytesRejection) -> ApiError {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = format!("the body is over {} KiB, the most that is read", BODY_LIMIT_BYTES / 1024);
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, "the body could not be read to its end"),
    }
}

fn parse(body: &[u8]) -> Result<NewRecord, ApiError> {
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    serde_json::from_slice(body).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => {
            let accepted = "one JSON object with a record's fields".to_owned();
            // Of anything but an object the error would speak of the program's own types.
            let accepted = if is_object { format!("{accepted} ({e})") } else { accepted };
            ApiError::fields(vec![FieldProblem::new("(body)", None, accepted)])
        }
        _ => ApiError::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {e}")),
    })
}

/// Runs to its end also when the client goes away: what is half-written then would be nobody's.
async fn store(store: Arc<dyn Store>, record: Record) -> Result<(), ApiError> {
    let environment = record.environment.clone();
    let batch = Batch { cycle_id: None, records: vec![record] };
    let report = tokio::spawn(async move { store.append(&batch).await }).await;
    match report.ok().and_then(|mut report| report.remove(&environment)) {
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(error.into()),
        None => {
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the store did not say what became of the record"))
        }
    }
}

/// Where the record, and what was measured of its model in the same millisecond, can be read.
fn location_of(record: &Record) -> String {
    let from = timestamp_text(record.timestamp);
    let to = timestamp_text(record.timestamp + TimeDelta::milliseconds(1));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("environment", record.environment.as_str())
        .append_pair("model", &record.model_name)
        .append_pair("from", &from)
        .append_pair("to", &to)
        .finish();
    format!("/api/latency?{query}")
}
