//! AWS Lambda: one monitoring cycle per scheduled event.

mod event;

use std::time::{Duration, Instant, SystemTime};

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use llm_monitor_core::{
    cycle::{Monitor, Summary},
    parts,
    probe::Schedule,
    record::CycleId,
    settings::{Host, Settings, Vars},
    telemetry::{self, LogFormat},
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use event::Trigger;

/// Kept free before the function's deadline, to write what was measured.
const WRITE_TIME: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Error> {
    let vars = Vars::from_process();
    telemetry::init(LogFormat::Json, vars.get("RUST_LOG").unwrap_or("info"));
    let settings = Settings::from_vars(&vars, Host::Lambda)?;
    let store = parts::open_store(&settings).await?;
    let monitor = parts::monitor(&settings, store)?;
    let monitor = &monitor;
    run(service_fn(async move |event: LambdaEvent<Value>| handle(monitor, event).await)).await
}

/// Runs the cycle that `event` asks for. An error only when nothing could be stored: a second try may then help.
async fn handle(monitor: &Monitor, event: LambdaEvent<Value>) -> Result<Summary, Error> {
    let trigger = Trigger::parse(&event.payload)?;
    let time_left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
    let schedule = Schedule {
        cycle_id: CycleId::at(trigger.scheduled),
        due: Instant::now(),
        stop_by: Some(Instant::now() + time_left.saturating_sub(WRITE_TIME)),
    };
    let summary = monitor.run(&schedule, &CancellationToken::new(), &|_| {}).await.summary();
    let is_stored = summary.written > 0 || !summary.already_there.is_empty();
    match summary.write_errors.values().next() {
        Some(error) if !is_stored => Err(format!("nothing could be stored: {error}").into()),
        _ => Ok(summary),
    }
}
