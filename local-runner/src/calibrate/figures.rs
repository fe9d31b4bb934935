//! Errors -> the few numbers that tell how they are spread. Pure.

use serde::Serialize;

/// How errors are spread, by their size whatever their sign, in milliseconds. Percentiles are nearest-rank: each is an error
/// that was really made.
// The names are the JSON's, and there a figure carries its unit.
#[allow(clippy::struct_field_names)]
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Spread {
    /// The median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The worst.
    pub max_ms: f64,
    /// The signed mean: above 0, the monitor's figures are too large.
    pub bias_ms: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(errors_ms: &[f64]) -> Option<Self> {
        let mut sizes: Vec<f64> = errors_ms.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let at = |percent: usize| sizes.get((sizes.len() * percent).div_ceil(100).saturating_sub(1)).copied();
        Some(Self {
            p50_ms: at(50)?,
            p90_ms: at(90)?,
            p99_ms: at(99)?,
            max_ms: at(100)?,
            bias_ms: errors_ms.iter().sum::<f64>() / errors_ms.len() as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_errors_that_were_made_whatever_their_sign() {
        let errors: Vec<f64> = (1..=200).map(|n| if n % 2 == 0 { f64::from(n) } else { -f64::from(n) }).collect();
        let spread = Spread::of(&errors);
        let expected = Spread { p50_ms: 100.0, p90_ms: 180.0, p99_ms: 198.0, max_ms: 200.0, bias_ms: 0.5 };
        assert_eq!(spread, Some(expected));
        assert_eq!(Spread::of(&[-0.25]).map(|spread| (spread.p50_ms, spread.p99_ms)), Some((0.25, 0.25)));
        assert_eq!(Spread::of(&[]), None);
    }
}
