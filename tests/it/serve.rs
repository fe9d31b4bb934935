//! `serve`: monitors, answers over HTTP, and stops in order.

use llm_monitor::mock::{Behaviour, Failure, FailureKind, Mock, MockConfig, MockServer};
use llm_monitor_core::{provider::Provider, record::Environment};
use serde_json::{Value, json};

use crate::support::{
    http::{client, get, get_json},
    monitor::Setup,
};

const ENVIRONMENTS: [&str; 4] = ["dev", "test", "qa", "prod"];

fn environments() -> Vec<Environment> {
    ENVIRONMENTS.map(|name| name.parse().expect("a name")).into()
}

/// Answers at once.
fn quick() -> Behaviour {
    Behaviour { ttft_ms: 5.0, pace_ms: 0.5, output_tokens: 8, ..Behaviour::default() }
}

/// A mock of `models`, on a free port.
fn mock(models: impl IntoIterator<Item = (&'static str, Provider, Behaviour)>) -> MockServer {
    let mut config = MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) };
    for model in config.models.values_mut() {
        (model.input_usd_per_token, model.output_usd_per_token) = (1e-6, 2e-6);
    }
    Mock::start(config).expect("a mock")
}

fn three_models() -> MockServer {
    mock([
        ("gpt-4o-mini", Provider::OpenAi, quick()),
        ("claude-sonnet-4-5", Provider::Anthropic, quick()),
        (
            "gpt-fails",
            Provider::OpenAi,
            Behaviour { failures: vec![Failure::always(FailureKind::RateLimited)], ..quick() },
        ),
    ])
}

fn full_mode(mock: &MockServer) -> Setup {
    Setup::new().with(mock.settings(&environments()))
}

fn names(records: &Value, field: &str) -> Vec<String> {
    let records = records.as_array().expect("an array");
    let mut names: Vec<String> = records.iter().map(|r| r[field].as_str().unwrap_or_default().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn every_model_of_every_environment_is_measured_kept_and_served() {
    let mock = three_models();
    let setup = full_mode(&mock);
    let mut serving = setup.serve().await;
    serving.cycle().await;

    let records = get_json(&serving.url("/api/latency")).await;
    assert_eq!(records.as_array().map(Vec::len), Some(12), "{records}");
    assert_eq!(names(&records, "environment"), ["dev", "prod", "qa", "test"]);
    assert_eq!(names(&records, "model_name"), ["claude-sonnet-4-5", "gpt-4o-mini", "gpt-fails"]);
    for record in records.as_array().expect("an array") {
        assert_eq!(record["simulated"], json!(false));
        if record["model_name"] == "gpt-fails" {
            assert_eq!(record["error_kind"], "rate_limited", "{record}");
            assert_eq!((&record["latency_ms"], &record["http_status"]), (&Value::Null, &json!(429)), "{record}");
        } else {
            let ms = |field: &str| record[field].as_f64().unwrap_or_else(|| panic!("{field} of {record}"));
            assert!(ms("connect_ms") > 0.0 && ms("connect_ms") <= ms("ttfb_ms"), "{record}");
            assert!(ms("ttfb_ms") <= ms("ttft_ms") && ms("ttft_ms") <= ms("latency_ms"), "{record}");
            assert_eq!(record["output_tokens"], json!(8));
            let tokens = |field: &str| record[field].as_u64().unwrap_or_else(|| panic!("{field} of {record}"));
            let millionths = tokens("input_tokens") + 2 * tokens("output_tokens");
            assert_eq!(record["cost"].to_string(), format!("{}", millionths as f64 / 1e6), "{record}");
        }
    }

    let csv = setup.csv();
    assert_eq!(csv.lines().count(), 13, "a header and twelve rows:\n{csv}");
    assert!(csv.starts_with("model_name,environment,timestamp,latency_ms,"));

    let models = get_json(&serving.url("/api/models?environment=prod")).await;
    assert_eq!(models["gpt-4o-mini"]["monitored"], json!(true));
    assert_eq!(models["gpt-4o-mini"]["context_window"], json!(128_000));

    let health = get_json(&serving.url("/health")).await;
    assert_eq!(health["status"], "ok", "{health}");
    assert_eq!(get(&serving.url("/openapi.json")).await.status(), 200);
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn cycles_go_on_by_themselves_and_pages_are_newest_first() {
    let mock = mock([("gpt-4o-mini", Provider::OpenAi, quick())]);
    let setup = full_mode(&mock).with([("MONITOR_INTERVAL", "1")]);
    let mut serving = setup.serve().await;
    for _ in 0..3 {
        serving.cycle().await;
    }
    let page = get_json(&serving.url("/api/latency?environment=prod&limit=2")).await;
    let times: Vec<&str> = page.as_array().expect("an array").iter().filter_map(|r| r["timestamp"].as_str()).collect();
    let [newest, older] = times.as_slice() else { panic!("two records: {page}") };
    assert!(newest > older, "{page}");
}

#[tokio::test]
async fn simple_mode_measures_one_environment_and_marks_the_derived_rows() {
    let mock = mock([("gpt-4o-mini", Provider::OpenAi, quick())]);
    let setup = full_mode(&mock).with([("MULTI_ENV_MODE", "simple")]);
    let mut serving = setup.serve().await;
    serving.cycle().await;

    let row = async |environment: &str| {
        let url = serving.url(&format!("/api/latency?environment={environment}"));
        get_json(&url).await[0].clone()
    };
    let (dev, prod) = (row("dev").await, row("prod").await);
    assert_eq!((&dev["simulated"], &prod["simulated"]), (&json!(false), &json!(true)));
    assert_eq!(dev["timestamp"], prod["timestamp"]);
    let ratio = prod["latency_ms"].as_f64().expect("a latency") / dev["latency_ms"].as_f64().expect("a latency");
    assert!((ratio - 1.15).abs() < 1e-3, "{ratio}");
    assert_eq!(mock.answered(&Environment::dev(), "gpt-4o-mini"), 1, "one probe, four rows");
}

#[tokio::test]
async fn a_model_that_appears_at_the_endpoint_is_monitored_in_the_next_cycle() {
    use crate::support::usage::Usage;
    let mock = mock([("gpt-a", Provider::OpenAi, quick()), ("gpt-b", Provider::OpenAi, quick())]);
    let (usage, address) = Usage::start(r#"[{"llmCode":"gpt-a"}]"#).await;
    let setup = full_mode(&mock).with([
        ("MULTI_ENV_MODE", "simple"),
        ("MONITOR_INTERVAL", "1"),
        ("DEV_USAGE_ENDPOINT", &format!("http://{address}/usage")),
    ]);
    let mut serving = setup.serve().await;
    serving.cycle().await;
    assert_eq!(names(&get_json(&serving.url("/api/latency")).await, "model_name"), ["gpt-a"]);
    usage.says(r#"[{"llmCode":"gpt-a"},{"llmCode":"gpt-b"}]"#);
    // One cycle may have asked before the change.
    serving.cycle().await;
    serving.cycle().await;
    assert_eq!(names(&get_json(&serving.url("/api/latency")).await, "model_name"), ["gpt-a", "gpt-b"]);
}

#[tokio::test]
async fn a_record_that_was_measured_elsewhere_can_be_posted_with_the_token() {
    let mock = mock([]);
    let setup = full_mode(&mock).with([("API_TOKEN", "let-me-in")]);
    let serving = setup.serve().await;
    let url = serving.url("/api/latency");
    assert_eq!(get(&url).await.status(), 401);

    // The predecessor's body.
    let body = r#"{"model_name":"gpt-4","timestamp":"2026-11-24T21:15:26.526468+00:00","latency_ms":812.5,
        "input_tokens":12,"output_tokens":128}"#;
    let post = client().post(&url).bearer_auth("let-me-in").header("content-type", "application/json").body(body);
    assert_eq!(post.send().await.expect("an answer").status(), 201);

    let listed = client().get(format!("{url}?environment=dev&model=gpt-4")).bearer_auth("let-me-in").send().await;
    let listed: Value = serde_json::from_str(&listed.expect("an answer").text().await.expect("a body")).expect("JSON");
    assert_eq!(listed[0]["latency_ms"], json!(812.5), "{listed}");
    assert!(setup.csv().contains("gpt-4,dev,2026-11-24T21:15:26.526Z,812.5,12,128"), "{}", setup.csv());
    assert!(!serving.log().contains("let-me-in"));
}

#[tokio::test]
async fn the_predecessors_dashboard_on_another_port_may_read_and_a_stranger_may_not() {
    let mock = mock([]);
    let serving = full_mode(&mock).serve().await;
    for path in ["/api/latency?environment=dev", "/api/models?environment=dev"] {
        let allowed = async |origin: &str| {
            let response = client().get(serving.url(path)).header("origin", origin).send().await.expect("an answer");
            response.headers().get("access-control-allow-origin").map(|v| v.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(allowed("http://localhost:3000").await.as_deref(), Some("http://localhost:3000"));
        assert_eq!(allowed("https://evil.example").await, None);
    }
}

#[tokio::test]
async fn a_stop_in_mid_cycle_writes_what_was_measured_and_ends_within_seconds() {
    let slow = Behaviour { ttft_ms: 600_000.0, ..quick() };
    // `timeout` signals the process and then its group: twice in a moment.
    for signals in [1, 2] {
        let mock = mock([("gpt-quick", Provider::OpenAi, quick()), ("gpt-hangs", Provider::OpenAi, slow.clone())]);
        let setup = full_mode(&mock).with([("LLM_API_TIMEOUT", "600"), ("RUST_LOG", "debug")]);
        let serving = setup.serve().await;
        // The quick ones have answered, the others never will.
        let dev = Environment::dev();
        while mock.answered(&dev, "gpt-quick") == 0 || mock.answered(&dev, "gpt-hangs") == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(serving.terminate_times(signals).await, Some(0));
        let csv = setup.csv();
        assert!(csv.contains("gpt-quick,dev"), "{csv}");
        assert!(!csv.contains("gpt-hangs"), "a probe that the monitor cut says nothing of the model:\n{csv}");
    }
}

#[tokio::test]
async fn what_the_usage_endpoint_said_is_kept_whenever_it_changed() {
    use crate::support::usage::Usage;
    let mock = mock([("gpt-a", Provider::OpenAi, quick())]);
    let (usage, address) = Usage::start(r#"[{"llmCode":"gpt-a","inputTokenRate":1e-6}]"#).await;
    let setup = full_mode(&mock).with([
        ("MULTI_ENV_MODE", "simple"),
        ("MONITOR_INTERVAL", "1"),
        ("DEV_USAGE_ENDPOINT", &format!("http://{address}/usage?team=a")),
        ("DEV_USAGE_TOKEN", "usage-secret"),
    ]);
    let mut serving = setup.serve().await;
    serving.cycle().await;
    serving.cycle().await;
    usage.says(r#"[{"llmCode":"gpt-a","inputTokenRate":2e-6}]"#);
    serving.cycle().await;
    serving.cycle().await;

    let folder = setup.folder().join("latency_data.d/usage/environment=dev");
    let files: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path()).collect();
    let kept: String = files.iter().map(|path| std::fs::read_to_string(path).expect("text")).collect();
    assert_eq!(kept.lines().filter(|line| line.contains(",0.000001,")).count(), 1, "{kept}");
    assert_eq!(kept.lines().filter(|line| line.contains(",0.000002,")).count(), 1, "{kept}");
    assert!(kept.starts_with("fetched_at,llm_code,"), "{kept}");
    assert!(!kept.contains("\n\n"), "an empty line is a row of nothing to some readers:\n{kept}");

    let asked = usage.asked();
    let (uri, headers) = asked.first().expect("it was asked");
    assert!(uri.starts_with("/usage?team=a&date=20"), "{uri}");
    assert_eq!(headers["authorization"], "Bearer usage-secret");
}
