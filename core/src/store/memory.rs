use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;

use super::{
    AppendReport, Appended, Batch, KeptRollup, Scope, Segment, Store, StoreError, StoreHealth,
    index::{Index, RowNote},
};
use crate::record::{CycleId, Environment, csv};

/// Small, so that tests with few rows meet closed segments too.
const SEGMENT_BYTES: u64 = 16 * 1024;

/// A store that forgets everything when it is dropped: for tests and demonstrations. It keeps the guarantees of [`Store`]
/// within one process, and can be told to fail.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The rows, without a header.
    rows: Vec<u8>,
    index: Index,
    cycles: BTreeSet<(CycleId, Environment)>,
    usage: BTreeMap<(Environment, NaiveDate), Vec<u8>>,
    catalogs: BTreeMap<Environment, Bytes>,
    rollups: BTreeMap<(Environment, NaiveDate), Bytes>,
    /// What writing fails with, and how many more times.
    failure: Option<(StoreError, u64)>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        let header = Bytes::from(csv::header_line() + "\n");
        let index = Index::new("memory", "memory", 0, 1, header).with_segment_bytes(SEGMENT_BYTES);
        Self {
            state: Mutex::new(State {
                rows: Vec::new(),
                index,
                cycles: BTreeSet::new(),
                usage: BTreeMap::new(),
                catalogs: BTreeMap::new(),
                rollups: BTreeMap::new(),
                failure: None,
            }),
        }
    }

    /// From now on every append and save fails with `failure` and writes nothing; `None`: they work again.
    pub fn fail_with(&self, failure: Option<StoreError>) {
        self.state().failure = failure.map(|failure| (failure, u64::MAX));
    }

    /// The next `times` writes (an append counts once for each environment) fail with `failure`; later ones work.
    pub fn fail_next(&self, times: u64, failure: StoreError) {
        self.state().failure = (times > 0).then_some((failure, times));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn writable(&mut self) -> Result<(), StoreError> {
        let Some((failure, times)) = self.failure.take() else { return Ok(()) };
        self.failure = (times > 1).then(|| (failure.clone(), times - 1));
        Err(failure)
    }

    fn append(&mut self, batch: &Batch, environment: &Environment) -> Result<Appended, StoreError> {
        self.writable()?;
        if let Some(cycle_id) = batch.cycle_id
            && !self.cycles.insert((cycle_id, environment.clone()))
        {
            return Ok(Appended::AlreadyThere);
        }
        let mut rows = 0;
        for record in batch.records.iter().filter(|record| record.environment == *environment) {
            let start = self.rows.len();
            csv::encode(record, &mut self.rows);
            let row = self.rows.get(start..).unwrap_or_default();
            let lines = memchr::memchr_iter(b'\n', row).count() as u64;
            let note = RowNote { timestamp: record.timestamp, environment, cycle_id: None };
            self.index.push_row(row.len() as u64, lines, &note);
            rows += 1;
        }
        Ok(Appended::Written { rows })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn append(&self, batch: &Batch) -> AppendReport {
        let mut state = self.state();
        let mut report = AppendReport::new();
        for record in &batch.records {
            if !report.contains_key(&record.environment) {
                let outcome = state.append(batch, &record.environment);
                report.insert(record.environment.clone(), outcome);
            }
        }
        report
    }

    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        Ok(self.state().index.segments(scope))
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let state = self.state();
        let range = state.index.range(segment)?;
        let (start, len) = (range.start as usize, range.len as usize);
        let rows = state.rows.get(start..start + len).unwrap_or_default();
        Ok(Bytes::from([range.header.as_ref(), rows].concat()))
    }

    async fn load_rollup(&self, environment: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        let csv = self.state().rollups.get(&(environment.clone(), day)).cloned();
        Ok(csv.map(|csv| KeptRollup { csv, version: Arc::from("") }))
    }

    async fn rollup_environments(&self) -> Result<Vec<Environment>, StoreError> {
        let mut environments: Vec<_> =
            self.state().rollups.keys().map(|(environment, _)| environment.clone()).collect();
        environments.dedup();
        Ok(environments)
    }

    async fn save_rollup(
        &self,
        environment: &Environment,
        day: NaiveDate,
        csv: Bytes,
        _replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writable()?;
        state.rollups.insert((environment.clone(), day), csv);
        Ok(())
    }

    async fn append_usage(
        &self,
        environment: &Environment,
        day: NaiveDate,
        header_line: &str,
        rows: Bytes,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writable()?;
        let new = || format!("{header_line}\n").into_bytes();
        state.usage.entry((environment.clone(), day)).or_insert_with(new).extend_from_slice(&rows);
        Ok(())
    }

    async fn read_usage(&self, environment: &Environment, day: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().usage.get(&(environment.clone(), day)).cloned().map(Bytes::from))
    }

    async fn save_catalog(&self, environment: &Environment, json: Bytes) -> Result<(), StoreError> {
        let mut state = self.state();
        state.writable()?;
        state.catalogs.insert(environment.clone(), json);
        Ok(())
    }

    async fn load_catalog(&self, environment: &Environment) -> Result<Option<Bytes>, StoreError> {
        Ok(self.state().catalogs.get(environment).cloned())
    }

    async fn health(&self) -> StoreHealth {
        let problems = self.state().failure.iter().map(|(failure, _)| failure.to_string()).collect();
        StoreHealth { kind: "memory", location: "memory".to_owned(), problems, ..StoreHealth::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::{self, Backend, Load, Place};

    #[derive(Debug)]
    struct Memory;

    #[derive(Debug)]
    struct Kept(Arc<MemoryStore>);

    #[async_trait]
    impl Backend for Memory {
        async fn fresh(&self) -> Box<dyn Place> {
            Box::new(Kept(Arc::new(MemoryStore::new())))
        }
    }

    #[async_trait]
    impl Place for Kept {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::clone(&self.0) as Arc<dyn Store>
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_memory_store_keeps_the_guarantees() {
        contract::every_guarantee(&Memory, Load { writers: 8, appends: 50 }).await;
    }
}
