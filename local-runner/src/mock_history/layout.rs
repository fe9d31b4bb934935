//! Where a made-up past is written: the places in which the stores keep a real one.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use chrono::{DateTime, NaiveDate, Utc};
use clap::ValueEnum;
use llm_monitor_core::{
    record::{CycleId, Environment, Record, csv},
    store::StoreError,
};
use tempfile::{NamedTempFile, TempPath};

use super::{Cycles, Plan};
use crate::fresh;

const BUFFER_BYTES: usize = 256 * 1024;

/// How a past is laid out in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// One file, as LATENCY_DATA_CSV names it
    Csv,
    /// A folder with latency_data.csv (the last day) and latency_data.d/date=D.csv (each day before)
    Days,
    /// A folder like a bucket: records/environment=E/date=D/hour=H/monitor-local.csv
    S3,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Records.
    pub rows: u64,
    /// Bytes of CSV, headers included.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// Writes the past that `plan` describes to `out`, which must not be there yet. `on_rows` hears how many rows have been written
/// since it was last called. All files take their names when all are whole.
///
/// # Errors
/// Something is there already; it cannot be written. Then nothing is left of it.
pub fn write(plan: &Plan, layout: Layout, out: &Path, mut on_rows: impl FnMut(u64)) -> Result<Written> {
    let mut files = Files {
        layout,
        out: out.to_owned(),
        last_day: last_day(plan),
        open: BTreeMap::new(),
        whole: Vec::new(),
        folders: Folders::default(),
        written: Written::default(),
    };
    let mut row = Vec::with_capacity(1024);
    for (cycle_id, records) in Cycles::new(plan) {
        for record in &records {
            row.clear();
            csv::encode(record, &mut row);
            files.write(record, cycle_id, &row)?;
        }
        files.written.rows += records.len() as u64;
        on_rows(records.len() as u64);
    }
    files.finish()
}

fn last_day(plan: &Plan) -> NaiveDate {
    (plan.to - plan.interval.min(plan.to - plan.from)).date_naive()
}

/// The files that are being written: one, or one an environment.
struct Files {
    layout: Layout,
    out: PathBuf,
    last_day: NaiveDate,
    open: BTreeMap<Option<Environment>, Open>,
    /// Written, and the names that they are to take.
    whole: Vec<(TempPath, PathBuf)>,
    /// Goes after the files in it.
    folders: Folders,
    written: Written,
}

struct Open {
    /// The hour or day that it is of.
    of: DateTime<Utc>,
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Files {
    fn write(&mut self, record: &Record, cycle_id: CycleId, row: &[u8]) -> Result<()> {
        let due = cycle_id.scheduled();
        let (environment, of) = match self.layout {
            Layout::Csv => (None, DateTime::UNIX_EPOCH),
            Layout::Days => (None, start_of(due, 86_400)),
            Layout::S3 => (Some(record.environment.clone()), start_of(due, 3_600)),
        };
        if self.open.get(&environment).is_none_or(|open| open.of != of) {
            let path = self.path(environment.as_ref(), of);
            let mut file = self.create(&path)?;
            let header = csv::header_line() + "\n";
            file.write_all(header.as_bytes()).map_err(|error| StoreError::of_write(&path, &error))?;
            self.written.files += 1;
            self.written.bytes += header.len() as u64;
            if let Some(full) = self.open.insert(environment.clone(), Open { of, path, file }) {
                self.whole.push(full.close()?);
            }
        }
        if let Some(open) = self.open.get_mut(&environment) {
            open.file.write_all(row).map_err(|error| StoreError::of_write(&open.path, &error))?;
            self.written.bytes += row.len() as u64;
        }
        Ok(())
    }

    fn path(&self, environment: Option<&Environment>, of: DateTime<Utc>) -> PathBuf {
        let day = of.date_naive();
        match (self.layout, environment) {
            (Layout::Csv, _) => self.out.clone(),
            (Layout::S3, Some(environment)) => {
                let hour = of.format("date=%Y-%m-%d/hour=%H");
                self.out.join(format!("records/environment={environment}/{hour}/monitor-local.csv"))
            }
            _ if day == self.last_day => self.out.join("latency_data.csv"),
            _ => self.out.join(format!("latency_data.d/date={day}.csv")),
        }
    }

    fn create(&mut self, path: &Path) -> Result<BufWriter<NamedTempFile>> {
        if path.try_exists().map_err(|error| StoreError::of_write(path, &error))? {
            return Err(is_there(path));
        }
        if let Some(folder) = path.parent() {
            self.folders.create(folder).map_err(|error| StoreError::of_write(folder, &error))?;
        }
        let file = fresh::beside(path).map_err(|error| StoreError::of_write(path, &error))?;
        Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    /// Gives all files their names, or none.
    fn finish(mut self) -> Result<Written> {
        for open in std::mem::take(&mut self.open).into_values() {
            self.whole.push(open.close()?);
        }
        let mut named: Vec<PathBuf> = Vec::new();
        for (file, path) in self.whole.drain(..) {
            if let Err(error) = file.persist_noclobber(&path) {
                for path in named {
                    let _ = fs::remove_file(path);
                }
                return Err(match error.error.kind() {
                    io::ErrorKind::AlreadyExists => is_there(&path),
                    _ => StoreError::of_write(&path, &error.error).into(),
                });
            }
            named.push(path);
        }
        self.folders.0.clear();
        Ok(self.written)
    }
}

impl Open {
    fn close(self) -> Result<(TempPath, PathBuf)> {
        let Self { path, file, .. } = self;
        match file.into_inner() {
            Ok(file) => Ok((file.into_temp_path(), path)),
            Err(error) => Err(StoreError::of_write(&path, error.error()).into()),
        }
    }
}

/// Folders that were made, and that go when this is dropped, as far as they are empty.
#[derive(Debug, Default)]
struct Folders(Vec<PathBuf>);

impl Folders {
    fn create(&mut self, folder: &Path) -> io::Result<()> {
        let missing: Vec<_> = folder.ancestors().take_while(|place| !place.exists()).map(Path::to_owned).collect();
        self.0.extend(missing.into_iter().rev().filter(|place| !place.as_os_str().is_empty()));
        fs::create_dir_all(folder)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

fn is_there(path: &Path) -> anyhow::Error {
    anyhow!("{} is there already; name another place with --out", path.display())
}

fn start_of(time: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    let start = time.timestamp() - time.timestamp().rem_euclid(seconds);
    DateTime::from_timestamp(start, 0).unwrap_or(time)
}
