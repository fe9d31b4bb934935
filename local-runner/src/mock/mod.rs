//! An embedded usage endpoint and LLM server: everything of LLM Monitor can be tried with no key and no internet.
//!
//! Each environment has its own paths and so can behave differently: `http://HOST:PORT/{environment}/api/llm-usage` lists its
//! models, and `/{environment}/openai/v1`, `/azure`, `/anthropic`, `/gemini` and `/ollama` speak each provider's real wire format, streaming on
//! a schedule. [`MockConfig`] says how fast each model is and how it fails; the same seed gives the same run.

mod behaviour;
mod chance;
pub mod command;
mod config;
mod log;
mod pacing;
mod script;
mod server;
mod text;
mod usage;
mod wire;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::Arc,
    thread::{self, JoinHandle},
};

use axum::serve::ListenerExt;
use llm_monitor_core::{provider::Provider, record::Environment};
use tokio::sync::oneshot;
use url::Url;

pub use behaviour::{Behaviour, Failure, FailureKind};
pub use config::{DemandedKey, MockConfig, MockEnvironment, MockModel};
pub use log::Seen;

/// Why the mock could not start.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// Another program listens there.
    #[error("port {} on {} is in use: stop what uses it, or choose another with --listen {}:{} (port 0 takes a free one)",
        .0.port(), .0.ip(), .0.ip(), .0.port().wrapping_add(1))]
    PortInUse(SocketAddr),
    /// It cannot listen there for another reason.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration does not make sense; the text says where.
    #[error("the mock's configuration: {0}")]
    Config(String),
}

/// What every request handler shares.
type Shared = Arc<State>;

#[derive(Debug)]
struct State {
    config: MockConfig,
    log: log::Log,
}

/// Starts mocks.
#[derive(Debug)]
pub struct Mock;

impl Mock {
    /// Checks `config`, listens, and serves until the handle is stopped or dropped.
    ///
    /// The mock runs on a thread and a runtime of its own: it does not take time from the monitor that measures it, and when
    /// that runtime goes, every task and socket goes with it.
    pub fn start(config: MockConfig) -> Result<MockServer, MockError> {
        config.check()?;
        let listener = listen(config.listen, config.or_free_port)?;
        let failed = |source| MockError::Listen { address: config.listen, source };
        let address = listener.local_addr().map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let base = base_url(address)?;
        let shared = Arc::new(State { config, log: log::Log::default() });
        let (stop, stopped) = oneshot::channel::<()>();
        let router = server::router(Arc::clone(&shared));
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|connection| {
                // A chunk must leave when it is due; where this fails it leaves a little later.
                let _ = connection.set_nodelay(true);
            });
            tokio::select! {
                served = axum::serve(listener, router).into_future() => served,
                _ = stopped => Ok(()),
            }
        };
        let run = move || {
            if let Err(error) = runtime.block_on(serve) {
                tracing::error!("the mock stopped serving: {error}");
            }
        };
        let thread = thread::Builder::new().name("mock".to_owned()).spawn(run);
        let thread = thread.map_err(|source| MockError::Listen { address, source })?;
        Ok(MockServer { address, base, shared, stop: Some(stop), thread: Some(thread) })
    }
}

fn listen(address: SocketAddr, or_free_port: bool) -> Result<TcpListener, MockError> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(listener),
        Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
            if or_free_port {
                listen(SocketAddr::new(address.ip(), 0), false)
            } else {
                Err(MockError::PortInUse(address))
            }
        }
        Err(source) => Err(MockError::Listen { address, source }),
    }
}

/// Where a client on this host reaches `address`.
fn base_url(address: SocketAddr) -> Result<Url, MockError> {
    let ip = if address.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { address.ip() };
    let text = format!("http://{}/", SocketAddr::new(ip, address.port()));
    Url::parse(&text).map_err(|error| MockError::Config(format!("{text}: {error}")))
}

/// A running mock. Dropping it stops it.
#[derive(Debug)]
pub struct MockServer {
    address: SocketAddr,
    base: Url,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MockServer {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The usage endpoint of `environment`.
    pub fn usage_url(&self, environment: &Environment) -> Url {
        self.at(&format!("{environment}/api/llm-usage"))
    }

    /// The base URL of `provider` in `environment`, as that provider's SDK takes it.
    pub fn base_url(&self, environment: &Environment, provider: Provider) -> Url {
        let version = if provider == Provider::OpenAi { "/v1" } else { "" };
        self.at(&format!("{environment}/{provider}{version}"))
    }

    /// The variables (`PROD_USAGE_ENDPOINT`, ...) that make the monitor measure this mock in full mode. Not Azure's: no model's name
    /// leads there without `MODEL_PROVIDERS`.
    pub fn settings(&self, environments: &[Environment]) -> Vec<(String, String)> {
        let names: Vec<&str> = environments.iter().map(Environment::as_str).collect();
        let set = |name: &str, value: String| (name.to_owned(), value);
        let mut settings = vec![set("MULTI_ENV_MODE", "full".to_owned()), set("ENVIRONMENTS", names.join(","))];
        for key in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"] {
            settings.push(set(key, "mock".to_owned()));
        }
        for environment in environments {
            let prefix = environment.as_str().to_ascii_uppercase().replace('-', "_");
            settings.push((format!("{prefix}_USAGE_ENDPOINT"), self.usage_url(environment).into()));
            for (provider, suffix) in [
                (Provider::OpenAi, "OPENAI_BASE_URL"),
                (Provider::Anthropic, "ANTHROPIC_BASE_URL"),
                (Provider::Gemini, "GEMINI_BASE_URL"),
                (Provider::Ollama, "OLLAMA_BASE_URL"),
            ] {
                settings.push((format!("{prefix}_{suffix}"), self.base_url(environment, provider).into()));
            }
        }
        settings
    }

    /// The latest LLM requests (at most 1,000), oldest first.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.log.seen()
    }

    /// How many LLM requests to `model` (the usage endpoint's name) in `environment` were answered, failures included;
    /// refusals for a bad key, body or model are not.
    pub fn answered(&self, environment: &Environment, model: &str) -> u64 {
        self.shared.log.count(environment.as_str(), model)
    }

    /// Closes the port and every connection, and waits until that is done.
    pub fn stop(mut self) {
        self.shut_down();
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    fn shut_down(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, and then it is stopped all the same.
            let _ = thread.join();
        }
    }
}

impl Drop for MockServer {
    fn drop(&mut self) {
        self.shut_down();
    }
}
