use std::{collections::VecDeque, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

/// Each time that the clock was set begins a span. Older ones are forgotten: a clock that is set this often is not set right.
const SPANS: usize = 1000;

/// The times that cycles were named after, to the second, so that none is named twice when the clock was set back: the store
/// would take the second for a repeat of the first.
#[derive(Debug)]
pub(super) struct Issued {
    interval_s: i64,
    spans: VecDeque<Span>,
}

/// Times one interval apart, in seconds of the epoch, both ends included.
#[derive(Debug)]
struct Span {
    first: i64,
    last: i64,
}

impl Issued {
    pub(super) fn every(interval: Duration) -> Self {
        Self { interval_s: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX).max(1), spans: VecDeque::new() }
    }

    /// `scheduled`, or the first second after it that no cycle is named after yet.
    pub(super) fn next(&mut self, scheduled: DateTime<Utc>) -> DateTime<Utc> {
        let time = scheduled.timestamp();
        let free = (0..self.interval_s).find(|later| !self.is_issued(time.saturating_add(*later)));
        let newest = || self.spans.iter().map(|span| span.last).max().unwrap_or(time);
        // Where every second is taken, as with an interval of one, it goes on after the newest.
        let later = free.unwrap_or_else(|| newest().saturating_add(1).saturating_sub(time));
        self.note(time.saturating_add(later));
        scheduled + TimeDelta::seconds(later)
    }

    fn is_issued(&self, time: i64) -> bool {
        let interval = self.interval_s;
        self.spans.iter().any(|span| (span.first..=span.last).contains(&time) && (time - span.first) % interval == 0)
    }

    fn note(&mut self, time: i64) {
        match self.spans.back_mut() {
            Some(span) if time > span.last && (time - span.first) % self.interval_s == 0 => span.last = time,
            _ => self.spans.push_back(Span { first: time, last: time }),
        }
        if self.spans.len() > SPANS {
            self.spans.pop_front();
        }
    }
}
