//! What the server's API answers, as far as the matrix needs it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use llm_monitor_core::record::CycleId;
use serde::Deserialize;

/// `/health`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Health {
    pub(super) status: String,
    pub(super) version: String,
    pub(super) mode: String,
    #[serde(default)]
    pub(super) store: StoreState,
    pub(super) environments: BTreeMap<String, EnvironmentHealth>,
    #[serde(default)]
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct StoreState {
    #[serde(default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) location: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct EnvironmentHealth {
    pub(super) status: String,
    pub(super) last_cycle: Option<LastCycle>,
    pub(super) catalog: Option<CatalogHealth>,
    #[serde(default)]
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LastCycle {
    pub(super) id: String,
    pub(super) age_seconds: f64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CatalogHealth {
    pub(super) source: String,
}

/// `/api/summary`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    pub(super) groups: Vec<Group>,
}

/// One model in one environment.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Group {
    pub(super) environment: String,
    pub(super) model_name: String,
    pub(super) simulated: bool,
    /// Records that count: derived ones may be left out.
    pub(super) count: u64,
    pub(super) successes: u64,
    pub(super) failures: u64,
    pub(super) success_rate: Option<f64>,
    pub(super) ttft_ms: Distribution,
    pub(super) latency_ms: Distribution,
    pub(super) last_record: Option<LastRecord>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Distribution {
    pub(super) p50: Option<f64>,
    pub(super) p95: Option<f64>,
    /// There are enough values for the percentiles to say much.
    #[serde(default)]
    pub(super) enough: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct LastRecord {
    pub(super) timestamp: DateTime<Utc>,
    pub(super) status: String,
    pub(super) error_kind: Option<String>,
    pub(super) error_message: Option<String>,
}

/// `/api/series`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Series {
    pub(super) series: Vec<OneSeries>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct OneSeries {
    pub(super) environment: String,
    pub(super) model_name: String,
    pub(super) values: BTreeMap<String, Vec<Option<f64>>>,
}

/// An entry of `/api/models`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Model {
    pub(super) monitored: bool,
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) simulated: bool,
}

/// A row of `/api/latency`, for the cycle it is of.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Row {
    pub(super) cycle_id: Option<String>,
}

/// All of it, asked for at one time.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    pub(super) health: Health,
    pub(super) groups: Vec<Group>,
    pub(super) series: Vec<OneSeries>,
    /// By environment, then by name.
    pub(super) models: BTreeMap<String, BTreeMap<String, Model>>,
    /// Between cycles, as the records themselves tell; `None` while there are too few.
    pub(super) interval: Option<TimeDelta>,
    /// When it was asked for, by the server's clock.
    pub(super) at: DateTime<Utc>,
}

impl Health {
    /// By the server's clock, as far as it shows: this machine's may go wrong, and ages would with it.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        let newest = self.environments.values().filter_map(|environment| environment.last_cycle.as_ref());
        newest.filter_map(LastCycle::now).max()
    }
}

impl LastCycle {
    fn now(&self) -> Option<DateTime<Utc>> {
        // A cycle in the future has age 0 and tells nothing.
        let age_ms = Some(self.age_seconds).filter(|age| (0.001..1e9).contains(age))? * 1_000.0;
        self.id.parse::<CycleId>().ok()?.scheduled().checked_add_signed(TimeDelta::milliseconds(age_ms as i64))
    }
}

/// The median of the gaps between cycles.
pub(super) fn interval_of(rows: &[Row]) -> Option<TimeDelta> {
    let mut starts: Vec<_> =
        rows.iter().filter_map(|row| Some(row.cycle_id.as_ref()?.parse::<CycleId>().ok()?.scheduled())).collect();
    starts.sort_unstable();
    starts.dedup();
    let mut gaps: Vec<_> = starts.iter().zip(starts.iter().skip(1)).map(|(a, b)| *b - *a).collect();
    gaps.sort_unstable();
    (gaps.len() >= 3).then(|| gaps.get(gaps.len() / 2).copied()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: &[&str]) -> Vec<Row> {
        ids.iter().map(|id| Row { cycle_id: Some((*id).to_owned()) }).collect()
    }

    #[test]
    fn the_interval_is_the_usual_gap_between_cycles_and_unknown_of_few() {
        let ids = ["20261124T165000Z", "20261124T165100Z", "20261124T165100Z", "20261124T165200Z", "20261124T170000Z"];
        assert_eq!(interval_of(&rows(&ids)), Some(TimeDelta::seconds(60)));
        assert_eq!(interval_of(&rows(&ids[..3])), None);
        assert_eq!(interval_of(&rows(&["posted from elsewhere"])), None);
    }
}
