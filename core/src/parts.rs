//! From settings to the running parts: what every host needs, so that the hosts only wire.

use std::{path::PathBuf, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    cycle::{Monitor, Shard},
    history::History,
    http::{Api, CorsPolicy},
    probe::Prober,
    settings::{Cors, Mode, Settings, StoreSettings},
    store::{FileOptions, FileStore, S3Options, S3Store, Store, StoreError},
    tls::SharedTls,
    usage::UsageClient,
};

/// The store that the settings name, open for writing.
pub async fn open_store(settings: &Settings) -> Result<Arc<dyn Store>, StoreError> {
    open_shards_store(settings, Shard::WHOLE).await
}

/// As [`open_store`], for one of several monitors.
pub async fn open_shards_store(settings: &Settings, shard: Shard) -> Result<Arc<dyn Store>, StoreError> {
    match &settings.storing.store {
        StoreSettings::File { path } => {
            let options = FileOptions { keep_decoded_bytes: history_bytes(settings), ..settings.storing.file_options };
            Ok(Arc::new(open_file_with(path.clone(), options).await?))
        }
        StoreSettings::S3(options) => {
            let writer = shard.writer(&options.writer);
            Ok(Arc::new(S3Store::new(S3Options { writer, ..(**options).clone() })))
        }
    }
}

fn history_bytes(settings: &Settings) -> usize {
    settings.storing.memory_limit_mb as usize * 1024 * 1024
}

/// The local store at `path`; reading a long history once takes a while, off the threads that serve.
pub async fn open_file(path: PathBuf) -> Result<FileStore, StoreError> {
    open_file_with(path, FileOptions::default()).await
}

/// As [`open_file`], with `options`.
pub async fn open_file_with(path: PathBuf, options: FileOptions) -> Result<FileStore, StoreError> {
    let location = path.display().to_string();
    let opened = tokio::task::spawn_blocking(move || FileStore::open_with(path, options)).await;
    opened.map_err(|error| StoreError::Unusable { location, problem: error.to_string() })?
}

/// The write path over `store`. Files with trusted roots are read when an `https` address is first met.
pub fn monitor(settings: &Settings, store: Arc<dyn Store>) -> Monitor {
    let tls = SharedTls::default();
    let usage = UsageClient::new(settings.monitoring.timeout, tls.clone());
    let prober = Arc::new(Prober::sharing(settings.monitoring.location.clone(), tls));
    let (measured, variations) = (settings.measured(), settings.monitoring.derived.clone());
    Monitor::new(measured, variations, usage, prober, store, settings.probing.max_concurrent)
}

/// The client for usage endpoints.
pub fn usage_client(settings: &Settings) -> UsageClient {
    UsageClient::new(settings.monitoring.timeout, SharedTls::default())
}

/// What the API answers from. `monitor_started_at` is for a host that monitors in the same process.
pub fn api(settings: &Settings, store: Arc<dyn Store>, monitor_started_at: Option<DateTime<Utc>>) -> Api {
    Api {
        history: Arc::new(History::new(Arc::clone(&store), history_bytes(settings))),
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
