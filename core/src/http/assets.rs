//! Files that the program carries: the dashboard's, and whatever else a page needs, so that no page reaches the internet.
//!
//! To add one of the dashboard's, put it under `core/assets/dashboard/` and add its line to [`DASHBOARD`]. It is served at
//! `/assets/<its path there>`; pages name it relatively (`assets/app.js`), so that they work behind a path prefix too.

use std::{borrow::Cow, io::Read};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{Problem, error::ApiError, etag};

/// Asks again at each use, which an unchanged file answers with 304.
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
/// Of files whose address holds their version.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// What the dashboard may do: run and load its own files, and ask this API. No inline script or style.
const PAGE_CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// One file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Below `/assets/`.
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
    /// `bytes` are gzip. Every browser takes it as it is; for others it is unpacked.
    is_gzip: bool,
    /// The path holds the version, so that the content at it never changes.
    is_versioned: bool,
}

macro_rules! dashboard {
    ($($path:literal: $content_type:expr),* $(,)?) => {
        [$(Asset {
            path: $path,
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/dashboard/", $path)),
            is_gzip: false,
            is_versioned: false,
        }),*]
    };
}

/// Files of others under `core/assets/vendor/`, whose folders are named after their version.
macro_rules! vendored {
    ($($path:literal: $content_type:expr),* $(,)?) => {
        [$(Asset {
            path: concat!("vendor/", $path),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/vendor/", $path)),
            is_gzip: false,
            is_versioned: true,
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
#[allow(dead_code, reason = "for the lines below")]
const WOFF2: &str = "font/woff2";
const TEXT: &str = "text/plain; charset=utf-8";

/// The dashboard's files under `core/assets/dashboard/`.
static DASHBOARD: [Asset; 33] = dashboard! {
    "index.html": HTML,
    "answers.js": JS,
    "api.js": JS,
    "app.js": JS,
    "data.js": JS,
    "dom.js": JS,
    "format.js": JS,
    "icon.svg": SVG,
    "layout.css": CSS,
    "palette.js": JS,
    "parts.css": CSS,
    "phases.js": JS,
    "state.js": JS,
    "status.js": JS,
    "theme.css": CSS,
    "theme.js": JS,
    "view.js": JS,
    "views/chart.js": JS,
    "views/common.js": JS,
    "views/comparison.js": JS,
    "views/costs.js": JS,
    "views/detail.js": JS,
    "views/failures.js": JS,
    "views/frame.js": JS,
    "views/heartbeat.js": JS,
    "views/matrix.js": JS,
    "views/monitor.js": JS,
    "views/overview.js": JS,
    "views/phasebar.js": JS,
    "views/tip.js": JS,
    "views/token.js": JS,
    "views/toolbar.js": JS,
    "views/trend.js": JS,
};

/// What the dashboard needs of others.
static VENDORED: [Asset; 3] = vendored! {
    "uplot-1.6.32/LICENSE": TEXT,
    "uplot-1.6.32/uPlot.iife.min.js": JS,
    "uplot-1.6.32/uPlot.min.css": CSS,
};

/// A page's file
///
/// Scripts, styles and fonts that the pages need; none comes from elsewhere.
#[utoipa::path(
    get,
    path = "/assets/{path}",
    tag = "pages",
    operation_id = "asset",
    params(("path" = String, Path, description = "The file's path; it may hold slashes", example = "index.html")),
    responses(
        (status = 200, description = "The file", content_type = "*/*"),
        (status = 304, description = "The file is what `If-None-Match` names"),
        (status = 404, description = "There is no such file", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(Path(path): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let asset = DASHBOARD.iter().chain(&VENDORED).find(|asset| asset.path == path);
    asset.map(|asset| asset.response(&headers)).ok_or_else(|| ApiError::not_found(&format!("/assets/{path}")))
}

/// The dashboard.
pub(super) fn page(headers: &HeaderMap) -> Response {
    let index = DASHBOARD.iter().find(|asset| asset.path == "index.html");
    index.map_or_else(|| ApiError::not_found("/").into_response(), |index| index.response(headers))
}

impl Asset {
    fn response(&self, request: &HeaderMap) -> Response {
        let is_packed = self.is_gzip && accepts_gzip(request);
        let body =
            if self.is_gzip && !is_packed { Cow::Owned(unpacked(self.bytes)) } else { Cow::Borrowed(self.bytes) };
        let mut response = body.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(header::ETAG, etag::of(self.bytes));
        headers.insert(header::CACHE_CONTROL, if self.is_versioned { FOR_EVER } else { REVALIDATED });
        if self.content_type == HTML {
            headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_CSP);
        }
        if self.is_gzip {
            headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if is_packed {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

/// Whether the client takes gzip: it is named and not refused by `q=0`.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let lists = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts
            .filter_map(|parameter| parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q=")))
            .any(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight <= 0.0));
        is_gzip && !is_refused
    })
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    // The files are checked by a test to be whole.
    let _ = flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain);
    plain
}
