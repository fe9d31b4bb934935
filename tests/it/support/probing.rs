//! Probes sent from a test.

use std::time::{Duration, Instant};

use chrono::Utc;
use llm_monitor_core::{
    catalog::{Prices, Target},
    probe::{DEFAULT_PROMPT, Prober, Schedule},
    provider::{Access, Provider},
    record::{CycleId, Environment, Record},
};

/// Long enough for anything that ends by itself.
pub(crate) const PATIENT: Duration = Duration::from_secs(20);

/// A target at `base_url` with the key `sk-test-0123456789` and the prices of gpt-4o-mini.
pub(crate) fn target(provider: Provider, base_url: &str) -> Target {
    Target {
        environment: Environment::dev(),
        model: "gpt-4o-mini".to_owned(),
        provider,
        provider_model: "gpt-4o-mini".to_owned(),
        access: Access {
            base_url: base_url.parse().expect("a URL"),
            api_key: Some("sk-test-0123456789".to_owned().into()),
            api_version: None,
        },
        prices: Some(Prices {
            input_usd_per_token: "0.00000015".parse().expect("a rate"),
            output_usd_per_token: "0.0000006".parse().expect("a rate"),
        }),
        context_window: Some(128_000),
        is_cloud: false,
        prompt: DEFAULT_PROMPT.into(),
        max_output_tokens: 128,
        timeout: PATIENT,
    }
}

/// A schedule that is due now.
pub(crate) fn due_now() -> Schedule {
    Schedule { cycle_id: CycleId::at(Utc::now()), due: Instant::now(), stop_by: None }
}

/// One probe of an OpenAI-compatible server at `base_url`, cut after `timeout`.
pub(crate) async fn probe_within(base_url: &str, timeout: Duration) -> Record {
    let target = Target { timeout, ..target(Provider::OpenAi, base_url) };
    Prober::new("here").probe(&target, &due_now()).await
}

/// One probe of an OpenAI-compatible server at `base_url`.
pub(crate) async fn probe(base_url: &str) -> Record {
    probe_within(base_url, PATIENT).await
}
