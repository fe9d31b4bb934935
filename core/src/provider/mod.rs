//! The wire formats, one file each: what to send, and what the bytes that come back mean. No IO, no clock, no secrets kept.
//!
//! A provider turns an [`Ask`] into an [`HttpRequest`] ([`Wire::request`]) and gives a [`Reader`] that turns each decoded
//! [`Frame`] of the stream into [`Event`]s. Adding one is one file here and one line in the table below.

pub mod anthropic;
pub mod azure;
pub mod gemini;
pub mod json;
pub mod ollama;
pub mod openai;
pub mod refusal;

use std::{fmt, str::FromStr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    record::{ErrorKind, Failure},
    redact,
};

pub use refusal::Refused;

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

/// What a provider's wire format does.
pub trait Wire: Send + Sync {
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

/// An HTTP request as data. [`fmt::Debug`] shows no secret.
#[derive(Clone)]
pub struct HttpRequest {
    /// Its method.
    pub method: Method,
    /// Where to; user info is not part of it (it is in the headers).
    pub url: Url,
    /// Secrets among them are marked sensitive.
    pub headers: HeaderMap,
    /// JSON.
    pub body: Bytes,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &redact::url(&self.url))
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A setting cannot be put into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It holds characters that no HTTP header can.
    #[error("the API key holds characters that cannot be sent in a header")]
    ApiKey,
    /// It is of a kind that has no path (`data:`, `mailto:`).
    #[error("the base URL is not one of http or https")]
    BaseUrl,
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

/// A POST of `body` to `path` below the base URL, asking for an uncompressed answer.
fn post(access: &Access, path: &str, body: &impl serde::Serialize) -> Result<HttpRequest, Unsendable> {
    let url = join(&access.base_url, path)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(credentials) = user_info(&access.base_url) {
        secret_header(&mut headers, header::AUTHORIZATION, "Basic ", &credentials)?;
    }
    // The bodies are plain structs of strings and numbers, which serialise without fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Ok(HttpRequest { method: Method::POST, url, headers, body: body.into() })
}

/// `base` with `path` after its own path; its query stays, its user info and fragment go.
fn join(base: &Url, path: &str) -> Result<Url, Unsendable> {
    let mut url = base.clone();
    let joined = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&joined);
    url.set_fragment(None);
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| Unsendable::BaseUrl)?;
    Ok(url)
}

/// A base URL's user info as HTTP basic authentication wants it; `None` where there is none.
fn user_info(base: &Url) -> Option<SecretString> {
    if base.username().is_empty() && base.password().is_none() {
        return None;
    }
    let decode = |part: &str| percent_decode(part.as_bytes());
    let mut credentials = decode(base.username());
    credentials.push(b':');
    credentials.extend(decode(base.password().unwrap_or_default()));
    Some(base64(&credentials).into())
}

fn percent_decode(text: &[u8]) -> Vec<u8> {
    // A name=value pair's value is percent-decoded the same way but for '+', which is therefore escaped first.
    let escaped: Vec<u8> =
        text.iter().flat_map(|b| if *b == b'+' { &b"%2B"[..] } else { std::slice::from_ref(b) }).copied().collect();
    url::form_urlencoded::parse(&[b"v=", &escaped[..]].concat())
        .next()
        .map(|(_, value)| value.into_owned().into_bytes())
        .unwrap_or_default()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0usize, |bits, i| bits << 8 | usize::from(group.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let is_padding = i > group.len();
            text.push(if is_padding { '=' } else { char::from(ALPHABET[bits >> (18 - 6 * i) & 63]) });
        }
    }
    text
}

/// Adds `name: {prefix}{key}`, marked sensitive.
fn secret_header(
    headers: &mut HeaderMap,
    name: HeaderName,
    prefix: &str,
    key: &SecretString,
) -> Result<(), Unsendable> {
    let mut value =
        HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret())).map_err(|_| Unsendable::ApiKey)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
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
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn no_secret_shows_in_debug() {
        let access = Access {
            base_url: Url::parse("https://user:pa55@llm.example:8443/v1?token=t0ken").expect("a URL"),
            api_key: Some("sk-secret".to_owned().into()),
            api_version: None,
        };
        let ask = Ask { model: "m", prompt: "p", max_output_tokens: 1, access: &access, quirks: Quirks::default() };
        for provider in Provider::ALL {
            let request = provider.wire().request(&ask).expect("a request");
            let shown = format!("{access:?} {request:?} {ask:?}");
            for secret in ["pa55", "t0ken", "sk-secret"] {
                assert!(!shown.contains(secret), "{provider}: {shown}");
            }
            assert!(shown.contains("llm.example:8443"), "{shown}");
        }
    }

    #[test]
    fn user_info_becomes_basic_authentication() {
        let url = Url::parse("https://me:p%40ss+1@llm.example").expect("a URL");
        assert_eq!(user_info(&url).expect("credentials").expose_secret(), "bWU6cEBzcysx");
        assert_eq!(["", "f", "fo", "foo"].map(|t| base64(t.as_bytes())), ["", "Zg==", "Zm8=", "Zm9v"]);
    }

    #[test]
    fn a_base_url_keeps_its_path_and_query() {
        let url = Url::parse("https://gateway.example/llm/v1/?team=a#top").expect("a URL");
        assert_eq!(
            join(&url, "chat/completions").expect("joined").as_str(),
            "https://gateway.example/llm/v1/chat/completions?team=a"
        );
    }
}
