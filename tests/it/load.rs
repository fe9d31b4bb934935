//! `/api/*` under far more clients than it takes on: it says so at once, monitoring goes on, and afterwards all is as before.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{provider::Provider, record::Environment};
use serde_json::Value;

use crate::support::{
    http::{client, get_json},
    monitor::Setup,
};

/// Connections, each of which asks again as soon as it is answered.
const CLIENTS: usize = 256;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_requests_is_shed_and_no_cycle_is_lost() {
    let behaviour = Behaviour { ttft_ms: 20.0, pace_ms: 1.0, output_tokens: 8, ..Behaviour::default() };
    let models = ["gpt-a", "gpt-b"].map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let setup = Setup::new().with(mock.settings(&[Environment::dev()])).with([("MONITOR_INTERVAL", "1")]);
    let mut serving = setup.serve().await;
    serving.cycle().await;

    let over = Arc::new(AtomicBool::new(false));
    let (answered, shed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let paths = ["/api/latency?limit=1000", "/api/summary", "/api/series?metric=ttft_ms", "/api/models"];
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let url = serving.url(paths[number % paths.len()]);
        let (over, answered, shed) = (Arc::clone(&over), Arc::clone(&answered), Arc::clone(&shed));
        clients.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let response = client().get(&url).send().await.expect("an answer");
                let retry =
                    response.headers().get("retry-after").map(|value| value.to_str().expect("ASCII").to_owned());
                match response.status().as_u16() {
                    200 => answered.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert_eq!(retry.as_deref(), Some("1"), "says when to ask again");
                        shed.fetch_add(1, Ordering::Relaxed)
                    }
                    other => panic!("{url}: {other}"),
                };
                response.bytes().await.expect("a whole body");
            }
        }));
    }
    for _ in 0..4 {
        serving.cycle().await;
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("every answer was 200 or 503");
    }
    let (answered, shed) = (answered.load(Ordering::Relaxed), shed.load(Ordering::Relaxed));
    assert!(answered > 0 && shed > 0, "{answered} answered, {shed} shed");

    let records = get_json(&serving.url("/api/latency?environment=dev&limit=1000")).await;
    let records = records.as_array().expect("a list");
    assert!(records.len() >= 10, "five cycles of two models: {}", records.len());
    for record in records {
        assert_eq!(record["status"], "success", "{record}");
        assert!(record["client_delay_ms"].is_number(), "each says how late the monitor itself was: {record}");
    }
    let worst = |field: &str| records.iter().filter_map(|r| r[field].as_f64()).fold(0.0, f64::max);
    eprintln!("load: {answered} answered, {shed} shed, client_delay_ms {} at most", worst("client_delay_ms"));
    let health: Value = get_json(&serving.url("/health")).await;
    assert_eq!(health["status"], "ok", "{health}");
}
