//! Records as CSV objects in S3, or in anything that speaks its protocol.
//!
//! Each environment, hour and writer has one object. It grows by compare-and-swap: read it with its ETag, add the rows, put
//! the whole in its place under the condition that it is still the same. What comes long after its hour, and everything on a
//! server that ignores conditions, goes into an object of its own whose name makes a repeat harmless.

mod appending;
mod bucket;
mod client;
mod copy;
mod failure;
mod large;
mod layout;
mod listing;
mod options;
mod proof;
mod retry;
mod rows;
mod swap;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use futures_util::future::join_all;
use tokio::sync::OnceCell;
use tracing::{info, warn};

pub use self::options::{AppendMode, Encryption, S3Options};
use self::{
    appending::Appending,
    bucket::{Bucket, Condition},
    failure::{Failed, Failure},
    large::{MAX_OBJECT_BYTES, TooLarge},
    layout::{Hour, Keys},
    retry::{Deadline, Retries},
    rows::Added,
    swap::{Conditions, Created},
};
use super::{AppendReport, Appended, Batch, KeptRollup, Scope, Segment, Store, StoreError, StoreHealth};
use crate::record::{CycleId, Environment, Record};

/// How long listing or reading may take, retries included.
const READ_BUDGET: Duration = Duration::from_secs(20);

/// A [`Store`] in an S3 bucket. Making one sends nothing: the client is made, and the server put to the proof, on first use.
///
/// Rows of a cycle are all or nothing in each environment. Rows of no cycle are so in each hour of their timestamps.
#[derive(Debug)]
pub struct S3Store {
    bucket: Bucket,
    keys: Keys,
    location: String,
    append: AppendMode,
    append_budget_ms: AtomicU64,
    /// How this server is appended to, once it is known.
    appending: OnceCell<Appending>,
    /// Why the last request that failed did; `None` when the last one did not.
    problem: Mutex<Option<String>>,
    too_large: TooLarge,
    clock: fn() -> DateTime<Utc>,
}

/// Rows for one object.
#[derive(Debug)]
struct Share<'a> {
    hour: Hour,
    cycle_id: Option<CycleId>,
    records: Vec<&'a Record>,
}

impl S3Store {
    /// A store by `options`.
    pub fn new(options: S3Options) -> Self {
        let keys = Keys::new(&options.prefix, &options.writer);
        let location = format!("s3://{}/{}", options.bucket, options.prefix.trim_matches('/'));
        Self {
            bucket: Bucket::new(options.bucket, options.access, options.encryption),
            keys,
            location,
            append: options.append,
            append_budget_ms: AtomicU64::new(millis(options.append_budget)),
            appending: OnceCell::new(),
            problem: Mutex::default(),
            too_large: TooLarge::default(),
            clock: Utc::now,
        }
    }

    /// With another clock, which says what hours are closed.
    #[must_use]
    pub fn with_clock(mut self, clock: fn() -> DateTime<Utc>) -> Self {
        self.clock = clock;
        self
    }

    /// From now on an append may take this long, retries included: what a function that is about to be stopped has left.
    pub fn set_append_budget(&self, budget: Duration) {
        self.append_budget_ms.store(millis(budget), Ordering::Relaxed);
    }

    fn write_deadline(&self) -> Deadline {
        Deadline::after(Duration::from_millis(self.append_budget_ms.load(Ordering::Relaxed)))
    }

    async fn appending(&self) -> Result<Appending, StoreError> {
        self.appending.get_or_try_init(|| self.find_appending()).await.copied()
    }

    async fn find_appending(&self) -> Result<Appending, StoreError> {
        let appending = match self.append {
            AppendMode::Swap => Appending::Swap(Conditions::Quoted),
            AppendMode::Objects => Appending::Objects { knows_new: false },
            AppendMode::Auto => {
                let found = proof::prove(&self.bucket, &self.keys).await;
                let found = found.map_err(|failure| failure.into_error(&self.location))?;
                Appending::by(found)
            }
        };
        let (location, finding) = (&self.location, appending.describe(self.append));
        if self.append == AppendMode::Auto && matches!(appending, Appending::Objects { .. }) {
            warn!(location, finding, "{location}: {finding}");
        } else {
            info!(location, finding, "{location}: {finding}");
        }
        Ok(appending)
    }

    async fn append_environment(&self, shares: Vec<Share<'_>>, deadline: &Deadline) -> Result<Appended, StoreError> {
        let appending = self.appending().await?;
        let (mut written, mut is_any_new) = (0, false);
        for share in shares {
            if self.append_share(&share, appending, deadline).await? == Added::Written {
                written += share.records.len();
                is_any_new = true;
            }
        }
        Ok(if is_any_new { Appended::Written { rows: written } } else { Appended::AlreadyThere })
    }

    async fn append_share(
        &self,
        share: &Share<'_>,
        appending: Appending,
        deadline: &Deadline,
    ) -> Result<Added, StoreError> {
        let conditions = match appending {
            Appending::Objects { knows_new } => return self.append_alone(share, knows_new, deadline).await,
            Appending::Swap(conditions) => conditions,
        };
        let Share { hour, cycle_id, records } = share;
        let environment = &hour.environment;
        let key = if cycle_id.is_some() { self.keys.cycles(hour) } else { self.keys.others(hour) };
        if cycle_id.is_some() && hour.is_closed_to_writers((self.clock)()) {
            // The cycle may have been written in time, and be delivered once more now.
            let shared = match self.get(&key, deadline).await {
                // We never let an object grow so large, so no row in it is ours.
                Err(StoreError::TooLarge { .. }) => None,
                shared => shared?,
            };
            let is_there = shared.zip(*cycle_id).is_some_and(|(body, id)| rows::has_cycle(&body, id, environment));
            return if is_there { Ok(Added::AlreadyThere) } else { self.append_alone(share, true, deadline).await };
        }
        let add = |current: Option<&[u8]>| rows::add(current, *cycle_id, environment, records);
        match swap::swap(&self.bucket, &key, conditions, deadline, add).await {
            Ok(Added::OtherColumns | Added::Full) | Err(StoreError::TooLarge { .. }) => {
                self.append_alone(share, true, deadline).await
            }
            added => added,
        }
    }

    /// Writes an object of its own.
    async fn append_alone(&self, share: &Share<'_>, knows_new: bool, deadline: &Deadline) -> Result<Added, StoreError> {
        let key = match share.cycle_id {
            Some(cycle_id) => self.keys.cycle(&share.hour, cycle_id),
            None => self.keys.other(&share.hour, (self.clock)(), fastrand::u64(..)),
        };
        let body = rows::new(&share.records);
        Ok(match swap::create(&self.bucket, &key, knows_new, deadline, body).await? {
            Created::Written => Added::Written,
            Created::WasThere => Added::AlreadyThere,
        })
    }

    /// The object's content; `None` where there is none.
    async fn get(&self, key: &str, deadline: &Deadline) -> Result<Option<Bytes>, StoreError> {
        Ok(self.get_object(key, MAX_OBJECT_BYTES, deadline).await?.map(|object| object.body))
    }

    async fn get_object(
        &self,
        key: &str,
        at_most_bytes: u64,
        deadline: &Deadline,
    ) -> Result<Option<bucket::Object>, StoreError> {
        let mut retries = Retries::until(deadline);
        loop {
            let failure = match self.bucket.get(key, at_most_bytes).await {
                Ok(object) => return Ok(object),
                Err(failure) => failure,
            };
            retries.after(failure).await.map_err(|failure| failure.into_error(&self.bucket.location(key)))?;
        }
    }

    async fn read_key(&self, key: &str) -> Result<Option<Bytes>, StoreError> {
        let deadline = Deadline::after(READ_BUDGET);
        self.noted(deadline.limit(&self.bucket.location(key), self.get(key, &deadline)).await)
    }

    async fn put(&self, key: &str, body: Bytes, deadline: &Deadline) -> Result<(), StoreError> {
        let mut retries = Retries::until(deadline);
        loop {
            let failure: Failure = match self.bucket.put(key, body.clone(), &Condition::Always).await {
                Ok(_) => return Ok(()),
                Err(Failed { failure, .. }) => failure,
            };
            retries.after(failure).await.map_err(|failure| failure.into_error(&self.bucket.location(key)))?;
        }
    }

    /// Remembers what is wrong, for [`Store::health`].
    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match &outcome {
            // What is too large is told for as long as it is listed.
            Ok(_) | Err(StoreError::Changed { .. } | StoreError::TooLarge { .. }) => *self.problem() = None,
            Err(error) => *self.problem() = Some(error.to_string()),
        }
        outcome
    }

    fn problem(&self) -> MutexGuard<'_, Option<String>> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What goes into which object, by environment.
fn shares(batch: &Batch) -> BTreeMap<Environment, Vec<Share<'_>>> {
    let mut by_hour: BTreeMap<Hour, Vec<&Record>> = BTreeMap::new();
    for record in &batch.records {
        by_hour.entry(Hour::of(record, batch.cycle_id)).or_default().push(record);
    }
    let mut shares: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (hour, records) in by_hour {
        let environment = hour.environment.clone();
        shares.entry(environment).or_default().push(Share { hour, cycle_id: batch.cycle_id, records });
    }
    shares
}

#[async_trait]
impl Store for S3Store {
    async fn append(&self, batch: &Batch) -> AppendReport {
        let appends = shares(batch).into_iter().map(|(environment, shares)| async move {
            let deadline = self.write_deadline();
            let location = format!("{} (environment {environment})", self.location);
            let outcome = deadline.limit(&location, self.append_environment(shares, &deadline)).await;
            (environment, outcome)
        });
        let report: AppendReport = join_all(appends).await.into_iter().collect();
        let failure = report.values().find_map(|outcome| outcome.as_ref().err());
        *self.problem() = failure.map(ToString::to_string);
        report
    }

    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        let deadline = Deadline::after(READ_BUDGET);
        let listing = listing::segments(&self.bucket, &self.keys, scope, (self.clock)(), &deadline);
        let segments = self.noted(deadline.limit(&self.location, listing).await)?;
        self.too_large.note(scope, &segments);
        Ok(segments)
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let deadline = Deadline::after(READ_BUDGET);
        let location = self.bucket.location(&segment.name);
        large::check(segment.size_bytes, MAX_OBJECT_BYTES).map_err(|failure| failure.into_error(&location))?;
        let get = self.get_object(&segment.name, MAX_OBJECT_BYTES, &deadline);
        let object = self.noted(deadline.limit(&location, get).await)?;
        let same = object.filter(|object| object.version.is(&segment.identity));
        same.map(|object| object.body).ok_or_else(|| StoreError::Changed { name: segment.name.to_string() })
    }

    async fn load_rollup(&self, environment: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        let deadline = Deadline::after(READ_BUDGET);
        let key = self.keys.rollup(environment, day);
        // However large: only we write them, and they grow with the number of models.
        let get = self.get_object(&key, u64::MAX, &deadline);
        let object = self.noted(deadline.limit(&self.bucket.location(&key), get).await)?;
        Ok(object.map(|object| KeptRollup { version: Arc::from(object.version.identity()), csv: object.body }))
    }

    async fn save_rollup(
        &self,
        environment: &Environment,
        day: NaiveDate,
        csv: Bytes,
        replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        let key = self.keys.rollup(environment, day);
        // Where nobody may put the server to the proof, or it failed: a cache can do without conditions.
        let conditions = self.appending().await.map_or(Conditions::None, Appending::conditions);
        let condition = conditions.on_version(replaces);
        match self.bucket.put(&key, csv, &condition).await {
            // Where the condition does not hold, another reader was quicker.
            Ok(_) | Err(Failed { failure: Failure::Condition | Failure::Missing, .. }) => Ok(()),
            Err(Failed { failure, .. }) => Err(failure.into_error(&self.bucket.location(&key))),
        }
    }

    async fn append_usage(
        &self,
        environment: &Environment,
        day: NaiveDate,
        header_line: &str,
        rows: Bytes,
    ) -> Result<(), StoreError> {
        let deadline = self.write_deadline();
        let key = self.keys.usage(environment, day);
        let append = async {
            // Without conditions too: what an endpoint said is written by one monitor; it is said again when it changes.
            let conditions = self.appending().await?.conditions();
            let add = |current: Option<&[u8]>| rows::add_text(current, header_line, &rows);
            swap::swap(&self.bucket, &key, conditions, &deadline, add).await
        };
        self.noted(deadline.limit(&self.bucket.location(&key), append).await)
    }

    async fn read_usage(&self, environment: &Environment, day: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        self.read_key(&self.keys.usage(environment, day)).await
    }

    async fn save_catalog(&self, environment: &Environment, json: Bytes) -> Result<(), StoreError> {
        let deadline = self.write_deadline();
        let key = self.keys.catalog(environment);
        self.noted(deadline.limit(&self.bucket.location(&key), self.put(&key, json, &deadline)).await)
    }

    async fn load_catalog(&self, environment: &Environment) -> Result<Option<Bytes>, StoreError> {
        self.read_key(&self.keys.catalog(environment)).await
    }

    fn set_append_budget(&self, budget: Duration) {
        S3Store::set_append_budget(self, budget);
    }

    async fn health(&self) -> StoreHealth {
        let mut notes: Vec<_> =
            self.bucket.address().map(|address| format!("the server is {address}")).into_iter().collect();
        notes.extend(self.appending.get().map(|appending| appending.describe(self.append).to_owned()));
        StoreHealth {
            kind: "s3",
            location: self.location.clone(),
            skipped_rows: 0,
            problems: self.problem().iter().cloned().chain(self.too_large.problems(&self.bucket)).collect(),
            notes,
            ..StoreHealth::default()
        }
    }
}
