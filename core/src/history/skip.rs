//! Passing over many rows at once: rollups tell how many rows a day has, and how many a segment holds is remembered, so that
//! most need not be looked at.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{
    History, Parsed,
    rollup::start_of,
    scan::{KnownDays, Wanted, Window},
};
use crate::{
    record::Environment,
    store::{Segment, StoreError},
};

/// Segments whose counts are remembered; beyond it, all are forgotten. Five years of hours of one environment.
const REMEMBERED_AT_MOST: usize = 50_000;

/// How many rows of each environment a segment holds.
type Counts = Arc<[(Environment, u64)]>;

/// By a segment's name: its identity and its counts.
type Remembered = HashMap<Arc<str>, (Arc<str>, Counts)>;

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct RowCounts(Mutex<Remembered>);

impl RowCounts {
    fn of(&self, segment: &Segment) -> Option<Counts> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&segment.name)
            .filter(|(identity, _)| *identity == segment.identity)
            .map(|(_, counts)| Arc::clone(counts))
    }

    /// Remembers the counts of `segment`, which holds `parsed`.
    pub(super) fn note(&self, segment: &Segment, parsed: &Parsed) {
        // Goes through all rows: not while others wait for the lock.
        let counts = parsed.count_by_environment(0..parsed.len()).into();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_AT_MOST {
            known.clear();
        }
        known.insert(Arc::clone(&segment.name), (Arc::clone(&segment.identity), counts));
    }
}

/// Where a scan that passes over rows begins.
#[derive(Debug)]
pub(super) struct Skipped {
    /// Every row at or after this is passed over; `None`: none is.
    pub(super) until: Option<DateTime<Utc>>,
    /// Rows passed over.
    pub(super) rows: u64,
}

impl History {
    /// Passes over at most `most` rows of `environments` (`None`: all) in `window`, newest first, in whole days where rollups
    /// tell how many rows these have, and in whole segments. `segments` are those of the window.
    pub(super) async fn skip(
        &self,
        segments: &[Segment],
        window: Window,
        environments: Option<&[Environment]>,
        most: u64,
    ) -> Result<Skipped, StoreError> {
        let mut days = KnownDays::new(window, segments.to_vec());
        let every_row = Wanted { history: self, environments, filter: None };
        // The newest is the last. Segments that still grow have no end yet: they come first.
        let mut rest = segments.to_vec();
        rest.sort_by_key(latest);
        let mut passed = 0;
        let mut start = DateTime::<Utc>::MAX_UTC;
        // What was passed over by segments, newest first, and where passing over may end: after so many of them.
        let mut taken: Vec<Segment> = Vec::new();
        let mut ends: Vec<(usize, u64, DateTime<Utc>)> = Vec::new();
        while let Some(segment) = rest.pop() {
            let Some(earliest) = segment.earliest else {
                taken.push(segment);
                break;
            };
            if let Some((date, rows, names)) = days.take_whole(&segment, every_row).await?
                && passed + rows <= most
            {
                passed += rows;
                start = start.min(start_of(date));
                rest.retain(|other| !names.contains(&other.name));
            } else if Self::is_large(&segment) {
                let parts = self.divided(vec![segment], window).await?;
                rest.extend(parts);
                rest.sort_by_key(latest);
                continue;
            } else {
                passed += self.rows_in(&segment, window, environments).await?;
                taken.push(segment);
                if passed > most {
                    break;
                }
                start = start.min(earliest);
            }
            ends.push((taken.len(), passed, start));
        }
        // Rows of other segments that lie within the time that is passed over belong to it. Where that makes it too many,
        // one segment less is passed over. Days that were passed over as a whole overlap with none.
        while let Some((count, mut rows, until)) = ends.pop() {
            let until = window.from.map_or(until, |from| from.max(until));
            let newer = Window { from: Some(until), to: window.to };
            let others = taken.iter().skip(count).chain(rest.iter().rev());
            let overlapping = others.filter(|segment| segment.latest.is_none_or(|latest| latest >= until)).cloned();
            for part in self.divided(overlapping.collect(), newer).await? {
                rows += self.rows_in(&part, newer, environments).await?;
            }
            if rows <= most {
                return Ok(Skipped { until: Some(until), rows });
            }
        }
        Ok(Skipped { until: None, rows: 0 })
    }

    /// How many rows of `environments` in `window` a segment holds.
    async fn rows_in(
        &self,
        segment: &Segment,
        window: Window,
        environments: Option<&[Environment]>,
    ) -> Result<u64, StoreError> {
        let is_whole = window.from.is_none_or(|from| segment.earliest.is_some_and(|earliest| earliest >= from))
            && window.to.is_none_or(|to| segment.latest.is_some_and(|latest| latest < to));
        let known = if is_whole { self.counts.of(segment) } else { None };
        let counts = if let Some(counts) = known {
            counts
        } else {
            let parsed = self.load(segment).await?;
            parsed.count_by_environment(parsed.between(window.from, window.to)).into()
        };
        let is_asked_for = |environment: &Environment| environments.is_none_or(|asked| asked.contains(environment));
        Ok(counts.iter().filter(|(environment, _)| is_asked_for(environment)).map(|(_, count)| count).sum())
    }
}

/// An unknown end may be any: it counts as the latest of all.
fn latest(segment: &Segment) -> DateTime<Utc> {
    segment.latest.unwrap_or(DateTime::<Utc>::MAX_UTC)
}
