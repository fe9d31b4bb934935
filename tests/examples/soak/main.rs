//! Cycles without a pause, and requests between them: what a process holds after the first of them and after the last. Settings are
//! read from the environment as `serve` reads them; `soak CYCLES ASKED_EVERY` prints one line of JSON for each of the two, and asks the
//! API after so many cycles each.
#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test's program: it fails loudly and tells its caller by what it prints"
)]

use std::{alloc::System, fs, sync::Arc, time::Instant};

use axum::{
    Router,
    body::{Body, to_bytes},
};
use chrono::{TimeDelta, Utc};
use http::Request;
use llm_monitor_core::{
    http::router,
    parts,
    probe::Schedule,
    record::{CycleId, Record},
    settings::{Host, Settings, Vars},
};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Counts what is held, which resident memory says only with the holes of the C library's allocator on top.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[tokio::main]
async fn main() {
    let number = |at| std::env::args().nth(at).and_then(|count| count.parse::<u64>().ok());
    let (cycles, asked_every) = (number(1).expect("how many cycles"), number(2).expect("how many between requests"));
    let vars: Vars = std::env::vars().collect();
    let settings = Settings::from_vars(&vars, Host::Local).expect("settings");
    let store = parts::open_store(&settings).await.expect("a store");
    let monitor = parts::monitor(&settings, Arc::clone(&store));
    let routes = router(parts::api(&settings, Arc::clone(&store), Some(Utc::now())));
    let (stop, first) = (CancellationToken::new(), Utc::now());
    // What grows to its bound grows in the first fifth.
    let warm = cycles / 5;
    for number in 1..=cycles {
        // A second apart, as ids are by the second; run as fast as they end.
        let scheduled = first + TimeDelta::seconds(number.cast_signed());
        let schedule = Schedule { cycle_id: CycleId::at(scheduled), due: Instant::now(), stop_by: None };
        let report = monitor.run(&schedule, &stop, &|_| {}).await;
        assert!(report.records.iter().all(Record::is_success), "cycle {number}: {report:?}");
        if number % asked_every == 0 {
            ask(&routes).await;
        }
        if number == warm || number == cycles {
            println!("{}", held(number));
        }
    }
}

async fn ask(routes: &Router) {
    for path in ["/api/latency?limit=1000", "/api/summary", "/health", "/metrics"] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let answer = routes.clone().oneshot(request).await.expect("an answer");
        assert!(answer.status().is_success() || path == "/health", "{path}: {}", answer.status());
        to_bytes(answer.into_body(), usize::MAX).await.expect("a whole answer");
    }
}

/// What this process holds now, of what could leak.
fn held(cycle: u64) -> serde_json::Value {
    let entries = |folder: &str| fs::read_dir(folder).expect("Linux").count();
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let rss_kib: Option<u64> = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    let heap = ALLOCATOR.stats();
    json!({
        "cycle": cycle,
        "heap_bytes": heap.bytes_allocated.saturating_sub(heap.bytes_deallocated),
        "files": entries("/proc/self/fd"),
        "threads": entries("/proc/self/task"),
        "tasks": Handle::current().metrics().num_alive_tasks(),
        "rss_kib": rss_kib,
    })
}
