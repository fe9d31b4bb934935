//! A layer of faults in front of an S3 server: answers in its place, keeps it waiting, or loses its answers.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is passed on.
    None,
    /// It is answered with this status and S3 error code, and never reaches the server.
    Answer(u16, &'static str),
    /// The same with a header.
    AnswerWith(u16, &'static str, (&'static str, &'static str)),
    /// The connection is closed before the server has seen it.
    CutBefore,
    /// The server does as it is told, and the connection is closed before its answer is passed on.
    CutAfter,
    /// It is passed on after a while.
    Slow(Duration),
    /// It waits until the test lets it go on ([`Faults::release`]).
    Held,
    /// It is never answered.
    Silence,
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    pub(crate) encryption: Option<String>,
    pub(crate) has_checksum: bool,
    pub(crate) fault: Fault,
}

impl Seen {
    /// Whether it is for an object whose key holds `part`; a listing is for none.
    pub(crate) fn is_of(&self, part: &str) -> bool {
        !self.target.contains("list-type=") && self.target.replace("%3D", "=").contains(part)
    }
}

type Plan = dyn Fn(&Seen, usize) -> Fault + Send + Sync;

/// The layer, until it is dropped.
pub(crate) struct Faults {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    gate: Arc<Gate>,
    accepting: JoinHandle<()>,
}

/// How many requests came to it, and how many of them may pass.
#[derive(Default)]
struct Gate {
    held: watch::Sender<usize>,
    released: watch::Sender<usize>,
}

impl Faults {
    /// In front of `server`. `plan` is asked for each request, with how many came before.
    pub(crate) async fn before(
        server: SocketAddr,
        plan: impl Fn(&Seen, usize) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let gate = Arc::new(Gate::default());
        let layer = Layer { server, plan: Arc::new(plan), seen: Arc::clone(&seen), gate: Arc::clone(&gate) };
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let layer = layer.clone();
                let service = service_fn(move |request| {
                    let layer = layer.clone();
                    async move { layer.answer(request).await }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { address, seen, gate, accepting }
    }

    /// `faults` happen to the first PUTs of records, in order; everything else is passed on.
    pub(crate) async fn on_puts(server: SocketAddr, faults: impl IntoIterator<Item = Fault>) -> Self {
        let faults = Mutex::new(faults.into_iter().collect::<VecDeque<_>>());
        Self::before(server, move |seen, _| {
            let is_put = seen.method == Method::PUT && seen.target.contains("/records/environment");
            let next = || faults.lock().expect("no panic").pop_front();
            is_put.then(next).flatten().unwrap_or(Fault::None)
        })
        .await
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }

    /// Waits until so many requests were held.
    pub(crate) async fn held(&self, count: usize) {
        self.gate.held.subscribe().wait_for(|held| *held >= count).await.expect("the gate is there");
    }

    /// Lets the first `count` of those that are held go on.
    pub(crate) fn release(&self, count: usize) {
        self.gate.released.send_replace(count);
    }

    /// `GET`, `PUT`, … of keys that hold `part`, in order.
    pub(crate) fn methods(&self, part: &str) -> Vec<String> {
        let seen = self.seen();
        seen.iter().filter(|seen| seen.target.contains(part)).map(|seen| seen.method.to_string()).collect()
    }
}

impl Drop for Faults {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone)]
struct Layer {
    server: SocketAddr,
    plan: Arc<Plan>,
    seen: Arc<Mutex<Vec<Seen>>>,
    gate: Arc<Gate>,
}

/// Ends the connection without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut")
    }
}

impl std::error::Error for Cut {}

impl Layer {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
        let (fault, request) = self.note(request).await?;
        match fault {
            Fault::None => self.pass_on(request).await,
            Fault::Answer(status, code) => Ok(error(status).body(body(code)).expect("an answer")),
            Fault::AnswerWith(status, code, (name, value)) => {
                Ok(error(status).header(name, value).body(body(code)).expect("an answer"))
            }
            Fault::CutBefore => Err(Cut),
            Fault::CutAfter => {
                self.pass_on(request).await?;
                Err(Cut)
            }
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                self.pass_on(request).await
            }
            Fault::Held => {
                let mut released = self.gate.released.subscribe();
                let mut number = 0;
                self.gate.held.send_modify(|held| {
                    *held += 1;
                    number = *held;
                });
                released.wait_for(|released| *released >= number).await.map_err(|_| Cut)?;
                self.pass_on(request).await
            }
            Fault::Silence => std::future::pending().await,
        }
    }

    async fn note(&self, request: Request<Incoming>) -> Result<(Fault, Request<Full<Bytes>>), Cut> {
        let header = |name: &str| request.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        let mut seen = Seen {
            method: request.method().clone(),
            target: request.uri().to_string(),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            encryption: header("x-amz-server-side-encryption"),
            has_checksum: header("x-amz-checksum-crc32").is_some(),
            fault: Fault::None,
        };
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        let fault = {
            let mut all = self.seen.lock().expect("no panic");
            seen.fault = (self.plan)(&seen, all.len());
            all.push(seen.clone());
            seen.fault
        };
        Ok((fault, Request::from_parts(head, Full::new(body))))
    }

    async fn pass_on(&self, request: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Cut> {
        let stream = TcpStream::connect(self.server).await.map_err(|_| Cut)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|_| Cut)?;
        tokio::spawn(connection);
        let response = sender.send_request(request).await.map_err(|_| Cut)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

fn error(status: u16) -> http::response::Builder {
    Response::builder().status(status).header("content-type", "application/xml")
}

fn body(code: &str) -> Full<Bytes> {
    let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code></Error>");
    Full::new(Bytes::from(if code.is_empty() { String::new() } else { text }))
}
