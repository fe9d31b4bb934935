//! A store whose reading can be made to fail.

use std::{
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use chrono::NaiveDate;

use super::*;
use crate::store::{AppendReport, KeptRollup, Segment, StoreError, StoreHealth};

/// What happens to whoever lists or reads segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The store cannot be reached.
    Unavailable,
    /// No answer ever comes.
    Hangs,
    /// A fault of ours.
    Panics,
    /// The same, at the second listing: a scan lists a day or so first, and the rest when it gets there.
    PanicsLater,
}

/// A memory store with a fault.
#[derive(Debug)]
pub(super) struct Faulty {
    store: Arc<MemoryStore>,
    fault: Mutex<Fault>,
    /// How many listings were asked for.
    pub(super) lists: AtomicUsize,
}

impl Faulty {
    pub(super) fn new(store: &Arc<MemoryStore>, fault: Fault) -> Arc<Self> {
        Arc::new(Self { store: Arc::clone(store), fault: Mutex::new(fault), lists: AtomicUsize::new(0) })
    }

    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// The API of `monitor`, over this store.
    pub(super) fn api(self: &Arc<Self>, monitor: &Monitor) -> Api {
        let store = Arc::clone(self) as Arc<dyn Store>;
        let history = Arc::new(History::new(Arc::clone(&store), DEFAULT_CACHE_BYTES));
        Api { history, ..monitor.api_over(store) }
    }

    async fn pass(&self) -> Result<(), StoreError> {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Fault::None | Fault::PanicsLater => Ok(()),
            Fault::Unavailable => {
                Err(StoreError::Unavailable { location: "bucket".to_owned(), problem: "gone".to_owned() })
            }
            Fault::Hangs => pending().await,
            Fault::Panics => panic!("a fault of ours"),
        }
    }
}

#[async_trait::async_trait]
impl Store for Faulty {
    async fn segments(&self, scope: &crate::store::Scope) -> Result<Vec<Segment>, StoreError> {
        let is_first = self.lists.fetch_add(1, Ordering::SeqCst) == 0;
        assert!(is_first || *self.fault.lock().unwrap() != Fault::PanicsLater, "a fault of ours");
        self.pass().await?;
        self.store.segments(scope).await
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        self.pass().await?;
        self.store.read(segment).await
    }

    async fn append(&self, batch: &Batch) -> AppendReport {
        self.store.append(batch).await
    }

    async fn append_usage(&self, e: &Environment, d: NaiveDate, h: &str, rows: Bytes) -> Result<(), StoreError> {
        self.store.append_usage(e, d, h, rows).await
    }

    async fn read_usage(&self, e: &Environment, d: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        self.store.read_usage(e, d).await
    }

    async fn save_catalog(&self, e: &Environment, json: Bytes) -> Result<(), StoreError> {
        self.store.save_catalog(e, json).await
    }

    async fn load_catalog(&self, e: &Environment) -> Result<Option<Bytes>, StoreError> {
        self.store.load_catalog(e).await
    }

    async fn load_rollup(&self, e: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        self.store.load_rollup(e, day).await
    }

    async fn health(&self) -> StoreHealth {
        self.store.health().await
    }
}
