//! One segment's rows in time's order, and the total order in which rows of all segments stand.

use std::{cmp::Ordering, mem::size_of, sync::Arc};

use chrono::{DateTime, Utc};

use crate::record::{CycleId, Environment, Record, csv};

/// A segment's rows, oldest first. How they are held is this file's own business: readers see [`Row`].
#[derive(Debug)]
pub(super) struct Parsed {
    records: Vec<Record>,
    bytes: usize,
}

impl Parsed {
    pub(super) fn new(mut records: Vec<Record>) -> Self {
        records.sort_by(compare);
        records.shrink_to_fit();
        let bytes = size_of::<Self>() + records.iter().map(estimate_bytes).sum::<usize>();
        Self { records, bytes }
    }

    /// About how much memory it takes; never 0.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first index whose row does not satisfy `before`; rows are sorted.
    pub(super) fn partition_point(&self, before: impl Fn(&Record) -> bool) -> usize {
        self.records.partition_point(before)
    }

    /// The rows not older than `from` and older than `to`, oldest first.
    pub(super) fn between(&self, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> &[Record] {
        let start = from.map_or(0, |from| self.partition_point(|row| row.timestamp < from));
        let end = to.map_or(self.records.len(), |to| self.partition_point(|row| row.timestamp < to));
        self.records.get(start..end).unwrap_or_default()
    }

    pub(super) fn get(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }
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
        parsed.get(index)?;
        Some(Self { parsed, index, copy })
    }

    #[expect(clippy::indexing_slicing, reason = "`new` checked the index, and a parsed segment never changes")]
    fn record(&self) -> &Record {
        &self.parsed.records[self.index]
    }

    /// When the probe started.
    pub fn timestamp(&self) -> DateTime<Utc> {
        self.record().timestamp
    }

    /// Where the model is used.
    pub fn environment(&self) -> &Environment {
        &self.record().environment
    }

    /// The model.
    pub fn model_name(&self) -> &str {
        &self.record().model_name
    }

    /// Whether the probe succeeded.
    pub fn is_success(&self) -> bool {
        self.record().is_success()
    }

    /// The cycle that measured it.
    pub fn cycle_id(&self) -> Option<CycleId> {
        self.record().cycle_id
    }

    /// The whole record.
    pub fn to_record(&self) -> Record {
        self.record().clone()
    }

    /// Where a later scan in the same direction goes on after this row.
    pub fn position(&self) -> Position {
        let record = self.record();
        Position {
            timestamp: record.timestamp,
            environment: record.environment.clone(),
            model_name: record.model_name.clone(),
            fingerprint: fingerprint(record),
            copies: self.copy,
        }
    }

    /// Alike in every column.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        compare(self.record(), other.record()) == Ordering::Equal
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        compare(self.record(), other.record())
    }

    pub(super) fn compare_to(&self, position: &Position) -> Ordering {
        compare_to(self.record(), position)
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
fn compare(a: &Record, b: &Record) -> Ordering {
    a.timestamp
        .cmp(&b.timestamp)
        .then_with(|| a.environment.cmp(&b.environment))
        .then_with(|| a.model_name.cmp(&b.model_name))
        .then_with(|| fingerprint(a).cmp(&fingerprint(b)))
}

/// Where `record` stands to the row that `position` was taken from.
pub(super) fn compare_to(record: &Record, position: &Position) -> Ordering {
    record
        .timestamp
        .cmp(&position.timestamp)
        .then_with(|| record.environment.cmp(&position.environment))
        .then_with(|| record.model_name.as_str().cmp(position.model_name.as_str()))
        .then_with(|| fingerprint(record).cmp(&position.fingerprint))
}

/// FNV-1a over the row as we would write it: the same in every process and on every platform. Costly, so only looked at
/// when all else is equal.
fn fingerprint(record: &Record) -> u64 {
    let mut row = Vec::with_capacity(256);
    csv::encode(record, &mut row);
    row.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn estimate_bytes(record: &Record) -> usize {
    let texts = [&record.provider, &record.location, &record.served_model, &record.finish_reason];
    let texts_bytes: usize = texts.into_iter().flatten().map(String::capacity).sum();
    let message_bytes = record.error_message().map_or(0, str::len);
    // 16 bytes of an allocator's overhead for each text.
    size_of::<Record>() + record.model_name.capacity() + texts_bytes + message_bytes + 5 * 16
}
