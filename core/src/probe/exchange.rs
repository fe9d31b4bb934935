//! One HTTP/1.1 request and its answer on one connection, driven in the probe's own task: no other task's turn comes between
//! the arrival of bytes and their stamp. Follows no redirect, decompresses nothing, uses no proxy.

use std::{
    error::Error,
    future::poll_fn,
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use url::Position;

use super::connect::{Clock, Connection};
use crate::{
    cause,
    provider::HttpRequest,
    record::{ErrorKind, Failure},
};

const USER_AGENT: &str = concat!("llm-monitor/", env!("CARGO_PKG_VERSION"));

/// Most headers of a response.
const MAX_HEADERS: usize = 128;
/// Longest head of a response, in bytes; also the size up to which the read buffer grows.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// An HTTP exchange failed below the level of HTTP's own statuses. Messages hold no secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The name was not resolved.
    #[error("{0}")]
    Dns(String),
    /// No TCP connection.
    #[error("could not connect: {0}")]
    Connect(io::Error),
    /// No TLS session.
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    /// Something ended it before the response's headers were complete.
    #[error("no answer: {}", cause::innermost(.0))]
    Head(hyper::Error),
    /// Something ended it within the body.
    #[error("the stream broke off: {}", cause::innermost(.0))]
    Body(hyper::Error),
}

impl ExchangeError {
    pub(super) fn dns(name: &str, error: &io::Error) -> Self {
        Self::Dns(format!("could not resolve {name}: {error}"))
    }

    pub(super) fn no_address(name: &str) -> Self {
        Self::Dns(format!("{name} has no address"))
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Dns(_) => ErrorKind::Dns,
            Self::Tls(_) => ErrorKind::Tls,
            Self::Head(error) if error.is_parse_too_large() => ErrorKind::TooLarge,
            Self::Head(error) if error.is_parse() => ErrorKind::MalformedResponse,
            Self::Connect(_) | Self::Head(_) => ErrorKind::Connect,
            Self::Body(error) => match io_kind(error) {
                // What hyper calls a chunk's size that is no number.
                Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => ErrorKind::MalformedResponse,
                _ => ErrorKind::IncompleteStream,
            },
        }
    }

    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.kind(), self.to_string())
    }
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    cause::chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// A response whose headers have arrived.
pub(super) struct Exchange {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    driver: Driver,
    clock: Arc<Clock>,
}

impl Exchange {
    /// Sends `request` and waits for the response's headers; `clock.last_read()` is then when they arrived.
    pub(super) async fn begin(
        connection: Box<dyn Connection>,
        request: HttpRequest,
        clock: &Arc<Clock>,
    ) -> Result<Self, ExchangeError> {
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(connection))
            .await
            .map_err(ExchangeError::Head)?;
        let mut driver = Driver(Some(Box::pin(connection)));
        let response =
            driver.run(pin!(sender.send_request(origin_form(request)))).await.map_err(ExchangeError::Head)?;
        let (head, body) = response.into_parts();
        Ok(Self { status: head.status, headers: head.headers, body, driver, clock: Arc::clone(clock) })
    }

    /// The next bytes of the body, with the time of the read that brought them; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<(Bytes, Duration)>, ExchangeError> {
        loop {
            match self.driver.run(self.body.frame()).await {
                // The connection reads no further until this frame is taken: the last read is this frame's.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some((bytes, self.clock.last_read())));
                    }
                }
                Some(Err(error)) => return Err(ExchangeError::Body(error)),
                None => return Ok(None),
            }
        }
    }
}

/// What HTTP/1.1 sends to the server itself.
fn origin_form(request: HttpRequest) -> Request<Full<Bytes>> {
    let target = &request.url[Position::BeforePath..Position::AfterQuery];
    let authority = &request.url[Position::BeforeHost..Position::AfterPort];
    let mut http = Request::new(Full::new(request.body));
    *http.method_mut() = request.method;
    // A `Url` is percent-encoded, so its parts are valid here; were they not, the server would say so.
    *http.uri_mut() = target.parse().unwrap_or_default();
    *http.headers_mut() = request.headers;
    let headers = http.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    if let Ok(host) = HeaderValue::from_str(authority) {
        headers.insert(header::HOST, host);
    }
    http
}

/// Moves a connection on while something is awaited from it.
struct Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

impl Driver {
    async fn run<F: Future + Unpin>(&mut self, mut awaited: F) -> F::Output {
        poll_fn(|cx| {
            // How the connection ends, the awaited future is told.
            if let Some(connection) = &mut self.0
                && connection.as_mut().poll(cx).is_ready()
            {
                self.0 = None;
            }
            match Pin::new(&mut awaited).poll(cx) {
                Poll::Ready(output) => Poll::Ready(output),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}
