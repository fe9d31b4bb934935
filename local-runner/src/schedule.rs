//! When cycles start: the first at once, then on a grid that does not drift; a slow cycle never overlaps the next.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// A cycle that is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// Its place on the grid, by the wall clock: what its id is made from.
    pub(crate) scheduled: DateTime<Utc>,
    /// The same by the monotonic clock: what its lateness is counted from.
    pub(crate) at: Instant,
}

/// Both clocks, and waiting. Tests have one of their own, in which days pass at once.
pub(crate) trait Clock {
    fn wall(&self) -> DateTime<Utc>;
    fn monotonic(&self) -> Instant;
    async fn sleep_until(&self, at: Instant);
}

/// The machine's clocks.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn monotonic(&self) -> Instant {
        Instant::now()
    }

    async fn sleep_until(&self, at: Instant) {
        tokio::time::sleep_until(at.into()).await;
    }
}

/// How far the wall clock may move against the grid before the grid's times are taken from it anew.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// Calls `cycle` for every slot of the grid until `stop`. A slot that passes while a cycle still runs is missed, and said.
pub(crate) async fn every(
    interval: Duration,
    clock: &impl Clock,
    stop: &CancellationToken,
    mut cycle: impl AsyncFnMut(Due),
) {
    let start = clock.monotonic();
    let mut slot: u32 = 0;
    let mut scheduled = clock.wall();
    loop {
        let at = start + interval * slot;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = clock.sleep_until(at) => {}
        }
        let lateness = clock.monotonic().saturating_duration_since(at);
        let by_wall_clock = clock.wall() - TimeDelta::from_std(lateness).unwrap_or_default();
        let moved = by_wall_clock - scheduled;
        if moved.abs() > CLOCK_TOLERANCE {
            warn!("the system's clock moved by {} s against the schedule", moved.num_seconds());
            scheduled = by_wall_clock;
        }
        cycle(Due { scheduled, at }).await;
        if stop.is_cancelled() {
            return;
        }
        let next = next_slot(clock.monotonic().saturating_duration_since(start), interval, slot);
        let missed = next - slot - 1;
        if missed > 0 {
            warn!(missed, "the cycle took longer than MONITOR_INTERVAL: {missed} cycle(s) were missed");
        }
        scheduled += TimeDelta::from_std(interval).unwrap_or_default() * i32::try_from(next - slot).unwrap_or(i32::MAX);
        slot = next;
    }
}

/// The first slot after `slot` that is not over yet.
fn next_slot(elapsed: Duration, interval: Duration, slot: u32) -> u32 {
    let first_open = elapsed.as_nanos().div_ceil(interval.as_nanos().max(1));
    u32::try_from(first_open).unwrap_or(u32::MAX).max(slot.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Waiting takes no time; cycles take what the test says. From `leap_after` on, the wall clock is an hour ahead.
    struct TestClock {
        begin: Instant,
        passed: Cell<Duration>,
        leap_after: Duration,
    }

    impl TestClock {
        fn new(leap_after: Duration) -> Self {
            Self { begin: Instant::now(), passed: Cell::default(), leap_after }
        }

        fn pass(&self, time: Duration) {
            self.passed.set(self.passed.get() + time);
        }
    }

    impl Clock for TestClock {
        fn wall(&self) -> DateTime<Utc> {
            let passed = self.passed.get();
            let leap = if passed > self.leap_after { TimeDelta::hours(1) } else { TimeDelta::zero() };
            DateTime::UNIX_EPOCH + TimeDelta::from_std(passed).expect("small") + leap
        }

        fn monotonic(&self) -> Instant {
            self.begin + self.passed.get()
        }

        async fn sleep_until(&self, at: Instant) {
            self.passed.set(self.passed.get().max(at - self.begin));
        }
    }

    /// Seconds from the beginning at which `count` cycles started, by the monotonic and by the wall clock; `took` tells how
    /// long the n-th takes.
    async fn starts(
        clock: &TestClock,
        interval_s: u64,
        count: usize,
        took: impl Fn(usize) -> Duration,
    ) -> Vec<(u64, i64)> {
        let stop = CancellationToken::new();
        let seen = RefCell::new(Vec::new());
        every(Duration::from_secs(interval_s), clock, &stop, async |due| {
            seen.borrow_mut().push((clock.passed.get().as_secs(), due.scheduled.timestamp()));
            let n = seen.borrow().len();
            if n == count {
                stop.cancel();
            }
            clock.pass(took(n - 1));
        })
        .await;
        seen.into_inner()
    }

    #[tokio::test]
    async fn the_first_is_at_once_and_the_others_stay_on_the_grid_for_days() {
        let clock = TestClock::new(Duration::MAX);
        let seen = starts(&clock, 60, 10_000, |n| Duration::from_millis(17 * (n as u64 % 1000))).await;
        let expected: Vec<_> = (0..10_000).map(|n| (n * 60, i64::try_from(n * 60).expect("small"))).collect();
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn a_slow_cycle_never_overlaps_and_costs_the_slots_that_it_covered() {
        let clock = TestClock::new(Duration::MAX);
        let seen =
            starts(&clock, 10, 4, |n| if n == 1 { Duration::from_secs(25) } else { Duration::from_secs(1) }).await;
        assert_eq!(seen, [(0, 0), (10, 10), (40, 40), (50, 50)]);
    }

    #[tokio::test]
    async fn a_wall_clock_that_was_set_is_followed_and_the_pace_is_kept() {
        let clock = TestClock::new(Duration::from_secs(15));
        let seen = starts(&clock, 10, 4, |_| Duration::ZERO).await;
        assert_eq!(seen, [(0, 0), (10, 10), (20, 3620), (30, 3630)]);
    }
}
