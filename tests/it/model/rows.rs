//! The list of rows that a store is measured against, and who makes up the rows.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, TimeDelta, Timelike, Utc};
use fastrand::Rng;
use llm_monitor_core::{
    record::{CycleId, Environment, ErrorKind, Failure, Outcome, Record},
    store::{Appended, Batch, Scope},
};
use rust_decimal::Decimal;

const ENVIRONMENTS: [&str; 3] = ["dev", "prod", "qa"];

/// What a store must hold.
#[derive(Default)]
pub(super) struct Rows(Vec<Record>);

impl Rows {
    /// Takes one environment's rows of `batch`, as a store must.
    pub(super) fn append(&mut self, batch: &Batch, environment: &Environment) -> Appended {
        let is_there = |record: &Record| record.cycle_id == batch.cycle_id && record.environment == *environment;
        if batch.cycle_id.is_some() && self.0.iter().any(is_there) {
            return Appended::AlreadyThere;
        }
        let before = self.0.len();
        self.0.extend(batch.records.iter().filter(|record| record.environment == *environment).cloned());
        Appended::Written { rows: self.0.len() - before }
    }

    /// Days that are more than `days` before the newest rows' go.
    pub(super) fn retain(&mut self, days: u32, now: DateTime<Utc>) {
        let Some(newest) = self.0.iter().map(|record| record.timestamp.date_naive()).max() else { return };
        let first_kept = newest.min(now.date_naive()) - Days::new(days.into());
        self.0.retain(|record| record.timestamp.date_naive() >= first_kept);
    }

    pub(super) fn all(&self) -> &[Record] {
        &self.0
    }

    pub(super) fn within<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Record> {
        self.0.iter().filter(|record| {
            scope.has(&record.environment)
                && scope.from.is_none_or(|from| record.timestamp >= from)
                && scope.to.is_none_or(|to| record.timestamp < to)
        })
    }
}

/// In an order that leaves none to chance: every measurement has a number of its own.
pub(super) fn sorted(mut rows: Vec<Record>) -> Vec<Record> {
    rows.sort_by_key(|row| (row.timestamp, row.environment.clone(), row.output_tokens));
    rows
}

pub(super) fn environments_of(batch: &Batch) -> BTreeSet<Environment> {
    batch.records.iter().map(|record| record.environment.clone()).collect()
}

/// Makes up rows.
#[derive(Default)]
pub(super) struct Writer {
    /// With the rows of all environments, whichever were sent, and when that was.
    cycles: Vec<(Batch, DateTime<Utc>)>,
    used: BTreeSet<CycleId>,
    number: u64,
}

impl Writer {
    /// A cycle at about `at`, of some environments, none of whose ids was used before. It does not cross midnight.
    pub(super) fn cycle(&mut self, rng: &mut Rng, at: DateTime<Utc>, now: DateTime<Utc>) -> Batch {
        let mut at = at;
        while at.num_seconds_from_midnight() > 86_300 || self.used.contains(&CycleId::at(at)) {
            at += TimeDelta::seconds(if at.num_seconds_from_midnight() > 86_300 { 150 } else { 1 });
        }
        let cycle_id = CycleId::at(at);
        self.used.insert(cycle_id);
        let mut batch = Batch { cycle_id: Some(cycle_id), records: Vec::new() };
        for environment in ENVIRONMENTS {
            for model in 0..rng.u32(1..4) {
                let started = cycle_id.scheduled() + TimeDelta::milliseconds(rng.i64(0..20_000));
                let mut record = self.record(rng, environment, model, started);
                record.cycle_id = Some(cycle_id);
                batch.records.push(record);
            }
        }
        self.cycles.push((batch.clone(), now));
        some_of(rng, batch)
    }

    /// A cycle that was made up before, of some environments; `None` where `knows` says that the store need not know it again.
    pub(super) fn repeat(&mut self, rng: &mut Rng, knows: impl Fn(CycleId, DateTime<Utc>) -> bool) -> Option<Batch> {
        let (batch, written_at) = rng.choice(&self.cycles)?.clone();
        let is_known = batch.cycle_id.is_some_and(|cycle_id| knows(cycle_id, written_at));
        is_known.then(|| some_of(rng, batch))
    }

    /// A row that belongs to no cycle.
    pub(super) fn post(&mut self, rng: &mut Rng, at: DateTime<Utc>) -> Batch {
        let environment = rng.choice(ENVIRONMENTS).unwrap_or("dev");
        Batch { cycle_id: None, records: vec![self.record(rng, environment, 0, at)] }
    }

    fn record(&mut self, rng: &mut Rng, environment: &str, model: u32, at: DateTime<Utc>) -> Record {
        self.number += 1;
        let at = DateTime::from_timestamp_millis(at.timestamp_millis()).expect("in range");
        let mut record = Record::new(format!("model-{model}"), environment.parse().expect("a name"), at);
        let micros = (1_000.0 * 10_f64.powf(rng.f64() * 5.0 - 1.0)).round();
        record.output_tokens = Some(self.number);
        record.input_tokens = rng.bool().then(|| rng.u64(0..10_000));
        record.cost = rng.bool().then(|| Decimal::new(rng.i64(0..1_000_000), 10).normalize());
        record.provider = Some("openai".to_owned());
        record.simulated = environment == "qa" && rng.bool();
        if rng.u32(0..5) == 0 {
            let kind = rng.choice(ErrorKind::ALL).expect("a kind");
            record.outcome = Outcome::Error(Failure::new(kind, "made up, \"quoted\""));
        } else {
            record.latency_ms = Some(micros / 1_000.0);
        }
        record
    }
}

/// Some environments, and a window that may be hours or days long.
pub(super) fn scope(rng: &mut Rng, start: DateTime<Utc>) -> Scope {
    let from = start + TimeDelta::minutes(rng.i64(-2_000..10_000));
    let length = TimeDelta::minutes(if rng.bool() { rng.i64(1..2_900) } else { rng.i64(2_950..16_000) });
    let named = ENVIRONMENTS.iter().filter(|_| rng.bool()).map(|name| name.parse().expect("a name"));
    let named: Vec<_> = named.collect();
    Scope { environments: (!named.is_empty()).then_some(named), from: Some(from), to: Some(from + length) }
}

fn some_of(rng: &mut Rng, mut batch: Batch) -> Batch {
    let left_out = rng.choice(ENVIRONMENTS).filter(|_| rng.bool());
    batch.records.retain(|record| Some(record.environment.as_str()) != left_out);
    batch
}
