//! `export`: records as CSV or JSON lines, filtered as `/api/export` filters them.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use clap::{Args as ClapArgs, ValueEnum};
use llm_monitor_core::{
    history::{DEFAULT_CACHE_BYTES, History},
    http::{Export, ExportFormat, parse_instant},
    query::{Filter, Status},
    record::Environment,
    settings::{Settings, StoreSettings, Vars},
    store::{FileStore, Scope, Store, StoreError},
};

use crate::{
    fresh,
    output::tell,
    progress,
    wiring::{self, StartError},
};

const EXAMPLES: &str = "\
Oldest record first, from the store that the settings name, which is not changed; `serve` may go on meanwhile. A file is \
complete or not there at all.

Examples:
  llm-monitor export --from 2026-11-01 --to 2026-12-01 --environment prod --output november.csv
  llm-monitor export --format jsonl --status error | jq -r .error_kind | sort | uniq -c
  llm-monitor export --spreadsheet --output for-excel.csv";

/// Write records as CSV or JSON lines to a file or to standard output
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// CSV with the columns of the data of record, or one JSON object a line with the fields of /api/latency
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Not older than this: 2026-11-24T16:00:00Z, or a date (its first instant, UTC) [default: the first record]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<DateTime<Utc>>,
    /// Older than this; written like --from [default: the last record]
    #[arg(long, value_name = "TIME", value_parser = instant)]
    to: Option<DateTime<Utc>>,
    /// Only these environments
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    environment: Vec<Environment>,
    /// Only this model; may be given several times
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Only probes that ended so
    #[arg(long, value_name = "success|error")]
    status: Option<Status>,
    /// `false`: without records that were derived from another environment's instead of measured
    #[arg(long, value_name = "true|false", default_value = "true", num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    include_simulated: bool,
    /// Put a ' before cells that a spreadsheet would take for a formula (= + - @, also wide ones, tab, line ends). Only of CSV
    #[arg(long)]
    spreadsheet: bool,
    /// The file to write instead of standard output; one that is there is replaced
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

fn instant(text: &str) -> Result<DateTime<Utc>, &'static str> {
    parse_instant(text).ok_or("expected a time like 2026-11-24T16:00:00Z, or a date like 2026-11-24")
}

impl Args {
    fn export(&self) -> Result<Export> {
        if self.from.zip(self.to).is_some_and(|(from, to)| from > to) {
            bail!("--to: a time not before --from");
        }
        if self.spreadsheet && self.format == Format::Jsonl {
            bail!("--spreadsheet: only with --format csv");
        }
        let named = |names: &Vec<String>| (!names.is_empty()).then(|| names.clone());
        Ok(Export {
            scope: Scope {
                environments: (!self.environment.is_empty()).then(|| self.environment.clone()),
                from: self.from,
                to: self.to,
            },
            filter: Filter {
                models: named(&self.model),
                status: self.status,
                leaves_out_simulated: !self.include_simulated,
            },
            format: match self.format {
                Format::Csv => ExportFormat::Csv { is_for_spreadsheets: self.spreadsheet },
                Format::Jsonl => ExportFormat::JsonLines,
            },
        })
    }
}

pub(crate) async fn run(vars: &Vars, args: &Args) -> Result<ExitCode, StartError> {
    let export = args.export()?;
    let settings = wiring::settings(vars)?;
    if let Some(output) = &args.output {
        refuse_data_of_record(&settings, output)?;
    }
    let store = wiring::open_store_to_read(&settings).await?;
    match &args.output {
        Some(output) => to_file(export, store, output).await?,
        None => to_standard_output(export, store).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An export must not take the place of what it was made of.
fn refuse_data_of_record(settings: &Settings, output: &Path) -> Result<()> {
    let StoreSettings::File { path } = &settings.storing.store else { return Ok(()) };
    if FileStore::is_part_of(path, output) {
        bail!("--output {}: this name is the store's own; name another", output.display());
    }
    Ok(())
}

async fn to_file(export: Export, store: Arc<dyn Store>, path: &Path) -> Result<()> {
    let cannot_write = |error: io::Error| StoreError::of_write(path, &error);
    let mut file = fresh::beside(path).map_err(cannot_write)?;
    let rows = write(export, store, file.as_file_mut()).await?.map_err(cannot_write)?;
    allow_as_before(file.as_file(), path);
    file.as_file().sync_all().map_err(cannot_write)?;
    file.persist(path).map_err(|error| cannot_write(error.error))?;
    tell(format!("{rows} records in {}", path.display()));
    Ok(())
}

/// The export is as readable as the file that it replaces.
fn allow_as_before(file: &File, path: &Path) {
    if let Ok(old) = fs::metadata(path) {
        // Where this is refused the export is still whole.
        let _ = file.set_permissions(old.permissions());
    }
}

async fn to_standard_output(export: Export, store: Arc<dyn Store>) -> Result<()> {
    match write(export, store, &mut io::stdout().lock()).await? {
        // Whoever reads (`| head`) has enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(StoreError::of_write(Path::new("standard output"), &error).into()),
        Ok(_) => Ok(()),
    }
}

/// Writes everything. The outer error is the store's, the inner one the output's.
async fn write(export: Export, store: Arc<dyn Store>, out: &mut impl Write) -> Result<io::Result<u64>> {
    let history = History::new(Arc::clone(&store), DEFAULT_CACHE_BYTES);
    let mut chunks = export.start(&history);
    let bar = progress::rows(None);
    while let Some(chunk) = chunks.next().await? {
        if let Err(error) = out.write_all(&chunk) {
            return Ok(Err(error));
        }
        bar.set_position(chunks.rows());
    }
    bar.finish_and_clear();
    let skipped = history.skipped_rows();
    if skipped > 0 {
        tell(format!(
            "llm-monitor: {skipped} rows could not be read and are left out; `llm-monitor verify` names them"
        ));
    }
    for problem in store.health().await.problems {
        tell(format!("llm-monitor: {problem}"));
    }
    Ok(out.flush().map(|()| chunks.rows()))
}
