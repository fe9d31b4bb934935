//! Many cycles in one process leave nothing behind: no task, socket, file or thread, and no memory beyond its bounds.
//! `SOAK_CYCLES=10000` runs as many (default 300).

use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{provider::Provider, record::Environment};
use serde_json::Value;

use crate::support::monitor::Setup;

/// How much more memory may be held after all cycles than after the first fifth: what is kept of each row for readers (some 93 bytes, up
/// to `MEMORY_LIMIT_MB`) with its place in the index, and what happens to be under way. A leak of 1 KiB a cycle is more. Resident memory
/// is printed and not judged: it holds what the C library keeps of freed memory, too, and pages of the program that were not needed before.
const GROWTH_BYTES: u64 = 64 * 1024;
const GROWTH_BYTES_A_ROW: u64 = 128;

#[tokio::test]
#[cfg(target_os = "linux")]
async fn cycles_at_full_speed_leave_nothing_behind() {
    let cycles: u64 = std::env::var("SOAK_CYCLES").map_or(300, |count| count.parse().expect("SOAK_CYCLES: a number"));
    let behaviour = Behaviour { ttft_ms: 0.0, pace_ms: 0.0, output_tokens: 4, ..Behaviour::default() };
    let models = ["gpt-a", "gpt-b"].map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let setup = Setup::new().with(mock.settings(&[Environment::dev()])).with([
        ("ENVIRONMENTS", "dev"),
        ("MULTI_ENV_MODE", "full"),
        ("MEMORY_LIMIT_MB", "16"),
    ]);
    let printed = setup.example("soak", &[&cycles.to_string(), "25"]).await;
    let held: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [warm, end] = held.as_slice() else { panic!("two lines: {printed}") };
    let grown = |what: &str| {
        let of = |held: &Value| held[what].as_u64().unwrap_or_else(|| panic!("{what} in {held}"));
        of(end).saturating_sub(of(warm))
    };
    eprintln!("soak: {warm} … {end}");
    // What happens to be open at one of two instants: a connection that is closing, the timer's sampler, a pooled connection.
    assert!(grown("files") <= 4, "files or sockets: {printed}");
    assert!(grown("tasks") <= 4, "tasks: {printed}");
    // Blocking threads come and go, at most as many as there are cores and stores.
    assert!(grown("threads") <= 8, "threads: {printed}");
    let most_bytes = GROWTH_BYTES + 2 * (cycles - cycles / 5) * GROWTH_BYTES_A_ROW;
    assert!(grown("heap_bytes") <= most_bytes, "memory, more than {most_bytes} bytes: {printed}");
    let rows = setup.csv().lines().count() as u64;
    assert_eq!(rows, 1 + 2 * cycles, "a header, and a row for each probe");
}
