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
}

impl Plan {
    /// The name under which the server is asked for it.
    pub(super) fn model(self) -> String {
        format!("{PREFIX}-{}-{}-{}-{}", self.id, self.ttft.as_micros(), self.pace.as_micros(), self.tokens)
    }

    /// Reads a name back; `None` for any other.
    pub(super) fn of_model(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-');
        let mut next = || parts.next()?.parse::<u32>().ok();
        let (id, ttft, pace, tokens) = (next()?, next()?, next()?, next()?);
        let micros = |us: u32| Duration::from_micros(us.into());
        (tokens <= 100_000).then_some(Self { id, ttft: micros(ttft), pace: micros(pace), tokens })
    }

    /// When the text chunk of that number (from 0) is due.
    pub(super) fn due(self, chunk: u32) -> Duration {
        self.ttft + self.pace * chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_its_name() {
        let (ttft, pace) = (Duration::from_micros(61_803), Duration::from_millis(5));
        let plan = Plan { id: 7, ttft, pace, tokens: 30 };
        assert_eq!(Plan::of_model(&plan.model()), Some(plan));
        assert_eq!(plan.due(2), Duration::from_micros(71_803));
        for other in ["gpt-4o", "calibrate", "calibrate-1-2-3", "calibrate-1-2-3-x", "calibrate-1-2-3-4000000000"] {
            assert_eq!(Plan::of_model(other), None, "{other}");
        }
    }
}
