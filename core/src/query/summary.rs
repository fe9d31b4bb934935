//! What a window's rows say of each model: how many, how sure, how fast, how dear.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    Column, GroupKey, Groups, Selection,
    sample::{Distribution, Sample},
};
pub use crate::history::{Last, Phases};
use crate::{
    history::{Cell, Collect, FoldError, Grain, History},
    record::{ErrorKind, Metric, TableRow},
};

/// The metrics that a summary describes.
const SUMMARISED: [Metric; 4] = [Metric::LatencyMs, Metric::TtftMs, Metric::TpotMs, Metric::ConnectMs];

/// A group of rows in numbers.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Probes, without the simulated rows that were left out.
    pub count: u64,
    /// Probes that succeeded.
    pub successes: u64,
    /// Failures by kind, rate limits included; `None` is the kind of rows that name none.
    pub failures_by_kind: BTreeMap<Option<ErrorKind>, u64>,
    /// Rows that count and are simulated.
    pub simulated: u64,
    /// Simulated rows that were left out.
    pub simulated_left_out: u64,
    /// Prompt tokens.
    pub input_tokens: u64,
    /// Generated tokens.
    pub output_tokens: u64,
    /// Of the prompt tokens: read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Of the generated tokens: reasoning.
    pub reasoning_tokens: u64,
    /// US dollars, over the probes whose cost is known.
    pub cost_usd: Decimal,
    /// Probes whose cost is known.
    pub priced: u64,
    /// Where a success's time goes.
    pub phases: Phases,
    /// The newest row that counts; where none does, the newest of those that were left out.
    pub last: Option<Last>,
    samples: [Sample; SUMMARISED.len()],
}

impl Summary {
    fn add(&mut self, row: &TableRow<'_>, include_simulated: bool) {
        let counts = include_simulated || !row.label().simulated;
        if self.is_newest(counts, row.timestamp()) {
            match &mut self.last {
                Some(last) => last.replace(row),
                none => *none = Some(Last::of(row)),
            }
        }
        if !counts {
            self.simulated_left_out += 1;
            return;
        }
        self.count += 1;
        self.simulated += u64::from(row.label().simulated);
        self.input_tokens = self.input_tokens.saturating_add(row.input_tokens().unwrap_or(0));
        self.output_tokens = self.output_tokens.saturating_add(row.output_tokens().unwrap_or(0));
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(row.cached_input_tokens().unwrap_or(0));
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(row.reasoning_tokens().unwrap_or(0));
        if let Some(cost) = row.cost() {
            self.cost_usd = self.cost_usd.saturating_add(cost);
            self.priced += 1;
        }
        if !row.is_success() {
            *self.failures_by_kind.entry(row.error_kind()).or_default() += 1;
            return;
        }
        self.successes += 1;
        self.phases.add(row);
        for (metric, sample) in SUMMARISED.into_iter().zip(&mut self.samples) {
            if let Some(ms) = row.ms(metric) {
                sample.add(ms);
            }
        }
    }

    fn add_cell(&mut self, cell: &Cell<'_>, include_simulated: bool) {
        let counts = cell.counts();
        let is_counted = include_simulated || !cell.name().simulated;
        if let Some(newest) = &counts.last
            && self.is_newest(is_counted, newest.timestamp)
        {
            self.last = Some(newest.clone());
        }
        if !is_counted {
            self.simulated_left_out += counts.count;
            return;
        }
        self.count += counts.count;
        self.successes += counts.successes;
        if cell.name().simulated {
            self.simulated += counts.count;
        }
        let [input, output, cached, reasoning] = counts.tokens.map(Option::unwrap_or_default);
        self.input_tokens = self.input_tokens.saturating_add(input);
        self.output_tokens = self.output_tokens.saturating_add(output);
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(cached);
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(reasoning);
        self.cost_usd = self.cost_usd.saturating_add(counts.cost_usd.unwrap_or_default());
        self.priced += counts.priced;
        for (kind, count) in &counts.failures {
            *self.failures_by_kind.entry(*kind).or_default() += count;
        }
        self.phases.and(&counts.phases);
        for (metric, sample) in SUMMARISED.into_iter().zip(&mut self.samples) {
            if let Some(values) = cell.kept_values(metric) {
                sample.add_binned(values);
            }
        }
    }

    /// Whether a row is newer than the last; asked before it is counted itself. One that counts is newer than all that do not.
    fn is_newest(&self, counts: bool, timestamp: DateTime<Utc>) -> bool {
        let last_counts = self.count > 0;
        self.last.as_ref().is_none_or(|last| (last_counts, last.timestamp) <= (counts, timestamp))
    }

    /// Failures that say something of the model: without rate limits, which are the account's own.
    pub fn failures(&self) -> u64 {
        self.count.saturating_sub(self.successes).saturating_sub(self.rate_limited())
    }

    /// Probes that the account's own limit refused.
    pub fn rate_limited(&self) -> u64 {
        self.failures_by_kind.get(&Some(ErrorKind::RateLimited)).copied().unwrap_or(0)
    }

    /// Over the successes, in milliseconds; takes the values out.
    pub fn take_distribution(&mut self, metric: Metric) -> Distribution {
        let sample = SUMMARISED.into_iter().zip(&mut self.samples).find(|(of, _)| *of == metric);
        sample.map(|(_, sample)| std::mem::take(sample).into_sorted().distribution()).unwrap_or_default()
    }
}

struct Collected {
    groups: Groups<Summary>,
    include_simulated: bool,
}

impl Collect for Collected {
    fn row(&mut self, row: &TableRow<'_>) {
        self.groups.of(row).add(row, self.include_simulated);
    }

    fn cell(&mut self, cell: &Cell<'_>) {
        self.groups.of_cell(cell).add_cell(cell, self.include_simulated);
    }
}

/// Summarises the rows of `selection`, grouped by `columns`. Says whether every row was looked at itself: else percentiles
/// are off by 1 % at most, and all else is exact.
pub async fn summaries(
    history: &History,
    selection: &Selection,
    columns: &[Column],
) -> Result<(Vec<(GroupKey, Summary)>, bool), FoldError> {
    let include_simulated = selection.include_simulated;
    let start = || Collected { groups: Groups::by(columns), include_simulated };
    let (collected, is_exact) = history.collect(&selection.rows(), &SUMMARISED, Grain::Day, start).await?;
    Ok((collected.groups.into_groups(), is_exact))
}
