//! Random numbers of the shapes that latencies have.

use llm_monitor_core::fnv;

/// A seeded source.
#[derive(Debug, Clone)]
pub(super) struct Draw {
    rng: fastrand::Rng,
    /// The second of the pair of normal numbers that are drawn together.
    spare: Option<f64>,
}

impl Draw {
    /// The source called `name` of `seed`: each name has numbers of its own.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let hash = fnv::extended(fnv::START ^ seed, name.as_bytes());
        Self { rng: fastrand::Rng::with_seed(hash), spare: None }
    }

    /// Whether what happens with probability `p` happens.
    pub(super) fn happens(&mut self, p: f64) -> bool {
        self.rng.f64() < p
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.f64()
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        self.rng.choice(choices).copied()
    }

    /// From the standard normal distribution (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.rng.f64()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.rng.f64()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// Log-normal around `median`; `sigma` is of the logarithm.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// The wait for what happens on average every `mean`.
    pub(super) fn wait(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.rng.f64()).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_seed_have_the_same_numbers_in_every_version() {
        assert_eq!(Draw::new(7, "prod/gpt-4o").rng.u64(..), 18_207_835_940_133_175_508);
        assert_ne!(Draw::new(7, "prod/gpt-4").rng.u64(..), 18_207_835_940_133_175_508);
    }
}
