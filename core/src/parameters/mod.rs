//! Secrets by reference: `OPENAI_API_KEY_PARAMETER=/llm-monitor/prod/openai` names a parameter of AWS Systems Manager's
//! Parameter Store, and stands for `OPENAI_API_KEY` with that parameter's value. A secret of Secrets Manager is reached through it as
//! `/aws/reference/secretsmanager/NAME`.
//!
//! Read by the hosts before the settings, once when they start and again by age, so that a new key needs no restart.

mod ssm;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use crate::settings::{Problem, SettingsError, Vars};

pub use ssm::ParameterStore;

/// How long values are used before they are read again.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);
const SUFFIX: &str = "_PARAMETER";
/// How variables that may be given by reference end: all secrets, and nothing else.
const SECRETS: [&str; 3] = ["API_KEY", "API_TOKEN", "USAGE_TOKEN"];

/// Why the variables are not known. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParametersError {
    /// Variables that name nothing usable; a line each.
    #[error(transparent)]
    Unusable(#[from] SettingsError),
    /// The parameters could not be read.
    #[error("{variables} could not be read: {problem}")]
    Unread {
        /// Which variables refer to them.
        variables: String,
        /// In words for a person.
        problem: String,
    },
}

/// Where parameters are kept.
#[async_trait]
pub trait Reader: Debug + Send + Sync {
    /// The values of those of `names` that there are.
    ///
    /// # Errors
    /// In words for a person.
    async fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, SecretString>, String>;

    /// Where it looks, in words for a person.
    async fn place(&self) -> String;
}

/// The process's variables, with what some of them refer to.
#[derive(Debug)]
pub struct Parameters {
    vars: Vars,
    references: Vec<Reference>,
    reader: Box<dyn Reader>,
    max_age: Duration,
    last: Mutex<Option<Last>>,
}

/// What was read last.
#[derive(Debug)]
struct Last {
    vars: Vars,
    at: Instant,
}

#[derive(Debug)]
struct Reference {
    /// `OPENAI_API_KEY`.
    variable: String,
    /// `/llm-monitor/prod/openai`.
    parameter: String,
}

impl Reference {
    /// `OPENAI_API_KEY_PARAMETER`.
    fn name(&self) -> String {
        format!("{}{SUFFIX}", self.variable)
    }
}

impl Parameters {
    /// Those that `vars` refer to, in AWS's Parameter Store. Sends nothing.
    pub fn new(vars: Vars) -> Self {
        let store = ParameterStore::new(&vars);
        Self::by(vars, store)
    }

    /// As [`new`](Self::new), read elsewhere.
    pub fn by(vars: Vars, reader: impl Reader + 'static) -> Self {
        let references = vars.names().filter_map(|name| {
            let variable = name.strip_suffix(SUFFIX)?;
            let is_secret = SECRETS.iter().any(|ending| variable.ends_with(ending));
            let parameter = vars.get(name).filter(|_| is_secret)?;
            Some(Reference { variable: variable.to_owned(), parameter: parameter.to_owned() })
        });
        Self {
            references: references.collect(),
            vars,
            reader: Box::new(reader),
            max_age: MAX_AGE,
            last: Mutex::default(),
        }
    }

    /// With another age at which values are read again.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The variables, each reference replaced by the value behind it. Where there is no reference nothing is read.
    ///
    /// # Errors
    /// Every reference that leads nowhere, or why nothing could be read.
    pub async fn resolve(&self) -> Result<Vars, ParametersError> {
        if self.references.is_empty() {
            return Ok(self.vars.clone());
        }
        self.refuse_doubles()?;
        let names = self.references.iter().map(|reference| reference.parameter.clone()).collect();
        let values = self.reader.read(&names).await.map_err(|problem| {
            let variables = self.references.iter().map(Reference::name).collect::<Vec<_>>().join(", ");
            ParametersError::Unread { variables, problem }
        })?;
        let mut vars = self.vars.clone();
        let mut problems = Vec::new();
        for reference in &self.references {
            if let Some(value) = values.get(&reference.parameter) {
                vars.set(reference.variable.clone(), value.expose_secret());
            } else {
                let place = self.reader.place().await;
                problems.push(problem(reference, format!("the name of a parameter that there is in {place}")));
            }
        }
        if !problems.is_empty() {
            return Err(SettingsError(problems).into());
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Last { vars: vars.clone(), at: Instant::now() });
        Ok(vars)
    }

    /// The variables, if what they refer to was read some minutes ago and has changed since. A failure to read is logged, and
    /// what is known goes on being used.
    pub async fn changed(&self) -> Option<Vars> {
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let last = last.as_mut().filter(|last| last.at.elapsed() >= self.max_age)?;
            // Also when reading fails now: the next try is some minutes away, not in every event.
            last.at = Instant::now();
        }
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|last| last.vars.clone());
        match self.resolve().await {
            Ok(vars) => Some(vars).filter(|vars| known.as_ref() != Some(vars)),
            Err(error) => {
                tracing::warn!(%error, "{error}; the values read before are used");
                None
            }
        }
    }

    fn refuse_doubles(&self) -> Result<(), SettingsError> {
        let doubles = self.references.iter().filter(|reference| self.vars.get(&reference.variable).is_some());
        let problems: Vec<_> = doubles
            .map(|reference| problem(reference, format!("only one of it and {} to be set", reference.variable)))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(SettingsError(problems)) }
    }
}

fn problem(reference: &Reference, expected: String) -> Problem {
    Problem { variable: reference.name(), value: Some(reference.parameter.clone()), expected }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Fake(Arc<Mutex<BTreeMap<String, String>>>);

    impl Fake {
        fn set(&self, name: &str, value: &str) {
            self.0.lock().expect("no panic").insert(name.to_owned(), value.to_owned());
        }
    }

    #[async_trait]
    impl Reader for Fake {
        async fn read(&self, names: &BTreeSet<String>) -> Result<BTreeMap<String, SecretString>, String> {
            let all = self.0.lock().expect("no panic");
            if all.contains_key("down") {
                return Err("it is down".to_owned());
            }
            Ok(names.iter().filter_map(|name| Some((name.clone(), all.get(name)?.clone().into()))).collect())
        }

        async fn place(&self) -> String {
            "the fake".to_owned()
        }
    }

    fn parameters(fake: &Fake, vars: impl IntoIterator<Item = (&'static str, &'static str)>) -> Parameters {
        Parameters::by(vars.into_iter().collect(), fake.clone())
    }

    #[tokio::test]
    async fn a_reference_stands_for_the_value_behind_it() {
        let fake = Fake::default();
        fake.set("/m/openai", "sk-1");
        fake.set("/m/usage", "token-1");
        let parameters = parameters(
            &fake,
            [
                ("PROD_OPENAI_API_KEY_PARAMETER", "/m/openai"),
                ("PROD_USAGE_TOKEN_PARAMETER", "/m/usage"),
                ("API_TOKEN_PARAMETER", ""),
                ("SOME_OTHER_PARAMETER", "/not/ours"),
                ("ENVIRONMENT", "prod"),
            ],
        );
        let vars = parameters.resolve().await.expect("all are there");
        assert_eq!(vars.get("PROD_OPENAI_API_KEY"), Some("sk-1"));
        assert_eq!(vars.get("PROD_USAGE_TOKEN"), Some("token-1"));
        assert_eq!(vars.get("API_TOKEN"), None);
        assert_eq!(vars.get("SOME_OTHER"), None);
        assert_eq!(vars.get("ENVIRONMENT"), Some("prod"));
    }

    #[tokio::test]
    async fn what_leads_nowhere_is_named_and_no_value_is() {
        let fake = Fake::default();
        fake.set("/m/openai", "sk-secret");
        let vars = [("OPENAI_API_KEY_PARAMETER", "/m/openai"), ("GEMINI_API_KEY_PARAMETER", "/m/gemini")];
        let error = parameters(&fake, vars).resolve().await.expect_err("one is missing").to_string();
        let expected =
            "GEMINI_API_KEY_PARAMETER=\"/m/gemini\": expected the name of a parameter that there is in the fake";
        assert_eq!(error, expected);

        let vars = [("OPENAI_API_KEY_PARAMETER", "/m/openai"), ("OPENAI_API_KEY", "sk-other")];
        let error = parameters(&fake, vars).resolve().await.expect_err("which of them?").to_string();
        assert_eq!(
            error,
            "OPENAI_API_KEY_PARAMETER=\"/m/openai\": expected only one of it and OPENAI_API_KEY to be set"
        );
    }

    #[tokio::test]
    async fn values_are_read_again_by_age_and_kept_while_they_cannot_be() {
        let fake = Fake::default();
        fake.set("/m/openai", "old");
        let young = parameters(&fake, [("OPENAI_API_KEY_PARAMETER", "/m/openai")]);
        let old = parameters(&fake, [("OPENAI_API_KEY_PARAMETER", "/m/openai")]).with_max_age(Duration::ZERO);
        young.resolve().await.expect("there");
        old.resolve().await.expect("there");
        assert_eq!(old.changed().await, None, "the same value");

        fake.set("/m/openai", "new");
        assert_eq!(young.changed().await, None, "too early");
        assert_eq!(old.changed().await.expect("another value").get("OPENAI_API_KEY"), Some("new"));
        assert_eq!(old.changed().await, None, "known by now");

        fake.set("/m/openai", "newest");
        fake.set("down", "");
        assert_eq!(old.changed().await, None, "it cannot be read");
        fake.0.lock().expect("no panic").remove("down");
        assert_eq!(old.changed().await.expect("it can again").get("OPENAI_API_KEY"), Some("newest"));
    }

    #[tokio::test]
    async fn without_references_nothing_is_read() {
        let fake = Fake::default();
        fake.set("down", "");
        let parameters = parameters(&fake, [("OPENAI_API_KEY", "sk-plain")]);
        assert_eq!(parameters.resolve().await.expect("as it is").get("OPENAI_API_KEY"), Some("sk-plain"));
        assert_eq!(parameters.changed().await, None);
    }
}
