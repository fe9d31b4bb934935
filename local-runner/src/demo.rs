//! `demo`: a mock of everything outside, and the monitor, in one process. Real probes, real records, no key, no internet.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use anyhow::Context;
use llm_monitor_core::{
    cycle::{CycleReport, OnProgress, Progress, Shard},
    parts,
    record::{Environment, Record, csv},
    settings::{Settings, Vars},
    store::{Backlog, FileStore},
};
use tokio::net::TcpListener;

use crate::{
    cli::DemoArgs,
    mock::{Mock, MockConfig, MockServer},
    output::{Matrix, duration, is_terminal, say},
    serve::Service,
    signals,
    wiring::{self, StartError},
};

/// Marks the demo's rows, so that no one mistakes them for their own.
const LOCATION: &str = "demo";
/// How much of a file's beginning and end is looked at: some dozen rows.
const END_BYTES: u64 = 16 * 1024;
/// How many ports after the usual one are tried.
const PORTS_TRIED: u16 = 20;

pub(crate) async fn run(args: &DemoArgs) -> Result<(), StartError> {
    let stop = signals::stop_on_signal()?;
    let config = MockConfig { or_free_port: true, ..MockConfig::built_in().context("the built-in mock")? };
    let environments = config.environment_names();
    let mock = Mock::start(config).context("cannot start the mock servers")?;
    let listener = bind_free(&args.listen).await?;
    let csv_path = csv_path(&args.csv);
    let settings = wiring::settings(&variables(&mock, &environments, args, &csv_path)?)?;

    let store = parts::open_file(csv_path.clone()).await?;
    let beside = store.folder();

    let url = format!("http://{}", listener.local_addr().context("the listening address")?);
    let screen = Screen::new(&settings, intro(&url, &mock, &csv_path));
    screen.draw();

    let on_progress: &OnProgress<'_> = &|progress| screen.progress(progress);
    let mut cycles_left = args.cycles;
    let service = Service {
        settings: &settings,
        store: Arc::new(Backlog::new(Arc::new(store))),
        shard: Shard::WHOLE,
        listener,
        stop: stop.clone(),
    };
    let on_cycle = |report: &CycleReport| {
        screen.cycle_ended(report);
        if let Some(left) = cycles_left.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                stop.cancel();
            }
        }
    };
    service.run(on_progress, on_cycle).await?;
    mock.stop();
    // What the store keeps beside a demo's CSV (usage, catalogs) is of no use after it.
    if let Err(error) = std::fs::remove_dir_all(&beside) {
        say(format!("{} could not be removed: {error}", beside.display()));
    }
    say(format!("\nThe demo's rows are in {}; nothing else is left behind.", csv_path.display()));
    Ok(())
}

/// The demo's own settings: none of the user's real variables takes part, so no real key can go anywhere.
fn variables(
    mock: &MockServer,
    environments: &[Environment],
    args: &DemoArgs,
    csv_path: &Path,
) -> anyhow::Result<Vars> {
    let csv_path = csv_path.to_str().context("--csv: expected a Unicode path")?;
    let own = [
        ("MONITOR_INTERVAL", args.interval.to_string()),
        ("LLM_API_TIMEOUT", "4".to_owned()),
        ("PROBE_LOCATION", LOCATION.to_owned()),
        ("LATENCY_DATA_CSV", csv_path.to_owned()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(mock.settings(environments).into_iter().chain(own).collect())
}

/// The file to write: `wanted`, unless that holds somebody's real records; these are never mixed with a demo's.
fn csv_path(wanted: &Path) -> PathBuf {
    if is_free(wanted) {
        return wanted.to_owned();
    }
    let stem = wanted.file_stem().and_then(|stem| stem.to_str()).unwrap_or("latency_data");
    wanted.with_file_name(format!("{stem}-demo.csv"))
}

/// Whether the first row of `path` is a demo's.
pub(crate) fn begins_with_demo_rows(path: &Path) -> bool {
    let rows = rows_at_ends(path).unwrap_or_default();
    rows.first().is_some_and(|record| record.location.as_deref() == Some(LOCATION))
}

/// Whether `path` begins and ends with a demo's rows, or holds none and has no folder of kept usage beside it.
fn is_free(path: &Path) -> bool {
    match rows_at_ends(path) {
        // Somebody may have put the rows elsewhere and left the folder, which the demo would take away at its end.
        Ok(rows) if rows.is_empty() => !FileStore::folder_beside(path).exists(),
        Ok(rows) => rows.iter().all(|record| record.location.as_deref() == Some(LOCATION)),
        Err(_) => false,
    }
}

/// The first row of the file at `path` and the last; none where the file is absent or holds at most a header.
///
/// # Errors
/// It cannot be read, or holds something other than rows.
fn rows_at_ends(path: &Path) -> io::Result<Vec<Record>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let len = file.seek(SeekFrom::End(0))?;
    let header = csv::header_line() + "\n";
    let mut rows = Vec::new();
    for from in [0, len.saturating_sub(END_BYTES)] {
        file.seek(SeekFrom::Start(from))?;
        let mut text = if from == 0 { Vec::new() } else { header.clone().into_bytes() };
        (&file).take(END_BYTES).read_to_end(&mut text)?;
        let decoded = csv::decode(&text, 2).records;
        rows.extend(if rows.is_empty() { decoded.into_iter().next() } else { decoded.into_iter().next_back() });
    }
    if rows.is_empty() && len > header.len() as u64 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(rows)
}

async fn bind_free(address: &str) -> anyhow::Result<TcpListener> {
    let (host, port) = address.rsplit_once(':').with_context(|| format!("--listen {address:?}: expected HOST:PORT"))?;
    let first: u16 = port.parse().with_context(|| format!("--listen {address:?}: expected HOST:PORT"))?;
    for port in first..=first.saturating_add(PORTS_TRIED) {
        match TcpListener::bind((host, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("--listen {address:?}: cannot listen there")),
        }
    }
    TcpListener::bind((host, 0)).await.with_context(|| format!("--listen {address:?}: cannot listen there"))
}

fn intro(url: &str, mock: &MockServer, csv_path: &Path) -> String {
    format!(
        "LLM Monitor demo: real probes of a mock of several providers' servers at http://{}\n\n  \
         open    {url}\n  \
         ask     curl '{url}/api/latency?environment=prod&limit=5'\n  \
         rows    {}\n  \
         stop    Ctrl-C\n",
        mock.addr(),
        csv_path.display(),
    )
}

/// The live table at a terminal; a line for each probe elsewhere.
struct Screen {
    intro: String,
    is_live: bool,
    matrix: Mutex<Matrix>,
    footer: Mutex<String>,
}

impl Screen {
    fn new(settings: &Settings, intro: String) -> Self {
        let matrix = Mutex::new(Matrix::new(settings.environments()));
        Self { intro, is_live: is_terminal(), matrix, footer: Mutex::new("The first cycle runs …".to_owned()) }
    }

    fn progress(&self, progress: Progress<'_>) {
        let Progress::Probed(record) = progress else { return };
        lock(&self.matrix).take(record);
        if self.is_live {
            self.draw();
        } else {
            say(line(record));
        }
    }

    fn cycle_ended(&self, report: &CycleReport) {
        let summary = report.summary();
        let failed = summary.probes - summary.succeeded;
        let footer = format!(
            "Each cell: time to first token / end to end. Cycle {}: {} probes, {failed} failed, {} rows written.",
            summary.cycle_id, summary.probes, summary.written
        );
        lock(&self.footer).clone_from(&footer);
        if self.is_live {
            self.draw();
        } else {
            say(format!("{}\n{footer}", lock(&self.matrix).render()));
        }
    }

    fn draw(&self) {
        if self.is_live {
            // Home, draw over, then clear what is left below: no flicker.
            let text = format!("{}\n{}\n{}", self.intro, lock(&self.matrix).render(), lock(&self.footer));
            say(format!("\u{1b}[H{}\u{1b}[K\u{1b}[J", text.replace('\n', "\u{1b}[K\n")));
        } else {
            say(&self.intro);
        }
    }
}

fn line(record: &Record) -> String {
    let result = match (record.ttft_ms, record.latency_ms) {
        (Some(ttft_ms), Some(latency_ms)) if record.is_success() => {
            format!("first token {:>8}  end to end {:>8}", duration(ttft_ms), duration(latency_ms))
        }
        _ => format!(
            "{}: {}",
            record.error_kind().map_or("error", |kind| kind.as_str()),
            record.error_message().unwrap_or("")
        ),
    };
    format!("{:<5} {:<28} {result}", record.environment, record.model_name)
}

/// A panic elsewhere must not take the display with it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(location: &str) -> Vec<u8> {
        let mut record = Record::new("gpt-4o", Environment::dev(), chrono::Utc::now());
        record.location = Some(location.to_owned());
        record.latency_ms = Some(1.0);
        let mut text = Vec::new();
        csv::encode(&record, &mut text);
        text
    }

    #[test]
    fn a_demo_never_writes_into_somebodys_real_records() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("latency_data.csv");
        let other = folder.path().join("latency_data-demo.csv");
        assert_eq!(csv_path(&path), path, "an absent file is the demo's");

        let write = |rows: &[Vec<u8>]| {
            std::fs::write(&path, [csv::header_line().as_bytes(), b"\n", &rows.concat()].concat()).expect("written");
        };
        write(&vec![row(LOCATION); 200]);
        assert_eq!(csv_path(&path), path, "a demo's file is added to");
        write(&[row("eu-west-1")]);
        assert_eq!(csv_path(&path), other);
        write(&[vec![row(LOCATION); 200], vec![row("eu-west-1")]].concat());
        assert_eq!(csv_path(&path), other, "`serve` went on in a demo's file");
        std::fs::write(&path, "model_name,timestamp\n").expect("written");
        assert_eq!(csv_path(&path), path);
        std::fs::write(&path, "no rows\n".repeat(100)).expect("written");
        assert_eq!(csv_path(&path), other);
    }

    #[test]
    fn a_folder_of_kept_usage_without_rows_beside_it_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("latency_data.csv");
        std::fs::create_dir(folder.path().join("latency_data.d")).expect("a folder");
        let other = folder.path().join("latency_data-demo.csv");
        assert_eq!(csv_path(&path), other, "the demo takes its own folder away at its end");
        std::fs::write(&path, csv::header_line() + "\n").expect("written");
        assert_eq!(csv_path(&path), other);
    }
}
