//! Which models an environment monitors, who serves them and at what prices. Pure.

mod build;
mod known;
mod rules;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    provider::{Access, Provider},
    record::Environment,
};

pub use build::Plan;
pub use rules::{OutputLimits, ProviderRule};

/// US dollars per token, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prices {
    /// For one prompt token.
    #[serde(with = "rust_decimal::serde::str")]
    pub input_usd_per_token: Decimal,
    /// For one generated token.
    #[serde(with = "rust_decimal::serde::str")]
    pub output_usd_per_token: Decimal,
}

impl Prices {
    /// What that many tokens cost, US dollars, exact and without trailing zeros; the largest decimal where it would be more.
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> Decimal {
        let input = self.input_usd_per_token.saturating_mul(input_tokens.into());
        let output = self.output_usd_per_token.saturating_mul(output_tokens.into());
        input.saturating_add(output).normalize()
    }
}

/// One probe to send: everything the probe stage needs to know.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the model is used.
    pub environment: Environment,
    /// The usage endpoint's `llmCode`; the record's `model_name`.
    pub model: String,
    /// Who serves it.
    pub provider: Provider,
    /// What the provider calls it (`ollama-llama3` is `llama3`).
    pub provider_model: String,
    /// How to reach the provider.
    pub access: Access,
    /// `None` where the usage endpoint gives no price: the record then has no cost.
    pub prices: Option<Prices>,
    /// In tokens.
    pub context_window: Option<u64>,
    /// `false` for Ollama and for any base URL on this host.
    pub is_cloud: bool,
    /// What is asked, the same for every model; the probe puts a nonce before it.
    pub prompt: Arc<str>,
    /// Most tokens to generate.
    pub max_output_tokens: u32,
    /// For the whole probe.
    pub timeout: Duration,
}

/// Providers that one environment can reach.
pub type Accesses = BTreeMap<Provider, Access>;

/// The models of one environment. Kept in the store as `catalog/environment=E.json`, from where `/api/models` reads it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Catalog {
    /// Its environment's name.
    pub environment: String,
    /// Where it comes from.
    pub source: Source,
    /// When the usage endpoint last answered; `None` if it never did.
    pub fetched_at: Option<DateTime<Utc>>,
    /// Why it is not fresh, or which entries were skipped, in words for a person; empty when all is well.
    pub problems: Vec<String>,
    /// Derived from another environment's (simple mode).
    pub simulated: bool,
    /// In the endpoint's order.
    pub models: Vec<CatalogModel>,
}

/// Where a catalog comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The endpoint, just now.
    UsageEndpoint,
    /// The endpoint's last good answer; it fails now.
    LastGood,
    /// The models built in; the endpoint never answered.
    BuiltIn,
}

/// One model of an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogModel {
    /// The usage endpoint's `llmCode`.
    pub name: String,
    /// Provider's name; `None` where no rule names one.
    pub provider: Option<String>,
    /// In tokens.
    pub context_window: Option<u64>,
    /// Elo-like score of the public arena.
    pub arena_score: Option<u32>,
    /// `false` for Ollama and for any base URL on this host.
    pub is_cloud: bool,
    /// `None` where the usage endpoint gives none.
    pub prices: Option<Prices>,
    /// `None` for a built-in model that the endpoint never reported.
    pub usage: Option<UsageStats>,
    /// Why it is not monitored, and what would mend that; `None` when it is.
    pub not_monitored: Option<String>,
}

/// What the usage endpoint says of a model's use. Absent numbers are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageStats {
    /// Today, US dollars.
    pub daily_cost_usd: Option<f64>,
    /// Today.
    pub daily_input_tokens: Option<f64>,
    /// Today.
    pub daily_output_tokens: Option<f64>,
    /// Today.
    pub daily_prompts: Option<f64>,
    /// This month's average of a day, US dollars.
    pub monthly_avg_cost_usd: Option<f64>,
    /// This month's average of a day.
    pub monthly_avg_input_tokens: Option<f64>,
    /// This month's average of a day.
    pub monthly_avg_output_tokens: Option<f64>,
    /// This month's average of a day.
    pub monthly_avg_prompts: Option<f64>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn a_cost_is_exact() {
        let prices = |input: &str, output: &str| Prices {
            input_usd_per_token: input.parse::<Decimal>().expect("a rate"),
            output_usd_per_token: output.parse::<Decimal>().expect("a rate"),
        };
        assert_eq!(prices("0.00000015", "0.0000006").cost(120, 502).to_string(), "0.0003192");
        assert_eq!(prices("0.000001", "0.000001").cost(0, 0).to_string(), "0");
        assert_eq!(prices("100000000000000000000", "1").cost(u64::MAX, u64::MAX), Decimal::MAX);
    }
}
