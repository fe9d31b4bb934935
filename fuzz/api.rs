//! What comes from outside by HTTP, and by Lambda events.

#[path = "../functions/monitor/src/event.rs"]
mod event;
#[path = "../functions/api/src/stage.rs"]
mod stage;

use std::{
    fmt::Write as _,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Router, body::to_bytes, response::Response};
use chrono::{DateTime, TimeDelta, Utc};
use http::{Request, StatusCode, Uri, header};
use lambda_http::Body;
use llm_monitor_core::{
    http::{Api, CorsPolicy, router},
    record::{CycleId, Environment, ErrorKind, Failure, Outcome, Record},
    store::{Batch, MemoryStore, Store},
};
use serde_json::{Value, json};
use tower::ServiceExt;

/// What a query may be sent to; the first byte of an input chooses.
const PATHS: [&str; 10] = [
    "/api/latency",
    "/api/models",
    "/api/summary",
    "/api/series",
    "/api/compare",
    "/api/costs",
    "/api/export",
    "/metrics",
    "/badge/prod/gpt-4o-mini",
    "/health",
];

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

/// What a request that writes is sent with, so that its body is read.
const TOKEN: &str = "fuzz-token";

/// The API over a few records, of two environments, successes and failures. It has no token: whoever asks may read.
static READER: LazyLock<Router> = LazyLock::new(|| {
    let store = MemoryStore::new();
    let now = Utc::now();
    let records = (0..40_u32).map(|number| {
        let environment = environments()[number as usize % 2].clone();
        let mut record = Record::new("gpt-4o-mini", environment, now - TimeDelta::minutes(number.into()));
        record.cycle_id = Some(CycleId::at(record.timestamp));
        record.latency_ms = Some(100.0 + f64::from(number));
        record.ttft_ms = Some(10.0);
        record.cost = Some("0.0003192".parse().expect("a number"));
        if number % 7 == 0 {
            (record.latency_ms, record.ttft_ms) = (None, None);
            record.outcome = Outcome::Error(Failure::new(ErrorKind::RateLimited, "<b>slow down</b>"));
        }
        record
    });
    let records = records.collect();
    RUNTIME.block_on(async { store.append(&Batch { cycle_id: None, records }).await });
    api(store, None)
});

fn environments() -> [Environment; 2] {
    ["dev", "prod"].map(|name| name.parse().expect("a name"))
}

fn api(store: MemoryStore, token: Option<&str>) -> Router {
    let store: Arc<dyn Store> = Arc::new(store);
    router(Api {
        history: Arc::new(llm_monitor_core::history::History::new(Arc::clone(&store), 1 << 20)),
        store,
        environments: environments().into(),
        api_token: token.map(|token| token.to_owned().into()),
        cors: CorsPolicy::Loopback,
        version: "0".to_owned(),
        monitor_interval: Duration::from_secs(60),
        simple_mode: false,
        monitor_started_at: None,
        host_problems: None,
    })
}

/// Whatever a query says, the answer is one that the API describes, and no page that a browser would run.
pub(crate) fn query_string(bytes: &[u8]) {
    let Some((path, query)) = bytes.split_first() else { return };
    let path = PATHS[usize::from(*path) % PATHS.len()];
    let Ok(uri) = format!("{path}?{}", encoded(query)).parse::<Uri>() else { return };
    let request = Request::get(uri.clone()).body(axum::body::Body::empty()).expect("a request");
    answer(READER.clone(), &uri, request);
}

/// See [`lambda_answer`].
pub(crate) fn lambda_request(bytes: &[u8]) {
    lambda_answer(bytes);
}

/// A request by API Gateway (HTTP API, payload 2.0) is answered as one over a socket must be (see [`answer`]); the status of the answer,
/// where the input makes a request. An input is the path, the query, a header, the stage and the body, with a line feed between each two.
/// With a body it is a POST that may write, to a store that holds nothing yet.
pub(crate) fn lambda_answer(bytes: &[u8]) -> Option<StatusCode> {
    let mut parts = bytes.splitn(5, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (path, query, header, stage, body) = (part(), part(), part(), part(), part());
    let (path, query) = (format!("/{}", encoded(path)), encoded(query));
    // API Gateway sends no address that is none.
    let uri = format!("https://api.example.org{path}?{query}").parse::<Uri>().ok()?;
    let text = String::from_utf8_lossy;
    let writes = !body.is_empty();
    let authorization = if writes { format!("Bearer {TOKEN}") } else { text(header).into_owned() };
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {
            "host": "api.example.org", "x-forwarded-proto": "https", "content-type": "application/json",
            "authorization": authorization, "x-request-id": text(header), "accept": text(header), "if-none-match": text(header),
        },
        "requestContext": {
            "stage": text(stage), "apiId": "a", "accountId": "1", "domainName": "api.example.org", "requestId": "r",
            "time": "24/Nov/2026:16:54:00 +0000", "timeEpoch": 1_795_539_240_000_u64, "routeKey": "$default",
            "http": {
                "method": if writes { "POST" } else { "GET" }, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "x",
            },
        },
        "body": text(body),
        "isBase64Encoded": false,
    });
    // A header that is none makes no event: the gateway takes no such request.
    let request = lambda_http::request::from_str(&event.to_string()).ok()?;
    let (parts, body) = stage::strip(request).into_parts();
    let body = match body {
        Body::Text(text) => text.into(),
        Body::Binary(bytes) => bytes.into(),
        _ => axum::body::Body::empty(),
    };
    let routes = if writes { api(MemoryStore::new(), Some(TOKEN)) } else { READER.clone() };
    Some(answer(routes, &uri, Request::from_parts(parts, body)))
}

/// A scheduled event is a time and a share of the cycle, or an error of one short line that names the field.
pub(crate) fn lambda_event(bytes: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    match event::Trigger::parse(&event, DateTime::UNIX_EPOCH) {
        Ok(trigger) => {
            // Its id must be one that can be written and read, whatever the year.
            let id = CycleId::at(trigger.scheduled).to_string();
            assert!(id.parse::<CycleId>().is_ok() || trigger.scheduled.format("%Y").to_string().len() > 4, "{id}");
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("event: ") && error.chars().count() < 400, "{error}");
            assert!(!error.contains('\n'), "{error:?}");
        }
    }
}

/// Sends `request`, reads the answer whole, and says its status. `routes` are made before the runtime is entered, as making them may enter
/// it itself.
fn answer(routes: Router, uri: &Uri, request: Request<axum::body::Body>) -> StatusCode {
    RUNTIME.block_on(async {
        let response: Response = routes.oneshot(request).await.expect("never fails");
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a whole answer");
        let content_type = parts.headers.get(header::CONTENT_TYPE).map_or("", |value| value.to_str().expect("ASCII"));
        assert!(
            !parts.status.is_server_error() || uri.path() == "/health",
            "{uri}: {}",
            String::from_utf8_lossy(&body)
        );
        if parts.status.is_client_error() && parts.headers.contains_key(header::CONTENT_TYPE) {
            assert_eq!(content_type, "application/problem+json", "{uri}");
            let problem: Value = serde_json::from_slice(&body).expect("JSON");
            assert!(
                problem["detail"].as_str().is_some_and(|detail| detail.chars().count() < 2_000),
                "{uri}: {problem}"
            );
        }
        if content_type.contains("json") && !content_type.contains("ndjson") && !body.is_empty() {
            let is_packed = parts.headers.contains_key(header::CONTENT_ENCODING);
            assert!(is_packed || serde_json::from_slice::<Value>(&body).is_ok(), "{uri}");
        }
        assert_eq!(parts.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{uri}");
        assert!(parts.headers.contains_key(header::CONTENT_SECURITY_POLICY), "{uri}");
        parts.status
    })
}

/// `bytes` as they can stand in an address: what cannot is percent-encoded.
fn encoded(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~%&=+,:/;@!$'()*".contains(byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to memory does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
