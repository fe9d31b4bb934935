//! Where records are kept: CSV that the user owns.
//!
//! A store speaks of *segments*: a set of rows with an identity, *open* while it may grow, *closed* for ever after. What is
//! above can cache parsed segments by identity and summarise closed ones once.

mod backlog;
#[cfg(any(test, feature = "contract-suite"))]
pub mod contract;
mod file;
mod index;
mod memory;
mod s3;

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

pub use backlog::{Backlog, Unwritten};
pub use file::{FileOptions, FileStore};
pub use memory::MemoryStore;
pub use s3::{AppendMode, Encryption, S3Options, S3Store};

use crate::record::{CycleId, Environment, Record, Table};

/// The rows of one append: a cycle's, or those of another writer (a POST).
#[derive(Debug, Clone)]
pub struct Batch {
    /// Makes a repeat harmless; `None` for rows that did not come from a cycle, which are always added.
    pub cycle_id: Option<CycleId>,
    /// Of any environments, in the order to write.
    pub records: Vec<Record>,
}

/// What became of one environment's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// Durable, and visible to readers.
    Written {
        /// How many rows.
        rows: usize,
    },
    /// This cycle of this environment was there already; nothing was added.
    AlreadyThere,
}

/// The outcome for each environment in the batch.
pub type AppendReport = BTreeMap<Environment, Result<Appended, StoreError>>;

/// Which segments are asked for. `None` is no bound.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// `None` for all.
    pub environments: Option<Vec<Environment>>,
    /// Earliest record timestamp, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Latest record timestamp, exclusive.
    pub to: Option<DateTime<Utc>>,
}

impl Scope {
    /// Whether `environment` is in it.
    pub fn has(&self, environment: &Environment) -> bool {
        self.environments.as_ref().is_none_or(|environments| environments.contains(environment))
    }
}

/// A set of rows with an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Name within the store: an object's key, or a file's name and the byte range in it.
    pub name: Arc<str>,
    /// Changes whenever the content does (an ETag; a byte length). Same name and identity: same rows.
    pub identity: Arc<str>,
    /// No row is older. `None`: not known.
    pub earliest: Option<DateTime<Utc>>,
    /// No row is newer. `None`: not known, or still growing.
    pub latest: Option<DateTime<Utc>>,
    /// The only environment in it; `None` where rows of several are mixed.
    pub environment: Option<Environment>,
    /// May still grow.
    pub is_open: bool,
    /// Bytes of CSV, as far as known: what a reader would have to take into memory.
    pub size_bytes: u64,
    /// Line in the file where its first row stands (1 is the header), to name bad rows.
    pub first_line: u64,
}

/// A rollup as it is kept: a cache made of records, never the truth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRollup {
    /// Its CSV.
    pub csv: Bytes,
    /// Tells it from another content of the same name, for [`Store::save_rollup`].
    pub version: Arc<str>,
}

/// What the store says of itself, for `/health`.
#[derive(Debug, Clone, Default)]
pub struct StoreHealth {
    /// `file`, `s3` or `memory`.
    pub kind: &'static str,
    /// Path or bucket; no credentials.
    pub location: String,
    /// Rows that could not be read, counted once each.
    pub skipped_rows: u64,
    /// The newest cycle of each environment whose rows wait in memory for the store to take them.
    pub waiting: BTreeMap<Environment, CycleId>,
    /// What is wrong now, in words for a person; empty when all is well.
    pub problems: Vec<String>,
    /// What a person should know although nothing is wrong: what the store found out about its place.
    pub notes: Vec<String>,
}

/// Why a store could not do what was asked. Each says where (path, key) and what to do where that is known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The place itself is unusable: no permission, a folder instead of a file, no bucket.
    #[error("{location}: {problem}")]
    Unusable {
        /// Path or bucket.
        location: String,
        /// In words for a person.
        problem: String,
    },
    /// Another process has the store open for writing.
    #[error("{location} is in use by another process{holder}; stop it, or set LATENCY_DATA_CSV to another file")]
    Locked {
        /// Path.
        location: String,
        /// ` (pid 4711)` where known, else empty.
        holder: String,
    },
    /// No room left. The rows were not written; try again later.
    #[error("{location}: no space left on the device, or within a quota or limit of file sizes; make room there")]
    Full {
        /// Path.
        location: String,
    },
    /// A segment larger than any that is read, which is told before it is in memory: its rows are missing, and others go on.
    #[error(
        "{location} is too large to be read: it has {size_bytes} bytes, and {} MiB are the most; its rows are missing. Divide it \
         into several objects, or move it away",
        at_most_bytes / (1024 * 1024)
    )]
    TooLarge {
        /// Path or key.
        location: String,
        /// Of what is there, as far as known.
        size_bytes: u64,
        /// What is read at most.
        at_most_bytes: u64,
    },
    /// The store could not be reached or answered with a failure that may pass.
    #[error("{location}: {problem}")]
    Unavailable {
        /// Path, key or endpoint.
        location: String,
        /// In words for a person.
        problem: String,
    },
    /// The segment is gone, or no longer what it was when it was listed: list again.
    #[error("{name} changed or vanished while it was read")]
    Changed {
        /// The segment's name.
        name: String,
    },
}

/// Where records are kept.
///
/// # Guarantees
/// - **Append is all or nothing per environment**: a reader sees none or all of a batch's rows of one environment, also after
///   a crash at any instant.
/// - **A repeat adds nothing**: rows of a cycle that is there already are not added again.
/// - **Acknowledged is durable**: once `append` answered `Written`, the rows survive a crash.
/// - **Read your writes**: `segments` and `read` after an acknowledged `append` show it.
/// - **Nothing is dropped in silence**: a row that cannot be read is counted in [`StoreHealth`] and named in the log.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// Appends `batch`; one environment's failure does not touch the others'.
    async fn append(&self, batch: &Batch) -> AppendReport;

    /// The segments that may hold rows of `scope`, oldest first. Rows outside `scope` may be in them too.
    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError>;

    /// A segment's CSV: a header row, then its rows, whole.
    ///
    /// # Errors
    /// Among others [`StoreError::TooLarge`], which the segment's size told before: a reader of many leaves it out.
    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError>;

    /// Rows that the store had to decode for itself, by their segments, oldest first: given away once, so that the first reader
    /// need not decode them again.
    async fn take_decoded(&self) -> Vec<(Segment, Table)> {
        Vec::new()
    }

    /// The pieces of a segment too large to be taken into memory whole, oldest first: together they hold its rows, each is
    /// read and kept by itself. A segment that is not divided is its only piece.
    async fn parts(&self, segment: &Segment) -> Result<Vec<Segment>, StoreError> {
        Ok(vec![segment.clone()])
    }

    /// The rollup of `environment` and `day`, if there is one. A store need not keep any.
    async fn load_rollup(&self, _environment: &Environment, _day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        Ok(None)
    }

    /// The environments that have rollups, for stores whose segments hold rows of several: there, nothing else tells.
    async fn rollup_environments(&self) -> Result<Vec<Environment>, StoreError> {
        Ok(Vec::new())
    }

    /// Keeps a rollup (`rollups/environment=E/date=D.csv`) in the place of the one that was loaded as `replaces`. If somebody
    /// else was quicker, theirs stays: both were made of the same records.
    async fn save_rollup(
        &self,
        _environment: &Environment,
        _day: NaiveDate,
        _csv: Bytes,
        _replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    /// Adds rows (CSV without a header, each ending in a line feed) to `usage/environment=E/date=D.csv`, and `header_line`
    /// (without a line end) first where the file is new.
    async fn append_usage(
        &self,
        environment: &Environment,
        day: NaiveDate,
        header_line: &str,
        rows: Bytes,
    ) -> Result<(), StoreError>;

    /// The usage file of that day, if there is one.
    async fn read_usage(&self, environment: &Environment, day: NaiveDate) -> Result<Option<Bytes>, StoreError>;

    /// Replaces the kept catalog of `environment` (`catalog/environment=E.json`).
    async fn save_catalog(&self, environment: &Environment, json: Bytes) -> Result<(), StoreError>;

    /// The kept catalog of `environment`, if there is one.
    async fn load_catalog(&self, environment: &Environment) -> Result<Option<Bytes>, StoreError>;

    /// From now on an append may take this long, retries included: for a function that is about to be stopped. Stores that
    /// wait for nothing have no use for it.
    fn set_append_budget(&self, _budget: Duration) {}

    /// What `/health` shows. Must not block on the network for long.
    async fn health(&self) -> StoreHealth;
}

/// The day of a usage file, by its name in its folder.
fn usage_day(name: &str) -> Option<NaiveDate> {
    name.strip_prefix("date=")?.strip_suffix(".csv")?.parse().ok()
}
