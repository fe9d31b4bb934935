//! HTTP on threads of its own: whatever readers ask for, no probe waits behind it for its turn.

use std::time::Duration;

use anyhow::Context;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// How long work that cannot be broken off (a write) may still take at the end.
const LAST_WORK: Duration = Duration::from_secs(1);

/// Threads that read files and parse them. The allocator keeps freed memory for each: more would cost memory and win nothing on the
/// few cores that a monitor has.
pub const FILE_THREADS: usize = 4;

/// A runtime beside that of the probes.
#[derive(Debug)]
pub(crate) struct ServingThreads {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl ServingThreads {
    /// As many threads as there are cores: the system shares those out between them and the probes' own.
    ///
    /// # Errors
    /// The system gives no threads.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime =
            Builder::new_multi_thread().thread_name("serving").max_blocking_threads(FILE_THREADS).enable_all().build();
        Ok(Self { runtime: Some(runtime.context("threads to serve HTTP")?) })
    }

    /// Runs `task` there. A task that a stop broke off ends with an error.
    pub(crate) fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        #[expect(clippy::expect_used, reason = "only the end takes it, and that takes all of this")]
        self.runtime.as_ref().expect("the runtime is there").spawn(task)
    }

    /// Runs `server` there. When it ends, whatever the cause (a panic too), `stop` is cancelled: a monitor that nobody can ask is not
    /// left running in silence.
    pub(crate) fn spawn_server<T: Send + 'static>(
        &self,
        server: impl Future<Output = T> + Send + 'static,
        stop: &CancellationToken,
    ) -> JoinHandle<T> {
        let stops_at_the_end = stop.clone().drop_guard();
        self.spawn(async move {
            let _stops_at_the_end = stops_at_the_end;
            server.await
        })
    }

    /// Breaks off what still runs there, and waits a moment for what cannot be broken off.
    pub(crate) async fn end(mut self) {
        if let Some(runtime) = self.runtime.take() {
            // On a thread that may wait, as a runtime may not be waited for by another's.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(LAST_WORK)).await;
        }
    }
}

impl Drop for ServingThreads {
    fn drop(&mut self) {
        // On the way out of an error; a plain drop would wait, which is forbidden on the probes' runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use std::{
        sync::mpsc::{RecvTimeoutError, channel},
        thread::available_parallelism,
    };

    use super::*;

    /// Only for a test that fails: it must end.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_blocks_there_holds_up_nothing_here() {
        let threads = ServingThreads::start().unwrap();
        let mut releases = Vec::new();
        let mut blocked = Vec::new();
        for _ in 0..available_parallelism().unwrap().get() * 2 {
            let (release, released) = channel::<()>();
            releases.push(release);
            blocked.push(threads.spawn(async move { released.recv_timeout(PATIENCE) }));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(blocked.iter().all(|task| !task.is_finished()), "all wait still, and the timer here went off");
        drop(releases);
        for task in blocked {
            assert_eq!(task.await.unwrap(), Err(RecvTimeoutError::Disconnected));
        }
        threads.end().await;
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_stops_everything() {
        let threads = ServingThreads::start().unwrap();
        for panics in [false, true] {
            let stop = CancellationToken::new();
            let server = threads.spawn_server(async move { assert!(!panics, "a fault of ours") }, &stop);
            assert_eq!(server.await.is_err(), panics);
            assert!(stop.is_cancelled());
        }
        // Dropped where waiting is forbidden, as on the way out of an error.
        drop(threads);
    }
}
