//! One segment's rows in time's order, and the total order in which rows of all segments stand.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    fnv,
    record::{CycleId, Environment, Label, Record, Table, TableRow, csv},
};

/// A segment's rows, oldest first.
#[derive(Debug)]
pub(super) struct Parsed {
    table: Table,
    bytes: usize,
}

impl Parsed {
    pub(super) fn new(mut table: Table) -> Self {
        let order = in_order(&table);
        if !order.is_sorted() {
            table.reorder(&order);
        }
        let bytes = size_of::<Self>() + table.bytes();
        Self { table, bytes }
    }

    /// About how much memory it takes; never 0.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The rows not older than `from` and older than `to`.
    pub(super) fn between(&self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Range<usize> {
        let start = from.map_or(0, |from| self.first_not_before(from));
        let end = to.map_or(self.len(), |to| self.first_not_before(to));
        start..end.max(start)
    }

    fn first_not_before(&self, at: DateTime<Utc>) -> usize {
        let is_whole = at.timestamp_subsec_nanos().is_multiple_of(1_000_000);
        let at_ms = at.timestamp_millis() + i64::from(!is_whole);
        self.table.timestamps_ms().partition_point(|row_ms| *row_ms < at_ms)
    }

    /// The first row that does not stand before `position`.
    pub(super) fn first_from(&self, position: &Position) -> usize {
        self.partition_point(|row| compare_to(row, position) == Ordering::Less)
    }

    /// The first row that stands after `position`.
    pub(super) fn first_after(&self, position: &Position) -> usize {
        self.partition_point(|row| compare_to(row, position) != Ordering::Greater)
    }

    fn partition_point(&self, before: impl Fn(&TableRow<'_>) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.row(middle).is_some_and(|row| before(&row)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn row(&self, index: usize) -> Option<TableRow<'_>> {
        self.table.row(index)
    }

    /// How many of the rows `within` are of each environment.
    pub(super) fn count_by_environment(&self, within: Range<usize>) -> Vec<(Environment, u64)> {
        let mut by_label = vec![0_u64; self.labels().len()];
        for row in within.filter_map(|index| self.row(index)) {
            if let Some(count) = by_label.get_mut(row.label_number()) {
                *count += 1;
            }
        }
        let mut counts: Vec<(Environment, u64)> = Vec::new();
        for (label, count) in self.labels().iter().zip(by_label) {
            match counts.iter_mut().find(|(environment, _)| *environment == label.environment) {
                Some((_, sum)) => *sum += count,
                None => counts.push((label.environment.clone(), count)),
            }
        }
        counts
    }

    /// What rows have in common.
    pub(super) fn labels(&self) -> &[Label] {
        self.table.labels()
    }
}

/// The rows' numbers in the rows' order.
fn in_order(table: &Table) -> Vec<u32> {
    let mut by_name: Vec<usize> = (0..table.labels().len()).collect();
    let name = |number: &usize| table.labels().get(*number).map(|label| (&label.environment, &label.model_name));
    by_name.sort_by(|a, b| name(a).cmp(&name(b)));
    // Labels of one environment and model have one rank.
    let mut ranks = vec![0_u32; by_name.len()];
    let mut rank = 0;
    for (at, number) in by_name.iter().enumerate() {
        if at > 0 && by_name.get(at - 1).and_then(&name) != name(number) {
            rank += 1;
        }
        if let Some(place) = ranks.get_mut(*number) {
            *place = rank;
        }
    }
    let rows = (0..table.len()).filter_map(|index| table.row(index));
    let key = |row: TableRow<'_>| (row.timestamp_ms(), ranks.get(row.label_number()).copied().unwrap_or(0));
    let mut keyed: Vec<((i64, u32), u32)> = rows.zip(0..).map(|(row, index)| (key(row), index)).collect();
    if !keyed.is_sorted_by(|a, b| a.0 < b.0) {
        let print = |index: u32| table.row(index as usize).map(|row| fingerprint(&row));
        keyed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| print(a.1).cmp(&print(b.1))));
    }
    keyed.into_iter().map(|(_, index)| index).collect()
}

/// One row as a scan meets it.
#[derive(Debug, Clone)]
pub struct Row {
    parsed: Arc<Parsed>,
    index: usize,
    /// Which copy it is among rows that are alike in every column, counted from 1 in the scan's direction.
    copy: u32,
}

impl Row {
    pub(super) fn new(parsed: Arc<Parsed>, index: usize, copy: u32) -> Option<Self> {
        parsed.row(index)?;
        Some(Self { parsed, index, copy })
    }

    /// The row itself.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "`new` checked the index, and a parsed segment never changes"
    )]
    pub fn get(&self) -> TableRow<'_> {
        self.parsed.row(self.index).expect("the index was checked")
    }

    /// When the probe started.
    pub fn timestamp(&self) -> DateTime<Utc> {
        self.get().timestamp()
    }

    /// Where the model is used.
    pub fn environment(&self) -> &Environment {
        &self.get().label().environment
    }

    /// The model.
    pub fn model_name(&self) -> &str {
        &self.get().label().model_name
    }

    /// Whether the probe succeeded.
    pub fn is_success(&self) -> bool {
        self.get().is_success()
    }

    /// Derived instead of measured.
    pub fn is_simulated(&self) -> bool {
        self.get().label().simulated
    }

    /// The cycle that measured it.
    pub fn cycle_id(&self) -> Option<CycleId> {
        self.get().cycle_id()
    }

    /// The whole record.
    pub fn to_record(&self) -> Record {
        self.get().to_record()
    }

    /// Where a later scan in the same direction goes on after this row.
    pub fn position(&self) -> Position {
        let row = self.get();
        Position {
            timestamp: row.timestamp(),
            environment: row.label().environment.clone(),
            model_name: row.label().model_name.clone(),
            fingerprint: fingerprint(&row),
            copies: self.copy,
        }
    }

    /// Alike in every column.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        compare(&self.get(), &other.get()) == Ordering::Equal
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        compare(&self.get(), &other.get())
    }

    pub(super) fn compare_to(&self, position: &Position) -> Ordering {
        compare_to(&self.get(), position)
    }

    pub(super) fn copy(&self) -> u32 {
        self.copy
    }

    pub(super) fn with_copy(self, copy: u32) -> Self {
        Self { copy, ..self }
    }
}

/// A place between two rows, told by what stands in the rows and not by where they are stored: it stays true while rows
/// arrive and while files are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Of the last row that was read.
    pub timestamp: DateTime<Utc>,
    /// Of the last row that was read.
    pub environment: Environment,
    /// Of the last row that was read.
    pub model_name: String,
    /// Tells rows of one instant, environment and model apart.
    pub fingerprint: u64,
    /// How many rows that are alike in every column were read; at least 1.
    pub copies: u32,
}

/// The total order of rows: time, environment, model, then the rest of the columns. `Equal` only for rows alike in all.
fn compare(a: &TableRow<'_>, b: &TableRow<'_>) -> Ordering {
    a.timestamp_ms()
        .cmp(&b.timestamp_ms())
        .then_with(|| a.label().environment.cmp(&b.label().environment))
        .then_with(|| a.label().model_name.cmp(&b.label().model_name))
        .then_with(|| fingerprint(a).cmp(&fingerprint(b)))
}

/// Where `row` stands to the row that `position` was taken from.
fn compare_to(row: &TableRow<'_>, position: &Position) -> Ordering {
    row.timestamp()
        .cmp(&position.timestamp)
        .then_with(|| row.label().environment.cmp(&position.environment))
        .then_with(|| row.label().model_name.as_str().cmp(position.model_name.as_str()))
        .then_with(|| fingerprint(row).cmp(&position.fingerprint))
}

/// The hash of the row as we would write it: the same in every process. Costly, so only looked at when all else is equal.
fn fingerprint(row: &TableRow<'_>) -> u64 {
    let mut text = Vec::with_capacity(256);
    csv::encode(&row.to_record(), &mut text);
    fnv::hash(&text)
}
