//! Days of the local file move while the API's readers go through them, by the real clock.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use llm_monitor_core::{
    history::{Direction, History, Rows},
    record::{CycleId, Environment, Record},
    store::{Batch, FileStore, Scope, Store},
};
use tempfile::TempDir;

use super::support::monitor::Setup;

const ROUNDS: i64 = 12;
const CYCLES_A_DAY: i64 = 30;
const ROWS_A_CYCLE: usize = 6;

fn cycle_at(time: DateTime<Utc>) -> Batch {
    let cycle_id = CycleId::at(time);
    let record = |number| {
        let environment: Environment = if number % 2 == 0 { "dev" } else { "prod" }.parse().expect("a name");
        let mut record = Record::new(format!("model-{number}"), environment, time);
        record.cycle_id = Some(cycle_id);
        record.latency_ms = Some(1.0);
        record
    };
    Batch { cycle_id: Some(cycle_id), records: (0..ROWS_A_CYCLE).map(record).collect() }
}

/// Goes through all rows, in order and as a sum, until told; how many there were in the end.
async fn read_until(store: Arc<dyn Store>, cache_bytes: usize, is_done: Arc<AtomicBool>) -> usize {
    let history = History::new(store, cache_bytes);
    let mut most = 0;
    loop {
        let is_last = is_done.load(Ordering::Acquire);
        let mut scan = history.scan(Scope::default(), Direction::NewestFirst, None);
        let mut seen = BTreeSet::new();
        while let Some(row) = scan.next().await.expect("readable") {
            let key = (row.timestamp(), row.environment().clone(), row.model_name().to_owned());
            assert!(seen.insert(key), "a row twice");
        }
        assert!(seen.len() >= most, "{} rows where there had been {most}", seen.len());
        let rows = Rows { scope: &Scope::default(), wants: |_: &str| true, at_most: u64::MAX };
        most = history.fold(&rows, || 0, |count, _| *count += 1).await.expect("readable");
        assert!(most >= seen.len(), "{most} rows where there had been {}", seen.len());
        if is_last {
            return most;
        }
    }
}

async fn appears(path: &Path) {
    let appeared = tokio::time::timeout(Duration::from_secs(30), async {
        while !path.exists() {
            tokio::task::yield_now().await;
        }
    });
    appeared.await.expect("the day moves");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_row_is_seen_once_while_days_move() {
    let folder = TempDir::new().expect("a folder");
    let csv = folder.path().join("latency_data.csv");
    let store: Arc<dyn Store> = Arc::new(FileStore::open(&csv).expect("opens"));
    let other: Arc<dyn Store> = Arc::new(FileStore::open_read_only(&csv).expect("opens"));
    let is_done = Arc::new(AtomicBool::new(false));
    let readers = [(&store, 0), (&store, 1 << 20), (&other, 1 << 20)]
        .map(|(store, cache_bytes)| tokio::spawn(read_until(Arc::clone(store), cache_bytes, Arc::clone(&is_done))));
    let now = Utc::now();
    for round in 0..ROUNDS {
        // The past arrives, then a cycle of now, with which it moves.
        let noon = (now - TimeDelta::days(round + 2)).date_naive().and_hms_opt(12, 0, 0).expect("a time").and_utc();
        for number in 0..CYCLES_A_DAY {
            store.append(&cycle_at(noon + TimeDelta::minutes(number))).await;
        }
        store.append(&cycle_at(now + TimeDelta::seconds(round))).await;
        appears(&folder.path().join(format!("latency_data.d/date={}.csv", noon.date_naive()))).await;
    }
    is_done.store(true, Ordering::Release);
    let rows = ROWS_A_CYCLE * (ROUNDS * (CYCLES_A_DAY + 1)) as usize;
    for (reader, is_writers) in readers.into_iter().zip([true, true, false]) {
        let seen = reader.await.expect("the reader finishes");
        assert!(seen == rows || !is_writers, "{seen} of {rows} rows");
    }
    let anew: Arc<dyn Store> = Arc::new(FileStore::open_read_only(&csv).expect("opens"));
    assert_eq!(read_until(anew, 0, is_done).await, rows);
    Setup::new().with([("LATENCY_DATA_CSV", csv.to_str().expect("UTF-8"))]).assert_verified().await;
}
