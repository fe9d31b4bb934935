use std::{fmt, time::Duration};

use rust_decimal::Decimal;
use secrecy::SecretString;
use url::Url;

use super::{
    prefix, providers,
    urls::http_url,
    vars::{Source, items, whole},
};
use crate::{catalog::Accesses, cycle::Variation, record::Environment, redact};

/// The predecessor's default, where our own `mock` listens too.
const DEV_USAGE_ENDPOINT: &str = "http://localhost:8001/api/llm-usage";
const ENVIRONMENT_NAMES: &str =
    "unique names of a-z, 0-9 and '-', at most 32 long, comma-separated, like dev,test,qa,prod";

/// Which environments are monitored, and how often.
#[derive(Debug, Clone)]
pub struct Monitoring {
    /// `MULTI_ENV_MODE`, default `simple`.
    pub mode: Mode,
    /// `ENVIRONMENTS`, default `dev,test,qa,prod`.
    pub environments: Vec<Environment>,
    /// Those that are really measured: `ENVIRONMENT` in simple mode, all in full mode.
    pub measured: Vec<EnvironmentSettings>,
    /// `ENVIRONMENT_VARIATIONS`: those that are derived from the measured one; empty in full mode.
    pub derived: Vec<Variation>,
    /// `MONITOR_INTERVAL`, default 60 seconds.
    pub interval: Duration,
    /// `LLM_API_TIMEOUT`, default 30 seconds: for one probe, and for one usage request.
    pub timeout: Duration,
    /// `PROBE_LOCATION`, default the AWS region, else `local`.
    pub location: String,
}

/// How many environments are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One is measured, the others are derived from it.
    Simple,
    /// Each is measured.
    Full,
}

/// One measured environment.
#[derive(Debug, Clone)]
pub struct EnvironmentSettings {
    /// Its name.
    pub environment: Environment,
    /// `{ENV}_USAGE_ENDPOINT`, `{ENV}_USAGE_TOKEN`.
    pub usage: UsageEndpoint,
    /// The providers that it can reach: `{ENV}_OPENAI_API_KEY`, else `OPENAI_API_KEY`, and so on.
    pub accesses: Accesses,
}

/// Where an environment's usage report comes from.
#[derive(Clone)]
pub struct UsageEndpoint {
    /// May hold a query of its own, a user name and a password.
    pub url: Url,
    /// Sent as a bearer token.
    pub token: Option<SecretString>,
}

impl fmt::Debug for UsageEndpoint {
    /// Without the credentials that a URL may hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UsageEndpoint").field("url", &redact::url(&self.url)).field("token", &self.token).finish()
    }
}

pub(super) fn read(source: &mut Source<'_>) -> Monitoring {
    let mode = source.parse("MULTI_ENV_MODE", Mode::Simple, "simple or full", |text| {
        match text.to_ascii_lowercase().as_str() {
            "simple" => Some(Mode::Simple),
            "full" => Some(Mode::Full),
            _ => None,
        }
    });
    let default_names = names("dev,test,qa,prod").unwrap_or_default();
    let environments = source.parse("ENVIRONMENTS", default_names, ENVIRONMENT_NAMES, names);
    let to_measure = match mode {
        Mode::Full => environments.clone(),
        Mode::Simple => vec![measured_environment(source, &environments)],
    };
    let derived = match mode {
        Mode::Full => Vec::new(),
        Mode::Simple => variations(source, &environments, &to_measure),
    };
    let measured = to_measure
        .into_iter()
        .filter_map(|environment| {
            // Both are read before either can end this, so that the problems of both are reported.
            let usage = usage_endpoint(source, &environment, mode);
            let accesses = providers::accesses(source, &environment);
            Some(EnvironmentSettings { environment, usage: usage?, accesses })
        })
        .collect();
    let aws_region = source.get("AWS_REGION").or_else(|| source.get("AWS_DEFAULT_REGION")).unwrap_or("local");
    Monitoring {
        mode,
        environments,
        measured,
        derived,
        interval: source.parse("MONITOR_INTERVAL", Duration::from_secs(60), "whole seconds, 1 to 86400", |text| {
            whole(text, 1..=86_400).map(Duration::from_secs)
        }),
        timeout: source.parse("LLM_API_TIMEOUT", Duration::from_secs(30), "seconds, 0.1 to 600", |text| {
            let seconds: f64 = text.parse().ok()?;
            (0.1..=600.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
        }),
        location: source.parse(
            "PROBE_LOCATION",
            aws_region.to_owned(),
            "1 to 64 of letters, digits, '.', '_' and '-'",
            |text| is_location(text).then(|| text.to_owned()),
        ),
    }
}

fn names(text: &str) -> Option<Vec<Environment>> {
    let names = text.split(',').map(|name| name.trim().parse().ok()).collect::<Option<Vec<Environment>>>()?;
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    (unique.len() == names.len()).then_some(names)
}

fn is_location(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Where `ENVIRONMENT` is unusable, dev stands in for it, which has a default of everything: so that what else is wrong is
/// reported in the same go.
fn measured_environment(source: &mut Source<'_>, environments: &[Environment]) -> Environment {
    let text = source.get("ENVIRONMENT").unwrap_or("dev");
    let found = text.parse().ok().filter(|environment| environments.contains(environment));
    found.unwrap_or_else(|| {
        let all = environments.iter().map(Environment::as_str).collect::<Vec<_>>().join(", ");
        source.refuse("ENVIRONMENT", source.get("ENVIRONMENT"), &format!("the environment to measure, one of {all}"));
        Environment::dev()
    })
}

fn variations(source: &mut Source<'_>, environments: &[Environment], measured: &[Environment]) -> Vec<Variation> {
    let default = [("test", 5), ("qa", 10), ("prod", 15)]
        .into_iter()
        .filter_map(|(name, percent)| {
            Some(Variation { environment: name.parse().ok()?, fraction: Decimal::new(percent, 2) })
        })
        .collect();
    let expected = "environment:fraction pairs, each of ENVIRONMENTS and above -1, comma-separated, like \
                    test:0.05,qa:0.10,prod:0.15";
    let set = source.parse("ENVIRONMENT_VARIATIONS", default, expected, |text| {
        let variations = items(text).map(variation).collect::<Option<Vec<_>>>()?;
        variations.iter().all(|variation| environments.contains(&variation.environment)).then_some(variations)
    });
    environments
        .iter()
        .filter(|environment| !measured.contains(environment))
        .map(|environment| {
            let fraction = set.iter().find(|v| v.environment == *environment).map_or(Decimal::ZERO, |v| v.fraction);
            Variation { environment: environment.clone(), fraction }
        })
        .collect()
}

fn variation(pair: &str) -> Option<Variation> {
    let (name, fraction) = pair.split_once(':')?;
    let fraction: Decimal = fraction.trim().parse().ok()?;
    let is_usable = fraction > Decimal::NEGATIVE_ONE && fraction <= Decimal::ONE_HUNDRED && fraction.scale() <= 9;
    is_usable.then_some(Variation { environment: name.trim().parse().ok()?, fraction })
}

fn usage_endpoint(source: &mut Source<'_>, environment: &Environment, mode: Mode) -> Option<UsageEndpoint> {
    let name = format!("{}_USAGE_ENDPOINT", prefix(environment));
    let url = match source.get(&name) {
        Some(_) => http_url(source, &name),
        None if environment.as_str() == "dev" => Url::parse(DEV_USAGE_ENDPOINT).ok(),
        None => {
            let why = match mode {
                Mode::Full => "MULTI_ENV_MODE=full needs one for each of ENVIRONMENTS",
                Mode::Simple => "the environment to measure needs one",
            };
            source.refuse(&name, None, &format!("the usage endpoint's URL ({why})"));
            None
        }
    };
    let token = source.secret(&format!("{}_USAGE_TOKEN", prefix(environment)));
    Some(UsageEndpoint { url: url?, token })
}
