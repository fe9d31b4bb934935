//! `llm-monitor import`.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Args as ClapArgs;
use llm_monitor_core::{
    parts,
    record::Environment,
    settings::{Settings, StoreSettings, Vars},
    store::{MemoryStore, Store},
};
use serde_json::{Value, json};

use super::{input::Input, sorted::Sorted};
use crate::{
    output::say,
    progress,
    transfer::{Day, Transferred},
    wiring::{self, StartError},
};

/// What one day's append to a bucket may take, retries included: nobody waits for it as for a cycle's.
const APPEND_BUDGET: Duration = Duration::from_secs(600);

const EXAMPLES: &str = "\
Takes the Python predecessor's files in every shape and mixture, this program's own, and both packed by gzip; `-` is standard \
input. Rows go into the store that the settings name, file or S3, each once: what is there already, alike in every column, is \
not added again. Rows that cannot be read are set aside in FILE.import.rejected, in the working folder where nothing may \
be written beside FILE. A local store must not be in use by `serve`.

Exit code: 0 every row is in the store, 1 some were set aside, 2 could not be done.

Examples:
  llm-monitor import --dry-run old/latency_data.csv     what would come of it?
  llm-monitor import old/latency_data.csv
  llm-monitor import --environment prod prod-2025.csv.gz prod-2026.csv.gz
  zcat archive/*.csv.gz | llm-monitor import -";

/// Lines that are named to a person; the others are counted.
const NAMED: usize = 20;

/// Add the records of other files to the store, each once
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// CSV files, packed or not; `-` for standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The environment of rows that name none [default: dev]
    #[arg(long, value_name = "NAME")]
    environment: Option<Environment>,
    /// Read and compare, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object: for each file the rows taken, already there and set aside, by environment and day
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(vars: &Vars, args: &Args) -> Result<ExitCode, StartError> {
    let settings = wiring::settings(vars)?;
    // All of them, before anything is changed.
    let mut inputs = args.files.iter().map(|path| Input::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let store = open(&settings, args.dry_run).await?;
    store.set_append_budget(APPEND_BUDGET);
    let mut reports = Vec::new();
    let mut is_any_rejected = false;
    // One after the other: a row that is in two of the files is one row.
    for input in &mut inputs {
        let imported = import(store.as_ref(), input, args).await?;
        is_any_rejected |= imported.sorted.rejected > 0;
        if args.json {
            reports.push(imported.json(input));
        } else {
            imported.print(input, args.dry_run, &settings);
        }
    }
    if args.json {
        say(json!({ "dry_run": args.dry_run, "files": reports }).to_string());
    }
    Ok(ExitCode::from(u8::from(is_any_rejected)))
}

async fn open(settings: &Settings, is_rehearsal: bool) -> Result<Arc<dyn Store>, StartError> {
    match &settings.storing.store {
        _ if !is_rehearsal => Ok(parts::open_store(settings).await?),
        StoreSettings::File { path } if !path.exists() => Ok(Arc::new(MemoryStore::default())),
        _ => wiring::open_store_to_read(settings).await,
    }
}

/// What became of one file.
struct Imported {
    sorted: Sorted,
    done: Transferred,
}

async fn import(store: &dyn Store, input: &mut Input, args: &Args) -> anyhow::Result<Imported> {
    let bar = progress::bytes((input.len > 0).then_some(input.len));
    bar.set_message(input.name.clone());
    let mut sorted = Sorted::read(input, args.environment.as_ref(), args.dry_run, &bar)?;
    bar.finish_and_clear();
    let bar = progress::rows(Some(sorted.rows));
    let mut done = Transferred::default();
    let temporary = "cannot read the rows that were sorted";
    for day in sorted.days.keys() {
        bar.set_message(day.to_string());
        let mut rows = sorted.take(day).context(temporary)?;
        let mut of_day = Day::begin(store, day, args.dry_run).await?;
        while let Some(record) = rows.next().context(temporary)? {
            of_day.add(record, &mut done).await?;
            bar.inc(1);
        }
        of_day.finish(&mut done).await?;
    }
    bar.finish_and_clear();
    Ok(Imported { sorted, done })
}

impl Imported {
    fn print(&self, input: &Input, is_rehearsal: bool, settings: &Settings) {
        let Self { sorted, done } = self;
        let taken = if is_rehearsal { "would be taken" } else { "taken" };
        say(format!(
            "{}: {} {taken}, {} already there, {} set aside",
            input.name,
            done.taken.total(),
            done.there.total(),
            sorted.rejected
        ));
        let named = sorted.problems.get(..NAMED).unwrap_or(&sorted.problems);
        for (line, reason) in named {
            say(format!("  line {line}: {reason}"));
        }
        let unnamed = sorted.rejected.saturating_sub(named.len() as u64);
        if unnamed > 0 {
            say(format!("  and {unnamed} more"));
        }
        if let Some(path) = &sorted.set_aside {
            say(format!("  they are in {}", path.display()));
        }
        if done.taken.total() > 0 {
            say(done.taken.table().to_string());
        }
        let known: BTreeSet<_> = settings.environments().into_iter().collect();
        for environment in done.taken.environments().filter(|environment| !known.contains(environment)) {
            say(format!("{environment} is not among ENVIRONMENTS: name it there to see it in the dashboard"));
        }
    }

    fn json(&self, input: &Input) -> Value {
        let Self { sorted, done } = self;
        let lines: Vec<_> =
            sorted.problems.iter().map(|(line, reason)| json!({ "line": line, "reason": reason })).collect();
        json!({
            "file": input.name,
            "taken": done.taken.json(),
            "already_there": done.there.json(),
            "set_aside": sorted.rejected,
            "set_aside_in": sorted.set_aside,
            "problems": lines,
        })
    }
}
