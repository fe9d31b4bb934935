//! The answer of `/api/costs`.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Pricing,
    latency_record::{number, timestamp_text},
};
use crate::{
    query::{MonitoringCosts, PriceChange, Probed, UsageCosts, Used},
    record::Environment,
};

/// Money is US dollars. `usage` is what the usage endpoint says of the environments' own traffic; `monitoring` is what the probes
/// cost on top.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2026-10-25", "to": "2026-11-25", "currency": "USD", "exact": true,
    "usage": {
        "total": 812.3,
        "days": [{"date": "2026-11-24", "environment": "prod", "cost": 31.2, "input_tokens": 5_722_364.0,
            "output_tokens": 1_144_472.0, "prompts": 11_444.0}],
        "months": [{"month": "2026-11", "environment": "prod", "cost": 702.1, "input_tokens": 128_000_000.0,
            "output_tokens": 25_600_000.0, "prompts": 256_000.0, "days": 24}],
        "models": [{"environment": "prod", "model_name": "gpt-4o-mini", "cost": 12.4, "input_tokens": 5_722_364.0,
            "output_tokens": 1_144_472.0, "prompts": 11_444.0, "days": 24}]
    },
    "monitoring": {
        "total": 4.1, "simulated_left_out": 0,
        "days": [{"date": "2026-11-24", "environment": "prod", "cost": 0.14, "probes": 1440, "unpriced": 0}],
        "months": [{"month": "2026-11", "environment": "prod", "cost": 3.9, "probes": 34_560, "unpriced": 0}],
        "models": [{"environment": "prod", "model_name": "gpt-4o-mini", "cost": 0.14, "probes": 1440, "unpriced": 0}]
    },
    "price_changes": [{
        "environment": "prod", "model_name": "gpt-4o-mini", "at": "2026-11-20T09:14:00.000Z",
        "before": {"input": 0.000_15, "output": 0.000_6}, "after": {"input": 0.000_1, "output": 0.000_4}
    }]
}))]
pub struct CostsAnswer {
    /// First day (UTC).
    #[schema(format = Date)]
    pub from: String,
    /// End (UTC), which is not part of it.
    #[schema(format = Date)]
    pub to: String,
    /// Of all money: `USD`.
    #[schema(pattern = "^USD$")]
    pub currency: &'static str,
    /// `true`: made of every record; `false`: of rollups.
    pub exact: bool,
    /// What the environments' own traffic cost.
    pub usage: UsageSums,
    /// What the probes cost.
    pub monitoring: MonitoringSums,
    /// In time's order.
    pub price_changes: Vec<PriceChangeAnswer>,
}

/// What the environments' own traffic cost, as their usage endpoints say; `null` where they do not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageSums {
    /// US dollars.
    #[schema(required = true, minimum = 0)]
    pub total: Option<f64>,
    /// By day and environment; a day of which nothing is known is not there.
    pub days: Vec<UsageOfDay>,
    /// By month and environment: the sum of the days above.
    pub months: Vec<UsageOfMonth>,
    /// By environment and model.
    pub models: Vec<UsageOfModel>,
}

/// One environment's day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageOfDay {
    /// The day (UTC).
    #[schema(format = Date)]
    pub date: String,
    /// Where.
    pub environment: String,
    /// What it came to.
    #[serde(flatten)]
    pub used: UsageSum,
}

/// One environment's month, as far as it is in the window.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageOfMonth {
    /// `2026-11`.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    pub month: String,
    /// Where.
    pub environment: String,
    /// What it came to.
    #[serde(flatten)]
    pub used: UsageSum,
    /// Days of which anything is known.
    pub days: u64,
}

/// One model in one environment, over the whole window.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageOfModel {
    /// Where.
    pub environment: String,
    /// The model.
    pub model_name: String,
    /// What it came to.
    #[serde(flatten)]
    pub used: UsageSum,
    /// Days of which anything is known.
    pub days: u64,
}

/// A sum of use; `null` where the endpoint does not say.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageSum {
    /// US dollars.
    #[schema(required = true, minimum = 0)]
    pub cost: Option<f64>,
    /// Prompt tokens.
    #[schema(required = true, minimum = 0)]
    pub input_tokens: Option<f64>,
    /// Generated tokens.
    #[schema(required = true, minimum = 0)]
    pub output_tokens: Option<f64>,
    /// Prompts.
    #[schema(required = true, minimum = 0)]
    pub prompts: Option<f64>,
}

/// What the probes cost, by their tokens and the usage endpoint's rates.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MonitoringSums {
    /// US dollars, over the probes whose cost is known; `null` when there were no probes.
    #[schema(required = true, minimum = 0)]
    pub total: Option<f64>,
    /// Simulated records: nothing was sent for them, so they never count.
    pub simulated_left_out: u64,
    /// By day and environment.
    pub days: Vec<MonitoringOfDay>,
    /// By month and environment: the sum of the days above.
    pub months: Vec<MonitoringOfMonth>,
    /// By environment and model.
    pub models: Vec<MonitoringOfModel>,
}

/// One environment's day.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MonitoringOfDay {
    /// The day (UTC).
    #[schema(format = Date)]
    pub date: String,
    /// Where.
    pub environment: String,
    /// What it came to.
    #[serde(flatten)]
    pub probed: ProbeSum,
}

/// One environment's month, as far as it is in the window.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MonitoringOfMonth {
    /// `2026-11`.
    #[schema(pattern = "^[0-9]{4}-[0-9]{2}$")]
    pub month: String,
    /// Where.
    pub environment: String,
    /// What it came to.
    #[serde(flatten)]
    pub probed: ProbeSum,
}

/// One model in one environment, over the whole window.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MonitoringOfModel {
    /// Where.
    pub environment: String,
    /// The model.
    pub model_name: String,
    /// What it came to.
    #[serde(flatten)]
    pub probed: ProbeSum,
}

/// What some probes cost.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProbeSum {
    /// US dollars, over the probes whose cost is known.
    #[schema(required = true, minimum = 0)]
    pub cost: Option<f64>,
    /// How many probes.
    pub probes: u64,
    /// Successes whose cost is not known.
    pub unpriced: u64,
}

/// A price that changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PriceChangeAnswer {
    /// Where.
    pub environment: String,
    /// The model.
    pub model_name: String,
    /// When the new price was first heard: RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// US dollars per 1,000 tokens, before.
    pub before: Pricing,
    /// US dollars per 1,000 tokens, since then.
    pub after: Pricing,
}

/// Sums of binary fractions, without their noise.
fn rounded_usd(usd: f64) -> f64 {
    (usd * 1e9).round() / 1e9
}

fn month_of(date: NaiveDate) -> String {
    date.format("%Y-%m").to_string()
}

impl UsageSums {
    pub(super) fn of(costs: UsageCosts) -> Self {
        let mut months: BTreeMap<(String, Environment), Used> = BTreeMap::new();
        for ((date, environment), used) in &costs.days {
            months.entry((month_of(*date), environment.clone())).or_default().and(used);
        }
        let days = costs.days.into_iter().map(|((date, environment), used)| UsageOfDay {
            date: date.to_string(),
            environment: environment.to_string(),
            used: used.into(),
        });
        let months = months.into_iter().map(|((month, environment), used)| UsageOfMonth {
            month,
            environment: environment.to_string(),
            days: used.days,
            used: used.into(),
        });
        let models = costs.models.into_iter().map(|((environment, model_name), used)| UsageOfModel {
            environment: environment.to_string(),
            model_name,
            days: used.days,
            used: used.into(),
        });
        Self {
            total: costs.total.cost_usd.map(rounded_usd),
            days: days.collect(),
            months: months.collect(),
            models: models.collect(),
        }
    }
}

impl From<Used> for UsageSum {
    fn from(used: Used) -> Self {
        Self {
            cost: used.cost_usd.map(rounded_usd),
            input_tokens: used.input_tokens,
            output_tokens: used.output_tokens,
            prompts: used.prompts,
        }
    }
}

impl MonitoringSums {
    pub(super) fn of(costs: MonitoringCosts) -> Self {
        let mut months: BTreeMap<(String, Environment), Probed> = BTreeMap::new();
        for ((date, environment), probed) in &costs.days {
            months.entry((month_of(*date), environment.clone())).or_default().and(probed);
        }
        let days = costs.days.into_iter().map(|((date, environment), probed)| MonitoringOfDay {
            date: date.to_string(),
            environment: environment.to_string(),
            probed: probed.into(),
        });
        let months = months.into_iter().map(|((month, environment), probed)| MonitoringOfMonth {
            month,
            environment: environment.to_string(),
            probed: probed.into(),
        });
        let models = costs.models.into_iter().flat_map(|(environment, models)| {
            models.into_iter().map(move |(model_name, probed)| MonitoringOfModel {
                environment: environment.to_string(),
                model_name,
                probed: probed.into(),
            })
        });
        Self {
            total: ProbeSum::from(costs.total).cost,
            simulated_left_out: costs.simulated_left_out,
            days: days.collect(),
            months: months.collect(),
            models: models.collect(),
        }
    }
}

impl From<Probed> for ProbeSum {
    fn from(probed: Probed) -> Self {
        // Unknown is not free: where no success has a price, there is no sum.
        let is_known = probed.probes > 0 && (probed.unpriced == 0 || !probed.cost_usd.is_zero());
        Self {
            cost: is_known.then(|| number(probed.cost_usd.normalize())).flatten(),
            probes: probed.probes,
            unpriced: probed.unpriced,
        }
    }
}

impl From<PriceChange> for PriceChangeAnswer {
    fn from(change: PriceChange) -> Self {
        Self {
            environment: change.environment.to_string(),
            model_name: change.model,
            at: timestamp_text(change.at),
            before: Pricing::of(change.before.input_usd, change.before.output_usd),
            after: Pricing::of(change.after.input_usd, change.after.output_usd),
        }
    }
}
