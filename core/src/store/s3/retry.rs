//! Trying again while there is time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout_at};

use super::failure::Failure;
use crate::store::StoreError;

/// By when something must be done, and what has stood in its way so far.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Instant,
    budget: Duration,
    hindrance: Mutex<Option<Failure>>,
}

impl Deadline {
    pub(super) fn after(budget: Duration) -> Self {
        Self { at: Instant::now() + budget, budget, hindrance: Mutex::default() }
    }

    fn hindrance(&self) -> MutexGuard<'_, Option<Failure>> {
        self.hindrance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome of `work`, which is given up at the deadline. `location` is what it works on.
    pub(super) async fn limit<T>(
        &self,
        location: &str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout_at(self.at, work).await.unwrap_or_else(|_| {
            let seconds = self.budget.as_secs_f32();
            Err(match self.hindrance().take() {
                Some(failure) => failure.into_error(location),
                None => Failure::Passing(format!("no answer within {seconds} s")).into_error(location),
            })
        })
    }
}

/// Waits between tries of the same work: longer from one to the next, and never two writers equally long.
#[derive(Debug)]
pub(super) struct Retries<'a> {
    deadline: &'a Deadline,
    conflicts: u32,
    outages: u32,
}

impl<'a> Retries<'a> {
    pub(super) fn until(deadline: &'a Deadline) -> Self {
        Self { deadline, conflicts: 0, outages: 0 }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// `failure`, where no other try can help or there is no time for one.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<(), Failure> {
        let longest = match &failure {
            Failure::Condition => doubled(Duration::from_millis(10), &mut self.conflicts, Duration::from_millis(500)),
            Failure::Passing(_) => doubled(Duration::from_millis(250), &mut self.outages, Duration::from_secs(3)),
            _ => return Err(failure),
        };
        let pause = longest.mul_f64(fastrand::f64());
        if Instant::now() + pause >= self.deadline.at {
            return Err(failure);
        }
        *self.deadline.hindrance() = Some(failure);
        sleep(pause).await;
        Ok(())
    }
}

fn doubled(first: Duration, times: &mut u32, longest: Duration) -> Duration {
    let pause = first.saturating_mul(1 << (*times).min(16)).min(longest);
    *times += 1;
    pause
}
