//! What a set of measured values says.

use std::borrow::Cow;

use crate::history::{KeptValues, Values, bin_of, value_of};

/// Below this many values, percentiles say little: a p99 of 5 samples is not a p99.
pub const ENOUGH_SAMPLES: u64 = 20;

/// Measured values, in any order: each by itself, or in bins where they come from rollups. Values that are not finite are
/// not taken.
///
/// ```
/// use llm_monitor_core::query::Sample;
///
/// let mut sample = Sample::default();
/// for latency_ms in [40.0, 10.0, 30.0, 20.0] {
///     sample.add(latency_ms);
/// }
/// assert_eq!(sample.into_sorted().percentile(50), Some(20.0), "by nearest rank: a value that was measured");
/// assert_eq!(Sample::default().into_sorted().percentile(50), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    values: Vec<f64>,
    /// The only hour, as long as there is one.
    only: Option<KeptValues>,
    /// Several hours, added up.
    binned: Option<Box<Binned>>,
}

/// A statistic of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Statistic {
    /// The smallest.
    Min,
    /// The arithmetic mean.
    Mean,
    /// A percentile by nearest rank, 1 to 100.
    Percentile(u8),
    /// The largest.
    Max,
}

/// A sample in a few numbers; `None` where there is no value.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// The smallest.
    pub min: Option<f64>,
    /// The arithmetic mean.
    pub mean: Option<f64>,
    /// The median, by nearest rank.
    pub p50: Option<f64>,
    /// By nearest rank.
    pub p90: Option<f64>,
    /// By nearest rank.
    pub p95: Option<f64>,
    /// By nearest rank.
    pub p99: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
}

impl Sample {
    /// Takes one more value.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.values.push(value);
        }
    }

    /// Takes the values of an hour.
    pub fn add_binned(&mut self, values: KeptValues) {
        match (&mut self.binned, self.only.take()) {
            (Some(binned), _) => binned.add(&values.get()),
            (None, None) => self.only = Some(values),
            (none, Some(only)) => {
                let mut binned = Box::<Binned>::default();
                binned.add(&only.get());
                binned.add(&values.get());
                *none = Some(binned);
            }
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        let only = self.only.as_ref().map_or(0, |only| only.get().count);
        self.values.len() as u64 + only + self.binned.as_ref().map_or(0, |binned| binned.ends.count)
    }

    /// The values, smallest first.
    pub fn into_sorted(mut self) -> Sorted {
        match (self.only, self.binned) {
            (None, None) => {
                self.values.sort_unstable_by(f64::total_cmp);
                Sorted::Values(self.values)
            }
            (Some(only), None) if self.values.is_empty() => Sorted::Hour(only),
            (only, binned) => {
                let mut binned = binned.unwrap_or_default();
                if let Some(only) = only {
                    binned.add(&only.get());
                }
                for value in self.values {
                    binned.add_value(value);
                }
                Sorted::Binned(binned)
            }
        }
    }
}

/// Values in bins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Binned {
    ends: Ends,
    /// By number: adding is one step a bin.
    bins: Vec<u64>,
}

/// What is known of values in bins, but the bins. Exact.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Ends {
    count: u64,
    min: f64,
    max: f64,
    sum: f64,
}

impl Binned {
    fn add(&mut self, values: &Values<'_>) {
        self.ends.add(Ends::of(values));
        values.bins.bins().for_each(|(bin, count)| self.count_in(bin, count));
    }

    fn add_value(&mut self, value: f64) {
        self.ends.add(Ends { count: 1, min: value, max: value, sum: value });
        self.count_in(bin_of(value), 1);
    }

    fn count_in(&mut self, bin: u16, count: u32) {
        let at = usize::from(bin);
        if self.bins.len() <= at {
            self.bins.resize(at + 1, 0);
        }
        if let Some(place) = self.bins.get_mut(at) {
            *place += u64::from(count);
        }
    }

    /// Every bin with what is in it, smallest values first.
    fn bins(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.bins.iter().enumerate().map(|(bin, count)| (bin as u16, *count)).filter(|(_, count)| *count > 0)
    }
}

impl Ends {
    fn of(values: &Values<'_>) -> Self {
        let Values { count, min, max, sum, .. } = *values;
        Self { count, min, max, sum }
    }

    fn add(&mut self, more: Self) {
        let is_first = self.count == 0;
        self.min = if is_first { more.min } else { self.min.min(more.min) };
        self.max = if is_first { more.max } else { self.max.max(more.max) };
        self.count += more.count;
        self.sum += more.sum;
    }

    /// Each of `statistics`; one pass over `bins`, as long as no percentile is below the one before.
    fn tell<I: Iterator<Item = (u16, u64)>>(
        self,
        bins: impl Fn() -> I,
        statistics: &[Statistic],
        mut tell: impl FnMut(Option<f64>),
    ) {
        // The bin that was passed last, and how many values are up to its begin and up to its end.
        let (mut rest, mut bin, mut before, mut passed) = (bins(), 0, 0, 0);
        for statistic in statistics {
            let value = match statistic {
                Statistic::Min => self.min,
                Statistic::Max => self.max,
                Statistic::Mean => self.sum / self.count as f64,
                Statistic::Percentile(p) => {
                    let rank = (self.count * u64::from(*p)).div_ceil(100).max(1);
                    if rank <= before {
                        (rest, before, passed) = (bins(), 0, 0);
                    }
                    while passed < rank
                        && let Some((next, count)) = rest.next()
                    {
                        (bin, before, passed) = (next, passed, passed + count);
                    }
                    // The largest value of all is known.
                    if rank >= self.count { self.max } else { value_of(bin).clamp(self.min, self.max) }
                }
            };
            tell((self.count > 0).then_some(value));
        }
    }

    fn values(self, bins: impl Iterator<Item = (u16, u64)>) -> Vec<f64> {
        let of_bin =
            |(bin, count): (u16, u64)| std::iter::repeat_n(value_of(bin).clamp(self.min, self.max), count as usize);
        bins.flat_map(of_bin).collect()
    }
}

/// Values, smallest first.
#[derive(Debug, Clone, PartialEq)]
pub enum Sorted {
    /// Each by itself.
    Values(Vec<f64>),
    /// Those of an hour, in bins: a value read from them is off by 1 % at most; least, largest and mean are exact.
    Hour(KeptValues),
    /// Those of several hours, in bins.
    Binned(Box<Binned>),
}

impl Default for Sorted {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

/// The bins of an hour.
fn bins_of<'a>(values: &Values<'a>) -> impl Iterator<Item = (u16, u64)> + use<'a> {
    values.bins.bins().map(|(bin, count)| (bin, u64::from(count)))
}

impl Sorted {
    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Hour(hour) => hour.get().count,
            Self::Binned(binned) => binned.ends.count,
        }
    }

    /// The values; of bins, those that stand for the values.
    pub fn values(&self) -> Cow<'_, [f64]> {
        match self {
            Self::Values(values) => Cow::Borrowed(values),
            Self::Hour(hour) => Cow::Owned(Ends::of(&hour.get()).values(bins_of(&hour.get()))),
            Self::Binned(binned) => Cow::Owned(binned.ends.values(binned.bins())),
        }
    }

    /// Percentile `p` (1 to 100) by nearest rank: the smallest value that at least `p` % of all values do not exceed. Unless
    /// values are binned, it is always one that was measured. `None` of no values.
    pub fn percentile(&self, p: u8) -> Option<f64> {
        self.statistic(Statistic::Percentile(p))
    }

    /// `None` of no values.
    pub fn statistic(&self, statistic: Statistic) -> Option<f64> {
        let mut told = None;
        self.statistics(&[statistic], |value| told = value);
        told
    }

    /// Tells each of `statistics`, in their order; `None` of no values.
    pub fn statistics(&self, statistics: &[Statistic], mut tell: impl FnMut(Option<f64>)) {
        match self {
            Self::Values(values) => statistics.iter().for_each(|statistic| tell(of_values(values, *statistic))),
            Self::Hour(hour) => {
                let hour = hour.get();
                Ends::of(&hour).tell(|| bins_of(&hour), statistics, tell);
            }
            Self::Binned(binned) => binned.ends.tell(|| binned.bins(), statistics, tell),
        }
    }

    /// All the usual numbers.
    pub fn distribution(&self) -> Distribution {
        use Statistic::{Max, Mean, Min, Percentile};
        let mut told = Vec::with_capacity(7);
        self.statistics(&[Min, Mean, Percentile(50), Percentile(90), Percentile(95), Percentile(99), Max], |value| {
            told.push(value);
        });
        let [min, mean, p50, p90, p95, p99, max] = told[..] else { return Distribution::default() };
        Distribution { count: self.count(), min, mean, p50, p90, p95, p99, max }
    }
}

/// Of `values`, which are in ascending order.
fn of_values(values: &[f64], statistic: Statistic) -> Option<f64> {
    match statistic {
        Statistic::Min => values.first().copied(),
        Statistic::Max => values.last().copied(),
        Statistic::Mean => {
            // Each value is divided first, so that no sum overflows.
            let count = values.len() as f64;
            (!values.is_empty()).then(|| values.iter().map(|value| value / count).sum())
        }
        Statistic::Percentile(p) => {
            let rank = (values.len() * usize::from(p)).div_ceil(100);
            values.get(rank.max(1) - 1).or(values.last()).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp)]
    use super::*;

    fn sorted(values: &[f64]) -> Sorted {
        let mut sample = Sample::default();
        for value in values {
            sample.add(*value);
        }
        sample.into_sorted()
    }

    #[test]
    fn percentiles_are_values_by_nearest_rank() {
        // The textbook's example.
        let values = sorted(&[35.0, 20.0, 15.0, 50.0, 40.0]);
        for (p, value) in [(5, 15.0), (30, 20.0), (40, 20.0), (50, 35.0), (100, 50.0), (1, 15.0), (99, 50.0)] {
            assert_eq!(values.percentile(p), Some(value), "p{p}");
        }
        let hundred = sorted(&(1..=100).map(f64::from).collect::<Vec<_>>());
        for p in [1, 50, 90, 95, 99, 100] {
            assert_eq!(hundred.percentile(p), Some(f64::from(p)));
        }
        assert_eq!(sorted(&[1.0, 2.0]).percentile(50), Some(1.0), "the lower of the two in the middle");
    }

    #[test]
    fn percentiles_of_bins_are_the_same_in_any_order_and_within_one_per_cent() {
        let mut random = fastrand::Rng::with_seed(7);
        for count in [1, 2, 59, 1_000] {
            let values: Vec<f64> = (0..count).map(|_| (random.f64() * 1e6).round() / 1e3 + 1.0).collect();
            let mut binned = Binned::default();
            for value in &values {
                binned.add_value(*value);
            }
            let (exact, binned) = (sorted(&values), Sorted::Binned(Box::new(binned)));
            let asked = [99, 50, 50, 95, 1, 100, 7].map(Statistic::Percentile);
            let asked = [asked.as_slice(), &[Statistic::Min, Statistic::Max, Statistic::Mean]].concat();
            let mut told = Vec::new();
            binned.statistics(&asked, |value| told.extend(value));
            assert_eq!(told.len(), asked.len());
            for (statistic, told) in asked.into_iter().zip(told) {
                let measured = exact.statistic(statistic).expect("values");
                assert!(
                    (told - measured).abs() <= measured * 0.010_001,
                    "{statistic:?} of {count}: {told}, {measured}"
                );
            }
        }
    }

    #[test]
    fn of_nothing_there_is_no_number() {
        let nothing = sorted(&[f64::NAN, f64::INFINITY]);
        assert_eq!(nothing.distribution(), Distribution::default());
        assert_eq!(nothing.statistic(Statistic::Mean), None);
        let one = sorted(&[7.0]).distribution();
        assert_eq!(
            (one.count, one.min, one.mean, one.p50, one.p99, one.max),
            (1, Some(7.0), Some(7.0), Some(7.0), Some(7.0), Some(7.0))
        );
    }
}
