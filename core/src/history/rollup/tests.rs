#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)]

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::*;
use crate::{
    history::{Collect, DEFAULT_CACHE_BYTES, Rows},
    record::{ErrorKind, Failure, Outcome, Record, TableRow},
    store::{Batch, MemoryStore, Store},
};

/// Ten days, the newest two days ago: all but the open end of the store is finished.
const DAYS: i64 = 10;

fn first_day() -> DateTime<Utc> {
    start_of(Utc::now().date_naive()) - TimeDelta::days(DAYS + 1)
}

fn environment(name: &str) -> Environment {
    name.parse().expect("a name")
}

fn record(random: &mut fastrand::Rng, environment: &str, model: &str, at: DateTime<Utc>) -> Record {
    let mut record =
        Record::new(model, self::environment(environment), at + TimeDelta::milliseconds(random.i64(0..60_000)));
    record.provider = Some("openai".to_owned());
    record.simulated = environment == "qa";
    record.input_tokens = Some(126);
    match random.u8(..8) {
        0 => record.outcome = Outcome::Error(Failure::new(ErrorKind::RateLimited, "slow down, \"please\"\nnow")),
        1 => record.outcome = Outcome::Error(Failure { kind: None, message: None }),
        _ => {
            record.connect_ms = Some(12.5);
            record.ttfb_ms = Some(100.0);
            record.ttft_ms = Some((random.f64() * 1e6).round() / 1e3 + 100.0);
            record.latency_ms = record.ttft_ms.map(|ms| ms + 1_000.0);
            record.output_tokens = Some(random.u64(1..128));
            record.cost = (random.u8(..4) > 0).then(|| Decimal::new(random.i64(1..1_000), 7));
        }
    }
    record
}

/// A store with rows every 20 minutes, and a newest one that keeps the last segment open.
async fn filled() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let mut random = fastrand::Rng::with_seed(5);
    for minute in (0..DAYS * 1_440).step_by(20) {
        let at = first_day() + TimeDelta::minutes(minute);
        let mut records = Vec::new();
        for environment in ["prod", "qa"] {
            for model in ["a,b", "gpt-4o-mini"] {
                records.push(record(&mut random, environment, model, at));
            }
        }
        store.append(&Batch { cycle_id: None, records }).await;
    }
    let records = vec![record(&mut random, "prod", "gpt-4o-mini", Utc::now())];
    store.append(&Batch { cycle_id: None, records }).await;
    store
}

#[derive(Debug, Default, PartialEq)]
struct Sums {
    count: u64,
    cells: u64,
    failures: BTreeMap<Option<ErrorKind>, u64>,
    tokens: u64,
    cost: Decimal,
    unpriced: u64,
    phases: Phases,
    ttft: Vec<f64>,
    last: BTreeMap<(String, String), DateTime<Utc>>,
    hours: BTreeMap<i64, u64>,
}

impl Collect for Sums {
    fn row(&mut self, row: &TableRow<'_>) {
        self.count += 1;
        self.tokens += row.input_tokens().unwrap_or(0) + row.output_tokens().unwrap_or(0);
        self.cost += row.cost().unwrap_or_default();
        *self.hours.entry(row.timestamp().timestamp().div_euclid(3_600)).or_default() += 1;
        let label = row.label();
        let last = self.last.entry((label.environment.to_string(), label.model_name.clone())).or_default();
        *last = row.timestamp().max(*last);
        if row.is_success() {
            self.unpriced += u64::from(row.cost().is_none());
            self.phases.add(row);
            self.ttft.extend(row.ms(Metric::TtftMs));
        } else {
            *self.failures.entry(row.error_kind()).or_default() += 1;
        }
    }

    fn cell(&mut self, cell: &Cell<'_>) {
        let counts = cell.counts();
        self.cells += 1;
        self.count += counts.count;
        let [input, output, ..] = counts.tokens.map(Option::unwrap_or_default);
        self.tokens += input + output;
        self.cost += counts.cost_usd.unwrap_or_default();
        self.unpriced += counts.unpriced;
        *self.hours.entry(cell.start_seconds().div_euclid(3_600)).or_default() += counts.count;
        let last = self.last.entry((cell.environment().to_string(), cell.name().model_name.clone())).or_default();
        *last = counts.last.as_ref().expect("a row").timestamp.max(*last);
        self.phases.and(&counts.phases);
        for (kind, count) in &counts.failures {
            *self.failures.entry(*kind).or_default() += count;
        }
        if let Some(values) = cell.values(Metric::TtftMs) {
            for (bin, count) in values.bins {
                self.ttft.extend(std::iter::repeat_n(value_of(*bin).clamp(values.min, values.max), *count as usize));
            }
        }
    }
}

impl Sums {
    /// In one order, without the noise of sums in another order.
    fn settled(mut self) -> Self {
        self.ttft.sort_by(f64::total_cmp);
        for sum in [&mut self.phases.waiting_ms, &mut self.phases.first_token_ms, &mut self.phases.streaming_ms] {
            *sum = sum.round();
        }
        self.cells = 0;
        self
    }
}

fn history(store: &Arc<MemoryStore>) -> History {
    History::new(Arc::clone(store) as Arc<dyn Store>, DEFAULT_CACHE_BYTES)
}

fn scope(environments: Option<Vec<Environment>>) -> Scope {
    // Both ends within an hour: those are made of rows.
    Scope {
        environments,
        from: Some(first_day() + TimeDelta::minutes(95)),
        to: Some(first_day() + TimeDelta::days(DAYS) - TimeDelta::minutes(35)),
    }
}

async fn both(history: &History, scope: &Scope, model: Option<&str>) -> (Sums, Sums) {
    let rows = Rows { scope, wants: |name: &str| model.is_none_or(|model| model == name), at_most: u64::MAX };
    let exact = history.fold(&rows, Sums::default, Sums::row).await.expect("readable");
    let (rolled, is_exact) = history.collect(&rows, &[Metric::TtftMs], Sums::default).await.expect("readable");
    assert!(rolled.cells > 100 && !is_exact, "{} hours came from rollups", rolled.cells);
    (rolled.settled(), exact.settled())
}

fn assert_alike(rolled: Sums, exact: Sums) {
    assert!(exact.count > 0);
    assert_eq!(rolled.ttft.len(), exact.ttft.len());
    for (told, measured) in rolled.ttft.iter().zip(&exact.ttft) {
        assert!((told - measured).abs() <= measured * RELATIVE_ERROR * 1.000_1, "{told} for {measured}");
    }
    assert_eq!(Sums { ttft: Vec::new(), ..rolled }, Sums { ttft: Vec::new(), ..exact });
}

#[tokio::test]
async fn rollups_and_rows_say_the_same() {
    let store = filled().await;
    for history in [history(&store), history(&store)] {
        // First made, then read from the store.
        for environments in [None, Some(vec![environment("prod")]), Some(vec![environment("qa"), environment("none")])]
        {
            for model in [None, Some("a,b")] {
                let (rolled, exact) = both(&history, &scope(environments.clone()), model).await;
                assert_alike(rolled, exact);
            }
        }
    }
}

#[tokio::test]
async fn a_rollup_that_is_missing_broken_or_of_another_version_is_made_anew() {
    let store = filled().await;
    let prod = environment("prod");
    history(&store).roll_up(None).await.expect("readable");
    assert_eq!(history(&store).roll_up(None).await.expect("readable"), 0, "they are all there");
    let date = (first_day() + TimeDelta::days(3)).date_naive();
    let good = store.load_rollup(&prod, date).await.unwrap().expect("it was made").csv;
    let text = String::from_utf8(good.to_vec()).unwrap();
    assert!(text.starts_with("hour,model_name,provider,simulated,count,"), "{text}");
    let sources = text.lines().nth(1).unwrap().rsplit(',').nth(1).unwrap();
    let broken = [
        String::new(),
        "\u{0}\u{1}binary".to_owned(),
        text.get(..text.len() / 2).unwrap().to_owned(),
        text.replace(",1,", ",2,"),
        text.replace(sources, "0123"),
        text.replace("ttft_ms_sketch", "ttft_ms_other"),
    ];
    for broken in broken {
        store.save_rollup(&prod, date, Bytes::from(broken.clone()), None).await.unwrap();
        let (rolled, exact) = both(&history(&store), &scope(None), None).await;
        assert_alike(rolled, exact);
        let now = store.load_rollup(&prod, date).await.unwrap().expect("it is there").csv;
        assert_eq!(now, good, "after {broken:.60}");
    }
}

#[tokio::test]
async fn a_late_row_is_in_the_next_answer() {
    let store = filled().await;
    let history = history(&store);
    let (before, _) = both(&history, &scope(None), None).await;
    let mut random = fastrand::Rng::with_seed(9);
    let records = vec![record(&mut random, "dev", "new", first_day() + TimeDelta::days(4))];
    store.append(&Batch { cycle_id: None, records }).await;
    let (rolled, exact) = both(&history, &scope(None), None).await;
    assert_eq!(rolled.count, before.count + 1);
    assert_alike(rolled, exact);
}

#[tokio::test]
async fn a_short_window_is_exact_and_makes_no_rollup() {
    let store = filled().await;
    let (from, to) = (first_day(), first_day() + TimeDelta::hours(48));
    let scope = Scope { environments: None, from: Some(from), to: Some(to) };
    let rows = Rows { scope: &scope, wants: |_: &str| true, at_most: u64::MAX };
    let (sums, is_exact) = history(&store).collect(&rows, &[], Sums::default).await.expect("readable");
    assert!(is_exact && sums.cells == 0 && sums.count == 48 * 3 * 4);
    assert_eq!(store.rollup_environments().await.unwrap(), []);
}
