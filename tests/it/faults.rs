//! What servers and networks do to a probe, and the record that each leaves.

use llm_monitor_core::record::TokenSource;

use crate::support::{
    probing::probe,
    scripted::{Scripted, end, event, finish, stream_head, text, usage},
};

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

    assert!(record.is_success(), "{record:?}");
    assert_eq!(record.http_status, Some(200));
    assert_eq!((record.input_tokens, record.output_tokens), (Some(120), Some(11)));
    assert_eq!((record.cached_input_tokens, record.token_source), (Some(40), Some(TokenSource::Provider)));
    assert_eq!(record.cost.expect("a cost").to_string(), "0.0000246");
    assert_eq!(record.served_model.as_deref(), Some("served-1"));
    assert_eq!(record.finish_reason.as_deref(), Some("stop"));
    assert_eq!((record.dns_ms, record.tls_ms), (None, None));
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
