use std::{fmt, str::FromStr};

/// What made a probe fail. The words are part of the CSV's and the API's contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorKind {
    /// The time limit of one probe ran out, or the server says that its own did (408, 504).
    Timeout,
    /// The host's name could not be resolved.
    Dns,
    /// No TCP connection, or it was reset before the response's headers.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// 401 or 403: the key was refused.
    Auth,
    /// 429: the account's own limit.
    RateLimited,
    /// 503, 529 or the provider's overload error: the provider's capacity.
    Overloaded,
    /// Any other 4xx, and a redirect (a probe follows none, so that a key goes nowhere else).
    BadRequest,
    /// 404.
    NotFound,
    /// Any other 5xx, or an error inside a 200 stream that names no other kind.
    ServerError,
    /// The answer is not of the provider's format.
    MalformedResponse,
    /// A complete answer without generated text.
    EmptyResponse,
    /// The stream ended, or was reset, before the provider said that it was complete.
    IncompleteStream,
    /// Headers, a line or the whole stream over the monitor's limits.
    TooLarge,
}

impl ErrorKind {
    /// Every kind, in the order the documentation lists them.
    pub const ALL: [Self; 14] = [
        Self::Timeout,
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Auth,
        Self::RateLimited,
        Self::Overloaded,
        Self::BadRequest,
        Self::NotFound,
        Self::ServerError,
        Self::MalformedResponse,
        Self::EmptyResponse,
        Self::IncompleteStream,
        Self::TooLarge,
    ];

    /// The CSV's and the API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::RateLimited => "rate_limited",
            Self::Overloaded => "overloaded",
            Self::BadRequest => "bad_request",
            Self::NotFound => "not_found",
            Self::ServerError => "server_error",
            Self::MalformedResponse => "malformed_response",
            Self::EmptyResponse => "empty_response",
            Self::IncompleteStream => "incomplete_stream",
            Self::TooLarge => "too_large",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word names no known kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown error kind")]
pub struct UnknownErrorKind;

impl FromStr for ErrorKind {
    type Err = UnknownErrorKind;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownErrorKind)
    }
}
