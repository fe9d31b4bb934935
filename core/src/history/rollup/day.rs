//! One environment's day by hours, in memory: counts, and each duration by itself, so that what nobody asks for is not held.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{
    bins::Bin,
    cell::{Counts, Values},
};
use crate::record::{Environment, Metric};

/// What the rows of an hour of a day have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesName {
    /// The model.
    pub model_name: String,
    /// Who serves it.
    pub provider: Option<String>,
    /// Derived instead of measured.
    pub simulated: bool,
}

/// A day's hours.
#[derive(Debug)]
pub(in crate::history) struct DayCounts {
    pub(super) serial: u64,
    pub(super) environment: Environment,
    /// Every environment that has rows in the segments that it was made of.
    pub(super) everyone: Vec<Environment>,
    pub(super) names: Vec<SeriesName>,
    pub(super) hours: Vec<Hour>,
}

#[derive(Debug)]
pub(super) struct Hour {
    /// When it begins, seconds since 1970.
    pub(super) start: i64,
    pub(super) name: u32,
    pub(super) counts: Counts,
}

/// A duration of a day: for each hour of [`DayCounts`], its values.
#[derive(Debug)]
pub(in crate::history) struct DayValues {
    pub(super) metric: Metric,
    pub(super) hours: Vec<HourValues>,
    pub(super) bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct HourValues {
    pub(super) count: u64,
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
    /// Where its bins begin and end.
    pub(super) bins: (u32, u32),
}

/// Tells a day from every other of this process.
pub(super) fn next_serial() -> u64 {
    // Tables count from 1 upwards, days from the other end: a serial is never one of both.
    static NEXT: AtomicU64 = AtomicU64::new(u64::MAX);
    NEXT.fetch_sub(1, Ordering::Relaxed)
}

impl DayCounts {
    pub(in crate::history) fn bytes(&self) -> usize {
        let names: usize = self.names.iter().map(|name| size_of::<SeriesName>() + name.model_name.len() + 48).sum();
        // 96 for the failures' and the last message's share.
        size_of::<Self>() + names + self.hours.len() * (size_of::<Hour>() + 96)
    }
}

impl DayValues {
    pub(in crate::history) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.hours.as_slice()) + size_of_val(self.bins.as_slice())
    }

    fn hour(&self, index: usize) -> Option<Values<'_>> {
        let HourValues { count, min, max, sum, bins } = *self.hours.get(index)?;
        let bins = self.bins.get(bins.0 as usize..bins.1 as usize)?;
        (count > 0).then_some(Values { count, min, max, sum, bins })
    }
}

/// A day with the durations that were asked for.
#[derive(Debug, Clone)]
pub(in crate::history) struct Day {
    pub(super) counts: Arc<DayCounts>,
    pub(super) values: Vec<Arc<DayValues>>,
}

impl Day {
    /// What the rows of its hours have in common, by number.
    pub(in crate::history) fn names(&self) -> impl Iterator<Item = &SeriesName> {
        self.counts.names.iter()
    }

    /// Every hour that begins from `from` on (inclusive) and before `to`, seconds since 1970.
    pub(in crate::history) fn cells(&self, from: i64, to: i64) -> impl Iterator<Item = Cell<'_>> {
        let hours = self.counts.hours.iter().enumerate();
        hours.filter(move |(_, hour)| (from..to).contains(&hour.start)).filter_map(|(index, hour)| {
            let name = self.counts.names.get(hour.name as usize)?;
            Some(Cell { day: self, index, hour, name })
        })
    }
}

/// An hour's probes of one model, environment and provider, added up.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    day: &'a Day,
    index: usize,
    hour: &'a Hour,
    name: &'a SeriesName,
}

impl<'a> Cell<'a> {
    /// When the hour begins, seconds since 1970.
    pub fn start_seconds(&self) -> i64 {
        self.hour.start
    }

    /// Where the model is used.
    pub fn environment(&self) -> &'a Environment {
        &self.day.counts.environment
    }

    /// The model, who serves it, and whether its rows are derived.
    pub fn name(&self) -> &'a SeriesName {
        self.name
    }

    /// The name's number within the day.
    pub fn name_number(&self) -> usize {
        self.hour.name as usize
    }

    /// Tells the day from every other, and from every table, in this process.
    pub fn day_serial(&self) -> u64 {
        self.day.counts.serial
    }

    /// Everything but durations.
    pub fn counts(&self) -> &'a Counts {
        &self.hour.counts
    }

    /// The successes' values of `metric`, which must have been asked for.
    pub fn values(&self, metric: Metric) -> Option<Values<'a>> {
        self.day.values.iter().find(|values| values.metric == metric)?.hour(self.index)
    }
}
