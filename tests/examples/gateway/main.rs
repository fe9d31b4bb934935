//! The deployment, as far as a browser can tell, on this machine: the real function binaries under a Lambda Runtime API, the
//! monitor started by a clock, their records in an S3 server in this process, and HTTP handed to the API function as API Gateway
//! does it. `tests/browser/run` opens it; so may a person:
//!
//! ```sh
//! cargo run -p llm-monitor-tests --example gateway
//! ```
// A stand-in that fails is a failed test.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stdout)]

mod payload;
// The tests use the rest of it.
#[allow(dead_code)]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use chrono::{SecondsFormat, Utc};
use llm_monitor::mock::{Mock, MockConfig};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep_until},
};

use support::{
    cloud::{bucket, with},
    lambda::Function,
    s3_server::{BUCKET, InProcess, KEY_ID, SECRET},
};

/// Between cycles at least.
const INTERVAL: Duration = Duration::from_secs(1);
/// Instances of the API function, so that one that remembers what another does not know is found out.
const INSTANCES: usize = 3;

/// The API function's instances, asked in turn.
struct Gateway {
    instances: Vec<Function>,
    next: AtomicUsize,
}

#[tokio::main]
async fn main() {
    let config = MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::built_in().expect("the preset") };
    let environments = config.environment_names();
    let (mock, server) = (Mock::start(config).expect("a mock"), InProcess::start().await);
    let mut variables = mock.settings(&environments);
    variables.extend(bucket(&format!("http://{}", server.address), BUCKET, KEY_ID, SECRET));
    // As the demo has it.
    let variables = with(variables, "LLM_API_TIMEOUT", "4");

    let monitor = Function::start("monitor", variables.clone()).await;
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(Function::start("api", variables.clone()).await);
    }
    let gateway = Arc::new(Gateway { instances, next: AtomicUsize::new(0) });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("listening on http://{} ", listener.local_addr().expect("an address"));
    let router = Router::new().fallback(hand_on).with_state(gateway);

    let mut terminate = signal(SignalKind::terminate()).expect("a signal");
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served.expect("it serves"),
        () = schedule(&monitor) => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    // Dropped, the functions end.
}

/// What EventBridge Scheduler does, more often.
async fn schedule(monitor: &Function) {
    loop {
        let next = Instant::now() + INTERVAL;
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let summary = monitor.invoke(&json!({"time": time, "shard": 0, "shards": 1})).await.expect("a summary");
        assert_eq!(summary["write_errors"], json!({}), "{summary}");
        sleep_until(next).await;
    }
}

async fn hand_on(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let Some(event) = payload::event(request).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let turn = gateway.next.fetch_add(1, Ordering::Relaxed) % gateway.instances.len();
    let answer = gateway.instances[turn].invoke(&event).await;
    if let Err(error) = &answer {
        eprintln!("the function failed: {error}");
    }
    // What API Gateway says of a function that failed, or that answered what it cannot take.
    let failed = || (StatusCode::INTERNAL_SERVER_ERROR, axum::Json(json!({"message": "Internal Server Error"})));
    answer.ok().and_then(|answer| payload::response(&answer)).unwrap_or_else(|| failed().into_response())
}
