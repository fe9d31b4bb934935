use std::time::{Duration, Instant, SystemTime};

/// Kept free before the function's deadline to write what was measured: this, or a quarter of a shorter time.
const WRITE_TIME: Duration = Duration::from_secs(5);
/// Kept free of writing, to answer in.
const ANSWER_TIME: Duration = Duration::from_millis(500);
/// Of an event whose deadline is over when it comes, which Lambda never sends, but `cargo lambda watch` does (a time in 1970).
const UNKNOWN: Duration = Duration::from_secs(60);

/// How an invocation's time is divided: probes, then the write, then the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeLeft {
    ends: Instant,
    write_time: Duration,
}

impl TimeLeft {
    /// Of an invocation that is stopped at `deadline`.
    pub(crate) fn until(deadline: SystemTime) -> Self {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or(UNKNOWN);
        Self { ends: Instant::now() + left, write_time: WRITE_TIME.min(left / 4) }
    }

    /// When probes must be over.
    pub(crate) fn stop_by(&self) -> Instant {
        self.ends.checked_sub(self.write_time).unwrap_or(self.ends)
    }

    /// How long writing may take from now on.
    pub(crate) fn for_writing(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now()).saturating_sub(ANSWER_TIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_end_in_time_for_writing() {
        let left = |seconds| {
            let left = TimeLeft::until(SystemTime::now() + Duration::from_secs(seconds));
            left.stop_by().saturating_duration_since(Instant::now()).as_secs_f64()
        };
        assert!((54.0..=55.0).contains(&left(60)), "{}", left(60));
        assert!((7.0..=7.5).contains(&left(10)), "{}", left(10));
        let for_writing = TimeLeft::until(SystemTime::now() + Duration::from_secs(60)).for_writing();
        assert!(for_writing <= Duration::from_millis(59_500), "{for_writing:?}");
    }

    #[test]
    fn a_deadline_that_is_over_is_none() {
        let over = TimeLeft::until(SystemTime::UNIX_EPOCH + Duration::from_secs(600));
        assert!(over.for_writing() > Duration::from_secs(50));
    }
}
