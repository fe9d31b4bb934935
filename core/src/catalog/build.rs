use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use url::{Host, Url};

use super::{
    Accesses, Catalog, CatalogModel, OutputLimits, Prices, ProviderRule, Source, Target, UsageStats,
    known::{self, KnownModel},
    rules::provider_of,
};
use crate::{
    provider::{Access, Provider},
    record::Environment,
    usage::{Report, UsageEntry},
};

/// How a catalog is made, apart from what the usage endpoint says.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whose catalog it is.
    pub environment: Environment,
    /// The providers that it can reach.
    pub accesses: Accesses,
    /// `MODEL_PROVIDERS`.
    pub rules: Vec<ProviderRule>,
    /// What every probe asks.
    pub prompt: Arc<str>,
    /// How much it may generate.
    pub limits: OutputLimits,
    /// For a whole probe.
    pub timeout: Duration,
}

impl Plan {
    /// The catalog of a fresh report.
    pub fn from_report(&self, report: &Report, fetched_at: DateTime<Utc>) -> Catalog {
        Catalog {
            environment: self.environment.to_string(),
            source: Source::UsageEndpoint,
            fetched_at: Some(fetched_at),
            problems: report.skipped.iter().map(|line| format!("skipped {line}")).collect(),
            simulated: false,
            models: report.entries.iter().map(|entry| self.model(entry)).collect(),
        }
    }

    /// The last good catalog, while the endpoint fails with `problem`. Who can be monitored is decided anew: the settings may
    /// have changed since.
    pub fn from_last_good(&self, last: &Catalog, problem: String) -> Catalog {
        let models = last.models.iter().map(|model| CatalogModel {
            prices: model.prices,
            usage: model.usage,
            ..self.bare(&model.name)
        });
        Catalog { source: Source::LastGood, problems: vec![problem], models: models.collect(), ..last.clone() }
    }

    /// The built-in catalog, where the endpoint never answered.
    pub fn built_in(&self, problem: String) -> Catalog {
        Catalog {
            environment: self.environment.to_string(),
            source: Source::BuiltIn,
            fetched_at: None,
            problems: vec![problem],
            simulated: false,
            models: known::built_in().map(|known| self.bare(&known.name)).collect(),
        }
    }

    /// The probes that `catalog` asks for.
    pub fn targets(&self, catalog: &Catalog) -> Vec<Target> {
        catalog.models.iter().filter_map(|model| self.target(model)).collect()
    }

    fn model(&self, entry: &UsageEntry) -> CatalogModel {
        let prices = entry.input_rate_usd.zip(entry.output_rate_usd);
        CatalogModel {
            prices: prices.map(|(input, output)| Prices { input_usd_per_token: input, output_usd_per_token: output }),
            usage: Some(UsageStats {
                daily_cost_usd: entry.cost_usd,
                daily_input_tokens: entry.input_tokens,
                daily_output_tokens: entry.output_tokens,
                daily_prompts: entry.prompts,
                monthly_avg_cost_usd: entry.month_cost_usd,
                monthly_avg_input_tokens: entry.month_input_tokens,
                monthly_avg_output_tokens: entry.month_output_tokens,
                monthly_avg_prompts: entry.month_prompts,
            }),
            ..self.bare(&entry.llm_code)
        }
    }

    /// A model without price and use.
    fn bare(&self, name: &str) -> CatalogModel {
        let known = known::find(name);
        let provider = provider_of(name, &self.rules).or(known.map(|known| known.provider));
        let access = provider.and_then(|provider| self.accesses.get(&provider));
        CatalogModel {
            name: name.to_owned(),
            provider: provider.map(|provider| provider.to_string()),
            context_window: known.and_then(|known: &KnownModel| known.context_window),
            arena_score: known.and_then(|known| known.arena_score),
            is_cloud: provider != Some(Provider::Ollama)
                && !access.is_some_and(|access| is_this_host(&access.base_url)),
            prices: None,
            usage: None,
            not_monitored: not_monitored(name, provider, access),
        }
    }

    fn target(&self, model: &CatalogModel) -> Option<Target> {
        if model.not_monitored.is_some() {
            return None;
        }
        let provider: Provider = model.provider.as_deref()?.parse().ok()?;
        let provider_model = provider.wire().name_of(&model.name);
        Some(Target {
            environment: self.environment.clone(),
            model: model.name.clone(),
            provider,
            provider_model: provider_model.to_owned(),
            access: self.accesses.get(&provider)?.clone(),
            prices: model.prices,
            context_window: model.context_window,
            is_cloud: model.is_cloud,
            prompt: Arc::clone(&self.prompt),
            max_output_tokens: self.limits.of(&model.name),
            timeout: self.timeout,
        })
    }
}

fn not_monitored(name: &str, provider: Option<Provider>, access: Option<&Access>) -> Option<String> {
    if access.is_some() {
        return None;
    }
    let Some(provider) = provider else {
        return Some(format!("no rule tells its provider; set MODEL_PROVIDERS={name}=openai (or another provider)"));
    };
    let variables = provider.wire().variables();
    let base_url = variables.base_url.first().copied().unwrap_or_default();
    Some(match (variables.key, variables.default_base_url) {
        (Some(key), Some(_)) if provider == Provider::OpenAi => {
            format!("no key: set {key} (any value, for a server of your own that wants none)")
        }
        (Some(key), Some(_)) => format!("no key: set {key}"),
        (Some(key), None) => format!("no access: set {base_url} and {key}"),
        (None, _) => format!("no base URL: mend {base_url}"),
    })
}

fn is_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage;

    fn plan(provider: Provider, base_url: &str) -> Plan {
        let access =
            Access { base_url: base_url.parse().expect("a URL"), api_key: Some("key".into()), api_version: None };
        Plan {
            environment: "prod".parse().expect("a name"),
            accesses: [(provider, access)].into(),
            rules: Vec::new(),
            prompt: Arc::from("hello"),
            limits: OutputLimits { default: 128, by_model: Vec::new() },
            timeout: Duration::from_secs(30),
        }
    }

    fn report(body: &str) -> Report {
        usage::parse(body.as_bytes()).expect("a report")
    }

    #[test]
    fn a_model_without_provider_or_key_is_listed_with_what_would_mend_it() {
        let plan = plan(Provider::OpenAi, "https://api.openai.com/v1");
        let report = report(r#"[{"llmCode":"gpt-4o"},{"llmCode":"mistral-large"},{"llmCode":"claude-x"}]"#);
        let catalog = plan.from_report(&report, DateTime::UNIX_EPOCH);
        let reasons: Vec<_> = catalog.models.iter().map(|model| model.not_monitored.as_deref().unwrap_or("")).collect();
        let [gpt, mistral, claude] = reasons.as_slice() else { panic!("three models") };
        assert_eq!(*gpt, "");
        assert!(mistral.contains("MODEL_PROVIDERS=mistral-large=openai"), "{mistral}");
        assert!(claude.contains("ANTHROPIC_API_KEY"), "{claude}");
        let targets: Vec<_> = plan.targets(&catalog).into_iter().map(|target| target.model).collect();
        assert_eq!(targets, ["gpt-4o"]);
    }

    #[test]
    fn ollama_models_are_asked_for_by_their_own_name_and_are_on_premises() {
        let plan = plan(Provider::Ollama, "http://gpu-box:11434");
        let catalog = plan.from_report(&report(r#"[{"llmCode":"ollama-llama3"}]"#), DateTime::UNIX_EPOCH);
        let targets = plan.targets(&catalog);
        let target = targets.first().expect("one target");
        assert_eq!(
            (target.provider_model.as_str(), target.is_cloud, target.context_window),
            ("llama3", false, Some(4096))
        );
    }

    #[test]
    fn a_price_needs_both_rates() {
        let plan = plan(Provider::OpenAi, "http://localhost:8001/v1");
        let report = report(
            r#"[{"llmCode":"gpt-4o","inputTokenRate":1e-6},
            {"llmCode":"gpt-4","inputTokenRate":0,"outputTokenRate":0}]"#,
        );
        let catalog = plan.from_report(&report, DateTime::UNIX_EPOCH);
        let prices: Vec<_> = catalog.models.iter().map(|model| model.prices.is_some()).collect();
        assert_eq!(prices, [false, true], "a rate of 0 is a price, a missing one is none");
        assert!(catalog.models.iter().all(|model| !model.is_cloud), "a base URL on this host is not the cloud");
    }

    #[test]
    fn while_the_endpoint_fails_the_last_good_list_holds_and_a_kept_catalog_reads_back() {
        let plan = plan(Provider::OpenAi, "https://api.openai.com/v1");
        let report = report(r#"[{"llmCode":"gpt-4o","inputTokenRate":1e-6,"outputTokenRate":2e-6,"cost":3}]"#);
        let good = plan.from_report(&report, DateTime::UNIX_EPOCH);
        let kept: Catalog = serde_json::from_str(&serde_json::to_string(&good).expect("JSON")).expect("a catalog");
        assert_eq!(kept, good);
        let last = plan.from_last_good(&kept, "the endpoint is down".to_owned());
        assert_eq!((last.source, last.fetched_at), (Source::LastGood, Some(DateTime::UNIX_EPOCH)));
        assert_eq!(last.models, good.models);
        let none = plan.built_in("the endpoint is down".to_owned());
        assert_eq!((none.models.len(), plan.targets(&none).len()), (7, 3));
    }
}
