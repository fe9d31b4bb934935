//! Parsed segments and rollups by name and identity: bounded, least recently used out first, one read for all who wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::{
    parsed::Parsed,
    rollup::{DayCounts, DayValues},
};
use crate::store::{Segment, StoreError};

/// What is kept.
#[derive(Debug, Clone)]
pub(super) enum Kept {
    /// A segment's rows.
    Rows(Arc<Parsed>),
    /// A day's counts.
    Counts(Arc<DayCounts>),
    /// One of a day's durations.
    Values(Arc<DayValues>),
}

impl Kept {
    fn bytes(&self) -> usize {
        // 128 for the entry itself.
        128 + match self {
            Self::Rows(parsed) => parsed.bytes(),
            Self::Counts(counts) => counts.bytes(),
            Self::Values(values) => values.bytes(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Cache {
    limit_bytes: usize,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    by_name: HashMap<Arc<str>, Slot>,
    bytes: usize,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    identity: Arc<str>,
    cell: Arc<OnceCell<Kept>>,
    /// 0 until parsed.
    bytes: usize,
    last_used: u64,
}

impl Cache {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, slots: Mutex::default() }
    }

    pub(super) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// What is kept for `segment`, else what `load` gives. A failure is not kept: the next caller tries again.
    pub(super) async fn get_or_load<F>(
        &self,
        segment: &Segment,
        load: impl FnOnce() -> F,
    ) -> Result<Arc<Parsed>, StoreError>
    where
        F: Future<Output = Result<Parsed, StoreError>>,
    {
        let cell = self.lock().cell(&segment.name, &segment.identity);
        let load = || async { load().await.map(|parsed| Kept::Rows(Arc::new(parsed))) };
        let result = cell.get_or_try_init(load).await.cloned();
        let mut slots = self.lock();
        match result {
            Ok(kept) => {
                slots.keep(&segment.name, &cell, kept.bytes(), self.limit_bytes);
                match kept {
                    Kept::Rows(parsed) => Ok(parsed),
                    // No segment has the name of a rollup.
                    Kept::Counts(_) | Kept::Values(_) => Err(StoreError::Changed { name: segment.name.to_string() }),
                }
            }
            Err(error) => {
                slots.forget_failed(&segment.name, &cell);
                Err(error)
            }
        }
    }

    /// What is kept under `name`, if it is `identity`.
    pub(super) fn held(&self, name: &Arc<str>, identity: &str) -> Option<Kept> {
        let mut slots = self.lock();
        slots.clock += 1;
        let clock = slots.clock;
        let slot = slots.by_name.get_mut(name).filter(|slot| &*slot.identity == identity)?;
        slot.last_used = clock;
        slot.cell.get().cloned()
    }

    /// Keeps `kept` under `name`.
    pub(super) fn hold(&self, name: &Arc<str>, identity: &Arc<str>, kept: Kept) {
        let bytes = kept.bytes();
        let mut slots = self.lock();
        let cell = slots.cell(name, identity);
        if cell.set(kept).is_ok() {
            slots.keep(name, &cell, bytes, self.limit_bytes);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }
}

impl Slots {
    /// The cell to wait on; an older identity of the same segment makes room at once.
    fn cell(&mut self, name: &Arc<str>, identity: &Arc<str>) -> Arc<OnceCell<Kept>> {
        self.clock += 1;
        if let Some(slot) = self.by_name.get_mut(name).filter(|slot| slot.identity == *identity) {
            slot.last_used = self.clock;
            return Arc::clone(&slot.cell);
        }
        let cell = Arc::new(OnceCell::new());
        let slot = Slot { identity: Arc::clone(identity), cell: Arc::clone(&cell), bytes: 0, last_used: self.clock };
        if let Some(old) = self.by_name.insert(Arc::clone(name), slot) {
            self.bytes -= old.bytes;
        }
        cell
    }

    /// Counts a parsed segment, once, and makes room for it.
    fn keep(&mut self, name: &Arc<str>, cell: &Arc<OnceCell<Kept>>, bytes: usize, limit_bytes: usize) {
        let Some(slot) = self.by_name.get_mut(name).filter(|slot| Arc::ptr_eq(&slot.cell, cell)) else {
            return;
        };
        if slot.bytes == 0 {
            slot.bytes = bytes;
            self.bytes += bytes;
        }
        while self.bytes > limit_bytes {
            let oldest = self.by_name.iter().min_by_key(|(_, slot)| slot.last_used).map(|(name, _)| Arc::clone(name));
            let Some(evicted) = oldest.and_then(|name| self.by_name.remove(&name)) else { return };
            self.bytes -= evicted.bytes;
        }
    }

    fn forget_failed(&mut self, name: &Arc<str>, cell: &Arc<OnceCell<Kept>>) {
        if self.by_name.get(name).is_some_and(|slot| Arc::ptr_eq(&slot.cell, cell) && !cell.initialized()) {
            self.by_name.remove(name);
        }
    }
}
