//! SIGINT and SIGTERM.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// `timeout` and some supervisors signal a process and then its group: twice within a moment is one wish.
const SAME_WISH: Duration = Duration::from_millis(500);

/// A token that SIGINT or SIGTERM cancels. A second signal ends the process at once, as a person who presses Ctrl-C twice means.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let token = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
            }
        };
        let name = next().await;
        tracing::info!("{name}: finishing what must not be cut short; once more stops at once");
        token.cancel();
        let first_at = Instant::now();
        loop {
            let name = next().await;
            if first_at.elapsed() > SAME_WISH {
                warn!("{name} again: stopping at once");
                std::process::exit(130);
            }
        }
    });
    Ok(stop)
}
