//! One environment's day, in memory, by hours or as a whole: counts, and each duration by itself, so that what nobody asks for is
//! not held.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    bins::{self, Bin, PackedBins},
    cell::{Counts, Values},
};
use crate::record::{Environment, Metric};

/// The stretches that cells stand for, at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grain {
    /// A cell for each hour.
    Hour,
    /// One cell for the day where all of it is wanted: a long window is then a 24th of the work and of the memory.
    Day,
}

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

/// A day's hours; one that begins with the day where it is held as a whole.
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
    /// Of all hours, packed.
    pub(super) bins: Vec<u8>,
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
        let bins = PackedBins::of(self.bins.get(bins.0 as usize..bins.1 as usize)?);
        (count > 0).then_some(Values { count, min, max, sum, bins })
    }
}

/// An hour's values (or a day's), held where they lie.
#[derive(Debug, Clone)]
pub struct KeptValues {
    values: Arc<DayValues>,
    index: usize,
}

impl KeptValues {
    /// What is held.
    pub fn get(&self) -> Values<'_> {
        // Only hours with values are kept.
        let nothing = Values { count: 0, min: 0.0, max: 0.0, sum: 0.0, bins: PackedBins::of(&[]) };
        self.values.hour(self.index).unwrap_or(nothing)
    }
}

impl PartialEq for KeptValues {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

/// A day with the durations that were asked for.
#[derive(Debug, Clone)]
pub(in crate::history) struct Day {
    pub(super) counts: Arc<DayCounts>,
    pub(super) values: Vec<Arc<DayValues>>,
}

impl DayValues {
    /// Each name's values of all hours; `names` says whose each hour's are.
    fn whole(self, names: &[u32], count: usize) -> Self {
        let mut all: Vec<(HourValues, BTreeMap<u16, u32>)> = vec![Default::default(); count];
        for (index, name) in names.iter().enumerate() {
            let Some((values, (total, bins))) = self.hour(index).zip(all.get_mut(*name as usize)) else { continue };
            let is_first = total.count == 0;
            total.min = if is_first { values.min } else { total.min.min(values.min) };
            total.max = if is_first { values.max } else { total.max.max(values.max) };
            total.count += values.count;
            total.sum += values.sum;
            for (bin, count) in values.bins.bins() {
                let sum = bins.entry(bin).or_default();
                *sum = sum.saturating_add(count);
            }
        }
        let mut whole = Self { metric: self.metric, hours: Vec::with_capacity(count), bins: Vec::new() };
        for (mut total, bins) in all {
            total.bins = whole.pack(bins.into_iter());
            whole.hours.push(total);
        }
        whole.bins.shrink_to_fit();
        whole
    }

    /// Where they lie.
    pub(super) fn pack(&mut self, bins: impl Iterator<Item = Bin>) -> (u32, u32) {
        let start = self.bins.len() as u32;
        bins::pack(bins, &mut self.bins);
        (start, self.bins.len() as u32)
    }
}

impl DayCounts {
    /// One hour a name, which begins at `start` and stands for the day.
    fn whole(self, start: i64) -> Self {
        let hour = |name: usize| Hour { start, name: name as u32, counts: Counts::default() };
        let mut hours: Vec<Hour> = (0..self.names.len()).map(hour).collect();
        for Hour { name, counts, .. } in self.hours {
            if let Some(hour) = hours.get_mut(name as usize) {
                hour.counts.and(counts);
            }
        }
        Self { hours, ..self }
    }
}

/// What was read of a day.
#[derive(Debug)]
pub(super) struct DayRead {
    pub(super) counts: DayCounts,
    pub(super) values: Vec<DayValues>,
}

impl DayRead {
    /// As `grain` wants it; the day begins at `start`, seconds since 1970.
    pub(super) fn into_day(self, grain: Grain, start: i64) -> Day {
        let (counts, values) = match grain {
            Grain::Hour => (self.counts, self.values),
            Grain::Day => {
                let names: Vec<u32> = self.counts.hours.iter().map(|hour| hour.name).collect();
                let counts = self.counts.whole(start);
                let count = counts.names.len();
                (counts, self.values.into_iter().map(|values| values.whole(&names, count)).collect())
            }
        };
        Day { counts: Arc::new(counts), values: values.into_iter().map(Arc::new).collect() }
    }
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

/// An hour's (or a day's) probes of one model, environment and provider, added up.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    day: &'a Day,
    index: usize,
    hour: &'a Hour,
    name: &'a SeriesName,
}

impl<'a> Cell<'a> {
    /// When the hour (or the day) begins, seconds since 1970.
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

    /// The same, to be kept beyond the cell without a copy.
    pub fn kept_values(&self, metric: Metric) -> Option<KeptValues> {
        let values = self.day.values.iter().find(|values| values.metric == metric)?;
        values.hour(self.index).map(|_| KeptValues { values: Arc::clone(values), index: self.index })
    }
}
