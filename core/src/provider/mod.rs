//! The wire formats, one file each: what to send, and what the bytes that come back mean. No IO, no clock, no secrets kept.
//!
//! A provider turns an [`Ask`] into an [`HttpRequest`] ([`Wire::request`]) and gives a [`Reader`] that turns each decoded
//! [`Frame`] of the stream into [`Event`]s. Adding one is one file here, its `mod` line, and one line in the table below.

pub mod anthropic;
pub mod azure;
pub mod gemini;
pub mod json;
pub mod ollama;
pub mod openai;
pub mod refusal;
mod request;
mod secrets;

use std::{fmt, str::FromStr};

use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use url::Url;

use crate::{
    record::{ErrorKind, Failure},
    redact,
};

pub use refusal::Refused;
pub use request::{HttpRequest, Unsendable};
pub(crate) use secrets::Secrets;

use request::{post, secret_header};

/// Makes [`Provider`] of its table.
macro_rules! providers {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $wire:expr;)+) => {
        /// Who serves a model, and so which wire format is spoken.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Provider {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Provider {
            /// Every provider.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The name in settings, records and answers.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// How it is spoken to.
            pub fn wire(self) -> &'static dyn Wire {
                match self {
                    $(Self::$variant => &$wire,)+
                }
            }
        }
    };
}

providers! {
    /// OpenAI's chat completions, and every compatible server.
    OpenAi = "openai", openai::OpenAi;
    /// OpenAI's format with Azure's path, version and key header.
    Azure = "azure", azure::Azure;
    /// Anthropic's messages.
    Anthropic = "anthropic", anthropic::Anthropic;
    /// Google's `streamGenerateContent`.
    Gemini = "gemini", gemini::Gemini;
    /// Ollama's `/api/chat`.
    Ollama = "ollama", ollama::Ollama;
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word names no provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a provider is one of {}", Provider::ALL.map(Provider::as_str).join(", "))]
pub struct UnknownProvider;

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == name.trim()).ok_or(UnknownProvider)
    }
}

/// How one environment reaches one provider.
#[derive(Clone)]
pub struct Access {
    /// As the provider's own SDK takes it (OpenAI's with `/v1`).
    pub base_url: Url,
    /// `None` for servers that want no key.
    pub api_key: Option<SecretString>,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
}

impl fmt::Debug for Access {
    /// Without the credentials that a URL may hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("base_url", &redact::url(&self.base_url))
            .field("api_key", &self.api_key)
            .field("api_version", &self.api_version)
            .finish()
    }
}

/// The settings by which a provider is reached, as its own SDK names them.
#[derive(Debug, Clone, Copy)]
pub struct Variables {
    /// Holds the key; `None` where none is wanted.
    pub key: Option<&'static str>,
    /// Hold the base URL, newest name first.
    pub base_url: &'static [&'static str],
    /// `None` where every user has an own.
    pub default_base_url: Option<&'static str>,
    /// Holds the API's version, where requests name one.
    pub api_version: Option<&'static str>,
}

/// What a provider's wire format does.
pub trait Wire: Send + Sync {
    /// The settings by which it is reached.
    fn variables(&self) -> Variables;

    /// Whether `model`'s name alone tells that this provider serves it.
    fn serves(&self, _model: &str) -> bool {
        false
    }

    /// What the provider calls the model that the usage endpoint calls `model`.
    fn name_of<'m>(&self, model: &'m str) -> &'m str {
        model
    }

    /// How the answer's body is cut into frames.
    fn framing(&self) -> Framing;

    /// The HTTP request that asks `ask`.
    fn request(&self, ask: &Ask<'_>) -> Result<HttpRequest, Unsendable>;

    /// Reads one answer's stream.
    fn reader(&self) -> Box<dyn Reader>;

    /// What an answer means that is not 2xx, or is 2xx and a document where a stream should be.
    fn refusal(&self, refused: &Refused<'_>) -> Failure {
        refusal::classify(refused)
    }

    /// What to leave out next time, where a refusal says (or may mean) that the server does not know a parameter. `None`:
    /// the refusal stands.
    fn adapt(&self, _refused: &Refused<'_>, _quirks: Quirks) -> Option<Adaptation> {
        None
    }
}

/// One question to one model.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What the provider calls the model.
    pub model: &'a str,
    /// With its nonce already in front.
    pub prompt: &'a str,
    /// Most tokens to generate.
    pub max_output_tokens: u32,
    /// Base URL and key.
    pub access: &'a Access,
    /// What was learned of this endpoint.
    pub quirks: Quirks,
}

/// What an endpoint was found to want otherwise than its format's documentation says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quirks {
    /// It refuses `stream_options`.
    pub without_stream_options: bool,
    /// It wants the other one of `max_tokens` and `max_completion_tokens`.
    pub other_token_limit: bool,
}

/// The request is to be sent once more, otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adaptation {
    /// How.
    pub quirks: Quirks,
    /// The refusal names the parameter. Where it does not, this is a guess, to be forgotten unless it helps.
    pub is_certain: bool,
}

/// How a stream is cut into frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    Sse,
    /// One JSON object a line.
    Ndjson,
}

/// One decoded event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The SSE event's name; empty where there is none.
    pub event: &'a [u8],
    /// Its data; never empty.
    pub data: &'a [u8],
}

/// Reads one answer's frames in their order.
pub trait Reader: Send {
    /// Says what `frame` means. After [`Event::Done`] or [`Event::Error`] no more frames need be read.
    fn read(&mut self, frame: Frame<'_>, on_event: &mut dyn FnMut(Event<'_>));
}

/// What a frame means, the same words for every provider. The generated text itself is not kept, only its length.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// Text of the answer; never empty.
    Text {
        /// Its length in characters.
        chars: u64,
    },
    /// Text of the model's reasoning; never empty.
    Reasoning {
        /// Its length in characters.
        chars: u64,
    },
    /// Token counts; each that is given replaces what was known.
    Usage(Usage),
    /// Generation ended, and why, in the provider's words. The stream may go on (usage).
    Finish(&'a str),
    /// The model that answers, by the provider's word.
    ServedModel(&'a str),
    /// Milliseconds the server spent loading the model.
    LoadMs(f64),
    /// The provider says that the stream is complete.
    Done,
    /// The stream failed.
    Error(Failure),
}

/// Token counts, normalised: input includes cached, output includes reasoning. `None`: not said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input_tokens: Option<u64>,
    /// Generated tokens, reasoning included.
    pub output_tokens: Option<u64>,
    /// Prompt tokens read from the provider's cache.
    pub cached_input_tokens: Option<u64>,
    /// Generated tokens that were reasoning.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Takes over every count that `newer` gives.
    pub fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.cached_input_tokens = newer.cached_input_tokens.or(self.cached_input_tokens);
        self.reasoning_tokens = newer.reasoning_tokens.or(self.reasoning_tokens);
    }
}

/// The failure of a frame that is not of the provider's format.
fn malformed(provider: &str, error: &serde_json::Error) -> Event<'static> {
    Event::Error(Failure::new(
        ErrorKind::MalformedResponse,
        format!("a frame of the stream is not {provider}'s JSON: {error}"),
    ))
}

/// The failure of an error object inside a 200 stream.
fn error_in_stream(body: &serde_json::Value) -> Event<'static> {
    Event::Error(refusal::from_error(StatusCode::OK, &HeaderMap::new(), body))
}

#[cfg(test)]
mod tests;
