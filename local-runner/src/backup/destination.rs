//! Where a copy goes, and both ends opened.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Result, bail};
use chrono::NaiveDate;
use llm_monitor_core::{
    parts,
    record::Environment,
    settings::{Settings, StoreSettings, Vars},
    store::{FileStore, S3Store, Store, StoreError},
};

use crate::wiring::{self, StartError};

/// The file in a folder that is a copy.
const FILE_NAME: &str = "latency_data.csv";

/// A place that a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// A folder.
    Folder(PathBuf),
    /// `s3://bucket/prefix`.
    Bucket { bucket: String, prefix: String },
}

impl std::str::FromStr for Destination {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("s3://") {
            Some(rest) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err("expected s3://bucket or s3://bucket/prefix");
                }
                Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() })
            }
            None if text.contains("://") => Err("expected a folder, or s3://bucket/prefix"),
            None => Ok(Self::Folder(PathBuf::from(text))),
        }
    }
}

/// One end of a copy.
#[derive(Debug)]
pub(super) enum End {
    /// With the folder in which its files are.
    Files {
        store: FileStore,
        path: PathBuf,
    },
    Bucket(Arc<S3Store>),
}

impl End {
    pub(super) fn store(&self) -> &dyn Store {
        match self {
            Self::Files { store, .. } => store,
            Self::Bucket(store) => store.as_ref(),
        }
    }

    /// The days of which there is a usage file of `environment`, and what tells the file's content from another.
    pub(super) async fn usage_files(
        &self,
        environment: &Environment,
    ) -> Result<BTreeMap<NaiveDate, String>, StoreError> {
        match self {
            Self::Files { store, .. } => store.usage_files(environment).await,
            Self::Bucket(store) => store.usage_files(environment).await,
        }
    }

    /// The settings' store, to be read alone.
    pub(super) async fn source(settings: &Settings) -> Result<Self, StartError> {
        match &settings.storing.store {
            StoreSettings::File { path } => {
                Ok(Self::Files { store: wiring::open_file_to_read(path).await?, path: path.clone() })
            }
            StoreSettings::S3(options) => Ok(Self::Bucket(Arc::new(S3Store::new((**options).clone())))),
        }
    }

    /// The copy, open for writing; never the source itself.
    pub(super) async fn destination(to: &Destination, from: &Settings, vars: &Vars) -> Result<Self, StartError> {
        match to {
            Destination::Folder(folder) => {
                let path = folder.join(FILE_NAME);
                if let StoreSettings::File { path: source } = &from.storing.store {
                    refuse_same(source, &path)?;
                }
                Ok(Self::Files { store: parts::open_file(path.clone()).await?, path })
            }
            Destination::Bucket { bucket, prefix } => {
                let settings = wiring::settings(&of_bucket(vars, bucket, prefix))?;
                let StoreSettings::S3(options) = settings.storing.store else {
                    return Err(anyhow::anyhow!("s3://{bucket}: no settings for it").into());
                };
                if let StoreSettings::S3(source) = &from.storing.store
                    && (&source.bucket, &source.prefix) == (bucket, prefix)
                {
                    return Err(
                        anyhow::anyhow!("s3://{bucket}/{prefix} is the store itself; name another place").into()
                    );
                }
                Ok(Self::Bucket(Arc::new(S3Store::new(*options))))
            }
        }
    }

    /// For messages, and how to serve it.
    pub(super) fn location(&self, to: &Destination) -> String {
        match (self, to) {
            (Self::Files { path, .. }, _) => format!("LATENCY_DATA_CSV={}", path.display()),
            (_, Destination::Bucket { bucket, prefix }) => {
                let prefix = if prefix.is_empty() { String::new() } else { format!(" RECORDS_PREFIX={prefix}") };
                format!("STORE=s3 RECORDS_BUCKET={bucket}{prefix}")
            }
            (Self::Bucket(_), Destination::Folder(folder)) => folder.display().to_string(),
        }
    }
}

/// The same variables (endpoint, region, credentials), for another bucket.
fn of_bucket(vars: &Vars, bucket: &str, prefix: &str) -> Vars {
    let mut vars = vars.clone();
    vars.set("STORE", "s3");
    vars.set("RECORDS_BUCKET", bucket);
    vars.set("RECORDS_PREFIX", prefix);
    vars
}

fn refuse_same(source: &Path, copy: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    if real(source).is_some_and(|source| real(copy) == Some(source)) {
        bail!("{} is the store itself; name another folder", copy.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_a_folder_or_a_place_in_a_bucket() {
        let bucket = |bucket: &str, prefix: &str| Destination::Bucket { bucket: bucket.into(), prefix: prefix.into() };
        assert_eq!("s3://b/a/c/".parse(), Ok(bucket("b", "a/c")));
        assert_eq!("s3://b".parse(), Ok(bucket("b", "")));
        assert_eq!("/backup/x".parse(), Ok(Destination::Folder("/backup/x".into())));
        assert!("s3://".parse::<Destination>().is_err());
        assert!("gs://b/x".parse::<Destination>().is_err());
    }
}
