//! One monitoring cycle, end to end: the one place where the stages of the write path are called in order.

mod derive;
mod environment;
mod report;
mod shard;

use std::{future::Future, sync::Arc, time::Instant};

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    catalog::Plan,
    probe::{Prober, Schedule},
    record::{Environment, Record},
    store::{AppendReport, Batch, Store},
    usage::UsageClient,
};

pub use derive::Variation;
use environment::{MeasuredEnvironment, Stages};
pub use report::{CycleReport, Summary};
pub use shard::{InvalidShard, Shard};

/// One environment that is really measured.
#[derive(Debug)]
pub struct Measured {
    /// How its catalog is made.
    pub plan: Plan,
    /// Its usage endpoint.
    pub usage_url: Url,
    /// Sent to that endpoint as a bearer token.
    pub usage_token: Option<SecretString>,
}

/// What happens while a cycle runs, for a person who watches.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// An environment's catalog is there; this many probes were sent.
    Planned {
        /// Whose.
        environment: &'a Environment,
        /// How many.
        probes: usize,
    },
    /// A probe is over.
    Probed(&'a Record),
    /// All probes are over; this many rows are about to be appended.
    Writing {
        /// How many, derived ones included.
        rows: usize,
    },
}

/// Takes [`Progress`] as it happens.
pub type OnProgress<'a> = dyn Fn(Progress<'_>) + Send + Sync + 'a;

/// Runs cycles. One per process: it remembers each environment's last good catalog.
#[derive(Debug)]
pub struct Monitor {
    environments: Vec<MeasuredEnvironment>,
    variations: Vec<Variation>,
    stages: Stages,
}

impl Monitor {
    /// `max_concurrent` probes run at once in one cycle, over all environments. `variations` are derived from the first of
    /// `measured` (simple mode).
    pub fn new(
        measured: Vec<Measured>,
        variations: Vec<Variation>,
        usage: UsageClient,
        prober: Arc<Prober>,
        store: Arc<dyn Store>,
        max_concurrent: usize,
    ) -> Self {
        Self {
            environments: measured.into_iter().map(MeasuredEnvironment::new).collect(),
            variations,
            stages: Stages {
                usage,
                prober,
                store,
                permits: Arc::new(Semaphore::new(max_concurrent.max(1))),
                shard: Shard::WHOLE,
            },
        }
    }

    /// As one of several, which share the pairs of an environment and a model.
    #[must_use]
    pub fn with_shard(mut self, shard: Shard) -> Self {
        self.stages.shard = shard;
        self
    }

    /// Runs one cycle: every environment side by side, all rows appended together at its end. It never fails: what goes wrong
    /// is in the records, the catalogs and the append report.
    ///
    /// When `stop` is cancelled, probes get a moment to end, the others are given up without a record (a probe that the
    /// monitor itself cut says nothing of the model), and what was measured is written.
    ///
    /// From `schedule.stop_by` on it waits for nothing but the append of what was measured, whose time is the store's affair.
    pub async fn run(
        &self,
        schedule: &Schedule,
        stop: &CancellationToken,
        on_progress: &OnProgress<'_>,
    ) -> CycleReport {
        let runs =
            self.environments.iter().map(|environment| environment.run(&self.stages, schedule, stop, on_progress));
        let mut records = Vec::new();
        let mut catalogs = Vec::new();
        let mut given_up = 0;
        for run in join_all(runs).await {
            records.extend(run.records);
            catalogs.push(run.catalog);
            given_up += run.given_up;
        }
        let derived: Vec<Record> = self.variations.iter().flat_map(|variation| variation.records(&records)).collect();
        // A catalog that could not be kept in time is kept by a later cycle.
        before(schedule.stop_by, self.save_derived_catalogs(&mut catalogs)).await;
        records.extend(derived);
        on_progress(Progress::Writing { rows: records.len() });

        let batch = Batch { cycle_id: Some(schedule.cycle_id), records };
        let appended =
            if batch.records.is_empty() { AppendReport::new() } else { self.stages.store.append(&batch).await };
        let report = CycleReport { cycle_id: schedule.cycle_id, records: batch.records, catalogs, appended, given_up };
        report.log();
        report
    }

    /// A derived environment lists the measured one's models, so that `/api/models` answers for it too.
    async fn save_derived_catalogs(&self, catalogs: &mut Vec<crate::catalog::Catalog>) {
        let Some((measured, first)) = self.environments.first().zip(catalogs.first().cloned()) else { return };
        for variation in &self.variations {
            let catalog = variation.catalog(&first);
            measured.save_catalog(&self.stages, &variation.environment, &catalog).await;
            catalogs.push(catalog);
        }
    }
}

/// What `work` brings, unless it takes longer than to `stop_by`.
async fn before<T>(stop_by: Option<Instant>, work: impl Future<Output = T>) -> Option<T> {
    match stop_by {
        Some(stop_by) => tokio::time::timeout_at(stop_by.into(), work).await.ok(),
        None => Some(work.await),
    }
}
