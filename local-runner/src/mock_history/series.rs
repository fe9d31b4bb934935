//! One model in one environment, probe by probe.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use llm_monitor_core::record::{CycleId, Environment, ErrorKind, Failure, Outcome, Record, TokenSource};

use super::{
    Plan,
    draw::Draw,
    incident::{Incidents, stray},
    model::Model,
};

const STRAY_FAILURES: f64 = 0.0008;
/// A failure that no incident explains is often followed by another.
const FAILS_AGAIN: f64 = 0.6;
/// How fast a model's speed forgets where it has drifted to, and how far it drifts in one cycle (of the logarithm).
const DRIFT_KEPT: f64 = 0.9995;
const DRIFT_STEP: f64 = 0.004;
/// When a day is busiest, UTC, and by how much it is slower then (of the logarithm).
const BUSIEST_HOUR: f64 = 14.5;
const RHYTHM: f64 = 0.18;
const TIMEOUT_MS: f64 = 30_000.0;
const INPUT_TOKENS: u64 = 118;
const MAX_OUTPUT_TOKENS: u64 = 128;

/// A model in an environment.
#[derive(Debug)]
pub(super) struct Series {
    model: Model,
    environment: Environment,
    location: &'static str,
    /// How much slower than elsewhere everything is here.
    slowness: f64,
    /// To the provider and back.
    round_trip_ms: f64,
    draw: Draw,
    incidents: Incidents,
    drift: f64,
    fails_again: bool,
}

impl Series {
    pub(super) fn new(plan: &Plan, environment: Environment, index: usize) -> Self {
        let model = Model::nth(index);
        let mut draw = Draw::new(plan.seed, &format!("{environment} {}", model.name));
        let is_far = matches!(environment.as_str(), "qa" | "prod");
        Self {
            incidents: Incidents::new(plan.seed, model.kind.provider, plan.from),
            location: if is_far { "eu-west-1" } else { "us-east-1" },
            slowness: match environment.as_str() {
                "prod" => 0.94,
                "qa" => 1.12,
                _ => 1.0,
            } * draw.between(0.95, 1.08),
            round_trip_ms: if model.kind.is_cloud() { draw.between(6.0, 24.0) } else { 0.3 },
            drift: 0.1 * draw.normal(),
            model,
            environment,
            draw,
            fails_again: false,
        }
    }

    /// The probe of the cycle that was due at `due`.
    pub(super) fn probe(&mut self, due: DateTime<Utc>) -> Record {
        self.drift = self.drift * DRIFT_KEPT + DRIFT_STEP * self.draw.normal();
        let start_delay_ms = self.draw.log_normal(1.2, 0.7).min(400.0);
        let started = due + TimeDelta::milliseconds(start_delay_ms as i64);
        let mut record = self.start(due, started, start_delay_ms);
        let incident = self.incidents.at(due);
        let failing = incident.filter(|incident| self.draw.happens(incident.failing_share));
        self.fails_again =
            failing.is_none() && self.draw.happens(if self.fails_again { FAILS_AGAIN } else { STRAY_FAILURES });
        if let Some(incident) = failing {
            self.fail(&mut record, incident.failure());
        } else if self.fails_again {
            let failure = stray(&mut self.draw);
            self.fail(&mut record, failure);
        } else {
            let busyness = ((f64::from(due.hour() * 60 + due.minute()) / 60.0 - BUSIEST_HOUR) / 24.0
                * std::f64::consts::TAU)
                .cos();
            let slowness = self.slowness * (self.drift + RHYTHM * busyness).exp();
            self.succeed(&mut record, slowness * incident.map_or(1.0, |incident| incident.slowness));
        }
        record
    }

    fn start(&mut self, due: DateTime<Utc>, started: DateTime<Utc>, start_delay_ms: f64) -> Record {
        let kind = self.model.kind;
        Record {
            context_window: Some(kind.context_window),
            is_cloud: Some(kind.is_cloud()),
            cycle_id: Some(CycleId::at(due)),
            provider: Some(kind.provider.to_owned()),
            location: Some(self.location.to_owned()),
            start_delay_ms: Some(start_delay_ms),
            client_delay_ms: Some(self.draw.log_normal(0.09, 0.5)),
            ..Record::new(self.model.name.as_str(), self.environment.clone(), started)
        }
    }

    /// Connecting: when the connection stands.
    fn connect(&mut self, record: &mut Record) -> f64 {
        let dns_ms = self.draw.log_normal(0.08 * self.round_trip_ms + 0.2, 0.6);
        let tcp_ms = self.draw.log_normal(self.round_trip_ms, 0.12);
        let tls_ms =
            if self.model.kind.is_cloud() { self.draw.log_normal(1.4 * self.round_trip_ms, 0.15) } else { 0.0 };
        let connect_ms = dns_ms + tcp_ms + tls_ms;
        record.dns_ms = Some(dns_ms);
        record.tls_ms = self.model.kind.is_cloud().then_some(tls_ms);
        record.connect_ms = Some(connect_ms);
        connect_ms
    }

    fn succeed(&mut self, record: &mut Record, slowness: f64) {
        let kind = self.model.kind;
        let connect_ms = self.connect(record);
        let output_tokens = (self.draw.log_normal(kind.output_tokens, 0.12) as u64).clamp(2, MAX_OUTPUT_TOKENS);
        let reasoning_tokens = (output_tokens as f64 * kind.reasoning_share) as u64;
        let tpot_ms = self.draw.log_normal(kind.tpot_ms * slowness, 0.11);
        let wait_ms = self.draw.log_normal(kind.ttft_ms * slowness, 0.24);
        let load_ms = (!kind.is_cloud()).then(|| {
            if self.draw.happens(0.02) { self.draw.log_normal(3_800.0, 0.3) } else { self.draw.log_normal(18.0, 0.2) }
        });
        let ttfb_ms = connect_ms + 0.86 * wait_ms + load_ms.unwrap_or(0.0);
        let ttft_ms = ttfb_ms + 0.14 * wait_ms;
        let cached_tokens = if self.draw.happens(0.3) { kind.cached_tokens } else { 0 };
        record.ttfb_ms = Some(ttfb_ms);
        record.ttft_ms = Some(ttft_ms);
        record.ttfa_ms = Some(ttft_ms + reasoning_tokens as f64 * tpot_ms);
        record.tpot_ms = Some(tpot_ms);
        record.latency_ms = Some(ttft_ms + (output_tokens - 1) as f64 * tpot_ms);
        record.max_gap_ms = Some(self.draw.log_normal(4.0 * tpot_ms, 0.35));
        record.load_ms = load_ms;
        record.input_tokens = Some(INPUT_TOKENS);
        record.output_tokens = Some(output_tokens);
        record.cached_input_tokens = Some(cached_tokens);
        record.reasoning_tokens = Some(reasoning_tokens);
        record.token_source = Some(TokenSource::Provider);
        record.cost = kind.prices().map(|prices| prices.cost(INPUT_TOKENS, output_tokens));
        record.http_status = Some(200);
        record.served_model = Some(self.model.served_as.clone());
        record.finish_reason = Some(if output_tokens == MAX_OUTPUT_TOKENS { "length" } else { "stop" }.to_owned());
    }

    fn fail(&mut self, record: &mut Record, (failure, status): (Failure, Option<u16>)) {
        let has_connected = !matches!(failure.kind, Some(ErrorKind::Dns | ErrorKind::Connect | ErrorKind::Tls));
        if has_connected {
            let connect_ms = self.connect(record);
            record.ttfb_ms = status.map(|_| (connect_ms + self.draw.log_normal(140.0, 0.4)).min(TIMEOUT_MS));
        }
        record.http_status = status;
        record.outcome = Outcome::Error(failure);
    }
}
