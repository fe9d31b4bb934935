//! Servers that refuse a parameter: the one second request, and what is remembered of it.

use llm_monitor_core::{
    catalog::Target,
    probe::Prober,
    provider::Provider,
    record::{ErrorKind, Record},
};

use crate::support::{
    probing::{due_now, target},
    scripted::{Scripted, Step, end, event, finish, response, stream_head, text},
};

fn good() -> Vec<Step> {
    vec![stream_head(), text("Hello"), finish("stop"), event("[DONE]"), end()]
}

fn refusal(status: &str, body: &str) -> Vec<Step> {
    vec![response(status, "content-type: application/json\r\n", body)]
}

/// Probes `times` times with one prober.
async fn probes(server: &Scripted, times: usize) -> Vec<Record> {
    let prober = Prober::new("here");
    let target = target(Provider::OpenAi, &server.url("/v1"));
    let mut records = Vec::new();
    for _ in 0..times {
        records.push(prober.probe(&target, &due_now()).await);
    }
    records
}

#[tokio::test]
async fn a_server_that_refuses_stream_options_is_asked_without_from_then_on() {
    for body in [
        r#"{"error":{"message":"Unknown parameter","type":"invalid_request_error","param":"stream_options","code":"unknown_parameter"}}"#,
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted"}]}"#,
        r#"{"object":"error","message":"Extra inputs are not permitted","type":"BadRequestError","param":null,"code":400}"#,
        "Bad request",
    ] {
        let server = Scripted::start_each([refusal("400 Bad Request", body), good()]).await;
        let records = probes(&server, 2).await;
        assert!(records.iter().all(Record::is_success), "{body}: {records:?}");
        let asks: Vec<bool> = server.requests().iter().map(|request| request.contains("stream_options")).collect();
        assert_eq!(asks, [true, false, false], "{body}");
    }
}

#[tokio::test]
async fn a_refusal_that_leaving_it_out_does_not_mend_stands() {
    let server = Scripted::start(refusal("400 Bad Request", r#"{"error":{"message":"no"}}"#)).await;
    let records = probes(&server, 2).await;
    assert!(records.iter().all(|record| record.error_kind() == Some(ErrorKind::BadRequest)), "{records:?}");
    // One guess for the first probe, none for the second.
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_refusal_of_another_kind_is_no_reason_to_ask_again() {
    for (status, body) in [
        ("400 Bad Request", r#"{"error":{"message":"no","param":"messages"}}"#),
        ("400 Bad Request", r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#),
        ("401 Unauthorized", r#"{"error":{"message":"no"}}"#),
        ("429 Too Many Requests", r#"{"error":{"message":"no"}}"#),
        ("500 Internal Server Error", r#"{"error":{"message":"no","param":"stream_options"}}"#),
    ] {
        let server = Scripted::start(refusal(status, body)).await;
        probes(&server, 1).await;
        assert_eq!(server.requests().len(), 1, "{status} {body}");
    }
}

#[tokio::test]
async fn the_token_limit_goes_by_the_name_the_model_wants() {
    let refused = r#"{"error":{"message":"Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#;
    let server = Scripted::start_each([refusal("400 Bad Request", refused), good()]).await;
    let records = probes(&server, 2).await;
    assert!(records.iter().all(Record::is_success), "{records:?}");
    let asks: Vec<bool> = server.requests().iter().map(|request| request.contains("max_completion_tokens")).collect();
    assert_eq!(asks, [false, true, true]);
    assert!(server.requests().iter().all(|request| request.contains("stream_options")));

    for (model, wants_new_name) in [
        ("o3-mini", true),
        ("o1", true),
        ("gpt-5-nano", true),
        ("openai/gpt-5.2", true),
        ("gpt-4o", false),
        ("gpt-3.5-turbo", false),
        ("olmo-2", false),
        ("llama-3", false),
    ] {
        let server = Scripted::start(good()).await;
        let target = Target { provider_model: model.to_owned(), ..target(Provider::OpenAi, &server.url("/v1")) };
        Prober::new("here").probe(&target, &due_now()).await;
        assert_eq!(server.requests()[0].contains("max_completion_tokens"), wants_new_name, "{model}");
    }
}
