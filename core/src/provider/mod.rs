//! The wire formats, one file each: what to send, and what the bytes that come back mean. No IO, no clock, no secrets kept.
//!
//! A provider turns a [`Request`] into an HTTP request ([`Wire::request`]) and gives a [`Reader`] that turns each decoded
//! frame of the stream into [`Event`]s. Adding one is one file here and one line in [`Provider`]'s table.

pub mod openai;

use std::{fmt, str::FromStr};

use secrecy::SecretString;
use url::Url;

use crate::redact;

/// Who serves a model, and so which wire format is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Provider {
    /// OpenAI's chat completions, and every compatible server.
    OpenAi,
    /// OpenAI's format with Azure's path, version and key header.
    Azure,
    /// Anthropic's messages.
    Anthropic,
    /// Google's `streamGenerateContent`.
    Gemini,
    /// Ollama's `/api/chat`.
    Ollama,
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::Azure, Self::Anthropic, Self::Gemini, Self::Ollama];

    /// The name in settings, records and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Ollama => "ollama",
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word names no provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a provider is one of openai, azure, anthropic, gemini, ollama")]
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
