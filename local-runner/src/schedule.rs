//! When cycles start: the first at once, then on a grid that does not drift; a slow cycle never overlaps the next.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::{Instant, sleep_until};
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

/// How far the wall clock may move against the grid before the grid's times are taken from it anew.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(1);

/// Calls `cycle` for every slot of the grid until `stop`. A slot that passes while a cycle still runs is missed, and said.
pub(crate) async fn every(
    interval: Duration,
    stop: &CancellationToken,
    wall_clock: impl Fn() -> DateTime<Utc>,
    mut cycle: impl AsyncFnMut(Due),
) {
    let start = Instant::now();
    let mut slot: u32 = 0;
    let mut scheduled = wall_clock();
    loop {
        let at = start + interval * slot;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = sleep_until(at) => {}
        }
        let by_wall_clock = wall_clock() - TimeDelta::from_std(at.elapsed()).unwrap_or_default();
        if (by_wall_clock - scheduled).abs() > CLOCK_TOLERANCE {
            warn!("the system's clock moved by {} s against the schedule", (by_wall_clock - scheduled).num_seconds());
            scheduled = by_wall_clock;
        }
        cycle(Due { scheduled, at }).await;
        if stop.is_cancelled() {
            return;
        }
        let next = next_slot(start.elapsed(), interval, slot);
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
    use std::{cell::RefCell, time::Duration};

    use super::*;

    /// Runs the schedule in paused time; `took` tells how long the n-th cycle takes. Returns the offsets of the starts.
    async fn starts(interval_s: u64, count: usize, took: impl Fn(usize) -> Duration) -> Vec<(u64, i64)> {
        let stop = CancellationToken::new();
        let begin = Instant::now();
        let seen = RefCell::new(Vec::new());
        let clock = || DateTime::UNIX_EPOCH + TimeDelta::from_std(begin.elapsed()).unwrap_or_default();
        every(Duration::from_secs(interval_s), &stop, clock, async |due| {
            seen.borrow_mut().push((begin.elapsed().as_secs(), due.scheduled.timestamp()));
            let n = seen.borrow().len();
            if n == count {
                stop.cancel();
            }
            tokio::time::sleep(took(n - 1)).await;
        })
        .await;
        seen.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_at_once_and_the_others_stay_on_the_grid() {
        let seen = starts(60, 1000, |n| Duration::from_millis(17 * (n as u64 % 100))).await;
        let expected: Vec<_> = (0..1000).map(|n| (n * 60, i64::try_from(n * 60).expect("small"))).collect();
        assert_eq!(seen, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_cycle_never_overlaps_and_costs_the_slots_that_it_covered() {
        let seen = starts(10, 4, |n| if n == 1 { Duration::from_secs(25) } else { Duration::from_secs(1) }).await;
        assert_eq!(seen, [(0, 0), (10, 10), (40, 40), (50, 50)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moved_wall_clock_is_followed() {
        let stop = CancellationToken::new();
        let begin = Instant::now();
        let seen = RefCell::new(Vec::new());
        let clock = || {
            let leap = if begin.elapsed() > Duration::from_secs(15) { TimeDelta::hours(1) } else { TimeDelta::zero() };
            DateTime::UNIX_EPOCH + TimeDelta::from_std(begin.elapsed()).unwrap_or_default() + leap
        };
        every(Duration::from_secs(10), &stop, clock, async |due| {
            seen.borrow_mut().push(due.scheduled.timestamp());
            if seen.borrow().len() == 4 {
                stop.cancel();
            }
        })
        .await;
        assert_eq!(seen.into_inner(), [0, 10, 3620, 3630]);
    }
}
