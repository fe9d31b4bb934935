//! From settings to the running parts.

use std::{fmt, path::Path, sync::Arc};

use anyhow::Context;
use llm_monitor_core::{
    cycle::Monitor,
    probe::Prober,
    settings::{BadLine, Host, Settings, SettingsError, StoreSettings, Vars, dotenv},
    store::{Backlog, FileStore, S3Store, Store, StoreError},
    tls,
    usage::UsageClient,
};

/// Why a command could not run at all (exit code 2). Displays as lines for a person.
#[derive(Debug)]
pub(crate) enum StartError {
    /// Each line names a variable, its value and what is accepted.
    Settings(SettingsError),
    Store(StoreError),
    Other(anyhow::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// The variables of the process and, below them, of `env_file` (which need not exist).
///
/// # Errors
/// The file is there but cannot be read.
pub(crate) fn variables(env_file: &Path) -> anyhow::Result<Vars> {
    let process = Vars::from_process();
    let text = match std::fs::read_to_string(env_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(process),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", env_file.display())),
    };
    let (file, bad_lines) = dotenv::parse(&text, &process);
    for BadLine { line } in bad_lines {
        tracing::warn!("{} line {line}: expected NAME=value; the line is ignored", env_file.display());
    }
    Ok(process.or(file))
}

/// Checked settings.
pub(crate) fn settings(vars: &Vars) -> Result<Settings, StartError> {
    Settings::from_vars(vars, Host::Local).map_err(StartError::Settings)
}

/// The store that `settings` name, open for writing.
pub(crate) async fn open_store(settings: &Settings) -> Result<Arc<Backlog>, StartError> {
    match &settings.storing.store {
        StoreSettings::File { path } => {
            let store = FileStore::open(path).await.map_err(StartError::Store)?;
            Ok(Arc::new(Backlog::new(Arc::new(store))))
        }
        StoreSettings::S3(options) => Ok(Arc::new(Backlog::new(Arc::new(S3Store::new((**options).clone()))))),
    }
}

/// The write path over `store`.
pub(crate) fn monitor(settings: &Settings, store: Arc<dyn Store>) -> Result<Monitor, StartError> {
    let usage = usage_client(settings)?;
    let prober = Arc::new(Prober::new(settings.monitoring.location.clone()));
    let (measured, variations) = (settings.measured(), settings.monitoring.derived.clone());
    Ok(Monitor::new(measured, variations, usage, prober, store, settings.probing.max_concurrent))
}

/// The client for usage endpoints.
pub(crate) fn usage_client(settings: &Settings) -> Result<UsageClient, StartError> {
    let tls = tls::client_config().context("cannot set up TLS")?;
    Ok(UsageClient::new(settings.monitoring.timeout, tls).context("cannot set up the HTTP client")?)
}
