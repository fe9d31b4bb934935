//! One request and its answer, from the name's resolution to the last chunk. What was measured stays in the [`Attempt`] when it
//! is cut short.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use http::{HeaderMap, header};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::{
    answer::Answer,
    connect::{Clock, connect},
    exchange::{Exchange, ExchangeError},
    reading::Reading,
};
use crate::{
    provider::{Adaptation, Ask, Framing, Provider, Refused},
    record::{ErrorKind, Failure},
};

/// How much of an error's body is read.
const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// How long an error's body is waited for: the status alone says most.
const DOCUMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// What one request brought, as far as it came.
#[derive(Debug)]
pub(super) struct Attempt {
    /// When it started (wall clock).
    pub(super) timestamp: DateTime<Utc>,
    /// When it started (monotonic); all of the timeline's instants count from here.
    pub(super) start: Instant,
    /// The response's status.
    pub(super) http_status: Option<u16>,
    /// What arrived, and when.
    pub(super) answer: Answer,
}

/// An attempt that brought no good answer.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Why.
    pub(super) failure: Failure,
    /// What might mend it.
    pub(super) adaptation: Option<Adaptation>,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self { failure, adaptation: None }
    }
}

impl From<ExchangeError> for Refusal {
    fn from(error: ExchangeError) -> Self {
        error.failure().into()
    }
}

impl Attempt {
    /// An attempt that starts now.
    pub(super) fn new() -> Self {
        Self { timestamp: Utc::now(), start: Instant::now(), http_status: None, answer: Answer::default() }
    }

    /// Sends `ask` and reads the answer to its end.
    pub(super) async fn run(
        &mut self,
        provider: Provider,
        ask: &Ask<'_>,
        tls: Option<&Arc<ClientConfig>>,
    ) -> Result<(), Refusal> {
        let wire = provider.wire();
        let request = wire.request(ask).map_err(|error| Failure::new(ErrorKind::BadRequest, error.to_string()))?;
        let clock = Clock::from(self.start);
        let connection = connect(&request.url, tls, &clock, &mut self.answer.timeline).await?;
        let mut exchange = Exchange::begin(connection, request, &clock).await?;
        self.answer.timeline.headers = Some(clock.last_read());
        self.http_status = Some(exchange.status.as_u16());

        let encoding = encoding(&exchange.headers).map(str::to_owned);
        let mut document = Vec::new();
        if exchange.status.is_success() {
            if let Some(encoding) = encoding {
                let message = format!("the answer is {encoding}-encoded although it was asked for plain");
                return Err(Failure::new(ErrorKind::MalformedResponse, message).into());
            }
            match self.read_stream(provider, &mut exchange).await? {
                Body::Stream => return self.answer.verdict().map_or(Ok(()), |failure| Err(failure.into())),
                Body::Document(start) => document = start,
            }
        }
        if encoding.is_none() {
            read_document(&mut exchange, &mut document).await;
        }
        let refused = Refused { status: exchange.status, headers: &exchange.headers, body: &document };
        Err(Refusal { failure: wire.refusal(&refused), adaptation: wire.adapt(&refused, ask.quirks) })
    }

    /// Reads the body's frames into the answer, up to its end or the provider's word that nothing follows.
    async fn read_stream(&mut self, provider: Provider, exchange: &mut Exchange) -> Result<Body, Refusal> {
        let framing = provider.wire().framing();
        let mut reading = Reading::new(provider);
        let answer = &mut self.answer;
        let mut is_stream = false;
        while let Some((bytes, at)) = match exchange.chunk().await {
            // What breaks off after the end of generation takes nothing away.
            Err(_) if answer.is_complete() => return Ok(Body::Stream),
            chunk => chunk?,
        } {
            if !is_stream && let Some(first) = bytes.trim_ascii_start().first() {
                if is_document(framing, *first) {
                    return Ok(Body::Document(bytes.to_vec()));
                }
                is_stream = true;
            }
            reading.push(&bytes, at, answer);
            if answer.is_over() {
                return Ok(Body::Stream);
            }
        }
        reading.finish(answer);
        Ok(Body::Stream)
    }
}

/// What a 2xx answer's body is.
enum Body {
    /// A stream of frames, and it was read.
    Stream,
    /// One document, and this is its start.
    Document(Vec<u8>),
}

/// Told by the first byte, whatever the headers call it: no line of server-sent events starts with a bracket, and no line of
/// NDJSON with an angle.
fn is_document(framing: Framing, first: u8) -> bool {
    match framing {
        Framing::Sse => matches!(first, b'{' | b'[' | b'<'),
        Framing::Ndjson => matches!(first, b'[' | b'<'),
    }
}

/// Reads on to the end of a document, as far as it comes soon and is needed.
async fn read_document(exchange: &mut Exchange, document: &mut Vec<u8>) {
    let reading = async {
        while document.len() < MAX_DOCUMENT_BYTES
            && let Ok(Some((bytes, _))) = exchange.chunk().await
        {
            document.extend_from_slice(&bytes);
        }
    };
    // Cut short or broken off, what has come will do.
    let _ = timeout(DOCUMENT_TIMEOUT, reading).await;
}

/// How the body is compressed; `None` if it is not.
fn encoding(headers: &HeaderMap) -> Option<&str> {
    let encoding = headers.get(header::CONTENT_ENCODING)?.to_str().unwrap_or("unknown");
    Some(encoding).filter(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity"))
}
