//! `/openapi.json`: this API described from its own types.

use axum::{
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{
    Problem, assets, badge, compare, costs, docs, export, health, latency, metrics, models, root, series, summary,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "LLM Monitor",
        description = "Live measurements of LLM endpoints. Durations are milliseconds (`_ms`), money is US dollars, times are \
                       UTC. Errors are `application/problem+json` (RFC 9457); every answer carries `x-request-id`. With an \
                       `API_TOKEN` set, everything under `/api`, `/metrics` and `/badge` needs it; without one, reading is open and nothing can be added.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/")),
    tags(
        (name = "records", description = "Measured probes"),
        (name = "figures", description = "What records say together"),
        (name = "models", description = "Models in use and their prices"),
        (name = "monitor", description = "The monitor itself"),
        (name = "pages", description = "For browsers"),
    ),
    paths(
        latency::list,
        latency::add,
        export::show,
        models::list,
        summary::show,
        series::show,
        compare::show,
        costs::show,
        badge::show,
        metrics::show,
        health::show,
        show,
        root::index,
        docs::swagger_ui,
        docs::redoc,
        assets::show,
    ),
    components(schemas(Problem)),
    modifiers(&Token),
)]
struct Document;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("`Authorization: Bearer <API_TOKEN>`, where one is configured"))
            .build();
        document.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

/// The document of the program's `version`, as it is served.
pub(super) fn document(version: &str) -> Bytes {
    let mut document = Document::openapi();
    version.clone_into(&mut document.info.version);
    Bytes::from(document.to_json().unwrap_or_default())
}

/// This document
///
/// OpenAPI 3.1.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "monitor",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)),
)]
pub(super) fn show(document: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
