//! What one probe is to receive. The model's name carries it, so that the server needs no state.

use std::time::Duration;

const PREFIX: &str = "calibrate";

/// One answer's schedule, counted from the moment the server has read the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Which probe: joins the record and the server's log.
    pub id: u32,
    /// To the first chunk with text.
    pub ttft: Duration,
    /// Between two chunks with text.
    pub pace: Duration,
    /// Chunks with text, one token each.
    pub tokens: u32,
    /// On the server's common grid of `pace`: all such streams get their chunks in the same instants.
    pub aligned: bool,
}

impl Plan {
    /// The name under which the server is asked for it.
    pub(super) fn model(self) -> String {
        let Self { id, ttft, pace, tokens, aligned } = self;
        format!("{PREFIX}-{id}-{}-{}-{tokens}-{}", ttft.as_micros(), pace.as_micros(), u8::from(aligned))
    }

    /// Reads a name back; `None` for any other.
    pub(super) fn of_model(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-');
        let mut next = || parts.next()?.parse::<u32>().ok();
        let (id, ttft, pace, tokens, aligned) = (next()?, next()?, next()?, next()?, next()? == 1);
        let micros = |us: u32| Duration::from_micros(us.into());
        (tokens <= 100_000).then_some(Self { id, ttft: micros(ttft), pace: micros(pace), tokens, aligned })
    }

    /// When the text chunks are due for a request read at `received`, both counted from the server's start.
    pub(super) fn due(self, received: Duration, chunk: u32) -> Duration {
        let first = received + self.ttft;
        let pace = self.pace.as_nanos().max(1);
        let into_grid = if self.aligned { first.as_nanos() % pace } else { 0 };
        // A rest of a `u32` of microseconds, so it fits.
        let to_grid = if into_grid == 0 { 0 } else { u64::try_from(pace - into_grid).unwrap_or(0) };
        first + Duration::from_nanos(to_grid) + self.pace * chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan =
        Plan { id: 7, ttft: Duration::from_micros(61_803), pace: Duration::from_millis(5), tokens: 30, aligned: false };

    #[test]
    fn a_plan_survives_its_name() {
        assert_eq!(Plan::of_model(&PLAN.model()), Some(PLAN));
        for other in ["gpt-4o", "calibrate", "calibrate-1-2-3-4", "calibrate-1-2-3-x-0", "calibrate-1-2-3-4000000000-0"]
        {
            assert_eq!(Plan::of_model(other), None, "{other}");
        }
    }

    #[test]
    fn aligned_streams_meet_on_the_grid() {
        let received = Duration::from_millis(100);
        assert_eq!(PLAN.due(received, 2), Duration::from_micros(171_803));
        let aligned = Plan { aligned: true, ..PLAN };
        assert_eq!(aligned.due(received, 0), Duration::from_millis(165));
        assert_eq!(aligned.due(received + Duration::from_millis(3), 1), Duration::from_millis(170));
    }
}
