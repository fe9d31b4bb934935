//! The mock over HTTP, read by a client that hides nothing.

#![allow(clippy::unwrap_used)]

mod client;
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
fn openai_streams_role_text_finish_usage_and_done() {
    let server = serve(Provider::OpenAi, Behaviour { cached_tokens: 64, reasoning_tokens: 4, ..quick() });
    let reply = ask(&server, Provider::OpenAi, true);
    assert!(reply.is_complete && reply.body.ends_with("data: [DONE]\n\n"));
    assert!(reply.has_header("content-type: text/event-stream; charset=utf-8"), "{}", reply.head);
    let events = reply.events();
    assert_eq!(
        events[0].pointer("/choices/0/delta"),
        Some(&json!({"role": "assistant", "content": "", "refusal": null}))
    );
    assert_eq!(words(&texts(&events, "/choices/0/delta/content")), 10);
    assert_eq!(words(&texts(&events, "/choices/0/delta/reasoning_content")), 4);
    let [.., finish, usage] = events.as_slice() else { panic!("too few events") };
    assert_eq!(finish.pointer("/choices/0/finish_reason"), Some(&json!("stop")));
    assert_eq!(usage["choices"], json!([]));
    let counts = &usage["usage"];
    assert_eq!((&counts["prompt_tokens"], &counts["completion_tokens"]), (&json!(107), &json!(14)));
    assert_eq!(counts.pointer("/prompt_tokens_details/cached_tokens"), Some(&json!(64)));
    assert_eq!(counts.pointer("/completion_tokens_details/reasoning_tokens"), Some(&json!(4)));
    let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
    assert!(ids[0].as_str().unwrap().starts_with("chatcmpl-") && ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn openai_gives_usage_only_when_asked_and_honours_the_limit() {
    let server = serve(Provider::OpenAi, quick());
    let body = r#"{"model":"m","stream":true,"max_completion_tokens":3,"messages":[]}"#;
    let events = post(&server, "/v1/chat/completions", "", body).events();
    assert!(events.iter().all(|event| event.get("usage").is_none()));
    assert_eq!(words(&texts(&events, "/choices/0/delta/content")), 3);
    assert_eq!(texts(&events, "/choices/0/finish_reason"), "length");
    assert_eq!(server.answered(&Environment::dev(), "m"), 1, "the bare path is dev's");
}

#[test]
fn azure_opens_with_its_prompt_filter_and_wants_an_api_version() {
    let server = serve(Provider::Azure, quick());
    let reply = ask(&server, Provider::Azure, true);
    let events = reply.events();
    assert_eq!(events[0]["choices"], json!([]));
    assert!(events[0].get("prompt_filter_results").is_some());
    assert_eq!(words(&texts(&events, "/choices/0/delta/content")), 10);
    let path = "/dev/azure/openai/deployments/m/chat/completions";
    assert_eq!(post(&server, path, "", r#"{"messages":[]}"#).status, 404);
}

#[test]
fn anthropic_streams_its_events_in_order() {
    let server =
        serve(Provider::Anthropic, Behaviour { reasoning_tokens: 2, cached_tokens: 7, chunk_tokens: 2, ..quick() });
    let reply = ask(&server, Provider::Anthropic, true);
    let events = reply.events();
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let named: Vec<&str> = reply.body.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(kinds, named, "the event's name and its type agree");
    kinds.dedup();
    let (delta, start, stop) = ("content_block_delta", "content_block_start", "content_block_stop");
    let order = ["message_start", start, "ping", delta, stop, start, delta, stop, "message_delta", "message_stop"];
    assert_eq!(kinds, order);
    assert_eq!(words(&texts(&events, "/delta/thinking")), 2);
    assert_eq!(words(&texts(&events, "/delta/text")), 10);
    assert!(!texts(&events, "/delta/signature").is_empty());
    let usage = events[0].pointer("/message/usage").unwrap();
    assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(100), &json!(7)));
    let last = &events[events.len() - 2];
    assert_eq!(last.pointer("/usage/output_tokens"), Some(&json!(12)));
    assert_eq!(last.pointer("/delta/stop_reason"), Some(&json!("end_turn")));
}

#[test]
fn gemini_counts_thoughts_and_shows_them_only_when_asked() {
    let server = serve(Provider::Gemini, Behaviour { reasoning_tokens: 6, chunk_tokens: 4, ..quick() });
    let reply = ask(&server, Provider::Gemini, true);
    assert!(reply.body.ends_with("}\r\n\r\n"), "Google ends its lines with CRLF");
    let events = reply.events();
    assert_eq!(words(&texts(&events, "/candidates/0/content/parts/0/text")), 10);
    let last = events.last().unwrap();
    assert_eq!(last.pointer("/candidates/0/finishReason"), Some(&json!("STOP")));
    let usage = &last["usageMetadata"];
    let counts = ["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "totalTokenCount"];
    assert_eq!(counts.map(|name| usage[name].as_u64().unwrap()), [107, 10, 6, 123]);
    let shown = r#"{"contents":[],"generationConfig":{"thinkingConfig":{"includeThoughts":true}}}"#;
    let path = "/dev/gemini/v1beta/models/m:streamGenerateContent";
    let events = post(&server, &format!("{path}?alt=sse"), "", shown).events();
    assert_eq!(events[0].pointer("/candidates/0/content/parts/0/thought"), Some(&json!(true)));
    let array = post(&server, path, "", shown).json();
    assert_eq!(array.as_array().unwrap().len(), events.len(), "without alt=sse it is one array");
}

#[test]
fn ollama_streams_lines_and_reports_the_load_of_a_cold_model() {
    let server = serve(Provider::Ollama, Behaviour { reasoning_tokens: 3, load_ms: 40.0, ..quick() });
    let lines =
        |reply: &Reply| reply.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let reply = ask(&server, Provider::Ollama, true);
    assert!(reply.has_header("content-type: application/x-ndjson"));
    let cold = lines(&reply);
    assert_eq!(words(&texts(&cold, "/message/content")), 10);
    assert_eq!(words(&texts(&cold, "/message/thinking")), 3);
    assert!(cold[..13].iter().all(|line| line["done"] == json!(false)));
    let last = cold.last().unwrap();
    assert_eq!((&last["done"], &last["done_reason"], &last["eval_count"]), (&json!(true), &json!("stop"), &json!(13)));
    assert_eq!(last["load_duration"], json!(40_000_000));
    assert!(last["total_duration"].as_u64() > last["load_duration"].as_u64());
    let warm = lines(&ask(&server, Provider::Ollama, true));
    assert!(warm.last().unwrap()["load_duration"].as_u64().unwrap() < 40_000_000);
}

#[test]
fn every_provider_answers_in_one_piece_too() {
    for (provider, text, tokens) in [
        (Provider::OpenAi, "/choices/0/message/content", "/usage/completion_tokens"),
        (Provider::Azure, "/choices/0/message/content", "/usage/completion_tokens"),
        (Provider::Anthropic, "/content/0/text", "/usage/output_tokens"),
        (Provider::Gemini, "/candidates/0/content/parts/0/text", "/usageMetadata/candidatesTokenCount"),
        (Provider::Ollama, "/message/content", "/eval_count"),
    ] {
        let reply = ask(&serve(provider, quick()), provider, false).json();
        assert_eq!(words(reply.pointer(text).and_then(Value::as_str).unwrap()), 10, "{provider}");
        assert_eq!(reply.pointer(tokens), Some(&json!(10)), "{provider}");
    }
}

#[test]
fn refusals_have_each_providers_status_and_body() {
    let rate_limited = (FailureKind::RateLimited, [429, 429, 429, 429, 429]);
    let server_error = (FailureKind::ServerError, [500, 500, 500, 500, 500]);
    let overloaded = (FailureKind::Overloaded, [503, 503, 529, 503, 503]);
    let unavailable = (FailureKind::Unavailable, [503; 5]);
    for (kind, statuses) in [rate_limited, server_error, overloaded, unavailable] {
        for (provider, status) in Provider::ALL.into_iter().zip(statuses) {
            let reply = ask(&serve(provider, failing(kind)), provider, true);
            assert_eq!(reply.status, status, "{provider} {kind:?}");
            assert_eq!(reply.has_header("retry-after: 20"), status == 429, "{provider} {kind:?}");
            assert!(reply.json().get("error").is_some(), "{provider} {kind:?}");
        }
    }
    let reply = ask(&serve(Provider::Anthropic, failing(FailureKind::Overloaded)), Provider::Anthropic, true);
    assert_eq!(reply.json().pointer("/error/type"), Some(&json!("overloaded_error")));
    let reply = ask(&serve(Provider::Gemini, failing(FailureKind::RateLimited)), Provider::Gemini, true);
    assert_eq!(reply.json().pointer("/error/status"), Some(&json!("RESOURCE_EXHAUSTED")));
}

#[test]
fn a_demanded_key_is_looked_for_where_each_provider_has_it() {
    for (provider, path, good, none, wrong) in [
        (Provider::OpenAi, "/dev/openai/v1/chat/completions", "authorization: Bearer k1\r\n", 401, 401),
        (
            Provider::Azure,
            "/dev/azure/openai/deployments/m/chat/completions?api-version=1",
            "api-key: k1\r\n",
            401,
            401,
        ),
        (Provider::Anthropic, "/dev/anthropic/v1/messages", "x-api-key: k1\r\nanthropic-version: 1\r\n", 401, 401),
        (Provider::Gemini, "/dev/gemini/v1beta/models/m:generateContent", "x-goog-api-key: k1\r\n", 403, 400),
    ] {
        let mut config = MockConfig::of_models([("m", provider, quick())]);
        config.api_key = Some(DemandedKey::new("k1"));
        let server = Mock::start(config).unwrap();
        let body = r#"{"model":"m","max_tokens":5,"messages":[],"contents":[]}"#;
        let status = |headers: &str| post(&server, path, headers, body).status;
        assert_eq!(
            (status(good), status(""), status(&good.replace("k1", "secret-key"))),
            (200, none, wrong),
            "{provider}"
        );
        let refused = post(&server, path, &good.replace("k1", "secret-key"), body);
        assert!(!refused.body.contains("secret-key"), "{provider}: {}", refused.body);
        assert!(server.requests().last().is_some_and(|seen| seen.headers.len() > 3));
        assert!(!format!("{:?}", server.requests()).contains("secret-key"));
    }
}

#[test]
fn unknown_models_and_bad_bodies_are_refused_as_the_provider_does() {
    let server = serve(Provider::OpenAi, quick());
    let openai = |body: &str| post(&server, "/qa/openai/v1/chat/completions", "", body);
    let reply = openai(r#"{"model":"gpt-9","messages":[]}"#);
    assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (404, json!("model_not_found")));
    assert_eq!(openai("{").status, 400);
    assert_eq!(openai(r#"{"messages":[]}"#).json()["error"]["param"], json!("model"));
    let anthropic = |headers: &str, body: &str| post(&server, "/qa/anthropic/v1/messages", headers, body);
    let reply = anthropic(VERSION, r#"{"model":"m","max_tokens":5,"messages":[]}"#);
    assert_eq!(reply.json().pointer("/error/type"), Some(&json!("not_found_error")), "m is not Anthropic's");
    assert_eq!(anthropic(VERSION, r#"{"model":"m","messages":[]}"#).status, 400, "max_tokens is required");
    assert_eq!(anthropic("", r#"{"model":"m","max_tokens":5,"messages":[]}"#).status, 400, "the version is required");
    let reply = post(&server, "/qa/ollama/api/chat", "", r#"{"model":"nope"}"#);
    assert_eq!((reply.status, reply.json()), (404, json!({"error": "model 'nope' not found"})));
    let reply = get(&server, "/qa/nothing", "");
    assert_eq!(reply.status, 404);
    assert!(reply.body.contains("/{environment}/openai/v1/chat/completions"));
}

#[test]
fn reasoning_models_refuse_max_tokens_and_some_servers_stream_options() {
    let old = Behaviour { refuse_stream_options: true, ..quick() };
    let models = [("o4-mini", Provider::OpenAi, quick()), ("old", Provider::OpenAi, old)];
    let server = Mock::start(MockConfig::of_models(models)).unwrap();
    let param = |body: &str| {
        let reply = post(&server, "/dev/openai/v1/chat/completions", "", body);
        (reply.status, reply.json()["error"].clone())
    };
    let (status, error) = param(r#"{"model":"o4-mini","max_tokens":9,"messages":[]}"#);
    assert_eq!((status, &error["code"]), (400, &json!("unsupported_parameter")));
    assert_eq!(param(r#"{"model":"o4-mini","max_completion_tokens":9,"messages":[]}"#).0, 200);
    let (status, error) = param(r#"{"model":"o4-mini","temperature":0,"messages":[]}"#);
    assert_eq!((status, &error["code"]), (400, &json!("unsupported_value")));
    let (status, error) = param(r#"{"model":"old","stream_options":{"include_usage":true},"messages":[]}"#);
    assert_eq!(status, 400);
    assert!(error["message"].as_str().unwrap().contains("stream_options"));
}

#[test]
fn a_cut_stream_has_half_its_text_and_no_end() {
    for provider in Provider::ALL {
        let reply = ask(&serve(provider, failing(FailureKind::Cut)), provider, true);
        assert_eq!((reply.status, reply.is_complete), (200, false), "{provider}");
        assert!(!reply.body.contains("[DONE]") && reply.body.contains("steady"), "{provider}: {}", reply.body);
    }
}

#[test]
fn an_error_event_ends_the_stream_in_the_providers_words() {
    for (provider, words) in [
        (Provider::OpenAi, "server_error"),
        (Provider::Azure, "server_error"),
        (Provider::Anthropic, "event: error\ndata: "),
        (Provider::Gemini, "UNAVAILABLE"),
        (Provider::Ollama, "an error was encountered"),
    ] {
        let reply = ask(&serve(provider, failing(FailureKind::ErrorEvent)), provider, true);
        assert_eq!((reply.status, reply.is_complete), (200, true), "{provider}");
        let end = reply.body.rfind("\"error\"").unwrap_or_default();
        assert!(
            reply.body.contains(words) && end > reply.body.rfind("steady").unwrap_or(usize::MAX),
            "{provider}: {}",
            reply.body
        );
    }
}

#[test]
fn empty_malformed_and_web_page_answers() {
    for provider in Provider::ALL {
        let empty = ask(&serve(provider, failing(FailureKind::Empty)), provider, true);
        assert!(empty.is_complete && !empty.body.contains("steady"), "{provider}: {}", empty.body);
        let malformed = ask(&serve(provider, failing(FailureKind::Malformed)), provider, true);
        let lines = malformed
            .body
            .lines()
            .filter_map(|line| line.strip_prefix("data: ").or(line.strip_prefix('{').map(|_| line)));
        let broken = lines.filter(|data| *data != "[DONE]" && serde_json::from_str::<Value>(data).is_err()).count();
        assert_eq!(broken, 1, "{provider}: {}", malformed.body);
        let page = ask(&serve(provider, failing(FailureKind::HtmlPage)), provider, true);
        assert!(page.status == 200 && page.has_header("content-type: text/html; charset=utf-8"), "{provider}");
    }
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
    // Either way of ending will do, if it only ends.
    let _ = stream.read_to_end(&mut rest);
    assert!(TcpStream::connect(address).is_err());
}
