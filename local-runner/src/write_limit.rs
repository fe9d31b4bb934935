//! A stream whose writes fail when the other side takes nothing for too long: hyper itself waits for ever.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// `S`, but a write or flush that is stuck fails. Each byte that is taken gives the other side its time anew.
#[derive(Debug)]
pub(crate) struct WriteLimited<S> {
    stream: S,
    time_limit: Duration,
    /// There while the other side takes nothing.
    stuck_until: Option<Pin<Box<Sleep>>>,
}

impl<S: Unpin> WriteLimited<S> {
    pub(crate) fn new(stream: S, time_limit: Duration) -> Self {
        Self { stream, time_limit, stuck_until: None }
    }

    fn poll_limited<T>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = operation(Pin::new(&mut self.stream), cx) {
            self.stuck_until = None;
            return Poll::Ready(result);
        }
        let stuck_until = self.stuck_until.get_or_insert_with(|| Box::pin(sleep(self.time_limit)));
        ready!(stuck_until.as_mut().poll(cx));
        self.stuck_until = None;
        let problem = format!("the client took nothing for {} s", self.time_limit.as_secs());
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, problem)))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteLimited<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_limited(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_limited(cx, |stream, cx| stream.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_limited(cx, S::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_limited(cx, S::poll_shutdown)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteLimited<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use std::{pin::pin, time::Instant};

    use futures_util::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        task::yield_now,
    };

    use super::*;

    #[tokio::test]
    async fn what_nobody_takes_fails() {
        let (ours, _theirs) = duplex(64);
        let mut ours = WriteLimited::new(ours, Duration::from_millis(1));
        let error = ours.write_all(&[0; 65]).await.expect_err("65 bytes do not fit");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_takes_a_little_all_the_time_may_take_longer_than_the_limit() {
        const LIMIT: Duration = Duration::from_millis(250);
        let (ours, mut theirs) = duplex(1);
        let mut ours = WriteLimited::new(ours, LIMIT);
        ours.write_all(&[0]).await.expect("there is room for one");
        let started = Instant::now();
        while started.elapsed() < LIMIT * 2 {
            {
                let mut write = pin!(ours.write_all(&[0]));
                assert!(write.as_mut().now_or_never().is_none(), "stuck");
                assert_eq!(theirs.read(&mut [0]).await.expect("a byte"), 1);
                write.await.expect("is taken");
            }
            // Clocks go on only where a task lets others have their turn.
            yield_now().await;
        }
    }
}
