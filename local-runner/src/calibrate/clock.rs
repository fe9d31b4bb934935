//! Instants of this process on the clock that both processes share.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Of several readings the one in the tightest bracket is kept.
const READINGS: usize = 64;

/// Nanoseconds since 1970, as both processes read them.
pub(super) fn wall_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// One instant on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Anchor {
    instant: Instant,
    wall_ns: i64,
}

impl Anchor {
    pub(super) fn now() -> Self {
        let read = || {
            let before = Instant::now();
            let wall_ns = wall_ns();
            let width = before.elapsed();
            (width, Self { instant: before + width / 2, wall_ns })
        };
        let (mut width, mut anchor) = read();
        for _ in 1..READINGS {
            let (other_width, other) = read();
            if other_width < width {
                (width, anchor) = (other_width, other);
            }
        }
        anchor
    }

    /// `instant` on the shared clock.
    pub(super) fn wall_ns_of(self, instant: Instant) -> i64 {
        let later = instant.saturating_duration_since(self.instant).as_nanos();
        let earlier = self.instant.saturating_duration_since(instant).as_nanos();
        // One of the two is zero, and both are minutes at most.
        self.wall_ns + i64::try_from(later).unwrap_or(i64::MAX) - i64::try_from(earlier).unwrap_or(i64::MAX)
    }

    /// By how much the two clocks have moved against each other since.
    pub(super) fn drift(self) -> Duration {
        let now = Self::now();
        Duration::from_nanos(now.wall_ns.abs_diff(self.wall_ns_of(now.instant)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_and_after_the_anchor_are_found_on_the_shared_clock() {
        let anchor = Anchor::now();
        let second = Duration::from_secs(1);
        assert_eq!(anchor.wall_ns_of(anchor.instant + second), anchor.wall_ns + 1_000_000_000);
        let later = Anchor { instant: anchor.instant + second, wall_ns: anchor.wall_ns + 5 };
        assert_eq!(later.wall_ns_of(anchor.instant), anchor.wall_ns + 5 - 1_000_000_000);
    }
}
