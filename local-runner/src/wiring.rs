//! From settings to the running parts.

use std::{fmt, path::Path, sync::Arc};

use anyhow::Context;
use llm_monitor_core::{
    cycle::Shard,
    parameters::{Parameters, ParametersError},
    parts,
    settings::{
        Host, Settings, SettingsError, StoreSettings, Vars,
        dotenv::{self, BadLine},
    },
    store::{Backlog, FileStore, Store, StoreError},
};

/// Why a command could not run at all (exit code 2). Displays as lines for a person.
#[derive(Debug)]
pub(crate) enum StartError {
    /// Each line names a variable, its value and what is accepted.
    Settings(SettingsError),
    Parameters(ParametersError),
    Store(StoreError),
    Other(anyhow::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => write!(f, "{error}"),
            Self::Parameters(error) => write!(f, "{error}"),
            Self::Store(error) => write!(f, "{error}"),
            Self::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<ParametersError> for StartError {
    fn from(error: ParametersError) -> Self {
        Self::Parameters(error)
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// The variables of the process and, below them, of `named`, or of `.env` where there is one, with the values of the secrets
/// that they refer to.
///
/// # Errors
/// The file cannot be read; a reference leads nowhere.
pub(crate) async fn variables(named: Option<&Path>) -> Result<Vars, StartError> {
    Ok(Parameters::new(read(named)?).resolve().await?)
}

/// The same for who only asks a server: of all secrets it needs `API_TOKEN` alone, so that no other reference is followed.
///
/// # Errors
/// The file cannot be read; the token's reference leads nowhere.
pub(crate) async fn variables_to_ask(named: Option<&Path>) -> Result<Vars, StartError> {
    let vars = read(named)?;
    let is_referred_to = vars.get("API_TOKEN").is_none() && vars.get("API_TOKEN_PARAMETER").is_some();
    Ok(if is_referred_to { Parameters::new(vars).resolve().await? } else { vars })
}

fn read(named: Option<&Path>) -> anyhow::Result<Vars> {
    let process = Vars::from_process();
    let env_file = named.unwrap_or(Path::new(".env"));
    let text = match std::fs::read_to_string(env_file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return Ok(process),
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

/// The store that `settings` name, open for writing by `shard`, with room in memory for rows that it cannot take now.
pub(crate) async fn open_store(settings: &Settings, shard: Shard) -> Result<Arc<Backlog>, StartError> {
    if shard != Shard::WHOLE && matches!(settings.storing.store, StoreSettings::File { .. }) {
        // Each would write a file of its own, and none would know what the others measured.
        return Err(anyhow::anyhow!("--shard: shards write to one bucket; set STORE=s3, or leave --shard out").into());
    }
    Ok(Arc::new(Backlog::new(parts::open_shards_store(settings, shard).await?)))
}

/// The store that `settings` name, to be read alone: a local file is neither locked nor changed.
pub(crate) async fn open_store_to_read(settings: &Settings) -> Result<Arc<dyn Store>, StartError> {
    let StoreSettings::File { path } = &settings.storing.store else { return Ok(parts::open_store(settings).await?) };
    Ok(Arc::new(open_file_to_read(path).await?))
}

/// The local store at `path`, to be read alone; a long file is read once, off the threads that do other work.
pub(crate) async fn open_file_to_read(path: &Path) -> Result<FileStore, StartError> {
    let path = path.to_owned();
    let opened = tokio::task::spawn_blocking(move || FileStore::open_read_only(path)).await;
    Ok(opened.context("reading the file was broken off")??)
}
