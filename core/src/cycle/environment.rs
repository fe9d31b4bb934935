use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{Days, NaiveDate, Utc};
use tokio::{
    sync::{Mutex, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, info, warn};

use super::{Measured, OnProgress, Progress, Shard, before};
use crate::{
    catalog::{Catalog, Source, Target},
    probe::{Prober, Schedule},
    record::{Environment, Record},
    redact,
    store::Store,
    usage::{KEPT_HEADER, Kept, Report, UsageClient, UsageError},
};

/// How long probes may go on after the monitor was told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// A kept catalog whose content did not change is renewed after this long, so that its age tells something.
const CATALOG_RENEWAL: chrono::TimeDelta = chrono::TimeDelta::minutes(5);

/// The stages that all environments share.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) usage: UsageClient,
    pub(super) prober: Arc<Prober>,
    pub(super) store: Arc<dyn Store>,
    pub(super) permits: Arc<Semaphore>,
    pub(super) shard: Shard,
}

/// One environment and what is remembered of it between cycles.
#[derive(Debug)]
pub(super) struct MeasuredEnvironment {
    measured: Measured,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// The endpoint's last good answer.
    last_good: Option<Catalog>,
    /// What the store holds, by environment (the derived ones are saved through the measured one).
    saved: std::collections::BTreeMap<Environment, Catalog>,
    /// What the usage file of today holds.
    kept: Option<Kept>,
}

/// A usage endpoint's report.
#[derive(Debug)]
struct Fetched {
    report: Report,
    /// Otherwise it tells which models are in use, and is not kept as what the endpoint said of today.
    is_todays: bool,
}

/// What a cycle brought in one environment.
#[derive(Debug)]
pub(super) struct EnvironmentRun {
    pub(super) catalog: Catalog,
    pub(super) records: Vec<Record>,
    /// Probes that were cut because the monitor stopped.
    pub(super) given_up: usize,
}

impl MeasuredEnvironment {
    pub(super) fn new(measured: Measured) -> Self {
        Self { measured, memory: Mutex::default() }
    }

    fn environment(&self) -> &Environment {
        &self.measured.plan.environment
    }

    pub(super) async fn run(
        &self,
        stages: &Stages,
        schedule: &Schedule,
        stop: &CancellationToken,
        on_progress: &OnProgress<'_>,
    ) -> EnvironmentRun {
        let day = Utc::now().date_naive();
        let fetched = self.fetch_in_time(stages, day, schedule.stop_by).await;
        let catalog = self.catalog(stages, &fetched, schedule.stop_by).await;
        let mut targets = self.measured.plan.targets(&catalog);
        targets.retain(|target| stages.shard.takes(&target.environment, &target.model));
        on_progress(Progress::Planned { environment: self.environment(), probes: targets.len() });
        // Probes run while the catalog is written: no probe waits for the store.
        let probes = send(stages, targets, schedule);
        let keep = async {
            self.save_catalog(stages, self.environment(), &catalog).await;
            if let Ok(Fetched { report, is_todays: true }) = &fetched {
                self.keep_usage(stages, day, report).await;
            }
        };
        let keep = before(schedule.stop_by, keep);
        let ((records, given_up), _) = tokio::join!(collect(probes, stop, on_progress), keep);
        EnvironmentRun { catalog, records, given_up }
    }

    /// The report, waited for no longer than half the time that is left to `stop_by`: the other half is for probes.
    async fn fetch_in_time(
        &self,
        stages: &Stages,
        day: NaiveDate,
        stop_by: Option<Instant>,
    ) -> Result<Fetched, UsageError> {
        let half = stop_by.map(|stop_by| stop_by.saturating_duration_since(Instant::now()) / 2);
        match half {
            None => self.fetch(stages, day).await,
            Some(half) => timeout(half, self.fetch(stages, day)).await.unwrap_or_else(|_| {
                Err(UsageError::Timeout { endpoint: redact::url(&self.measured.usage_url), timeout: half })
            }),
        }
    }

    /// Today's report. Just after midnight (UTC) an endpoint may know of no use yet: then yesterday's tells which models are
    /// in use and at what rates, and their use today is none. Where that fails, so has the endpoint: an empty list would take
    /// the place of the last good one.
    async fn fetch(&self, stages: &Stages, day: NaiveDate) -> Result<Fetched, UsageError> {
        let (url, token) = (&self.measured.usage_url, self.measured.usage_token.as_ref());
        let today = stages.usage.fetch(url, token, day).await?;
        let yesterday =
            day.checked_sub_days(Days::new(1)).filter(|_| today.entries.is_empty() && today.skipped.is_empty());
        let Some(yesterday) = yesterday else { return Ok(Fetched { report: today, is_todays: true }) };
        let mut report = stages.usage.fetch(url, token, yesterday).await?;
        for entry in &mut report.entries {
            (entry.cost_usd, entry.prompts) = (Some(0.0), Some(0.0));
            (entry.input_tokens, entry.output_tokens) = (Some(0.0), Some(0.0));
        }
        Ok(Fetched { report, is_todays: false })
    }

    async fn catalog(
        &self,
        stages: &Stages,
        fetched: &Result<Fetched, UsageError>,
        stop_by: Option<Instant>,
    ) -> Catalog {
        let environment = self.environment();
        let mut memory = self.memory.lock().await;
        match fetched {
            Ok(Fetched { report, .. }) => {
                for skipped in &report.skipped {
                    warn!(%environment, skipped, "usage endpoint of {environment}: skipped {skipped}");
                }
                let catalog = self.measured.plan.from_report(report, Utc::now());
                memory.last_good = Some(catalog.clone());
                catalog
            }
            Err(error) => {
                if memory.last_good.is_none() {
                    memory.last_good = before(stop_by, load_last_good(stages, environment)).await.flatten();
                }
                let problem = error.to_string();
                let (catalog, instead) = match &memory.last_good {
                    Some(last) => (self.measured.plan.from_last_good(last, problem), "the last good catalog"),
                    None => (self.measured.plan.built_in(problem), "the built-in catalog"),
                };
                warn!(%environment, %error, "usage endpoint of {environment}: {error}; using {instead}");
                catalog
            }
        }
    }

    /// Keeps `catalog` in the store if it differs from what is there. A failure is logged: it costs no probe.
    pub(super) async fn save_catalog(&self, stages: &Stages, environment: &Environment, catalog: &Catalog) {
        if !stages.shard.is_first() {
            return;
        }
        let mut memory = self.memory.lock().await;
        if memory.saved.get(environment).is_some_and(|saved| is_fresh_copy(saved, catalog)) {
            return;
        }
        let Ok(json) = serde_json::to_vec_pretty(catalog) else { return };
        match stages.store.save_catalog(environment, Bytes::from(json)).await {
            Ok(()) => {
                memory.saved.insert(environment.clone(), catalog.clone());
            }
            Err(error) => warn!(%environment, %error, "catalog of {environment} could not be kept: {error}"),
        }
    }

    /// Keeps what the endpoint said, as far as it changed. A failure is logged: it costs no probe.
    async fn keep_usage(&self, stages: &Stages, day: NaiveDate, report: &Report) {
        if !stages.shard.is_first() {
            return;
        }
        let environment = self.environment();
        let mut memory = self.memory.lock().await;
        if memory.kept.as_ref().is_none_or(|kept| kept.day() != day) {
            match stages.store.read_usage(environment, day).await {
                Ok(file) => memory.kept = Some(Kept::from_csv(day, file.as_deref())),
                Err(error) => return warn!(%environment, %error, "usage of {environment} could not be read: {error}"),
            }
        }
        let Some(kept) = memory.kept.as_mut() else { return };
        let rows = kept.changed_rows(report, Utc::now());
        if rows.is_empty() {
            return;
        }
        match stages.store.append_usage(environment, day, KEPT_HEADER, Bytes::from(rows)).await {
            Ok(()) => kept.remember(report),
            Err(error) => warn!(%environment, %error, "usage of {environment} could not be kept: {error}"),
        }
    }
}

/// Whether `saved` says all that `catalog` does, and not too long ago.
fn is_fresh_copy(saved: &Catalog, catalog: &Catalog) -> bool {
    let is_recent = match (saved.fetched_at, catalog.fetched_at) {
        (Some(then), Some(now)) => now - then < CATALOG_RENEWAL,
        (then, now) => then == now,
    };
    is_recent && Catalog { fetched_at: saved.fetched_at, ..catalog.clone() } == *saved
}

async fn load_last_good(stages: &Stages, environment: &Environment) -> Option<Catalog> {
    let json = match stages.store.load_catalog(environment).await {
        Ok(json) => json?,
        Err(error) => {
            warn!(%environment, %error, "kept catalog of {environment} could not be read: {error}");
            return None;
        }
    };
    match serde_json::from_slice::<Catalog>(&json) {
        Ok(catalog) => (catalog.source != Source::BuiltIn && !catalog.simulated).then_some(catalog),
        Err(error) => {
            warn!(%environment, %error, "kept catalog of {environment} is unreadable: {error}");
            None
        }
    }
}

/// Starts every probe, each in a task of its own; at most as many run at once as there are permits.
fn send(stages: &Stages, targets: Vec<Target>, schedule: &Schedule) -> JoinSet<Record> {
    let mut probes = JoinSet::new();
    for target in targets {
        let (prober, permits, schedule) = (Arc::clone(&stages.prober), Arc::clone(&stages.permits), schedule.clone());
        let probe = async move {
            // The semaphore is never closed; a permit is only ever waited for.
            let _permit = permits.acquire().await;
            prober.probe(&target, &schedule).await
        };
        // Its log lines tell of the event that it belongs to.
        probes.spawn(probe.in_current_span());
    }
    probes
}

/// The records in the order in which probes end, and how many were given up.
async fn collect(
    mut probes: JoinSet<Record>,
    stop: &CancellationToken,
    on_progress: &OnProgress<'_>,
) -> (Vec<Record>, usize) {
    let mut records = Vec::with_capacity(probes.len());
    let mut take_all = async || {
        while let Some(ended) = probes.join_next().await {
            match ended {
                Ok(record) => {
                    on_progress(Progress::Probed(&record));
                    records.push(record);
                }
                Err(error) => tracing::error!(%error, "a probe task ended without a record: {error}"),
            }
        }
    };
    let is_cut = tokio::select! {
        () = take_all() => false,
        () = stop.cancelled() => true,
    };
    if is_cut && timeout(STOP_GRACE, take_all()).await.is_err() {
        info!("stopping: {} probes are given up", probes.len());
    }
    (records, probes.len())
}
