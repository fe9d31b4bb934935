//! Rows -> hours.

use std::collections::BTreeMap;

use super::{
    cell::{Collected, Counts},
    day::SeriesName,
};
use crate::record::{Environment, Metric, TableRow};

const SECONDS_PER_HOUR: i64 = 3_600;

/// An hour and whose it is; in the order of the file.
pub(super) type Key = (i64, SeriesName);

/// An hour in the making.
#[derive(Debug, Default)]
pub(super) struct Making {
    pub(super) counts: Counts,
    /// In the order of [`Metric::ALL`].
    pub(super) durations: [Collected; Metric::ALL.len()],
}

/// The hours of all environments, from rows in any order.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) hours: BTreeMap<Environment, BTreeMap<Key, Making>>,
}

impl Builder {
    pub(super) fn add(&mut self, row: &TableRow<'_>) {
        let label = row.label();
        let hour = row.timestamp_ms().div_euclid(1_000 * SECONDS_PER_HOUR) * SECONDS_PER_HOUR;
        let name = SeriesName {
            model_name: label.model_name.clone(),
            provider: label.provider.clone(),
            simulated: label.simulated,
        };
        let making = self.hours.entry(label.environment.clone()).or_default().entry((hour, name)).or_default();
        making.counts.add(row);
        if row.is_success() {
            for (metric, collected) in Metric::ALL.into_iter().zip(&mut making.durations) {
                if let Some(ms) = row.ms(metric) {
                    collected.add(ms);
                }
            }
        }
    }
}
