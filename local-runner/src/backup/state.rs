//! `backup.json` in a copy (in a folder: in `latency_data.d`): which days of the source it holds whole, so that they need not be
//! read again, neither there nor in the copy.

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

/// What was copied. A cache: without it the days are compared row by row.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Where from: the days of another source say nothing.
    source: String,
    /// By day, the identities of its segments in the source and in the copy.
    days: BTreeMap<NaiveDate, [String; 2]>,
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
    pub(super) fn holds(&self, day: NaiveDate, identities: &[String; 2]) -> bool {
        self.days.get(&day) == Some(identities)
    }

    /// Keeps the identities of `days`.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) async fn save(&mut self, to: &End, days: BTreeMap<NaiveDate, [String; 2]>) -> Result<()> {
        if self.days == days {
            return Ok(());
        }
        self.days = days;
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
