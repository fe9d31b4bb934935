//! Which field of a row is which column: by the header's names, and for rows of another age under an older header by shape.

use std::borrow::Cow;

use super::{COLUMNS, split::Bounds};
use crate::record::Metric;

/// The columns that we know; in the order of [`COLUMNS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    ModelName,
    Environment,
    Timestamp,
    LatencyMs,
    InputTokens,
    OutputTokens,
    Cost,
    ContextWindow,
    IsCloud,
    Status,
    CycleId,
    Provider,
    Simulated,
    Location,
    StartDelayMs,
    ConnectMs,
    TtftMs,
    TtfaMs,
    TpotMs,
    MaxGapMs,
    CachedInputTokens,
    ReasoningTokens,
    TokenSource,
    HttpStatus,
    ErrorKind,
    ErrorMessage,
    ServedModel,
    FinishReason,
    DnsMs,
    TlsMs,
    TtfbMs,
    ClientDelayMs,
    LoadMs,
}

impl Column {
    /// Every column, in the order of [`COLUMNS`].
    pub(crate) const ALL: [Self; COLUMNS.len()] = [
        Self::ModelName,
        Self::Environment,
        Self::Timestamp,
        Self::LatencyMs,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Cost,
        Self::ContextWindow,
        Self::IsCloud,
        Self::Status,
        Self::CycleId,
        Self::Provider,
        Self::Simulated,
        Self::Location,
        Self::StartDelayMs,
        Self::ConnectMs,
        Self::TtftMs,
        Self::TtfaMs,
        Self::TpotMs,
        Self::MaxGapMs,
        Self::CachedInputTokens,
        Self::ReasoningTokens,
        Self::TokenSource,
        Self::HttpStatus,
        Self::ErrorKind,
        Self::ErrorMessage,
        Self::ServedModel,
        Self::FinishReason,
        Self::DnsMs,
        Self::TlsMs,
        Self::TtfbMs,
        Self::ClientDelayMs,
        Self::LoadMs,
    ];

    /// The column's name in the header.
    pub(crate) fn name(self) -> &'static str {
        COLUMNS.get(self as usize).copied().unwrap_or_default()
    }

    /// Where `metric` stands.
    pub(super) fn of_metric(metric: Metric) -> Self {
        match metric {
            Metric::LatencyMs => Self::LatencyMs,
            Metric::TtftMs => Self::TtftMs,
            Metric::TtfaMs => Self::TtfaMs,
            Metric::TpotMs => Self::TpotMs,
            Metric::ConnectMs => Self::ConnectMs,
            Metric::DnsMs => Self::DnsMs,
            Metric::TlsMs => Self::TlsMs,
            Metric::TtfbMs => Self::TtfbMs,
            Metric::MaxGapMs => Self::MaxGapMs,
            Metric::StartDelayMs => Self::StartDelayMs,
            Metric::ClientDelayMs => Self::ClientDelayMs,
            Metric::LoadMs => Self::LoadMs,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// Columns of the predecessor's oldest files. `None`: `arena_score`, which is the catalog's today.
const OLDEST: [Option<Column>; 9] = [
    Some(Column::ModelName),
    Some(Column::Timestamp),
    Some(Column::LatencyMs),
    Some(Column::InputTokens),
    Some(Column::OutputTokens),
    Some(Column::Cost),
    None,
    Some(Column::ContextWindow),
    Some(Column::IsCloud),
];

/// How many fields the rows of each past and present version have, from the one with an environment on. All are the first
/// so many of [`COLUMNS`].
const LENGTHS: [usize; 2] = [10, COLUMNS.len()];

/// The columns of a file in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Where each column stands; [`ABSENT`] where it does not.
    positions: [u16; COLUMNS.len()],
    /// How many fields a row has.
    len: usize,
    /// Begins as the predecessor's files and ours do, so that rows of all their ages may follow.
    is_family: bool,
}

const ABSENT: u16 = u16::MAX;

impl Default for Layout {
    /// The files that we write.
    fn default() -> Self {
        Self::of_columns(Column::ALL.into_iter().map(Some))
    }
}

impl Layout {
    fn of_columns(columns: impl Iterator<Item = Option<Column>>) -> Self {
        let mut layout = Self { positions: [ABSENT; COLUMNS.len()], len: 0, is_family: false };
        for column in columns {
            let place = column.and_then(|column| layout.positions.get_mut(column as usize));
            if let Some(place) = place
                && *place == ABSENT
                && layout.len < usize::from(ABSENT)
            {
                *place = layout.len as u16;
            }
            layout.len += 1;
        }
        layout.is_family = layout.position(Column::ModelName) == Some(0)
            && (layout.has_environment_second() || layout.has_time_second());
        layout
    }

    /// The predecessor's oldest files.
    fn oldest() -> Self {
        Self::of_columns(OLDEST.into_iter())
    }

    /// The first `len` of our columns.
    fn first(len: usize) -> Self {
        Self::of_columns(Column::ALL.into_iter().take(len).map(Some))
    }

    /// The layout that the row `line` announces, if it is a header: it names at least a model and a time.
    pub(crate) fn of_header(line: &[u8], bounds: &[Bounds]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let names = || bounds.iter().map(|&bounds| Column::named(field(line, bounds).trim()));
        let is_header = names().any(|column| column == Some(Column::ModelName))
            && names().any(|column| column == Some(Column::Timestamp));
        is_header.then(|| Self::of_columns(names()))
    }

    /// How many fields a row has.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether every column that we write has its place.
    pub(crate) fn is_complete(&self) -> bool {
        self.positions.iter().all(|position| *position != ABSENT)
    }

    /// The columns in the file's order; `None` for one that we don't know.
    pub(crate) fn columns(&self) -> impl Iterator<Item = Option<Column>> {
        let mut columns = vec![None; self.len];
        for column in Column::ALL {
            if let Some(slot) = self.position(column).and_then(|position| columns.get_mut(position)) {
                *slot = Some(column);
            }
        }
        columns.into_iter()
    }

    /// Where `column` stands.
    #[inline]
    pub(crate) fn position(&self, column: Column) -> Option<usize> {
        self.positions
            .get(column as usize)
            .filter(|position| **position != ABSENT)
            .map(|position| usize::from(*position))
    }

    fn has_environment_second(&self) -> bool {
        self.position(Column::Environment) == Some(1)
    }

    fn has_time_second(&self) -> bool {
        self.position(Column::Timestamp) == Some(1)
    }

    /// Whether a row of `len` fields whose second is `second` is one of this layout.
    pub(crate) fn fits(&self, len: usize, second: &str) -> bool {
        len == self.len && (!self.is_family || is_time(second) == self.has_time_second())
    }

    /// The layout of a row that does not fit the header: the predecessor's files, and ours, hold rows of several ages.
    pub(crate) fn by_shape(&self, len: usize, second: &str) -> Option<Self> {
        if !self.is_family {
            None
        } else if is_time(second) {
            (len == OLDEST.len()).then(Self::oldest)
        } else {
            LENGTHS.contains(&len).then(|| Self::first(len))
        }
    }
}

/// Tells a timestamp from an environment's name, which never holds a colon.
fn is_time(text: &str) -> bool {
    text.contains(':')
}

/// The text of the field at `bounds`, its quotes taken off.
#[inline]
pub(super) fn field(line: &str, (start, end): Bounds) -> Cow<'_, str> {
    let raw = line.get(start as usize..end as usize).unwrap_or_default();
    let Some(inner) = raw.strip_prefix('"') else { return Cow::Borrowed(raw) };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    if inner.contains('"') { Cow::Owned(inner.replace("\"\"", "\"")) } else { Cow::Borrowed(inner) }
}
