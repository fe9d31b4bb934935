//! Days that are passed over because their rollups tell that nothing of them is wanted.

use super::*;

const DAY_SECONDS: i64 = 86_400;

/// Rows of a model, or of failures, or (both `None`) all.
#[derive(Debug, Clone, Copy)]
struct Only {
    model: Option<&'static str>,
    is_success: Option<bool>,
}

const EVERYTHING: Only = Only { model: None, is_success: None };
const RARE: Only = Only { model: Some("rare"), is_success: None };
const FAILED: Only = Only { model: None, is_success: Some(false) };

impl Only {
    fn wants(self, record: &Record) -> bool {
        self.model.is_none_or(|model| record.model_name == model)
            && self.is_success.is_none_or(|is_success| record.is_success() == is_success)
    }
}

impl RowFilter for Only {
    fn matches(&self, row: &Row) -> bool {
        self.wants(&row.to_record())
    }

    fn count_in(&self, name: &SeriesName, counts: &Counts) -> u64 {
        let rows = match self.is_success {
            None => counts.count,
            Some(true) => counts.successes,
            Some(false) => counts.count - counts.successes,
        };
        if self.model.is_none_or(|model| name.model_name == model) { rows } else { 0 }
    }
}

/// Seconds after [`EPOCH`] at which its `day`-th next day begins.
fn day_start(day: i64) -> i64 {
    let midnight = EPOCH.date_naive().succ_opt().unwrap().and_time(chrono::NaiveTime::MIN).and_utc();
    (midnight - *EPOCH).num_seconds() + day * DAY_SECONDS
}

/// Ten finished days of 20 rows of model `a` each, the third with a `rare` one, the sixth with a failure.
pub(super) fn ten_days() -> Arc<LaidOut> {
    let days = (0..10).map(|day| {
        let mut rows: Vec<_> = (0..20).map(|n| record("prod", "a", day_start(day) + n * 4_000)).collect();
        if day == 2 {
            rows[7].model_name = "rare".to_owned();
        }
        if day == 5 {
            rows[7] = rows[7].clone().failed();
        }
        segment(&format!("day-{day}"), &rows, true)
    });
    LaidOut::new(days.collect())
}

/// Ten finished days of two models' rows, of which each day lacks some: failures, successes, derived rows, a model. Oldest first.
pub(crate) fn days_that_differ() -> (Vec<Record>, Arc<LaidOut>) {
    let days: Vec<Vec<Record>> = (0..10)
        .map(|day| {
            let rows = (0..12).map(|n| {
                let mut row =
                    record("prod", if n % 3 == 0 && day % 2 == 0 { "b" } else { "a" }, day_start(day) + n * 7_000);
                row.simulated = day % 5 == 1 && n % 2 == 1;
                let fails = day == 3 || (day % 4 == 0 && n == 6);
                if fails { row.failed() } else { row }
            });
            rows.collect()
        })
        .collect();
    let segments = days.iter().enumerate().map(|(day, rows)| segment(&format!("day-{day}"), rows, true)).collect();
    (days.concat(), LaidOut::new(segments))
}

trait Failed {
    fn failed(self) -> Self;
}

impl Failed for Record {
    fn failed(mut self) -> Self {
        self.outcome = crate::record::Outcome::Error(crate::record::Failure { kind: None, message: None });
        self.latency_ms = None;
        self
    }
}

#[tokio::test]
async fn only_the_days_that_hold_what_is_wanted_are_read() {
    for direction in [Direction::OldestFirst, Direction::NewestFirst] {
        for (only, name) in [(RARE, "day-2"), (FAILED, "day-5")] {
            let store = ten_days();
            store.history().roll_up(None).await.unwrap();
            let before = store.reads();
            let history = store.history();
            let found = all(&mut history.scan(Scope::default(), direction, None).only(Arc::new(only))).await;
            assert_eq!(found.len(), 1, "{only:?} {direction:?}");
            assert!(only.wants(&found[0].to_record()));
            assert_eq!(store.reads() - before, 1, "{only:?} {direction:?}");
            assert_eq!(store.reads_of(name), 2, "for its rollup, and now");
        }
    }
}

#[tokio::test]
async fn days_of_rows_that_are_passed_over_are_not_read() {
    for (direction, only, skip, name) in [
        (Direction::OldestFirst, EVERYTHING, 165, "day-8"),
        (Direction::NewestFirst, EVERYTHING, 165, "day-1"),
        (Direction::OldestFirst, Only { model: Some("a"), is_success: None }, 165, "day-8"),
        (Direction::NewestFirst, Only { model: Some("a"), is_success: Some(true) }, 165, "day-1"),
    ] {
        let store = ten_days();
        store.history().roll_up(None).await.unwrap();
        let before = store.reads();
        let history = store.history();
        let mut scan = history.scan(Scope::default(), direction, None).skipping(skip);
        if only.model.is_some() {
            scan = scan.only(Arc::new(only));
        }
        scan.next().await.unwrap().expect("a row");
        let reads = store.reads.lock().unwrap().clone();
        assert_eq!((store.reads() - before, store.reads_of(name)), (1, 2), "{only:?} {direction:?} {reads:?}");
    }
}

#[tokio::test]
async fn filters_and_skipping_give_the_rows_that_a_list_gives() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        // Segments that know no end make every day one that may still change.
        let (_, tangled) = tangle(seed);
        let mut segments: Vec<_> = tangled.into_iter().filter(|(segment, _)| segment.latest.is_some()).collect();
        segments.truncate(random.usize(..3));
        for day in 0..random.i64(1..9) {
            let rows: Vec<_> = (0..random.i64(1..9))
                .map(|_| {
                    let model = ["a", "b", "rare"][random.usize(..3)];
                    let row =
                        record(["dev", "prod"][random.usize(..2)], model, day_start(day) + random.i64(0..DAY_SECONDS));
                    if random.bool() { row.failed() } else { row }
                })
                .collect();
            for (part, rows) in rows.chunks(random.usize(1..9)).enumerate() {
                segments.push(segment(&format!("day-{day}-{part}"), rows, true));
            }
        }
        let store = LaidOut::new(segments);
        if random.u8(..4) > 0 {
            store.history().roll_up(None).await.unwrap();
        }
        let history = store.history();
        for direction in [Direction::OldestFirst, Direction::NewestFirst] {
            let scope = Scope {
                environments: random.bool().then(|| vec![["dev", "prod"][random.usize(..2)].parse().unwrap()]),
                from: random.bool().then(|| *EPOCH + TimeDelta::seconds(random.i64(0..10 * DAY_SECONDS))),
                to: None,
            };
            let every = records(&all(&mut history.scan(scope.clone(), direction, None)).await);
            for only in [EVERYTHING, RARE, FAILED, Only { model: Some("a"), is_success: Some(true) }] {
                let wanted: Vec<Record> = every.iter().filter(|record| only.wants(record)).cloned().collect();
                for skip in [0, 1, random.usize(0..=wanted.len()), wanted.len(), wanted.len() + 1] {
                    let scan = history.scan(scope.clone(), direction, None).skipping(skip as u64).only(Arc::new(only));
                    let got = records(&all(&mut { scan }).await);
                    assert_eq!(got, wanted[skip.min(wanted.len())..], "seed {seed} {direction:?} {only:?} skip {skip}");
                    let unfiltered = history.scan(scope.clone(), direction, None).skipping(skip as u64);
                    let got = records(&all(&mut { unfiltered }).await);
                    assert_eq!(got, every[skip.min(every.len())..], "seed {seed} {direction:?} skip {skip}");
                }
            }
        }
    }
}
