//! What a person can set, from the environment and `.env`: one file a section, each with its variables, defaults and checks.
//!
//! Read by the hosts alone; the stages of the pipeline take plain values. Every problem is reported at once, and each names
//! the variable, its value (never a secret's) and what would be accepted.

mod aws;
pub mod dotenv;
mod monitoring;
mod probing;
mod providers;
mod serving;
mod storing;
mod urls;
mod vars;

use std::sync::Arc;

use crate::{catalog::Plan, cycle::Measured, record::Environment};

pub use aws::aws_access;
pub use monitoring::{EnvironmentSettings, Mode, Monitoring, UsageEndpoint};
pub use probing::Probing;
pub use serving::{AllowedHosts, Cors, Serving};
pub use storing::{StoreSettings, Storing};
pub use vars::{Problem, SettingsError, Vars};

/// What the host is, where defaults differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The local runner.
    Local,
    /// An AWS Lambda function.
    Lambda,
}

/// Every setting, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which environments, how often, from which usage endpoints.
    pub monitoring: Monitoring,
    /// What one probe sends, and its limits.
    pub probing: Probing,
    /// Where records go.
    pub storing: Storing,
    /// Who may ask, and where the local runner listens.
    pub serving: Serving,
}

impl Settings {
    /// Checks `vars`.
    ///
    /// # Errors
    /// Every unusable variable, not just the first.
    pub fn from_vars(vars: &Vars, host: Host) -> Result<Self, SettingsError> {
        let mut source = vars::Source::new(vars);
        let monitoring = monitoring::read(&mut source);
        let settings = Self {
            probing: probing::read(&mut source),
            storing: storing::read(&mut source, host, &monitoring.location),
            monitoring,
            serving: serving::read(&mut source, host),
        };
        let problems = source.into_problems();
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError(problems)) }
    }

    /// The environments that are really measured, as a [`Monitor`](crate::cycle::Monitor) takes them.
    pub fn measured(&self) -> Vec<Measured> {
        let measured = self.monitoring.measured.iter().map(|one| Measured {
            plan: Plan {
                environment: one.environment.clone(),
                accesses: one.accesses.clone(),
                rules: self.probing.provider_rules.clone(),
                prompt: Arc::clone(&self.probing.prompt),
                limits: self.probing.max_output_tokens.clone(),
                timeout: self.monitoring.timeout,
            },
            usage_url: one.usage.url.clone(),
            usage_token: one.usage.token.clone(),
        });
        measured.collect()
    }

    /// The names of all environments, in the order set.
    pub fn environments(&self) -> Vec<Environment> {
        self.monitoring.environments.clone()
    }
}

/// `prod-eu` → `PROD_EU`: how an environment's own variables begin.
fn prefix(environment: &Environment) -> String {
    environment.as_str().to_ascii_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests;
