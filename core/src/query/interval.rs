//! How sure a share can be.

/// Of the standard normal distribution: 95 % of it lie within ± this.
pub(super) const Z_95: f64 = 1.959_963_984_540_054;

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Observed, 0 to 1.
    pub rate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// `successes` of `total` with Wilson's 95 % score interval (E. B. Wilson, 1927; Agresti and Coull, 1998, on why it and not
/// the usual one): true for few samples and for shares near 0 and 1. `None` of nothing.
pub fn wilson(successes: u64, total: u64) -> Option<Share> {
    if total == 0 {
        return None;
    }
    let n = total as f64;
    let rate = successes.min(total) as f64 / n;
    let z2 = Z_95 * Z_95;
    let centre = rate + z2 / (2.0 * n);
    let spread = Z_95 * (rate * (1.0 - rate) / n + z2 / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z2 / n;
    // At the ends the formula gives 0 and 1 exactly, but for rounding.
    let low = if successes == 0 { 0.0 } else { ((centre - spread) / scale).clamp(0.0, rate) };
    let high = if successes >= total { 1.0 } else { ((centre + spread) / scale).clamp(rate, 1.0) };
    Some(Share { rate, low, high })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, clippy::expect_used)]
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        // R: binom::binom.wilson(x, n)
        for (successes, total, low, high) in [
            (0, 10, 0.0, 0.277_533),
            (1, 10, 0.017_876, 0.404_150),
            (5, 10, 0.236_593, 0.763_407),
            (10, 10, 0.722_467, 1.0),
            (95, 100, 0.888_249, 0.978_456),
        ] {
            let share = wilson(successes, total).expect("a share");
            assert!(
                (share.low - low).abs() < 1e-5 && (share.high - high).abs() < 1e-5,
                "{successes}/{total}: {share:?}"
            );
            assert_eq!(share.rate, successes as f64 / total as f64);
        }
        assert_eq!(wilson(0, 0), None);
    }
}
