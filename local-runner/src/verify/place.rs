//! What a file's name says of its rows.

use chrono::{DateTime, DurationRound, NaiveDate, TimeDelta, Utc};
use llm_monitor_core::record::{CycleId, Environment, csv::Row};

/// Which rows belong into a file: by the parts of its path (`environment=prod/date=2026-11-24/hour=16/…`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    environment: Option<Environment>,
    day: Option<NaiveDate>,
    hour: Option<DateTime<Utc>>,
}

impl Place {
    /// `path` with `/` between its parts.
    pub(crate) fn of_path(path: &str) -> Self {
        let mut place = Self::default();
        for part in path.split(['/', '\\']) {
            match part.split_once('=') {
                Some(("environment", name)) => place.environment = name.parse().ok(),
                // A day's file, and those of its late rows: date=2026-11-24.csv, date=2026-11-24.late.csv.
                Some(("date", date)) => place.day = date.get(..10).and_then(|date| date.parse().ok()),
                Some(("hour", hour)) => {
                    let hour = hour.parse().ok().and_then(|hour| place.day?.and_hms_opt(hour, 0, 0));
                    place.hour = hour.map(|hour| hour.and_utc());
                }
                _ => {}
            }
        }
        place
    }

    /// Why `row` does not belong here. The rows of a cycle keep together where it was due.
    pub(crate) fn misplaced(&self, row: &Row<'_>) -> Option<String> {
        if self.environment.as_ref().is_some_and(|environment| *environment != row.environment) {
            return Some(format!("a row of the environment {}", row.environment));
        }
        let due = row.cycle_id.map(CycleId::scheduled);
        let times = [Some(row.timestamp), due];
        let is_wrong_hour = self.hour.is_some_and(|hour| !times.iter().flatten().any(|time| hour_of(*time) == hour));
        let is_wrong_day = self.day.is_some_and(|day| !times.iter().flatten().any(|time| time.date_naive() == day));
        (is_wrong_hour || is_wrong_day).then(|| format!("a row of {}", row.timestamp.format("%Y-%m-%d %H:%M:%S")))
    }
}

fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use llm_monitor_core::record::csv::Rows;

    use super::*;

    fn misplaced(path: &str, time: &str, cycle: &str) -> bool {
        let text = format!("model_name,environment,timestamp,latency_ms,cycle_id\nm,prod,{time},1,{cycle}\n");
        let row = Rows::new(text.as_bytes(), 2).next().expect("a row").expect("reads");
        Place::of_path(path).misplaced(&row).is_some()
    }

    #[test]
    fn a_row_belongs_where_its_time_or_its_cycle_says() {
        let hour = "records/environment=prod/date=2026-11-24/hour=16/monitor-x.csv";
        assert!(!misplaced(hour, "2026-11-24T16:59:59Z", ""));
        assert!(!misplaced(hour, "2026-11-24T17:00:02Z", "20261124T165930Z"));
        assert!(misplaced(hour, "2026-11-24T17:00:02Z", "20261124T170000Z"));
        assert!(misplaced(&hour.replace("prod", "dev"), "2026-11-24T16:59:59Z", ""));
        for day in ["latency_data.d/date=2026-11-24.csv", "latency_data.d/date=2026-11-24.late.csv"] {
            assert!(!misplaced(day, "2026-11-24T16:59:59Z", ""));
            assert!(!misplaced(day, "2026-11-25T00:00:01Z", "20261124T235930Z"));
            assert!(misplaced(day, "2026-11-25T00:00:01Z", ""));
        }
        assert!(!misplaced("latency_data.csv", "2020-01-01T00:00:00Z", ""));
    }
}
