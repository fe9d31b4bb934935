#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

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

use super::{
    scan::{Window, windows},
    *,
};
use crate::{
    record::{Environment, Record},
    store::{AppendReport, Batch, StoreHealth},
};

/// Segments as a test lays them out; counts and can hold or fail what is read.
#[derive(Debug)]
struct LaidOut {
    segments: Mutex<Vec<(Segment, Bytes)>>,
    reads: Mutex<BTreeMap<String, usize>>,
    failures: Mutex<VecDeque<StoreError>>,
    lists: AtomicUsize,
    gate: Semaphore,
}

impl LaidOut {
    fn new(segments: Vec<(Segment, Bytes)>) -> Arc<Self> {
        Arc::new(Self {
            segments: Mutex::new(segments),
            reads: Mutex::default(),
            failures: Mutex::default(),
            lists: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    fn reads(&self) -> usize {
        self.reads.lock().unwrap().values().sum()
    }

    fn reads_of(&self, name: &str) -> usize {
        self.reads.lock().unwrap().get(name).copied().unwrap_or(0)
    }

    fn history(self: &Arc<Self>) -> History {
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

#[tokio::test]
async fn rows_come_in_exact_order_and_a_scan_goes_on_after_any_of_them() {
    for seed in 0..15 {
        let (every, segments) = tangle(seed);
        let store = LaidOut::new(segments);
        let history = store.history();
        for direction in [Direction::OldestFirst, Direction::NewestFirst] {
            let rows = all(&mut history.scan(Scope::default(), direction, None)).await;
            let got = records(&rows);
            let key = |row: &Record| (row.timestamp, row.environment.clone(), row.model_name.clone());
            let mut expected: Vec<_> = every.iter().map(key).collect();
            if direction == Direction::NewestFirst {
                expected.reverse();
            }
            assert_eq!(got.iter().map(key).collect::<Vec<_>>(), expected, "seed {seed} {direction:?}");
            for (at, row) in rows.iter().enumerate() {
                let rest = all(&mut history.scan(Scope::default(), direction, Some(row.position()))).await;
                assert_eq!(records(&rest), got[at + 1..], "seed {seed} {direction:?} after row {at}");
            }
        }
    }
}

#[tokio::test]
async fn rows_of_one_instant_keep_their_order_where_one_segment_ends_and_another_begins() {
    let early = segment("early", &[record("dev", "a", 0), record("prod", "a", 5)], true);
    let late = segment("late", &[record("dev", "a", 5), record("dev", "a", 9)], true);
    let history = LaidOut::new(vec![early, late]).history();
    let mut names = Vec::new();
    for direction in [Direction::OldestFirst, Direction::NewestFirst] {
        let rows = all(&mut history.scan(Scope::default(), direction, None)).await;
        names.push(rows.iter().map(|row| row.environment().to_string()).collect::<Vec<_>>());
    }
    assert_eq!(names, [["dev", "dev", "prod", "dev"], ["dev", "prod", "dev", "dev"]]);
}

#[test]
fn the_stretches_that_are_listed_leave_no_gap_and_do_not_overlap() {
    let now = record("dev", "a", 0).timestamp;
    let days = |days: i64| Some(now + TimeDelta::days(days));
    for (from, to, newest_first, oldest_first) in [
        (None, None, 3, 1),
        (days(-30), None, 3, 3),
        (days(-3), days(0), 2, 2),
        (days(-30), days(-29), 1, 1),
        (None, days(-100), 3, 1),
        (None, days(100), 3, 1),
        (days(5), days(3), 1, 1),
    ] {
        for (direction, count) in [(Direction::NewestFirst, newest_first), (Direction::OldestFirst, oldest_first)] {
            let windows = windows(Window { from, to }, direction, now);
            assert_eq!(windows.len(), count, "{from:?} {to:?} {direction:?}");
            let mut in_order = Vec::from(windows);
            if direction == Direction::NewestFirst {
                in_order.reverse();
            }
            assert_eq!((in_order[0].from, in_order[count - 1].to), (from, to));
            assert!(in_order.windows(2).all(|pair| pair[0].to.is_some() && pair[0].to == pair[1].from), "{in_order:?}");
        }
    }
}

#[tokio::test]
async fn a_scope_is_kept_to() {
    let (every, segments) = tangle(7);
    let store = LaidOut::new(segments);
    let history = store.history();
    let (from, to) = (every[every.len() / 4].timestamp, every[every.len() / 2].timestamp);
    let scope = Scope { environments: Some(vec!["prod".parse().unwrap()]), from: Some(from), to: Some(to) };
    let expected = every
        .iter()
        .filter(|row| row.environment.as_str() == "prod" && row.timestamp >= from && row.timestamp < to)
        .count();
    assert!(expected > 0, "the tangle has such rows");
    for direction in [Direction::OldestFirst, Direction::NewestFirst] {
        let rows = all(&mut history.scan(scope.clone(), direction, None)).await;
        assert_eq!(rows.len(), expected);
        assert!(rows.iter().all(|row| row.environment().as_str() == "prod"));
        assert!(rows.iter().all(|row| row.timestamp() >= from && row.timestamp() < to));
    }
}

#[tokio::test]
async fn a_scope_of_no_environment_is_empty_and_costs_nothing() {
    let store = LaidOut::new(tangle(7).1);
    let history = store.history();
    let scope = Scope { environments: Some(Vec::new()), ..Scope::default() };
    assert!(history.scan(scope, Direction::NewestFirst, None).next().await.unwrap().is_none());
    assert_eq!(store.reads(), 0);
}

#[tokio::test]
async fn only_the_segments_of_the_page_are_read_and_closed_ones_once() {
    let hours = (0..100).map(|hour| {
        let rows: Vec<_> = (0..10).map(|n| record("prod", "a", hour * 3600 + n)).collect();
        segment(&format!("hour-{hour:03}"), &rows, true)
    });
    let store = LaidOut::new(hours.collect());
    let history = store.history();
    for _ in 0..3 {
        let mut scan = history.scan(Scope::default(), Direction::NewestFirst, None);
        for n in 0..15 {
            assert!(scan.next().await.unwrap().is_some(), "row {n}");
        }
        let mut scan = history.scan(Scope::default(), Direction::OldestFirst, None);
        scan.next().await.unwrap().unwrap();
    }
    let newest = [store.reads_of("hour-099"), store.reads_of("hour-098")];
    assert_eq!((newest, store.reads_of("hour-000"), store.reads()), ([1, 1], 1, 3));
}

#[tokio::test]
async fn readers_of_one_segment_share_one_read() {
    let store = LaidOut::new(vec![segment("s", &[record("prod", "a", 0)], true)]);
    store.gate.forget_permits(Semaphore::MAX_PERMITS);
    let history = Arc::new(store.history());
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let history = Arc::clone(&history);
            tokio::spawn(async move { all(&mut history.scan(Scope::default(), Direction::NewestFirst, None)).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.gate.add_permits(1);
    for reader in readers {
        assert_eq!(reader.await.unwrap().len(), 1);
    }
    assert_eq!(store.reads(), 1);
}

#[tokio::test]
async fn what_is_kept_stays_within_its_limit() {
    let segments = (0..50).map(|n| {
        let rows: Vec<_> = (0..100).map(|m| record("prod", "a", n * 100 + m)).collect();
        segment(&format!("s{n}"), &rows, true)
    });
    let store = LaidOut::new(segments.collect());
    let limit_bytes = 200_000;
    let history = History::new(Arc::clone(&store) as Arc<dyn Store>, limit_bytes);
    let mut scan = history.scan(Scope::default(), Direction::OldestFirst, None);
    let mut peak = 0;
    while scan.next().await.unwrap().is_some() {
        peak = peak.max(history.cache.bytes());
    }
    assert!(peak <= limit_bytes, "{peak} bytes");
    assert!(peak > limit_bytes / 4, "something is kept: {peak} bytes");

    let before = store.reads();
    let newest = Scope { from: Some(record("prod", "a", 4_990).timestamp), ..Scope::default() };
    assert_eq!(all(&mut history.scan(newest, Direction::NewestFirst, None)).await.len(), 10);
    assert_eq!(store.reads(), before, "the segment used last is kept");
}

#[tokio::test]
async fn a_segment_that_grew_is_read_anew() {
    let store = LaidOut::new(vec![segment("open", &[record("prod", "a", 0)], false)]);
    let history = store.history();
    assert_eq!(all(&mut history.scan(Scope::default(), Direction::NewestFirst, None)).await.len(), 1);
    *store.segments.lock().unwrap() = vec![segment("open", &[record("prod", "a", 0), record("prod", "a", 1)], false)];
    assert_eq!(all(&mut history.scan(Scope::default(), Direction::NewestFirst, None)).await.len(), 2);
    let kept = history.cache.bytes();
    let alone = LaidOut::new(vec![segment("open", &[record("prod", "a", 0), record("prod", "a", 1)], false)]);
    let fresh = alone.history();
    all(&mut fresh.scan(Scope::default(), Direction::NewestFirst, None)).await;
    assert_eq!(kept, fresh.cache.bytes(), "the shorter one is not kept");
}

#[tokio::test]
async fn a_segment_that_changes_while_it_is_read_is_listed_again_without_a_row_lost_or_doubled() {
    let rows: Vec<_> = (0..30).map(|n| record("prod", "a", n / 3)).collect();
    let store =
        LaidOut::new(rows.chunks(10).enumerate().map(|(n, rows)| segment(&format!("s{n}"), rows, true)).collect());
    let history = History::new(Arc::clone(&store) as Arc<dyn Store>, 0);
    let mut scan = history.scan(Scope::default(), Direction::OldestFirst, None);
    let mut got = Vec::new();
    for _ in 0..10 {
        got.push(scan.next().await.unwrap().unwrap().timestamp());
        let mut failures = store.failures.lock().unwrap();
        failures.clear();
        failures.extend((0..3).map(|_| StoreError::Changed { name: "s".to_owned() }));
    }
    got.extend(all(&mut scan).await.iter().map(Row::timestamp));
    assert_eq!(got, rows.iter().map(|row| row.timestamp).collect::<Vec<_>>());
}

#[tokio::test]
async fn segments_that_never_stay_as_listed_end_in_an_error() {
    let whole = segment("whole", &[record("prod", "a", 10), record("prod", "a", 0)], true);
    let store = LaidOut::new(vec![whole, segment("fickle", &[record("prod", "a", 5)], true)]);
    let history = store.history();
    let mut scan = history.scan(Scope::default(), Direction::NewestFirst, None);
    scan.next().await.unwrap().unwrap();
    store.failures.lock().unwrap().extend((0..1000).map(|_| StoreError::Changed { name: "fickle".to_owned() }));
    let outcome = scan.next().await;
    assert!(matches!(outcome, Err(StoreError::Changed { .. })), "{outcome:?}");
    assert!(store.lists.load(Ordering::Relaxed) < 20);
}

#[tokio::test]
async fn a_failure_is_told_and_not_kept() {
    let store = LaidOut::new(vec![segment("s", &[record("prod", "a", 0)], true)]);
    let down = StoreError::Unavailable { location: "s".to_owned(), problem: "no route".to_owned() };
    store.failures.lock().unwrap().push_back(down);
    let history = store.history();
    assert!(history.scan(Scope::default(), Direction::NewestFirst, None).next().await.is_err());
    assert!(history.scan(Scope::default(), Direction::NewestFirst, None).next().await.unwrap().is_some());
}

#[tokio::test]
async fn an_unreadable_row_counts_once_however_often_its_segment_is_read() {
    let (mut open, bytes) = segment("open", &[record("prod", "a", 0)], false);
    let with_bad = |rows: &str| Bytes::from([&bytes, rows.as_bytes()].concat());
    let store = LaidOut::new(vec![(open.clone(), with_bad("not,a,row\n"))]);
    let history = History::new(Arc::clone(&store) as Arc<dyn Store>, 0);
    for _ in 0..3 {
        assert_eq!(all(&mut history.scan(Scope::default(), Direction::NewestFirst, None)).await.len(), 1);
    }
    assert_eq!(history.skipped_rows(), 1);
    open.identity = Arc::from("longer");
    *store.segments.lock().unwrap() = vec![(open, with_bad("not,a,row\nnor,this\n"))];
    all(&mut history.scan(Scope::default(), Direction::NewestFirst, None)).await;
    assert_eq!(history.skipped_rows(), 2);
}

#[tokio::test]
async fn passing_over_rows_at_once_comes_out_where_passing_over_each_does() {
    let mut random = fastrand::Rng::with_seed(17);
    let store = Arc::new(crate::store::MemoryStore::new());
    for second in 0..2_000_i64 {
        // Unordered, so that segments overlap; over more days than are listed first.
        let at = second * 400 + random.i64(0..3_000) - if random.u8(..50) == 0 { 90_000 } else { 0 };
        let name = random.choice(["prod", "dev", "qa"]).unwrap();
        let records = vec![record(name, "model", at)];
        store.append(&Batch { cycle_id: None, records }).await;
    }
    let prod = Some(vec!["prod".parse().unwrap(), "qa".parse().unwrap()]);
    let middle = |seconds| Some(*EPOCH + TimeDelta::seconds(seconds));
    for scope in [
        Scope::default(),
        Scope { environments: prod.clone(), from: None, to: None },
        Scope { environments: prod, from: middle(100_123), to: middle(600_321) },
    ] {
        let history = History::new(Arc::clone(&store) as Arc<dyn Store>, DEFAULT_CACHE_BYTES);
        let mut scan = history.scan(scope.clone(), Direction::NewestFirst, None);
        let mut all = Vec::new();
        while let Some(row) = scan.next().await.unwrap() {
            all.push(row.position());
        }
        assert!(all.len() > 500);
        for skip in [0, 1, 2, 57, all.len() / 3, all.len() / 2, all.len() - 2, all.len() - 1, all.len(), all.len() + 5]
        {
            for direction in [Direction::NewestFirst, Direction::OldestFirst] {
                let mut scan = history.scan(scope.clone(), direction, None).skipping(skip as u64);
                let came = scan.next().await.unwrap().map(|row| row.position());
                let wanted = match direction {
                    Direction::NewestFirst => all.get(skip),
                    Direction::OldestFirst => all.iter().rev().nth(skip),
                };
                assert_eq!(came.as_ref(), wanted, "{skip} of {} {direction:?}", all.len());
            }
        }
    }
}
