//! One side of a comparison.

use super::{
    Column, Groups, Selection,
    sample::{Sample, Sorted},
};
use crate::{
    history::{Cell, Collect, FoldError, Grain, History},
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

    fn add_cell(&mut self, cell: &Cell<'_>, metric: Metric, include_simulated: bool) {
        let counts = cell.counts();
        if cell.name().simulated && !include_simulated {
            self.side.simulated_left_out += counts.count;
            return;
        }
        let rate_limited = counts.failures.get(&Some(ErrorKind::RateLimited)).copied().unwrap_or(0);
        self.side.count += counts.count;
        self.side.judged += counts.count.saturating_sub(rate_limited);
        self.side.successes += counts.successes;
        if let Some(values) = cell.kept_values(metric) {
            self.sample.add_binned(values);
        }
    }
}

struct Models {
    groups: Groups<Collected>,
    metric: Metric,
    include_simulated: bool,
}

impl Collect for Models {
    fn row(&mut self, row: &TableRow<'_>) {
        self.groups.of(row).add(row, self.metric, self.include_simulated);
    }

    fn cell(&mut self, cell: &Cell<'_>) {
        self.groups.of_cell(cell).add_cell(cell, self.metric, self.include_simulated);
    }
}

/// What `selection` holds of each model, in alphabetical order. Says whether every row was looked at itself: else the values
/// are off by 1 % at most.
pub async fn side(
    history: &History,
    selection: &Selection,
    metric: Metric,
) -> Result<(Vec<(String, Side)>, bool), FoldError> {
    let include_simulated = selection.include_simulated;
    let start = || Models { groups: Groups::by(&[Column::Model]), metric, include_simulated };
    let (models, is_exact) = history.collect(&selection.rows(), &[metric], Grain::Day, start).await?;
    let sides = models.groups.into_groups().into_iter().map(|(key, collected)| {
        let side = Side { values: collected.sample.into_sorted(), ..collected.side };
        (key.model_name.unwrap_or_default(), side)
    });
    Ok((sides.collect(), is_exact))
}
