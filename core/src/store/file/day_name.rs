//! `date=2026-11-24.csv`: the rows of a finished day; `date=2026-11-24.late.csv`: those that came after it was closed.

use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::aside::with_suffix;

/// The name of a day's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DayName {
    pub(super) day: NaiveDate,
    pub(super) is_late: bool,
}

impl DayName {
    /// The rows that were there when the day was closed.
    pub(super) fn closed(day: NaiveDate) -> Self {
        Self { day, is_late: false }
    }

    /// The rows that came later.
    pub(super) fn late(day: NaiveDate) -> Self {
        Self { day, is_late: true }
    }

    /// The day's file of that name; `None` for a foreign name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let stem = name.strip_prefix("date=")?.strip_suffix(".csv")?;
        let (day, is_late) = stem.strip_suffix(".late").map_or((stem, false), |day| (day, true));
        let parsed = Self { day: day.parse().ok()?, is_late };
        // Only as we write it: two names for one day would be one too many.
        (parsed.to_string() == name).then_some(parsed)
    }

    pub(super) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.to_string())
    }

    /// Where the file is written before it takes its name.
    pub(super) fn new_path(self, folder: &Path) -> PathBuf {
        with_suffix(&self.path(folder), NEW_SUFFIX)
    }

    /// The day's first instant.
    pub(super) fn earliest(self) -> DateTime<Utc> {
        start_of(self.day)
    }

    /// The day's last instant.
    pub(super) fn latest(self) -> DateTime<Utc> {
        let last = NaiveTime::from_hms_nano_opt(23, 59, 59, 999_999_999).unwrap_or_default();
        self.day.and_time(last).and_utc()
    }
}

/// The end of the name of a file that is being written.
pub(super) const NEW_SUFFIX: &str = ".new";

/// The first instant of `day`.
pub(super) fn start_of(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// How long after midnight a day is finished: its last cycle, and the late probes of that, are in.
const GRACE: TimeDelta = TimeDelta::minutes(10);

/// The first day that is not finished at `now`.
pub(super) fn first_unfinished(now: DateTime<Utc>) -> NaiveDate {
    (now - GRACE).date_naive()
}

impl std::fmt::Display for DayName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "date={}{}.csv", self.day, if self.is_late { ".late" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_exactly_as_they_are_written() {
        for name in ["date=2026-11-24.csv", "date=2026-11-24.late.csv"] {
            assert_eq!(DayName::parse(name).map(|name| name.to_string()).as_deref(), Some(name));
        }
        let foreign = ["date=2026-11-24.csv.gz", "date=2026-11-24 (1).csv", "date=2026-1-2.csv", "date=2026-13-01.csv"];
        for name in foreign.into_iter().chain(["notes.csv", "date=2026-11-24.csv.new", "date=2026-11-24.LATE.csv"]) {
            assert_eq!(DayName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_day_is_finished_ten_minutes_after_midnight() {
        let day = |text: &str| first_unfinished(text.parse().expect("a time")).to_string();
        assert_eq!(day("2026-11-25T00:09:59Z"), "2026-11-24");
        assert_eq!(day("2026-11-25T00:10:00Z"), "2026-11-25");
    }
}
