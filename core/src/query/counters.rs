//! Counters and histograms of probes, as a metrics system wants them: sums that only grow.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::record::{ErrorKind, Metric, TableRow};

/// Upper bounds of the histograms' buckets, in milliseconds: 0.01 s to 81.92 s, doubling. What is longer is only in the count.
pub const BUCKET_BOUNDS_MS: [u32; 14] =
    [10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 5_120, 10_240, 20_480, 40_960, 81_920];

/// The durations that are counted in histograms.
pub const COUNTED: [Metric; 4] = [Metric::LatencyMs, Metric::TtftMs, Metric::TpotMs, Metric::ConnectMs];

/// Stands for every name beyond the first so many.
pub const OTHER: &str = "other";

/// The first so many names; whoever comes later is [`OTHER`], for good, so that a counter never moves from one name to another.
#[derive(Debug, Clone)]
pub struct Names {
    most: usize,
    known: BTreeSet<String>,
}

impl Names {
    /// At most `most` names.
    pub fn at_most(most: usize) -> Self {
        Self { most, known: BTreeSet::new() }
    }

    /// `name` if there is room for it.
    pub fn bounded<'a>(&mut self, name: &'a str) -> &'a str {
        if self.known.contains(name) {
            return name;
        }
        if self.known.len() >= self.most {
            return OTHER;
        }
        self.known.insert(name.to_owned());
        name
    }
}

/// Durations in buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Histogram {
    /// By bound: how many are at most that and more than the bound before.
    pub buckets: [u64; BUCKET_BOUNDS_MS.len()],
    /// All, also those above the last bound.
    pub count: u64,
    /// Of all, in milliseconds.
    pub sum_ms: f64,
}

impl Histogram {
    fn add(&mut self, ms: f64) {
        self.count += 1;
        self.sum_ms += ms;
        let bounds = BUCKET_BOUNDS_MS.iter().zip(&mut self.buckets);
        if let Some((_, bucket)) = bounds.into_iter().find(|(bound, _)| ms <= f64::from(**bound)) {
            *bucket += 1;
        }
    }
}

/// What the probes of one model, environment and provider add up to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counter {
    /// Probes that succeeded.
    pub successes: u64,
    /// Probes that failed, by kind.
    pub failures: BTreeMap<Option<ErrorKind>, u64>,
    /// Over the successes, in the order of [`COUNTED`].
    pub histograms: [Histogram; COUNTED.len()],
    /// Prompt tokens.
    pub input_tokens: u64,
    /// Generated tokens.
    pub output_tokens: u64,
    /// US dollars, over the probes whose cost is known.
    pub cost_usd: Decimal,
    /// The newest probe, and whether it succeeded.
    pub last: Option<(DateTime<Utc>, bool)>,
}

/// Environment, model and provider.
pub type Labels = (String, String, String);

/// Every counter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// Of measured probes.
    pub measured: BTreeMap<Labels, Counter>,
    /// Simulated rows by environment; they are in no other counter.
    pub simulated: BTreeMap<String, u64>,
}

impl Counters {
    /// Counts `row` under bounded names.
    pub fn add(&mut self, row: &TableRow<'_>, models: &mut Names, providers: &mut Names) {
        let label = row.label();
        if label.simulated {
            *self.simulated.entry(label.environment.to_string()).or_default() += 1;
            return;
        }
        let model = models.bounded(&label.model_name).to_owned();
        let provider = providers.bounded(label.provider.as_deref().unwrap_or_default()).to_owned();
        self.measured.entry((label.environment.to_string(), model, provider)).or_default().add(row);
    }
}

impl Counter {
    fn add(&mut self, row: &TableRow<'_>) {
        let is_success = row.is_success();
        if self.last.is_none_or(|(last, _)| last <= row.timestamp()) {
            self.last = Some((row.timestamp(), is_success));
        }
        self.input_tokens = self.input_tokens.saturating_add(row.input_tokens().unwrap_or(0));
        self.output_tokens = self.output_tokens.saturating_add(row.output_tokens().unwrap_or(0));
        self.cost_usd = self.cost_usd.saturating_add(row.cost().unwrap_or_default());
        if !is_success {
            *self.failures.entry(row.error_kind()).or_default() += 1;
            return;
        }
        self.successes += 1;
        for (metric, histogram) in COUNTED.into_iter().zip(&mut self.histograms) {
            if let Some(ms) = row.ms(metric) {
                histogram.add(ms);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    #[test]
    fn a_value_on_a_bound_is_within_it() {
        let mut histogram = Histogram::default();
        for ms in [0.0, 10.0, 10.001, 81_920.0, 81_920.001] {
            histogram.add(ms);
        }
        assert_eq!(
            (histogram.buckets.first(), histogram.buckets.get(1), histogram.buckets.last()),
            (Some(&2), Some(&1), Some(&1))
        );
        assert_eq!((histogram.count, histogram.sum_ms), (5, 163_860.002));
    }

    #[test]
    fn names_are_bounded_and_never_change() {
        let mut names = Names::at_most(2);
        assert_eq!(["a", "b", "c", "a", "c"].map(|name| names.bounded(name)), ["a", "b", OTHER, "a", OTHER]);
    }
}
