//! Objects too large to be read: a file that somebody put there, whole, or one line without an end.

use std::sync::{Mutex, PoisonError};

use super::{bucket::Bucket, failure::Failure};
use crate::store::{Scope, Segment};

/// Records are read an object at a time, held in memory whole. Ours stay well below: an hour of 1,000 models in four environments
/// is 3.8 MB each, and what would make one larger than this goes into another.
pub(super) const MAX_OBJECT_BYTES: u64 = 64 * 1024 * 1024;

/// Most objects that are named.
const NAMED_AT_MOST: usize = 5;

/// Whether an object of this size is read.
pub(super) fn check(size_bytes: u64, at_most_bytes: u64) -> Result<(), Failure> {
    if size_bytes > at_most_bytes { Err(Failure::TooLarge { size_bytes, at_most_bytes }) } else { Ok(()) }
}

/// Those that were listed.
#[derive(Debug, Default)]
pub(super) struct TooLarge(Mutex<Vec<Segment>>);

impl TooLarge {
    /// Takes what a listing of `scope` found in place of what an earlier one had found there.
    pub(super) fn note(&self, scope: &Scope, listed: &[Segment]) {
        let is_in_scope = |segment: &Segment| {
            segment.environment.as_ref().is_none_or(|environment| scope.has(environment))
                && scope.from.is_none_or(|from| segment.latest.is_none_or(|latest| latest >= from))
                && scope.to.is_none_or(|to| segment.earliest.is_none_or(|earliest| earliest < to))
        };
        let is_large = |segment: &&Segment| check(segment.size_bytes, MAX_OBJECT_BYTES).is_err();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|segment| !is_in_scope(segment));
        known.extend(listed.iter().filter(is_large).cloned());
    }

    /// What is wrong, for [`Store::health`](crate::store::Store::health).
    pub(super) fn problems(&self, bucket: &Bucket) -> Vec<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let named = known.iter().take(NAMED_AT_MOST).filter_map(|segment| {
            let failure = check(segment.size_bytes, MAX_OBJECT_BYTES).err()?;
            Some(failure.into_error(&bucket.location(&segment.name)).to_string())
        });
        let mut problems: Vec<_> = named.collect();
        if known.len() > NAMED_AT_MOST {
            problems.push(format!("{} more objects are too large to be read", known.len() - NAMED_AT_MOST));
        }
        problems
    }
}
