use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use tracing::{info, warn};

use crate::{
    catalog::Catalog,
    record::{CycleId, ErrorKind, Record},
    store::{AppendReport, Appended},
};

/// What one cycle brought.
#[derive(Debug)]
pub struct CycleReport {
    /// Its identity.
    pub cycle_id: CycleId,
    /// Every record, derived ones included.
    pub records: Vec<Record>,
    /// Every environment's catalog.
    pub catalogs: Vec<Catalog>,
    /// What became of the rows, by environment.
    pub appended: AppendReport,
    /// Probes that were cut because the monitor stopped; they left no record.
    pub given_up: usize,
}

/// A cycle in numbers, for a log line, a Lambda's answer or a script.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// `20261124T165400Z`.
    pub cycle_id: String,
    /// Probes that were really sent and measured.
    pub probes: usize,
    /// Of these, the successful.
    pub succeeded: usize,
    /// Of these, the failed, by kind.
    pub failures: BTreeMap<&'static str, usize>,
    /// Rows derived from other environments' measurements.
    pub simulated: usize,
    /// US dollars, over the probes whose price is known.
    pub cost_usd: f64,
    /// Rows written.
    pub written: usize,
    /// Environments whose rows of this cycle were there already.
    pub already_there: Vec<String>,
    /// By environment, why its rows could not be written.
    pub write_errors: BTreeMap<String, String>,
    /// By environment, what is wrong with its catalog.
    pub catalog_problems: BTreeMap<String, Vec<String>>,
}

impl CycleReport {
    /// The cycle in numbers.
    pub fn summary(&self) -> Summary {
        let measured = || self.records.iter().filter(|record| !record.simulated);
        let mut failures = BTreeMap::new();
        for record in measured().filter(|record| !record.is_success()) {
            *failures.entry(record.error_kind().map_or("unknown", ErrorKind::as_str)).or_default() += 1;
        }
        let cost: Decimal = measured().filter_map(|record| record.cost).sum();
        let mut summary = Summary {
            cycle_id: self.cycle_id.to_string(),
            probes: measured().count(),
            succeeded: measured().filter(|record| record.is_success()).count(),
            failures,
            simulated: self.records.iter().filter(|record| record.simulated).count(),
            cost_usd: cost.normalize().to_string().parse().unwrap_or_default(),
            written: 0,
            already_there: Vec::new(),
            write_errors: BTreeMap::new(),
            catalog_problems: BTreeMap::new(),
        };
        for (environment, outcome) in &self.appended {
            match outcome {
                Ok(Appended::Written { rows }) => summary.written += rows,
                Ok(Appended::AlreadyThere) => summary.already_there.push(environment.to_string()),
                Err(error) => {
                    summary.write_errors.insert(environment.to_string(), error.to_string());
                }
            }
        }
        for catalog in self.catalogs.iter().filter(|catalog| !catalog.problems.is_empty()) {
            summary.catalog_problems.insert(catalog.environment.clone(), catalog.problems.clone());
        }
        summary
    }

    pub(super) fn log(&self) {
        let summary = self.summary();
        let failed = summary.probes - summary.succeeded;
        let by_kind: Vec<String> = summary.failures.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
        info!(
            cycle_id = summary.cycle_id,
            probes = summary.probes,
            failed,
            failures = by_kind.join(","),
            written = summary.written,
            already_there = summary.already_there.join(","),
            not_written = summary.write_errors.len(),
            cost_usd = summary.cost_usd,
            "cycle {}: {} probes, {failed} failed, {} rows written",
            summary.cycle_id,
            summary.probes,
            summary.written,
        );
        for environment in &summary.already_there {
            warn!(
                cycle_id = summary.cycle_id,
                environment, "{environment} has a cycle {} already: nothing was added", summary.cycle_id
            );
        }
        // One full disk fails every environment alike: that is one line.
        let mut by_error: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (environment, error) in &summary.write_errors {
            by_error.entry(error).or_default().push(environment);
        }
        for (error, environments) in by_error {
            let environments = environments.join(", ");
            warn!(cycle_id = summary.cycle_id, environments, "rows of {environments} were not written: {error}");
        }
    }
}
