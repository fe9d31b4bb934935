//! How late the monitor's own runtime is. While probes run, one task wakes every few milliseconds and notes by how much it was
//! late; a probe asks for the worst of its own time.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{task::JoinHandle, time::sleep_until};

/// Time between two samples.
const PERIOD: Duration = Duration::from_millis(20);

/// The timer counts whole milliseconds and rounds up: that much is not lateness.
const TIMER_GRAIN: Duration = Duration::from_millis(2);

/// Samples the runtime's scheduling delay while at least one [`Watch`] lives.
#[derive(Debug, Default, Clone)]
pub(super) struct Lateness(Arc<Mutex<Samples>>);

#[derive(Debug, Default)]
struct Samples {
    watches: usize,
    ticker: Option<JoinHandle<()>>,
    next_due: Option<Instant>,
    /// Oldest first, each smaller than those before it: a later and larger one makes the smaller ones before it moot.
    peaks: Vec<(Instant, Duration)>,
}

impl Samples {
    fn add(&mut self, at: Instant, delay: Duration) {
        while self.peaks.last().is_some_and(|(_, peak)| *peak <= delay) {
            self.peaks.pop();
        }
        self.peaks.push((at, delay));
    }

    fn worst_since(&self, start: Instant) -> Duration {
        let first = self.peaks.partition_point(|(at, _)| *at < start);
        self.peaks.get(first).map_or(Duration::ZERO, |(_, delay)| *delay)
    }
}

/// One probe's view; sampling goes on while it lives.
#[derive(Debug)]
pub(super) struct Watch {
    lateness: Lateness,
    start: Instant,
}

impl Lateness {
    /// Watches from `start` on. Must be called within a Tokio runtime.
    pub(super) fn watch(&self, start: Instant) -> Watch {
        let mut samples = self.samples();
        samples.watches += 1;
        if samples.watches == 1 || samples.ticker.as_ref().is_none_or(JoinHandle::is_finished) {
            samples.peaks.clear();
            samples.ticker = Some(tokio::spawn(self.clone().tick()));
        }
        Watch { lateness: self.clone(), start }
    }

    async fn tick(self) {
        loop {
            let due = Instant::now() + PERIOD;
            self.samples().next_due = Some(due);
            sleep_until(due.into()).await;
            let woken = Instant::now();
            // Tasks that were ready before this one have their turn first: this is the queue's length.
            tokio::task::yield_now().await;
            let resumed = Instant::now();
            self.samples().add(resumed, late_by(due, woken).max(resumed - woken));
        }
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        // Every change leaves the samples whole, so those of a panicked holder are as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// The worst delay since the watch began, of a sample that is overdue too.
    pub(super) fn worst(&self) -> Duration {
        let samples = self.lateness.samples();
        let overdue = samples.next_due.map_or(Duration::ZERO, |due| late_by(due, Instant::now()));
        samples.worst_since(self.start).max(overdue)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut samples = self.lateness.samples();
        samples.watches -= 1;
        if samples.watches == 0 {
            samples.next_due = None;
            if let Some(ticker) = samples.ticker.take() {
                ticker.abort();
            }
        }
    }
}

fn late_by(due: Instant, now: Instant) -> Duration {
    now.saturating_duration_since(due).saturating_sub(TIMER_GRAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_a_probes_own_time_is_found() {
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        let delay = Duration::from_millis;
        let mut samples = Samples::default();
        for (when, late) in [(10, 5), (20, 90), (30, 1), (40, 7), (50, 2)] {
            samples.add(at(when), delay(late));
        }
        assert_eq!(samples.worst_since(at(0)), delay(90));
        assert_eq!(samples.worst_since(at(25)), delay(7));
        assert_eq!(samples.worst_since(at(45)), delay(2));
        assert_eq!(samples.worst_since(at(60)), Duration::ZERO);
        assert_eq!(samples.peaks.len(), 3);
    }

    #[tokio::test]
    async fn a_blocked_runtime_is_noticed_and_sampling_ends_with_the_last_probe() {
        let lateness = Lateness::default();
        let watch = lateness.watch(Instant::now());
        tokio::task::yield_now().await;
        // Blocks the only thread of this runtime, as a busy monitor would.
        std::thread::sleep(Duration::from_millis(120));
        assert!(watch.worst() >= Duration::from_millis(50), "{:?}", watch.worst());
        drop(watch);
        assert!(lateness.samples().ticker.is_none());
    }
}
