//! Passing over many rows at once: how many rows a segment holds is remembered, so that most need not be looked at.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{History, Parsed, scan::Window};
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
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_AT_MOST {
            known.clear();
        }
        let counts = parsed.count_by_environment(0..parsed.len()).into();
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
    /// Passes over at most `most` rows of `environments` (`None`: all) in `window`, newest first, in whole segments.
    /// `segments` are those of the window, divided.
    pub(super) async fn skip(
        &self,
        segments: &[Segment],
        window: Window,
        environments: Option<&[Environment]>,
        most: u64,
    ) -> Result<Skipped, StoreError> {
        let mut newest_first: Vec<&Segment> = segments.iter().collect();
        // Segments that still grow have no end yet: they come first.
        newest_first.sort_by_key(|segment| std::cmp::Reverse(segment.latest.unwrap_or(DateTime::<Utc>::MAX_UTC)));
        let mut passed = 0;
        let mut candidates: Vec<(usize, u64, DateTime<Utc>)> = Vec::new();
        let mut start = DateTime::<Utc>::MAX_UTC;
        for (at, segment) in newest_first.iter().enumerate() {
            let Some(earliest) = segment.earliest else { break };
            passed += self.rows_in(segment, window, environments).await?;
            if passed > most {
                break;
            }
            start = start.min(earliest);
            candidates.push((at + 1, passed, start));
        }
        // Rows of other segments that lie within the time that is passed over belong to it. Where that makes it too many,
        // one segment less is passed over.
        while let Some((taken, mut rows, until)) = candidates.pop() {
            for segment in newest_first.iter().skip(taken) {
                if segment.latest.is_none_or(|latest| latest >= until) {
                    let newer = Window { from: Some(window.from.map_or(until, |from| from.max(until))), to: window.to };
                    rows += self.rows_in(segment, newer, environments).await?;
                }
            }
            if rows <= most && window.from.is_none_or(|from| from < until) {
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
