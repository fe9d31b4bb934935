//! The guarantees of [`Store`] as one suite that runs over every store: memory, file, S3.
//!
//! A store's tests implement [`Backend`] and call [`every_guarantee`], or single guarantees by name. Each panics with what a
//! user would have lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test suite: panicking is how it reports")]
#![allow(clippy::cast_possible_wrap, reason = "its numbers are small")]
#![allow(clippy::missing_panics_doc, reason = "each panics when its guarantee does not hold")]

mod fixtures;

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{NaiveDate, TimeDelta};
use futures_util::future::join_all;

use super::{Appended, Scope, Store, StoreError};
use crate::record::{ErrorKind, Failure, Outcome, Record, csv};

pub use fixtures::{all_rows, cycle, due, environment, rows};
use fixtures::{assert_same, outcome};

/// Makes empty places to store in.
#[async_trait]
pub trait Backend: Debug + Send + Sync {
    /// A place with nothing in it.
    async fn fresh(&self) -> Box<dyn Place>;
}

/// Somewhere to store that outlives the store that has it open.
#[async_trait]
pub trait Place: Debug + Send + Sync {
    /// Opens the store. Whatever had the place open before has been dropped.
    async fn open(&self) -> Arc<dyn Store>;

    /// A second writer at the same time, as if in another process; `None` where the store admits one only.
    async fn open_another(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

/// How hard the suite tries.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Concurrent writers.
    pub writers: usize,
    /// Appends of each.
    pub appends: usize,
}

/// All of the guarantees below.
pub async fn every_guarantee(backend: &dyn Backend, load: Load) {
    what_is_appended_is_read_back(backend).await;
    a_repeat_adds_nothing(backend).await;
    rows_without_a_cycle_are_always_added(backend).await;
    no_row_is_lost_or_doubled(backend, load).await;
    readers_never_see_half(backend, load).await;
    a_listed_segment_reads_as_it_was_listed(backend).await;
    order_is_kept(backend).await;
    a_big_batch_is_read_back(backend).await;
    odd_characters_are_kept(backend).await;
    a_scope_finds_its_rows(backend).await;
    usage_and_catalog_are_kept(backend).await;
    rollups_are_kept(backend).await;
}

/// Read your writes, also after reopening.
pub async fn what_is_appended_is_read_back(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    assert!(all_rows(&store).await.is_empty(), "a fresh place has rows");
    let mut expected = Vec::new();
    for minute in 0..3 {
        let batch = cycle(minute, &["dev", "prod"], 3);
        let report = store.append(&batch).await;
        for environment in ["dev", "prod"] {
            assert_eq!(outcome(&report, environment), Appended::Written { rows: 3 });
        }
        assert_eq!(report.len(), 2, "one outcome for each environment in the batch");
        expected.extend(batch.records);
        assert_same(&all_rows(&store).await, &expected, "right after the append");
    }
    drop(store);
    assert_same(&all_rows(&place.open().await).await, &expected, "after reopening");
}

/// A repeat of a cycle adds nothing, whichever environments it holds, also after reopening.
pub async fn a_repeat_adds_nothing(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let first = cycle(0, &["dev", "qa"], 2);
    let store = place.open().await;
    store.append(&first).await;
    store.append(&cycle(1, &["dev"], 2)).await;
    let expected = all_rows(&store).await;
    let mut store = store;
    for when in ["a repeat", "a repeat after reopening"] {
        let report = store.append(&first).await;
        assert_eq!(outcome(&report, "dev"), Appended::AlreadyThere, "{when}");
        assert_eq!(outcome(&report, "qa"), Appended::AlreadyThere, "{when}");
        assert_same(&all_rows(&store).await, &expected, when);
        drop(store);
        store = place.open().await;
    }
    // Only the environment that is missing is added.
    let report = store.append(&cycle(1, &["dev", "qa"], 2)).await;
    assert_eq!(outcome(&report, "dev"), Appended::AlreadyThere);
    assert_eq!(outcome(&report, "qa"), Appended::Written { rows: 2 });
    assert_eq!(all_rows(&store).await.len(), expected.len() + 2);
}

/// A POST sent twice is two rows: only cycles have an identity.
pub async fn rows_without_a_cycle_are_always_added(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    let mut batch = cycle(0, &["dev"], 1);
    batch.cycle_id = None;
    batch.records.iter_mut().for_each(|record| record.cycle_id = None);
    for _ in 0..2 {
        assert_eq!(outcome(&store.append(&batch).await, "dev"), Appended::Written { rows: 1 });
    }
    assert_eq!(all_rows(&store).await.len(), 2);
}

/// Concurrent writers, some repeating each other's cycles: every row is there once.
pub async fn no_row_is_lost_or_doubled(backend: &dyn Backend, load: Load) {
    let place = backend.fresh().await;
    let store = place.open().await;
    let mut tasks = Vec::new();
    for writer in 0..load.writers {
        let store = if writer % 2 == 1 { place.open_another().await } else { None }.unwrap_or_else(|| store.clone());
        tasks.push(tokio::spawn(async move {
            for append in 0..load.appends {
                // Every cycle is delivered to two writers.
                let minute = (writer / 2) * load.appends + append;
                let report = store.append(&cycle(minute, &["dev", "prod"], 2)).await;
                for (environment, outcome) in report {
                    outcome.unwrap_or_else(|error| panic!("append to {environment}: {error}"));
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect("the writer finishes");
    }
    let cycles = load.writers.div_ceil(2) * load.appends;
    let expected: Vec<_> = (0..cycles).flat_map(|minute| cycle(minute, &["dev", "prod"], 2).records).collect();
    assert_same(&all_rows(&store).await, &expected, "after concurrent appends");
    drop(store);
    assert_same(&all_rows(&place.open().await).await, &expected, "after concurrent appends and reopening");
}

/// While writers run, a reader sees all rows of a cycle's environment or none.
pub async fn readers_never_see_half(backend: &dyn Backend, load: Load) {
    const MODELS: usize = 5;
    let place = backend.fresh().await;
    let store = place.open().await;
    let is_done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn({
        let (store, is_done) = (store.clone(), is_done.clone());
        async move {
            let mut most = 0;
            loop {
                let is_last = is_done.load(Ordering::Acquire);
                let rows = all_rows(&store).await;
                let mut counts: BTreeMap<_, usize> = BTreeMap::new();
                for record in &rows {
                    *counts.entry((record.cycle_id, record.environment.clone())).or_default() += 1;
                }
                for ((cycle, environment), count) in counts {
                    assert_eq!(count, MODELS, "a reader saw part of cycle {cycle:?} of {environment}");
                }
                assert!(rows.len() >= most, "rows that a reader had seen are gone");
                most = rows.len();
                if is_last {
                    return most;
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let writers = (0..load.writers).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            for append in 0..load.appends {
                store.append(&cycle(writer * load.appends + append, &["dev", "prod"], MODELS)).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.expect("the writer finishes");
    }
    is_done.store(true, Ordering::Release);
    let seen = reader.await.expect("the reader finishes");
    assert_eq!(seen, load.writers * load.appends * MODELS * 2, "rows after the last append");
}

/// Same name and identity: same rows, whatever has been appended since. Or the store says that it changed.
pub async fn a_listed_segment_reads_as_it_was_listed(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    store.append(&cycle(0, &["dev"], 3)).await;
    let listed = store.segments(&Scope::default()).await.expect("segments are listed");
    let mut before = Vec::new();
    for segment in &listed {
        before.push(store.read(segment).await.expect("a segment is read"));
    }
    store.append(&cycle(1, &["dev"], 3)).await;
    for (segment, before) in listed.iter().zip(before) {
        match store.read(segment).await {
            Ok(bytes) => assert_eq!(bytes, before, "{} changed under the same identity", segment.name),
            Err(StoreError::Changed { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let now = store.segments(&Scope::default()).await.expect("segments are listed");
    assert_ne!(now, listed, "an append changes an identity or adds a segment");
}

/// Rows of one environment come back in the order in which they were appended.
pub async fn order_is_kept(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    for minute in 0..50 {
        store.append(&cycle(minute, &["dev"], 4)).await;
    }
    let names: Vec<_> =
        all_rows(&store).await.into_iter().map(|record| (record.timestamp, record.model_name)).collect();
    assert!(names.is_sorted(), "rows are out of order");
    let segments = store.segments(&Scope::default()).await.expect("segments are listed");
    assert!(segments.iter().map(|segment| segment.earliest).is_sorted(), "segments are out of order");
}

/// A batch of many megabytes is written, split into segments and read back.
pub async fn a_big_batch_is_read_back(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    let batch = cycle(0, &["dev", "qa", "prod"], 6_000);
    let report = store.append(&batch).await;
    assert_eq!(outcome(&report, "qa"), Appended::Written { rows: 6_000 });
    store.append(&cycle(1, &["dev"], 1)).await;
    let mut expected = batch.records;
    expected.extend(cycle(1, &["dev"], 1).records);
    assert_same(&all_rows(&store).await, &expected, "a big batch");
    drop(store);
    assert_same(&all_rows(&place.open().await).await, &expected, "a big batch after reopening");
}

/// Line ends, quotes and other alphabets in any text.
pub async fn odd_characters_are_kept(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    let mut batch = cycle(0, &["dev"], 1);
    let pattern = batch.records.remove(0);
    for text in ["a,b", "\"", "\"\"x", "line\nbreak", "\r\n", "\r", " spaced ", "日本語 🦀", "=1+1", "\u{0}", "#", "\\"]
    {
        let mut record = pattern.clone();
        text.clone_into(&mut record.model_name);
        record.finish_reason = Some(text.to_owned());
        record.outcome = Outcome::Error(Failure { kind: Some(ErrorKind::Dns), message: Some(text.to_owned()) });
        batch.records.push(record);
    }
    store.append(&batch).await;
    store.append(&cycle(1, &["dev"], 1)).await;
    let expected: Vec<_> = batch.records.into_iter().chain(cycle(1, &["dev"], 1).records).collect();
    assert_same(&all_rows(&store).await, &expected, "odd characters");
    drop(store);
    assert_same(&all_rows(&place.open().await).await, &expected, "odd characters after reopening");
}

/// Segments of a scope hold all of its rows, and their bounds are true.
pub async fn a_scope_finds_its_rows(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    for minute in 0..240 {
        store.append(&cycle(minute, &["dev", "prod"], 3)).await;
    }
    let all = all_rows(&store).await;
    for (from, to) in [(None, None), (Some(60), Some(61)), (Some(0), Some(120)), (Some(239), None), (None, Some(1))] {
        let scope = Scope {
            environments: Some(vec![environment("prod")]),
            from: from.map(|minute| due(minute).scheduled()),
            to: to.map(|minute| due(minute).scheduled()),
        };
        let is_within = |record: &&Record| {
            record.environment.as_str() == "prod"
                && scope.from.is_none_or(|from| record.timestamp >= from)
                && scope.to.is_none_or(|to| record.timestamp < to)
        };
        let expected: Vec<_> = all.iter().filter(is_within).cloned().collect();
        let found: Vec<_> = rows(&store, &scope).await.iter().filter(is_within).cloned().collect();
        assert_same(&found, &expected, "a scope");
    }
    for segment in store.segments(&Scope::default()).await.expect("segments are listed") {
        let bytes = store.read(&segment).await.expect("a segment is read");
        for record in csv::decode(&bytes, segment.first_line).records {
            assert!(segment.earliest.is_none_or(|earliest| record.timestamp >= earliest), "{}", segment.name);
            assert!(segment.latest.is_none_or(|latest| record.timestamp <= latest), "{}", segment.name);
            assert!(segment.environment.as_ref().is_none_or(|only| *only == record.environment), "{}", segment.name);
        }
    }
}

/// A rollup is kept by environment and day, a better one takes its place, and it is no record.
pub async fn rollups_are_kept(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    let (dev, prod) = (environment("dev"), environment("prod"));
    let day = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day");
    assert_eq!(store.load_rollup(&dev, day).await.expect("readable"), None);
    store.save_rollup(&dev, day, Bytes::from("old"), None).await.expect("written");
    let old = store.load_rollup(&dev, day).await.expect("readable").expect("kept");
    assert_eq!(old.csv, "old");
    store.save_rollup(&dev, day, Bytes::from("new"), Some(&old.version)).await.expect("written");
    // The loser of a race keeps quiet: theirs was made of the same records.
    store.save_rollup(&dev, day, Bytes::from("new"), Some(&old.version)).await.expect("no failure");
    drop(store);
    let store = place.open().await;
    assert_eq!(store.load_rollup(&dev, day).await.expect("readable").expect("kept").csv, "new");
    assert_eq!(store.load_rollup(&prod, day).await.expect("readable"), None);
    assert_eq!(store.load_rollup(&dev, day + TimeDelta::days(1)).await.expect("readable"), None);
    assert!(all_rows(&store).await.is_empty(), "a rollup is no record");
}

/// What the usage endpoint said, and the last good catalog.
pub async fn usage_and_catalog_are_kept(backend: &dyn Backend) {
    let place = backend.fresh().await;
    let store = place.open().await;
    let (dev, prod) = (environment("dev"), environment("prod"));
    let day = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day");
    assert_eq!(store.read_usage(&dev, day).await.expect("readable"), None);
    assert_eq!(store.load_catalog(&dev).await.expect("readable"), None);
    store.append_usage(&dev, day, "a,b", Bytes::from("1,2\n")).await.expect("written");
    store.append_usage(&dev, day, "a,b", Bytes::from("3,4\n5,6\n")).await.expect("written");
    store.save_catalog(&dev, Bytes::from("{\"old\":1}")).await.expect("written");
    store.save_catalog(&dev, Bytes::from("{}")).await.expect("written");
    drop(store);
    let store = place.open().await;
    let usage = store.read_usage(&dev, day).await.expect("readable");
    assert_eq!(usage.as_deref(), Some(&b"a,b\n1,2\n3,4\n5,6\n"[..]));
    assert_eq!(store.load_catalog(&dev).await.expect("readable").as_deref(), Some(&b"{}"[..]));
    assert_eq!(store.read_usage(&prod, day).await.expect("readable"), None);
    assert_eq!(store.read_usage(&dev, day + TimeDelta::days(1)).await.expect("readable"), None);
    assert_eq!(store.load_catalog(&prod).await.expect("readable"), None);
    assert!(all_rows(&store).await.is_empty(), "usage is no record");
}
