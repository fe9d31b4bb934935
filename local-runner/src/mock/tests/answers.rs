//! Answers in each provider's words.

use super::*;

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
