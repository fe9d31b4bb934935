//! Every row of a scope, in no order: for sums and samples, which need none. Long windows are made of rollups, short ones and
//! the ends of long ones of rows.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures_util::{StreamExt, stream};

use super::{
    Cell, Grain, History,
    rollup::{Day, FinishedDay, start_of},
    scan::Window,
};
use crate::{
    record::{Metric, TableRow},
    store::{Scope, Segment, StoreError},
};

/// Segments that are read at the same time.
const READ_AHEAD: usize = 4;

/// Segments that are looked into for their parts before any is read.
const BATCH: usize = 64;

/// Rows take less memory than half of their text.
const TEXT_BYTES_A_KEPT_BYTE: u64 = 2;

/// Days whose rollups are read at the same time.
const DAYS_AHEAD: usize = 8;

/// How often the whole is done again when segments change under it.
const ATTEMPTS: u32 = 8;

/// Windows up to this long are made of rows alone.
pub const EXACT_UP_TO: TimeDelta = TimeDelta::hours(49);

/// The stretches of which rollups know nothing smaller.
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Why rows could not be gone through.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FoldError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There are more rows than the caller is ready for.
    #[error("more than {limit} records")]
    TooMany {
        /// What the caller said.
        limit: u64,
    },
}

/// Which rows are gone through.
#[derive(Debug)]
pub struct Rows<'a, W> {
    /// Environments and time.
    pub scope: &'a Scope,
    /// Whether rows of a model count.
    pub wants: W,
    /// More rows than this are an error; those that rollups stand for are not counted.
    pub at_most: u64,
}

/// What is done with rows, and with hours of rows.
pub trait Collect {
    /// Takes one row.
    fn row(&mut self, row: &TableRow<'_>);
    /// Takes an hour (or a whole day) of one model's rows, added up.
    fn cell(&mut self, cell: &Cell<'_>);
}

impl History {
    /// Starts with `start()` and shows every row of `rows` to `add`, in no particular order, each once. Segments are not held
    /// longer than they are looked at.
    pub async fn fold<T>(
        &self,
        rows: &Rows<'_, impl Fn(&str) -> bool>,
        start: impl Fn() -> T,
        mut add: impl FnMut(&mut T, &TableRow<'_>),
    ) -> Result<T, FoldError> {
        let mut attempt = 1;
        loop {
            match self.fold_once(rows, start(), &mut add).await {
                // A part was counted already: only the whole anew counts every row once.
                Err(FoldError::Store(StoreError::Changed { .. })) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// As [`fold`](Self::fold), but finished days of a window longer than [`EXACT_UP_TO`] come as hours (or, where `grain`
    /// allows and all of it is wanted, as one), with `metrics`. Says whether every row was looked at itself.
    pub async fn collect<T: Collect>(
        &self,
        rows: &Rows<'_, impl Fn(&str) -> bool>,
        metrics: &[Metric],
        grain: Grain,
        start: impl Fn() -> T,
    ) -> Result<(T, bool), FoldError> {
        let window = rows.scope.from.zip(rows.scope.to).filter(|(from, to)| *to - *from > EXACT_UP_TO);
        let Some((from, to)) = window else {
            return Ok((self.fold(rows, start, T::row).await?, true));
        };
        let mut attempt = 1;
        loop {
            match self.collect_once(rows, (from, to), metrics, grain, start()).await {
                Err(FoldError::Store(StoreError::Changed { .. })) if attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    async fn fold_once<T>(
        &self,
        rows: &Rows<'_, impl Fn(&str) -> bool>,
        mut total: T,
        add: &mut impl FnMut(&mut T, &TableRow<'_>),
    ) -> Result<T, FoldError> {
        let segments = self.segments(rows.scope).await?;
        let mut seen = 0;
        let mut add = |row: &TableRow<'_>| add(&mut total, row);
        self.fold_stretch(rows, &segments, Window { from: rows.scope.from, to: rows.scope.to }, &mut seen, &mut add)
            .await?;
        Ok(total)
    }

    /// Shows the rows of `window` to `add`; `segments` may hold others too.
    async fn fold_stretch(
        &self,
        rows: &Rows<'_, impl Fn(&str) -> bool>,
        segments: &[Segment],
        window: Window,
        seen: &mut u64,
        add: &mut impl FnMut(&TableRow<'_>),
    ) -> Result<(), FoldError> {
        let segments: Vec<&Segment> = segments.iter().filter(|segment| window.overlaps(segment)).collect();
        let passed_by = segments.len() - self.kept_at_once(&segments);
        let mut batch: Vec<(Segment, bool)> = Vec::new();
        for (at, segment) in segments.into_iter().enumerate() {
            let parts = self.divided(vec![segment.clone()], window).await?;
            batch.extend(parts.into_iter().map(|part| (part, at >= passed_by)));
            if batch.len() >= BATCH {
                self.fold_parts(rows, std::mem::take(&mut batch), window, seen, add).await?;
            }
        }
        self.fold_parts(rows, batch, window, seen, add).await
    }

    /// How many of `segments`, oldest first, counted from the newest, are kept together. Were the others kept as well, a stretch that is
    /// longer than the memory would drive out what is kept of it just before it comes there.
    fn kept_at_once(&self, segments: &[&Segment]) -> usize {
        let mut room_bytes = (self.cache.limit_bytes() as u64).saturating_mul(TEXT_BYTES_A_KEPT_BYTE);
        let fits = |segment: &&&Segment| {
            let rest = room_bytes.checked_sub(segment.size_bytes);
            room_bytes = rest.unwrap_or(0);
            rest.is_some()
        };
        segments.iter().rev().take_while(fits).count()
    }

    async fn fold_parts(
        &self,
        rows: &Rows<'_, impl Fn(&str) -> bool>,
        parts: Vec<(Segment, bool)>,
        window: Window,
        seen: &mut u64,
        add: &mut impl FnMut(&TableRow<'_>),
    ) -> Result<(), FoldError> {
        let load = async |(part, is_kept)| {
            if is_kept { self.load(&part).await } else { self.load_once(&part).await }
        };
        let mut loads = stream::iter(parts).map(load).buffered(READ_AHEAD);
        while let Some(parsed) = loads.next().await {
            let parsed = parsed?;
            let is_wanted: Vec<bool> = parsed
                .labels()
                .iter()
                .map(|label| rows.scope.has(&label.environment) && (rows.wants)(&label.model_name))
                .collect();
            for row in parsed.between(window.from, window.to).filter_map(|index| parsed.row(index)) {
                if is_wanted.get(row.label_number()) == Some(&true) {
                    *seen += 1;
                    if *seen > rows.at_most {
                        return Err(FoldError::TooMany { limit: rows.at_most });
                    }
                    add(&row);
                }
            }
            // Other requests get their turn.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn collect_once<T: Collect>(
        &self,
        rows: &Rows<'_, impl Fn(&str) -> bool>,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        metrics: &[Metric],
        grain: Grain,
        mut total: T,
    ) -> Result<(T, bool), FoldError> {
        let segments = self.segments(rows.scope).await?;
        let plan = Plan::of(&segments, from, to, Utc::now());
        let asked = rows.scope.environments.as_deref();
        let days = stream::iter(plan.days).map(async |(day, hours)| {
            let grain = if day.is_whole(hours) { grain } else { Grain::Hour };
            (self.days(&day, asked, metrics, grain).await, hours)
        });
        let mut days = days.buffered(DAYS_AHEAD);
        let mut is_exact = true;
        while let Some((found, (from, to))) = days.next().await {
            for day in &found? {
                is_exact &= !collect_day(&mut total, day, (from, to), &rows.wants);
            }
            tokio::task::yield_now().await;
        }
        let mut seen = 0;
        for (from, to) in plan.rows {
            let mut add = |row: &TableRow<'_>| total.row(row);
            let window = Window { from: Some(from), to: Some(to) };
            self.fold_stretch(rows, &segments, window, &mut seen, &mut add).await?;
        }
        Ok((total, is_exact))
    }
}

/// Whether anything was collected.
fn collect_day<T: Collect>(total: &mut T, day: &Day, hours: (i64, i64), wants: &impl Fn(&str) -> bool) -> bool {
    let is_wanted: Vec<bool> = day.names().map(|name| wants(&name.model_name)).collect();
    let mut is_any = false;
    for cell in day.cells(hours.0, hours.1) {
        if is_wanted.get(cell.name_number()) == Some(&true) {
            is_any = true;
            total.cell(&cell);
        }
    }
    is_any
}

/// How a window is put together.
#[derive(Debug)]
struct Plan {
    /// Finished days, each with the hours that are wanted of it: from (inclusive) to (exclusive), seconds since 1970.
    days: Vec<(FinishedDay, (i64, i64))>,
    /// Stretches that are made of rows.
    rows: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Plan {
    fn of(segments: &[Segment], from: DateTime<Utc>, to: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let mut plan = Self { days: Vec::new(), rows: Vec::new() };
        // Up to here, everything is in the plan.
        let mut planned = from;
        // What nobody wrote down needs no days: a window may be centuries long.
        let earliest = segments.iter().map(|segment| segment.earliest.unwrap_or(from)).min().unwrap_or(to);
        let mut date: Option<NaiveDate> = Some(from.max(earliest).date_naive());
        while let Some(today) = date.filter(|date| start_of(*date) < to && start_of(*date) < now) {
            date = today.succ_opt();
            let end = date.map_or(to, start_of);
            let (first, last) = (ceil_hour(from.max(start_of(today))), floor_hour(to.min(end)));
            if first >= last {
                continue;
            }
            if let Some(day) = FinishedDay::of(today, segments, now) {
                plan.rows_until(planned, first);
                plan.days.push((day, (first.timestamp(), last.timestamp())));
                planned = last;
            }
        }
        plan.rows_until(planned, to);
        plan
    }

    fn rows_until(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) {
        if from < to {
            self.rows.push((from, to));
        }
    }
}

fn floor_hour(at: DateTime<Utc>) -> DateTime<Utc> {
    let into_hour = at.timestamp().rem_euclid(HOUR.num_seconds());
    DateTime::from_timestamp(at.timestamp() - into_hour, 0).unwrap_or(at)
}

fn ceil_hour(at: DateTime<Utc>) -> DateTime<Utc> {
    let floor = floor_hour(at);
    if floor == at { at } else { floor + HOUR }
}
