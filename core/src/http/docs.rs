//! `/docs` and `/redoc`: the API's document as pages, from files that the program carries.

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};

use super::assets;

/// As for our own pages, but for styles: Swagger UI and ReDoc make style elements and attributes while they run, which has no
/// other name than `unsafe-inline`. Scripts stay ours, and nothing is loaded from or sent to another host. `blob:` is ReDoc's
/// search, which runs beside the page.
const DOCS_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; \
     connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Documentation to try out
///
/// Swagger UI over `/openapi.json`.
#[utoipa::path(
    get,
    path = "/docs",
    tag = "pages",
    operation_id = "docs",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub(super) async fn swagger_ui(headers: HeaderMap) -> Response {
    page("docs/docs.html", &headers)
}

/// Documentation to read
///
/// ReDoc over `/openapi.json`.
#[utoipa::path(
    get,
    path = "/redoc",
    tag = "pages",
    operation_id = "redoc",
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub(super) async fn redoc(headers: HeaderMap) -> Response {
    page("docs/redoc.html", &headers)
}

fn page(path: &'static str, headers: &HeaderMap) -> Response {
    let mut response = assets::page(path, headers);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, DOCS_CSP);
    response
}
