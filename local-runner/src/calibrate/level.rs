//! One concurrency: probes in waves, as a cycle starts them, and what they say against the server's log.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::Utc;
use llm_monitor_core::{
    catalog::Target,
    probe::{Prober, Schedule},
    provider::{Access, Provider},
    record::{CycleId, Environment, Record},
};
use serde::Serialize;
use tokio::task::JoinSet;
use url::Url;

use super::{clock::Anchor, figures::Spread, plan::Plan, server::Sent};

const PROMPT: &str = "Write a paragraph about how a letter travels from one country to another.";
const TIMEOUT: Duration = Duration::from_secs(30);

/// The first text of a wave's probes is spread over this, as different models' is.
const TTFT_FROM: Duration = Duration::from_millis(60);

/// What is measured at each concurrency.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub concurrency: usize,
    pub samples: usize,
    /// All streams of a wave get each chunk in one instant: the worst case.
    pub same_instant: bool,
}

impl Load {
    fn waves(self) -> usize {
        self.samples.div_ceil(self.concurrency).max(1)
    }

    fn plan(self, id: usize) -> Plan {
        let is_small = self.concurrency <= 8;
        let (tokens, pace_ms) = if is_small { (20, 5) } else { (30, 20) };
        // The golden ratio spreads any number of probes evenly.
        let place = (id as f64 * 0.618_033_988_749_895).fract();
        let spread = if is_small { Duration::from_millis(40) } else { Duration::from_millis(200) };
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        Plan {
            id,
            ttft: TTFT_FROM + if self.same_instant { Duration::ZERO } else { spread.mul_f64(place) },
            pace: Duration::from_millis(pace_ms),
            tokens,
            aligned: self.same_instant,
        }
    }
}

/// One probe's record and the schedule it was given.
#[derive(Debug)]
pub(super) struct Probed {
    pub id: u32,
    pub due: Instant,
    pub record: Record,
}

/// Sends the probes of one level, wave after wave.
pub(super) async fn probe(prober: &Arc<Prober>, base_url: &Url, load: Load) -> Vec<Probed> {
    let mut probed = Vec::with_capacity(load.waves() * load.concurrency);
    for wave in 0..load.waves() {
        let due = Instant::now();
        let schedule = Schedule { cycle_id: CycleId::at(Utc::now()), due, stop_by: None };
        let mut probes = JoinSet::new();
        for place in 0..load.concurrency {
            let plan = load.plan(wave * load.concurrency + place);
            let (prober, schedule, target) = (Arc::clone(prober), schedule.clone(), target(plan, base_url));
            probes.spawn(async move {
                let record = prober.probe(&target, &schedule).await;
                Probed { id: plan.id, due, record }
            });
        }
        while let Some(done) = probes.join_next().await {
            // One that panicked is missing among the records, and so counts as failed.
            probed.extend(done.ok());
        }
    }
    probed
}

fn target(plan: Plan, base_url: &Url) -> Target {
    Target {
        environment: Environment::dev(),
        model: plan.model(),
        provider: Provider::OpenAi,
        provider_model: plan.model(),
        access: Access { base_url: base_url.clone(), api_key: None, api_version: None },
        prices: None,
        context_window: None,
        is_cloud: false,
        prompt: PROMPT.into(),
        max_output_tokens: plan.tokens,
        timeout: TIMEOUT,
    }
}

/// The figures of one level.
#[derive(Debug, Serialize)]
pub(super) struct Level {
    /// Probes at once.
    pub concurrency: usize,
    /// Probes that were compared with the server's log.
    pub probes: usize,
    /// Probes that failed or are missing in the log.
    pub failed: usize,
    /// The first failure, in words.
    pub failure: Option<String>,
    /// Error of the record's time to first token.
    pub ttft: Option<Spread>,
    /// Error of the record's time per output token.
    pub tpot: Option<Spread>,
    /// Error of the record's end-to-end latency.
    pub latency: Option<Spread>,
    /// How late the server itself wrote, against its schedule. Not part of the errors above, which count from its log.
    pub server_lateness: Option<Spread>,
    /// How long the server's writes took: what the log leaves open.
    pub server_write: Option<Spread>,
    /// The p99 that the time to first token is judged by.
    pub max_ttft_error_ms: f64,
}

impl Level {
    /// Compares `probed` with what the server `sent`.
    pub(super) fn of(load: Load, probed: &[Probed], sent: &[Sent], anchor: Anchor, max_ttft_error_ms: f64) -> Self {
        let by_id: HashMap<u32, &Sent> = sent.iter().map(|sent| (sent.id, sent)).collect();
        let mut errors: [Vec<f64>; 3] = Default::default();
        let mut failure = None;
        for probe in probed {
            match compare(probe, by_id.get(&probe.id).copied(), anchor) {
                Ok(figures) => errors.iter_mut().zip(figures).for_each(|(errors, figure)| errors.extend(figure)),
                Err(reason) => failure = failure.or(Some(reason)),
            }
        }
        let [ttft, tpot, latency] = &errors;
        let all_ms = |of: fn(&Sent) -> &[u64]| sent.iter().flat_map(of).map(|ns| *ns as f64 / 1e6).collect::<Vec<_>>();
        Self {
            concurrency: load.concurrency,
            probes: ttft.len(),
            failed: load.waves() * load.concurrency - ttft.len(),
            failure,
            ttft: Spread::of(ttft),
            tpot: Spread::of(tpot),
            latency: Spread::of(latency),
            server_lateness: Spread::of(&all_ms(|sent| &sent.late_ns)),
            server_write: Spread::of(&all_ms(|sent| &sent.write_ns)),
            max_ttft_error_ms,
        }
    }

    /// Every probe was measured, and the time to first token was right enough.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.ttft.is_some_and(|ttft| ttft.p99_ms <= self.max_ttft_error_ms)
    }
}

/// Error of TTFT, TPOT and end-to-end latency, in milliseconds. A record has no TPOT when all text came in one read, which
/// happens to a server that is held up.
fn compare(probe: &Probed, sent: Option<&Sent>, anchor: Anchor) -> Result<[Option<f64>; 3], String> {
    let record = &probe.record;
    if !record.is_success() {
        let kind = record.error_kind().map_or("unknown", |kind| kind.as_str());
        return Err(format!("{kind}: {}", record.error_message().unwrap_or("no message")));
    }
    let sent = sent.ok_or("a stream is missing in the server's log")?;
    let figures = record.start_delay_ms.zip(record.ttft_ms).zip(record.latency_ms);
    let ((start_delay_ms, ttft_ms), latency_ms) = figures.ok_or("a record lacks a figure")?;
    // The record counts from its probe's start, which it gives as the delay after `due`: exact to half a microsecond.
    let after_start_ms = |at_ns: i64| (at_ns - anchor.wall_ns_of(probe.due)) as f64 / 1e6 - start_delay_ms;
    let (first_ms, last_ms) = (after_start_ms(sent.first_ns), after_start_ms(sent.last_ns));
    let gaps = sent.late_ns.len().saturating_sub(1).max(1) as f64;
    let tpot = record.tpot_ms.map(|tpot_ms| tpot_ms - (last_ms - first_ms) / gaps);
    Ok([Some(ttft_ms - first_ms), tpot, Some(latency_ms - last_ms)])
}
