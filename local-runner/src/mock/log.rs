//! What the mock was asked: for tests, and to number the requests that draw the answers.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::http::{HeaderMap, HeaderName, Method};
use bytes::Bytes;

/// How many requests are remembered; a demo runs for days.
const KEPT: usize = 1_000;

/// One LLM request, as it came.
#[derive(Clone)]
pub struct Seen {
    /// From the path; `dev` on a bare one.
    pub environment: String,
    /// The usage endpoint's name of the model; `None` for a refused request.
    pub model: Option<String>,
    /// Always POST.
    pub method: Method,
    /// Without the query.
    pub path: String,
    /// All of them, keys included: not for printing, and `Debug` leaves the values out.
    pub headers: HeaderMap,
    /// The request's JSON.
    pub body: Bytes,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Seen")
            .field("environment", &self.environment)
            .field("model", &self.model)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

#[derive(Debug, Default)]
pub(super) struct Log {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seen: VecDeque<Seen>,
    answered: HashMap<(String, String), u64>,
}

impl Log {
    pub(super) fn push(&self, seen: Seen) {
        let mut inner = self.lock();
        if inner.seen.len() == KEPT {
            inner.seen.pop_front();
        }
        inner.seen.push_back(seen);
    }

    /// The number, from 1, of the next request to `model` in `environment`.
    pub(super) fn number(&self, environment: &str, model: &str) -> u64 {
        let mut inner = self.lock();
        let count = inner.answered.entry((environment.to_owned(), model.to_owned())).or_default();
        *count += 1;
        *count
    }

    pub(super) fn count(&self, environment: &str, model: &str) -> u64 {
        self.lock().answered.get(&(environment.to_owned(), model.to_owned())).copied().unwrap_or(0)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is left half done under this lock, so a poisoned one is as good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
