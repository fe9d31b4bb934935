//! What servers and networks do to a probe, and the record that each leaves.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use llm_monitor_core::{
    catalog::Target,
    probe::{Prober, Schedule},
    provider::Provider,
    record::{ErrorKind, Record, TokenSource},
};

use crate::support::{
    probing::{due_now, probe, probe_within, target},
    scripted::{Scripted, Step, chunk, end, event, finish, response, stream_head, text, usage},
};

/// Cuts a probe that would wait for ever; long enough that a busy machine still gets to the stall.
const SHORT: Duration = Duration::from_millis(500);

/// The record of a probe that gets `script`.
async fn record_of(script: Vec<Step>) -> Record {
    let server = Scripted::start(script).await;
    probe(&server.url("/v1")).await
}

/// As [`record_of`], cut after [`SHORT`].
async fn record_of_stalling(script: Vec<Step>) -> Record {
    let server = Scripted::start(script).await;
    probe_within(&server.url("/v1"), SHORT).await
}

#[track_caller]
fn assert_fails(record: &Record, kind: ErrorKind, message: &str) {
    assert_eq!(record.error_kind(), Some(kind), "{record:?}");
    assert_eq!(record.latency_ms, None, "{record:?}");
    let actual = record.error_message().unwrap_or_default();
    assert!(actual.contains(message), "{actual:?} should contain {message:?}");
}

#[track_caller]
fn assert_succeeds(record: &Record) {
    assert!(record.is_success() && record.latency_ms.is_some(), "{record:?}");
}

#[tokio::test]
async fn a_good_answer_is_measured_and_priced() {
    let script = vec![
        stream_head(),
        event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#),
        text("Hello"),
        text(" world"),
        finish("stop"),
        usage(11),
        event("[DONE]"),
        end(),
    ];
    let server = Scripted::start(script).await;
    let record = probe(&server.url("/v1")).await;

    assert_succeeds(&record);
    assert_eq!(record.http_status, Some(200));
    assert_eq!((record.input_tokens, record.output_tokens), (Some(120), Some(11)));
    assert_eq!((record.cached_input_tokens, record.token_source), (Some(40), Some(TokenSource::Provider)));
    assert_eq!(record.cost.expect("a cost").to_string(), "0.0000246");
    assert_eq!(record.served_model.as_deref(), Some("served-1"));
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    assert_eq!((record.dns_ms, record.tls_ms), (None, None));
    assert!(record.start_delay_ms.is_some() && record.client_delay_ms.is_some());
    let phases = [record.connect_ms, record.ttfb_ms, record.ttft_ms, record.latency_ms].map(|ms| ms.expect("measured"));
    assert!(phases.is_sorted() && phases[0] > 0.0, "{phases:?}");

    let request = &server.requests()[0];
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    for part in
        ["authorization: Bearer sk-test-0123456789", "\"stream\":true", "\"max_tokens\":128", "\"include_usage\":true"]
    {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn a_role_or_an_empty_delta_is_not_the_first_token() {
    let record = record_of(vec![
        stream_head(),
        event(r#"{"choices":[]}"#),
        event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#),
        event(r#"{"choices":[{"index":0}]}"#),
        Step::Pause(Duration::from_millis(300)),
        text("Hello"),
        Step::Pause(Duration::from_millis(100)),
        text("!"),
        event(r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}"#),
        usage(3),
        Step::Pause(Duration::from_millis(100)),
        event("[DONE]"),
    ])
    .await;
    assert_succeeds(&record);
    let ms = |field: Option<f64>| field.expect("measured");
    assert!(ms(record.ttfb_ms) + 300.0 <= ms(record.ttft_ms), "{record:?}");
    // The text's own pause is in, what trails the text is not.
    let generation = ms(record.latency_ms) - ms(record.ttft_ms);
    assert!(generation >= 99.0, "{record:?}");
    assert!((ms(record.tpot_ms) - generation / 2.0).abs() < 0.01, "{record:?}");
    assert!((ms(record.max_gap_ms) - generation).abs() < 0.01, "{record:?}");
}

#[tokio::test]
async fn a_burst_has_no_pace() {
    let Step::Send(head) = stream_head() else { unreachable!() };
    let whole = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n".repeat(20)
        + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":20}}\n\n";
    let Step::Send(body) = chunk(whole) else { unreachable!() };
    let record = record_of(vec![Step::Send([head, body].concat()), end()]).await;
    assert_succeeds(&record);
    assert_eq!(record.output_tokens, Some(20));
    assert_eq!((record.tpot_ms, record.max_gap_ms), (None, None));
    assert_eq!(record.ttft_ms, record.latency_ms);
}

#[tokio::test]
async fn a_name_that_does_not_resolve() {
    // Too long for a label, so the resolver gives up without asking anyone.
    let record = probe(&format!("http://{}.invalid/v1", "a".repeat(70))).await;
    assert_fails(&record, ErrorKind::Dns, "could not resolve");
    assert!(record.dns_ms.is_some());
    assert_eq!(record.connect_ms, None);
}

#[tokio::test]
async fn a_refused_connection() {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let record = probe(&format!("http://{address}/v1")).await;
    assert_fails(&record, ErrorKind::Connect, "could not connect: Connection refused");
    assert_eq!((record.connect_ms, record.http_status), (None, None));
}

#[tokio::test]
async fn a_connection_that_ends_before_the_headers() {
    assert_fails(&record_of(vec![Step::Reset]).await, ErrorKind::Connect, "no answer: Connection reset");
    let record = record_of(vec![]).await;
    assert_fails(&record, ErrorKind::Connect, "no answer: connection closed before message completed");
    assert!(record.connect_ms.is_some());
    let half = Step::Send(b"HTTP/1.1 200 OK\r\ncontent-".to_vec());
    assert_fails(&record_of(vec![half]).await, ErrorKind::Connect, "no answer");
}

#[tokio::test]
async fn a_stream_that_is_reset_keeps_what_came() {
    let reset = vec![stream_head(), text("Hello"), Step::Pause(Duration::from_millis(200)), Step::Reset];
    let record = record_of(reset).await;
    assert_fails(&record, ErrorKind::IncompleteStream, "Connection reset");
    assert!(record.ttft_ms.is_some());
    assert_eq!((record.output_tokens, record.cost), (None, None));
}

#[tokio::test]
async fn a_stream_that_ends_too_soon() {
    // Closed within the chunked body.
    assert_fails(&record_of(vec![stream_head(), text("Hello")]).await, ErrorKind::IncompleteStream, "broke off");
    // Closed in good order, but the provider had not said that it was complete.
    let record = record_of(vec![stream_head(), text("Hello"), end()]).await;
    assert_fails(&record, ErrorKind::IncompleteStream, "before the provider said");
    // Cut in the middle of an event.
    let record = record_of(vec![stream_head(), text("Hello"), chunk("data: {\"choices\":[{\"del"), end()]).await;
    assert_fails(&record, ErrorKind::IncompleteStream, "in the middle of an event");
    assert!(record.ttft_ms.is_some());
}

#[tokio::test]
async fn headers_that_do_not_come() {
    let record = record_of_stalling(vec![Step::Stall]).await;
    assert_fails(&record, ErrorKind::Timeout, "not complete within 0.5 s: connected, but no headers came");
    assert!(record.connect_ms.is_some());
    assert_eq!((record.ttfb_ms, record.http_status), (None, None));
}

#[tokio::test]
async fn text_that_does_not_come() {
    let record = record_of_stalling(vec![stream_head(), event(r#"{"choices":[]}"#), Step::Stall]).await;
    assert_fails(&record, ErrorKind::Timeout, "headers came, but no text");
    assert_eq!(record.http_status, Some(200));
    assert_eq!(record.ttft_ms, None);
}

#[tokio::test]
async fn text_that_stalls_keeps_its_first_token() {
    let record = record_of_stalling(vec![stream_head(), text("Hello"), text("!"), Step::Stall]).await;
    assert_fails(&record, ErrorKind::Timeout, "stalled");
    assert!(record.ttft_ms.is_some() && record.ttfa_ms.is_some() && record.ttfb_ms.is_some());
}

#[tokio::test]
async fn the_cycles_deadline_cuts_a_probe() {
    let server = Scripted::start(vec![stream_head(), text("Hello"), Step::Stall]).await;
    let schedule = Schedule { stop_by: Some(Instant::now() + SHORT), ..due_now() };
    let record = Prober::new("here").probe(&target(Provider::OpenAi, &server.url("/v1")), &schedule).await;
    assert_fails(&record, ErrorKind::Timeout, "the cycle's time was over");
    assert!(record.ttft_ms.is_some());
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let Step::Send(head) = stream_head() else { unreachable!() };
    let slow = Step::Drip(head.clone(), Duration::from_millis(100));
    assert_fails(&record_of_stalling(vec![slow]).await, ErrorKind::Timeout, "no headers came");

    let scripts = [text("Hé😀llo"), finish("stop"), usage(5), event("[DONE]")];
    let body = scripts.into_iter().flat_map(|step| if let Step::Send(bytes) = step { bytes } else { vec![] });
    let record = record_of(vec![Step::Drip(head.into_iter().chain(body).collect(), Duration::ZERO)]).await;
    assert_succeeds(&record);
    assert_eq!(record.output_tokens, Some(5));
}

#[tokio::test]
async fn endless_answers_meet_a_limit() {
    let flood = |bytes: &[u8]| Step::Flood(bytes.to_vec());
    let Step::Send(chunk_of_text) = text("Hello") else { unreachable!() };
    let record = record_of(vec![stream_head(), flood(&chunk_of_text.repeat(100))]).await;
    assert_fails(&record, ErrorKind::TooLarge, "the stream");
    assert!(record.ttft_ms.is_some());

    let Step::Send(comments) = chunk(": keep-alive\n\n".repeat(1000)) else { unreachable!() };
    assert_fails(&record_of(vec![stream_head(), flood(&comments)]).await, ErrorKind::TooLarge, "16 MiB");

    let Step::Send(line) = chunk("a".repeat(65_536)) else { unreachable!() };
    assert_fails(&record_of(vec![stream_head(), flood(&line)]).await, ErrorKind::TooLarge, "1 MiB");
}

#[tokio::test]
async fn endless_heads_meet_a_limit() {
    let head = Step::Send(b"HTTP/1.1 200 OK\r\n".to_vec());
    let headers = Step::Flood(b"x-filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(100));
    let record = record_of(vec![head.clone(), headers]).await;
    assert_fails(&record, ErrorKind::TooLarge, "no answer");
    let one_header = Step::Flood(vec![b'a'; 65_536]);
    assert_fails(&record_of(vec![head, Step::Send(b"x-filler: ".to_vec()), one_header]).await, ErrorKind::TooLarge, "");
}

#[tokio::test]
async fn an_endless_error_is_told_by_its_status() {
    let head = Step::Send(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 104857600\r\n\r\n".to_vec());
    let record = record_of(vec![head, Step::Flood(vec![b'a'; 65_536])]).await;
    assert_fails(&record, ErrorKind::ServerError, "HTTP 500 Internal Server Error");
}

#[tokio::test]
async fn what_is_no_http_at_all() {
    let record = record_of(vec![Step::Send(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())]).await;
    assert_fails(&record, ErrorKind::MalformedResponse, "");
}

#[tokio::test]
async fn documents_instead_of_a_stream() {
    let html = response("200 OK", "content-type: text/html\r\n", "<!DOCTYPE html><title>Log in</title>");
    assert_fails(&record_of(vec![html]).await, ErrorKind::MalformedResponse, "text/html");
    let error = r#"{"error":{"message":"Insufficient quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let json = response("200 OK", "content-type: application/json\r\n", error);
    assert_fails(&record_of(vec![json]).await, ErrorKind::RateLimited, "Insufficient quota");
    // The same under the stream's own media type.
    let json = response("200 OK", "content-type: text/event-stream\r\n", error);
    assert_fails(&record_of(vec![json]).await, ErrorKind::RateLimited, "Insufficient quota");
    let unstreamed = response("200 OK", "content-type: application/json\r\n", r#"{"choices":[{"message":{}}]}"#);
    assert_fails(&record_of(vec![unstreamed]).await, ErrorKind::MalformedResponse, "instead of a stream");
    let empty = response("200 OK", "content-type: text/event-stream\r\n", "");
    assert_fails(&record_of(vec![empty]).await, ErrorKind::MalformedResponse, "nothing that is a stream");
}

#[tokio::test]
async fn an_error_within_the_stream() {
    let error = r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#;
    let record = record_of(vec![stream_head(), text("Hello"), event(error), end()]).await;
    assert_fails(&record, ErrorKind::Overloaded, "Overloaded");
    assert!(record.ttft_ms.is_some());
    let error = r#"{"error":{"message":"Provider returned error","code":429},"choices":[]}"#;
    assert_fails(&record_of(vec![stream_head(), event(error), end()]).await, ErrorKind::RateLimited, "429");
    let garbage = record_of(vec![stream_head(), event("not json"), end()]).await;
    assert_fails(&garbage, ErrorKind::MalformedResponse, "not chat completions's JSON");
}

#[tokio::test]
async fn a_stream_without_done_or_with_nothing_after_it() {
    assert_succeeds(&record_of(vec![stream_head(), text("Hello"), finish("stop"), usage(2), end()]).await);
    // Nothing more is waited for once the provider said that it is done.
    let record = record_of(vec![stream_head(), text("Hello"), event("[DONE]"), Step::Stall]).await;
    assert_succeeds(&record);
    // Generation had ended: that the stream is not closed, or breaks off, takes nothing away.
    assert_succeeds(&record_of_stalling(vec![stream_head(), text("Hello"), finish("stop"), Step::Stall]).await);
    assert_succeeds(&record_of(vec![stream_head(), text("Hello"), finish("stop")]).await);
}

#[tokio::test]
async fn tokens_that_the_provider_does_not_report_are_estimated() {
    let record = record_of(vec![stream_head(), text("Hello world!"), finish("stop"), event("[DONE]"), end()]).await;
    assert_succeeds(&record);
    assert_eq!((record.token_source, record.output_tokens), (Some(TokenSource::Estimated), Some(3)));
    assert!(record.input_tokens.is_some_and(|tokens| (100..200).contains(&tokens)), "{record:?}");
    assert!(record.cost.is_some());
}

#[tokio::test]
async fn an_answer_without_text() {
    let record = record_of(vec![stream_head(), text(""), finish("content_filter"), usage(1), event("[DONE]")]).await;
    assert_fails(&record, ErrorKind::EmptyResponse, "finish reason: content_filter");
    assert_eq!((record.ttft_ms, record.output_tokens), (None, Some(1)));
    assert_eq!(record.finish_reason.as_deref(), Some("content_filter"));
}

#[tokio::test]
async fn reasoning_alone_is_generated_text() {
    for name in ["reasoning_content", "reasoning"] {
        let thought = event(&format!(r#"{{"choices":[{{"delta":{{"content":null,"{name}":"Hmm"}}}}]}}"#));
        let record = record_of(vec![stream_head(), thought, finish("length"), usage(128), event("[DONE]")]).await;
        assert_succeeds(&record);
        assert!(record.ttft_ms.is_some(), "{name}");
        assert_eq!((record.ttfa_ms, record.finish_reason.as_deref()), (None, Some("length")), "{name}");
    }
}

#[tokio::test]
async fn statuses_tell_their_kind() {
    let error = r#"{"error":{"message":"because","type":"x","param":"messages","code":null}}"#;
    for (status, kind) in [
        ("400 Bad Request", ErrorKind::BadRequest),
        ("401 Unauthorized", ErrorKind::Auth),
        ("403 Forbidden", ErrorKind::Auth),
        ("404 Not Found", ErrorKind::NotFound),
        ("408 Request Timeout", ErrorKind::Timeout),
        ("413 Payload Too Large", ErrorKind::BadRequest),
        ("429 Too Many Requests", ErrorKind::RateLimited),
        ("500 Internal Server Error", ErrorKind::ServerError),
        ("502 Bad Gateway", ErrorKind::ServerError),
        ("503 Service Unavailable", ErrorKind::Overloaded),
        ("529 Overloaded", ErrorKind::Overloaded),
    ] {
        let record = record_of(vec![response(status, "content-type: application/json\r\n", error)]).await;
        assert_fails(&record, kind, &format!("HTTP {status}: because"));
        assert_eq!(record.http_status.map(|code| code.to_string()).as_deref(), status.split(' ').next());
        assert!(record.ttfb_ms.is_some());
    }
    let limited = response("429 Too Many Requests", "retry-after: 20\r\n", error);
    assert_fails(&record_of(vec![limited]).await, ErrorKind::RateLimited, "(retry after 20 s): because");
}

#[tokio::test]
async fn a_compressed_body_is_said_to_be_one() {
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let headers = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let record = record_of(vec![response("200 OK", headers, gzip)]).await;
    assert_fails(&record, ErrorKind::MalformedResponse, "gzip-encoded");
    let record = record_of(vec![response("401 Unauthorized", headers, gzip)]).await;
    assert_fails(&record, ErrorKind::Auth, "HTTP 401 Unauthorized");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Scripted::start(vec![]).await;
    let location = format!("location: http://user:pass@{}/v1?key=s3cr3t\r\n", elsewhere.address);
    let record = record_of(vec![response("307 Temporary Redirect", &location, "")]).await;
    assert_fails(&record, ErrorKind::BadRequest, "a redirect to 127.0.0.1, not followed");
    assert!(!format!("{record:?}").contains("s3cr3t"));
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn invalid_utf_8_is_malformed() {
    let record =
        record_of(vec![stream_head(), chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n")]).await;
    assert_fails(&record, ErrorKind::MalformedResponse, "invalid unicode");
}

#[tokio::test]
async fn numbers_as_strings_and_usage_said_twice() {
    let strings = r#"{"choices":[],"usage":{"prompt_tokens":"120","completion_tokens":"7","total_tokens":"127"}}"#;
    let script = vec![stream_head(), text("Hello"), usage(1), event(strings), event(strings), finish("stop"), end()];
    let record = record_of(script).await;
    assert_succeeds(&record);
    assert_eq!((record.input_tokens, record.output_tokens), (Some(120), Some(7)));
    assert_eq!(record.token_source, Some(TokenSource::Provider));
}

#[tokio::test]
async fn a_model_without_prices_has_no_cost() {
    let server = Scripted::start(vec![stream_head(), text("Hello"), finish("stop"), usage(2), end()]).await;
    let target = Target { prices: None, ..target(Provider::OpenAi, &server.url("/v1")) };
    let record = Prober::new("here").probe(&target, &due_now()).await;
    assert_succeeds(&record);
    assert_eq!((record.output_tokens, record.cost), (Some(2), None));
}

#[tokio::test]
async fn a_key_that_the_server_echoes_stays_out_of_the_record() {
    let error = r#"{"error":{"message":"Incorrect API key provided: sk-test-0123456789 at /v1?team=tok3n-4711"}}"#;
    let server = Scripted::start(vec![response("401 Unauthorized", "", error)]).await;
    let record = probe(&server.url("/v1?team=tok3n-4711")).await;
    assert_fails(&record, ErrorKind::Auth, "Incorrect API key provided: [redacted] at /v1?team=[redacted]");
}
