//! What a set of measured values says.

use std::borrow::Cow;

use crate::history::{Bin, Values, bin_of, value_of};

/// Below this many values, percentiles say little: a p99 of 5 samples is not a p99.
pub const ENOUGH_SAMPLES: u64 = 20;

/// Measured values, in any order: each by itself, or in bins where they come from rollups. Values that are not finite are
/// not taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    values: Vec<f64>,
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
    pub fn add_binned(&mut self, values: &Values<'_>) {
        match &mut self.binned {
            Some(binned) => binned.add(values),
            none => *none = Some(Box::new(Binned::of(values))),
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.values.len() as u64 + self.binned.as_ref().map_or(0, |binned| binned.count)
    }

    /// The values, smallest first.
    pub fn into_sorted(mut self) -> Sorted {
        match self.binned {
            None => {
                self.values.sort_unstable_by(f64::total_cmp);
                Sorted::Values(self.values)
            }
            Some(mut binned) => {
                for value in self.values {
                    binned.add(&Values { count: 1, min: value, max: value, sum: value, bins: &[(bin_of(value), 1)] });
                }
                Sorted::Binned(binned)
            }
        }
    }
}

/// Values in bins.
#[derive(Debug, Clone, PartialEq)]
pub struct Binned {
    count: u64,
    min: f64,
    max: f64,
    sum: f64,
    bins: Bins,
}

/// One hour's as they are, several by their number: adding is then one step a bin.
#[derive(Debug, Clone, PartialEq)]
enum Bins {
    One(Vec<Bin>),
    Several(Vec<u64>),
}

impl Binned {
    fn of(values: &Values<'_>) -> Self {
        let Values { count, min, max, sum, bins } = *values;
        Self { count, min, max, sum, bins: Bins::One(bins.to_vec()) }
    }

    fn add(&mut self, values: &Values<'_>) {
        self.count += values.count;
        self.min = self.min.min(values.min);
        self.max = self.max.max(values.max);
        self.sum += values.sum;
        if let Bins::One(one) = &self.bins {
            let mut several = Vec::new();
            count_in(&mut several, one);
            self.bins = Bins::Several(several);
        }
        if let Bins::Several(several) = &mut self.bins {
            count_in(several, values.bins);
        }
    }

    /// Every bin with what is in it, smallest values first.
    fn bins(&self) -> Box<dyn Iterator<Item = (u16, u64)> + '_> {
        match &self.bins {
            Bins::One(one) => Box::new(one.iter().map(|(bin, count)| (*bin, u64::from(*count)))),
            Bins::Several(several) => {
                let counted = several.iter().enumerate().map(|(bin, count)| (bin as u16, *count));
                Box::new(counted.filter(|(_, count)| *count > 0))
            }
        }
    }

    fn percentile(&self, p: u8) -> Option<f64> {
        let rank = (self.count * u64::from(p)).div_ceil(100).max(1);
        if rank >= self.count {
            return Some(self.max);
        }
        let mut passed = 0;
        let found = self.bins().find(|(_, count)| {
            passed += count;
            passed >= rank
        });
        found.map(|(bin, _)| value_of(bin).clamp(self.min, self.max))
    }
}

fn count_in(several: &mut Vec<u64>, bins: &[Bin]) {
    let wanted = bins.last().map_or(0, |(bin, _)| usize::from(*bin) + 1);
    if several.len() < wanted {
        several.resize(wanted, 0);
    }
    for (bin, count) in bins {
        if let Some(place) = several.get_mut(usize::from(*bin)) {
            *place += u64::from(*count);
        }
    }
}

/// Values, smallest first.
#[derive(Debug, Clone, PartialEq)]
pub enum Sorted {
    /// Each by itself.
    Values(Vec<f64>),
    /// In bins: a value read from them is off by 1 % at most; least, largest and mean are exact.
    Binned(Box<Binned>),
}

impl Default for Sorted {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

impl Sorted {
    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Self::Values(values) => values.len() as u64,
            Self::Binned(binned) => binned.count,
        }
    }

    /// The values; of bins, those that stand for the values.
    pub fn values(&self) -> Cow<'_, [f64]> {
        match self {
            Self::Values(values) => Cow::Borrowed(values),
            Self::Binned(binned) => {
                let of_bin = |(bin, count): (u16, u64)| {
                    std::iter::repeat_n(value_of(bin).clamp(binned.min, binned.max), count as usize)
                };
                Cow::Owned(binned.bins().flat_map(of_bin).collect())
            }
        }
    }

    /// Percentile `p` (1 to 100) by nearest rank: the smallest value that at least `p` % of all values do not exceed. Unless
    /// values are binned, it is always one that was measured. `None` of no values.
    pub fn percentile(&self, p: u8) -> Option<f64> {
        match self {
            Self::Values(values) => {
                let rank = (values.len() * usize::from(p)).div_ceil(100);
                values.get(rank.max(1) - 1).or(values.last()).copied()
            }
            Self::Binned(binned) => binned.percentile(p),
        }
    }

    /// `None` of no values.
    pub fn statistic(&self, statistic: Statistic) -> Option<f64> {
        match (statistic, self) {
            (Statistic::Mean, _) => self.mean(),
            (Statistic::Percentile(p), _) => self.percentile(p),
            (Statistic::Min, Self::Values(values)) => values.first().copied(),
            (Statistic::Max, Self::Values(values)) => values.last().copied(),
            (Statistic::Min, Self::Binned(binned)) => Some(binned.min),
            (Statistic::Max, Self::Binned(binned)) => Some(binned.max),
        }
    }

    /// All the usual numbers.
    pub fn distribution(&self) -> Distribution {
        Distribution {
            count: self.count(),
            min: self.statistic(Statistic::Min),
            mean: self.mean(),
            p50: self.percentile(50),
            p90: self.percentile(90),
            p95: self.percentile(95),
            p99: self.percentile(99),
            max: self.statistic(Statistic::Max),
        }
    }

    fn mean(&self) -> Option<f64> {
        match self {
            // Each value is divided first, so that no sum overflows.
            Self::Values(values) => {
                let count = values.len() as f64;
                (!values.is_empty()).then(|| values.iter().map(|value| value / count).sum())
            }
            Self::Binned(binned) => Some(binned.sum / binned.count as f64),
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
