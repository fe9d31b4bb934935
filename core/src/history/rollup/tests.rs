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

#[derive(Debug, Clone, Default, PartialEq)]
struct Sums {
    count: u64,
    cells: u64,
    failures: BTreeMap<Option<ErrorKind>, u64>,
    tokens: u64,
    cost: Decimal,
    unpriced: u64,
    phases: Phases,
    ttft: Vec<f64>,
    ttft_sum: f64,
    /// Whole microseconds.
    ttft_ends: Option<(i64, i64)>,
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
            row.ms(Metric::TtftMs).into_iter().for_each(|ms| self.add_ttft(ms, ms, ms));
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
            self.add_ttft(values.min, values.max, values.sum);
            let in_bins: u64 = values.bins.bins().map(|(_, count)| u64::from(count)).sum();
            assert_eq!(values.count, in_bins);
            for (bin, count) in values.bins.bins() {
                self.ttft.extend(std::iter::repeat_n(value_of(bin).clamp(values.min, values.max), count as usize));
            }
        }
    }
}

impl Sums {
    fn add_ttft(&mut self, min: f64, max: f64, sum: f64) {
        let [min, max] = [min, max].map(|ms| (ms * 1e3).round() as i64);
        let (least, most) = self.ttft_ends.unwrap_or((min, max));
        self.ttft_ends = Some((least.min(min), most.max(max)));
        self.ttft_sum += sum;
    }

    /// In one order, without the noise of sums in another order.
    fn settled(mut self) -> Self {
        self.ttft.sort_by(f64::total_cmp);
        for sum in [&mut self.phases.waiting_ms, &mut self.phases.first_token_ms, &mut self.phases.streaming_ms] {
            *sum = sum.round();
        }
        self.ttft_sum = self.ttft_sum.round();
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

async fn both(history: &History, scope: &Scope, model: Option<&str>, grain: Grain) -> (Sums, Sums) {
    let rows = Rows { scope, wants: |name: &str| model.is_none_or(|model| model == name), at_most: u64::MAX };
    let exact = history.fold(&rows, Sums::default, Sums::row).await.expect("readable");
    let (rolled, is_exact) = history.collect(&rows, &[Metric::TtftMs], grain, Sums::default).await.expect("readable");
    let least = if grain == Grain::Hour { 100 } else { 10 };
    assert!(rolled.cells > least && !is_exact, "{} cells came from rollups", rolled.cells);
    (rolled, exact)
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
                let (rolled, exact) = both(&history, &scope(environments.clone()), model, Grain::Hour).await;
                let (by_day, _) = both(&history, &scope(environments.clone()), model, Grain::Day).await;
                assert!(by_day.cells < rolled.cells / 4, "{} cells, {} by the hour", by_day.cells, rolled.cells);
                assert_alike(Sums { hours: exact.hours.clone(), ..by_day.settled() }, exact.clone().settled());
                assert_alike(rolled.settled(), exact.settled());
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
        // Cut between two lines, a row twice, a figure changed: each of it can be read.
        text.split_inclusive('\n').take(20).collect(),
        format!("{text}{}\n", text.lines().nth(2).unwrap()),
        text.replacen(",openai,false,3,", ",openai,false,4,", 1),
        text.replacen("ttft_ms_min,ttft_ms_max", "ttft_ms_max,ttft_ms_min", 1),
    ];
    for broken in broken {
        assert!(is_intact_rollup(&good) && !is_intact_rollup(broken.as_bytes()), "{broken:.60}");
        store.save_rollup(&prod, date, Bytes::from(broken.clone()), None).await.unwrap();
        let (rolled, exact) = both(&history(&store), &scope(None), None, Grain::Hour).await;
        assert_alike(rolled.settled(), exact.settled());
        let now = store.load_rollup(&prod, date).await.unwrap().expect("it is there").csv;
        assert_eq!(now, good, "after {broken:.60}");
    }
}

/// `text` with a checksum that holds, so that what is damaged below it is read.
fn resealed(text: &[u8]) -> Vec<u8> {
    let mut reader = csv::Reader::from_reader(text);
    let header = reader.byte_headers().unwrap().clone();
    let mut row = csv::ByteRecord::new();
    assert!(reader.read_byte_record(&mut row).unwrap());
    let body = &text[usize::try_from(reader.position().byte()).unwrap()..];
    let mut cells: Vec<Vec<u8>> = row.iter().map(<[u8]>::to_vec).collect();
    let [.., sources, environments, told] = &mut cells[..] else { panic!("no cells") };
    let [sources, environments] = [sources, environments].map(|cell| String::from_utf8(cell.clone()).unwrap());
    *told = text::checksum(header.iter(), &sources, &environments, body).into_bytes();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).unwrap();
    writer.write_record(&cells).unwrap();
    [writer.into_inner().unwrap().as_slice(), body].concat()
}

#[tokio::test]
async fn damage_below_a_checksum_that_holds_is_read_or_refused_and_ends_nothing() {
    let store = filled().await;
    let prod = environment("prod");
    history(&store).roll_up(None).await.expect("readable");
    let date = (first_day() + TimeDelta::days(3)).date_naive();
    let good = store.load_rollup(&prod, date).await.unwrap().expect("it was made").csv;
    assert_eq!(resealed(&good), good);
    let body_at = good.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0 + 1;
    let mut random = fastrand::Rng::with_seed(11);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let mut damaged = good.to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(body_at..damaged.len());
            match random.u8(..4) {
                0 => damaged[at] = random.u8(..),
                1 => damaged[at] = *random.choice(b",\n\":-. 09").unwrap(),
                2 => damaged.truncate(at),
                _ => drop(damaged.drain(at..(at + random.usize(1..200)).min(damaged.len()))),
            }
            if damaged.len() <= body_at {
                break;
            }
        }
        match text::read(&resealed(&damaged), &prod, &Metric::ALL) {
            None => refused += 1,
            Some((_, day)) => {
                read += 1;
                let day = day.into_day(Grain::Day, start_of(date).timestamp());
                let values =
                    |cell: Cell<'_>| cell.values(Metric::TtftMs).map_or(0, |values| values.bins.bins().count());
                let _ = day.cells(i64::MIN, i64::MAX).map(values).sum::<usize>();
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
}

#[tokio::test]
async fn a_late_row_is_in_the_next_answer() {
    let store = filled().await;
    let history = history(&store);
    let (before, _) = both(&history, &scope(None), None, Grain::Day).await;
    let mut random = fastrand::Rng::with_seed(9);
    let records = vec![record(&mut random, "dev", "new", first_day() + TimeDelta::days(4))];
    store.append(&Batch { cycle_id: None, records }).await;
    let (rolled, exact) = both(&history, &scope(None), None, Grain::Hour).await;
    assert_eq!(rolled.count, before.count + 1);
    assert_alike(rolled.settled(), exact.settled());
}

#[tokio::test]
async fn a_short_window_is_exact_and_makes_no_rollup() {
    let store = filled().await;
    let (from, to) = (first_day(), first_day() + TimeDelta::hours(48));
    let scope = Scope { environments: None, from: Some(from), to: Some(to) };
    let rows = Rows { scope: &scope, wants: |_: &str| true, at_most: u64::MAX };
    let (sums, is_exact) = history(&store).collect(&rows, &[], Grain::Day, Sums::default).await.expect("readable");
    assert!(is_exact && sums.cells == 0 && sums.count == 48 * 3 * 4);
    assert_eq!(store.rollup_environments().await.unwrap(), []);
}
