//! What the models cost, what monitoring them costs, and how prices changed.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::Selection;
use crate::{
    history::{Cell, Collect, FoldError, Grain, History},
    record::{Environment, TableRow},
    usage::{KeptRow, UsageEntry},
};

/// What the usage endpoint said of one environment's day.
#[derive(Debug, Clone)]
pub struct UsageDay {
    /// Whose.
    pub environment: Environment,
    /// Which day (UTC).
    pub date: NaiveDate,
    /// In time's order.
    pub rows: Vec<KeptRow>,
}

/// A sum of use. What was never said is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Prompt tokens.
    pub input_tokens: Option<f64>,
    /// Generated tokens.
    pub output_tokens: Option<f64>,
    /// Prompts.
    pub prompts: Option<f64>,
    /// Days of which anything is known.
    pub days: u64,
}

/// The environments' own use.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UsageCosts {
    /// Of everything.
    pub total: Used,
    /// By day and environment.
    pub days: BTreeMap<(NaiveDate, Environment), Used>,
    /// By environment and model.
    pub models: BTreeMap<(Environment, String), Used>,
}

/// Prices per token, US dollars; `None` where the endpoint gives none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// For a prompt token.
    pub input_usd: Option<Decimal>,
    /// For a generated token.
    pub output_usd: Option<Decimal>,
}

/// A price that is no longer what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    /// Where.
    pub environment: Environment,
    /// Of which model.
    pub model: String,
    /// When the new price was first heard.
    pub at: DateTime<Utc>,
    /// What it was.
    pub before: Rates,
    /// What it is since.
    pub after: Rates,
}

impl Used {
    /// What `entry` says, of no day yet.
    fn of(entry: &UsageEntry) -> Self {
        let UsageEntry { cost_usd, input_tokens, output_tokens, prompts, .. } = *entry;
        Self { cost_usd, input_tokens, output_tokens, prompts, days: 0 }
    }

    /// Another stretch's use on top.
    pub fn and(&mut self, other: &Self) {
        let add = |sum: &mut Option<f64>, more: Option<f64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0.0) + more);
            }
        };
        add(&mut self.cost_usd, other.cost_usd);
        add(&mut self.input_tokens, other.input_tokens);
        add(&mut self.output_tokens, other.output_tokens);
        add(&mut self.prompts, other.prompts);
        self.days += other.days;
    }
}

/// Sums up use. The endpoint counts up through a day, so that of each model the day's last row holds.
pub fn usage_costs(days: &[UsageDay], wants: impl Fn(&str) -> bool) -> UsageCosts {
    let mut costs = UsageCosts::default();
    for day in days {
        let mut last: BTreeMap<&str, &UsageEntry> = BTreeMap::new();
        for row in &day.rows {
            last.insert(&row.entry.llm_code, &row.entry);
        }
        last.retain(|model, _| wants(model));
        if last.is_empty() {
            continue;
        }
        let mut whole = Used { days: 1, ..Used::default() };
        for (model, entry) in last {
            let used = Used::of(entry);
            whole.and(&used);
            let of_model = costs.models.entry((day.environment.clone(), model.to_owned())).or_default();
            of_model.and(&Used { days: 1, ..used });
        }
        costs.total.and(&whole);
        costs.days.insert((day.date, day.environment.clone()), whole);
    }
    costs
}

/// Every change of a price between the first and the last row, in time's order.
pub fn price_changes(days: &[UsageDay], wants: impl Fn(&str) -> bool) -> Vec<PriceChange> {
    let mut rows: Vec<(&Environment, &KeptRow)> = days
        .iter()
        .flat_map(|day| day.rows.iter().map(|row| (&day.environment, row)))
        .filter(|(_, row)| wants(&row.entry.llm_code))
        .collect();
    rows.sort_by_key(|(_, row)| row.fetched_at);
    let mut known: BTreeMap<(&Environment, &str), Rates> = BTreeMap::new();
    let mut changes = Vec::new();
    for (environment, row) in rows {
        let after = Rates { input_usd: row.entry.input_rate_usd, output_usd: row.entry.output_rate_usd };
        let before = known.insert((environment, &row.entry.llm_code), after);
        if let Some(before) = before.filter(|before| *before != after) {
            let (environment, model) = (environment.clone(), row.entry.llm_code.clone());
            changes.push(PriceChange { environment, model, at: row.fetched_at, before, after });
        }
    }
    changes
}

/// What some probes cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Probed {
    /// US dollars, over the probes whose cost is known.
    pub cost_usd: Decimal,
    /// How many.
    pub probes: u64,
    /// Successes whose cost is not known.
    pub unpriced: u64,
}

impl Probed {
    fn of(row: &TableRow<'_>) -> Self {
        let cost = row.cost();
        Self { cost_usd: cost.unwrap_or_default(), probes: 1, unpriced: u64::from(row.is_success() && cost.is_none()) }
    }

    /// Other probes on top.
    pub fn and(&mut self, other: &Self) {
        self.probes += other.probes;
        self.cost_usd = self.cost_usd.saturating_add(other.cost_usd);
        self.unpriced += other.unpriced;
    }
}

/// What monitoring itself costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MonitoringCosts {
    /// Of everything.
    pub total: Probed,
    /// By day and environment.
    pub days: BTreeMap<(NaiveDate, Environment), Probed>,
    /// By environment and model.
    pub models: BTreeMap<Environment, BTreeMap<String, Probed>>,
    /// Simulated rows: nothing was sent for them, so they cost nothing.
    pub simulated_left_out: u64,
}

impl MonitoringCosts {
    fn add(&mut self, date: NaiveDate, environment: &Environment, model: &str, probed: &Probed) {
        self.total.and(probed);
        self.days.entry((date, environment.clone())).or_default().and(probed);
        let models = self.models.entry(environment.clone()).or_default();
        match models.get_mut(model) {
            Some(known) => known.and(probed),
            None => drop(models.insert(model.to_owned(), *probed)),
        }
    }
}

impl Collect for MonitoringCosts {
    fn row(&mut self, row: &TableRow<'_>) {
        let label = row.label();
        if label.simulated {
            self.simulated_left_out += 1;
            return;
        }
        self.add(row.timestamp().date_naive(), &label.environment, &label.model_name, &Probed::of(row));
    }

    fn cell(&mut self, cell: &Cell<'_>) {
        let (counts, name) = (cell.counts(), cell.name());
        if name.simulated {
            self.simulated_left_out += counts.count;
            return;
        }
        let probed =
            Probed { cost_usd: counts.cost_usd.unwrap_or_default(), probes: counts.count, unpriced: counts.unpriced };
        let date = DateTime::from_timestamp(cell.start_seconds(), 0).unwrap_or_default().date_naive();
        self.add(date, cell.environment(), &name.model_name, &probed);
    }
}

/// Sums up what the probes of `selection` cost, exactly. Simulated rows never count.
pub async fn monitoring_costs(history: &History, selection: &Selection) -> Result<MonitoringCosts, FoldError> {
    Ok(history.collect(&selection.rows(), &[], Grain::Day, MonitoringCosts::default).await?.0)
}
