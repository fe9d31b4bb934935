//! A fresh connection for every probe: name resolution, TCP, TLS, each timed apart.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::sleep,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use super::{arrival::Receiver, exchange::ExchangeError, timeline::Timeline};

/// An address that has not answered for this long gets company by the next (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Time since the probe's start, and when its last bytes arrived.
#[derive(Debug)]
pub(super) struct Clock {
    start: Instant,
    last_read_ns: AtomicU64,
}

impl Clock {
    /// A clock that starts at `start`.
    pub(super) fn from(start: Instant) -> Arc<Self> {
        Arc::new(Self { start, last_read_ns: AtomicU64::new(0) })
    }

    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// When the bytes of the last successful read arrived. Only the probe's own task reads and asks.
    pub(super) fn last_read(&self) -> Duration {
        Duration::from_nanos(self.last_read_ns.load(Ordering::Relaxed))
    }

    /// A read has just returned bytes that had been there for `age`. What is read later did not come earlier.
    fn stamp_read(&self, age: Duration) {
        let arrived = self.elapsed().saturating_sub(age);
        let nanoseconds = u64::try_from(arrived.as_nanos()).unwrap_or(u64::MAX);
        self.last_read_ns.fetch_max(nanoseconds, Ordering::Relaxed);
    }
}

/// A connection ready for HTTP.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// Connects to the host of `url`; `tls` is used where it is `https`.
pub(super) async fn connect(
    url: &Url,
    tls: Option<&Arc<ClientConfig>>,
    clock: &Arc<Clock>,
    timeline: &mut Timeline,
) -> Result<Box<dyn Connection>, ExchangeError> {
    let addresses = resolve(url, clock, timeline).await?;
    let tcp = connect_tcp(&addresses).await.map_err(ExchangeError::Connect)?;
    // Without it the request's second segment could wait for the first one's acknowledgement.
    tcp.set_nodelay(true).map_err(ExchangeError::Connect)?;
    let tcp = Stamped { receiver: Receiver::new(&tcp), tcp, clock: Arc::clone(clock) };
    let connection: Box<dyn Connection> = match tls {
        Some(config) => Box::new(handshake(url, config, tcp, clock, timeline).await?),
        None => Box::new(tcp),
    };
    timeline.connected = Some(clock.elapsed());
    Ok(connection)
}

async fn resolve(url: &Url, clock: &Clock, timeline: &mut Timeline) -> Result<Vec<SocketAddr>, ExchangeError> {
    let port = url.port_or_known_default().unwrap_or(80);
    let address = |ip: IpAddr| Ok(vec![SocketAddr::new(ip, port)]);
    match url.host() {
        Some(Host::Ipv4(ip)) => address(ip.into()),
        Some(Host::Ipv6(ip)) => address(ip.into()),
        Some(Host::Domain(name)) => {
            let started = clock.elapsed();
            let found = tokio::net::lookup_host((name, port)).await;
            timeline.dns = Some(clock.elapsed().saturating_sub(started));
            let addresses: Vec<_> = found.map_err(|error| ExchangeError::dns(name, &error))?.collect();
            if addresses.is_empty() { Err(ExchangeError::no_address(name)) } else { Ok(addresses) }
        }
        None => Err(ExchangeError::no_address("")),
    }
}

/// The first of `addresses` that answers. Each is tried when the one before has failed, or has kept silent for a while.
async fn connect_tcp(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter();
    let mut attempts: FuturesUnordered<_> =
        waiting.next().map(|address| TcpStream::connect(*address)).into_iter().collect();
    let mut first_error = None;
    loop {
        let outcome = tokio::select! {
            outcome = attempts.next() => outcome,
            () = sleep(NEXT_ADDRESS_AFTER), if !attempts.is_empty() && waiting.len() > 0 => None,
        };
        match outcome {
            Some(Ok(stream)) => return Ok(stream),
            // The first address is the one the system prefers: its error tells most.
            Some(Err(error)) => _ = first_error.get_or_insert(error),
            None => {}
        }
        match waiting.next() {
            Some(address) => attempts.push(TcpStream::connect(*address)),
            None if attempts.is_empty() => {
                return Err(first_error.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
            }
            None => {}
        }
    }
}

async fn handshake(
    url: &Url,
    config: &Arc<ClientConfig>,
    tcp: Stamped,
    clock: &Clock,
    timeline: &mut Timeline,
) -> Result<impl Connection + use<>, ExchangeError> {
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|error| ExchangeError::Tls(io::Error::other(error)))?;
    let started = clock.elapsed();
    let outcome = TlsConnector::from(Arc::clone(config)).connect(name, tcp).await;
    timeline.tls = Some(clock.elapsed().saturating_sub(started));
    outcome.map_err(ExchangeError::Tls)
}

/// Notes when the bytes of each read arrived, before anybody looks at them. It stands below TLS, so that decrypting takes no
/// part in it.
struct Stamped {
    tcp: TcpStream,
    receiver: Receiver,
    clock: Arc<Clock>,
}

impl AsyncRead for Stamped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let age = ready!(this.receiver.poll_read(&mut this.tcp, cx, buf))?;
        this.clock.stamp_read(age);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stamped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
