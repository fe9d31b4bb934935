//! Instants -> durations. Pure: every instant is the time since the probe's start, on the monotonic clock.

use std::time::Duration;

/// What happened when, as far as it happened.
///
/// ```
/// use std::time::Duration;
///
/// use llm_monitor_core::probe::timeline::Timeline;
///
/// let mut timeline = Timeline::default();
/// for ms in [500, 510, 560] {
///     timeline.answer(Duration::from_millis(ms));
/// }
/// assert_eq!(timeline.ttft_ms(), Some(500.0));
/// assert_eq!(timeline.latency_ms(), Some(560.0));
/// // 60 ms for the 6 tokens after the first, however they were cut into chunks.
/// assert_eq!(timeline.tpot_ms(7), Some(10.0));
/// assert_eq!(timeline.max_gap_ms(), Some(50.0));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeline {
    /// How long the name's resolution took; `None` for an address.
    pub dns: Option<Duration>,
    /// How long the TLS handshake took; `None` without TLS.
    pub tls: Option<Duration>,
    /// The connection was ready for the request.
    pub connected: Option<Duration>,
    /// The response's headers were complete.
    pub headers: Option<Duration>,
    text: Option<TextTimes>,
    first_answer: Option<Duration>,
}

/// When text arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TextTimes {
    first: Duration,
    last: Duration,
    /// Zero while all text came in one read.
    max_gap: Duration,
}

impl Timeline {
    /// Generated text was in the read of `at`. Reads come in their order.
    pub fn text(&mut self, at: Duration) {
        match &mut self.text {
            Some(text) => {
                text.max_gap = text.max_gap.max(at.saturating_sub(text.last));
                text.last = text.last.max(at);
            }
            None => self.text = Some(TextTimes { first: at, last: at, max_gap: Duration::ZERO }),
        }
    }

    /// Text of the answer was in the read of `at`.
    pub fn answer(&mut self, at: Duration) {
        self.first_answer.get_or_insert(at);
        self.text(at);
    }

    /// Whether any text arrived.
    pub fn has_text(&self) -> bool {
        self.text.is_some()
    }

    /// To the first text.
    pub fn ttft_ms(&self) -> Option<f64> {
        self.text.map(|text| ms(text.first))
    }

    /// To the first text of the answer.
    pub fn ttfa_ms(&self) -> Option<f64> {
        self.first_answer.map(ms)
    }

    /// To the last text.
    pub fn latency_ms(&self) -> Option<f64> {
        self.text.map(|text| ms(text.last))
    }

    /// The longest wait between two reads with text.
    pub fn max_gap_ms(&self) -> Option<f64> {
        self.spread().map(|text| ms(text.max_gap))
    }

    /// (last − first) / (`output_tokens` − 1).
    pub fn tpot_ms(&self, output_tokens: u64) -> Option<f64> {
        let text = self.spread()?;
        (output_tokens >= 2).then(|| ms(text.last.saturating_sub(text.first)) / (output_tokens - 1) as f64)
    }

    /// The times of text that came in more than one read: of a burst, no pace can be told.
    fn spread(&self) -> Option<TextTimes> {
        self.text.filter(|text| text.last > text.first)
    }
}

/// Milliseconds, to the microsecond: finer digits are noise, and cost room in every row.
pub fn ms(duration: Duration) -> f64 {
    ((duration.as_nanos() + 500) / 1_000) as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn durations_of_a_paced_answer() {
        let mut timeline = Timeline::default();
        for arrival in [500, 510, 540, 560] {
            timeline.answer(at(arrival));
        }
        assert_eq!(timeline.ttft_ms(), Some(500.0));
        assert_eq!(timeline.ttfa_ms(), Some(500.0));
        assert_eq!(timeline.latency_ms(), Some(560.0));
        assert_eq!(timeline.max_gap_ms(), Some(30.0));
        // 60 ms for the 6 tokens after the first, however they were cut into chunks.
        assert_eq!(timeline.tpot_ms(7), Some(10.0));
        assert_eq!(timeline.tpot_ms(1), None);
        assert_eq!(timeline.tpot_ms(0), None);
    }

    #[test]
    fn reasoning_is_text_but_no_answer() {
        let mut timeline = Timeline::default();
        timeline.text(at(100));
        assert_eq!((timeline.ttft_ms(), timeline.ttfa_ms()), (Some(100.0), None));
        timeline.answer(at(900));
        assert_eq!((timeline.ttft_ms(), timeline.ttfa_ms()), (Some(100.0), Some(900.0)));
        assert_eq!(timeline.latency_ms(), Some(900.0));
    }

    #[test]
    fn a_burst_has_no_pace() {
        let mut timeline = Timeline::default();
        for _ in 0..40 {
            timeline.answer(at(700));
        }
        assert_eq!((timeline.ttft_ms(), timeline.latency_ms()), (Some(700.0), Some(700.0)));
        assert_eq!((timeline.tpot_ms(40), timeline.max_gap_ms()), (None, None));
    }

    #[test]
    fn nothing_arrived_is_nothing_known() {
        let timeline = Timeline::default();
        assert!(!timeline.has_text());
        assert_eq!((timeline.ttft_ms(), timeline.latency_ms(), timeline.tpot_ms(9)), (None, None, None));
    }

    #[test]
    fn milliseconds_have_microseconds_and_no_more() {
        assert!((ms(Duration::from_nanos(1_234_567)) - 1.235).abs() < f64::EPSILON);
    }
}
