//! Incidents: stretches of time in which a provider fails or is slow, for all environments at once.

use chrono::{DateTime, TimeDelta, Utc};
use llm_monitor_core::record::{ErrorKind, Failure};

use super::draw::Draw;

const MEAN_MINUTES_BETWEEN: f64 = 2.5 * 24.0 * 60.0;
const MEDIAN_MINUTES: f64 = 25.0;

/// The incidents of one provider, in time's order.
#[derive(Debug)]
pub(super) struct Incidents {
    draw: Draw,
    current: Incident,
}

/// One incident, running or to come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incident {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    kind: ErrorKind,
    pub(super) failing_share: f64,
    /// By how much what succeeds takes longer.
    pub(super) slowness: f64,
}

impl Incidents {
    pub(super) fn new(seed: u64, provider: &str, from: DateTime<Utc>) -> Self {
        let mut draw = Draw::new(seed, &format!("incidents of {provider}"));
        let current = next(&mut draw, from);
        Self { draw, current }
    }

    /// The incident that runs at `now`, which is not before that of the last call.
    pub(super) fn at(&mut self, now: DateTime<Utc>) -> Option<Incident> {
        while self.current.end <= now {
            self.current = next(&mut self.draw, self.current.end);
        }
        (self.current.start <= now).then_some(self.current)
    }
}

fn next(draw: &mut Draw, after: DateTime<Utc>) -> Incident {
    use ErrorKind::{Connect, IncompleteStream, Overloaded, RateLimited, ServerError, Timeout};
    let minutes = |minutes: f64| TimeDelta::milliseconds((minutes * 60_000.0) as i64);
    let start = after + minutes(draw.wait(MEAN_MINUTES_BETWEEN));
    let end = start + minutes(draw.log_normal(MEDIAN_MINUTES, 0.8));
    let kinds = [Overloaded, Overloaded, RateLimited, ServerError, Timeout, Connect, IncompleteStream];
    Incident {
        start,
        end,
        kind: draw.one_of(&kinds).unwrap_or(Overloaded),
        failing_share: draw.between(0.3, 0.95),
        slowness: draw.between(1.3, 4.0),
    }
}

impl Incident {
    pub(super) fn failure(&self) -> (Failure, Option<u16>) {
        failure(self.kind)
    }
}

/// A failure that no incident explains.
pub(super) fn stray(draw: &mut Draw) -> (Failure, Option<u16>) {
    use ErrorKind::{Dns, EmptyResponse, MalformedResponse, RateLimited, ServerError, Timeout, Tls};
    let kinds = [Timeout, ServerError, RateLimited, RateLimited, Dns, Tls, EmptyResponse, MalformedResponse];
    failure(draw.one_of(&kinds).unwrap_or(Timeout))
}

fn failure(kind: ErrorKind) -> (Failure, Option<u16>) {
    let (message, status) = match kind {
        ErrorKind::Timeout => ("no answer within 30 s", None),
        ErrorKind::Dns => ("the host's name could not be resolved", None),
        ErrorKind::Connect => ("connection refused", None),
        ErrorKind::Tls => ("the TLS handshake failed: connection reset by peer", None),
        ErrorKind::RateLimited => {
            ("429: Rate limit reached for requests per min (RPM): Limit 500, Used 500", Some(429))
        }
        ErrorKind::Overloaded => ("529: Overloaded", Some(529)),
        ErrorKind::EmptyResponse => ("the answer holds no text", Some(200)),
        ErrorKind::IncompleteStream => ("the stream ended before the provider said that it was complete", Some(200)),
        ErrorKind::MalformedResponse => ("expected an event stream, got \"<html>\"", Some(200)),
        _ => ("500: The server had an error while processing your request, \"sorry about that!\"", Some(500)),
    };
    (Failure::new(kind, message), status)
}
