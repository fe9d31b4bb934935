//! HTTP on a listening socket, with limits on what a client may hold: how long its headers take, and how many connections.

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

/// For a request's headers to arrive, and for the next request on a connection that is kept open.
pub(crate) const HEADERS_TIME_LIMIT: Duration = Duration::from_secs(30);
/// What is read of a request before its end is found: its line and its headers.
const HEADERS_MAX_BYTES: usize = 64 * 1024;
/// Connections at one time; more wait in the system's queue.
const CONNECTIONS_AT_MOST: usize = 1024;
/// After the system refused a connection for want of something (files, memory).
const REFUSED_PAUSE: Duration = Duration::from_secs(1);

/// Serves until `stop`, then lets open requests end. Give it up after a while: a client may take for ever.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    headers_time_limit: Duration,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_AT_MOST));
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
        let connection = connection(stream, routes.clone(), headers_time_limit);
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
    headers_time_limit: Duration,
) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    // Answers are small; one that waits for its last packet to be filled is late for nothing.
    let _ = stream.set_nodelay(true);
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_time_limit)
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

    use std::future::pending;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(time_limit: Duration) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let routes = Router::new().route("/", get(async || "here")).route("/never", get(pending::<String>));
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, routes, time_limit, stop.clone()));
        (address, stop, server)
    }

    async fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(request.as_bytes()).await.expect("is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("ends");
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
