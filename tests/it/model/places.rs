//! Where the stores are, with clocks and disks of the test's.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use llm_monitor_core::{
    record::CycleId,
    store::{FileOptions, FileStore, MemoryStore, S3Store, Store},
};
use tempfile::TempDir;

use crate::{
    imports::in_bucket,
    support::{monitor::Setup, s3_places::options, s3_server::InProcess},
};

/// Somewhere to store.
#[async_trait]
pub(super) trait Place: Send + Sync {
    /// Opens the store; whatever had it open has been dropped. Days older than wanted are deleted, where the store does that.
    async fn open(&mut self, retention_days: Option<u32>) -> Arc<dyn Store>;

    /// A second writer, as if in another process; `None` where there is one only.
    async fn open_another(&self) -> Option<Arc<dyn Store>> {
        None
    }

    /// Whether what was written is still there when the store is opened again.
    fn outlives_its_store(&self) -> bool {
        true
    }

    /// Whether [`open`](Self::open) heeds `retention_days`.
    fn deletes_old_days(&self) -> bool {
        false
    }

    /// Whether the store promises to know a cycle again that was written at `written_at`.
    fn knows_a_repeat(&self, _cycle_id: CycleId, _written_at: DateTime<Utc>) -> bool {
        true
    }

    /// From that step on every step fails, until told otherwise; where the store can be made to.
    fn fail_from(&self, _step: Option<usize>) {}

    /// Settings with which `llm-monitor` reads the place; `None` where only this process can.
    fn settings(&self) -> Option<Setup> {
        None
    }

    fn set_clock(&self, now: DateTime<Utc>);

    fn now(&self) -> DateTime<Utc>;
}

fn load(clock: &AtomicI64) -> DateTime<Utc> {
    DateTime::from_timestamp(clock.load(Ordering::SeqCst), 0).expect("in range")
}

/// A store that forgets.
#[derive(Default)]
pub(super) struct InMemory(AtomicI64);

#[async_trait]
impl Place for InMemory {
    async fn open(&mut self, _: Option<u32>) -> Arc<dyn Store> {
        Arc::new(MemoryStore::default())
    }

    fn outlives_its_store(&self) -> bool {
        false
    }

    fn set_clock(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp(), Ordering::SeqCst);
    }

    fn now(&self) -> DateTime<Utc> {
        load(&self.0)
    }
}

/// A file whose finished days move.
pub(super) struct InFile {
    folder: TempDir,
    clock: Arc<AtomicI64>,
    /// Steps that still succeed.
    left: Arc<AtomicUsize>,
}

impl InFile {
    pub(super) fn new() -> Self {
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        Self { folder: TempDir::new().expect("a folder"), clock: Arc::default(), left }
    }
}

#[async_trait]
impl Place for InFile {
    async fn open(&mut self, retention_days: Option<u32>) -> Arc<dyn Store> {
        let (clock, left) = (Arc::clone(&self.clock), Arc::clone(&self.left));
        let gate = move |_: &str| {
            let spend = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(1) };
            let spent = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend);
            spent.map(drop).map_err(|_| io::ErrorKind::StorageFull.into())
        };
        let options = FileOptions { rotate: true, retention_days, ..FileOptions::default() };
        let csv = self.folder.path().join("latency_data.csv");
        Arc::new(FileStore::open_on(csv, options, move || load(&clock), gate).expect("opens"))
    }

    fn deletes_old_days(&self) -> bool {
        true
    }

    fn settings(&self) -> Option<Setup> {
        let csv = self.folder.path().join("latency_data.csv");
        Some(Setup::new().with([("LATENCY_DATA_CSV", csv.to_str().expect("UTF-8"))]))
    }

    fn fail_from(&self, step: Option<usize>) {
        self.left.store(step.unwrap_or(usize::MAX), Ordering::SeqCst);
    }

    fn set_clock(&self, now: DateTime<Utc>) {
        self.clock.store(now.timestamp(), Ordering::SeqCst);
    }

    fn now(&self) -> DateTime<Utc> {
        load(&self.clock)
    }
}

/// A bucket. Its clock is one for all: a store takes a plain function.
pub(super) struct InS3(InProcess);

static S3_CLOCK: AtomicI64 = AtomicI64::new(0);

impl InS3 {
    pub(super) async fn new() -> Self {
        Self(InProcess::start().await)
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(S3Store::new(options(self.0.address)).with_clock(|| load(&S3_CLOCK)))
    }
}

#[async_trait]
impl Place for InS3 {
    async fn open(&mut self, _: Option<u32>) -> Arc<dyn Store> {
        self.store()
    }

    async fn open_another(&self) -> Option<Arc<dyn Store>> {
        Some(self.store())
    }

    fn settings(&self) -> Option<Setup> {
        Some(in_bucket(Setup::new(), &self.0, &options(self.0.address).prefix))
    }

    /// Rows that came after their hour had closed lie in an object of their own; a writer whose clock says that the hour is
    /// still open does not look there (docs/GUARANTEES.md).
    fn knows_a_repeat(&self, cycle_id: CycleId, written_at: DateTime<Utc>) -> bool {
        let hour = TimeDelta::hours(1);
        let closes_at = cycle_id.scheduled().duration_trunc(hour).expect("in range") + hour + TimeDelta::minutes(15);
        written_at < closes_at || self.now() >= closes_at
    }

    fn set_clock(&self, now: DateTime<Utc>) {
        S3_CLOCK.store(now.timestamp(), Ordering::SeqCst);
    }

    fn now(&self) -> DateTime<Utc> {
        load(&S3_CLOCK)
    }
}
