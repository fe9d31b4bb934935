//! What is read of the store, when, and what is kept of it.

use super::{days::ten_days, *};

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
async fn figures_of_more_than_the_memory_holds_read_again_only_what_there_was_no_room_for() {
    // As with real rows, the text takes some times the memory.
    let model = "a-model-with-a-long-name".repeat(3);
    let segments = (0..50).map(|n| {
        let rows: Vec<_> = (0..200).map(|m| record("prod", &model, n * 200 + m)).collect();
        segment(&format!("s{n}"), &rows, true)
    });
    let store = LaidOut::new(segments.collect());
    let history = History::new(Arc::clone(&store) as Arc<dyn Store>, 150_000);
    let rows = Rows { scope: &Scope::default(), wants: |_: &str| true, at_most: u64::MAX };
    let count = async || history.fold(&rows, || 0, |count, _| *count += 1).await.unwrap();
    assert_eq!((count().await, store.reads()), (10_000, 50));
    assert_eq!(count().await, 10_000);
    let again = store.reads() - 50;
    assert!((1..50).contains(&again), "{again} of 50 segments were read again");
    assert_eq!((store.reads_of("s0"), store.reads_of("s49")), (2, 1), "the newest are kept");
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
    assert_eq!(history.most_skipped(5), [(Arc::from("open"), 2)]);
    assert_eq!(history.most_skipped(0), []);
}

#[tokio::test]
async fn what_is_read_once_is_not_kept_and_drives_nothing_out() {
    let store = ten_days();
    let history = store.history();
    let newest = history.scan(Scope::default(), Direction::NewestFirst, None).next().await.unwrap();
    assert_eq!((newest.is_some(), store.reads()), (true, 1));
    let kept = history.cache.bytes();
    let exported = all(&mut history.scan(Scope::default(), Direction::OldestFirst, None).once()).await;
    assert_eq!(exported.len(), 200);
    history.roll_up(None).await.unwrap();
    let rows = || store.reads_of("day-9");
    assert_eq!((rows(), store.reads()), (1, 1 + 9 + 9), "what is kept is used, by the export and for the rollups");
    let rollups_bytes = 10 * 2_000;
    assert!(history.cache.bytes() < kept + rollups_bytes, "{} bytes, before {kept}", history.cache.bytes());
}
