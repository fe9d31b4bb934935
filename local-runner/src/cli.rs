//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use llm_monitor_core::cycle::Shard;

use crate::{backup, calibrate, cost, export, import, mock, mock_history, verify, watch};

/// Measures what your language models really feel like, in every environment, right now and over time, and what they cost.
#[derive(Debug, Parser)]
#[command(
    name = "llm-monitor",
    version,
    max_term_width = 100,
    after_help = "Settings are environment variables, also read from a .env file; .env.example documents each.\n\n\
                  Examples:\n  \
                  llm-monitor demo     see it work: no key, no internet, nothing to set up\n  \
                  llm-monitor check    are my settings right, and what will a day cost?\n  \
                  llm-monitor serve    monitor, and answer on http://127.0.0.1:8000"
)]
pub(crate) struct Cli {
    /// File of variables; real environment variables win over it [default: .env, if there is one]
    #[arg(long, global = true, value_name = "FILE", display_order = 900)]
    pub(crate) env_file: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Monitor every MONITOR_INTERVAL seconds, and serve the API, until stopped
    #[command(after_help = "SIGINT (Ctrl-C) and SIGTERM write what was measured and stop within seconds.\n\n\
                            Example:\n  MULTI_ENV_MODE=full MONITOR_INTERVAL=60 llm-monitor serve")]
    Serve(ShardArgs),
    /// Run exactly one monitoring cycle now, and print what it measured
    #[command(after_help = "Exit code: 0 all probes succeeded, 1 some failed, 2 could not run.\n\n\
                            Examples:\n  llm-monitor cycle\n  llm-monitor cycle --json | jq '.records[] | .ttft_ms'")]
    Cycle(CycleArgs),
    /// Check the settings, reach the usage endpoints, and forecast what a day of monitoring costs
    #[command(
        after_help = "Exit code: 0 all is well, 1 something would not be monitored as it should, 2 unusable settings.\n\n\
                            Examples:\n  llm-monitor check\n  llm-monitor check --probe     also send each model one probe"
    )]
    Check(CheckArgs),
    Import(import::command::Args),
    Export(export::Args),
    Backup(backup::command::Args),
    Verify(verify::command::Args),
    /// What a month of monitoring in AWS costs: compute, requests, storage, tokens, from named prices
    #[command(after_help = "Reads no settings and asks nobody.\n\n\
                            Examples:\n  llm-monitor cost\n  llm-monitor cost --pairs 40 --interval 300")]
    Cost(cost::Args),
    /// The matrix of models and environments, live in the terminal, from a running server
    #[command(
        after_help = "Draws anew until Ctrl-C; where standard output is no terminal, prints without colours and never clears. \
                            NO_COLOR is heeded.\n\n\
                            Exit code: 0 every monitored model is known to work, 1 some model is failing or unknown,\n\
                            2 the server is unreachable (or refuses).\n\n\
                            Examples:\n  llm-monitor watch\n  llm-monitor watch --once || echo look\n  \
                            API_TOKEN=... llm-monitor watch --url https://monitor.example.com --window 24h"
    )]
    Watch(watch::Args),
    /// See it work: a mock of everything outside, and the monitor, in one process
    #[command(after_help = "Needs no key and no internet. Leaves nothing behind but the CSV file that it names.\n\n\
                            Examples:\n  llm-monitor demo\n  llm-monitor demo --interval 2 --cycles 3")]
    Demo(DemoArgs),
    /// Serve a usage endpoint and LLM servers that really stream, for trying things out
    Mock(mock::command::Args),
    MockHistory(mock_history::command::Args),
    Calibrate(calibrate::command::Args),
    /// What `calibrate` measures against
    #[command(hide = true)]
    CalibrateServer,
}

#[derive(Debug, Args)]
pub(crate) struct ShardArgs {
    /// Send only this share of the probes: number I (from 0) of N monitors that write to one bucket (STORE=s3)
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    pub(crate) shard: Shard,
}

#[derive(Debug, Args)]
pub(crate) struct CycleArgs {
    #[command(flatten)]
    pub(crate) shard: ShardArgs,
    /// Print one JSON object (summary and records) instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Also send every model one probe (this costs money, a fraction of a cent for most models)
    #[arg(long)]
    pub(crate) probe: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Seconds between cycles
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) interval: u64,
    /// Stop after this many cycles instead of going on until Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cycles: Option<u64>,
    /// The file that the demo writes. One that holds real records is left alone: FILE-demo.csv is taken instead
    #[arg(long, default_value = "latency_data.csv", value_name = "FILE")]
    pub(crate) csv: PathBuf,
    /// Where the API listens; the next free port is taken if it is busy
    #[arg(long, default_value = "127.0.0.1:8000", value_name = "HOST:PORT")]
    pub(crate) listen: String,
}
