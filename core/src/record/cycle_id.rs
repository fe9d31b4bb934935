use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, Utc};

const FORMAT: &str = "%Y%m%dT%H%M%SZ";

/// A cycle's identity: its scheduled time to the second, written `20261124T165400Z`. Orders as time does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CycleId(i64);

/// The text is not of the form `20261124T165400Z`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cycle id is a UTC time like 20261124T165400Z")]
pub struct InvalidCycleId;

impl CycleId {
    /// The id of the cycle that was due at `scheduled`.
    pub fn at(scheduled: DateTime<Utc>) -> Self {
        Self(scheduled.timestamp())
    }

    /// When the cycle was due.
    pub fn scheduled(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0, 0).unwrap_or_default()
    }
}

impl FromStr for CycleId {
    type Err = InvalidCycleId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = NaiveDateTime::parse_from_str(text, FORMAT).map_err(|_| InvalidCycleId)?;
        Ok(Self::at(time.and_utc()))
    }
}

impl fmt::Display for CycleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.scheduled().format(FORMAT).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_what_it_writes() {
        let id: CycleId = "20261124T165400Z".parse().expect("a valid id");
        assert_eq!(id.to_string(), "20261124T165400Z");
        assert_eq!(id.scheduled().to_rfc3339(), "2026-11-24T16:54:00+00:00");
        assert_eq!("2026-11-24".parse::<CycleId>(), Err(InvalidCycleId));
    }
}
