//! Rollups: each environment's day by hours, made of its records once they can no longer change, kept beside them, and made
//! anew when they are missing, stale or unreadable. A cache, never the truth.

mod bins;
mod build;
mod cell;
mod day;
mod text;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};

pub use bins::{PackedBins, RELATIVE_ERROR, bin_of, value_of};
pub use cell::{Counts, Last, Phases, Values};
pub use day::{Cell, Grain, KeptValues, SeriesName};
pub(super) use day::{Day, DayCounts, DayValues};
pub use text::is_intact_rollup;

use self::build::Builder;
use super::{History, cache::Kept, scan::Window};
use crate::{
    fnv,
    record::{Environment, Metric},
    store::{KeptRollup, Scope, Segment, StoreError},
};

/// A day is rolled up this long after its end, when the last of its rows have come.
const GRACE: TimeDelta = TimeDelta::minutes(15);

/// A finished day and the segments that hold it.
#[derive(Debug, Clone)]
pub(super) struct FinishedDay {
    pub(super) date: NaiveDate,
    segments: Vec<Segment>,
}

/// When `date` begins.
pub(super) fn start_of(date: NaiveDate) -> DateTime<Utc> {
    date.and_time(NaiveTime::MIN).and_utc()
}

impl FinishedDay {
    /// The day `date` as `segments` hold it; `None` while its rows may still change.
    pub(super) fn of(date: NaiveDate, segments: &[Segment], now: DateTime<Utc>) -> Option<Self> {
        let start = start_of(date);
        let end = start_of(date.checked_add_days(Days::new(1))?);
        if end + GRACE > now {
            return None;
        }
        let is_within = |segment: &&Segment| {
            segment.earliest.is_none_or(|earliest| earliest < end)
                && segment.latest.is_none_or(|latest| latest >= start)
        };
        let segments: Vec<Segment> = segments.iter().filter(is_within).cloned().collect();
        // One that may grow (rows of the past, posted) has another identity then; only one without an end could be of any day.
        let is_finished = segments.iter().all(|segment| segment.latest.is_some());
        is_finished.then_some(Self { date, segments })
    }

    /// Those that hold rows of `environment`, or may.
    fn segments_of<'s>(&'s self, environment: &'s Environment) -> impl Iterator<Item = &'s Segment> {
        self.segments.iter().filter(move |segment| segment.environment.as_ref().is_none_or(|only| only == environment))
    }

    /// Tells which content of which segments: the same as long as no row can have changed.
    fn sources(&self, environment: &Environment) -> String {
        let mut names: Vec<String> =
            self.segments_of(environment).map(|segment| format!("{}\0{}\n", segment.name, segment.identity)).collect();
        names.sort_unstable();
        format!("{:032x}", fnv::hash_128(names.concat().as_bytes()))
    }

    /// Segments that hold rows of several environments, or may.
    fn is_mixed(&self) -> bool {
        self.segments.iter().any(|segment| segment.environment.is_none())
    }

    /// Whether `hours`, from (inclusive) to (exclusive), are all of it.
    pub(super) fn is_whole(&self, (from, to): (i64, i64)) -> bool {
        let start = start_of(self.date).timestamp();
        from <= start && to >= start + TimeDelta::days(1).num_seconds()
    }

    fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The environments that the segments name.
    fn named(&self) -> Vec<Environment> {
        let mut names: Vec<_> = self.segments.iter().filter_map(|segment| segment.environment.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl History {
    /// Makes the rollups that are missing or stale for the finished days since `since` (`None`: all), newest first, and says
    /// for how many days it made any. Takes long where there are many: each day's rows are read once.
    pub async fn roll_up(&self, since: Option<NaiveDate>) -> Result<usize, StoreError> {
        let now = Utc::now();
        let segments = self.segments(&Scope { environments: None, from: since.map(start_of), to: Some(now) }).await?;
        let earliest =
            segments.iter().filter_map(|segment| segment.earliest).min().map(|earliest| earliest.date_naive());
        let Some(first) = earliest.max(since) else { return Ok(0) };
        let mut made = 0;
        let mut date = now.date_naive().pred_opt();
        while let Some(today) = date.filter(|date| *date >= first) {
            date = today.pred_opt();
            let Some(day) = FinishedDay::of(today, &segments, now).filter(|day| !day.is_empty()) else { continue };
            if !self.is_rolled(&day).await? {
                match self.days(&day, None, &[], Grain::Day).await {
                    Ok(_) => made += 1,
                    // It is not as it was listed: another time.
                    Err(StoreError::Changed { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(made)
    }

    /// Whether the store keeps all rollups of the day.
    async fn is_rolled(&self, day: &FinishedDay) -> Result<bool, StoreError> {
        let candidates = if day.is_mixed() { self.rolled_environments().await? } else { day.named() };
        let mut everyone = if day.is_mixed() { None } else { Some(candidates.clone()) };
        let mut rolled = Vec::new();
        for environment in candidates {
            let kept = self.store.load_rollup(&environment, day.date).await?;
            let about = kept.and_then(|kept| text::read_about(&kept.csv));
            if let Some((_, all)) = about.filter(|(sources, _)| *sources == day.sources(&environment)) {
                everyone.get_or_insert(all);
                rolled.push(environment);
            }
        }
        Ok(everyone.is_some_and(|everyone| everyone.iter().all(|environment| rolled.contains(environment))))
    }

    /// A finished day of `environments` (`None`: all), with `metrics`, by `grain`, from rollups; made and kept where they are
    /// missing.
    pub(super) async fn days(
        &self,
        day: &FinishedDay,
        environments: Option<&[Environment]>,
        metrics: &[Metric],
        grain: Grain,
    ) -> Result<Vec<Day>, StoreError> {
        if day.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(found) = self.found(day, environments, metrics, grain).await? {
            return Ok(found);
        }
        // One at a time: two would only make the same, and take twice the memory.
        let _turn = self.rolling.acquire().await.ok();
        if let Some(found) = self.found(day, environments, metrics, grain).await? {
            return Ok(found);
        }
        let mut made = Vec::new();
        for (environment, csv) in self.make(day, environments).await? {
            self.rolled().insert(environment.clone());
            let (_, read) = text::read(&csv, &environment, metrics).ok_or_else(|| StoreError::Unavailable {
                location: format!("rollup of {environment} on {}", day.date),
                problem: "was made and cannot be read back".to_owned(),
            })?;
            if environments.is_none_or(|wanted| wanted.contains(&environment)) {
                let day_in_memory = read.into_day(grain, start_of(day.date).timestamp());
                self.keep(&environment, day, &day_in_memory, grain);
                made.push(day_in_memory);
            }
            self.save(&environment, day.date, csv).await;
        }
        Ok(made)
    }

    /// What is held in memory or kept in the store, if that is all there is to have.
    pub(super) async fn found(
        &self,
        day: &FinishedDay,
        environments: Option<&[Environment]>,
        metrics: &[Metric],
        grain: Grain,
    ) -> Result<Option<Vec<Day>>, StoreError> {
        let is_asked_for = |environment: &Environment| environments.is_none_or(|asked| asked.contains(environment));
        let candidates = if day.is_mixed() { self.rolled_environments().await? } else { day.named() };
        let mut found: Vec<Day> = Vec::new();
        for environment in candidates.iter().filter(|environment| is_asked_for(environment)) {
            found.extend(self.find(day, environment, metrics, grain).await?);
        }
        let everyone = if !day.is_mixed() {
            candidates
        } else if let Some(any) = found.first() {
            any.counts.everyone.clone()
        } else {
            // Rows of all environments lie together, so that any rollup of the day knows who has one.
            let mut everyone = None;
            for environment in &candidates {
                everyone = self.find(day, environment, &[], grain).await?.map(|any| any.counts.everyone.clone());
                if everyone.is_some() {
                    break;
                }
            }
            let Some(everyone) = everyone else { return Ok(None) };
            everyone
        };
        let is_found = |environment: &Environment| found.iter().any(|day| day.counts.environment == *environment);
        let is_complete = everyone.iter().filter(|environment| is_asked_for(environment)).all(is_found);
        Ok(is_complete.then_some(found))
    }

    /// One environment's rollup of the day, if there is one that holds.
    async fn find(
        &self,
        day: &FinishedDay,
        environment: &Environment,
        metrics: &[Metric],
        grain: Grain,
    ) -> Result<Option<Day>, StoreError> {
        let sources = day.sources(environment);
        if let Some(held) = self.held(environment, day.date, &sources, metrics, grain) {
            return Ok(Some(held));
        }
        let kept = match self.store.load_rollup(environment, day.date).await {
            Ok(kept) => kept,
            // It is a cache: records tell the same. Where the store is gone, reading those says so.
            Err(error) => {
                let date = day.date;
                tracing::debug!(%environment, %date, %error, "the rollup of {environment} on {date} cannot be read: {error}");
                None
            }
        };
        let read = kept.and_then(|kept| text::read(&kept.csv, environment, metrics));
        let found = read.filter(|(its_sources, _)| *its_sources == sources);
        let found = found.map(|(_, read)| read.into_day(grain, start_of(day.date).timestamp()));
        if let Some(found) = &found {
            self.keep(environment, day, found, grain);
        }
        Ok(found)
    }

    /// The environments that have rollups, as far as known.
    async fn rolled_environments(&self) -> Result<Vec<Environment>, StoreError> {
        let mut known = self.store.rollup_environments().await?;
        known.extend(self.rolled().iter().cloned());
        known.sort_unstable();
        known.dedup();
        Ok(known)
    }

    /// Reads the day's rows and adds them up. Of mixed segments, every environment's rollup is made in one go.
    async fn make(
        &self,
        day: &FinishedDay,
        environments: Option<&[Environment]>,
    ) -> Result<Vec<(Environment, Bytes)>, StoreError> {
        let (start, end) = (start_of(day.date), start_of(day.date) + TimeDelta::days(1));
        let mut builder = Builder::default();
        let is_wanted = |segment: &&Segment| {
            let only = segment.environment.as_ref();
            only.zip(environments).is_none_or(|(only, wanted)| wanted.contains(only))
        };
        let window = Window { from: Some(start), to: Some(end) };
        for segment in day.segments.iter().filter(is_wanted) {
            for part in self.divided(vec![segment.clone()], window).await? {
                let parsed = self.load_once(&part).await?;
                for row in parsed.between(Some(start), Some(end)).filter_map(|index| parsed.row(index)) {
                    builder.add(&row);
                }
                tokio::task::yield_now().await;
            }
        }
        // Also those whose segments hold no readable row: that is known then.
        for environment in day.named().into_iter().filter(|name| environments.is_none_or(|asked| asked.contains(name)))
        {
            builder.hours.entry(environment).or_default();
        }
        let everyone: Vec<Environment> = builder.hours.keys().cloned().collect();
        let mut made = Vec::new();
        for (environment, hours) in &builder.hours {
            let csv = text::write(&day.sources(environment), &everyone, hours.iter()).map_err(|error| {
                StoreError::Unavailable {
                    location: format!("rollup of {environment} on {}", day.date),
                    problem: format!("could not be written: {error}"),
                }
            })?;
            made.push((environment.clone(), Bytes::from(csv)));
        }
        Ok(made)
    }

    /// Keeps a rollup in the store. A failure costs time alone: the next reader makes it again.
    async fn save(&self, environment: &Environment, date: NaiveDate, csv: Bytes) {
        let replaces = self.store.load_rollup(environment, date).await.ok().flatten();
        let replaces = replaces.as_ref().map(|KeptRollup { version, .. }| &**version);
        if let Err(error) = self.store.save_rollup(environment, date, csv, replaces).await {
            tracing::debug!(%environment, %date, %error, "the rollup of {environment} on {date} could not be kept: {error}");
        }
    }

    fn held(
        &self,
        environment: &Environment,
        date: NaiveDate,
        sources: &str,
        metrics: &[Metric],
        grain: Grain,
    ) -> Option<Day> {
        let held = |metric| self.cache.held(&key(environment, date, metric, grain), sources);
        let Some(Kept::Counts(counts)) = held(None) else { return None };
        let values = metrics.iter().map(|metric| match held(Some(*metric)) {
            Some(Kept::Values(values)) => Some(values),
            _ => None,
        });
        Some(Day { counts, values: values.collect::<Option<_>>()? })
    }

    fn keep(&self, environment: &Environment, day: &FinishedDay, held: &Day, grain: Grain) {
        let sources: Arc<str> = Arc::from(day.sources(environment));
        let counts = Kept::Counts(Arc::clone(&held.counts));
        self.cache.hold(&key(environment, day.date, None, grain), &sources, counts);
        for values in &held.values {
            let name = key(environment, day.date, Some(values.metric), grain);
            self.cache.hold(&name, &sources, Kept::Values(Arc::clone(values)));
        }
    }
}

/// The name under which a part of a rollup is held; no segment's.
fn key(environment: &Environment, date: NaiveDate, metric: Option<Metric>, grain: Grain) -> Arc<str> {
    Arc::from(format!("rollup/{environment}/{date}/{grain:?}/{}", metric.map_or("counts", Metric::as_str)))
}
