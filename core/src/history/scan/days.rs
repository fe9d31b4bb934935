//! Whole days that need not be read: their rollups tell how many of their rows are wanted.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt::Debug,
    sync::Arc,
};

use chrono::{Days, NaiveDate, Utc};

use super::{Window, merge::Merge};
use crate::{
    history::{
        Counts, Grain, History, Row, SeriesName,
        rollup::{FinishedDay, start_of},
    },
    record::Environment,
    store::{Segment, StoreError},
};

/// Which rows of a scan are wanted. Both answers must agree: a day of which nothing is counted is not read.
pub trait RowFilter: Debug + Send + Sync {
    /// Whether `row` is wanted.
    fn matches(&self, row: &Row) -> bool;

    /// How many rows of `name` are wanted, of those that `counts` is made of.
    fn count_in(&self, name: &SeriesName, counts: &Counts) -> u64;
}

/// What is asked of a day.
#[derive(Debug, Clone, Copy)]
pub(in crate::history) struct Wanted<'a> {
    pub(in crate::history) history: &'a History,
    pub(in crate::history) environments: Option<&'a [Environment]>,
    /// `None`: every row is wanted.
    pub(in crate::history) filter: Option<&'a dyn RowFilter>,
}

/// The days of a window that have been asked about.
#[derive(Debug)]
pub(in crate::history) struct KnownDays {
    window: Window,
    /// All segments of the window, as they were listed.
    segments: Vec<Segment>,
    days: HashMap<NaiveDate, KnownDay>,
    /// Days at either end of a segment that lies in several: none of them can be passed over as a whole.
    shared: HashSet<NaiveDate>,
}

#[derive(Debug)]
struct KnownDay {
    /// Rows that are wanted; `None` where no rollup tells.
    wanted: Option<u64>,
    /// The names of all of its segments, as long as none was read and all of the day may be passed over.
    whole: Option<HashSet<Arc<str>>>,
}

impl KnownDays {
    pub(in crate::history) fn new(window: Window, segments: Vec<Segment>) -> Self {
        let dates = segments.iter().filter_map(|segment| segment.earliest.zip(segment.latest));
        let dates = dates.map(|(earliest, latest)| [earliest.date_naive(), latest.date_naive()]);
        let shared = dates.filter(|[first, last]| first != last).flatten().collect();
        Self { window, segments, days: HashMap::new(), shared }
    }

    /// `turn`, taken from `merge`, without the segments that hold nothing of what is wanted, or only rows that are passed over:
    /// `to_skip` is lessened by these.
    pub(super) async fn worth_reading(
        &mut self,
        turn: Vec<Segment>,
        merge: &mut Merge,
        wanted: Wanted<'_>,
        to_skip: &mut u64,
    ) -> Result<Vec<Segment>, StoreError> {
        let mut worth: Vec<Segment> = Vec::with_capacity(turn.len());
        let mut passed_over: Option<HashSet<Arc<str>>> = None;
        for segment in turn {
            if passed_over.as_ref().is_some_and(|names| names.contains(&segment.name)) {
                continue;
            }
            let Some(date) = only_day(&segment) else {
                worth.push(segment);
                continue;
            };
            let day = self.day(date, wanted).await?;
            if day.wanted == Some(0) {
                continue;
            }
            // Every other segment lies outside of the day, so at its first segment's turn all of its rows come next.
            match (day.whole.take(), day.wanted) {
                (Some(names), Some(rows)) if rows <= *to_skip => {
                    *to_skip -= rows;
                    merge.leave_out(&names);
                    passed_over = Some(names);
                }
                _ => worth.push(segment),
            }
        }
        Ok(worth)
    }

    /// The day that `segment` lies in, how many of its rows are wanted, and the names of its segments: if rollups tell, and all of
    /// it may be passed over. A day is told once.
    pub(in crate::history) async fn take_whole(
        &mut self,
        segment: &Segment,
        wanted: Wanted<'_>,
    ) -> Result<Option<(NaiveDate, u64, HashSet<Arc<str>>)>, StoreError> {
        let Some(date) = only_day(segment).filter(|date| !self.shared.contains(date)) else { return Ok(None) };
        let day = self.day(date, wanted).await?;
        Ok(day.wanted.zip(day.whole.take()).map(|(rows, names)| (date, rows, names)))
    }

    async fn day(&mut self, date: NaiveDate, wanted: Wanted<'_>) -> Result<&mut KnownDay, StoreError> {
        Ok(match self.days.entry(date) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(KnownDay::of(date, self.window, &self.segments, wanted).await?),
        })
    }
}

impl KnownDay {
    async fn of(date: NaiveDate, window: Window, segments: &[Segment], wanted: Wanted<'_>) -> Result<Self, StoreError> {
        let Some(day) = FinishedDay::of(date, segments, Utc::now()) else {
            return Ok(Self { wanted: None, whole: None });
        };
        let end = date.checked_add_days(Days::new(1)).map(start_of);
        let is_whole = window.from.is_none_or(|from| from <= start_of(date))
            && window.to.is_none_or(|to| end.is_some_and(|end| to >= end))
            && day.segments().iter().all(|segment| only_day(segment) == Some(date));
        // Without a filter only whole days are passed over: where days share segments, rollups are not even looked for.
        let is_of_use = is_whole || wanted.filter.is_some();
        let rows = if is_of_use { wanted.count(&day).await? } else { None };
        let names = || day.segments().iter().map(|segment| Arc::clone(&segment.name)).collect();
        Ok(Self { wanted: rows, whole: is_whole.then(names) })
    }
}

impl Wanted<'_> {
    /// How many rows of a day are wanted, as the rollups tell that are there; `None` where they do not tell of all.
    async fn count(self, day: &FinishedDay) -> Result<Option<u64>, StoreError> {
        let Some(found) = self.history.found(day, self.environments, &[], Grain::Day).await? else { return Ok(None) };
        let cells = found.iter().flat_map(|day| day.cells(i64::MIN, i64::MAX));
        let count = |name: &SeriesName, counts: &Counts| match self.filter {
            Some(filter) => filter.count_in(name, counts),
            None => counts.count,
        };
        Ok(Some(cells.map(|cell| count(cell.name(), cell.counts())).sum()))
    }
}

/// The day that a segment lies in, if that is one.
fn only_day(segment: &Segment) -> Option<NaiveDate> {
    let (earliest, latest) = segment.earliest.zip(segment.latest)?;
    (earliest.date_naive() == latest.date_naive()).then(|| latest.date_naive())
}
