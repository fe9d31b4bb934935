//! Each store, driven by random operations beside a plain list of rows, must always say what the list says: row by row, and in
//! figures, whether these are made of rows or of rollups.
//!
//! A failure prints the seed; `MODEL_SEED=… MODEL_OPERATIONS=… cargo test -p llm-monitor-tests model` runs it again, or longer.

mod figures;
mod places;
mod rows;

use std::{collections::BTreeSet, env, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use fastrand::Rng;
use futures_util::future::join_all;
use llm_monitor_core::{
    history::{Direction, History},
    record::Record,
    store::{Appended, Batch, MemoryStore, Scope, Store},
};
use serde_json::{Value, json};

use self::{
    places::{InFile, InMemory, InS3, Place},
    rows::{Rows, Writer, sorted},
};

/// Bytes of parsed segments that the history which lives through everything may keep: too few for all of them.
const CACHE_BYTES: usize = 64 * 1024;
/// How far the clock may go: no row is of the real future.
const DAYS: i64 = 9;

struct Run<P> {
    name: &'static str,
    seed: u64,
    place: P,
    store: Arc<dyn Store>,
    /// Lives as long as the store is open, so that what it keeps can be stale.
    history: History,
    expected: Rows,
    writer: Writer,
    rng: Rng,
    did: Vec<String>,
}

impl<P: Place> Run<P> {
    async fn start(name: &'static str, mut place: P, seed: u64) -> Self {
        place.set_clock(start());
        let store = place.open(None).await;
        let history = History::new(Arc::clone(&store), CACHE_BYTES);
        let (expected, writer, did) = (Rows::default(), Writer::default(), Vec::new());
        Self { name, seed, place, store, history, expected, writer, rng: Rng::with_seed(seed), did }
    }

    async fn operate(&mut self) {
        let choice = self.rng.u32(0..100);
        let name = match choice {
            0..35 => {
                let now = self.place.now();
                let batch = self.writer.cycle(&mut self.rng, now, now);
                self.append(vec![batch]).await;
                "a cycle"
            }
            35..45 => {
                let knows = |id, written_at| self.place.knows_a_repeat(id, written_at);
                let batch = self.writer.repeat(&mut self.rng, knows);
                self.append(batch.into_iter().collect()).await;
                "a cycle again, of some environments"
            }
            45..52 => {
                let days = self.rng.i64(1..4);
                let now = self.place.now();
                let batch = self.writer.cycle(&mut self.rng, now - TimeDelta::days(days), now);
                self.append(vec![batch]).await;
                "a cycle of the past"
            }
            52..58 => {
                let at = self.place.now() - TimeDelta::minutes(self.rng.i64(0..4_000));
                let batch = self.writer.post(&mut self.rng, at);
                // The same twice is two rows.
                self.append(vec![batch.clone(), batch]).await;
                "a row of no cycle, twice"
            }
            58..64 => {
                let now = self.place.now();
                let one = self.writer.cycle(&mut self.rng, now, now);
                let other = self.writer.cycle(&mut self.rng, now, now);
                self.append_at_once(vec![one.clone(), other, one]).await;
                "three writers at once, two with the same cycle"
            }
            64..80 => {
                let to = self.place.now() + TimeDelta::minutes(self.rng.i64(1..1_200));
                self.place.set_clock(to.min(start() + TimeDelta::days(DAYS)));
                "time passes"
            }
            80..84 => {
                self.place.set_clock(self.place.now() - TimeDelta::minutes(self.rng.i64(1..2_000)));
                "the clock is set back"
            }
            84..90 => {
                self.reopen(None).await;
                "opened anew"
            }
            90..94 => {
                self.die_while_appending().await;
                "death in the middle, and opened anew"
            }
            94..96 => {
                let days = self.rng.u32(1..6);
                if self.place.deletes_old_days() {
                    self.reopen(Some(days)).await;
                    self.expected.retain(days, self.place.now());
                    self.reopen(None).await;
                }
                "old days deleted"
            }
            _ => {
                self.history.roll_up(None).await.expect("days are rolled up");
                "finished days rolled up"
            }
        };
        self.did.push(format!("{} {name}", self.place.now().format("%dT%H:%M")));
    }

    /// One after the other, none of which may fail.
    async fn append(&mut self, batches: Vec<Batch>) {
        for batch in batches {
            for (environment, outcome) in self.store.append(&batch).await {
                let outcome = outcome.unwrap_or_else(|error| panic!("{environment}: {error}"));
                assert_eq!(outcome, self.expected.append(&batch, &environment), "of {environment}");
            }
        }
    }

    async fn append_at_once(&mut self, batches: Vec<Batch>) {
        let mut stores = Vec::new();
        for number in 0..batches.len() {
            let another = if number == 0 { None } else { self.place.open_another().await };
            stores.push(another.unwrap_or_else(|| Arc::clone(&self.store)));
        }
        let reports = join_all(stores.iter().zip(&batches).map(|(store, batch)| store.append(batch))).await;
        let mut written = 0;
        for outcome in reports.into_iter().flatten().map(|(_, outcome)| outcome.expect("no failure")) {
            written += if let Appended::Written { rows } = outcome { rows } else { 0 };
        }
        let before = self.expected.all().len();
        for batch in &batches {
            for environment in rows::environments_of(batch) {
                self.expected.append(batch, &environment);
            }
        }
        assert_eq!(written, self.expected.all().len() - before, "each row is acknowledged once");
    }

    async fn reopen(&mut self, retention_days: Option<u32>) {
        if !self.place.outlives_its_store() {
            return;
        }
        // The lock goes with the last holder.
        let nothing: Arc<dyn Store> = Arc::new(MemoryStore::default());
        self.history = History::new(Arc::clone(&nothing), 0);
        self.store = nothing;
        self.store = self.place.open(retention_days).await;
        self.history = History::new(Arc::clone(&self.store), CACHE_BYTES);
    }

    /// From a random step on nothing reaches the disk of days any more; what was acknowledged is there afterwards, and of what
    /// was not, all rows of an environment or none.
    async fn die_while_appending(&mut self) {
        self.place.fail_from(Some(self.rng.usize(0..8)));
        let mut open = Vec::new();
        for _ in 0..2 {
            self.place.set_clock(self.place.now() + TimeDelta::minutes(1));
            let at = self.place.now() - TimeDelta::days(if self.rng.bool() { 0 } else { 2 });
            let batch = self.writer.cycle(&mut self.rng, at, self.place.now());
            for (environment, outcome) in self.store.append(&batch).await {
                match outcome {
                    Ok(outcome) => assert_eq!(outcome, self.expected.append(&batch, &environment), "of {environment}"),
                    Err(_) => open.push((batch.clone(), environment)),
                }
            }
        }
        self.place.fail_from(None);
        self.reopen(None).await;
        let found = self.scan(&self.history, Scope::default(), Direction::OldestFirst).await;
        for (batch, environment) in open {
            let rows = batch.records.iter().filter(|record| record.environment == environment);
            let (there, all) = (rows.clone().filter(|record| found.contains(record)).count(), rows.count());
            assert!(there == 0 || there == all, "{there} of {all} rows of a batch that was not acknowledged");
            if there > 0 {
                self.expected.append(&batch, &environment);
            }
        }
        self.verify().await;
    }

    /// `verify` counts the same rows, and finds nothing but what was added twice on purpose.
    async fn verify(&self) {
        let Some(setup) = self.place.settings() else { return };
        let verified = setup.run(&["verify", "--json"]).await;
        let report: Value = serde_json::from_str(&verified.stdout).unwrap_or_else(|_| panic!("{}", verified.stderr));
        assert_eq!(report["rows"], self.expected.all().len());
        let mut seen = BTreeSet::new();
        let key = |row: &Record| (row.cycle_id, row.timestamp, row.environment.clone(), row.model_name.clone());
        let twice = self.expected.all().iter().filter(|row| !seen.insert(key(row))).count();
        let expected = if twice > 0 { json!({ "duplicate_row": twice }) } else { json!({}) };
        assert_eq!(report["problem_counts"], expected, "{report:#}");
    }

    async fn scan(&self, history: &History, scope: Scope, direction: Direction) -> Vec<Record> {
        let mut scan = history.scan(scope, direction, None);
        let mut rows: Vec<Record> = Vec::new();
        while let Some(row) = scan.next().await.expect("readable") {
            rows.push(row.to_record());
        }
        if direction == Direction::NewestFirst {
            rows.reverse();
        }
        assert!(rows.is_sorted_by_key(|row| row.timestamp), "rows are not in time's order");
        rows
    }

    async fn check(&mut self) {
        assert_eq!(self.history.skipped_rows(), 0, "rows that cannot be read");
        let scope = rows::scope(&mut self.rng, start());
        let fresh = History::new(Arc::clone(&self.store), 0);
        for (history, scope, direction) in [
            (&self.history, Scope::default(), Direction::OldestFirst),
            (&fresh, Scope::default(), Direction::NewestFirst),
            (&self.history, scope.clone(), Direction::NewestFirst),
        ] {
            let expected: Vec<_> = self.expected.within(&scope).cloned().collect();
            assert_same(&sorted(self.scan(history, scope, direction).await), &sorted(expected));
        }
        figures::assert_alike(&self.history, &scope, &self.expected).await;
    }
}

/// Noon, so many days before the real one that all days of a run are over.
fn start() -> DateTime<Utc> {
    let date = (Utc::now() - TimeDelta::days(DAYS + 2)).date_naive();
    date.and_hms_opt(12, 0, 0).expect("a time").and_utc()
}

fn assert_same(found: &[Record], expected: &[Record]) {
    for record in expected {
        assert!(found.contains(record), "lost: {record:#?}");
    }
    for record in found {
        let count = |rows: &[Record]| rows.iter().filter(|other| *other == record).count();
        assert_eq!(count(found), count(expected), "how often it is there: {record:#?}");
    }
    assert!(found == expected, "rows that are not alike in their order");
}

/// Prints the way to a failure.
impl<P> Drop for Run<P> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.did.len().saturating_sub(20);
            eprintln!("the last operations: {:#?}", self.did.get(last..));
            eprintln!("run it again: MODEL_SEED={} cargo test -p llm-monitor-tests model::{}", self.seed, self.name);
        }
    }
}

async fn drive(name: &'static str, place: impl Place, operations: usize, check_each: usize) {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("MODEL_SEED").unwrap_or_else(|| fastrand::u64(..));
    let operations = number("MODEL_OPERATIONS").map_or(operations, |number| number as usize);
    let mut run = Run::start(name, place, seed).await;
    for operation in 1..=operations {
        run.operate().await;
        if operation % check_each == 0 || operation == operations {
            run.check().await;
        }
    }
    run.verify().await;
    assert!(run.expected.all().len() > operations / 4, "too little happened: {:#?}", run.did);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_store_says_what_a_list_of_rows_says() {
    drive("the_memory_store", InMemory::default(), 400, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_store_says_what_a_list_of_rows_says() {
    drive("the_file_store", InFile::new(), 400, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_s3_store_says_what_a_list_of_rows_says() {
    drive("the_s3_store", InS3::new().await, 120, 12).await;
}
