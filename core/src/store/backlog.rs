use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::{AppendReport, Batch, KeptRollup, Scope, Segment, Store, StoreError, StoreHealth};
use crate::record::{CycleId, Environment, Record, Table};

/// Most rows that wait: about 100 MB, or three days of 40 models a minute. What comes after is refused, and said to be lost.
const MAX_WAITING_ROWS: usize = 200_000;

/// Keeps the rows of a cycle in memory when `inner` has no room or cannot be reached, and writes them when it can again.
///
/// Rows that wait are tried again, oldest first, before the next append and by [`flush`](Backlog::flush); of one
/// environment, none overtakes another. The report of an append tells the failure all the same: the rows are not durable
/// yet. Only cycles wait, for only they can be repeated without harm: whoever sent rows without one (a POST) is told to send
/// them again.
#[derive(Debug)]
pub struct Backlog {
    inner: Arc<dyn Store>,
    max_rows: usize,
    /// Held while rows are written, so that none overtakes another.
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Of one environment and one cycle each, oldest first.
    parts: VecDeque<Part>,
    rows: usize,
    /// Since when there has been something waiting.
    since: Option<DateTime<Utc>>,
    cause: Option<StoreError>,
    /// Rows refused because too many were waiting.
    lost_rows: u64,
}

/// The rows of one environment in one cycle.
#[derive(Debug, Clone)]
struct Part {
    environment: Environment,
    cycle_id: CycleId,
    batch: Arc<Batch>,
}

/// Rows that could not be written.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{rows} rows of {cycles} cycles, the oldest from {}, could not be written: {cause}",
    since.to_rfc3339_opts(SecondsFormat::Secs, true)
)]
pub struct Unwritten {
    /// How many rows.
    pub rows: usize,
    /// Of how many cycles.
    pub cycles: usize,
    /// When the oldest of them was to be written.
    pub since: DateTime<Utc>,
    /// Why the last attempt failed.
    pub cause: StoreError,
}

/// Whether it helps to try again later.
fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Full { .. } | StoreError::Unavailable { .. })
}

impl Backlog {
    /// Wraps `inner`.
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self::with_max_rows(inner, MAX_WAITING_ROWS)
    }

    fn with_max_rows(inner: Arc<dyn Store>, max_rows: usize) -> Self {
        Self { inner, max_rows, turn: tokio::sync::Mutex::new(()), waiting: Mutex::new(Waiting::default()) }
    }

    /// Tries to write what waits.
    ///
    /// # Errors
    /// What still could not be written, and why. It goes on waiting.
    pub async fn flush(&self) -> Result<(), Unwritten> {
        let _turn = self.turn.lock().await;
        self.write_waiting().await;
        self.waiting().unwritten().map_or(Ok(()), Err)
    }

    /// The rows that wait, oldest first, for a host that ends and must put them elsewhere.
    pub fn waiting_records(&self) -> Vec<Record> {
        self.waiting().parts.iter().flat_map(|part| part.batch.records.iter().cloned()).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Changes under this lock cannot panic half-way.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries the rows that wait, oldest first; an environment that fails is left alone for the rest of the round. To be
    /// called in turn. Nothing is lost when the caller goes away: a part leaves the queue after it has been written.
    async fn write_waiting(&self) {
        let mut failed = BTreeSet::new();
        let mut at = 0;
        loop {
            let Some(part) = self.waiting().parts.get(at).cloned() else { return };
            if failed.contains(&part.environment) {
                at += 1;
                continue;
            }
            let outcome = self.inner.append(&part.batch).await.remove(&part.environment);
            match outcome {
                Some(Err(error)) if is_passing(&error) => {
                    failed.insert(part.environment);
                    self.waiting().cause = Some(error);
                    at += 1;
                }
                Some(Err(error)) => {
                    // Stays too: somebody may put this right, and until then it is to be seen.
                    tracing::error!(%error, environment = %part.environment, "rows that wait cannot be written: {error}");
                    failed.insert(part.environment);
                    self.waiting().cause = Some(error);
                    at += 1;
                }
                Some(Ok(_)) | None => self.waiting().remove(at),
            }
        }
    }

    /// Writes a cycle's rows behind those that wait.
    async fn append_cycle(&self, batch: &Batch, cycle_id: CycleId) -> AppendReport {
        let _turn = self.turn.lock().await;
        self.write_waiting().await;
        let mut report = AppendReport::new();
        let blocked = self.waiting().blocked();
        let (held, free): (Vec<_>, Vec<_>) =
            batch.records.iter().cloned().partition(|record| blocked.contains(&record.environment));
        if !free.is_empty() {
            report = self.inner.append(&Batch { cycle_id: Some(cycle_id), records: free }).await;
        }
        let mut waiting = self.waiting();
        if let Some(cause) = waiting.cause.clone() {
            for record in held {
                report.entry(record.environment).or_insert_with(|| Err(cause.clone()));
            }
        }
        for (environment, outcome) in &mut report {
            if let Err(error) = outcome
                && (is_passing(error) || blocked.contains(environment))
            {
                waiting.add(batch, cycle_id, environment, error, self.max_rows);
            }
        }
        report
    }
}

impl Waiting {
    /// Environments of which rows wait.
    fn blocked(&self) -> BTreeSet<Environment> {
        self.parts.iter().map(|part| part.environment.clone()).collect()
    }

    fn remove(&mut self, at: usize) {
        if let Some(part) = self.parts.remove(at) {
            self.rows -= part.batch.records.len();
        }
        if self.parts.is_empty() {
            self.since = None;
            self.cause = None;
        }
    }

    /// Adds the rows of `environment`, unless they wait already.
    fn add(
        &mut self,
        batch: &Batch,
        cycle_id: CycleId,
        environment: &Environment,
        error: &StoreError,
        max_rows: usize,
    ) {
        if self.parts.iter().any(|part| part.cycle_id == cycle_id && part.environment == *environment) {
            return;
        }
        let of_environment = batch.records.iter().filter(|record| record.environment == *environment);
        let records: Vec<_> = of_environment.cloned().collect();
        let rows = records.len();
        if self.rows + rows > max_rows {
            self.lost_rows += rows as u64;
            tracing::error!(%environment, %cycle_id, rows, "{rows} rows are lost: {} wait already", self.rows);
            return;
        }
        // The cycle says that its rows were not written: once, for all its environments.
        tracing::debug!(%environment, %cycle_id, rows, %error, "{rows} rows of {environment} wait in memory");
        let batch = Arc::new(Batch { cycle_id: Some(cycle_id), records });
        self.parts.push_back(Part { environment: environment.clone(), cycle_id, batch });
        self.rows += rows;
        self.since.get_or_insert_with(Utc::now);
        self.cause = Some(error.clone());
    }

    fn unwritten(&self) -> Option<Unwritten> {
        let cycles: BTreeSet<_> = self.parts.iter().map(|part| part.cycle_id).collect();
        let (since, cause) = (self.since?, self.cause.clone()?);
        Some(Unwritten { rows: self.rows, cycles: cycles.len(), since, cause })
    }
}

#[async_trait]
impl Store for Backlog {
    async fn append(&self, batch: &Batch) -> AppendReport {
        match batch.cycle_id {
            Some(cycle_id) => self.append_cycle(batch, cycle_id).await,
            None => self.inner.append(batch).await,
        }
    }

    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        self.inner.segments(scope).await
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        self.inner.read(segment).await
    }

    async fn take_decoded(&self) -> Vec<(Segment, Table)> {
        self.inner.take_decoded().await
    }

    async fn parts(&self, segment: &Segment) -> Result<Vec<Segment>, StoreError> {
        self.inner.parts(segment).await
    }

    async fn load_rollup(&self, environment: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        self.inner.load_rollup(environment, day).await
    }

    async fn rollup_environments(&self) -> Result<Vec<Environment>, StoreError> {
        self.inner.rollup_environments().await
    }

    async fn save_rollup(
        &self,
        environment: &Environment,
        day: NaiveDate,
        csv: Bytes,
        replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        self.inner.save_rollup(environment, day, csv, replaces).await
    }

    async fn append_usage(
        &self,
        environment: &Environment,
        day: NaiveDate,
        header_line: &str,
        rows: Bytes,
    ) -> Result<(), StoreError> {
        self.inner.append_usage(environment, day, header_line, rows).await
    }

    async fn read_usage(&self, environment: &Environment, day: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        self.inner.read_usage(environment, day).await
    }

    async fn save_catalog(&self, environment: &Environment, json: Bytes) -> Result<(), StoreError> {
        self.inner.save_catalog(environment, json).await
    }

    async fn load_catalog(&self, environment: &Environment) -> Result<Option<Bytes>, StoreError> {
        self.inner.load_catalog(environment).await
    }

    async fn health(&self) -> StoreHealth {
        let mut health = self.inner.health().await;
        let waiting = self.waiting();
        health.problems.extend(waiting.unwritten().map(|unwritten| {
            let since = unwritten.since.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("{} rows wait in memory since {since}: {}", unwritten.rows, unwritten.cause)
        }));
        // Oldest first: of each environment the newest stays.
        health.waiting.extend(waiting.parts.iter().map(|part| (part.environment.clone(), part.cycle_id)));
        if waiting.lost_rows > 0 {
            health.problems.push(format!("{} rows are lost: too many waited", waiting.lost_rows));
        }
        health
    }
}

#[cfg(test)]
mod tests;
