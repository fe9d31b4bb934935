//! Reads a socket and tells how long its bytes had been there.
//!
//! On Linux the kernel stamps each packet as it arrives (`SO_TIMESTAMPNS`), so that a busy monitor, which reads late, still
//! knows when they came. Elsewhere, and where a stamp makes no sense, bytes count as arrived when they are read.

use std::time::Duration;

/// Older than this, a stamp says that the wall clock was set meanwhile, or that the whole machine slept.
const MAX_CREDIBLE_AGE: Duration = Duration::from_secs(5);

/// The age of bytes that arrived at `stamp` and were read at `now`, both on the wall clock since its epoch.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))] // stamps are Linux's
fn age(stamp: Duration, now: Duration) -> Duration {
    now.checked_sub(stamp).filter(|age| *age <= MAX_CREDIBLE_AGE).unwrap_or(Duration::ZERO)
}

#[cfg(target_os = "linux")]
pub(super) use linux::{Receiver, Stamping};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{Receiver, Stamping};

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        io::{self, IoSliceMut},
        net::{Ipv4Addr, UdpSocket},
        os::fd::{AsRawFd, RawFd},
        task::{Context, Poll, ready},
        time::{Duration, SystemTime, UNIX_EPOCH},
    };

    use nix::sys::{
        socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns},
        time::TimeSpec,
    };
    use tokio::{
        io::{Interest, ReadBuf},
        net::TcpStream,
    };

    /// Keeps the kernel stamping. It starts a while after the first socket asks for it and stops with the last: sockets that live
    /// as long as one probe would go without at times.
    #[derive(Debug)]
    pub(in crate::probe) struct Stamping {
        _asker: Option<UdpSocket>,
    }

    impl Stamping {
        /// Opens a socket that asks and does nothing else; without one, stamps may be missing.
        pub(in crate::probe) fn keep() -> Self {
            let asker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok();
            if let Some(socket) = &asker
                && let Err(error) = setsockopt(socket, ReceiveTimestampns, &true)
            {
                tracing::debug!(%error, "the kernel gives no arrival stamps");
            }
            Self { _asker: asker }
        }
    }

    /// Reads with the kernel's stamps.
    pub(in crate::probe) struct Receiver {
        control: Vec<u8>,
    }

    impl Receiver {
        /// Asks for stamps on `tcp`; without them, it reads all the same.
        pub(in crate::probe) fn new(tcp: &TcpStream) -> Self {
            let _ = setsockopt(tcp, ReceiveTimestampns, &true);
            Self { control: nix::cmsg_space!(TimeSpec) }
        }

        /// Reads into `buf`; gives the age of the newest byte read.
        pub(in crate::probe) fn poll_read(
            &mut self,
            tcp: &mut TcpStream,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<Duration>> {
            loop {
                ready!(tcp.poll_read_ready(cx))?;
                let received = tcp.try_io(Interest::READABLE, || {
                    receive(tcp.as_raw_fd(), buf.initialize_unfilled(), &mut self.control)
                });
                match received {
                    Ok((bytes, age)) => {
                        buf.advance(bytes);
                        return Poll::Ready(Ok(age));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
    }

    fn receive(socket: RawFd, buf: &mut [u8], control: &mut [u8]) -> io::Result<(usize, Duration)> {
        let mut slices = [IoSliceMut::new(buf)];
        let message = recvmsg::<()>(socket, &mut slices, Some(control), MsgFlags::empty())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamp = message.cmsgs().ok().and_then(|mut messages| {
            messages.find_map(|message| match message {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            })
        });
        Ok((message.bytes, stamp.map_or(Duration::ZERO, |stamp| super::age(stamp, now))))
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::{
        io,
        pin::Pin,
        task::{Context, Poll},
        time::Duration,
    };

    use tokio::{
        io::{AsyncRead, ReadBuf},
        net::TcpStream,
    };

    /// Nobody stamps here.
    #[derive(Debug)]
    pub(in crate::probe) struct Stamping;

    impl Stamping {
        pub(in crate::probe) fn keep() -> Self {
            Self
        }
    }

    /// Reads without stamps.
    pub(in crate::probe) struct Receiver;

    impl Receiver {
        pub(in crate::probe) fn new(_: &TcpStream) -> Self {
            Self
        }

        pub(in crate::probe) fn poll_read(
            &mut self,
            tcp: &mut TcpStream,
            cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<Duration>> {
            Pin::new(tcp).poll_read(cx, buf).map_ok(|()| Duration::ZERO)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn an_age_that_makes_no_sense_is_none() {
        let second = Duration::from_secs(1);
        assert_eq!(age(7 * second, 8 * second), second);
        assert_eq!(age(8 * second, 7 * second), Duration::ZERO);
        assert_eq!(age(second, 3600 * second), Duration::ZERO);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn bytes_that_waited_are_as_old_as_their_wait() {
        use std::future::poll_fn;

        use tokio::{
            io::{AsyncWriteExt, ReadBuf},
            net::{TcpListener, TcpStream},
        };

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut client = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("a connection");
        let (mut server, _) = listener.accept().await.expect("a connection");
        let _stamping = Stamping::keep();
        let mut receiver = Receiver::new(&client);
        let wait = Duration::from_millis(20);
        // The kernel starts stamping when it gets round to it.
        for _ in 0..100 {
            server.write_all(b"late").await.expect("sent");
            std::thread::sleep(wait);
            let mut bytes = [0; 16];
            let mut buf = ReadBuf::new(&mut bytes);
            let age = poll_fn(|cx| receiver.poll_read(&mut client, cx, &mut buf)).await.expect("read");
            assert_eq!(buf.filled(), b"late");
            if age >= wait {
                return;
            }
        }
        panic!("no stamp in 100 reads");
    }
}
