use serde_json::json;

use super::*;
use crate::{
    history::Direction,
    store::{Scope, StoreError},
};

fn good() -> Value {
    json!({
        "model_name": "gpt-4o-mini", "timestamp": "2026-11-24T10:00:00.123456+01:00", "latency_ms": 812.5,
        "input_tokens": 121.0, "output_tokens": 128
    })
}

fn with(changes: &Value) -> String {
    let mut body = good();
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body.to_string()
}

#[tokio::test]
async fn the_predecessors_body_is_stored_and_found_again() {
    let monitor = Monitor::with_token("t0ken");
    let answer =
        monitor.post(with(&json!({"cost": 0.000_319_2, "context_window": 128_000, "is_cloud": true, "x": 1}))).await;
    assert_eq!(answer.status, 201, "{}", answer.json());
    let stored = answer.json();
    assert_eq!((&stored["environment"], &stored["status"]), (&json!("dev"), &json!("success")));
    assert_eq!(stored["timestamp"], "2026-11-24T09:00:00.123Z");
    assert_eq!((&stored["input_tokens"], &stored["cost"]), (&json!(121), &json!(0.000_319_2)));

    let request = Request::get(answer.header("location")).header("authorization", "Bearer t0ken");
    let found = monitor.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(found.json(), json!([stored]));
}

#[tokio::test]
async fn every_other_column_can_be_given() {
    let monitor = Monitor::with_token("t0ken");
    let columns = json!({
        "environment": "prod", "provider": "openai", "simulated": true, "location": "eu", "start_delay_ms": 1.5,
        "connect_ms": 2, "ttft_ms": 3, "ttfa_ms": 4, "tpot_ms": 5, "max_gap_ms": 6, "cached_input_tokens": 7,
        "reasoning_tokens": 8, "token_source": "estimated", "http_status": 200, "served_model": "m", "finish_reason": "stop",
        "dns_ms": 0, "tls_ms": 1, "ttfb_ms": 2, "client_delay_ms": 3, "load_ms": 4
    });
    let stored = monitor.post(with(&columns)).await.json();
    for (column, value) in columns.as_object().unwrap() {
        let same = stored[column] == *value || stored[column].as_f64().is_some_and(|n| value.as_f64() == Some(n));
        assert!(same, "{column}: {} for {value}", stored[column]);
    }
    let failure = json!({
        "latency_ms": null, "input_tokens": null, "output_tokens": null, "error_kind": "timeout",
        "error_message": "no\nanswer"
    });
    let stored = monitor.post(with(&failure)).await.json();
    assert_eq!((&stored["status"], &stored["error_message"]), (&json!("error"), &json!("no answer")));
    assert_eq!(monitor.history.skipped_rows(), 0);
}

#[tokio::test]
async fn fields_that_are_not_accepted_are_named() {
    let monitor = Monitor::with_token("t0ken");
    for (changes, field) in [
        (json!({"model_name": ""}), "model_name"),
        (json!({"model_name": null}), "model_name"),
        (json!({"model_name": 7}), "model_name"),
        (json!({"model_name": "a\nb"}), "model_name"),
        (json!({"model_name": "x".repeat(201)}), "model_name"),
        (json!({"timestamp": "now"}), "timestamp"),
        (json!({"timestamp": "2999-01-01T00:00:00Z"}), "timestamp"),
        (json!({"timestamp": 1_764_000_000}), "timestamp"),
        (json!({"latency_ms": null}), "latency_ms"),
        (json!({"latency_ms": -1}), "latency_ms"),
        (json!({"latency_ms": 1e12}), "latency_ms"),
        (json!({"latency_ms": "fast"}), "latency_ms"),
        (json!({"input_tokens": 1.5}), "input_tokens"),
        (json!({"output_tokens": -3}), "output_tokens"),
        (json!({"cost": -0.1}), "cost"),
        (json!({"environment": "nowhere"}), "environment"),
        (json!({"is_cloud": "yes"}), "is_cloud"),
        (json!({"status": "fine"}), "status"),
        (json!({"status": "error"}), "latency_ms"),
        (json!({"status": "success", "error_kind": "timeout"}), "error_kind"),
        (json!({"latency_ms": null, "error_kind": "bored"}), "error_kind"),
        (json!({"token_source": "me"}), "token_source"),
        (json!({"http_status": 1000}), "http_status"),
        (json!({"cycle_id": "20261124T165400Z"}), "cycle_id"),
    ] {
        let answer = monitor.post(with(&changes)).await;
        assert_eq!(answer.problem(), (422, field.to_owned()), "{changes}");
        assert!(answer.json()["detail"].as_str().unwrap().contains(field), "{changes}");
    }
    let all = monitor.post("{}").await.json();
    let missing: Vec<_> =
        all["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(missing, ["model_name", "timestamp", "latency_ms", "input_tokens", "output_tokens"]);
    assert_eq!(
        monitor.history.scan(Scope::default(), Direction::NewestFirst, None).next().await.unwrap().map(|_| ()),
        None
    );
}

#[tokio::test]
async fn bodies_that_are_no_record_are_told_apart() {
    let monitor = Monitor::with_token("t0ken");
    for (body, status) in [("{\"model_name\":", 400), ("", 400), ("{} x", 400), ("[]", 422), ("7", 422), ("null", 422)]
    {
        assert_eq!(monitor.post(body).await.problem().0, status, "{body}");
    }
    assert_eq!(monitor.post(format!("\"{}\"", "x".repeat(64 * 1024))).await.problem().0, 413);
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        let mut request = Request::post("/api/latency").header("authorization", "Bearer t0ken");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let answer = monitor.send(request.body(Body::from(good().to_string())).unwrap()).await;
        assert_eq!(answer.problem().0, 415, "{content_type:?}");
    }
}

#[tokio::test]
async fn a_store_that_fails_is_503_and_nothing_is_said_to_be_stored() {
    let monitor = Monitor::with_token("t0ken");
    monitor.store.fail_with(Some(StoreError::Full { location: "latency_data.csv".to_owned() }));
    let answer = monitor.post(good().to_string()).await;
    assert_eq!(answer.problem().0, 503);
    assert!(answer.json()["detail"].as_str().unwrap().contains("no space left"));
    assert_eq!(answer.header("retry-after"), "5");
    monitor.store.fail_with(None);
    assert_eq!(monitor.post(good().to_string()).await.status, 201);
}
