//! Which rows come, and in which order.

use super::*;
use crate::history::scan::{Window, windows};

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
