//! How a model answers, and how it fails.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How a model answers. Times are medians; `jitter` spreads them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// From the request to the first generated token.
    pub ttft_ms: f64,
    /// From the request to the response's headers and the first chunk without text; `null`: a third of `ttft_ms`.
    pub headers_ms: Option<f64>,
    /// Per generated token after the first.
    pub pace_ms: f64,
    /// Spread (σ of a log-normal): 0 is exact, 0.1 steady, 0.5 wild.
    pub jitter: f64,
    /// Tokens of the answer, where the request's limit does not cut it short.
    pub output_tokens: u32,
    /// Tokens of reasoning before the answer; they count against the request's limit and take their time.
    pub reasoning_tokens: u32,
    /// Whether reasoning is streamed (as vLLM, Anthropic and Ollama do) or only counted (as OpenAI does). Gemini streams it
    /// only to a request that asks for it.
    pub reasoning_visible: bool,
    /// Tokens in one chunk.
    pub chunk_tokens: u32,
    /// Prompt tokens read from the provider's cache (at most the prompt's).
    pub cached_tokens: u64,
    /// Time to load the model, added to the first request; only Ollama's answer tells of it.
    pub load_ms: f64,
    /// OpenAI format: answer 400 to `stream_options`, as some compatible servers do.
    pub refuse_stream_options: bool,
    /// How it fails; the first that strikes wins.
    pub failures: Vec<Failure>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ttft_ms: 200.0,
            headers_ms: None,
            pace_ms: 10.0,
            jitter: 0.0,
            output_tokens: 64,
            reasoning_tokens: 0,
            reasoning_visible: true,
            chunk_tokens: 1,
            cached_tokens: 0,
            load_ms: 0.0,
            refuse_stream_options: false,
            failures: Vec::new(),
        }
    }
}

impl Behaviour {
    pub(super) fn slowed(&self, factor: f64) -> Self {
        Self {
            ttft_ms: self.ttft_ms * factor,
            headers_ms: self.headers_ms.map(|ms| ms * factor),
            pace_ms: self.pace_ms * factor,
            load_ms: self.load_ms * factor,
            ..self.clone()
        }
    }

    pub(super) fn changed(&self, changes: &Map<String, Value>) -> Result<Self, String> {
        let mut whole = serde_json::to_value(self).map_err(|error| error.to_string())?;
        if let Some(fields) = whole.as_object_mut() {
            fields.extend(changes.clone());
        }
        serde_json::from_value(whole).map_err(|error| error.to_string())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let times = [self.ttft_ms, self.headers_ms.unwrap_or(0.0), self.pace_ms, self.load_ms];
        if times.iter().any(|ms| !(0.0..=3_600_000.0).contains(ms)) {
            return Err("a time is 0 to 3,600,000 ms".to_owned());
        }
        if !(0.0..=2.0).contains(&self.jitter) {
            return Err("jitter is 0 to 2".to_owned());
        }
        if self.chunk_tokens == 0 {
            return Err("chunk_tokens is 1 or more".to_owned());
        }
        if self.output_tokens > 1_000_000 || self.reasoning_tokens > 1_000_000 {
            return Err("output_tokens and reasoning_tokens are at most 1,000,000".to_owned());
        }
        self.failures.iter().try_for_each(Failure::check)
    }
}

/// One way to fail, and how often.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What happens.
    pub kind: FailureKind,
    /// Probability for each request, 0 to 1. Give either this or `every`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Every Nth request to this model in this environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// `rate_limited`: the `Retry-After` header, in seconds (default 20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Failures in mid-stream: after how many tokens (default: half of them).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_tokens: Option<u32>,
    /// `slow_headers`: how much later they come (default 5,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
}

impl Failure {
    /// `kind` on every request.
    pub fn always(kind: FailureKind) -> Self {
        Self { kind, rate: None, every: Some(1), retry_after_s: None, after_tokens: None, delay_ms: None }
    }

    /// Whether it strikes the `number`th request (from 1); `chance` is uniform in 0..1.
    pub(super) fn strikes(&self, number: u64, chance: f64) -> bool {
        let by_number = self.every.is_some_and(|every| number.is_multiple_of(every));
        by_number || self.rate.is_some_and(|rate| chance < rate)
    }

    fn check(&self) -> Result<(), String> {
        let kind = self.kind;
        match (self.rate, self.every) {
            (Some(rate), None) if (0.0..=1.0).contains(&rate) => {}
            (None, Some(every)) if every > 0 => {}
            _ => return Err(format!("failure {kind:?}: give \"rate\" (0 to 1) or \"every\" (1 or more)")),
        }
        if self.delay_ms.is_some_and(|ms| !(0.0..=3_600_000.0).contains(&ms)) {
            return Err(format!("failure {kind:?}: delay_ms is 0 to 3,600,000"));
        }
        Ok(())
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// 429 with `Retry-After`.
    RateLimited,
    /// 500.
    ServerError,
    /// 503.
    Unavailable,
    /// The provider's own overload answer (529 at Anthropic, 503 elsewhere).
    Overloaded,
    /// The stream falls silent and stays open.
    Stall,
    /// The connection is closed in mid-stream.
    Cut,
    /// An error inside the 200 stream.
    ErrorEvent,
    /// A complete answer without text.
    Empty,
    /// The response's headers come late.
    SlowHeaders,
    /// A chunk in mid-stream is broken JSON.
    Malformed,
    /// 200 with a web page, as from a captive proxy.
    HtmlPage,
}
