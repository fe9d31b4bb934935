//! `latency_data.d/backup.json` in a copy: which days of the source it holds whole, so that they need not be read again.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use chrono::NaiveDate;
use llm_monitor_core::store::FileStore;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

/// What was copied. A cache: without it the days are compared row by row.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Where from: the days of another source say nothing.
    source: String,
    /// By day, the identities of its segments in the source and in the copy.
    days: BTreeMap<NaiveDate, [String; 2]>,
}

impl State {
    /// That of the copy at `path`; empty where there is none, or one of another source.
    pub(super) fn load(path: &Path, source: &str) -> Self {
        let kept: Option<Self> = fs::read(place(path)).ok().and_then(|json| serde_json::from_slice(&json).ok());
        let kept = kept.filter(|kept| kept.source == source).unwrap_or_default();
        Self { source: source.to_owned(), ..kept }
    }

    /// Whether the day is in the copy as it is in the source.
    pub(super) fn holds(&self, day: NaiveDate, identities: &[String; 2]) -> bool {
        self.days.get(&day) == Some(identities)
    }

    /// Keeps the identities of all days.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save(&mut self, path: &Path, days: BTreeMap<NaiveDate, [String; 2]>) -> Result<()> {
        self.days = days;
        let place = place(path);
        let cannot_write = || format!("cannot write {}", place.display());
        let mut file = NamedTempFile::new_in(FileStore::folder_beside(path)).with_context(cannot_write)?;
        serde_json::to_writer(&mut file, self).with_context(cannot_write)?;
        file.flush().with_context(cannot_write)?;
        file.persist(&place).with_context(cannot_write)?;
        Ok(())
    }
}

fn place(path: &Path) -> PathBuf {
    FileStore::folder_beside(path).join("backup.json")
}
