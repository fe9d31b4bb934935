//! Where what is stored lies in the bucket: keys, and what a key says of its rows.

use chrono::{DateTime, DurationRound as _, NaiveDate, TimeDelta, Utc};

use crate::record::{CycleId, Environment, Record};

/// A cycle's rows may be this much later than the end of the hour in which the cycle was due, and still lie in that hour.
const CYCLE_SPREAD: TimeDelta = TimeDelta::hours(1);
/// Writers leave an hour's shared object alone from this long after the hour's end: what is later gets an object of its own.
const WRITERS_GRACE: TimeDelta = TimeDelta::minutes(15);
/// Readers take an hour for closed from this long after its end. Longer than the writers' grace, for slow writes and for
/// clocks that differ.
const READERS_GRACE: TimeDelta = TimeDelta::minutes(30);

const CYCLES: &str = "monitor-";
const OTHERS: &str = "post-";

/// The keys of one bucket under one prefix, as one writer names them.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// Empty, or ending in a slash.
    prefix: String,
    /// Tells this writer's objects from others' (a location, a shard).
    writer: String,
}

/// One environment's hour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hour {
    pub(super) environment: Environment,
    /// When it begins.
    pub(super) start: DateTime<Utc>,
}

impl Hour {
    /// The hour in which `record` is kept. A cycle's rows keep together in the hour in which it was due, so that one object
    /// tells whether the cycle is there; all other rows lie in the hour of their time.
    pub(super) fn of(record: &Record, cycle_id: Option<CycleId>) -> Self {
        let by_time = hour_of(record.timestamp);
        let start = cycle_id.map(|id| hour_of(id.scheduled())).filter(|due| {
            let last = *due + TimeDelta::hours(1) + CYCLE_SPREAD;
            (*due..last).contains(&record.timestamp)
        });
        Self { environment: record.environment.clone(), start: start.unwrap_or(by_time) }
    }

    fn end(&self) -> DateTime<Utc> {
        self.start + TimeDelta::hours(1)
    }

    /// Whether writers leave the shared objects of this hour alone by now.
    pub(super) fn is_closed_to_writers(&self, now: DateTime<Utc>) -> bool {
        now >= self.end() + WRITERS_GRACE
    }
}

fn hour_of(time: DateTime<Utc>) -> DateTime<Utc> {
    // Fails for years that no record can have.
    time.duration_trunc(TimeDelta::hours(1)).unwrap_or(time)
}

impl Keys {
    pub(super) fn new(prefix: &str, writer: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { prefix, writer: writer.to_owned() }
    }

    /// `key` without the prefix.
    pub(super) fn below_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        key.strip_prefix(&self.prefix)
    }

    /// The key that [`below_prefix`](Self::below_prefix) made `name` of.
    pub(super) fn in_prefix(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn hour(&self, hour: &Hour) -> String {
        format!("{}{}", self.environment(&hour.environment), hour_folder(hour.start))
    }

    /// The object that takes the rows of all of this writer's cycles of an hour.
    pub(super) fn cycles(&self, hour: &Hour) -> String {
        format!("{}{CYCLES}{}.csv", self.hour(hour), self.writer)
    }

    /// The object of one cycle alone.
    pub(super) fn cycle(&self, hour: &Hour, cycle_id: CycleId) -> String {
        format!("{}{CYCLES}{}.{cycle_id}.csv", self.hour(hour), self.writer)
    }

    /// The object that takes an hour's rows that are of no cycle.
    pub(super) fn others(&self, hour: &Hour) -> String {
        format!("{}{OTHERS}{}.csv", self.hour(hour), self.writer)
    }

    /// An object of its own for rows that are of no cycle.
    pub(super) fn other(&self, hour: &Hour, written: DateTime<Utc>, nonce: u64) -> String {
        let written = CycleId::at(written);
        format!("{}{OTHERS}{}.{written}-{nonce:016x}.csv", self.hour(hour), self.writer)
    }

    /// Below this lie all records.
    pub(super) fn records(&self) -> String {
        format!("{}records/", self.prefix)
    }

    /// Below this lie an environment's records.
    pub(super) fn environment(&self, environment: &Environment) -> String {
        format!("{}environment={environment}/", self.records())
    }

    /// Below this lies what an environment's usage endpoint said.
    pub(super) fn usage_of(&self, environment: &Environment) -> String {
        format!("{}usage/environment={environment}/", self.prefix)
    }

    pub(super) fn usage(&self, environment: &Environment, day: NaiveDate) -> String {
        format!("{}date={day}.csv", self.usage_of(environment))
    }

    /// A day's figures, made of its records.
    pub(super) fn rollup(&self, environment: &Environment, day: NaiveDate) -> String {
        format!("{}rollups/environment={environment}/date={day}.csv", self.prefix)
    }

    pub(super) fn catalog(&self, environment: &Environment) -> String {
        format!("{}catalog/environment={environment}.json", self.prefix)
    }

    /// A key that nobody else uses, outside of everything that is read.
    pub(super) fn scratch(&self, nonce: u64) -> String {
        format!("{}scratch/{}-{nonce:016x}", self.prefix, self.writer)
    }

    /// The environment whose folder `folder` is, as a listing names it.
    pub(super) fn environment_of(&self, folder: &str) -> Option<Environment> {
        let name = folder.strip_prefix(&self.records())?.strip_prefix("environment=")?.strip_suffix('/')?;
        environment_named(name)
    }

    /// What `key` says of its rows; `None` where it is not the key of records.
    pub(super) fn parse(&self, key: &str) -> Option<RecordsKey> {
        let mut parts = key.strip_prefix(&self.records())?.split('/');
        let environment = environment_named(parts.next()?.strip_prefix("environment=")?)?;
        let date: NaiveDate = parts.next()?.strip_prefix("date=")?.parse().ok()?;
        let hour: u32 = parts.next()?.strip_prefix("hour=")?.parse().ok()?;
        let file = parts.next().filter(|file| has_csv_name(file))?;
        if parts.next().is_some() {
            return None;
        }
        let start = date.and_hms_opt(hour, 0, 0)?.and_utc();
        Some(RecordsKey { hour: Hour { environment, start }, may_grow_later: file.starts_with(OTHERS) })
    }
}

/// Keys are exact: another spelling of a name is another folder.
fn environment_named(name: &str) -> Option<Environment> {
    name.parse().ok().filter(|environment: &Environment| environment.as_str() == name)
}

fn has_csv_name(file: &str) -> bool {
    file.len() > 4 && std::path::Path::new(file).extension().is_some_and(|extension| extension == "csv")
}

/// What a key says of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordsKey {
    pub(super) hour: Hour,
    /// Takes rows of past hours too.
    may_grow_later: bool,
}

impl RecordsKey {
    /// No row is newer.
    pub(super) fn latest(&self) -> DateTime<Utc> {
        self.hour.end() + CYCLE_SPREAD - TimeDelta::milliseconds(1)
    }

    /// Whether rows may still come.
    pub(super) fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.may_grow_later || now < self.hour.end() + READERS_GRACE
    }
}

/// The part of a listing of one environment that can hold the rows from `from` to `to`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    /// All keys of the range begin so.
    pub(super) prefix: String,
    /// All keys of the range are greater.
    pub(super) start_after: Option<String>,
    /// All keys of the range are smaller.
    pub(super) end: Option<String>,
}

impl KeyRange {
    pub(super) fn new(keys: &Keys, environment: &Environment, times: Times) -> Self {
        let folder = keys.environment(environment);
        let first = times.from.map(|from| hour_of(from - CYCLE_SPREAD));
        // `to` itself is outside: on the hour, that hour is not needed.
        let last = times.to.map(|to| hour_of(to - TimeDelta::milliseconds(1)));
        let in_folder = |hour: DateTime<Utc>| format!("{folder}{}", hour_folder(hour));
        let (start_after, last) = (first.map(in_folder), last.map(in_folder));
        let prefix = match (&start_after, &last) {
            (Some(first), Some(last)) => common_start(first, last).to_owned(),
            _ => folder,
        };
        // The slash after the hour is followed by nothing greater than this.
        let end = last.map(|last| last + "\u{10ffff}");
        Self { prefix, start_after, end }
    }
}

/// Bounds of time; `None` is no bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Inclusive.
    pub(super) from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub(super) to: Option<DateTime<Utc>>,
}

fn hour_folder(start: DateTime<Utc>) -> String {
    start.format("date=%Y-%m-%d/hour=%H/").to_string()
}

fn common_start<'a>(a: &'a str, b: &str) -> &'a str {
    let len = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    // Both are ASCII: any cut is one between characters.
    a.get(..len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new("/team/a/", "eu-west-1")
    }

    fn prod() -> Environment {
        "prod".parse().expect("a name")
    }

    fn at(time: &str) -> DateTime<Utc> {
        time.parse().expect("a time")
    }

    fn record(time: &str) -> Record {
        Record::new("m", prod(), at(time))
    }

    #[test]
    fn keys_are_the_documented_ones() {
        let id: CycleId = "20261124T165400Z".parse().expect("an id");
        let hour = Hour::of(&record("2026-11-24T16:54:01Z"), Some(id));
        let folder = "team/a/records/environment=prod/date=2026-11-24/hour=16/";
        assert_eq!(keys().cycles(&hour), format!("{folder}monitor-eu-west-1.csv"));
        assert_eq!(keys().cycle(&hour, id), format!("{folder}monitor-eu-west-1.20261124T165400Z.csv"));
        assert_eq!(keys().others(&hour), format!("{folder}post-eu-west-1.csv"));
        assert_eq!(keys().usage(&prod(), hour.start.date_naive()), "team/a/usage/environment=prod/date=2026-11-24.csv");
        assert_eq!(keys().catalog(&prod()), "team/a/catalog/environment=prod.json");
        assert_eq!(Keys::new("", "x").catalog(&prod()), "catalog/environment=prod.json");
    }

    #[test]
    fn a_cycle_keeps_together_across_the_turn_of_an_hour_and_other_rows_go_by_their_time() {
        let id: CycleId = "20261124T235930Z".parse().expect("an id");
        let late = record("2026-11-25T00:00:12Z");
        assert_eq!(Hour::of(&late, Some(id)).start, at("2026-11-24T23:00:00Z"));
        assert_eq!(Hour::of(&late, None).start, at("2026-11-25T00:00:00Z"));
        // A row that is nowhere near its cycle stays where a reader looks for it.
        let strange = record("2026-11-20T05:10:00Z");
        assert_eq!(Hour::of(&strange, Some(id)).start, at("2026-11-20T05:00:00Z"));
    }

    #[test]
    fn a_key_says_hour_and_openness_and_foreign_keys_are_none() {
        let key = "team/a/records/environment=prod/date=2026-11-24/hour=16/monitor-x.csv";
        let parsed = keys().parse(key).expect("a records key");
        assert_eq!(parsed.hour, Hour { environment: prod(), start: at("2026-11-24T16:00:00Z") });
        assert!(parsed.is_open(at("2026-11-24T17:29:59Z")));
        assert!(!parsed.is_open(at("2026-11-24T17:30:00Z")));
        assert!(parsed.latest() < at("2026-11-24T18:00:00Z"));
        let posted = keys().parse(&key.replace("monitor", "post")).expect("a records key");
        assert!(posted.is_open(at("2027-01-01T00:00:00Z")), "a POST may name any past time");
        for foreign in [
            "records/environment=prod/date=2026-11-24/hour=16/monitor-x.csv",
            "team/a/records/environment=prod/date=2026-11-24/hour=16/",
            "team/a/records/environment=prod/date=2026-11-24/hour=16/.csv",
            "team/a/records/environment=prod/date=2026-11-24/hour=16/a/b.csv",
            "team/a/records/environment=prod/date=2026-11-24/hour=24/a.csv",
            "team/a/records/environment=PROD/date=2026-11-24/hour=16/a.csv",
            "team/a/records/environment=prod/date=2026-11-24/a.csv",
        ] {
            assert_eq!(keys().parse(foreign), None, "{foreign}");
        }
        assert_eq!(keys().environment_of("team/a/records/environment=prod/"), Some(prod()));
        assert_eq!(keys().environment_of("team/a/records/other/"), None);
    }

    #[test]
    fn a_listing_is_bounded_by_the_scope() {
        let range = |from: Option<&str>, to: Option<&str>| {
            KeyRange::new(&keys(), &prod(), Times { from: from.map(at), to: to.map(at) })
        };
        let folder = "team/a/records/environment=prod/";
        // The rows from 16:00 on can be in the hour before: its last cycle may have run on.
        let hour = range(Some("2026-11-24T16:00:00Z"), Some("2026-11-24T17:00:00Z"));
        assert_eq!(hour.prefix, format!("{folder}date=2026-11-24/hour=1"));
        assert_eq!(hour.start_after, Some(format!("{folder}date=2026-11-24/hour=15/")));
        let end = hour.end.expect("a bound");
        let of_hour = |hour: &str| format!("{folder}date=2026-11-24/hour={hour}/monitor-x.csv");
        assert!(of_hour("15") > hour.start_after.unwrap_or_default() && of_hour("16") < end && of_hour("17") > end);
        assert_eq!(range(None, None), KeyRange { prefix: folder.to_owned(), start_after: None, end: None });
        let over_a_year = range(Some("2025-12-31T12:00:00Z"), Some("2026-01-02T00:00:00Z"));
        assert_eq!(over_a_year.prefix, format!("{folder}date=202"));
    }
}
