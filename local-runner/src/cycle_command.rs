//! `cycle`: exactly one cycle, now.

use std::{process::ExitCode, time::Instant};

use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};
use llm_monitor_core::{
    cycle::{CycleReport, OnProgress, Progress},
    http::LatencyRecord,
    parts,
    probe::Schedule,
    record::CycleId,
    settings::Vars,
    store::Store,
};
use serde_json::json;

use crate::{
    cli::CycleArgs,
    output::{records_table, say},
    signals, unsaved,
    wiring::{self, StartError},
};

pub(crate) async fn run(vars: &Vars, args: &CycleArgs) -> Result<ExitCode, StartError> {
    let settings = wiring::settings(vars)?;
    let stop = signals::stop_on_signal()?;
    let shard = args.shard.shard;
    let store = wiring::open_store(&settings, shard).await?;
    let monitor = parts::monitor(&settings, store.clone()).with_shard(shard);

    let bar = progress_bar();
    let on_progress: &OnProgress<'_> = &|progress| match progress {
        Progress::Planned { environment, probes } => {
            bar.inc_length(probes as u64);
            bar.set_message(format!("{environment}: {probes} probes sent"));
        }
        Progress::Probed(record) => {
            bar.inc(1);
            bar.set_message(format!("{} {}", record.environment, record.model_name));
        }
        Progress::Writing { rows } => bar.set_message(format!("writing {rows} rows")),
    };
    // The id is the instant, to the second: running it again adds rows.
    let schedule = Schedule { cycle_id: CycleId::at(Utc::now()), due: Instant::now(), stop_by: None };
    let report = monitor.run(&schedule, &stop, on_progress).await;
    bar.finish_and_clear();

    let is_unsaved = unsaved::write_or_say(&store).await;
    print(&report, args, &store.health().await.location);
    Ok(exit_code(&report, is_unsaved))
}

fn progress_bar() -> ProgressBar {
    // Drawn on standard error, and only at a terminal.
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} probes  {elapsed}  {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    bar
}

fn print(report: &CycleReport, args: &CycleArgs, location: &str) {
    let summary = report.summary();
    if args.json {
        let records: Vec<LatencyRecord> = report.records.iter().cloned().map(LatencyRecord::from).collect();
        return say(json!({ "summary": summary, "records": records }).to_string());
    }
    say(records_table(&report.records).to_string());
    // A derived environment has the measured one's list, with the same problems.
    for catalog in report.catalogs.iter().filter(|catalog| !catalog.simulated) {
        let environment = &catalog.environment;
        for problem in &catalog.problems {
            say(format!("{environment}: {problem} (catalog: {:?})", catalog.source));
        }
        for model in &catalog.models {
            if let Some(reason) = &model.not_monitored {
                say(format!("{environment}: {} is not monitored: {reason}", model.name));
            }
        }
    }
    for record in report.records.iter().filter(|record| !record.simulated) {
        if let Some(message) = record.error_message() {
            say(format!("{} {}: {message}", record.environment, record.model_name));
        }
    }
    let failed = summary.probes - summary.succeeded;
    say(format!(
        "cycle {}: {} probes, {failed} failed, ${} spent, {} rows written to {location}",
        summary.cycle_id, summary.probes, summary.cost_usd, summary.written,
    ));
    for environment in &summary.already_there {
        say(format!("{environment}: this cycle was written already; nothing was added"));
    }
}

/// 0: all probes succeeded; 1: some failed; 2: nothing could be measured, or kept.
fn exit_code(report: &CycleReport, is_unsaved: bool) -> ExitCode {
    let summary = report.summary();
    match summary.probes {
        _ if is_unsaved => ExitCode::from(2),
        0 => ExitCode::from(2),
        _ if summary.succeeded < summary.probes || report.given_up > 0 => ExitCode::from(1),
        _ => ExitCode::SUCCESS,
    }
}
