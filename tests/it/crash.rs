//! `kill -9` in mid-cycle loses no row that the API had shown.

use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{provider::Provider, record::Environment};

use crate::support::{http::get_json, monitor::Setup};

#[tokio::test]
async fn what_the_api_had_shown_is_there_after_kill_9_in_mid_cycle() {
    let behaviour = Behaviour { ttft_ms: 150.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models = ["gpt-a", "gpt-b", "gpt-c"].map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let setup = Setup::new().with(mock.settings(&[Environment::dev()])).with([("MONITOR_INTERVAL", "1")]);

    let mut rows = 0;
    for round in 1..=5 {
        let mut serving = setup.serve().await;
        serving.cycle().await;
        let shown = get_json(&serving.url("/api/latency?limit=1000")).await;
        let shown = shown.as_array().expect("an array").clone();
        assert!(shown.len() > rows, "round {round}");
        // The next cycle's probes are on their way.
        let answered = mock.answered(&Environment::dev(), "gpt-a");
        while mock.answered(&Environment::dev(), "gpt-a") == answered {
            tokio::task::yield_now().await;
        }
        serving.kill().await;

        let serving = setup.serve().await;
        let after = get_json(&serving.url("/api/latency?limit=1000")).await;
        let after = after.as_array().expect("an array");
        for record in &shown {
            assert!(after.contains(record), "lost in round {round}: {record}");
        }
        rows = shown.len();
        serving.kill().await;
    }
}
