//! The providers' formats, seen from the server: what a request asks, and the bytes of each answer. No IO, no clock.

mod anthropic;
mod gemini;
mod ollama;
mod openai;

use std::{fmt::Debug, time::Duration};

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use llm_monitor_core::provider::Provider;
use serde_json::Value;

use super::{
    behaviour::Behaviour,
    pacing::{Chunk, Part, Plan},
    text,
};

/// One provider's format.
pub(super) trait Wire: Debug + Send + Sync {
    /// Reads a request. `target` is what the path says of the model.
    fn asked(&self, target: &Target, body: &Value) -> Result<Asked, Problem>;

    /// What is wrong with the request's headers.
    fn bad_header(&self, _headers: &HeaderMap) -> Option<Problem> {
        None
    }

    /// Refuses what this model's real counterpart refuses.
    fn refuses(&self, _asked: &Asked, _behaviour: &Behaviour, _body: &Value) -> Option<Problem> {
        None
    }

    /// Whether reasoning, though generated, is kept from this request.
    fn hides_reasoning(&self, _asked: &Asked) -> bool {
        false
    }

    /// The key that a request carries, in this provider's place.
    fn key(&self, headers: &HeaderMap, query: &str) -> Option<String>;

    /// The stream, each frame with its instant.
    fn frames(&self, answer: &Answer) -> Vec<Frame>;

    /// The same answer in one piece, for a request that does not stream.
    fn whole(&self, answer: &Answer) -> Value;

    /// Status and body of a refusal.
    fn problem(&self, problem: &Problem) -> (u16, Value);

    /// An error inside a 200 stream.
    fn error_event(&self) -> String;

    /// Of the stream.
    fn content_type(&self, asked: &Asked) -> &'static str;

    /// Headers that real answers carry, made of the answer's id.
    fn headers(&self, _id: &str) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// The format of `provider`.
pub(super) fn of(provider: Provider) -> &'static dyn Wire {
    match provider {
        Provider::OpenAi => &openai::OpenAi { is_azure: false },
        Provider::Azure => &openai::OpenAi { is_azure: true },
        Provider::Anthropic => &anthropic::Anthropic,
        Provider::Gemini => &gemini::Gemini,
        Provider::Ollama => &ollama::Ollama,
    }
}

/// What a request's path and query say.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    /// The path's last variable part: Azure's deployment, Gemini's `model:method`.
    pub model: Option<String>,
    /// Without the question mark.
    pub query: String,
}

impl Target {
    fn query_value(&self, name: &str) -> Option<String> {
        query_value(&self.query, name)
    }
}

fn query_value(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What a request asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Asked {
    /// In the provider's own words.
    pub model: String,
    pub streams: bool,
    /// Most tokens to generate.
    pub limit: Option<u32>,
    /// OpenAI's `stream_options.include_usage`.
    pub includes_usage: bool,
    /// Reasoning switched off by the request.
    pub without_reasoning: bool,
    /// Gemini: `includeThoughts`. The others show what they have.
    pub shows_reasoning: bool,
    /// Gemini: `alt=sse`; without it the stream is one JSON array.
    pub as_events: bool,
    /// Estimated: four characters a token.
    pub prompt_tokens: u64,
}

/// Everything an answer is made of.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub asked: Asked,
    pub plan: Plan,
    /// The model that the answer says served it.
    pub served_model: String,
    /// 32 letters and digits.
    pub id: String,
    /// When the request came.
    pub received: DateTime<Utc>,
    /// Of the prompt's tokens, those read from a cache.
    pub cached_tokens: u64,
}

impl Answer {
    /// The first `length` characters of the id, from `skip`.
    fn id_part(&self, skip: usize, length: usize) -> &str {
        self.id.get(skip..skip + length).unwrap_or(&self.id)
    }

    fn text(&self, chunk: &Chunk) -> String {
        let starts_at = if chunk.part == Part::Answer { self.plan.reasoning_tokens } else { 0 };
        text::of(chunk, starts_at)
    }

    /// All of one part, for an answer in one piece.
    fn whole_text(&self, part: Part) -> String {
        self.plan.chunks.iter().filter(|chunk| chunk.part == part).map(|chunk| self.text(chunk)).collect()
    }
}

/// Some bytes and their instant, counted from the request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frame {
    pub at: Duration,
    pub bytes: String,
    /// Tokens generated when this frame is out; `None` for a frame without text.
    pub tokens: Option<u32>,
}

impl Frame {
    fn bare(at: Duration, bytes: String) -> Self {
        Self { at, bytes, tokens: None }
    }

    fn of(chunk: &Chunk, bytes: String) -> Self {
        Self { at: chunk.at, bytes, tokens: Some(chunk.first_token + chunk.tokens) }
    }
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Problem {
    /// The body is not JSON.
    NotJson(String),
    /// A field is missing or of the wrong type.
    BadField {
        field: &'static str,
        expected: &'static str,
    },
    /// OpenAI: this model does not take this parameter, but perhaps another.
    Unsupported {
        field: &'static str,
        instead: Option<&'static str>,
    },
    NoKey,
    WrongKey(String),
    UnknownModel(String),
    RateLimited {
        model: String,
        retry_after_s: u64,
    },
    ServerError,
    Unavailable,
    Overloaded,
}

/// A required text field.
fn required_text<'a>(body: &'a Value, field: &'static str) -> Result<&'a str, Problem> {
    body.get(field).and_then(Value::as_str).ok_or(Problem::BadField { field, expected: "a string" })
}

/// An optional token limit.
fn limit_of(value: Option<&Value>) -> Option<u32> {
    value.and_then(Value::as_u64).map(|limit| u32::try_from(limit).unwrap_or(u32::MAX))
}

/// Four characters a token, plus what a chat template adds.
fn prompt_tokens(parts: &[Option<&Value>]) -> u64 {
    fn characters(value: &Value) -> usize {
        match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.iter().map(characters).sum(),
            Value::Object(fields) => {
                ["content", "text", "parts"].into_iter().filter_map(|key| fields.get(key)).map(characters).sum()
            }
            _ => 0,
        }
    }
    let characters: usize = parts.iter().flatten().map(|value| characters(value)).sum();
    characters.div_ceil(4) as u64 + 7
}

/// `Authorization: Bearer KEY`.
fn bearer(headers: &HeaderMap) -> Option<String> {
    header(headers, "authorization")?.strip_prefix("Bearer ").map(str::to_owned)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// A key as providers show it in an error: enough to recognise, too little to use.
fn masked(key: &str) -> String {
    let start: String = key.chars().take(3).collect();
    format!("{start}{}", "*".repeat(8))
}
