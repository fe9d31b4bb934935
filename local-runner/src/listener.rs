//! HTTP on a listening socket, with limits on what a client may hold: how long its headers take, how long it takes nothing of its
//! answer, and how many connections.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::write_limit::WriteLimited;

/// What is read of a request before its end is found: its line and its headers.
const HEADERS_MAX_BYTES: usize = 64 * 1024;
/// After the system refused a connection for want of something (files, memory).
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// What clients may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    /// For a request's headers to arrive, and for the next request on a connection that is kept open.
    pub(crate) headers_time: Duration,
    /// For a client to take more of an answer that waits for it.
    pub(crate) stuck_time: Duration,
    /// Connections at one time; more wait in the system's queue.
    pub(crate) connections: usize,
}

impl Held {
    /// By any clients.
    pub(crate) const AT_MOST: Self =
        Self { headers_time: Duration::from_secs(30), stuck_time: Duration::from_secs(30), connections: 1024 };
}

/// Serves until `stop`, then lets open requests end. Give it up after a while: a client may take for ever.
pub(crate) async fn serve(listener: TcpListener, routes: Router, limits: Held, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&room).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, permit))
        };
        let (stream, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    pause_after(&error).await;
                    continue;
                }
            },
        };
        let connection = connection(stream, routes.clone(), limits);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                debug!(%error, "a connection ended: {error}");
            }
            drop(permit);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connection(
    stream: TcpStream,
    routes: Router,
    limits: Held,
) -> http1::Connection<TokioIo<WriteLimited<TcpStream>>, TowerToHyperService<Router>> {
    // Answers are small; one that waits for its last packet to be filled is late for nothing.
    let _ = stream.set_nodelay(true);
    let stream = WriteLimited::new(stream, limits.stuck_time);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.headers_time)
        .max_buf_size(HEADERS_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
}

async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    // The client's own: it went before we came.
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    warn!(%error, "a connection could not be accepted: {error}");
    tokio::time::sleep(REFUSED_PAUSE).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use std::{future::pending, sync::Mutex};

    use axum::{http::Uri, routing::get};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(headers_time: Duration) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let routes = Router::new().route("/", get(async || "here")).route("/never", get(pending::<String>));
        let stop = CancellationToken::new();
        let limits = Held { headers_time, ..Held::AT_MOST };
        let server = tokio::spawn(serve(listener, routes, limits, stop.clone()));
        (address, stop, server)
    }

    async fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.expect("is sent");
        let mut answer = String::new();
        // Nothing is measured by it: where nobody hangs up, the test fails and does not wait for ever.
        let ended = tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut answer)).await;
        ended.expect("it is hung up on").expect("ends");
        answer
    }

    #[tokio::test]
    async fn a_client_that_does_not_end_its_headers_is_hung_up_on() {
        let (address, _stop, _server) = start(Duration::from_millis(20)).await;
        let mut slow = TcpStream::connect(address).await.expect("connects");
        let answer = ask(&mut slow, "GET / HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
        assert!(!answer.contains("here"), "{answer}");
        let mut honest = TcpStream::connect(address).await.expect("connects");
        let answer = ask(&mut honest, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        let mut large = TcpStream::connect(address).await.expect("connects");
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(2 * HEADERS_MAX_BYTES));
        let _ = large.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = large.read_to_end(&mut answer).await;
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_until_one_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&asked);
        let routes = Router::new().fallback(async move |uri: Uri| {
            note.lock().expect("no panic").push(uri.path().to_owned());
            "here"
        });
        let limits = Held { connections: 1, ..Held::AT_MOST };
        let server = tokio::spawn(serve(listener, routes, limits, CancellationToken::new()));
        let mut first = TcpStream::connect(address).await.expect("connects");
        let mut ask_first = async |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            first.write_all(request.as_bytes()).await.expect("is sent");
            let mut answer = Vec::new();
            while !answer.ends_with(b"here") {
                assert!(first.read_buf(&mut answer).await.expect("is answered") > 0);
            }
        };
        ask_first("/1").await;
        let mut second = TcpStream::connect(address).await.expect("the system takes it");
        second.write_all(b"GET /second HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.expect("is sent");
        // Time enough to be answered, had it been let in.
        for _ in 0..100 {
            ask_first("/1").await;
        }
        assert_eq!(asked.lock().expect("no panic").len(), 101, "the second waits");
        drop(first);
        let mut answer = String::new();
        second.read_to_string(&mut answer).await.expect("ends");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(asked.lock().expect("no panic").last().map(String::as_str), Some("/second"));
        server.abort();
    }

    #[tokio::test]
    async fn who_takes_nothing_of_an_answer_makes_room_for_others() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        // More than all buffers on the way hold.
        let large = async || vec![b'x'; 64 * 1024 * 1024];
        let routes = Router::new().route("/large", get(large)).route("/", get(async || "here"));
        let limits = Held { stuck_time: Duration::from_millis(20), connections: 1, ..Held::AT_MOST };
        let server = tokio::spawn(serve(listener, routes, limits, CancellationToken::new()));
        let mut first = TcpStream::connect(address).await.expect("connects");
        first.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("is sent");
        let mut second = TcpStream::connect(address).await.expect("the system takes it");
        let answer = ask(&mut second, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("here"), "{answer}");
        server.abort();
    }

    #[tokio::test]
    async fn stopping_closes_what_is_idle() {
        let (address, stop, server) = start(Duration::from_secs(60)).await;
        let mut idle = TcpStream::connect(address).await.expect("connects");
        idle.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("is sent");
        let mut answer = [0; 512];
        let read = idle.read(&mut answer).await.expect("is answered");
        assert!(read > 0);
        stop.cancel();
        server.await.expect("ends");
        let mut rest = String::new();
        idle.read_to_string(&mut rest).await.expect("is closed");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
}
