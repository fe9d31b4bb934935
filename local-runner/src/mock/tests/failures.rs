//! Refusals and failures in each provider's words.

use super::*;

#[test]
fn refusals_have_each_providers_status_and_body() {
    for (kind, status) in [
        (FailureKind::RateLimited, 429),
        (FailureKind::ServerError, 500),
        (FailureKind::Overloaded, 503),
        (FailureKind::Unavailable, 503),
    ] {
        for provider in Provider::ALL {
            let is_anthropics_own = provider == Provider::Anthropic && kind == FailureKind::Overloaded;
            let status = if is_anthropics_own { 529 } else { status };
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
