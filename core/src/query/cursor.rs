use std::{fmt, str::FromStr};

use chrono::DateTime;

use crate::history::Position;

/// A place in the history as text, for a client to hand back: opaque to it, and true for as long as the rows are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub Position);

/// The text was not given out by this API.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this API")]
pub struct InvalidCursor;

/// `1764021600.123000000~5f3a9c0d12345678~1~prod~gpt-4o-mini`
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { timestamp, environment, model_name, fingerprint, copies } = &self.0;
        let (seconds, nanoseconds) = (timestamp.timestamp(), timestamp.timestamp_subsec_nanos());
        write!(f, "{seconds}.{nanoseconds:09}~{fingerprint:016x}~{copies}~{environment}~{model_name}")
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(Self).ok_or(InvalidCursor)
    }
}

fn parse(text: &str) -> Option<Position> {
    let mut parts = text.splitn(5, '~');
    let (seconds, nanoseconds) = parts.next()?.split_once('.')?;
    let timestamp = DateTime::from_timestamp(seconds.parse().ok()?, nanoseconds.parse().ok()?)?;
    let fingerprint = u64::from_str_radix(parts.next()?, 16).ok()?;
    let copies = parts.next()?.parse().ok()?;
    let environment = parts.next()?.parse().ok()?;
    let model_name = parts.next()?.to_owned();
    Some(Position { timestamp, environment, model_name, fingerprint, copies })
}
