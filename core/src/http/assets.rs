//! Files that the program carries: the dashboard's, and whatever else a page needs, so that no page reaches the internet.
//!
//! To add one of the dashboard's, put it under `core/assets/dashboard/` and add its line to [`DASHBOARD`]. It is served at
//! `/assets/<its path there>`; pages name it relatively (`assets/app.js`), so that they work behind a path prefix too.

use std::{borrow::Cow, io::Read};

use axum::{
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{Problem, error::ApiError, etag, parameters::PathParameters};

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

macro_rules! files {
    ($folder:literal, $prefix:literal, is_versioned: $is_versioned:literal, $($path:literal: $content_type:expr),* $(,)?) => {
        [$(Asset {
            path: concat!($prefix, $path),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/", $folder, $path, "")),
            is_gzip: false,
            is_versioned: $is_versioned,
        }),*]
    };
}

macro_rules! packed_files {
    ($folder:literal, $($path:literal: $content_type:expr),* $(,)?) => {
        [$(Asset {
            path: concat!($folder, $path),
            content_type: $content_type,
            bytes: include_bytes!(concat!("../../assets/", $folder, $path, ".gz")),
            is_gzip: true,
            is_versioned: true,
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The dashboard's files under `core/assets/dashboard/`.
static DASHBOARD: [Asset; 34] = files! { "dashboard/", "", is_versioned: false,
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
    "views/walk.js": JS,
};

/// The pages `/docs` and `/redoc`.
static DOCS: [Asset; 5] = files! { "docs/", "docs/", is_versioned: false,
    "docs.html": HTML,
    "docs.js": JS,
    "redoc.html": HTML,
    "redoc.css": CSS,
    "redoc.js": JS,
};

/// Files of others that the pages need; `core/assets/vendor/README.md` tells where they come from.
static VENDORED: [Asset; 5] = packed_files! { "vendor/",
    "uplot-1.6.32/uPlot.iife.min.js": JS,
    "uplot-1.6.32/uPlot.min.css": CSS,
    "swagger-ui-5.35.0/swagger-ui-bundle.js": JS,
    "swagger-ui-5.35.0/swagger-ui.css": CSS,
    "redoc-2.5.4/redoc.standalone.js": JS,
};

fn find(path: &str) -> Option<&'static Asset> {
    DASHBOARD.iter().chain(&DOCS).chain(&VENDORED).find(|asset| asset.path == path)
}

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
pub(super) async fn show(
    PathParameters(path): PathParameters<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let asset = find(&path);
    asset.map(|asset| asset.response(&headers)).ok_or_else(|| ApiError::not_found(&format!("/assets/{path}")))
}

/// The file at `path` below `/assets/`, which is there.
pub(super) fn page(path: &'static str, headers: &HeaderMap) -> Response {
    find(path).map_or_else(|| ApiError::not_found(path).into_response(), |page| page.response(headers))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests")]
    use super::*;
    use std::collections::BTreeSet;

    fn files_in(folder: &std::path::Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("the folder of the pages") {
            let entry = entry.expect("an entry");
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                files_in(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }

    #[test]
    fn every_file_of_the_dashboard_is_served_and_loaded_at_once() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/dashboard");
        let mut files = BTreeSet::new();
        files_in(&folder, "", &mut files);
        let served: BTreeSet<_> = DASHBOARD.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(served, files, "the lines of DASHBOARD and the files of core/assets/dashboard");

        // A module that the page does not name is only found when another one asks for it: a round trip later.
        let page = std::fs::read_to_string(folder.join("index.html")).expect("the page");
        let unnamed: Vec<_> = files
            .iter()
            .filter(|file| *file != "index.html" && !page.contains(&format!("\"assets/{file}\"")))
            .collect();
        assert_eq!(unnamed, Vec::<&String>::new(), "files that index.html does not name");
    }
}
