//! `/`: the dashboard for a browser, a line of JSON for a program.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::assets;

/// A greeting, as the predecessor gave it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Greeting {
    /// Where to look next.
    #[schema(example = "LLM Monitor is running: /api/latency, /api/models, /health, /openapi.json")]
    message: &'static str,
}

/// Start
///
/// The dashboard for `Accept: text/html`, else a line of JSON.
#[utoipa::path(
    get,
    path = "/",
    tag = "monitor",
    operation_id = "start",
    responses((status = 200, description = "The monitor is there", content(
        (Greeting = "application/json"),
        (String = "text/html"),
    ))),
)]
pub(super) async fn index(headers: HeaderMap) -> Response {
    let wants_page = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|accept| accept.to_ascii_lowercase().contains("text/html")));
    let mut response = if wants_page {
        assets::page("index.html", &headers)
    } else {
        let message = "LLM Monitor is running: /api/latency, /api/models, /health, /openapi.json";
        Json(Greeting { message }).into_response()
    };
    response.headers_mut().append(header::VARY, header::HeaderValue::from_static("accept"));
    response
}
