//! From settings to the running parts: what every host needs, so that the hosts only wire.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};
use rustls::RootCertStore;

use crate::{
    cycle::Monitor,
    history::History,
    http::{Api, CorsPolicy},
    probe::Prober,
    settings::{Cors, Mode, Settings, StoreSettings},
    store::{FileStore, S3Options, S3Store, Store, StoreError},
    tls::{self, TlsSetupError},
    usage::UsageClient,
};

/// How much of parsed history is kept in memory.
const HISTORY_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Why a host cannot start although its settings are usable.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No certificate authorities, or unusable ones.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsSetupError),
    /// The HTTP client for usage endpoints.
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The store that the settings name, open for writing.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, PartsError> {
    match &settings.storing.store {
        StoreSettings::File { path } => Ok(Arc::new(open_file(path.clone()).await?)),
        StoreSettings::S3 { bucket, prefix } => {
            let (prefix, writer) = (prefix.clone(), settings.monitoring.location.clone());
            Ok(Arc::new(S3Store::new(S3Options { prefix, writer, ..S3Options::new(bucket) })))
        }
    }
}

/// The local store at `path`; reading a long history once takes a while, off the threads that serve.
pub async fn open_file(path: PathBuf) -> Result<FileStore, StoreError> {
    let location = path.display().to_string();
    let opened = tokio::task::spawn_blocking(move || FileStore::open(path)).await;
    opened.map_err(|error| StoreError::Unusable { location, problem: error.to_string() })?
}

/// The write path over `store`.
pub fn monitor(settings: &Settings, store: Arc<dyn Store>) -> Result<Monitor, PartsError> {
    let usage = usage_client(settings)?;
    let prober = Arc::new(Prober::new(settings.monitoring.location.clone()));
    let (measured, variations) = (settings.measured(), settings.monitoring.derived.clone());
    Ok(Monitor::new(measured, variations, usage, prober, store, settings.probing.max_concurrent))
}

/// The client for usage endpoints.
pub fn usage_client(settings: &Settings) -> Result<UsageClient, PartsError> {
    let tls = match tls::client_config() {
        // A machine without certificate authorities can still ask endpoints by plain HTTP.
        Err(TlsSetupError::NoRoots) => tls::client_config_with_roots(RootCertStore::empty())?,
        configured => configured?,
    };
    Ok(UsageClient::new(settings.monitoring.timeout, (*tls).clone())?)
}

/// What the API answers from. `monitor_started_at` is for a host that monitors in the same process.
pub fn api(settings: &Settings, store: Arc<dyn Store>, monitor_started_at: Option<DateTime<Utc>>) -> Api {
    Api {
        history: Arc::new(History::new(Arc::clone(&store), HISTORY_CACHE_BYTES)),
        store,
        environments: settings.environments(),
        api_token: settings.serving.api_token.clone(),
        cors: match &settings.serving.cors {
            Cors::Loopback => CorsPolicy::Loopback,
            Cors::Origins(origins) if origins.is_empty() => CorsPolicy::Nobody,
            Cors::Origins(origins) => CorsPolicy::Origins(origins.clone()),
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        monitor_interval: settings.monitoring.interval,
        simple_mode: settings.monitoring.mode == Mode::Simple,
        monitor_started_at,
        host_problems: None,
    }
}
