//! By how much one sample's values are above another's, and how sure that is, without assuming any distribution.
//!
//! The estimate is the median of all differences between a value of the one and a value of the other (J. L. Hodges and
//! E. L. Lehmann, 1963); the interval goes with the Mann–Whitney rank test (M. Hollander and D. A. Wolfe, *Nonparametric
//! Statistical Methods*, sections 4.2 and 4.3, large-sample approximation). Ties only make the interval wider than it need be.

use super::{interval::Z_95, sample::Sorted};

/// How far apart two samples lie, in their unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// The median of all differences *a* − *b*.
    pub median: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
}

/// What a difference says of the first sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Its values are smaller.
    Faster,
    /// Its values are larger.
    Slower,
    /// The interval holds 0.
    NoClearDifference,
}

impl Difference {
    /// Of *a* − *b*; `None` where either has no values.
    pub fn between(a: &Sorted, b: &Sorted) -> Option<Self> {
        let (a, b) = (micros(a), micros(b));
        let pairs = (a.len() as u64).checked_mul(b.len() as u64).filter(|pairs| *pairs > 0)?;
        let (n, m) = (a.len() as f64, b.len() as f64);
        let spread = Z_95 * (n * m * (n + m + 1.0) / 12.0).sqrt();
        let rank = ((pairs as f64 / 2.0 - spread).floor().max(1.0) as u64).min(pairs);
        let middle = ranked(&a, &b, pairs.div_ceil(2));
        let above_middle = if pairs.is_multiple_of(2) { ranked(&a, &b, pairs / 2 + 1) } else { middle };
        let from_micros = |micros: i64| micros as f64 / 1_000.0;
        Some(Self {
            median: f64::midpoint(from_micros(middle), from_micros(above_middle)),
            low: from_micros(ranked(&a, &b, rank)),
            high: from_micros(ranked(&a, &b, pairs + 1 - rank)),
        })
    }

    /// Of the sample that the other was taken from.
    pub fn verdict(&self) -> Verdict {
        if self.high < 0.0 {
            Verdict::Faster
        } else if self.low > 0.0 {
            Verdict::Slower
        } else {
            Verdict::NoClearDifference
        }
    }
}

/// Milliseconds as the whole microseconds that were measured, smallest first: sums and differences of these are exact.
fn micros(sorted: &Sorted) -> Vec<i64> {
    sorted.values().iter().map(|ms| (ms * 1_000.0).round() as i64).collect()
}

/// The difference *a* − *b* that is the `rank`th smallest (from 1) of all. There may be billions, so they are counted and not
/// made: by halving the range in which it must lie.
fn ranked(a: &[i64], b: &[i64], rank: u64) -> i64 {
    let ends = |values: &[i64]| Some((*values.first()?, *values.last()?));
    let Some(((a_min, a_max), (b_min, b_max))) = ends(a).zip(ends(b)) else { return 0 };
    let (mut low, mut high) = (a_min.saturating_sub(b_max), a_max.saturating_sub(b_min));
    while low < high {
        let middle = low + (high - low) / 2;
        if differences_up_to(a, b, middle) >= rank {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// How many differences are at most `most`. Both lists go one way, so one pass over each is enough.
fn differences_up_to(a: &[i64], b: &[i64], most: i64) -> u64 {
    let mut smaller = 0;
    let mut count = 0;
    for value in a {
        // Of `b`, those below `value - most` give a larger difference.
        while b.get(smaller).is_some_and(|other| value.saturating_sub(*other) > most) {
            smaller += 1;
        }
        count += (b.len() - smaller) as u64;
    }
    count
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::float_cmp, clippy::indexing_slicing)]
    use super::{super::Sample, *};

    fn sorted(values: &[f64]) -> Sorted {
        let mut sample = Sample::default();
        for value in values {
            sample.add(*value);
        }
        sample.into_sorted()
    }

    /// Every difference, smallest first.
    fn all(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut all: Vec<_> = a.iter().flat_map(|a| b.iter().map(move |b| ((a - b) * 1e3).round() / 1e3)).collect();
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn the_textbooks_example_comes_out() {
        // Hollander and Wolfe, example 4.1: the estimate is 0.305.
        let a = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let b = [1.15, 0.88, 0.90, 0.74, 1.21];
        let difference = Difference::between(&sorted(&a), &sorted(&b)).expect("values on both sides");
        assert!((difference.median - 0.305).abs() < 1e-9, "{difference:?}");
        // 25 - 1.96 * 8.165 = 8.997: the 8th from either end.
        let all = all(&a, &b);
        assert_eq!((difference.low, difference.high), (all[7], all[42]));
        assert_eq!(difference.verdict(), Verdict::NoClearDifference);
    }

    #[test]
    fn every_rank_is_that_of_the_differences_written_out() {
        let mut random = fastrand::Rng::with_seed(7);
        for (n, m) in [(1, 1), (1, 9), (8, 5), (30, 31)] {
            let mut values = |count: usize| (0..count).map(|_| f64::from(random.u32(0..40))).collect::<Vec<_>>();
            let (a, b) = (values(n), values(m));
            let (a_micros, b_micros) = (micros(&sorted(&a)), micros(&sorted(&b)));
            for (index, difference) in all(&a, &b).into_iter().enumerate() {
                assert_eq!(ranked(&a_micros, &b_micros, index as u64 + 1), (difference * 1e3) as i64);
            }
        }
    }

    #[test]
    fn the_verdict_speaks_of_the_first() {
        let fast: Vec<f64> = (0..50).map(|n| 100.0 + f64::from(n)).collect();
        let slow: Vec<f64> = fast.iter().map(|ms| ms + 30.0).collect();
        let difference = Difference::between(&sorted(&fast), &sorted(&slow)).expect("values");
        assert_eq!((difference.median, difference.verdict()), (-30.0, Verdict::Faster));
        let other_way = Difference::between(&sorted(&slow), &sorted(&fast)).expect("values");
        assert_eq!((other_way.median, other_way.verdict()), (30.0, Verdict::Slower));
        assert_eq!((other_way.low, other_way.high), (-difference.high, -difference.low));
        let same = Difference::between(&sorted(&fast), &sorted(&fast)).expect("values");
        assert_eq!((same.median, same.verdict()), (0.0, Verdict::NoClearDifference));
        assert_eq!(Difference::between(&sorted(&fast), &sorted(&[])), None);
    }
}
