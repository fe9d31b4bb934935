//! Records in one local CSV file, with a folder of the same name beside it for everything else.
//!
//! One process writes; its lock lies on the file itself. The file grows at its end alone, and is presented as segments:
//! byte ranges cut at row boundaries, of which only the last is open. Readers see what has been acknowledged.

mod aside;
mod disk;
mod intent;
mod load;
mod open;
mod scan;
mod sidecar;
#[cfg(test)]
mod tests;
mod upgrade;
mod writer;

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;

use self::{
    disk::{Disk, read_error, read_range, unusable, write_error},
    open::Opened,
    writer::{Writer, find_cycle},
};
use super::{AppendReport, Appended, Batch, KeptRollup, Scope, Segment, Store, StoreError, StoreHealth, index::Index};
use crate::record::{CycleId, Environment};

/// A [`Store`] in a local CSV file.
///
/// Against a process that dies at any instant, its guarantees hold exactly. After a power cut too, but that of a batch of
/// which the disk kept only some rows, those whole rows stay; none of them had been acknowledged.
#[derive(Debug, Clone)]
pub struct FileStore {
    shared: Arc<Shared>,
}

type MakeDisk = Arc<dyn Fn(&Arc<File>) -> Box<dyn Disk> + Send + Sync>;

struct Shared {
    /// As the user names it.
    given: PathBuf,
    view: RwLock<View>,
    /// `None`: opened for reading alone.
    writer: Option<Mutex<Writing>>,
    /// One writer of files in the folder at a time.
    sidecar: Mutex<()>,
    condition: Mutex<Condition>,
    make_disk: MakeDisk,
}

/// What readers see.
#[derive(Debug)]
struct View {
    path: PathBuf,
    folder: PathBuf,
    file: Arc<File>,
    index: Index,
}

/// `None` while the file was found changed by others and could not be opened anew.
type Writing = Option<Writer>;

#[derive(Debug, Default)]
struct Condition {
    skipped_rows: u64,
    /// Why the last append failed; `None` when it did not.
    failure: Option<String>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("given", &self.given).finish_non_exhaustive()
    }
}

impl FileStore {
    /// Opens `path` for reading and writing; creates it, and its folder, where they are missing. Blocks while the file is
    /// read once.
    ///
    /// A file of the Python predecessor, or of an older version, is rewritten with our columns; the original stays beside it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process writes it; [`StoreError::Unusable`] when it is a folder, read-only, not
    /// latency data or in a folder that cannot be written; [`StoreError::Full`] when there is no room.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_on(path.as_ref(), Arc::new(|file| Box::new(Arc::clone(file))))
    }

    /// Opens `path` for reading alone: takes no lock and changes nothing. Rows appended later are not seen.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when there is no such file, or it is no latency data.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let given = path.as_ref();
        let opened = open::for_reading(given)?;
        let condition = Condition { skipped_rows: opened.loaded.skipped_rows, failure: None };
        let view = View { path: opened.path, folder: opened.folder, file: opened.file, index: opened.loaded.index };
        Ok(Self::of(Shared {
            given: given.to_owned(),
            view: RwLock::new(view),
            writer: None,
            sidecar: Mutex::new(()),
            condition: Mutex::new(condition),
            make_disk: Arc::new(|file| Box::new(Arc::clone(file))),
        }))
    }

    fn open_on(given: &Path, make_disk: MakeDisk) -> Result<Self, StoreError> {
        let (view, writer, skipped_rows) = open_for_writing(given, &make_disk)?;
        Ok(Self::of(Shared {
            given: given.to_owned(),
            view: RwLock::new(view),
            writer: Some(Mutex::new(Some(writer))),
            sidecar: Mutex::new(()),
            condition: Mutex::new(Condition { skipped_rows, failure: None }),
            make_disk,
        }))
    }

    fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The folder beside the file, `latency_data.d`.
    pub fn folder(&self) -> PathBuf {
        self.shared.view().folder.clone()
    }

    /// The folder that a store at `path` has beside it.
    pub fn folder_beside(path: &Path) -> PathBuf {
        sidecar::folder_of(&std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// Runs `work`, which waits for the disk, where waiting harms nobody. It is finished even when the caller goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || work(&shared)).await.map_err(|error| StoreError::Unavailable {
            location: self.shared.given.display().to_string(),
            problem: format!("the work on it was broken off: {error}"),
        })
    }
}

fn open_for_writing(given: &Path, make_disk: &MakeDisk) -> Result<(View, Writer, u64), StoreError> {
    let (opened, intent) = open::for_writing(given)?;
    let Opened { path, folder, file, tag, loaded } = opened;
    let disk = make_disk(&file);
    let writer = Writer { path: path.clone(), tag, file: Arc::clone(&file), disk, intent, layout: loaded.layout };
    Ok((View { path, folder, file, index: loaded.index }, writer, loaded.skipped_rows))
}

/// A lock whose holder panicked guards nothing half-changed: every change under it is made in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&self, batch: &Batch) -> AppendReport {
        let environments: BTreeSet<_> = batch.records.iter().map(|record| record.environment.clone()).collect();
        let outcome = self.append_all(batch, &environments);
        lock(&self.condition).failure = match &outcome {
            Ok(report) => report.values().find_map(|outcome| outcome.as_ref().err().map(ToString::to_string)),
            Err(error) => Some(error.to_string()),
        };
        outcome.unwrap_or_else(|error| environments.into_iter().map(|name| (name, Err(error.clone()))).collect())
    }

    fn append_all(&self, batch: &Batch, environments: &BTreeSet<Environment>) -> Result<AppendReport, StoreError> {
        let Some(writing) = &self.writer else { return Err(self.read_only()) };
        let mut writing = lock(writing);
        let writer = self.settled(&mut writing)?;
        let mut report = AppendReport::new();
        for environment in environments {
            match self.has_cycle(batch.cycle_id, environment) {
                Ok(false) => {}
                Ok(true) => drop(report.insert(environment.clone(), Ok(Appended::AlreadyThere))),
                Err(error) => drop(report.insert(environment.clone(), Err(error))),
            }
        }
        let encoded = writer.encode(batch, |environment| !report.contains_key(environment));
        if encoded.bytes.is_empty() {
            return Ok(report);
        }
        let end = self.view().index.end();
        let written = writer.write(end, &encoded.bytes);
        if written.is_ok() {
            encoded.enter(&mut self.view_mut().index);
        }
        for environment in environments {
            let rows = encoded.count(environment);
            report.entry(environment.clone()).or_insert_with(|| written.clone().map(|()| Appended::Written { rows }));
        }
        Ok(report)
    }

    /// The writer, on a file that is as it was left; if others changed, moved or removed it, on what is there now.
    fn settled<'w>(&self, writing: &'w mut Writing) -> Result<&'w mut Writer, StoreError> {
        let end = self.view().index.end();
        if writing.as_ref().is_none_or(|writer| !writer.is_untouched(end)) {
            tracing::warn!(file = %self.given.display(), "{} is not as it was left; it is opened anew", self.given.display());
            // The lock would keep ourselves out.
            drop(writing.take());
            let (view, writer, skipped_rows) = open_for_writing(&self.given, &self.make_disk).map_err(|error| {
                // Rows can wait until somebody has put this right.
                let location = self.given.display().to_string();
                let problem = format!("was changed by another program, and what is there now cannot be used: {error}");
                StoreError::Unavailable { location, problem }
            })?;
            *self.view_mut() = view;
            lock(&self.condition).skipped_rows = skipped_rows;
            *writing = Some(writer);
        }
        writing.as_mut().ok_or_else(|| self.read_only())
    }

    fn has_cycle(&self, cycle_id: Option<CycleId>, environment: &Environment) -> Result<bool, StoreError> {
        let Some(cycle_id) = cycle_id else { return Ok(false) };
        let view = self.view();
        if let Some(is_there) = view.index.has_cycle(cycle_id, environment) {
            return Ok(is_there);
        }
        let (file, ranges) = (Arc::clone(&view.file), view.index.ranges_near(cycle_id));
        drop(view);
        find_cycle(&file, &ranges, cycle_id, environment).map_err(|error| read_error(&self.given, &error))
    }

    fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let view = self.view();
        let (file, range) = (Arc::clone(&view.file), view.index.range(segment)?);
        drop(view);
        let rows = read_range(&file, range.start, range.len).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => StoreError::Changed { name: segment.name.to_string() },
            _ => read_error(&self.given, &error),
        })?;
        Ok(Bytes::from([range.header.to_vec(), rows].concat()))
    }

    fn read_only(&self) -> StoreError {
        unusable(&self.given, "was opened for reading only")
    }

    /// Writes a file in the folder.
    fn write_sidecar(&self, path: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), StoreError> {
        if self.writer.is_none() {
            return Err(self.read_only());
        }
        let _one_at_a_time = lock(&self.sidecar);
        write(path).map_err(|error| write_error(path, &error))
    }

    fn read_sidecar(path: &Path) -> Result<Option<Bytes>, StoreError> {
        sidecar::read(path).map(|bytes| bytes.map(Bytes::from)).map_err(|error| read_error(path, &error))
    }
}

#[async_trait]
impl Store for FileStore {
    async fn append(&self, batch: &Batch) -> AppendReport {
        let owned = batch.clone();
        match self.blocking(move |shared| shared.append(&owned)).await {
            Ok(report) => report,
            Err(error) => batch.records.iter().map(|record| (record.environment.clone(), Err(error.clone()))).collect(),
        }
    }

    async fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        Ok(self.shared.view().index.segments(scope))
    }

    async fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let segment = segment.clone();
        self.blocking(move |shared| shared.read(&segment)).await?
    }

    async fn load_rollup(&self, environment: &Environment, day: NaiveDate) -> Result<Option<KeptRollup>, StoreError> {
        let path = sidecar::rollup_path(&self.folder(), environment, day);
        let csv = self.blocking(move |_| Shared::read_sidecar(&path)).await??;
        Ok(csv.map(|csv| KeptRollup { csv, version: Arc::from("") }))
    }

    async fn rollup_environments(&self) -> Result<Vec<Environment>, StoreError> {
        let folder = self.folder();
        self.blocking(move |_| sidecar::rollup_environments(&folder).map_err(|error| read_error(&folder, &error)))
            .await?
    }

    async fn save_rollup(
        &self,
        environment: &Environment,
        day: NaiveDate,
        csv: Bytes,
        _replaces: Option<&str>,
    ) -> Result<(), StoreError> {
        let path = sidecar::rollup_path(&self.folder(), environment, day);
        self.blocking(move |shared| shared.write_sidecar(&path, |path| sidecar::replace(path, &csv))).await?
    }

    async fn append_usage(
        &self,
        environment: &Environment,
        day: NaiveDate,
        header_line: &str,
        rows: Bytes,
    ) -> Result<(), StoreError> {
        let path = sidecar::usage_path(&self.folder(), environment, day);
        let header_line = header_line.to_owned();
        self.blocking(move |shared| shared.write_sidecar(&path, |path| sidecar::append(path, &header_line, &rows)))
            .await?
    }

    async fn read_usage(&self, environment: &Environment, day: NaiveDate) -> Result<Option<Bytes>, StoreError> {
        let path = sidecar::usage_path(&self.folder(), environment, day);
        self.blocking(move |_| Shared::read_sidecar(&path)).await?
    }

    async fn save_catalog(&self, environment: &Environment, json: Bytes) -> Result<(), StoreError> {
        let path = sidecar::catalog_path(&self.folder(), environment);
        self.blocking(move |shared| shared.write_sidecar(&path, |path| sidecar::replace(path, &json))).await?
    }

    async fn load_catalog(&self, environment: &Environment) -> Result<Option<Bytes>, StoreError> {
        let path = sidecar::catalog_path(&self.folder(), environment);
        self.blocking(move |_| Shared::read_sidecar(&path)).await?
    }

    async fn health(&self) -> StoreHealth {
        let condition = lock(&self.shared.condition);
        StoreHealth {
            kind: "file",
            location: self.shared.view().path.display().to_string(),
            skipped_rows: condition.skipped_rows,
            problems: condition.failure.iter().cloned().collect(),
            ..StoreHealth::default()
        }
    }
}
