//! `llm-monitor verify`.

use std::{path::PathBuf, process::ExitCode};

use clap::Args as ClapArgs;
use llm_monitor_core::{
    parts,
    settings::{StoreSettings, Vars},
};

use super::{Report, file::Checks, folder, objects};
use crate::{
    output::{bytes, say},
    progress,
    wiring::{self, StartError},
};

const EXAMPLES: &str = "\
Exit code: 0 all is well, 1 something is wrong, 2 something could not be read.
Nothing is changed, and `serve` may go on meanwhile.

Examples:
  llm-monitor verify                        the store that the settings name
  llm-monitor verify latency_data.csv       this file, and its finished days in latency_data.d
  llm-monitor verify backup/ other.csv.gz   everything below a folder, a packed file
  llm-monitor verify --json | jq .problems";

/// Read every record there is, count them, and name what is wrong
///
/// Names each row that cannot be read, rows that are there twice, cycles that ran twice, rows in the file of another day or
/// environment, and files that end within a row, by file and line. Damaged rollups are told too, and are no problem: they are made
/// anew.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files and folders to read instead of the settings' store
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON object: counts by environment and day, and the problems
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Whether settings say what is read.
    pub(crate) fn needs_settings(&self) -> bool {
        self.paths.is_empty()
    }
}

pub(crate) async fn run(vars: &Vars, args: &Args) -> Result<ExitCode, StartError> {
    let mut checks = Checks::new(if args.json { Report::keeping() } else { Report::default() });
    let bar = progress::bytes(Some(0));
    if args.paths.is_empty() {
        let settings = wiring::settings(vars)?;
        match &settings.storing.store {
            StoreSettings::File { path } => folder::check_store(&mut checks, path, &bar)?,
            StoreSettings::S3(_) => {
                let store = parts::open_store(&settings).await?;
                objects::check_store(&mut checks, &store, &bar).await?;
            }
        }
    }
    for path in &args.paths {
        folder::check_path(&mut checks, path, &bar)?;
    }
    let report = checks.finish()?;
    bar.finish_and_clear();
    if args.json {
        say(report.json().to_string());
    } else {
        report.print(&bytes(report.bytes));
    }
    Ok(ExitCode::from(match (report.is_whole(), report.is_clean()) {
        (false, _) => 2,
        (_, false) => 1,
        _ => 0,
    }))
}
