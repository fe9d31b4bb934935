//! Which segments may hold rows of which day.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Timelike, Utc};
use llm_monitor_core::{fnv, store::Segment};

/// Days of a sparse file are gone through one by one: a row of year 1 must not make millions of them.
const DAYS_AT_MOST: usize = 36_600;

/// A store's segments by the days (UTC) of the rows that may be in them.
pub(super) fn by_day(segments: &[Segment], now: DateTime<Utc>) -> BTreeMap<NaiveDate, Vec<Segment>> {
    let mut days: BTreeMap<NaiveDate, Vec<Segment>> = BTreeMap::new();
    for segment in segments {
        let (first, last) = span(segment, now);
        for day in first.iter_days().take_while(|day| *day <= last).take(DAYS_AT_MOST) {
            days.entry(day).or_default().push(segment.clone());
        }
    }
    days
}

fn span(segment: &Segment, now: DateTime<Utc>) -> (NaiveDate, NaiveDate) {
    let first = segment.earliest.unwrap_or(DateTime::UNIX_EPOCH);
    if segment.name.contains("/hour=") {
        // The rows of a cycle that ran on past the hour keep together; also of an object that may still grow.
        let after = first + chrono::TimeDelta::hours(i64::from(first.hour() == 23));
        return (first.date_naive(), after.date_naive());
    }
    let tomorrow = now.date_naive().checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
    let last = segment.latest.map_or(tomorrow.max(first.date_naive()), |latest| latest.date_naive());
    (first.date_naive(), last)
}

/// Tells whether any segment of a day changed.
pub(super) fn identity(segments: &[Segment]) -> String {
    let text: Vec<_> = segments.iter().map(|segment| format!("{} {}\n", segment.name, segment.identity)).collect();
    format!("{}-{:016x}", segments.len(), fnv::hash(text.concat().as_bytes()))
}

/// That of each day's segments.
pub(super) fn identities_by_day(segments: &[Segment]) -> BTreeMap<NaiveDate, String> {
    by_day(segments, Utc::now()).into_iter().map(|(day, segments)| (day, identity(&segments))).collect()
}
