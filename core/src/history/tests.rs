#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod adopted;
pub(crate) mod days;
mod order;
mod reading;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, SubsecRound, TimeDelta, Utc};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    record::{Environment, Record},
    store::{AppendReport, Batch, KeptRollup, MemoryStore, StoreHealth},
};

/// Segments as a test lays them out; counts and can hold or fail what is read.
#[derive(Debug)]
pub(crate) struct LaidOut {
    segments: Mutex<Vec<(Segment, Bytes)>>,
    reads: Mutex<BTreeMap<String, usize>>,
    failures: Mutex<VecDeque<StoreError>>,
    lists: AtomicUsize,
    gate: Semaphore,
    rollups: MemoryStore,
}

impl LaidOut {
    fn new(segments: Vec<(Segment, Bytes)>) -> Arc<Self> {
        Arc::new(Self {
            segments: Mutex::new(segments),
            reads: Mutex::default(),
            failures: Mutex::default(),
            lists: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            rollups: MemoryStore::new(),
        })
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.lock().unwrap().values().sum()
    }

    fn reads_of(&self, name: &str) -> usize {
        self.reads.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    pub(crate) fn history(self: &Arc<Self>) -> History {
        History::new(Arc::clone(self) as Arc<dyn Store>, DEFAULT_CACHE_BYTES)
    }
}

#[async_trait]
impl Store for LaidOut {
    async fn append(&self, _: &Batch) -> AppendReport {
        AppendReport::new()
    }

    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let segments = self.segments.lock().unwrap();
        let within = |segment: &Segment| {
            scope.from.is_none_or(|from| segment.latest.is_none_or(|latest| latest >= from))
                && scope.to.is_none_or(|to| segment.earliest.is_none_or(|earliest| earliest < to))
        };
        Ok(segments.iter().map(|(segment, _)| segment.clone()).filter(within).collect())
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let _passed = self.gate.acquire().await.unwrap();
        *self.reads.lock().unwrap().entry(segment.name.to_string()).or_default() += 1;
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let segments = self.segments.lock().unwrap();
        let found = segments.iter().find(|(known, _)| known == segment);
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(|| StoreError::Changed { name: segment.name.to_string() })
    }

    async fn append_usage(&self, _: &Environment, _: NaiveDate, _: &str, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn read_usage(&self, _: &Environment, _: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }

    async fn save_catalog(&self, _: &Environment, _: Bytes) -> Result<(), StoreError> {
        Ok(())
    }

    async fn load_catalog(&self, _: &Environment) -> Result<Option<Bytes>, StoreError> {
        Ok(None)
    }

    async fn load_rollup(&self, environment: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        self.rollups.load_rollup(environment, day).await
    }

    async fn rollup_environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.rollups.rollup_environments().await
    }

    async fn save_rollup(
        &self,
        environment: &Environment,
        day: NaiveDate,
        csv: Bytes,
        replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        self.rollups.save_rollup(environment, day, csv, replaces).await
    }

    async fn health(&self) -> StoreHealth {
        StoreHealth::default()
    }
}

/// Long enough ago for rows on both sides of where listings are cut.
static EPOCH: LazyLock<DateTime<Utc>> = LazyLock::new(|| (Utc::now() - TimeDelta::days(12)).trunc_subsecs(0));

fn record(environment: &str, model: &str, seconds: i64) -> Record {
    let mut record = Record::new(model, environment.parse().unwrap(), *EPOCH + TimeDelta::seconds(seconds));
    record.latency_ms = Some(100.0);
    record
}

fn segment(name: &str, records: &[Record], knows_bounds: bool) -> (Segment, Bytes) {
    let mut bytes = (csv::header_line() + "\n").into_bytes();
    for record in records {
        csv::encode(record, &mut bytes);
    }
    let times = records.iter().map(|record| record.timestamp).filter(|_| knows_bounds);
    let segment = Segment {
        name: Arc::from(name),
        identity: Arc::from(bytes.len().to_string()),
        earliest: times.clone().min(),
        latest: times.max(),
        environment: None,
        is_open: !knows_bounds,
        size_bytes: bytes.len() as u64,
        first_line: 2,
    };
    (segment, Bytes::from(bytes))
}

async fn all(scan: &mut Scan<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(row) = scan.next().await.unwrap() {
        rows.push(row);
    }
    rows
}

fn records(rows: &[Row]) -> Vec<Record> {
    rows.iter().map(Row::to_record).collect()
}

/// Rows of a few instants, environments and models, many alike, spread over overlapping segments.
fn tangle(seed: u64) -> (Vec<Record>, Vec<(Segment, Bytes)>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut every = Vec::new();
    let segments = (0..random.usize(1..8)).map(|n| {
        let start = random.i64(0..1_500_000);
        let rows: Vec<Record> = (0..random.usize(0..30))
            .map(|_| {
                let mut row = record(
                    ["dev", "prod"][random.usize(..2)],
                    ["a", "b"][random.usize(..2)],
                    start + random.i64(0..6) * [1, 40_000][random.usize(..2)],
                );
                row.latency_ms = Some(f64::from(random.u32(0..2)));
                row
            })
            .collect();
        every.extend(rows.iter().cloned());
        segment(&format!("s{n}"), &rows, random.bool())
    });
    let segments = segments.collect();
    every.sort_by_key(|row| (row.timestamp, row.environment.clone(), row.model_name.clone()));
    (every, segments)
}
