//! What the mock does, as one JSON file says it: which models there are, how fast each answers, how each fails, and how an
//! environment differs from the others.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use llm_monitor_core::{provider::Provider, record::Environment};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    MockError,
    behaviour::{Behaviour, Failure},
};

/// The built-in configuration: what `llm-monitor mock --print-config` prints and `demo` runs.
const PRESET: &str = include_str!("preset.json");

/// The whole mock. Every field may be left out of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Take a free port when `listen`'s is in use, instead of failing.
    pub or_free_port: bool,
    /// Same seed, same sequence of requests: same answers, delays and failures.
    pub seed: u64,
    /// The key that every LLM request must carry, in its provider's header; `None` takes any request.
    pub api_key: Option<DemandedKey>,
    /// The bearer token that a usage request must carry; `None` takes any request.
    pub usage_token: Option<DemandedKey>,
    /// By the usage endpoint's `llmCode`.
    pub models: BTreeMap<String, MockModel>,
    /// How environments differ. One that is not named here behaves as `models` say.
    pub environments: BTreeMap<String, MockEnvironment>,
}

impl Default for MockConfig {
    /// No models, on port 8001 (where the predecessor's default usage endpoint was).
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8001),
            or_free_port: false,
            seed: 1,
            api_key: None,
            usage_token: None,
            models: BTreeMap::new(),
            environments: BTreeMap::new(),
        }
    }
}

impl MockConfig {
    /// The built-in one: eight models over four wire formats, and dev, test, qa and prod that differ visibly.
    pub fn built_in() -> Result<Self, MockError> {
        Self::from_json(PRESET)
    }

    /// Nothing but `models`, the same in every environment, on a free port: for tests.
    pub fn of_models<N: Into<String>>(models: impl IntoIterator<Item = (N, Provider, Behaviour)>) -> Self {
        let model = |provider, behaviour| MockModel { behaviour, ..MockModel::of(provider) };
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            models: models.into_iter().map(|(name, provider, b)| (name.into(), model(provider, b))).collect(),
            ..Self::default()
        }
    }

    /// Reads a configuration; an error names the field and the line.
    pub fn from_json(json: &str) -> Result<Self, MockError> {
        serde_json::from_str(json).map_err(|error| MockError::Config(error.to_string()))
    }

    /// The environments it knows, in the order in which software travels through the usual four; the others follow.
    pub fn environment_names(&self) -> Vec<Environment> {
        let usual = ["dev", "test", "qa", "prod"];
        let named = |name: &str| self.environments.contains_key(name);
        let first = usual.into_iter().filter(|name| named(name)).map(str::to_owned);
        let others = self.environments.keys().filter(|name| !usual.contains(&name.as_str())).cloned();
        first.chain(others).filter_map(|name| name.parse().ok()).collect()
    }

    /// As a file to start from.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// How `model` behaves in `environment`; `Ok(None)` where that environment is without it.
    pub(super) fn behaviour(&self, environment: &str, model: &str) -> Result<Option<Behaviour>, MockError> {
        let Some(base) = self.models.get(model) else { return Ok(None) };
        let Some(differs) = self.environments.get(environment) else { return Ok(Some(base.behaviour.clone())) };
        if differs.without.iter().any(|name| name == model) {
            return Ok(None);
        }
        let place =
            |problem: String| MockError::Config(format!("environments.{environment}.models.{model}: {problem}"));
        let mut behaviour = base.behaviour.slowed(differs.time_factor);
        behaviour.failures.extend(differs.failures.iter().cloned());
        if let Some(changes) = differs.models.get(model) {
            behaviour = behaviour.changed(changes).map_err(place)?;
        }
        behaviour.check().map_err(place)?;
        Ok(Some(behaviour))
    }

    /// Finds what a person would otherwise find only when the request comes.
    pub(super) fn check(&self) -> Result<(), MockError> {
        for (name, model) in &self.models {
            let place = |problem: String| MockError::Config(format!("models.{name}: {problem}"));
            model.behaviour.check().map_err(place)?;
            let rates = [model.input_usd_per_token, model.output_usd_per_token];
            if rates.iter().any(|rate| !rate.is_finite() || *rate < 0.0) {
                return Err(place("a rate is US dollars per token, 0 or more".to_owned()));
            }
        }
        for (environment, differs) in &self.environments {
            if !environment.parse::<Environment>().is_ok_and(|name| name.as_str() == environment) {
                return Err(MockError::Config(format!(
                    "environments.{environment}: a name is 1 to 32 of a-z, 0-9 and '-'"
                )));
            }
            if let Some(name) =
                differs.models.keys().chain(&differs.without).find(|name| !self.models.contains_key(*name))
            {
                return Err(MockError::Config(format!("environments.{environment}: no model is called {name:?}")));
            }
            for factor in [differs.time_factor, differs.usage_factor] {
                if !factor.is_finite() || factor <= 0.0 {
                    return Err(MockError::Config(format!("environments.{environment}: a factor is above 0")));
                }
            }
            for model in self.models.keys() {
                self.behaviour(environment, model)?;
            }
        }
        Ok(())
    }
}

/// A key or token that the mock demands. `Debug` hides its value; the configuration as JSON has it, to be read back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DemandedKey(String);

impl DemandedKey {
    /// Demands `key`.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    pub(super) fn is(&self, given: &str) -> bool {
        self.0 == given
    }
}

impl fmt::Debug for DemandedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DemandedKey(hidden)")
    }
}

/// One model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MockModel {
    /// Whose wire format it speaks. The OpenAI format serves every model, as a gateway does.
    #[serde(with = "provider_name")]
    pub provider: Provider,
    /// What the answer says served it (providers answer with a dated name); `None`: the name asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_as: Option<String>,
    /// US dollars; the usage endpoint's `inputTokenRate`.
    #[serde(default)]
    pub input_usd_per_token: f64,
    /// US dollars; the usage endpoint's `outputTokenRate`.
    #[serde(default)]
    pub output_usd_per_token: f64,
    /// On a usual day, for the usage endpoint.
    #[serde(default = "usual_prompts")]
    pub prompts_per_day: u64,
    /// On average, for the usage endpoint.
    #[serde(default = "usual_input")]
    pub input_tokens_per_prompt: u64,
    /// On average, for the usage endpoint.
    #[serde(default = "usual_output")]
    pub output_tokens_per_prompt: u64,
    /// How it answers.
    #[serde(default)]
    pub behaviour: Behaviour,
}

impl MockModel {
    /// A model of `provider` that costs nothing and behaves as the default says.
    pub fn of(provider: Provider) -> Self {
        Self {
            provider,
            served_as: None,
            input_usd_per_token: 0.0,
            output_usd_per_token: 0.0,
            prompts_per_day: usual_prompts(),
            input_tokens_per_prompt: usual_input(),
            output_tokens_per_prompt: usual_output(),
            behaviour: Behaviour::default(),
        }
    }
}

fn usual_prompts() -> u64 {
    1_000
}

fn usual_input() -> u64 {
    500
}

fn usual_output() -> u64 {
    100
}

/// How one environment differs from what `models` say.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MockEnvironment {
    /// Multiplies every time: 2 is half as fast.
    pub time_factor: f64,
    /// Multiplies what the usage endpoint reports: prompts, tokens and cost.
    pub usage_factor: f64,
    /// Failures of every model here, beside the model's own.
    pub failures: Vec<Failure>,
    /// Models that do not exist here.
    pub without: Vec<String>,
    /// Fields of [`Behaviour`] that are different here, by model; they win over `time_factor` and `failures`.
    pub models: BTreeMap<String, Map<String, Value>>,
}

impl Default for MockEnvironment {
    fn default() -> Self {
        Self { time_factor: 1.0, usage_factor: 1.0, failures: Vec::new(), without: Vec::new(), models: BTreeMap::new() }
    }
}

mod provider_name {
    use llm_monitor_core::provider::Provider;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    // The signature is serde's.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    pub(super) fn serialize<S: Serializer>(provider: &Provider, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(provider.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Provider, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_built_in_configuration_is_sound_and_reads_back() {
        let config = MockConfig::built_in().unwrap();
        config.check().unwrap();
        assert!(config.models.len() >= 6);
        for environment in ["dev", "test", "qa", "prod"] {
            assert!(config.environments.contains_key(environment), "{environment}");
        }
        MockConfig::from_json(&config.to_json()).unwrap().check().unwrap();
    }

    #[test]
    fn an_environments_own_figures_win_over_its_factor() {
        let mut config = MockConfig::of_models([
            ("a", Provider::OpenAi, Behaviour::default()),
            ("b", Provider::OpenAi, Behaviour::default()),
        ]);
        let mut test = MockEnvironment { time_factor: 2.0, ..MockEnvironment::default() };
        test.models.insert("b".to_owned(), Map::from_iter([("ttft_ms".to_owned(), Value::from(7))]));
        config.environments.insert("test".to_owned(), test);
        let ttft = |environment: &str, model: &str| config.behaviour(environment, model).unwrap().unwrap().ttft_ms;
        assert_eq!((ttft("test", "a"), ttft("test", "b"), ttft("prod", "b")), (400.0, 7.0, 200.0));
    }

    #[test]
    fn a_bad_configuration_is_refused_with_the_place() {
        for (json, place) in [
            (r#"{"modles":{}}"#, "modles"),
            (r#"{"models":{"m":{"provider":"acme"}}}"#, "openai"),
            (r#"{"models":{"m":{"provider":"openai","behaviour":{"jitter":9}}}}"#, "models.m: jitter"),
            (r#"{"models":{"m":{"provider":"openai","behaviour":{"failures":[{"kind":"cut"}]}}}}"#, "every"),
            (r#"{"environments":{"qa":{"without":["x"]}}}"#, "\"x\""),
            (
                r#"{"models":{"m":{"provider":"openai"}},"environments":{"qa":{"models":{"m":{"ttft":1}}}}}"#,
                "environments.qa.models.m",
            ),
        ] {
            let error = MockConfig::from_json(json).and_then(|config| config.check()).unwrap_err().to_string();
            assert!(error.contains(place), "{json}: {error}");
        }
    }
}
