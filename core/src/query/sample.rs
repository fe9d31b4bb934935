//! What a set of measured values says.

/// Below this many values, percentiles say little: a p99 of 5 samples is not a p99.
pub const ENOUGH_SAMPLES: u64 = 20;

/// Measured values, in any order. Values that are not finite are not taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample(Vec<f64>);

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
            self.0.push(value);
        }
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// The values, smallest first.
    pub fn into_sorted(mut self) -> Sorted {
        self.0.sort_unstable_by(f64::total_cmp);
        Sorted(self.0)
    }
}

/// Values, smallest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sorted(Vec<f64>);

impl Sorted {
    /// The values.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// Percentile `p` (1 to 100) by nearest rank: the smallest value that at least `p` % of all values do not exceed. It is
    /// always a value that was measured. `None` of no values.
    pub fn percentile(&self, p: u8) -> Option<f64> {
        let rank = (self.0.len() * usize::from(p)).div_ceil(100);
        self.0.get(rank.max(1) - 1).or(self.0.last()).copied()
    }

    /// `None` of no values.
    pub fn statistic(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Min => self.0.first().copied(),
            Statistic::Mean => self.mean(),
            Statistic::Percentile(p) => self.percentile(p),
            Statistic::Max => self.0.last().copied(),
        }
    }

    /// All the usual numbers.
    pub fn distribution(&self) -> Distribution {
        Distribution {
            count: self.0.len() as u64,
            min: self.0.first().copied(),
            mean: self.mean(),
            p50: self.percentile(50),
            p90: self.percentile(90),
            p95: self.percentile(95),
            p99: self.percentile(99),
            max: self.0.last().copied(),
        }
    }

    /// Each value is divided first, so that no sum overflows.
    fn mean(&self) -> Option<f64> {
        let count = self.0.len() as f64;
        (!self.0.is_empty()).then(|| self.0.iter().map(|value| value / count).sum())
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
