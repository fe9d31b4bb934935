//! Rows of many segments as one sequence in exact time order, opening a segment only when its turn may have come.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
    ops::Range,
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;

use super::{
    History,
    parsed::{Parsed, Position, Row},
};
use crate::{
    record::Environment,
    store::{Scope, Segment, StoreError},
};

/// How often a scan lists again when segments change under it, without getting any further, before it gives up.
const RELISTS_AT_MOST: u32 = 8;

/// Segments that are read at the same time.
const READ_AHEAD: usize = 8;

/// The stretches of time that are listed one after the other, counted from where the scan starts; all the rest comes last.
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

/// The segments of one window: some open, some whose turn has not come.
#[derive(Debug)]
struct Merge {
    window: Window,
    /// The next to open is the last.
    pending: Vec<Segment>,
    open: BinaryHeap<Run>,
    /// The row that came out last, and which copy of its kind it was; also of rows before the position.
    previous: Option<Row>,
}

/// An open segment, standing at a row.
#[derive(Debug)]
struct Run {
    row: Row,
    parsed: Arc<Parsed>,
    rest: Range<usize>,
    direction: Direction,
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
            position,
            last: None,
            relists: 0,
            to_skip: 0,
            to_skip_at_first: 0,
        }
    }

    /// Passes over the first `rows` rows, most of them without looking at them.
    #[must_use]
    pub fn skipping(self, rows: u64) -> Self {
        Self { to_skip: rows, to_skip_at_first: rows, ..self }
    }

    /// The next row; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Row>, StoreError> {
        loop {
            match self.step().await {
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
                        let mut segments = self.history.segments(&scope).await?;
                        let mut window = *window;
                        if self.to_skip > 0 && self.direction == Direction::NewestFirst && self.position.is_none() {
                            segments = self.history.divided(segments, window).await?;
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
                // A large segment is read in pieces, each when its own turn comes.
                if turn.iter().any(History::is_large) {
                    let parts = self.history.divided(turn.clone(), merge.window).await?;
                    if parts != turn {
                        merge.put_back(parts, self.direction);
                        continue;
                    }
                }
                let loads = turn.iter().map(|segment| self.history.load(segment));
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
                self.merge = None;
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
        self.merge = None;
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
                if rest.from.is_some_and(|whole_from| whole_from >= from) {
                    break;
                }
                windows.push_back(Window { from: Some(from), to: rest.to });
                rest.to = Some(from);
            }
            (Direction::OldestFirst, Some(anchor)) => {
                let Some(to) = anchor.checked_add_signed(stretch) else { break };
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

impl Merge {
    fn new(window: Window, segments: Vec<Segment>, direction: Direction) -> Self {
        let mut merge = Self { window, pending: Vec::new(), open: BinaryHeap::new(), previous: None };
        merge.put_back(segments, direction);
        merge
    }

    /// Takes `segments` up into those whose turn has not come.
    fn put_back(&mut self, segments: Vec<Segment>, direction: Direction) {
        let window = self.window;
        self.pending.extend(segments.into_iter().filter(|segment| window.overlaps(segment)));
        self.pending.sort_by(|a, b| match direction {
            Direction::NewestFirst => compare_latest(a.latest, b.latest),
            Direction::OldestFirst => b.earliest.cmp(&a.earliest),
        });
    }

    fn is_done(&self) -> bool {
        self.pending.is_empty() && self.open.is_empty()
    }

    fn needs_more(&self, direction: Direction) -> bool {
        self.pending.last().is_some_and(|segment| self.may_precede(segment, direction))
    }

    /// Takes out the segments that must be opened before the next row can be told; empty when it can.
    fn take_turn(&mut self, direction: Direction) -> Vec<Segment> {
        let mut turn: Vec<Segment> = Vec::new();
        while let Some(segment) = self.pending.last().filter(|_| turn.len() < READ_AHEAD) {
            let is_turn = match turn.first() {
                // Nothing is open to compare with, but these begin where the first begins.
                Some(first) if self.open.is_empty() => starts_like(segment, first, direction),
                _ => self.may_precede(segment, direction),
            };
            if !is_turn {
                break;
            }
            turn.extend(self.pending.pop());
        }
        turn
    }

    /// Whether `segment` may hold a row that comes before every row of the open ones.
    fn may_precede(&self, segment: &Segment, direction: Direction) -> bool {
        let Some(top) = self.open.peek().map(|run| run.row.timestamp()) else { return true };
        match direction {
            Direction::NewestFirst => segment.latest.is_none_or(|latest| latest >= top),
            Direction::OldestFirst => segment.earliest.is_none_or(|earliest| earliest <= top),
        }
    }

    fn open(
        &mut self,
        parsed: Arc<Parsed>,
        position: Option<&Position>,
        environments: Option<&[Environment]>,
        direction: Direction,
    ) {
        let mut rows = parsed.between(self.window.from, self.window.to);
        // Rows equal to the position's stay in: which copies were read is told when all copies are side by side.
        if let Some(position) = position {
            match direction {
                Direction::OldestFirst => {
                    rows.start = rows.start.max(parsed.first_from(position));
                }
                Direction::NewestFirst => {
                    rows.end = rows.end.min(parsed.first_after(position));
                }
            }
        }
        self.open.extend(Run::next_in(parsed, rows, environments, direction));
    }

    /// The next row of the open segments, told which copy of its kind it is.
    fn pop(&mut self, environments: Option<&[Environment]>) -> Option<Row> {
        let run = self.open.pop()?;
        self.open.extend(Run::next_in(run.parsed, run.rest, environments, run.direction));
        let copy = match &self.previous {
            Some(previous) if previous.is_copy_of(&run.row) => previous.copy().saturating_add(1),
            _ => 1,
        };
        let row = run.row.with_copy(copy);
        self.previous = Some(row.clone());
        Some(row)
    }
}

impl Run {
    /// Stands at the first row of `rows` (in `direction`) that is of `environments`; `None` if there is none.
    fn next_in(
        parsed: Arc<Parsed>,
        mut rows: Range<usize>,
        environments: Option<&[Environment]>,
        direction: Direction,
    ) -> Option<Self> {
        loop {
            let index = match direction {
                Direction::OldestFirst => rows.next()?,
                Direction::NewestFirst => rows.next_back()?,
            };
            let environment = &parsed.row(index)?.label().environment;
            if environments.is_none_or(|wanted| wanted.contains(environment)) {
                let row = Row::new(Arc::clone(&parsed), index, 1)?;
                return Some(Self { row, parsed, rest: rows, direction });
            }
        }
    }
}

/// A heap gives its greatest first: the run whose row comes next in the scan's direction.
impl Ord for Run {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.row.compare(&other.row);
        match self.direction {
            Direction::NewestFirst => order,
            Direction::OldestFirst => order.reverse(),
        }
    }
}

impl PartialOrd for Run {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Run {}

/// An unknown latest time may be any: it counts as the latest of all.
fn compare_latest(a: Option<DateTime<Utc>>, b: Option<DateTime<Utc>>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (None, None) => Ordering::Equal,
    }
}

fn starts_like(segment: &Segment, first: &Segment, direction: Direction) -> bool {
    match direction {
        Direction::NewestFirst => segment.latest.is_none() || segment.latest == first.latest,
        Direction::OldestFirst => segment.earliest.is_none() || segment.earliest == first.earliest,
    }
}
