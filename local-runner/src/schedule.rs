//! When cycles start: the first at once, then on a grid that does not drift; a slow cycle never overlaps the next.

mod issued;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use issued::Issued;

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

/// Calls `cycle` for every slot of the grid until `stop`. A slot that passes while a cycle still runs, or while the machine
/// stands still, is missed, and said. No two cycles get the same time, to the second.
pub(crate) async fn every(
    interval: Duration,
    clock: &impl Clock,
    stop: &CancellationToken,
    mut cycle: impl AsyncFnMut(Due),
) {
    let start = clock.monotonic();
    let mut issued = Issued::every(interval);
    let mut slot: u32 = 0;
    let mut scheduled = clock.wall();
    loop {
        let at = start + interval * slot;
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = clock.sleep_until(at) => {}
        }
        let now = clock.monotonic();
        let lateness = now.saturating_duration_since(at);
        if lateness >= interval {
            let next = next_slot(now.saturating_duration_since(start), interval, slot);
            let missed = next - slot;
            warn!(missed, "the machine stood still for {} s: {missed} cycle(s) were missed", lateness.as_secs());
            scheduled += times(interval, missed);
            slot = next;
            continue;
        }
        let by_wall_clock = clock.wall() - TimeDelta::from_std(lateness).unwrap_or_default();
        let moved = by_wall_clock - scheduled;
        if moved.abs() > CLOCK_TOLERANCE {
            say_moved(moved, interval);
            scheduled = by_wall_clock;
        }
        cycle(Due { scheduled: issued.next(scheduled), at }).await;
        if stop.is_cancelled() {
            return;
        }
        let next = next_slot(clock.monotonic().saturating_duration_since(start), interval, slot);
        let missed = next - slot - 1;
        if missed > 0 {
            warn!(missed, "the cycle took longer than MONITOR_INTERVAL: {missed} cycle(s) were missed");
        }
        scheduled += times(interval, next - slot);
        slot = next;
    }
}

/// The wall clock is not where the grid has it. While a machine sleeps, most monotonic clocks stand still: then, too, the
/// wall clock alone leaps, and no cycle ran in between.
fn say_moved(moved: TimeDelta, interval: Duration) {
    let moved_s = moved.num_seconds();
    let missed = moved_s / i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1);
    if moved_s < 0 {
        warn!(moved_s, "the system's clock was set back by {} s: the schedule follows it", -moved_s);
    } else if missed == 0 {
        warn!(moved_s, "the system's clock is {moved_s} s ahead of the schedule, which follows it");
    } else {
        warn!(
            moved_s,
            missed, "the machine slept for {moved_s} s, or its clock was set: {missed} cycle(s) were missed"
        );
    }
}

fn times(interval: Duration, count: u32) -> TimeDelta {
    TimeDelta::from_std(interval).unwrap_or_default() * i32::try_from(count).unwrap_or(i32::MAX)
}

/// The first slot after `slot` that is not over yet.
fn next_slot(elapsed: Duration, interval: Duration, slot: u32) -> u32 {
    let first_open = elapsed.as_nanos().div_ceil(interval.as_nanos().max(1));
    u32::try_from(first_open).unwrap_or(u32::MAX).max(slot.saturating_add(1))
}

#[cfg(test)]
mod tests;
