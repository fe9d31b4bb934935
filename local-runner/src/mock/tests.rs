//! The mock over HTTP, read by a client that hides nothing.

#![allow(clippy::unwrap_used)]

mod answers;
mod client;
mod failures;
mod probe;

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use llm_monitor_core::provider::Provider;
use serde_json::{Value, json};

use self::client::{Reply, VERSION, get, post};
use super::*;

/// Ten tokens as fast as they go.
fn quick() -> Behaviour {
    Behaviour { ttft_ms: 1.0, pace_ms: 0.0, output_tokens: 10, ..Behaviour::default() }
}

fn failing(kind: FailureKind) -> Behaviour {
    Behaviour { failures: vec![Failure::always(kind)], ..quick() }
}

fn serve(provider: Provider, behaviour: Behaviour) -> MockServer {
    let name = if provider == Provider::Ollama { "ollama-m" } else { "m" };
    Mock::start(MockConfig::of_models([(name, provider, behaviour)])).unwrap()
}

/// The request of each provider to model `m` in dev.
fn ask(server: &MockServer, provider: Provider, streams: bool) -> Reply {
    let messages = json!([{"role": "user", "content": "x".repeat(400)}]);
    let body = json!({
        "model": "m", "stream": streams, "max_tokens": 100, "messages": messages, "stream_options": {"include_usage": true},
    });
    let body = body.to_string();
    match provider {
        Provider::OpenAi => post(server, "/dev/openai/v1/chat/completions", "", &body),
        Provider::Azure => {
            post(server, "/dev/azure/openai/deployments/m/chat/completions?api-version=2024-10-21", "", &body)
        }
        Provider::Anthropic => post(server, "/dev/anthropic/v1/messages", VERSION, &body),
        Provider::Ollama => post(server, "/dev/ollama/api/chat", "", &body),
        Provider::Gemini => {
            let method = if streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
            let contents = json!({"contents": [{"role": "user", "parts": [{"text": "x".repeat(400)}]}]});
            post(server, &format!("/dev/gemini/v1beta/models/m:{method}"), "", &contents.to_string())
        }
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn texts(values: &[Value], pointer: &str) -> String {
    values.iter().filter_map(|value| value.pointer(pointer)?.as_str()).collect()
}

#[test]
fn every_nth_request_fails_and_the_others_do_not() {
    let failures = vec![Failure { every: Some(3), ..Failure::always(FailureKind::ServerError) }];
    let server = serve(Provider::OpenAi, Behaviour { failures, ..quick() });
    let statuses: Vec<u16> = (0..6).map(|_| ask(&server, Provider::OpenAi, false).status).collect();
    assert_eq!(statuses, [200, 200, 500, 200, 200, 500]);
}

#[test]
fn the_same_seed_gives_the_same_run_and_environments_differ() {
    let run = |seed| {
        let failures = vec![Failure { rate: Some(0.5), every: None, ..Failure::always(FailureKind::ServerError) }];
        let mut config = MockConfig::of_models([("m", Provider::OpenAi, Behaviour { failures, ..quick() })]);
        config.seed = seed;
        let server = Mock::start(config).unwrap();
        (0..12)
            .map(|_| ask(&server, Provider::OpenAi, false))
            .map(|reply| (reply.status, reply.json()["id"].clone()))
            .collect()
    };
    let (first, again, other): (Vec<_>, Vec<_>, Vec<_>) = (run(3), run(3), run(4));
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!(first.iter().any(|(status, _)| *status == 200) && first.iter().any(|(status, _)| *status == 500));
}

#[test]
fn the_usage_endpoint_keeps_its_contract() {
    let mut config = MockConfig { listen: MockConfig::of_models::<&str>([]).listen, ..MockConfig::built_in().unwrap() };
    config.usage_token = Some(DemandedKey::new("t1"));
    let server = Mock::start(config).unwrap();
    let token = "authorization: Bearer t1\r\n";
    let usage = |path: &str| get(&server, path, token);
    let reply = usage("/prod/api/llm-usage?date=2026-11-24");
    assert_eq!(reply.body, usage("/prod/api/llm-usage?date=2026-11-24").body, "same day, same numbers");
    assert_ne!(reply.body, usage("/prod/api/llm-usage?date=2026-11-23").body);
    assert_ne!(reply.body, usage("/qa/api/llm-usage?date=2026-11-24").body);
    assert_eq!(usage("/api/llm-usage?date=2026-11-24").body, usage("/dev/api/llm-usage?date=2026-11-24").body);
    let entries = reply.json();
    let mini = entries.as_array().unwrap().iter().find(|entry| entry["llmCode"] == json!("gpt-4o-mini")).unwrap();
    assert_eq!((&mini["inputTokenRate"], &mini["outputTokenRate"]), (&json!(1.5e-7), &json!(6e-7)));
    let names: Vec<&str> = mini.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names.len(), 11, "{names:?}");
    let models = |reply: &Reply| reply.json().as_array().unwrap().len();
    assert!(models(&usage("/test/api/llm-usage")) < models(&usage("/dev/api/llm-usage")), "lists differ");
    let bad = usage("/prod/api/llm-usage?date=24.11.2026");
    assert_eq!(bad.status, 400);
    assert!(bad.json()["error"].as_str().unwrap().contains("24.11.2026"));
    assert_eq!(get(&server, "/prod/api/llm-usage", "").status, 401);
}

#[test]
fn a_busy_port_is_named_or_replaced() {
    let first = serve(Provider::OpenAi, quick());
    let taken = MockConfig { listen: first.addr(), ..MockConfig::default() };
    let error = Mock::start(taken.clone()).unwrap_err().to_string();
    assert!(error.contains(&format!("port {}", first.addr().port())) && error.contains("--listen"), "{error}");
    let second = Mock::start(MockConfig { or_free_port: true, ..taken }).unwrap();
    assert_ne!(second.addr().port(), first.addr().port());
}

#[test]
fn stopping_closes_the_port_and_the_streams_in_flight() {
    let server = serve(Provider::OpenAi, failing(FailureKind::Stall));
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    let length = body.len();
    write!(stream, "POST /v1/chat/completions HTTP/1.1\r\nhost: mock\r\ncontent-length: {length}\r\n\r\n{body}")
        .unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let address = server.addr();
    server.stop();
    let mut rest = Vec::new();
    // Either way of ending will do, if it only ends: the read's own time limit is none.
    let ended = stream.read_to_end(&mut rest).map_err(|error| error.kind());
    assert!(!matches!(ended, Err(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)), "{ended:?}");
    assert!(TcpStream::connect(address).is_err());
}
