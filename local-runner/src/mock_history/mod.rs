//! `mock-history`: a plausible past, for trying things out and for benchmarks.
//!
//! Seeded: the same [`Plan`] gives the same records, on every machine. Each series (a model in an environment) draws its own
//! numbers, so that one model more does not change the others. Nothing is measured; the records say `simulated=false` all the
//! same, as they stand for measurements.

pub mod command;
mod draw;
mod incident;
mod layout;
mod model;
mod series;

use chrono::{DateTime, TimeDelta, Utc};
use llm_monitor_core::record::{CycleId, Environment, Record};

pub use layout::{Layout, Written, write};

use series::Series;

/// What past to make up.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The first cycle.
    pub from: DateTime<Utc>,
    /// Before this.
    pub to: DateTime<Utc>,
    /// Between two cycles; at least a second.
    pub interval: TimeDelta,
    /// Models, the same in every environment.
    pub models: usize,
    /// In the order of the rows of a cycle.
    pub environments: Vec<Environment>,
    /// Same seed, same records.
    pub seed: u64,
}

impl Plan {
    /// `days` whole days before `to`, the four usual environments, once a minute.
    pub fn of_days(days: u32, models: usize, to: DateTime<Utc>) -> Self {
        let environments = ["dev", "test", "qa", "prod"].into_iter().filter_map(|name| name.parse().ok()).collect();
        let from = to - TimeDelta::days(days.into());
        Self { from, to, interval: TimeDelta::minutes(1), models, environments, seed: 1 }
    }

    /// How many records that is.
    pub fn rows(&self) -> u64 {
        let interval_ms = self.interval.num_milliseconds().max(1);
        let cycles =
            (self.to - self.from).num_milliseconds().max(0).cast_unsigned().div_ceil(interval_ms.cast_unsigned());
        cycles * self.models as u64 * self.environments.len() as u64
    }
}

/// The cycles of a [`Plan`], oldest first.
#[derive(Debug)]
pub struct Cycles {
    next: DateTime<Utc>,
    to: DateTime<Utc>,
    interval: TimeDelta,
    series: Vec<Series>,
}

impl Cycles {
    /// From the first cycle on.
    pub fn new(plan: &Plan) -> Self {
        let named = |environment: &Environment, index| Series::new(plan, environment.clone(), index);
        let of_environment =
            |environment| (0..plan.models).map(move |index| named(environment, index)).collect::<Vec<_>>();
        Self {
            next: plan.from,
            to: plan.to,
            interval: plan.interval.max(TimeDelta::seconds(1)),
            series: plan.environments.iter().flat_map(of_environment).collect(),
        }
    }
}

impl Iterator for Cycles {
    /// A cycle's records.
    type Item = (CycleId, Vec<Record>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.to {
            return None;
        }
        let due = self.next;
        self.next += self.interval;
        Some((CycleId::at(due), self.series.iter_mut().map(|series| series.probe(due)).collect()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::indexing_slicing)]

    use std::collections::BTreeMap;

    use super::*;

    fn plan(models: usize) -> Plan {
        Plan::of_days(3, models, "2026-11-25T00:00:00Z".parse().expect("a time"))
    }

    fn records(plan: &Plan) -> Vec<Record> {
        Cycles::new(plan).flat_map(|(_, records)| records).collect()
    }

    #[test]
    fn a_seed_gives_its_past_again_and_another_one_another() {
        let first = records(&plan(2));
        assert_eq!(first.len() as u64, plan(2).rows());
        assert!(first == records(&plan(2)));
        assert!(first != records(&Plan { seed: 2, ..plan(2) }));
        let more = records(&plan(3));
        let of_two = more.iter().filter(|record| first.iter().take(2).any(|one| one.model_name == record.model_name));
        assert!(of_two.eq(first.iter()), "one model more changes no other");
    }

    #[test]
    fn the_past_has_rhythm_incidents_and_exact_costs() {
        let records = records(&plan(8));
        let ok: Vec<_> = records.iter().filter(|record| record.is_success()).collect();
        let failed = records.len() - ok.len();
        assert!((0.001..0.1).contains(&(failed as f64 / records.len() as f64)), "{failed} of {}", records.len());
        // Failures come in clusters: most follow a failure of the same series within 3 cycles.
        let mut last: BTreeMap<_, DateTime<Utc>> = BTreeMap::new();
        let mut clustered = 0;
        for record in records.iter().filter(|record| !record.is_success()) {
            let series = (record.environment.clone(), record.model_name.clone());
            let before = last.insert(series, record.timestamp);
            clustered += u32::from(before.is_some_and(|time| record.timestamp - time < TimeDelta::minutes(4)));
        }
        assert!(f64::from(clustered) > 0.5 * failed as f64, "{clustered} of {failed} failures follow another");
        let median = |hours: std::ops::Range<u32>| {
            let of_hours = ok.iter().filter(|record| hours.contains(&chrono::Timelike::hour(&record.timestamp)));
            let mut values: Vec<_> = of_hours.filter_map(|record| record.latency_ms).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        assert!(median(13..16) > 1.1 * median(1..4), "busy hours are slower");
        for record in ok {
            assert!(record.latency_ms >= record.ttft_ms && record.ttft_ms >= record.ttfb_ms, "{record:?}");
            assert!(record.ttfb_ms >= record.connect_ms, "{record:?}");
            assert!(record.cached_input_tokens <= record.input_tokens, "{record:?}");
            assert!(record.cost.is_none_or(|cost| cost.to_string().len() < 14), "{record:?}");
            assert!(!record.simulated);
        }
    }
}
