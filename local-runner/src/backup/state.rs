//! `backup.json` in a copy (in a folder: in `latency_data.d`): which days and usage files of the source it holds whole, so that
//! they need not be read again, neither there nor in the copy.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Result;
use bytes::Bytes;
use chrono::NaiveDate;
use llm_monitor_core::store::{FileStore, StoreError};
use serde::{Deserialize, Serialize};

use super::destination::End;

const FILE_NAME: &str = "backup.json";

/// What tells a content from another, in the source and in the copy.
pub(super) type Identities = [String; 2];

/// What was copied. A cache: without it all is compared row by row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Where from: the days of another source say nothing.
    source: String,
    /// The segments of each day.
    pub(super) days: BTreeMap<NaiveDate, Identities>,
    /// The usage files, by name.
    #[serde(default)]
    pub(super) usage: BTreeMap<String, Identities>,
}

impl State {
    /// That of the copy `to`; empty where there is none, or one of another source.
    ///
    /// # Errors
    /// The bucket cannot be read.
    pub(super) async fn load(to: &End, source: &str) -> Result<Self> {
        let json = match to {
            End::Files { path, .. } => fs::read(place(path)).ok().map(Bytes::from),
            End::Bucket(store) => store.read_beside(FILE_NAME).await?,
        };
        let kept: Option<Self> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let kept = kept.filter(|kept| kept.source == source).unwrap_or_default();
        Ok(Self { source: source.to_owned(), ..kept })
    }

    /// Whether the day is in the copy as it is in the source.
    pub(super) fn holds(&self, day: NaiveDate, identities: &Identities) -> bool {
        self.days.get(&day) == Some(identities)
    }

    /// The same for a usage file.
    pub(super) fn holds_usage(&self, name: &str, identities: &Identities) -> bool {
        self.usage.get(name) == Some(identities)
    }

    /// Puts it in the place of the one that was `loaded`, if it is another.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) async fn save(&self, to: &End, loaded: &Self) -> Result<()> {
        if self == loaded {
            return Ok(());
        }
        let json = serde_json::to_vec(self)?;
        match to {
            End::Files { path, .. } => {
                let place = place(path);
                replace(&place, &json).map_err(|error| StoreError::of_write(&place, &error))?;
            }
            End::Bucket(store) => store.write_beside(FILE_NAME, json.into()).await?,
        }
        Ok(())
    }
}

/// One process writes to the copy, which holds its lock.
fn replace(path: &Path, json: &[u8]) -> io::Result<()> {
    let new = path.with_extension("json.new");
    let written = fs::write(&new, json).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

fn place(path: &Path) -> PathBuf {
    FileStore::folder_beside(path).join(FILE_NAME)
}
