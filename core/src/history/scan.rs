//! Rows of many segments as one sequence in exact time order, opening a segment only when its turn may have come.

mod days;
mod merge;

use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;

use super::{
    History,
    parsed::{Position, Row},
    rollup::start_of,
};
use crate::{
    record::Environment,
    store::{Scope, Segment, StoreError},
};

pub use days::RowFilter;

pub(super) use days::{KnownDays, Wanted};
use merge::Merge;

/// How often a scan lists again when segments change under it, without getting any further, before it gives up.
const RELISTS_AT_MOST: u32 = 8;

/// Rows that are looked at in one go before other requests get their turn.
const ROWS_BETWEEN_YIELDS: u32 = 4096;

/// The stretches of time that are listed one after the other, counted from where the scan starts, each up to a midnight
/// (rollups tell of whole days); all the rest comes last.
/// Most readers want the newest day, and listing a year of objects for it would cost more than reading them.
const LISTED_FIRST: [TimeDelta; 2] = [TimeDelta::days(1), TimeDelta::days(8)];

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Oldest row first.
    OldestFirst,
    /// Newest row first.
    NewestFirst,
}

/// A reader that goes through the rows of a scope in time's order. Rows of one instant stand in a total order that depends
/// on nothing but the rows.
#[derive(Debug)]
pub struct Scan<'a> {
    history: &'a History,
    environments: Option<Vec<Environment>>,
    direction: Direction,
    windows: VecDeque<Window>,
    merge: Option<Merge>,
    /// What rollups tell of the window's days; `None` where they would save no work.
    days: Option<KnownDays>,
    filter: Option<Arc<dyn RowFilter>>,
    is_once: bool,
    /// Where to go on: after what was given, then after the last row before the segments were listed again.
    position: Option<Position>,
    last: Option<Row>,
    relists: u32,
    /// Rows still to be passed over, and how many at first.
    to_skip: u64,
    to_skip_at_first: u64,
    /// The windows and the position at first.
    at_first: (VecDeque<Window>, Option<Position>),
}

/// A stretch of time: from (inclusive) to (exclusive), `None` being no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
}

impl Window {
    /// Whether `segment` may hold rows of it.
    pub(super) fn overlaps(self, segment: &Segment) -> bool {
        let is_too_new = self.to.is_some_and(|to| segment.earliest.is_some_and(|earliest| earliest >= to));
        let is_too_old = self.from.is_some_and(|from| segment.latest.is_some_and(|latest| latest < from));
        !is_too_new && !is_too_old
    }
}

impl<'a> Scan<'a> {
    pub(super) fn new(history: &'a History, scope: Scope, direction: Direction, position: Option<Position>) -> Self {
        let mut whole = Window { from: scope.from, to: scope.to };
        if let Some(at) = position.as_ref().map(|position| position.timestamp) {
            match direction {
                Direction::OldestFirst => whole.from = Some(whole.from.map_or(at, |from| from.max(at))),
                Direction::NewestFirst => {
                    let after = at.checked_add_signed(TimeDelta::nanoseconds(1)).unwrap_or(at);
                    whole.to = Some(whole.to.map_or(after, |to| to.min(after)));
                }
            }
        }
        let is_empty = scope.environments.as_ref().is_some_and(Vec::is_empty);
        let windows = if is_empty { VecDeque::new() } else { windows(whole, direction, Utc::now()) };
        Self {
            history,
            environments: scope.environments,
            direction,
            at_first: (windows.clone(), position.clone()),
            windows,
            merge: None,
            days: None,
            filter: None,
            is_once: false,
            position,
            last: None,
            relists: 0,
            to_skip: 0,
            to_skip_at_first: 0,
        }
    }

    /// Only rows that `filter` lets through.
    #[must_use]
    pub fn only(self, filter: Arc<dyn RowFilter>) -> Self {
        Self { filter: Some(filter), ..self }
    }

    /// Goes through its rows as nobody will again soon: segments are not kept for it.
    #[must_use]
    pub fn once(self) -> Self {
        Self { is_once: true, ..self }
    }

    /// Passes over the first `rows` of the rows that are wanted, most of them without looking at them.
    #[must_use]
    pub fn skipping(self, rows: u64) -> Self {
        Self { to_skip: rows, to_skip_at_first: rows, ..self }
    }

    /// The next row; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        let mut looked_at: u32 = 0;
        loop {
            looked_at = looked_at.wrapping_add(1);
            if looked_at.is_multiple_of(ROWS_BETWEEN_YIELDS) {
                tokio::task::yield_now().await;
            }
            match self.step().await {
                Ok(Some(row)) if self.filter.as_ref().is_some_and(|filter| !filter.matches(&row)) => {}
                Ok(Some(_)) if self.to_skip > 0 => self.to_skip -= 1,
                Ok(Some(row)) => {
                    self.relists = 0;
                    self.last = Some(row.clone());
                    return Ok(Some(row));
                }
                Ok(None) => return Ok(None),
                Err(StoreError::Changed { .. }) if self.relists < RELISTS_AT_MOST => self.list_again(),
                Err(e) => return Err(e),
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Row>, StoreError> {
        loop {
            let merge = match &mut self.merge {
                Some(merge) => merge,
                none => match self.windows.front() {
                    Some(window) => {
                        let scope = Scope { environments: self.environments.clone(), from: window.from, to: window.to };
                        let segments = self.history.segments(&scope).await?;
                        let mut window = *window;
                        let counts_rows = self.filter.is_none()
                            && self.direction == Direction::NewestFirst
                            && self.position.is_none();
                        if self.filter.is_some() || (self.to_skip > 0 && !counts_rows) {
                            self.days = Some(KnownDays::new(window, segments.clone()));
                        } else if self.to_skip > 0 {
                            let environments = self.environments.as_deref();
                            let skipped = self.history.skip(&segments, window, environments, self.to_skip).await?;
                            self.to_skip -= skipped.rows;
                            window.to = skipped.until.or(window.to);
                        }
                        none.insert(Merge::new(window, segments, self.direction))
                    }
                    None => return Ok(None),
                },
            };
            loop {
                let turn = merge.take_turn(self.direction);
                if turn.is_empty() {
                    break;
                }
                let turn = match &mut self.days {
                    Some(days) => {
                        let (history, environments) = (self.history, self.environments.as_deref());
                        let wanted = Wanted { history, environments, filter: self.filter.as_deref() };
                        days.worth_reading(turn, merge, wanted, &mut self.to_skip).await?
                    }
                    None => turn,
                };
                // A large segment is read in pieces, each when its own turn comes.
                if turn.iter().any(History::is_large) {
                    let parts = self.history.divided(turn.clone(), merge.window).await?;
                    if parts != turn {
                        merge.put_back(parts, self.direction);
                        continue;
                    }
                }
                let (history, is_once) = (self.history, self.is_once);
                let loads = turn.iter().map(async |segment| {
                    if is_once { history.load_once(segment).await } else { history.load(segment).await }
                });
                for parsed in try_join_all(loads).await? {
                    merge.open(parsed, self.position.as_ref(), self.environments.as_deref(), self.direction);
                }
            }
            while let Some(row) = merge.pop(self.environments.as_deref()) {
                if !self.position.as_ref().is_some_and(|position| is_before(&row, position)) {
                    return Ok(Some(row));
                }
                if merge.needs_more(self.direction) {
                    break;
                }
            }
            if merge.is_done() {
                (self.merge, self.days) = (None, None);
                self.windows.pop_front();
            }
        }
    }

    /// Segments changed since they were listed: go on after the last row, with a new list.
    fn list_again(&mut self) {
        self.relists += 1;
        if let Some(last) = self.last.take() {
            self.position = Some(last.position());
        } else if self.to_skip_at_first > 0 && self.position == self.at_first.1 {
            // Nothing came out yet, so it can begin again; what was passed over may not be where it was.
            self.windows = self.at_first.0.clone();
            self.to_skip = self.to_skip_at_first;
        }
        (self.merge, self.days) = (None, None);
    }
}

/// Whether a scan that went on after `position` has had this row, being one of the copies that were read.
fn is_before(row: &Row, position: &Position) -> bool {
    row.copy() <= position.copies && row.compare_to(position) == Ordering::Equal
}

/// `whole` in the stretches in which it is listed, in the scan's direction.
pub(super) fn windows(whole: Window, direction: Direction, now: DateTime<Utc>) -> VecDeque<Window> {
    let mut windows = VecDeque::new();
    let mut rest = whole;
    let anchor = match direction {
        Direction::NewestFirst => Some(whole.to.map_or(now, |to| to.min(now))),
        Direction::OldestFirst => whole.from,
    };
    for stretch in LISTED_FIRST {
        match (direction, anchor) {
            (Direction::NewestFirst, Some(anchor)) => {
                let Some(from) = anchor.checked_sub_signed(stretch) else { break };
                let from = start_of(from.date_naive());
                if rest.from.is_some_and(|whole_from| whole_from >= from) {
                    break;
                }
                windows.push_back(Window { from: Some(from), to: rest.to });
                rest.to = Some(from);
            }
            (Direction::OldestFirst, Some(anchor)) => {
                let Some(to) = anchor.checked_add_signed(stretch) else { break };
                let Some(to) = to.date_naive().succ_opt().map(start_of) else { break };
                if rest.to.is_some_and(|whole_to| whole_to <= to) {
                    break;
                }
                windows.push_back(Window { from: rest.from, to: Some(to) });
                rest.from = Some(to);
            }
            (_, None) => break,
        }
    }
    windows.push_back(rest);
    windows
}
