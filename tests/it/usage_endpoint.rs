//! A usage endpoint that is down, slow or speaks nonsense: another catalog is used instead, a warning says so, `/health` too.

use llm_monitor::mock::{Behaviour, Mock, MockConfig, MockServer};
use llm_monitor_core::{provider::Provider, record::Environment};

use crate::support::{
    http::get_json,
    monitor::{Serving, Setup},
    usage::Usage,
};

fn mock() -> MockServer {
    let quick = Behaviour { ttft_ms: 1.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models = [("gpt-4o-mini", Provider::OpenAi, quick.clone()), ("gpt-own", Provider::OpenAi, quick)];
    Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) }).expect("a mock")
}

async fn serve_with(mock: &MockServer, endpoint: &str) -> (Setup, Serving) {
    let setup = Setup::new().with(mock.settings(&[Environment::dev()])).with([
        ("MULTI_ENV_MODE", "simple"),
        ("MONITOR_INTERVAL", "1"),
        ("LLM_API_TIMEOUT", "1"),
        ("DEV_USAGE_ENDPOINT", endpoint),
    ]);
    let serving = setup.serve().await;
    (setup, serving)
}

/// What `/health` says of dev's catalog.
async fn catalog_health(serving: &Serving) -> (String, String) {
    let health = get_json(&serving.url("/health")).await;
    let catalog = &health["environments"]["dev"]["catalog"];
    (catalog["source"].as_str().unwrap_or_default().to_owned(), catalog["problems"].to_string())
}

#[tokio::test]
async fn with_no_list_ever_the_built_in_one_is_monitored_without_prices() {
    for (body, status, problem) in [
        ("<html>", 200, "not JSON"),
        ("{}", 200, "expected an array"),
        ("[]", 503, "HTTP 503"),
        (&"[".repeat(9 * 1024 * 1024), 200, "larger than 8 MiB"),
    ] {
        let (mock, (usage, address)) = (mock(), Usage::start("").await);
        usage.answers(status, body);
        let (_setup, mut serving) = serve_with(&mock, &format!("http://user:geheim@{address}/usage?key=geheim")).await;
        serving.cycle().await;
        let records = get_json(&serving.url("/api/latency?model=gpt-4o-mini")).await;
        assert_eq!(records[0]["status"], "success", "{records}");
        assert!(records[0]["cost"].is_null(), "an unknown price is not 0: {records}");
        let (source, problems) = catalog_health(&serving).await;
        assert_eq!(source, "built_in");
        assert!(problems.contains(problem), "{problems}");
        assert!(serving.log().contains(problem), "{}", serving.log());
        assert!(!serving.log().contains("geheim") && !problems.contains("geheim"));
    }
}

#[tokio::test]
async fn the_last_good_list_holds_while_the_endpoint_is_down_also_after_a_restart() {
    let (mock, (usage, address)) =
        (mock(), Usage::start(r#"[{"llmCode":"gpt-own","inputTokenRate":1e-6,"outputTokenRate":1e-6}]"#).await);
    let (setup, mut serving) = serve_with(&mock, &format!("http://{address}/usage")).await;
    serving.cycle().await;
    assert_eq!(catalog_health(&serving).await.0, "usage_endpoint");
    usage.answers(500, "down");
    serving.wait_for("the last good catalog").await;
    serving.cycle().await;
    assert_eq!(catalog_health(&serving).await.0, "last_good");
    serving.kill().await;

    let mut serving = setup.serve().await;
    serving.wait_for("the last good catalog").await;
    serving.cycle().await;
    let newest = get_json(&serving.url("/api/latency?limit=1&environment=dev")).await;
    assert_eq!((newest[0]["model_name"].as_str(), newest[0]["cost"].is_null()), (Some("gpt-own"), false), "{newest}");
}

#[tokio::test]
async fn a_day_that_begins_without_use_goes_on_with_the_models_of_the_day_before() {
    let list = r#"[{"llmCode":"gpt-own","cost":5,"inputTokenRate":1e-6,"outputTokenRate":1e-6}]"#;
    let (mock, (usage, address)) = (mock(), Usage::start("[]").await);
    usage.answers_of_other_days(200, list);
    let (_setup, mut serving) = serve_with(&mock, &format!("http://{address}/usage")).await;
    serving.cycle().await;
    assert_eq!(catalog_health(&serving).await, ("usage_endpoint".to_owned(), "[]".to_owned()));
    let model = &get_json(&serving.url("/api/models?environment=dev")).await["gpt-own"];
    let daily_cost = model["usage_stats"]["daily_cost"].as_f64();
    assert_eq!((model["monitored"].as_bool(), daily_cost), (Some(true), Some(0.0)), "{model}");

    usage.answers_of_other_days(500, "down");
    serving.wait_for("the last good catalog").await;
    serving.cycle().await;
    assert_eq!(catalog_health(&serving).await.0, "last_good");
}

#[tokio::test]
async fn a_bad_entry_is_skipped_with_a_warning_and_costs_no_other() {
    let (mock, (_usage, address)) = (
        mock(),
        Usage::start(r#"[{"llmCode":"gpt-4o-mini","inputTokenRate":-5},{"llmCode":"gpt-own"},{"cost":1}]"#).await,
    );
    let (_setup, mut serving) = serve_with(&mock, &format!("http://{address}/usage")).await;
    serving.cycle().await;
    let records = get_json(&serving.url("/api/latency?environment=dev")).await;
    assert_eq!(records.as_array().map(Vec::len), Some(1), "{records}");
    assert!(serving.log().contains("inputTokenRate") && serving.log().contains("-5"), "{}", serving.log());
    assert!(catalog_health(&serving).await.1.contains("no llmCode"));
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_or_never_answers_stops_nothing() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let silent_url = format!("http://{}/usage", silent.local_addr().expect("an address"));
    for (endpoint, problem) in
        [("http://127.0.0.1:1/usage", "cannot be reached"), (silent_url.as_str(), "did not answer within 1 s")]
    {
        let mock = mock();
        let (_setup, mut serving) = serve_with(&mock, endpoint).await;
        serving.cycle().await;
        let (source, problems) = catalog_health(&serving).await;
        assert!(source == "built_in" && problems.contains(problem), "{source} {problems}");
    }
}
