//! Where a made-up past is written: the places in which the stores keep a real one.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDate, Utc};
use clap::ValueEnum;
use llm_monitor_core::record::{CycleId, Environment, Record, csv};

use super::{Cycles, Plan};

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
/// since it was last called.
///
/// # Errors
/// Something is there already; it cannot be written.
pub fn write(plan: &Plan, layout: Layout, out: &Path, mut on_rows: impl FnMut(u64)) -> Result<Written> {
    let mut files = Files {
        layout,
        out: out.to_owned(),
        last_day: last_day(plan),
        open: BTreeMap::new(),
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
    written: Written,
}

struct Open {
    /// The hour or day that it is of.
    of: DateTime<Utc>,
    path: PathBuf,
    file: BufWriter<File>,
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
            let mut file = create(&path)?;
            let header = csv::header_line() + "\n";
            file.write_all(header.as_bytes())?;
            self.written.files += 1;
            self.written.bytes += header.len() as u64;
            if let Some(full) = self.open.insert(environment.clone(), Open { of, path, file }) {
                full.close()?;
            }
        }
        if let Some(open) = self.open.get_mut(&environment) {
            open.file.write_all(row).with_context(|| format!("cannot write {}", open.path.display()))?;
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

    fn finish(self) -> Result<Written> {
        self.open.into_values().try_for_each(Open::close)?;
        Ok(self.written)
    }
}

impl Open {
    fn close(mut self) -> Result<()> {
        self.file.flush().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn start_of(time: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    let start = time.timestamp() - time.timestamp().rem_euclid(seconds);
    DateTime::from_timestamp(start, 0).unwrap_or(time)
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => Ok(BufWriter::with_capacity(BUFFER_BYTES, file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{} is there already; name another place with --out", path.display())
        }
        Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
    }
}
