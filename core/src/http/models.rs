//! `/api/models`: which models the environments use, what they cost and which are monitored.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use axum::{Json, extract::State, http::StatusCode};
use futures_util::future::try_join_all;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Api, Problem,
    error::{ApiError, ReadFailures},
    latency_record::number,
    parameters::{Parameters, environments},
};
use crate::{
    catalog::{Catalog, CatalogModel, UsageStats},
    record::Environment,
    store::{Store, StoreError},
};

/// One model.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Model {
    /// Who serves it; `null` where no rule names a provider.
    #[schema(required = true)]
    pub provider: Option<String>,
    /// In tokens.
    #[schema(required = true)]
    pub context_window: Option<u64>,
    /// US dollars per 1,000 tokens.
    pub pricing: Pricing,
    /// `false` for a model served on the monitor's host or by Ollama.
    pub is_cloud: bool,
    /// Elo-like score of the public arena.
    #[schema(required = true)]
    pub arena_score: Option<u32>,
    /// What the usage endpoint says; `null` for a model that it does not report.
    #[schema(required = true)]
    pub usage_stats: Option<Usage>,
    /// Whether it is probed.
    pub monitored: bool,
    /// Why it is not, and what would mend that.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// Derived from another environment's list instead of asked for.
    pub simulated: bool,
}

/// US dollars per 1,000 tokens; `null` where unknown, which is not free.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Pricing {
    /// For prompt tokens.
    #[schema(required = true)]
    pub input: Option<f64>,
    /// For generated tokens.
    #[schema(required = true)]
    pub output: Option<f64>,
}

/// A model's use. Numbers the usage endpoint does not give are 0.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Usage {
    /// Today, US dollars.
    pub daily_cost: f64,
    /// Today.
    pub daily_input_tokens: f64,
    /// Today.
    pub daily_output_tokens: f64,
    /// Today.
    pub daily_prompts: f64,
    /// This month's average of a day, US dollars.
    pub monthly_avg_cost: f64,
    /// This month's average of a day.
    pub monthly_avg_input_tokens: f64,
    /// This month's average of a day.
    pub monthly_avg_output_tokens: f64,
}

/// An empty parameter counts as absent; unknown ones are ignored.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ModelsParameters {
    /// The models of this environment (or of several, with commas). Empty: of all. Where several have a model, the first of
    /// them in this list (else in the order of the settings) is shown. An unknown one has no models.
    #[param(required = false, example = "prod")]
    environment: String,
}

/// Models
///
/// Model → what is known of it. Empty before the first cycle.
#[utoipa::path(
    get,
    path = "/api/models",
    tag = "models",
    operation_id = "listModels",
    params(ModelsParameters),
    responses(
        (status = 200, description = "Model → what is known of it", body = BTreeMap<String, Model>, example = json!({
            "gpt-4o-mini": {
                "provider": "openai", "context_window": 128_000, "pricing": {"input": 0.00015, "output": 0.0006},
                "is_cloud": true, "arena_score": 1274,
                "usage_stats": {
                    "daily_cost": 1.545, "daily_input_tokens": 5_722_364.0, "daily_output_tokens": 1_144_472.0,
                    "daily_prompts": 11_444.0, "monthly_avg_cost": 1.545, "monthly_avg_input_tokens": 5_722_364.0,
                    "monthly_avg_output_tokens": 1_144_472.0
                },
                "monitored": true, "reason": null, "simulated": false
            }
        })),
        (status = 400, description = "A parameter is not accepted", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<ModelsParameters>,
) -> Result<Json<BTreeMap<String, Model>>, ApiError> {
    let mut wanted = environments(&parameters.environment).unwrap_or_else(|| api.environments.clone());
    wanted.retain(|environment| api.environments.contains(environment));

    let catalogs = try_join_all(wanted.iter().map(|environment| kept_catalog(api.store.as_ref(), environment))).await?;
    let mut models = BTreeMap::new();
    for catalog in catalogs.into_iter().flatten() {
        for model in catalog.models {
            if let Entry::Vacant(free) = models.entry(model.name.clone()) {
                free.insert(Model::new(model, catalog.simulated));
            }
        }
    }
    Ok(Json(models))
}

/// Why a kept catalog cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum CatalogError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was kept is not a catalog.
    #[error("the kept catalog of {environment} cannot be read ({problem}); the next cycle writes a new one")]
    Unreadable {
        /// Whose.
        environment: Environment,
        /// In the parser's words.
        problem: String,
    },
}

impl From<CatalogError> for ApiError {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Store(error) => error.into(),
            unreadable @ CatalogError::Unreadable { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, unreadable.to_string())
            }
        }
    }
}

/// The catalog that the last cycle of `environment` kept; `None` before the first.
pub(super) async fn kept_catalog(
    store: &dyn Store,
    environment: &Environment,
) -> Result<Option<Catalog>, CatalogError> {
    let Some(json) = store.load_catalog(environment).await? else { return Ok(None) };
    serde_json::from_slice(&json).map(Some).map_err(|e| {
        tracing::warn!(%environment, error = %e, "the kept catalog of {environment} cannot be read: {e}");
        CatalogError::Unreadable { environment: environment.clone(), problem: e.to_string() }
    })
}

impl Pricing {
    /// Of prices for one token.
    pub(super) fn of(input_usd: Option<Decimal>, output_usd: Option<Decimal>) -> Self {
        let per_thousand =
            |usd: Decimal| usd.checked_mul(Decimal::ONE_THOUSAND).and_then(|usd| number(usd.normalize()));
        Self { input: input_usd.and_then(per_thousand), output: output_usd.and_then(per_thousand) }
    }
}

impl Model {
    fn new(model: CatalogModel, simulated: bool) -> Self {
        Self {
            provider: model.provider,
            context_window: model.context_window,
            pricing: Pricing::of(
                model.prices.map(|prices| prices.input_usd_per_token),
                model.prices.map(|prices| prices.output_usd_per_token),
            ),
            is_cloud: model.is_cloud,
            arena_score: model.arena_score,
            usage_stats: model.usage.map(Usage::from),
            monitored: model.not_monitored.is_none(),
            reason: model.not_monitored,
            simulated,
        }
    }
}

impl From<UsageStats> for Usage {
    fn from(stats: UsageStats) -> Self {
        let finite = |number: Option<f64>| number.filter(|number| number.is_finite()).unwrap_or(0.0);
        Self {
            daily_cost: finite(stats.daily_cost_usd),
            daily_input_tokens: finite(stats.daily_input_tokens),
            daily_output_tokens: finite(stats.daily_output_tokens),
            daily_prompts: finite(stats.daily_prompts),
            monthly_avg_cost: finite(stats.monthly_avg_cost_usd),
            monthly_avg_input_tokens: finite(stats.monthly_avg_input_tokens),
            monthly_avg_output_tokens: finite(stats.monthly_avg_output_tokens),
        }
    }
}
