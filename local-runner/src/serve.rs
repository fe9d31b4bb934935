//! `serve`: the monitoring timer and HTTP, in one process.

use std::{net::IpAddr, sync::Arc, time::Duration};

use anyhow::Context;
use chrono::Utc;
use llm_monitor_core::{
    cycle::{CycleReport, OnProgress, Shard},
    http::{Gate, HostPolicy, Limits, router_behind},
    parts,
    probe::Schedule,
    record::CycleId,
    settings::{AllowedHosts, Settings, StoreSettings, Vars},
    store::{Backlog, Store},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    demo, listener, rolling,
    schedule::{self, Due, SystemClock},
    serving_threads::ServingThreads,
    signals, unsaved,
    wiring::{self, StartError},
};

/// How long open connections may go on after the monitor was told to stop.
const HTTP_GRACE: Duration = Duration::from_secs(2);

/// A page asks for about ten things at once; what is beyond some such pages waits or is refused, so that probes are not late.
const LIMITS: Limits = Limits { at_once: 4, waiting: 64, exports: 4 };

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(vars: &Vars, shard: Shard) -> Result<(), StartError> {
    let settings = wiring::settings(vars)?;
    let stop = signals::stop_on_signal()?;
    // The port before the store: a second `serve` by mistake then names the port, which a person knows.
    let listener = bind(&settings.serving.listen).await?;
    let store = wiring::open_store(&settings, shard).await?;
    warn_of_open_door(&settings, &listener);
    warn_of_demo_rows(&settings);
    let service = Service { settings: &settings, store, shard, listener, stop };
    service.run(&|_| {}, |_| {}).await
}

/// Everything that `serve` and `demo` run.
pub(crate) struct Service<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) store: Arc<Backlog>,
    pub(crate) shard: Shard,
    pub(crate) listener: TcpListener,
    pub(crate) stop: CancellationToken,
}

impl Service<'_> {
    /// Monitors and serves until `stop`; then finishes the running cycle's write and closes.
    pub(crate) async fn run(
        self,
        on_progress: &OnProgress<'_>,
        mut on_cycle: impl FnMut(&CycleReport),
    ) -> Result<(), StartError> {
        let store: Arc<dyn Store> = self.store.clone();
        let monitor = parts::monitor(self.settings, Arc::clone(&store)).with_shard(self.shard);
        let address = self.listener.local_addr().context("the listening address")?;
        info!(%address, "listening on http://{address}");

        let api = parts::api(self.settings, store, Some(Utc::now()));
        let threads = ServingThreads::start()?;
        drop(threads.spawn(rolling::keep_rolled_up(Arc::clone(&api.history), self.stop.clone())));
        let api = router_behind(api, Gate { hosts: hosts(self.settings, address.ip()), limits: Some(LIMITS) });
        let stop = self.stop.clone();
        let listener = self.listener.into_std().context("the listening socket")?;
        let server = async move {
            // A socket belongs to the runtime that it is made in.
            let listener = TcpListener::from_std(listener)?;
            listener::serve(listener, api, listener::Held::AT_MOST, stop).await;
            Ok::<_, std::io::Error>(())
        };
        let server = threads.spawn_server(server, &self.stop);

        let (stop, interval) = (&self.stop, self.settings.monitoring.interval);
        schedule::every(interval, &SystemClock, stop, async |Due { scheduled, at }| {
            let schedule = Schedule { cycle_id: CycleId::at(scheduled), due: at, stop_by: None };
            let report = monitor.run(&schedule, stop, on_progress).await;
            on_cycle(&report);
        })
        .await;

        unsaved::write_or_say(&self.store).await;
        let served = match tokio::time::timeout(HTTP_GRACE, server).await {
            // Clients that take for ever are left.
            Err(_) => Ok(()),
            Ok(served) => {
                served.context("the HTTP server ended").and_then(|served| served.context("the HTTP server ended"))
            }
        };
        threads.end().await;
        served?;
        info!("stopped");
        Ok(())
    }
}

/// Listens on `address`.
///
/// # Errors
/// A busy port says which, and what to do.
pub(crate) async fn bind(address: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "LISTEN={address:?}: the port is in use by another program; stop that program, or set LISTEN to another port, \
             like LISTEN={}",
            another_port(address)
        ),
        std::io::ErrorKind::PermissionDenied => {
            anyhow::anyhow!("LISTEN={address:?}: no permission to listen there; choose a port of 1024 or more")
        }
        _ => anyhow::anyhow!("LISTEN={address:?}: cannot listen there: {error}"),
    })
}

fn another_port(address: &str) -> String {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "8000"));
    let next = port.parse::<u16>().ok().and_then(|port| port.checked_add(1)).unwrap_or(8001);
    format!("{host}:{next}")
}

/// By which names requests may call. Where only this machine can reach us, a name of any other kind is a rebound page's.
fn hosts(settings: &Settings, listening: IpAddr) -> HostPolicy {
    match &settings.serving.allowed_hosts {
        Some(AllowedHosts::Names(names)) => HostPolicy::Names(names.clone()),
        None if listening.is_loopback() => {
            let host = settings.serving.listen.rsplit_once(':').map_or("", |(host, _)| host);
            HostPolicy::Names(vec![host.to_ascii_lowercase()])
        }
        Some(AllowedHosts::Any) | None => HostPolicy::Any,
    }
}

fn warn_of_demo_rows(settings: &Settings) {
    if let StoreSettings::File { path } = &settings.storing.store
        && demo::begins_with_demo_rows(path)
    {
        warn!("{} holds a demo's rows (location=demo); to start without them, move it away", path.display());
    }
}

fn warn_of_open_door(settings: &Settings, listener: &TcpListener) {
    let is_local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    if !is_local && settings.serving.api_token.is_none() {
        warn!(
            "LISTEN={:?} can be reached from other hosts and API_TOKEN is not set: anyone may read",
            settings.serving.listen
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_says_which_and_what_to_do() {
        let first = bind("127.0.0.1:0").await.expect("a free port");
        let address = first.local_addr().expect("an address").to_string();
        let error = bind(&address).await.expect_err("the port is taken").to_string();
        assert!(error.contains(&address) && error.contains("in use") && error.contains("set LISTEN"), "{error}");
    }
}
