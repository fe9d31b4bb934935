//! Secrets that were planted in every setting that takes one show in nothing that the program says, keeps or answers, whatever
//! servers send back.

use std::{fmt::Write as _, fs, path::Path};

use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use llm_monitor_core::settings::{Host, Settings, Vars};
use tokio::io::AsyncReadExt;

use crate::imports::in_bucket;
use crate::support::{
    http::client,
    monitor::Setup,
    s3_server::{InProcess, SECRET},
};

/// Each of its own kind, so that a leak names its source.
const KEYS: [(&str, &str); 8] = [
    ("OPENAI_API_KEY", "sk-planted-openai-0001"),
    ("ANTHROPIC_API_KEY", "sk-planted-anthropic-0002"),
    ("GEMINI_API_KEY", "planted-gemini-0003"),
    ("AZURE_OPENAI_API_KEY", "planted-azure-0004"),
    ("DEV_OPENAI_API_KEY", "sk-planted-dev-openai-0005"),
    ("DEV_USAGE_TOKEN", "planted-usage-token-0006"),
    ("API_TOKEN", "planted-api-token-0007"),
    ("AWS_SECRET_ACCESS_KEY", "planted-aws-secret-0008"),
];
const USER: &str = "planteduser0009";
const PASSWORD: &str = "plantedpass0010";
const QUERY: &str = "plantedquery0011";
const SESSION: &str = "planted-session-0012";

/// Every spelling that must show nowhere.
fn planted() -> Vec<String> {
    let mut planted: Vec<String> = KEYS.iter().map(|(_, secret)| (*secret).to_owned()).collect();
    planted.extend([USER, PASSWORD, QUERY, SESSION, SECRET].map(str::to_owned));
    planted.push(BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
    planted
}

fn assert_clean(of: &str, text: &str) {
    for secret in planted() {
        let at = text.find(&secret);
        assert!(
            at.is_none(),
            "{of} shows {secret}: …{}…",
            at.map_or("", |at| text.get(at.saturating_sub(200)..).unwrap_or_default().get(..400).unwrap_or_default())
        );
    }
}

/// All that a request brought along, as a hostile server would send it back.
fn brought(request: &Request) -> String {
    let mut brought = request.uri().to_string();
    for (name, value) in request.headers() {
        let _ = write!(brought, " {name}={}", value.to_str().unwrap_or_default());
    }
    brought
}

fn secret_of(headers: &HeaderMap) -> String {
    let values = ["authorization", "x-api-key", "api-key", "x-goog-api-key"].map(|name| headers.get(name));
    values.into_iter().flatten().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(" ")
}

/// Refuses with what it was sent.
async fn refuses(request: Request) -> Response {
    let message = format!("no access with {} by {}", secret_of(request.headers()), brought(&request));
    let body = serde_json::json!({"error": {"message": message, "type": message, "code": message}});
    (StatusCode::UNAUTHORIZED, axum::Json(body)).into_response()
}

/// Streams an answer in whose every text is what it was sent.
async fn streams(request: Request) -> Response {
    let secret = secret_of(request.headers());
    let bare = secret.split_once(' ').map_or(secret.as_str(), |(_, bare)| bare);
    let event = serde_json::json!({
        "id": secret, "model": bare, "system_fingerprint": bare,
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": secret}, "finish_reason": bare}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], format!("data: {event}\n\ndata: [DONE]\n\n")).into_response()
}

/// A usage endpoint that lists models, or fails with what it was sent.
async fn usage(request: Request) -> Response {
    if request.uri().path().starts_with("/usage/fails") {
        return (StatusCode::BAD_GATEWAY, brought(&request)).into_response();
    }
    let models = ["gpt-refused", "claude-refused", "gemini-refused", "azure-refused", "gpt-streams"];
    let mut list: Vec<_> =
        models.iter().map(|name| serde_json::json!({"llmCode": name, "inputTokenRate": 1e-6})).collect();
    // A model's name stands in records.
    let secret = secret_of(request.headers());
    list.push(serde_json::json!({"llmCode": secret.split_once(' ').map_or(secret.as_str(), |(_, bare)| bare)}));
    list.push(serde_json::json!({"llmCode": format!("gpt-{QUERY}")}));
    list.push(serde_json::json!({"llmCode": format!("gpt-{PASSWORD}"), "outputTokenRate": -1}));
    // An entry that cannot be used is named in the log.
    list.push(serde_json::json!({"llmCode": "gpt-bad", "inputTokenRate": brought(&request)}));
    axum::Json(list).into_response()
}

async fn hostile() -> String {
    let routes =
        Router::new().route("/usage/{*rest}", get(usage)).route("/streams/{*rest}", post(streams)).fallback(refuses);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address.to_string()
}

/// Every secret there is, and servers that send them back.
fn setup(address: &str, usage: &str) -> Setup {
    let url = |path: &str| format!("http://{USER}:{PASSWORD}@{address}/{path}?key={QUERY}");
    let keyless = |path: &str| format!("http://{address}/{path}?key={QUERY}");
    Setup::new().with(KEYS).with([
        ("RUST_LOG", "trace".to_owned()),
        ("ENVIRONMENTS", "dev,prod".to_owned()),
        ("MULTI_ENV_MODE", "full".to_owned()),
        ("DEV_USAGE_ENDPOINT", url(usage)),
        ("PROD_USAGE_ENDPOINT", url("usage/ok")),
        ("OPENAI_BASE_URL", keyless("streams/v1")),
        ("DEV_OPENAI_BASE_URL", url("refuses/v1")),
        ("ANTHROPIC_BASE_URL", url("refuses")),
        ("GEMINI_BASE_URL", url("refuses")),
        ("AZURE_OPENAI_ENDPOINT", keyless("refuses")),
        ("OLLAMA_BASE_URL", url("refuses")),
        ("MODEL_PROVIDERS", "azure-*=azure".to_owned()),
        ("LLM_API_TIMEOUT", "5".to_owned()),
        ("MONITOR_INTERVAL", "1".to_owned()),
    ])
}

/// All files below `folder`, as text.
fn files(folder: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all += &files(&path);
        } else {
            let _ = writeln!(all, "{}: {}", path.display(), String::from_utf8_lossy(&fs::read(&path).expect("a file")));
        }
    }
    all
}

#[tokio::test]
async fn planted_secrets_show_in_no_command_file_or_log() {
    let address = hostile().await;
    for usage in ["usage/ok", "usage/fails"] {
        let setup = setup(&address, usage);
        for command in [
            &["--help"][..],
            &["help", "serve"],
            &["check"],
            &["check", "--probe"],
            &["cycle"],
            &["cycle", "--json"],
            &["cost"],
        ] {
            let ended = setup.run(command).await;
            assert!(ended.code.is_some(), "{command:?} ended by itself");
            assert_clean(&format!("{command:?} on stdout"), &ended.stdout);
            assert_clean(&format!("{command:?} on stderr"), &ended.stderr);
        }
        let kept = files(setup.folder());
        assert!(kept.contains("gpt-refused") && kept.contains("auth"), "probes were sent and refused:\n{kept}");
        assert_clean("a file", &kept);
    }
}

#[tokio::test]
async fn planted_secrets_of_a_bucket_show_in_no_command_object_or_log() {
    let (address, server) = (hostile().await, InProcess::start().await);
    let setup = in_bucket(setup(&address, "usage/ok"), &server, "").with([("AWS_SESSION_TOKEN", SESSION)]);
    fs::write(setup.folder().join("old.csv"), "model_name,timestamp\nm,2026-11-24T00:00:00Z\n").expect("written");
    let mut log = String::new();
    for command in
        [&["cycle"][..], &["import", "old.csv"], &["check"], &["export"], &["verify"], &["backup", "copy"], &["cost"]]
    {
        let ended = setup.run(command).await;
        assert_clean(&format!("{command:?} on stdout"), &ended.stdout);
        assert_clean(&format!("{command:?} on stderr"), &ended.stderr);
        log += &ended.stderr;
    }
    assert!(log.contains("TRACE") && !server.keys().is_empty(), "requests to the bucket were made and logged");
    assert_clean("an object", &files(&server.bucket()));
    assert_clean("a file", &files(setup.folder()));
}

#[tokio::test]
async fn planted_secrets_show_in_no_answer_and_no_log_of_a_server() {
    let address = hostile().await;
    let setup = setup(&address, "usage/ok");
    let mut serving = setup.serve().await;
    serving.cycle().await;
    for path in [
        "/",
        "/health",
        "/api/latency?limit=1000",
        "/api/models",
        "/api/summary",
        "/api/series?metric=ttft_ms",
        "/api/compare?a=environment:dev&b=environment:prod",
        "/api/costs",
        "/api/export",
        "/api/export?format=jsonl",
        "/metrics",
        "/badge/dev/gpt-refused",
        "/openapi.json",
        "/api/latency?limit=no",
        "/nothing",
    ] {
        for token in [Some("planted-api-token-0007"), Some("planted-api-token-0007x"), None] {
            let mut request = client().get(serving.url(path));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.expect("an answer");
            let shown = format!("{:?}\n", answer.headers());
            let shown = shown + &answer.text().await.expect("a body");
            assert_clean(&format!("{path} with {token:?}"), &shown);
        }
    }
    let post = client().post(serving.url("/api/latency")).bearer_auth("planted-api-token-0007");
    let answer = post.header("content-type", "application/json").body("{}").send().await.expect("an answer");
    assert_clean("a refused POST", &answer.text().await.expect("a body"));
    serving.cycle().await;
    assert_clean("the log", &serving.log());
    assert!(serving.log().contains("TRACE") || serving.log().contains("DEBUG"), "all of the log was looked at");
    assert_clean("a file", &files(setup.folder()));
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn planted_secrets_show_in_no_message_of_unusable_settings() {
    let broken = [
        ("OPENAI_BASE_URL", format!("htp://{USER}:{PASSWORD}@host/?key={QUERY}")),
        ("DEV_USAGE_ENDPOINT", format!("{USER}:{PASSWORD}@host?{QUERY}")),
        ("ANTHROPIC_API_KEY", "sk-planted-anthropic-0002\u{e9}".to_owned()),
        ("API_TOKEN", "planted-api-token-0007\u{1}".to_owned()),
        ("DEV_USAGE_TOKEN", "planted-usage-token-0006\u{e9}".to_owned()),
        ("MONITOR_INTERVAL", "soon".to_owned()),
    ];
    for command in ["serve", "cycle", "check"] {
        let ended = Setup::new().with(KEYS).with(broken.clone()).run(&[command]).await;
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert_clean(command, &ended.stderr);
    }
}

#[test]
fn planted_secrets_show_in_no_debug_of_settings() {
    let url = format!("http://{USER}:{PASSWORD}@host/path?key={QUERY}");
    let mut pairs: Vec<(String, String)> =
        KEYS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for name in
        ["DEV_USAGE_ENDPOINT", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GEMINI_BASE_URL", "AZURE_OPENAI_ENDPOINT"]
    {
        pairs.push((name.to_owned(), url.clone()));
    }
    let vars: Vars = pairs.into_iter().collect();
    assert_clean("Debug of the variables", &format!("{vars:?}"));
    let settings = Settings::from_vars(&vars, Host::Local).expect("usable settings");
    assert_clean("Debug of the settings", &format!("{settings:#?}"));
}

/// The test above must be able to see: what is planted does reach the servers.
#[tokio::test]
async fn the_hostile_server_is_sent_what_was_planted() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let setup = setup(&address, "usage/ok");
    let run = tokio::spawn(async move { setup.run(&["check"]).await });
    let (mut socket, _) = listener.accept().await.expect("a request");
    let mut request = vec![0; 4096];
    let read = socket.read(&mut request).await.expect("its head");
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    assert!(request.contains("planted-usage-token-0006") || request.contains(QUERY), "{request}");
    run.abort();
}
