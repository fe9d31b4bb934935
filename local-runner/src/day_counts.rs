//! Rows by environment and day: counted, shown, written as JSON.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};
use comfy_table::Table;
use llm_monitor_core::record::Environment;
use serde_json::{Map, Value};

use crate::output::table;

/// More days than these are shown by month.
const DAYS_SHOWN: usize = 62;

/// How many rows there are of each environment and day (UTC).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DayCounts(BTreeMap<Environment, BTreeMap<NaiveDate, u64>>);

impl DayCounts {
    pub(crate) fn add(&mut self, environment: &Environment, day: NaiveDate, rows: u64) {
        let days = match self.0.get_mut(environment) {
            Some(days) => days,
            None => self.0.entry(environment.clone()).or_default(),
        };
        *days.entry(day).or_default() += rows;
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().flat_map(BTreeMap::values).sum()
    }

    pub(crate) fn environments(&self) -> impl Iterator<Item = &Environment> {
        self.0.keys()
    }

    /// A row for each day, or month where there are many days; a column for each environment.
    pub(crate) fn table(&self) -> Table {
        let days: BTreeSet<_> = self.0.values().flat_map(BTreeMap::keys).copied().collect();
        let by_month = days.len() > DAYS_SHOWN;
        let shown = |day: NaiveDate| if by_month { day.with_day(1).unwrap_or(day) } else { day };
        let mut header = vec![if by_month { "month" } else { "day" }];
        header.extend(self.0.keys().map(Environment::as_str));
        let mut counts = table(&header, 1);
        for line in days.into_iter().map(shown).collect::<BTreeSet<_>>() {
            let label = line.format(if by_month { "%Y-%m" } else { "%Y-%m-%d" }).to_string();
            let of_line = |days: &BTreeMap<NaiveDate, u64>| {
                days.iter().filter(|(day, _)| shown(**day) == line).map(|(_, rows)| rows).sum::<u64>()
            };
            counts.add_row(std::iter::once(label).chain(self.0.values().map(|days| of_line(days).to_string())));
        }
        counts
    }

    /// `{"prod": {"2026-11-24": 1440}}`.
    pub(crate) fn json(&self) -> Value {
        let days = |days: &BTreeMap<NaiveDate, u64>| {
            days.iter().map(|(day, rows)| (day.to_string(), Value::from(*rows))).collect::<Map<_, _>>()
        };
        self.0
            .iter()
            .map(|(name, of_name)| (name.to_string(), Value::Object(days(of_name))))
            .collect::<Map<_, _>>()
            .into()
    }
}
