//! One measured probe: the unit that is stored, queried and shown.
//!
//! A [`Record`] is a value, whether the probe succeeded or failed. Durations are milliseconds as `f64`, never negative and
//! never NaN; money is US dollars as exact decimals; "unknown" is `None` and is never written as 0.

pub mod csv;
mod cycle_id;
mod environment;
mod error_kind;
mod metric;
mod table;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

pub use cycle_id::{CycleId, InvalidCycleId};
pub use environment::{Environment, InvalidEnvironment};
pub use error_kind::ErrorKind;
pub use metric::{Metric, UnknownMetric};
pub use table::{Label, Table, TableRow};

/// Longest `error_message` a record holds, in characters.
pub const ERROR_MESSAGE_MAX_CHARS: usize = 200;

/// One measured probe (one CSV row). Field names are the CSV's and the API's.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The usage endpoint's `llmCode`.
    pub model_name: String,
    /// Where the model is used.
    pub environment: Environment,
    /// When the probe started (wall clock).
    pub timestamp: DateTime<Utc>,
    /// End to end: probe start to the arrival of the last chunk that carries text. `None` for a failed probe.
    pub latency_ms: Option<f64>,
    /// Prompt tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Generated tokens, reasoning included.
    pub output_tokens: Option<u64>,
    /// US dollars at the usage endpoint's rates; `None` where the price is unknown.
    pub cost: Option<Decimal>,
    /// The model's context window, in tokens.
    pub context_window: Option<u64>,
    /// `false` for a model served on this host or by Ollama.
    pub is_cloud: Option<bool>,
    /// Whether the probe succeeded, and with what failure if not.
    pub outcome: Outcome,
    /// The cycle that measured it; `None` for rows that came from elsewhere (a POST, the predecessor's file).
    pub cycle_id: Option<CycleId>,
    /// Provider's name (`openai`, `anthropic`, …).
    pub provider: Option<String>,
    /// Derived from another environment's measurement instead of measured.
    pub simulated: bool,
    /// Where the monitor probes from.
    pub location: Option<String>,
    /// How late the probe started after its cycle was due.
    pub start_delay_ms: Option<f64>,
    /// DNS, TCP and TLS together.
    pub connect_ms: Option<f64>,
    /// To the first chunk that carries generated text, answer or reasoning.
    pub ttft_ms: Option<f64>,
    /// To the first chunk of the answer.
    pub ttfa_ms: Option<f64>,
    /// (`latency_ms` − `ttft_ms`) / (`output_tokens` − 1); `None` below 2 tokens, or when all text came in one read.
    pub tpot_ms: Option<f64>,
    /// Longest wait between two chunks with text.
    pub max_gap_ms: Option<f64>,
    /// Prompt tokens the provider read from its cache.
    pub cached_input_tokens: Option<u64>,
    /// Generated tokens that were reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Who counted the tokens.
    pub token_source: Option<TokenSource>,
    /// Status of the HTTP response, where there was one.
    pub http_status: Option<u16>,
    /// The model that the provider says answered.
    pub served_model: Option<String>,
    /// Why generation ended, in the provider's words.
    pub finish_reason: Option<String>,
    /// DNS part of `connect_ms`.
    pub dns_ms: Option<f64>,
    /// TLS part of `connect_ms`.
    pub tls_ms: Option<f64>,
    /// To the response's headers.
    pub ttfb_ms: Option<f64>,
    /// Longest scheduling delay of the monitor's own runtime while the probe ran.
    pub client_delay_ms: Option<f64>,
    /// Time the server says it spent loading the model.
    pub load_ms: Option<f64>,
}

impl Record {
    /// A record with nothing measured yet: every optional field empty, the outcome a success.
    pub fn new(model_name: impl Into<String>, environment: Environment, timestamp: DateTime<Utc>) -> Self {
        Self {
            model_name: model_name.into(),
            environment,
            timestamp,
            latency_ms: None,
            input_tokens: None,
            output_tokens: None,
            cost: None,
            context_window: None,
            is_cloud: None,
            outcome: Outcome::Success,
            cycle_id: None,
            provider: None,
            simulated: false,
            location: None,
            start_delay_ms: None,
            connect_ms: None,
            ttft_ms: None,
            ttfa_ms: None,
            tpot_ms: None,
            max_gap_ms: None,
            cached_input_tokens: None,
            reasoning_tokens: None,
            token_source: None,
            http_status: None,
            served_model: None,
            finish_reason: None,
            dns_ms: None,
            tls_ms: None,
            ttfb_ms: None,
            client_delay_ms: None,
            load_ms: None,
        }
    }

    /// Whether the probe succeeded.
    pub fn is_success(&self) -> bool {
        matches!(self.outcome, Outcome::Success)
    }

    /// The failure's kind, for a failed probe.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        match &self.outcome {
            Outcome::Success => None,
            Outcome::Error(failure) => failure.kind,
        }
    }

    /// The failure's message, for a failed probe that has one.
    pub fn error_message(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Success => None,
            Outcome::Error(failure) => failure.message.as_deref(),
        }
    }
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The model answered.
    Success,
    /// It did not, and this is what happened.
    Error(Failure),
}

impl Outcome {
    /// The CSV's and the API's word: `success` or `error`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error(_) => "error",
        }
    }
}

/// What a failed probe says. `kind` is `None` only in rows written by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed, decided from typed causes, never by searching text.
    pub kind: Option<ErrorKind>,
    /// For a person; at most [`ERROR_MESSAGE_MAX_CHARS`] characters, on one line, without secrets.
    pub message: Option<String>,
}

impl Failure {
    /// A failure whose message is cut to [`ERROR_MESSAGE_MAX_CHARS`] and laid on one line.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self { kind: Some(kind), message: one_line(message.as_ref()) }
    }
}

/// `text` on one line (control characters become single spaces), cut to [`ERROR_MESSAGE_MAX_CHARS`]; `None` if nothing is left.
pub fn one_line(text: &str) -> Option<String> {
    let mut line = String::with_capacity(text.len().min(4 * ERROR_MESSAGE_MAX_CHARS));
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let mut chars_left = ERROR_MESSAGE_MAX_CHARS;
    for word in words {
        if !line.is_empty() {
            if chars_left < 2 {
                break;
            }
            line.push(' ');
            chars_left -= 1;
        }
        for c in word.chars().take(chars_left) {
            line.push(c);
            chars_left -= 1;
        }
        if chars_left == 0 {
            break;
        }
    }
    (!line.is_empty()).then_some(line)
}

/// Who counted a record's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenSource {
    /// The provider reported them.
    Provider,
    /// The provider reported none; they were estimated from the text's length.
    Estimated,
}

impl TokenSource {
    /// The CSV's and the API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Estimated => "estimated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_on_one_line_and_cut_to_200_characters() {
        assert_eq!(one_line("a\r\n\tb\u{0}c").as_deref(), Some("a b c"));
        assert_eq!(one_line(" \n "), None);
        let long = one_line(&"é".repeat(500)).expect("text is left");
        assert_eq!(long.chars().count(), ERROR_MESSAGE_MAX_CHARS);
        let words = one_line(&"ab ".repeat(200)).expect("text is left");
        assert!(words.chars().count() <= ERROR_MESSAGE_MAX_CHARS);
    }
}
