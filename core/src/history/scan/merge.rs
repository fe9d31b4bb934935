//! The segments of one window as one sequence of rows, each opened when its turn may have come.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, HashSet},
    ops::Range,
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{Direction, Window};
use crate::{
    history::parsed::{Parsed, Position, Row},
    record::Environment,
    store::Segment,
};

/// Segments that are read at the same time.
const READ_AHEAD: usize = 8;

/// The segments of one window: some open, some whose turn has not come.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) window: Window,
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

impl Merge {
    pub(super) fn new(window: Window, segments: Vec<Segment>, direction: Direction) -> Self {
        let mut merge = Self { window, pending: Vec::new(), open: BinaryHeap::new(), previous: None };
        merge.put_back(segments, direction);
        merge
    }

    /// Takes `segments` up into those whose turn has not come.
    pub(super) fn put_back(&mut self, segments: Vec<Segment>, direction: Direction) {
        let window = self.window;
        self.pending.extend(segments.into_iter().filter(|segment| window.overlaps(segment)));
        self.pending.sort_by(|a, b| match direction {
            Direction::NewestFirst => compare_latest(a.latest, b.latest),
            Direction::OldestFirst => b.earliest.cmp(&a.earliest),
        });
    }

    pub(super) fn is_done(&self) -> bool {
        self.pending.is_empty() && self.open.is_empty()
    }

    pub(super) fn needs_more(&self, direction: Direction) -> bool {
        self.pending.last().is_some_and(|segment| self.may_precede(segment, direction))
    }

    /// Takes out the segments that must be opened before the next row can be told; empty when it can.
    pub(super) fn take_turn(&mut self, direction: Direction) -> Vec<Segment> {
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

    /// Forgets the segments of these names that are not open yet.
    pub(super) fn leave_out(&mut self, names: &HashSet<Arc<str>>) {
        self.pending.retain(|segment| !names.contains(&segment.name));
    }

    /// Whether `segment` may hold a row that comes before every row of the open ones.
    fn may_precede(&self, segment: &Segment, direction: Direction) -> bool {
        let Some(top) = self.open.peek().map(|run| run.row.timestamp()) else { return true };
        match direction {
            Direction::NewestFirst => segment.latest.is_none_or(|latest| latest >= top),
            Direction::OldestFirst => segment.earliest.is_none_or(|earliest| earliest <= top),
        }
    }

    pub(super) fn open(
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
    pub(super) fn pop(&mut self, environments: Option<&[Environment]>) -> Option<Row> {
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
