//! `check`: what would be monitored, what not and why, and what a day costs.

use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{provider::Provider, record::Environment};

use crate::support::{monitor::Setup, usage::Usage};

const USAGE: &str =
    r#"[{"llmCode":"gpt-4o","inputTokenRate":1e-6,"outputTokenRate":1e-5},{"llmCode":"mistral-large"}]"#;

#[tokio::test]
async fn it_lists_what_is_monitored_and_why_not_and_forecasts_a_day_without_sending_a_probe() {
    let behaviour = Behaviour { ttft_ms: 1.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models = [("gpt-4o", Provider::OpenAi, behaviour)];
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let (_usage, address) = Usage::start(USAGE).await;
    let setup = Setup::new().with(mock.settings(&[Environment::dev()])).with([
        ("DEV_USAGE_ENDPOINT", format!("http://user:geheim@{address}/usage")),
        ("PROBE_MAX_OUTPUT_TOKENS", "100".to_owned()),
        ("PROBE_PROMPT", "x".repeat(400)),
    ]);
    let ended = setup.run(&["check"]).await;
    assert_eq!(ended.code, Some(1), "mistral-large is not monitored: {}", ended.stderr);
    for expected in [
        "MODEL_PROVIDERS=mistral-large=openai",
        // 1,440 × (120 × 1e-6 + 100 × 1e-5)
        "1440 probes (1 models every 60 s), at most $1.6128",
        "No probe was sent",
    ] {
        assert!(ended.stdout.contains(expected), "{expected} is missing in\n{}", ended.stdout);
    }
    assert!(!ended.stdout.contains("geheim"));
    assert_eq!(mock.answered(&Environment::dev(), "gpt-4o"), 0);
    assert!(!setup.csv_path().exists(), "nothing is written");

    let ended = setup.run(&["check", "--probe"]).await;
    assert!(ended.stdout.contains(" ok "), "{}", ended.stdout);
    assert_eq!(mock.answered(&Environment::dev(), "gpt-4o"), 1);
}
