//! Seeded randomness: the same question always has the same answer.

use fastrand::Rng;
use llm_monitor_core::fnv;

/// A generator for what `parts` name. Stable across versions and platforms (FNV-1a, then a finaliser).
pub(super) fn seeded(seed: u64, parts: &[&str]) -> Rng {
    let mut hash = fnv::START ^ seed;
    for part in parts {
        // The separator keeps ("a", "bc") apart from ("ab", "c").
        hash = fnv::extended(fnv::extended(hash, part.as_bytes()), &[0xff]);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Rng::with_seed(hash ^ (hash >> 31))
}

/// Standard normal (Box–Muller), within ±3 so that no single request is absurd.
fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    (radius * (std::f64::consts::TAU * rng.f64()).cos()).clamp(-3.0, 3.0)
}

/// A log-normal factor with median 1.
pub(super) fn spread_around_median(rng: &mut Rng, sigma: f64) -> f64 {
    (sigma * normal(rng)).exp()
}

/// A log-normal factor with mean 1, so that a sum of many keeps its expected length.
pub(super) fn spread_around_mean(rng: &mut Rng, sigma: f64) -> f64 {
    (sigma * normal(rng) - sigma * sigma / 2.0).exp()
}

/// `length` random letters and digits.
pub(super) fn alphanumeric(rng: &mut Rng, length: usize) -> String {
    std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect()
}

/// `length` random lower-case hexadecimal digits.
pub(super) fn hex(rng: &mut Rng, length: usize) -> String {
    std::iter::repeat_with(|| rng.digit(16)).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_give_the_same_numbers_and_others_do_not() {
        let draw = |seed, parts: &[&str]| seeded(seed, parts).u64(..);
        assert_eq!(draw(1, &["prod", "gpt-4o"]), draw(1, &["prod", "gpt-4o"]));
        assert_ne!(draw(1, &["prod", "gpt-4o"]), draw(2, &["prod", "gpt-4o"]));
        assert_ne!(draw(1, &["a", "bc"]), draw(1, &["ab", "c"]));
        assert_eq!(draw(1, &["prod", "gpt-4o"]), 6_304_739_983_252_693_049, "the same in every version");
    }

    #[test]
    fn a_spread_is_skewed_to_the_slow_side_around_its_median() {
        let mut rng = seeded(1, &[]);
        let mut factors: Vec<f64> = (0..4_001).map(|_| spread_around_median(&mut rng, 0.5)).collect();
        factors.sort_by(f64::total_cmp);
        let at = |percent: usize| factors[factors.len() * percent / 100];
        assert!((at(50) - 1.0).abs() < 0.05, "median {}", at(50));
        assert!(at(95) - 1.0 > 2.0 * (1.0 - at(5)), "p5 {} p95 {}", at(5), at(95));
    }
}
