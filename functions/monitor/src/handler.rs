use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use lambda_runtime::{Diagnostic, Error, LambdaEvent};
use llm_monitor_core::{
    cycle::{Monitor, Progress, Shard, Summary},
    parameters::Parameters,
    parts,
    probe::Schedule,
    record::CycleId,
    settings::{Host, Settings},
    store::{Store, StoreError},
};
use serde_json::Value;
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    event::{EventError, Trigger},
    metrics,
    time_left::TimeLeft,
};

/// Later than this is worth a line.
const NOTABLY_LATE: Duration = Duration::from_secs(120);

/// Turns events into cycles. One per process.
#[derive(Debug)]
pub(crate) struct Handler {
    parameters: Parameters,
    parts: AsyncMutex<Parts>,
}

/// What follows from the settings, and is made anew when a secret has changed.
#[derive(Debug)]
struct Parts {
    settings: Settings,
    /// Most processes only ever see one shard.
    shards: BTreeMap<Shard, Arc<ShardParts>>,
}

#[derive(Debug)]
struct ShardParts {
    monitor: Monitor,
    store: Arc<dyn Store>,
    /// The last cycle whose rows were all written.
    last: Mutex<Option<Summary>>,
}

/// Why an event brought nothing.
#[derive(thiserror::Error)]
pub(crate) enum HandleError {
    #[error(transparent)]
    Event(#[from] EventError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("nothing could be stored: {0}")]
    NothingStored(String),
}

impl fmt::Debug for HandleError {
    /// What the runtime puts into the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<HandleError> for Diagnostic {
    fn from(error: HandleError) -> Self {
        let error_type = match &error {
            HandleError::Event(_) => "EventError",
            HandleError::Store(_) => "StoreError",
            HandleError::NothingStored(_) => "NothingStored",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}

impl Handler {
    /// Checks the settings; makes nothing that the first event can make.
    pub(crate) async fn new(parameters: Parameters) -> Result<Self, Error> {
        let settings = Settings::from_vars(&parameters.resolve().await?, Host::Lambda)?;
        Ok(Self { parameters, parts: AsyncMutex::new(Parts { settings, shards: BTreeMap::new() }) })
    }

    /// Runs the cycle that `event` asks for. An error only when nothing could be stored: a second try may then help.
    pub(crate) async fn handle(&self, event: LambdaEvent<Value>) -> Result<Summary, HandleError> {
        let started = Instant::now();
        let time_left = TimeLeft::until(event.context.deadline());
        let trigger = Trigger::parse(&event.payload, Utc::now())?;
        let cycle_id = CycleId::at(trigger.scheduled);
        let late = lateness(trigger.scheduled);
        let shard = self.shard(trigger.shard).await?;
        if let Some(summary) = shard.repeated(cycle_id) {
            info!(cycle_id = summary.cycle_id, "cycle {} was written before; no probe is sent", summary.cycle_id);
            return Ok(summary);
        }

        let due = started.checked_sub(late).unwrap_or(started);
        let schedule = Schedule { cycle_id, due, stop_by: Some(time_left.stop_by()) };
        shard.store.set_append_budget(time_left.for_writing());
        let on_progress = |progress: Progress<'_>| {
            if let Progress::Writing { .. } = progress {
                shard.store.set_append_budget(time_left.for_writing());
            }
        };
        let summary = shard.monitor.run(&schedule, &CancellationToken::new(), &on_progress).await.summary();
        metrics::emit(&event.context.env_config.function_name, &summary, started.elapsed(), late);
        shard.remember(&summary);
        let is_stored = summary.written > 0 || !summary.already_there.is_empty();
        match summary.write_errors.values().next() {
            Some(error) if !is_stored => Err(HandleError::NothingStored(error.clone())),
            _ => Ok(summary),
        }
    }

    async fn shard(&self, shard: Shard) -> Result<Arc<ShardParts>, StoreError> {
        let mut parts = self.parts.lock().await;
        if let Some(vars) = self.parameters.changed().await {
            match Settings::from_vars(&vars, Host::Lambda) {
                Ok(settings) => *parts = Parts { settings, shards: BTreeMap::new() },
                Err(error) => warn!(%error, "a changed secret cannot be used: {error}; the old ones are used"),
            }
        }
        if let Some(known) = parts.shards.get(&shard) {
            return Ok(Arc::clone(known));
        }
        let store = parts::open_shards_store(&parts.settings, shard).await?;
        let monitor = parts::monitor(&parts.settings, Arc::clone(&store)).with_shard(shard);
        let made = Arc::new(ShardParts { monitor, store, last: Mutex::default() });
        parts.shards.insert(shard, Arc::clone(&made));
        Ok(made)
    }
}

impl ShardParts {
    /// What to answer to an event whose cycle this process has written already: the store would take its rows no second time,
    /// and its probes would cost again.
    fn repeated(&self, cycle_id: CycleId) -> Option<Summary> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().filter(|last| last.cycle_id == cycle_id.to_string())
    }

    fn remember(&self, summary: &Summary) {
        if summary.write_errors.is_empty() && summary.written > 0 {
            let again = Summary { written: 0, ..summary.clone() };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(again);
        }
    }
}

/// How long ago the cycle was due.
fn lateness(scheduled: DateTime<Utc>) -> Duration {
    let late = (Utc::now() - scheduled).to_std().unwrap_or_default();
    if late > NOTABLY_LATE {
        warn!(late_s = late.as_secs(), "the event came {} s after its cycle was due", late.as_secs());
    }
    late
}

#[cfg(test)]
#[path = "../../test_secret.rs"]
mod test_secret;

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::{test_secret::Secret, *};

    async fn usage_token(handler: &Handler) -> String {
        let parts = handler.parts.lock().await;
        let token = parts.settings.monitoring.measured[0].usage.token.as_ref();
        token.expect("a token").expose_secret().to_owned()
    }

    #[tokio::test]
    async fn a_secret_that_was_changed_makes_new_parts_and_one_that_cannot_be_used_does_not() {
        let secret = Secret::new("old");
        let vars = [
            ("DEV_USAGE_ENDPOINT", "http://127.0.0.1:1/usage"),
            ("DEV_USAGE_TOKEN_PARAMETER", "/m/token"),
            ("RECORDS_BUCKET", "records"),
            ("AWS_REGION", "eu-west-1"),
        ];
        let parameters = Parameters::by(vars.into_iter().collect(), secret.clone()).with_max_age(Duration::ZERO);
        let handler = Handler::new(parameters).await.expect("usable settings");
        let first = handler.shard(Shard::WHOLE).await.expect("parts");
        let again = handler.shard(Shard::WHOLE).await.expect("parts");
        assert!(Arc::ptr_eq(&first, &again), "as long as nothing changes, a process remembers what it learned");

        secret.change("new");
        let new = handler.shard(Shard::WHOLE).await.expect("parts");
        assert!(!Arc::ptr_eq(&first, &new), "the parts of the old secret are given up");
        assert_eq!(usage_token(&handler).await, "new");

        secret.change("unusable\u{7f}");
        let kept = handler.shard(Shard::WHOLE).await.expect("parts");
        assert!(Arc::ptr_eq(&new, &kept));
        assert_eq!(usage_token(&handler).await, "new");
    }
}
