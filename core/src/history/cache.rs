//! Parsed segments by name and identity: bounded, least recently used out first, one read for all who wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::parsed::Parsed;
use crate::store::{Segment, StoreError};

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
    cell: Arc<OnceCell<Arc<Parsed>>>,
    /// 0 until parsed.
    bytes: usize,
    last_used: u64,
}

impl Cache {
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, slots: Mutex::default() }
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
        let cell = self.lock().cell(segment);
        let result = cell.get_or_try_init(|| async { load().await.map(Arc::new) }).await.cloned();
        let mut slots = self.lock();
        match &result {
            Ok(parsed) => slots.keep(segment, &cell, parsed.bytes(), self.limit_bytes),
            Err(_) => slots.forget_failed(segment, &cell),
        }
        result
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
    fn cell(&mut self, segment: &Segment) -> Arc<OnceCell<Arc<Parsed>>> {
        self.clock += 1;
        if let Some(slot) = self.by_name.get_mut(&segment.name).filter(|slot| slot.identity == segment.identity) {
            slot.last_used = self.clock;
            return Arc::clone(&slot.cell);
        }
        let cell = Arc::new(OnceCell::new());
        let slot =
            Slot { identity: Arc::clone(&segment.identity), cell: Arc::clone(&cell), bytes: 0, last_used: self.clock };
        if let Some(old) = self.by_name.insert(Arc::clone(&segment.name), slot) {
            self.bytes -= old.bytes;
        }
        cell
    }

    /// Counts a parsed segment, once, and makes room for it.
    fn keep(&mut self, segment: &Segment, cell: &Arc<OnceCell<Arc<Parsed>>>, bytes: usize, limit_bytes: usize) {
        let Some(slot) = self.by_name.get_mut(&segment.name).filter(|slot| Arc::ptr_eq(&slot.cell, cell)) else {
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

    fn forget_failed(&mut self, segment: &Segment, cell: &Arc<OnceCell<Arc<Parsed>>>) {
        if self.by_name.get(&segment.name).is_some_and(|slot| Arc::ptr_eq(&slot.cell, cell) && !cell.initialized()) {
            self.by_name.remove(&segment.name);
        }
    }
}
