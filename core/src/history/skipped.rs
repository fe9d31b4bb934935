//! Rows that could not be read: counted once, named once in the log.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{record::csv::RowProblems, store::Segment};

/// Most rows that are named in the log for one reading of a segment; the rest are only counted.
const NAMED_AT_MOST: usize = 20;

/// By segment, as a growing segment is read again with all its earlier bad rows. Only segments with bad rows have an entry.
#[derive(Debug, Default)]
pub(super) struct SkippedRows(Mutex<HashMap<Arc<str>, InSegment>>);

#[derive(Debug, Clone, Copy)]
struct InSegment {
    rows: u64,
    logged_through_line: u64,
}

impl SkippedRows {
    /// Takes what one reading of `segment` met in place of what an earlier reading of it had met.
    pub(super) fn note(&self, segment: &Segment, problems: &RowProblems) {
        let mut segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.count == 0 {
            segments.remove(&segment.name);
            return;
        }
        let logged_through_line = segments.get(&segment.name).map_or(0, |before| before.logged_through_line);
        let logged = logged_through_line.max(problems.last_line);
        segments.insert(Arc::clone(&segment.name), InSegment { rows: problems.count, logged_through_line: logged });
        drop(segments);

        let fresh = problems.first.iter().filter(|problem| problem.line > logged_through_line);
        for problem in fresh.take(NAMED_AT_MOST) {
            let (segment, line, reason) = (&*segment.name, problem.line, &*problem.reason);
            tracing::warn!(segment, line, reason, "skipped a row that cannot be read: {segment} line {line}: {reason}");
        }
    }

    /// The segments with the most of them, at most `at_most`, and how many each has.
    pub(super) fn worst(&self, at_most: usize) -> Vec<(Arc<str>, u64)> {
        let segments = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut worst: Vec<_> = segments.iter().map(|(name, segment)| (Arc::clone(name), segment.rows)).collect();
        drop(segments);
        worst.sort_unstable_by(|(name, rows), (other, others)| others.cmp(rows).then_with(|| name.cmp(other)));
        worst.truncate(at_most);
        worst
    }

    pub(super) fn total(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|segment| segment.rows).sum()
    }
}
