//! LLM Monitor on one machine. `main` calls [`run`]; the [`mock`] servers are public because tests drive them too, and the
//! [`mock_history`] and [`FILE_THREADS`] because benchmarks use them.

mod backup;
mod calibrate;
mod check;
mod cli;
mod cost;
mod cycle_command;
mod day_counts;
mod demo;
mod export;
mod fresh;
mod import;
mod listener;
pub mod mock;
pub mod mock_history;
mod output;
mod progress;
mod rolling;
mod schedule;
mod serve;
mod serving_threads;
mod signals;
mod spill;
mod transfer;
mod unsaved;
mod verify;
mod watch;
mod wiring;
mod write_limit;

use std::{process::ExitCode, time::Duration};

use clap::Parser;
use llm_monitor_core::{
    settings::Vars,
    telemetry::{self, LogFormat},
};

use cli::{Cli, Command};
pub use serving_threads::FILE_THREADS;
use wiring::StartError;

/// What a program that could not run at all exits with; clap uses the same for a bad command line.
const COULD_NOT_RUN: u8 = 2;

/// Runs the program with the process's arguments.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let process = Vars::from_process();
    telemetry::init(LogFormat::Text, process.get("RUST_LOG").unwrap_or(log_filter(&cli.command)));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    let code = runtime.block_on(dispatch(cli)).unwrap_or_else(|error| fail(&error.to_string()));
    // All that had to be written is. A name's resolution cannot be broken off, and may take longer than a person waits.
    runtime.shutdown_timeout(Duration::from_secs(1));
    code
}

async fn dispatch(cli: Cli) -> Result<ExitCode, StartError> {
    let vars = || wiring::variables(cli.env_file.as_deref());
    match cli.command {
        Command::Serve(args) => serve::run(&vars().await?, args.shard).await.map(|()| ExitCode::SUCCESS),
        Command::Cycle(args) => cycle_command::run(&vars().await?, &args).await,
        Command::Check(args) => check::run(&vars().await?, &args).await,
        Command::Backup(args) => backup::command::run(&vars().await?, &args).await,
        Command::Import(args) => import::command::run(&vars().await?, &args).await,
        Command::Export(args) => export::run(&vars().await?, &args).await,
        Command::Verify(args) => {
            let vars = if args.needs_settings() { vars().await? } else { Vars::default() };
            verify::command::run(&vars, &args).await
        }
        Command::Cost(args) => Ok(cost::run(&args)),
        Command::Watch(args) => watch::run(&wiring::variables_to_ask(cli.env_file.as_deref()).await?, args).await,
        Command::Demo(args) => demo::run(&args).await.map(|()| ExitCode::SUCCESS),
        Command::Calibrate(args) => Ok(calibrate::command::run(args).await?),
        Command::CalibrateServer => Ok(calibrate::server::run().map(|()| ExitCode::SUCCESS)?),
        Command::MockHistory(args) => Ok(mock_history::command::run(&args)?),
        Command::Mock(args) => Ok(mock::command::run(args).await.map(|()| ExitCode::SUCCESS)?),
    }
}

/// `RUST_LOG` where it is set. Otherwise what runs for long says what it does, and what prints a result stays quiet.
fn log_filter(command: &Command) -> &'static str {
    match command {
        Command::Serve(_) | Command::Mock(_) => "info",
        Command::Demo(_) | Command::Watch(_) => "error",
        _ => "warn",
    }
}

fn fail(problems: &str) -> ExitCode {
    for line in problems.lines() {
        output::tell(format!("llm-monitor: {line}"));
    }
    ExitCode::from(COULD_NOT_RUN)
}
