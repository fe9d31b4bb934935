//! Local files: a store's own, or any that are named.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use llm_monitor_core::{history::is_intact_rollup, store::FileStore};

use super::{
    Kind, Problem, check_file,
    file::{Checks, End},
};

/// How often a store's folder is listed anew while days move from the active file into it, and the wait in between.
const LISTED_AT_MOST: u32 = 200;
const MOVE_PATIENCE: Duration = Duration::from_millis(50);
/// The store's note that rows are being moved.
const MOVE_BEGUN: &str = "rotation.intent";

/// Folders that hold no records.
const OTHER_FOLDERS: [&str; 4] = ["usage", "catalog", "rollups", "scratch"];

/// Checks the store at `path`: the active file, and its finished days. `serve` may go on meanwhile.
pub(crate) fn check_store(checks: &mut Checks, path: &Path, bar: &ProgressBar) -> Result<()> {
    let folder = FileStore::folder_beside(path);
    let (active, days) = settled(checks, path, &folder)?;
    bar.inc_length(days.iter().map(|day| day.len).sum());
    for day in &days {
        check_one(checks, &day.path, bar)?;
    }
    check_rollups(checks, &folder.join("rollups"))?;
    let len = active.metadata().with_context(|| cannot_read(path))?.len();
    bar.inc_length(len);
    checks.report.bytes += len;
    let end = check_file(checks, &path.display().to_string(), (&active).take(len), |bytes| bar.inc(bytes));
    match end? {
        End::Whole => {}
        // An append that is under way.
        End::Torn(_) if is_in_use(&active) => {
            checks.report.notes.push(format!("{} is being written just now", path.display()));
        }
        End::Torn(problem) | End::Broken(problem) => checks.report.problem(problem),
    }
    Ok(())
}

fn check_rollups(checks: &mut Checks, folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut files = Vec::new();
    below(folder, &mut files)?;
    files.sort();
    for path in files {
        let csv = match fs::read(&path) {
            // `serve` goes on meanwhile: its rollups go with their days.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.with_context(|| cannot_read(&path))?,
        };
        if !is_intact_rollup(&csv) {
            checks.report.damaged_rollup(&path.display().to_string());
        }
    }
    Ok(())
}

/// A finished day's file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Day {
    path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
}

/// The active file and the days beside it, as they were at one instant: a day's rows are in one or the other.
fn settled(checks: &mut Checks, path: &Path, folder: &Path) -> Result<(File, Vec<Day>)> {
    let mut days = list(folder)?;
    for _ in 0..LISTED_AT_MOST {
        let active = File::open(path).with_context(|| cannot_read(path))?;
        let is_moving = folder.join(MOVE_BEGUN).exists();
        let again = list(folder)?;
        if is_moving && is_in_use(&active) {
            thread::sleep(MOVE_PATIENCE);
        } else if days == again {
            if is_moving {
                let path = path.display();
                checks.report.notes.push(format!(
                    "days were being moved out of {path} when its writer died: their rows are in two files until it is next \
                     opened for writing, which puts that right"
                ));
            }
            return Ok((active, days));
        }
        days = again;
    }
    bail!("{}: its files keep changing", folder.display())
}

/// Whether a process writes the file.
fn is_in_use(file: &File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            // Readers keep no lock: a writer that starts must not be kept out.
            let _ = file.unlock();
            false
        }
        Err(error) => matches!(error, TryLockError::WouldBlock),
    }
}

fn list(folder: &Path) -> Result<Vec<Day>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut days = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| cannot_read(folder))? {
        let entry = entry.with_context(|| cannot_read(folder))?;
        let name = entry.file_name();
        let is_day = name.to_str().is_some_and(|name| name.starts_with("date=")) && is_csv(&entry.path());
        if is_day && let Ok(metadata) = entry.metadata() {
            days.push(Day { path: entry.path(), len: metadata.len(), modified: metadata.modified().ok() });
        }
    }
    days.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(days)
}

/// Checks what is named: a store's file with its days, any other CSV, or everything below a folder.
pub(crate) fn check_path(checks: &mut Checks, path: &Path, bar: &ProgressBar) -> Result<()> {
    let metadata = fs::metadata(path).with_context(|| cannot_read(path))?;
    if !metadata.is_dir() {
        let has_days = FileStore::folder_beside(path).is_dir();
        return if has_days { check_store(checks, path, bar) } else { check_named(checks, path, bar) };
    }
    let mut files = Vec::new();
    below(path, &mut files)?;
    if files.is_empty() {
        bail!("{}: no CSV in this folder", path.display());
    }
    files.sort();
    files.iter().try_for_each(|file| check_named(checks, file, bar))
}

fn check_named(checks: &mut Checks, path: &Path, bar: &ProgressBar) -> Result<()> {
    bar.inc_length(path.metadata().map(|metadata| metadata.len()).unwrap_or_default());
    check_one(checks, path, bar)
}

/// A file that cannot be read is a problem of its own: the others are checked all the same.
fn check_one(checks: &mut Checks, path: &Path, bar: &ProgressBar) -> Result<()> {
    let name = path.display().to_string();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => {
            let reason = format!("the file cannot be opened: {error}");
            checks.report.problem(Problem { kind: Kind::UnreadableFile, file: name, line: 1, reason });
            return Ok(());
        }
    };
    checks.report.bytes += file.metadata().map(|metadata| metadata.len()).unwrap_or_default();
    let counted = bar.wrap_read(file);
    let input: Box<dyn Read> = if is_packed(path) { Box::new(MultiGzDecoder::new(counted)) } else { Box::new(counted) };
    if let End::Torn(problem) | End::Broken(problem) = check_file(checks, &name, input, |_| {})? {
        checks.report.problem(problem);
    }
    Ok(())
}

fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| cannot_read(folder))? {
        let entry = entry.with_context(|| cannot_read(folder))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() {
            if !OTHER_FOLDERS.contains(&name.as_str()) {
                below(&path, files)?;
            }
        } else if is_csv(&path) || (is_packed(&path) && is_csv(Path::new(path.file_stem().unwrap_or_default()))) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_csv(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv")
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

fn cannot_read(path: &Path) -> String {
    format!("cannot read {}", path.display())
}
