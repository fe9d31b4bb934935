//! Where the rows of one growing CSV lie: byte ranges of about [`SEGMENT_BYTES`], cut at row boundaries.
//!
//! A full range is closed and never changes; the last one is open. The index holds no rows.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::{Scope, Segment, StoreError};
use crate::record::{CycleId, Environment, Table};

/// A range is full once it has this many bytes.
pub(super) const SEGMENT_BYTES: u64 = 1024 * 1024;

/// Rows of a cycle lie this close to its scheduled time, also where a clock was set.
const CYCLE_SPREAD: TimeDelta = TimeDelta::days(1);

/// What the index notes of a row.
#[derive(Debug)]
pub(super) struct RowNote<'a> {
    pub(super) timestamp: DateTime<Utc>,
    pub(super) environment: &'a Environment,
    pub(super) cycle_id: Option<CycleId>,
}

/// What the index notes of many rows.
#[derive(Debug)]
pub(super) struct RowsNote {
    earliest: Option<DateTime<Utc>>,
    latest: Option<DateTime<Utc>>,
    mix: Mix,
    /// As they follow each other.
    cycles: Vec<(CycleId, Environment)>,
}

impl RowsNote {
    /// Of all of `table`'s rows.
    pub(super) fn of(table: &Table) -> Self {
        let at = |ms: Option<&i64>| ms.and_then(|ms| DateTime::from_timestamp_millis(*ms));
        let mut cycles: Vec<(CycleId, Environment)> = Vec::new();
        for row in (0..table.len()).filter_map(|index| table.row(index)) {
            let Some(cycle_id) = row.cycle_id() else { continue };
            let environment = &row.label().environment;
            if cycles.last().is_none_or(|(last, of)| *last != cycle_id || of != environment) {
                cycles.push((cycle_id, environment.clone()));
            }
        }
        let mut environments = table.labels().iter().map(|label| &label.environment);
        let mix = match environments.next() {
            None => Mix::Empty,
            Some(first) if environments.all(|other| other == first) => Mix::Only(first.clone()),
            Some(_) => Mix::Several,
        };
        let times = table.timestamps_ms();
        Self { earliest: at(times.iter().min()), latest: at(times.iter().max()), mix, cycles }
    }
}

/// Which environments' rows are in a range.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mix {
    Empty,
    Only(Environment),
    Several,
}

/// One range.
#[derive(Debug, Clone)]
struct Part {
    name: Arc<str>,
    /// Once it is full: every reader asks for it.
    identity: Option<Arc<str>>,
    start: u64,
    len: u64,
    first_line: u64,
    earliest: Option<DateTime<Utc>>,
    latest: Option<DateTime<Utc>>,
    mix: Mix,
    /// The header that its rows were written under, with its line end.
    header: Bytes,
}

/// The ranges of one CSV, and which cycles are in it.
#[derive(Debug, Clone)]
pub(super) struct Index {
    /// The file's name: a segment's is `name@start`.
    name: String,
    /// Tells this file from another one of the same name.
    tag: Arc<str>,
    segment_bytes: u64,
    parts: Vec<Part>,
    end: u64,
    next_line: u64,
    header: Bytes,
    cycles: SeenCycles,
}

/// A range to read: the header, then `len` bytes from `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) header: Bytes,
    pub(super) start: u64,
    pub(super) len: u64,
}

impl Index {
    /// The index of a CSV whose rows begin at `start` (below a header of `header_lines` lines, 0 or 1).
    pub(super) fn new(name: &str, tag: &str, start: u64, header_lines: u64, header: Bytes) -> Self {
        Self {
            name: name.to_owned(),
            tag: Arc::from(tag),
            segment_bytes: SEGMENT_BYTES,
            parts: Vec::new(),
            end: start,
            next_line: 1 + header_lines,
            header,
            cycles: SeenCycles::default(),
        }
    }

    /// The index of a file with the same header and no rows yet, which would begin at `start`.
    pub(super) fn emptied(&self, tag: &str, start: u64) -> Self {
        let header_lines = u64::from(start > 0);
        Self::new(&self.name, tag, start, header_lines, self.header.clone()).with_segment_bytes(self.segment_bytes)
    }

    /// With ranges of another size.
    pub(super) fn with_segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }

    /// Where the next row goes.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The line on which the next row stands.
    pub(super) fn next_line(&self) -> u64 {
        self.next_line
    }

    /// The header in force at the end, with its line end.
    pub(super) fn header(&self) -> &Bytes {
        &self.header
    }

    /// The oldest row's time.
    pub(super) fn earliest(&self) -> Option<DateTime<Utc>> {
        self.parts.iter().filter_map(|part| part.earliest).min()
    }

    /// The newest row's time.
    pub(super) fn latest(&self) -> Option<DateTime<Utc>> {
        self.parts.iter().filter_map(|part| part.latest).max()
    }

    /// Notes a row of `len` bytes over `lines` lines at the end.
    pub(super) fn push_row(&mut self, len: u64, lines: u64, row: &RowNote<'_>) {
        let part = self.push(len, lines);
        part.earliest = Some(part.earliest.map_or(row.timestamp, |earliest| earliest.min(row.timestamp)));
        part.latest = Some(part.latest.map_or(row.timestamp, |latest| latest.max(row.timestamp)));
        match &part.mix {
            Mix::Empty => part.mix = Mix::Only(row.environment.clone()),
            Mix::Only(only) if only != row.environment => part.mix = Mix::Several,
            Mix::Only(_) | Mix::Several => {}
        }
        if let Some(cycle_id) = row.cycle_id {
            self.cycles.insert(cycle_id, row.environment);
        }
    }

    /// Whether what comes next begins a range of its own.
    pub(super) fn is_full(&self) -> bool {
        self.parts.last().is_none_or(|part| part.len >= self.segment_bytes)
    }

    /// Notes `len` bytes over `lines` lines at the end that hold `rows` and nothing else: a whole range, or the first rows of one.
    /// Gives the range's name and identity, as they are now.
    pub(super) fn push_rows(&mut self, len: u64, lines: u64, rows: &RowsNote) -> (Arc<str>, Arc<str>) {
        for (cycle_id, environment) in &rows.cycles {
            self.cycles.insert(*cycle_id, environment);
        }
        let tag = Arc::clone(&self.tag);
        let part = self.push(len, lines);
        (part.earliest, part.latest) = (rows.earliest, rows.latest);
        part.mix = rows.mix.clone();
        (Arc::clone(&part.name), identity(&tag, part.len))
    }

    /// Notes bytes at the end that are no row: an empty or unreadable line.
    pub(super) fn push_other(&mut self, len: u64, lines: u64) {
        self.push(len, lines);
    }

    /// Notes that the last row is longer by `len` bytes: it has got its line end.
    pub(super) fn extend_last(&mut self, len: u64) {
        if let Some(part) = self.parts.last_mut() {
            part.len += len;
            self.end += len;
        }
    }

    /// Notes a header of `len` bytes in the middle: rows from here on are read by it.
    pub(super) fn push_header(&mut self, len: u64, header: Bytes) {
        self.push(len, 1);
        self.header = header;
        self.begin_part();
    }

    fn push(&mut self, len: u64, lines: u64) -> &mut Part {
        // What is larger than a range is no row: it gets a range of its own, which nobody needs to read.
        if self.parts.last().is_none_or(|part| part.len >= self.segment_bytes) || len > SEGMENT_BYTES {
            self.begin_part();
        }
        self.end += len;
        self.next_line += lines;
        let last = self.parts.len() - 1;
        let part = &mut self.parts[last];
        part.len += len;
        part
    }

    fn begin_part(&mut self) {
        if let Some(full) = self.parts.last_mut() {
            full.identity = Some(identity(&self.tag, full.len));
        }
        self.parts.push(Part {
            name: Arc::from(format!("{}@{}", self.name, self.end)),
            identity: None,
            start: self.end,
            len: 0,
            first_line: self.next_line,
            earliest: None,
            latest: None,
            mix: Mix::Empty,
            header: self.header.clone(),
        });
    }

    /// The ranges that may hold rows of `scope`, oldest first.
    pub(super) fn segments(&self, scope: &Scope) -> Vec<Segment> {
        let last = self.parts.len().saturating_sub(1);
        let within = |part: &&(usize, &Part)| part.1.is_within(scope);
        let numbered: Vec<_> = self.parts.iter().enumerate().collect();
        let mut segments: Vec<_> =
            numbered.iter().filter(within).map(|(index, part)| self.segment(part, *index == last)).collect();
        segments.sort_by_key(|segment| segment.earliest);
        segments
    }

    /// The ranges that hold rows, of a file that does not grow, in the file's order; and whether each is read by `header`.
    pub(super) fn closed_segments<'i>(&'i self, header: &'i Bytes) -> impl Iterator<Item = (Segment, bool)> + 'i {
        let filled = self.parts.iter().filter(|part| part.earliest.is_some());
        filled.map(move |part| (self.segment(part, false), part.header == *header))
    }

    fn segment(&self, part: &Part, is_open: bool) -> Segment {
        Segment {
            name: Arc::clone(&part.name),
            identity: part.identity.clone().unwrap_or_else(|| identity(&self.tag, part.len)),
            earliest: part.earliest,
            latest: part.latest.filter(|_| !is_open),
            environment: match &part.mix {
                Mix::Only(environment) => Some(environment.clone()),
                Mix::Empty | Mix::Several => None,
            },
            is_open,
            size_bytes: part.len,
            first_line: part.first_line,
        }
    }

    /// Where the rows of `segment`, as it was when it was listed, are.
    pub(super) fn range(&self, segment: &Segment) -> Result<Range, StoreError> {
        let changed = || StoreError::Changed { name: segment.name.to_string() };
        let (name, start) = segment.name.rsplit_once('@').ok_or_else(changed)?;
        let start: u64 = start.parse().map_err(|_| changed())?;
        let part = self.parts.binary_search_by_key(&start, |part| part.start).ok();
        let part = part.and_then(|at| self.parts.get(at)).filter(|part| part.len >= segment.size_bytes);
        let part = part.filter(|_| name == self.name && segment.identity == identity(&self.tag, segment.size_bytes));
        let part = part.ok_or_else(changed)?;
        Ok(Range { header: part.header.clone(), start, len: segment.size_bytes })
    }

    /// Whether a row of this cycle and environment is there; `None` where only the rows can tell.
    pub(super) fn has_cycle(&self, cycle_id: CycleId, environment: &Environment) -> Option<bool> {
        self.cycles.contains(cycle_id, environment)
    }

    /// The ranges that can hold rows of a cycle.
    pub(super) fn ranges_near(&self, cycle_id: CycleId) -> Vec<Range> {
        let from = cycle_id.scheduled() - CYCLE_SPREAD;
        let to = cycle_id.scheduled() + CYCLE_SPREAD;
        let scope = Scope { environments: None, from: Some(from), to: Some(to) };
        let near = self.parts.iter().filter(|part| part.is_within(&scope));
        near.map(|part| Range { header: part.header.clone(), start: part.start, len: part.len }).collect()
    }
}

fn identity(tag: &str, len: u64) -> Arc<str> {
    Arc::from(format!("{tag}-{len}"))
}

impl Part {
    fn is_within(&self, scope: &Scope) -> bool {
        let Some((earliest, latest)) = self.earliest.zip(self.latest) else { return false };
        scope.from.is_none_or(|from| latest >= from)
            && scope.to.is_none_or(|to| earliest < to)
            && match (&scope.environments, &self.mix) {
                (Some(asked), Mix::Only(only)) => asked.contains(only),
                _ => true,
            }
    }
}

/// The newest cycles that are there; what is older than all of them must be looked up in the rows.
#[derive(Debug, Clone, Default)]
struct SeenCycles {
    newest: BTreeSet<(CycleId, Environment)>,
    /// Cycles up to this one have been forgotten.
    forgotten: Option<CycleId>,
}

impl SeenCycles {
    /// More than a day of four environments, every minute.
    const MAX: usize = 8_192;

    fn insert(&mut self, cycle_id: CycleId, environment: &Environment) {
        if self.forgotten.is_some_and(|forgotten| cycle_id <= forgotten) {
            return;
        }
        // Rows of one cycle stand together: the newest is nearly always the one.
        let is_last = self.newest.last().is_some_and(|(id, last)| *id == cycle_id && last == environment);
        if is_last || !self.newest.insert((cycle_id, environment.clone())) {
            return;
        }
        while self.newest.len() > Self::MAX {
            self.forgotten = self.newest.pop_first().map(|(oldest, _)| oldest);
        }
    }

    fn contains(&self, cycle_id: CycleId, environment: &Environment) -> Option<bool> {
        if self.forgotten.is_some_and(|forgotten| cycle_id <= forgotten) {
            return None;
        }
        Some(self.newest.contains(&(cycle_id, environment.clone())))
    }
}
