//! What the store holds, parsed once and read in time's order.
//!
//! Segments are parsed when a reader reaches them, never before, and kept by their identity: a closed one is not read again
//! while it is kept. Memory is bounded by what the constructor is given.

mod cache;
mod fold;
mod parsed;
mod rollup;
mod scan;
mod skip;
mod skipped;

#[cfg(test)]
pub(crate) mod tests;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::{OnceCell, Semaphore};

use crate::{
    record::{Environment, csv},
    store::{Scope, Segment, Store, StoreError},
};

pub use fold::{Collect, EXACT_UP_TO, FoldError, Rows};
pub use parsed::{Position, Row};
pub use rollup::{
    Cell, Counts, Grain, KeptValues, Last, PackedBins, Phases, RELATIVE_ERROR, SeriesName, Values, bin_of,
    is_intact_rollup, value_of,
};
pub use scan::{Direction, RowFilter, Scan};

use cache::{Cache, Kept};
use parsed::Parsed;
use scan::Window;
use skip::RowCounts;
use skipped::SkippedRows;

/// How many bytes of parsed segments are kept, unless said otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// CSV larger than this is parsed off the threads that serve requests.
const PARSE_INLINE_BYTES: usize = 64 * 1024;

/// Segments from this size on are read in pieces, if the store divides them.
const DIVIDED_BYTES: u64 = 2 * 1024 * 1024;

/// Segments that one thread brings into order before it asks for more.
const ADOPTED_AT_ONCE: usize = 16;

/// Segments that are parsed at the same time: more would only take memory from each other.
const PARSED_AT_ONCE: usize = 4;

/// Reads a store's records in time's order.
#[derive(Debug)]
pub struct History {
    store: Arc<dyn Store>,
    cache: Cache,
    skipped: SkippedRows,
    parsing: Semaphore,
    counts: RowCounts,
    /// Days whose rollups are made at the same time.
    rolling: Semaphore,
    /// Environments whose rollups were made here.
    rolled: Mutex<BTreeSet<Environment>>,
    /// What the store had decoded already was taken over.
    adopted: OnceCell<()>,
}

impl History {
    /// Over `store`, keeping at most about `cache_bytes` of parsed segments (an estimate). What a running scan holds comes
    /// on top: the segments it is in the middle of.
    pub fn new(store: Arc<dyn Store>, cache_bytes: usize) -> Self {
        Self {
            store,
            cache: Cache::new(cache_bytes),
            skipped: SkippedRows::default(),
            parsing: Semaphore::new(PARSED_AT_ONCE),
            counts: RowCounts::default(),
            rolling: Semaphore::new(1),
            rolled: Mutex::default(),
            adopted: OnceCell::new(),
        }
    }

    /// Starts reading the rows of `scope` in `direction`, after `position` where one is given. Nothing is read before
    /// [`Scan::next`] asks for it.
    pub fn scan(&self, scope: Scope, direction: Direction, position: Option<Position>) -> Scan<'_> {
        Scan::new(self, scope, direction, position)
    }

    /// How many rows could not be read in the segments read so far; a row counts once, however often it is met.
    pub fn skipped_rows(&self) -> u64 {
        self.skipped.total()
    }

    /// In which segments they are: those with the most, at most `at_most`, and how many each has.
    pub fn most_skipped(&self, at_most: usize) -> Vec<(Arc<str>, u64)> {
        self.skipped.worst(at_most)
    }

    /// The segments that may hold rows of `scope`.
    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        self.adopted.get_or_init(|| self.adopt()).await;
        self.store.segments(scope).await
    }

    /// Keeps what the store has decoded already, the newest at last: what there is no room for are the oldest.
    async fn adopt(&self) {
        let mut decoded = self.store.take_decoded().await;
        let mut sorted = Vec::new();
        while !decoded.is_empty() {
            let behind = decoded.split_off(decoded.len().min(ADOPTED_AT_ONCE));
            let some = std::mem::replace(&mut decoded, behind);
            let sort = || some.into_iter().map(|(segment, table)| (segment, Parsed::new(table))).collect::<Vec<_>>();
            sorted.push(tokio::task::spawn_blocking(sort));
        }
        for some in sorted {
            for (segment, parsed) in some.await.unwrap_or_default() {
                self.counts.note(&segment, &parsed);
                self.cache.hold(&segment.name, &segment.identity, Kept::Rows(Arc::new(parsed)));
            }
        }
    }

    /// Whether `segment` is better read in pieces.
    fn is_large(segment: &Segment) -> bool {
        segment.size_bytes >= DIVIDED_BYTES
    }

    /// `segments` in the pieces in which they are read: themselves, unless they are large. Pieces outside of `window` are left
    /// out.
    async fn divided(&self, segments: Vec<Segment>, window: Window) -> Result<Vec<Segment>, StoreError> {
        let mut divided = Vec::with_capacity(segments.len());
        for segment in segments {
            if Self::is_large(&segment) {
                divided.extend(self.store.parts(&segment).await?.into_iter().filter(|part| window.overlaps(part)));
            } else {
                divided.push(segment);
            }
        }
        Ok(divided)
    }

    fn rolled(&self) -> MutexGuard<'_, BTreeSet<Environment>> {
        self.rolled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment's rows. Concurrent callers for one segment share one read.
    async fn load(&self, segment: &Segment) -> Result<Arc<Parsed>, StoreError> {
        self.cache.get_or_load(segment, || self.parse(segment)).await
    }

    /// The same for a reader that goes through many segments once: what is not kept already is not kept for it, so that it
    /// neither takes memory nor drives out what others ask for again.
    async fn load_once(&self, segment: &Segment) -> Result<Arc<Parsed>, StoreError> {
        match self.cache.held(&segment.name, &segment.identity) {
            Some(Kept::Rows(parsed)) => Ok(parsed),
            _ => self.parse(segment).await.map(Arc::new),
        }
    }

    async fn parse(&self, segment: &Segment) -> Result<Parsed, StoreError> {
        let bytes = match self.store.read(segment).await {
            // The store's health says so; the rest is worth having.
            Err(StoreError::TooLarge { .. }) => Bytes::new(),
            read => read?,
        };
        let first_line = segment.first_line;
        let decode = move || {
            let (table, problems) = csv::decode_table(&bytes, first_line);
            (Parsed::new(table), problems)
        };
        let (parsed, problems) = if segment.size_bytes as usize <= PARSE_INLINE_BYTES {
            decode()
        } else {
            // Never closed, so a permit always comes.
            let _turn = self.parsing.acquire().await.ok();
            tokio::task::spawn_blocking(decode).await.map_err(|e| StoreError::Unavailable {
                location: segment.name.to_string(),
                problem: format!("could not be parsed: {e}"),
            })?
        };
        self.skipped.note(segment, &problems);
        self.counts.note(segment, &parsed);
        Ok(parsed)
    }
}
