//! One side of a comparison.

use super::{
    Column, Groups, Selection,
    sample::{Sample, Sorted},
};
use crate::{
    history::{FoldError, History},
    record::{ErrorKind, Metric, TableRow},
};

/// One model's records on one side.
#[derive(Debug, Clone, Default)]
pub struct Side {
    /// Probes, without the simulated rows that were left out.
    pub count: u64,
    /// Probes that succeeded.
    pub successes: u64,
    /// Probes without those that a rate limit refused.
    pub judged: u64,
    /// Simulated rows that were left out.
    pub simulated_left_out: u64,
    /// The successes' values of the metric.
    pub values: Sorted,
}

#[derive(Debug, Default)]
struct Collected {
    side: Side,
    sample: Sample,
}

impl Collected {
    fn add(&mut self, row: &TableRow<'_>, metric: Metric, include_simulated: bool) {
        if row.label().simulated && !include_simulated {
            self.side.simulated_left_out += 1;
            return;
        }
        self.side.count += 1;
        self.side.judged += u64::from(row.error_kind() != Some(ErrorKind::RateLimited));
        if row.is_success() {
            self.side.successes += 1;
            if let Some(ms) = row.ms(metric) {
                self.sample.add(ms);
            }
        }
    }
}

/// What `selection` holds of each model, in alphabetical order.
pub async fn side(history: &History, selection: &Selection, metric: Metric) -> Result<Vec<(String, Side)>, FoldError> {
    let start = || Groups::<Collected>::by(&[Column::Model]);
    let groups = history.fold(
        &selection.scope,
        selection.rows_at_most,
        |label| selection.wants(label),
        start,
        |groups, row| {
            groups.of(row).add(row, metric, selection.include_simulated);
        },
    );
    let sides = groups.await?.into_groups().into_iter().map(|(key, collected)| {
        let side = Side { values: collected.sample.into_sorted(), ..collected.side };
        (key.model_name.unwrap_or_default(), side)
    });
    Ok(sides.collect())
}
