//! A record that was measured elsewhere, as a client posts it, and what is accepted of it.

use std::fmt::Display;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::{FieldProblem, parameters::parse_instant};
use crate::record::{Environment, ErrorKind, Failure, Outcome, Record, TokenSource, one_line};

/// Longest text of a field, in characters (`error_message` is cut to 200 instead).
const TEXT_MAX_CHARS: usize = 200;
/// A day.
const DURATION_MAX_MS: f64 = 86_400_000.0;
const TOKENS_MAX: u64 = 1_000_000_000_000;
const COST_MAX_USD: i64 = 1_000_000;
/// How far ahead of our clock a client's clock may be.
const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::days(1);

const DURATION: &str = "milliseconds: a number from 0 to 86400000, or null";
const TOKENS: &str = "a whole number from 0 to 1000000000000, or null";
const FLAG: &str = "true, false or null";
const TEXT: &str = "a text of 1 to 200 characters on one line, or null";

/// A record to add. `null` is as good as absent. A success needs `latency_ms`, `input_tokens` and `output_tokens`; an error
/// has no `latency_ms`. Fields that are not listed are ignored.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[schema(example = json!({
    "model_name": "gpt-4o-mini", "environment": "prod", "timestamp": "2026-11-24T16:54:00.113Z", "latency_ms": 1834.2,
    "input_tokens": 121, "output_tokens": 128, "cost": 0.000_094_95
}))]
pub struct NewRecord {
    /// The model; required.
    #[schema(value_type = String, required = true, min_length = 1, max_length = 200)]
    model_name: Given<String>,
    /// One of the configured environments; `dev` when absent.
    #[schema(value_type = Option<String>)]
    environment: Given<String>,
    /// When the probe started; required. RFC 3339; without a zone it is UTC. Kept to the millisecond.
    #[schema(value_type = String, format = DateTime, required = true)]
    timestamp: Given<String>,
    /// End to end, in milliseconds; required for a success.
    #[schema(value_type = Option<f64>, required = true, minimum = 0, maximum = 86_400_000)]
    latency_ms: Given<f64>,
    /// Prompt tokens; required for a success.
    #[schema(value_type = Option<u64>, required = true, minimum = 0, maximum = 1_000_000_000_000_u64)]
    input_tokens: Given<Whole>,
    /// Generated tokens; required for a success.
    #[schema(value_type = Option<u64>, required = true, minimum = 0, maximum = 1_000_000_000_000_u64)]
    output_tokens: Given<Whole>,
    /// US dollars.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000)]
    cost: Given<Number>,
    /// In tokens.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 1_000_000_000_000_u64)]
    context_window: Given<Whole>,
    /// `false` for a model served on premises.
    #[schema(value_type = Option<bool>)]
    is_cloud: Given<bool>,
    /// `success` or `error`; when absent, `error` if there is an `error_kind` or `error_message`, else `success`.
    #[schema(value_type = Option<String>, pattern = "^(success|error)$")]
    status: Given<String>,
    /// Must be absent: only the monitor's own cycles have one.
    #[schema(value_type = Option<String>, max_length = 0)]
    cycle_id: Given<Value>,
    /// Who serves the model.
    #[schema(value_type = Option<String>, max_length = 200)]
    provider: Given<String>,
    /// Derived instead of measured.
    #[schema(value_type = Option<bool>)]
    simulated: Given<bool>,
    /// Where it was measured from.
    #[schema(value_type = Option<String>, max_length = 200)]
    location: Given<String>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    start_delay_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    connect_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    ttft_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    ttfa_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    tpot_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    max_gap_ms: Given<f64>,
    /// Part of `input_tokens`.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 1_000_000_000_000_u64)]
    cached_input_tokens: Given<Whole>,
    /// Part of `output_tokens`.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 1_000_000_000_000_u64)]
    reasoning_tokens: Given<Whole>,
    /// `provider` or `estimated`.
    #[schema(value_type = Option<String>, pattern = "^(provider|estimated)$")]
    token_source: Given<String>,
    /// Status of the provider's HTTP response.
    #[schema(value_type = Option<u16>, minimum = 100, maximum = 599)]
    http_status: Given<Whole>,
    /// One of the kinds that records have; only of an error.
    #[schema(value_type = Option<String>)]
    error_kind: Given<String>,
    /// The failure in words, cut to 200 characters; only of an error.
    #[schema(value_type = Option<String>)]
    error_message: Given<String>,
    /// The model that the provider says answered.
    #[schema(value_type = Option<String>, max_length = 200)]
    served_model: Given<String>,
    /// Why generation ended.
    #[schema(value_type = Option<String>, max_length = 200)]
    finish_reason: Given<String>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    dns_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    tls_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    ttfb_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    client_delay_ms: Given<f64>,
    /// In milliseconds.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 86_400_000)]
    load_ms: Given<f64>,
}

/// A field as it stood in the body, read as a `T` where it is one.
#[derive(Debug, Clone)]
struct Given<T> {
    raw: Value,
    value: Option<T>,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An `Option`, for which serde takes an absent field as none.
        let raw = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
        let value = T::deserialize(&raw).ok().filter(|_| !raw.is_null());
        Ok(Self { raw, value })
    }
}

/// A whole number, also written `128.0`.
#[derive(Debug, Clone, Copy)]
struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Number::deserialize(deserializer)?;
        let from_float = || number.as_f64().filter(|x| x.fract() == 0.0 && (0.0..1e15).contains(x)).map(|x| x as u64);
        number.as_u64().or_else(from_float).map(Self).ok_or_else(|| serde::de::Error::custom("not a whole number"))
    }
}

impl NewRecord {
    /// The record, or every field that is wrong.
    pub(super) fn into_record(
        self,
        environments: &[Environment],
        now: DateTime<Utc>,
    ) -> Result<Record, Vec<FieldProblem>> {
        let mut check = Check::default();
        let model_name =
            check.required("model_name", &self.model_name, "a text of 1 to 200 characters on one line", is_name);
        let environment = check.environment(&self.environment, environments);
        let timestamp = check.timestamp(&self.timestamp, now);
        let outcome = check.outcome(&self);
        let record = Record {
            model_name: model_name.unwrap_or_default(),
            environment: environment.unwrap_or_else(Environment::dev),
            timestamp: timestamp.unwrap_or(now),
            latency_ms: check.duration("latency_ms", &self.latency_ms),
            input_tokens: check.tokens("input_tokens", &self.input_tokens),
            output_tokens: check.tokens("output_tokens", &self.output_tokens),
            cost: check.cost(&self.cost),
            context_window: check.tokens("context_window", &self.context_window),
            is_cloud: check.optional("is_cloud", &self.is_cloud, FLAG, Some),
            outcome,
            cycle_id: None,
            provider: check.text("provider", &self.provider),
            simulated: check.optional("simulated", &self.simulated, FLAG, Some).unwrap_or(false),
            location: check.text("location", &self.location),
            start_delay_ms: check.duration("start_delay_ms", &self.start_delay_ms),
            connect_ms: check.duration("connect_ms", &self.connect_ms),
            ttft_ms: check.duration("ttft_ms", &self.ttft_ms),
            ttfa_ms: check.duration("ttfa_ms", &self.ttfa_ms),
            tpot_ms: check.duration("tpot_ms", &self.tpot_ms),
            max_gap_ms: check.duration("max_gap_ms", &self.max_gap_ms),
            cached_input_tokens: check.tokens("cached_input_tokens", &self.cached_input_tokens),
            reasoning_tokens: check.tokens("reasoning_tokens", &self.reasoning_tokens),
            token_source: check.token_source(&self.token_source),
            http_status: check.http_status(&self.http_status),
            served_model: check.text("served_model", &self.served_model),
            finish_reason: check.text("finish_reason", &self.finish_reason),
            dns_ms: check.duration("dns_ms", &self.dns_ms),
            tls_ms: check.duration("tls_ms", &self.tls_ms),
            ttfb_ms: check.duration("ttfb_ms", &self.ttfb_ms),
            client_delay_ms: check.duration("client_delay_ms", &self.client_delay_ms),
            load_ms: check.duration("load_ms", &self.load_ms),
        };
        check.optional("cycle_id", &self.cycle_id, "nothing: only the monitor's own cycles have one", |_: Value| {
            None::<()>
        });
        check.consistency(&self, &record);
        if check.problems.is_empty() { Ok(record) } else { Err(check.problems) }
    }
}

/// Collects what is wrong, so that a client learns all of it at once.
#[derive(Debug, Default)]
struct Check {
    problems: Vec<FieldProblem>,
}

impl Check {
    fn refuse(&mut self, field: &str, raw: &Value, accepted: impl Display) {
        let value = (!raw.is_null()).then(|| raw.to_string());
        self.problems.push(FieldProblem::new(field, value.as_deref(), accepted.to_string()));
    }

    /// What `accept` makes of the value; `None` when it is absent, and with a problem noted when it is not accepted.
    fn optional<T: Clone, U>(
        &mut self,
        field: &str,
        given: &Given<T>,
        accepted: impl Display,
        accept: impl FnOnce(T) -> Option<U>,
    ) -> Option<U> {
        if given.raw.is_null() {
            return None;
        }
        let value = given.value.clone().and_then(accept);
        if value.is_none() {
            self.refuse(field, &given.raw, accepted);
        }
        value
    }

    fn required<T: Clone, U>(
        &mut self,
        field: &str,
        given: &Given<T>,
        accepted: impl Display,
        accept: impl FnOnce(T) -> Option<U>,
    ) -> Option<U> {
        if given.raw.is_null() {
            self.refuse(field, &given.raw, accepted);
            return None;
        }
        self.optional(field, given, accepted, accept)
    }

    fn duration(&mut self, field: &str, given: &Given<f64>) -> Option<f64> {
        // Adding 0 turns -0 into 0.
        self.optional(field, given, DURATION, |ms| (0.0..=DURATION_MAX_MS).contains(&ms).then_some(ms + 0.0))
    }

    fn tokens(&mut self, field: &str, given: &Given<Whole>) -> Option<u64> {
        self.optional(field, given, TOKENS, |Whole(tokens)| (tokens <= TOKENS_MAX).then_some(tokens))
    }

    fn text(&mut self, field: &str, given: &Given<String>) -> Option<String> {
        self.optional(field, given, TEXT, is_name)
    }

    fn environment(&mut self, given: &Given<String>, environments: &[Environment]) -> Option<Environment> {
        let names = environments.iter().map(Environment::as_str).collect::<Vec<_>>().join(", ");
        let accepted = format!("a configured environment: {names}");
        let known = |name: String| name.parse().ok().filter(|environment| environments.contains(environment));
        if given.raw.is_null() {
            let dev = environments.iter().find(|environment| **environment == Environment::dev()).cloned();
            if dev.is_none() {
                self.refuse("environment", &given.raw, accepted);
            }
            return dev;
        }
        self.optional("environment", given, accepted, known)
    }

    fn timestamp(&mut self, given: &Given<String>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let accepted = "an RFC 3339 time like 2026-11-24T16:54:00.113Z from the year 2000 to a day from now";
        let latest = now + CLOCK_SKEW_MAX;
        self.required("timestamp", given, accepted, |text| {
            let time = parse_instant(&text)?.trunc_subsecs(3);
            (time.timestamp() >= 946_684_800 && time <= latest).then_some(time)
        })
    }

    fn cost(&mut self, given: &Given<Number>) -> Option<Decimal> {
        self.optional("cost", given, "US dollars: a number from 0 to 1000000, or null", |number| {
            let text = number.to_string();
            let cost = Decimal::from_scientific(&text).or_else(|_| text.parse()).ok()?;
            (cost >= Decimal::ZERO && cost <= Decimal::from(COST_MAX_USD)).then(|| cost.normalize())
        })
    }

    fn token_source(&mut self, given: &Given<String>) -> Option<TokenSource> {
        let sources = [TokenSource::Provider, TokenSource::Estimated];
        self.optional("token_source", given, "provider, estimated or null", |word| {
            sources.into_iter().find(|source| source.as_str() == word)
        })
    }

    fn http_status(&mut self, given: &Given<Whole>) -> Option<u16> {
        self.optional("http_status", given, "a whole number from 100 to 599, or null", |Whole(status)| {
            u16::try_from(status).ok().filter(|status| (100..=599).contains(status))
        })
    }

    fn outcome(&mut self, new: &NewRecord) -> Outcome {
        let kinds = ErrorKind::ALL.map(ErrorKind::as_str).join(", ");
        let kind = self.optional("error_kind", &new.error_kind, format!("one of {kinds}"), |word| word.parse().ok());
        let message = self.optional("error_message", &new.error_message, "a text or null", Some);
        let message = message.and_then(|message| one_line(&message));
        let status = self.optional("status", &new.status, "success or error", |word| match word.as_str() {
            "success" => Some(false),
            "error" => Some(true),
            _ => None,
        });
        if status.unwrap_or(kind.is_some() || message.is_some()) {
            Outcome::Error(Failure { kind, message })
        } else {
            Outcome::Success
        }
    }

    /// What only shows when fields are seen together.
    fn consistency(&mut self, new: &NewRecord, record: &Record) {
        if record.is_success() {
            for (field, raw, accepted) in [
                ("latency_ms", &new.latency_ms.raw, DURATION),
                ("input_tokens", &new.input_tokens.raw, TOKENS),
                ("output_tokens", &new.output_tokens.raw, TOKENS),
            ] {
                if raw.is_null() {
                    let accepted = accepted.trim_end_matches(", or null");
                    self.refuse(field, raw, format!("{accepted} (a success has one)"));
                }
            }
            for (field, raw) in [("error_kind", &new.error_kind.raw), ("error_message", &new.error_message.raw)] {
                if !raw.is_null() {
                    self.refuse(field, raw, "nothing, or status \"error\"");
                }
            }
        } else if record.latency_ms.is_some() {
            self.refuse(
                "latency_ms",
                &new.latency_ms.raw,
                "nothing, or status \"success\": a failed probe has no latency",
            );
        }
    }
}

/// `text` if it is 1 to 200 characters on one line.
fn is_name(text: String) -> Option<String> {
    let is_fit = (1..=TEXT_MAX_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    (is_fit && !text.trim().is_empty()).then_some(text)
}
