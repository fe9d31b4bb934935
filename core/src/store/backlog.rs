use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};

use super::{AppendReport, Batch, KeptRollup, Scope, Segment, Store, StoreError, StoreHealth};
use crate::record::{CycleId, Environment, Record};

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
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::store::{
        Appended, MemoryStore,
        contract::{self, Backend, Load, Place, all_rows, cycle, due, environment},
    };

    fn full() -> StoreError {
        StoreError::Full { location: "memory".to_owned() }
    }

    fn backlog() -> (Arc<MemoryStore>, Arc<Backlog>, Arc<dyn Store>) {
        let memory = Arc::new(MemoryStore::new());
        let backlog = Arc::new(Backlog::new(memory.clone()));
        (memory, backlog.clone(), backlog)
    }

    #[derive(Debug)]
    struct Backlogs;

    #[derive(Debug)]
    struct Kept(Arc<dyn Store>);

    #[async_trait]
    impl Backend for Backlogs {
        async fn fresh(&self) -> Box<dyn Place> {
            Box::new(Kept(backlog().2))
        }
    }

    #[async_trait]
    impl Place for Kept {
        async fn open(&self) -> Arc<dyn Store> {
            self.0.clone()
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_backlog_keeps_the_guarantees_of_what_it_wraps() {
        contract::every_guarantee(&Backlogs, Load { writers: 4, appends: 20 }).await;
    }

    #[tokio::test]
    async fn rows_wait_while_there_is_no_room_and_are_written_in_order_when_there_is() {
        let (memory, backlog, store) = backlog();
        memory.fail_with(Some(full()));
        for minute in 0..3 {
            let report = store.append(&cycle(minute, &["dev", "prod"], 2)).await;
            assert!(report.values().all(|outcome| matches!(outcome, Err(StoreError::Full { .. }))), "{report:?}");
            assert_eq!(report.len(), 2);
        }
        assert!(all_rows(&store).await.is_empty());
        let problems = store.health().await.problems.join("; ");
        assert!(problems.contains("12 rows wait in memory since 20"), "{problems}");
        let unwritten = backlog.flush().await.expect_err("still full");
        assert_eq!((unwritten.rows, unwritten.cycles), (12, 3));
        assert!(unwritten.to_string().starts_with("12 rows of 3 cycles, the oldest from 20"), "{unwritten}");

        memory.fail_with(None);
        let report = store.append(&cycle(3, &["dev"], 2)).await;
        assert_eq!(
            report.get(&environment("dev")).expect("an outcome").clone().expect("room"),
            Appended::Written { rows: 2 }
        );
        let cycles: Vec<_> = all_rows(&store).await.iter().filter_map(|record| record.cycle_id).collect();
        assert_eq!(cycles.len(), 14);
        assert!(cycles.is_sorted(), "{cycles:?}");
        assert_eq!(store.health().await.problems, Vec::<String>::new());
        backlog.flush().await.expect("nothing waits");
    }

    #[tokio::test]
    async fn a_repeat_of_a_cycle_that_waits_adds_nothing() {
        let (memory, backlog, store) = backlog();
        memory.fail_with(Some(full()));
        for _ in 0..3 {
            store.append(&cycle(0, &["dev"], 2)).await;
        }
        assert_eq!(backlog.flush().await.expect_err("still full").rows, 2, "it waits once");
        memory.fail_with(None);
        let report = store.append(&cycle(0, &["dev"], 2)).await;
        assert!(matches!(report.get(&environment("dev")), Some(Ok(Appended::AlreadyThere))), "{report:?}");
        backlog.flush().await.expect("room");
        assert_eq!(all_rows(&store).await.len(), 2);
    }

    #[tokio::test]
    async fn rows_of_one_environment_do_not_overtake_each_other() {
        let (memory, backlog, store) = backlog();
        memory.fail_with(Some(full()));
        for minute in 0..3 {
            store.append(&cycle(minute, &["dev", "qa"], 1)).await;
        }
        // The oldest of one environment fails once more: the younger ones, and the next append's, stay behind it.
        memory.fail_next(1, full());
        let report = store.append(&cycle(3, &["dev", "qa"], 1)).await;
        assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Full { .. }))), "{report:?}");
        assert!(matches!(report.get(&environment("qa")), Some(Ok(Appended::Written { rows: 1 }))), "{report:?}");
        backlog.flush().await.expect("room");
        for name in ["dev", "qa"] {
            let rows = all_rows(&store).await;
            let of_it = rows.iter().filter(|record| record.environment.as_str() == name);
            let cycles: Vec<_> = of_it.map(|record| record.latency_ms).collect();
            assert_eq!(cycles, [Some(0.125), Some(1.125), Some(2.125), Some(3.125)], "{name}");
        }
    }

    #[tokio::test]
    async fn rows_without_a_cycle_do_not_wait() {
        let (memory, backlog, store) = backlog();
        memory.fail_with(Some(full()));
        let mut post = cycle(0, &["dev"], 1);
        post.cycle_id = None;
        let report = store.append(&post).await;
        assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Full { .. }))), "{report:?}");
        memory.fail_with(None);
        backlog.flush().await.expect("nothing waits");
        assert!(all_rows(&store).await.is_empty());
    }

    #[tokio::test]
    async fn a_lasting_failure_does_not_wait() {
        let (memory, backlog, store) = backlog();
        memory.fail_with(Some(StoreError::Unusable { location: "memory".to_owned(), problem: "broken".to_owned() }));
        store.append(&cycle(0, &["dev"], 1)).await;
        backlog.flush().await.expect("nothing waits");
    }

    #[tokio::test]
    async fn the_memory_that_waiting_rows_take_is_bounded_and_a_loss_is_said() {
        let memory = Arc::new(MemoryStore::new());
        let store: Arc<dyn Store> = Arc::new(Backlog::with_max_rows(memory.clone(), 5));
        memory.fail_with(Some(full()));
        for minute in 0..3 {
            store.append(&cycle(minute, &["dev"], 2)).await;
        }
        let problems = store.health().await.problems.join("; ");
        assert!(problems.contains("4 rows wait") && problems.contains("2 rows are lost"), "{problems}");
        memory.fail_with(None);
        store.append(&cycle(9, &["qa"], 1)).await;
        let rows = all_rows(&store).await;
        assert_eq!(rows.first().and_then(|record| record.cycle_id), Some(due(0)));
        assert_eq!(rows.len(), 5);
    }
}
