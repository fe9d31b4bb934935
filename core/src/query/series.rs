//! A figure over time, in buckets: what a chart draws. Nothing is interpolated.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::{Decimal, prelude::ToPrimitive};

use super::{
    Column, GroupKey, Groups, Selection,
    sample::{Sample, Statistic},
};
use crate::{
    history::{self, Collect, FoldError, Grain, History},
    record::{ErrorKind, Metric, TableRow},
};

const SECONDS_PER_HOUR: i64 = 3_600;
const SECONDS_PER_DAY: i64 = 86_400;

/// What is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Statistics of a duration, over the successes.
    Duration(Metric),
    /// Successes / (probes − rate limits).
    SuccessRate,
    /// The sum of the known costs, US dollars.
    Cost,
    /// The sum of prompt tokens.
    InputTokens,
    /// The sum of generated tokens.
    OutputTokens,
}

/// Stretches of equal length, one after the other; each begins at a multiple of its length since 1970 (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    first: DateTime<Utc>,
    step_seconds: i64,
    count: usize,
}

impl Buckets {
    /// The buckets of `step_seconds` (at least 1) that together hold from `from` (inclusive) to `to` (exclusive).
    pub fn new(from: DateTime<Utc>, to: DateTime<Utc>, step_seconds: i64) -> Self {
        let step_seconds = step_seconds.max(1);
        let first = from.timestamp().div_euclid(step_seconds).saturating_mul(step_seconds);
        let length = (to - DateTime::from_timestamp(first, 0).unwrap_or(from)).num_milliseconds().max(0);
        let count = length.div_euclid(step_seconds.saturating_mul(1000))
            + i64::from(length.rem_euclid(step_seconds.saturating_mul(1000)) > 0);
        Self {
            first: DateTime::from_timestamp(first, 0).unwrap_or(from),
            step_seconds,
            count: usize::try_from(count).unwrap_or(usize::MAX),
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How long each is.
    pub fn step_seconds(&self) -> i64 {
        self.step_seconds
    }

    /// When each begins.
    pub fn starts(&self) -> impl Iterator<Item = DateTime<Utc>> {
        let (first, step) = (self.first, self.step_seconds);
        (0..i64::try_from(self.count).unwrap_or(0)).map(move |n| first + TimeDelta::seconds(n.saturating_mul(step)))
    }

    /// What fits into one bucket wherever it lies; `None` where hours do not.
    fn grain(&self) -> Option<Grain> {
        match self.step_seconds {
            step if step % SECONDS_PER_DAY == 0 => Some(Grain::Day),
            step if step % SECONDS_PER_HOUR == 0 => Some(Grain::Hour),
            _ => None,
        }
    }

    /// Which holds the instant so many seconds after 1970.
    fn index(&self, at_seconds: i64) -> Option<usize> {
        let seconds = at_seconds.checked_sub(self.first.timestamp())?;
        usize::try_from(seconds.div_euclid(self.step_seconds)).ok().filter(|index| *index < self.count)
    }
}

/// One group's figure over time. Every list has one entry for each bucket.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// What its rows have in common.
    pub key: GroupKey,
    /// Who serves the model, as its newest row says.
    pub provider: Option<String>,
    /// Probes.
    pub counts: Vec<u64>,
    /// Probes that failed, without rate limits.
    pub failures: Vec<u64>,
    /// Probes that the account's own limit refused.
    pub rate_limited: Vec<u64>,
    /// How probes failed, each once; empty where none did.
    pub failure_kinds: Vec<Vec<Option<ErrorKind>>>,
    /// For each statistic asked for (of a rate or a sum there is one): the values, `None` where there is nothing to say.
    pub values: Vec<Vec<Option<f64>>>,
    /// Rows that count and are simulated.
    pub simulated: u64,
    /// Simulated rows that were left out.
    pub simulated_left_out: u64,
}

#[derive(Debug, Clone, Default)]
struct Line {
    /// By bucket, up to the last with rows.
    cells: Vec<Cell>,
    /// Milliseconds since 1970, and who served the model then.
    newest: Option<(i64, Option<String>)>,
    simulated: u64,
    simulated_left_out: u64,
}

#[derive(Debug, Clone, Default)]
struct Cell {
    count: u64,
    successes: u64,
    rate_limited: u64,
    /// How probes failed, each once.
    failure_kinds: Vec<Option<ErrorKind>>,
    sample: Sample,
    sum: Option<Decimal>,
}

struct Collected<'a> {
    groups: Groups<Line>,
    buckets: &'a Buckets,
    figure: Figure,
    include_simulated: bool,
}

impl Collect for Collected<'_> {
    fn row(&mut self, row: &TableRow<'_>) {
        if let Some(index) = self.buckets.index(row.timestamp_ms().div_euclid(1_000)) {
            self.groups.of(row).add(row, (index, self.buckets.count), self.figure, self.include_simulated);
        }
    }

    fn cell(&mut self, cell: &history::Cell<'_>) {
        if let Some(index) = self.buckets.index(cell.start_seconds()) {
            self.groups.of_cell(cell).add_cell(cell, (index, self.buckets.count), self.figure, self.include_simulated);
        }
    }
}

/// Draws `figure` of the rows of `selection`. `statistics` are those of a duration; other figures have one value a bucket. Says
/// whether the values are exact: else percentiles are off by 1 % at most.
pub async fn series(
    history: &History,
    selection: &Selection,
    columns: &[Column],
    figure: Figure,
    statistics: &[Statistic],
    buckets: &Buckets,
) -> Result<(Vec<Series>, bool), FoldError> {
    let include_simulated = selection.include_simulated;
    let start = || Collected { groups: Groups::by(columns), buckets, figure, include_simulated };
    let rows = selection.rows();
    let (collected, is_exact) = match (buckets.grain(), figure) {
        (Some(grain), Figure::Duration(metric)) => history.collect(&rows, &[metric], grain, start).await?,
        (Some(grain), _) => (history.collect(&rows, &[], grain, start).await?.0, true),
        (None, _) => (history.fold(&rows, start, Collected::row).await?, true),
    };
    let groups = collected.groups.into_groups();
    let series = groups.into_iter().map(|(key, line)| line.into_series(key, figure, statistics, buckets.count));
    Ok((series.collect(), is_exact))
}

impl Line {
    /// Takes a row into the bucket `place.0` of `place.1`.
    fn add(&mut self, row: &TableRow<'_>, place: (usize, usize), figure: Figure, include_simulated: bool) {
        let label = row.label();
        match &mut self.newest {
            Some((newest, _)) if *newest > row.timestamp_ms() => {}
            // Nearly every row is the newest so far: its provider is only taken over where it is another one.
            Some((newest, provider)) if *provider == label.provider => *newest = row.timestamp_ms(),
            newest => *newest = Some((row.timestamp_ms(), label.provider.clone())),
        }
        if label.simulated && !include_simulated {
            self.simulated_left_out += 1;
            return;
        }
        self.simulated += u64::from(label.simulated);
        let cell = self.at(place);
        cell.count += 1;
        if row.is_success() {
            cell.successes += 1;
        } else {
            cell.add_failures(row.error_kind(), 1);
        }
        let amount = match figure {
            Figure::Duration(metric) => {
                if let Some(ms) = row.ms(metric).filter(|_| row.is_success()) {
                    cell.sample.add(ms);
                }
                None
            }
            Figure::SuccessRate => None,
            Figure::Cost => row.cost(),
            Figure::InputTokens => row.input_tokens().map(Decimal::from),
            Figure::OutputTokens => row.output_tokens().map(Decimal::from),
        };
        if let Some(amount) = amount {
            cell.sum = Some(cell.sum.unwrap_or_default().saturating_add(amount));
        }
    }

    fn add_cell(&mut self, hour: &history::Cell<'_>, place: (usize, usize), figure: Figure, include_simulated: bool) {
        let (counts, name) = (hour.counts(), hour.name());
        let newest = counts.last.as_ref().map_or(0, |last| last.timestamp.timestamp_millis());
        match &mut self.newest {
            Some((known, _)) if *known > newest => {}
            Some((known, provider)) if *provider == name.provider => *known = newest,
            known => *known = Some((newest, name.provider.clone())),
        }
        if name.simulated && !include_simulated {
            self.simulated_left_out += counts.count;
            return;
        }
        if name.simulated {
            self.simulated += counts.count;
        }
        let cell = self.at(place);
        cell.count += counts.count;
        cell.successes += counts.successes;
        for (kind, count) in &counts.failures {
            cell.add_failures(*kind, *count);
        }
        let [input_tokens, output_tokens, ..] = counts.tokens;
        let amount = match figure {
            Figure::Duration(metric) => {
                if let Some(values) = hour.kept_values(metric) {
                    cell.sample.add_binned(values);
                }
                None
            }
            Figure::SuccessRate => None,
            Figure::Cost => counts.cost_usd,
            Figure::InputTokens => input_tokens.map(Decimal::from),
            Figure::OutputTokens => output_tokens.map(Decimal::from),
        };
        if let Some(amount) = amount {
            cell.sum = Some(cell.sum.unwrap_or_default().saturating_add(amount));
        }
    }

    #[expect(clippy::expect_used, reason = "made long enough before")]
    fn at(&mut self, (index, count): (usize, usize)) -> &mut Cell {
        if self.cells.len() <= index {
            // All of them are there in the end: room for them once, instead of moving them as they become more.
            self.cells.reserve_exact(count.saturating_sub(self.cells.len()));
            self.cells.resize_with(index + 1, Cell::default);
        }
        self.cells.get_mut(index).expect("the bucket is there")
    }

    fn into_series(mut self, key: GroupKey, figure: Figure, statistics: &[Statistic], count: usize) -> Series {
        let lists = if matches!(figure, Figure::Duration(_)) { statistics.len() } else { 1 };
        let mut series = Series {
            key,
            provider: self.newest.and_then(|(_, provider)| provider),
            simulated: self.simulated,
            simulated_left_out: self.simulated_left_out,
            values: vec![Vec::with_capacity(count); lists],
            ..Series::default()
        };
        self.cells.resize_with(count, Cell::default);
        for cell in self.cells {
            series.counts.push(cell.count);
            series.rate_limited.push(cell.rate_limited);
            series.failures.push(cell.count.saturating_sub(cell.successes).saturating_sub(cell.rate_limited));
            series.failure_kinds.push(cell.tell_values(figure, statistics, &mut series.values));
        }
        series
    }
}

impl Cell {
    fn add_failures(&mut self, kind: Option<ErrorKind>, count: u64) {
        if kind == Some(ErrorKind::RateLimited) {
            self.rate_limited += count;
        }
        if let Err(at) = self.failure_kinds.binary_search(&kind) {
            self.failure_kinds.insert(at, kind);
        }
    }

    /// Adds its values to `lists`, and says how probes failed.
    fn tell_values(
        self,
        figure: Figure,
        statistics: &[Statistic],
        lists: &mut [Vec<Option<f64>>],
    ) -> Vec<Option<ErrorKind>> {
        let value = match figure {
            Figure::Duration(_) => {
                let mut lists = lists.iter_mut();
                self.sample.into_sorted().statistics(statistics, |value| {
                    if let Some(list) = lists.next() {
                        list.push(value);
                    }
                });
                return self.failure_kinds;
            }
            Figure::SuccessRate => {
                let judged = self.count.saturating_sub(self.rate_limited);
                (judged > 0).then(|| self.successes as f64 / judged as f64)
            }
            Figure::Cost | Figure::InputTokens | Figure::OutputTokens => {
                self.sum.and_then(|sum| sum.normalize().to_f64())
            }
        };
        for list in lists {
            list.push(value);
        }
        self.failure_kinds
    }
}
