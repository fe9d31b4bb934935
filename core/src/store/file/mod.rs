//! Records in one local CSV file, with a folder of the same name beside it for everything else.
//!
//! One process writes; its lock lies on the file itself. The file grows at its end alone, and is presented as segments:
//! byte ranges cut at row boundaries, of which only the last is open. The rows of finished days move into files of their own
//! in the folder, each a closed segment. Readers see what has been acknowledged.

mod append;
mod as_store;
mod aside;
mod bulk;
mod day_file;
mod day_name;
mod days;
mod disk;
mod house;
mod intent;
mod journal;
mod load;
mod open;
mod options;
mod reading;
mod retention;
mod rotate;
mod scan;
mod sidecar;
mod sinks;
#[cfg(test)]
mod tests;
mod upgrade;
mod writer;

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

pub use self::options::FileOptions;
use self::{
    days::Days,
    disk::{Disk, Gate, open_gate, read_error, unusable, write_error},
    house::House,
    journal::Journal,
    load::Decoded,
    open::{OpenFile, open_for_writing},
    writer::Writer,
};
use super::{StoreError, StoreHealth, index::Index};
use crate::record::Environment;

/// A [`Store`](super::Store) in a local CSV file.
///
/// Against a process that dies at any instant, its guarantees hold exactly. After a power cut too, but that of a batch of
/// which the disk kept only some rows, those whole rows stay; none of them had been acknowledged.
#[derive(Debug, Clone)]
pub struct FileStore {
    shared: Arc<Shared>,
}

type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;
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
    house: Mutex<House>,
    /// Days that were half moved and could not be taken back yet: they are behind the view's veil.
    take_back: Mutex<Option<Journal>>,
    /// Rows that were decoded when the file was opened, until somebody takes them.
    decoded: Mutex<Decoded>,
    options: FileOptions,
    place: Place,
}

/// Where the store is, as far as tests may change it.
#[derive(Clone)]
struct Place {
    make_disk: MakeDisk,
    gate: Gate,
    clock: Clock,
    /// Housekeeping does not keep the answer of an append waiting.
    is_in_background: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            make_disk: Arc::new(|file| Box::new(Arc::clone(file))),
            gate: open_gate(),
            clock: Arc::new(Utc::now),
            is_in_background: true,
        }
    }
}

/// What readers see.
#[derive(Debug)]
struct View {
    path: PathBuf,
    /// Tells the file from another of its name.
    tag: String,
    file: Arc<File>,
    index: Index,
    days: Days,
}

/// `None` while the file was found changed by others and could not be opened anew.
type Writing = Option<Writer>;

#[derive(Debug, Clone, Default)]
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
        Self::open_with(path, FileOptions::default())
    }

    /// As [`open`](Self::open), with `options`.
    ///
    /// # Errors
    /// As [`open`](Self::open). That days cannot be moved or deleted is none: it is told in the store's health.
    pub fn open_with(path: impl AsRef<Path>, options: FileOptions) -> Result<Self, StoreError> {
        Self::open_at(path.as_ref(), options, Place::default())
    }

    /// For tests: as [`open_with`](Self::open_with), by the test's `clock`, and each step that changes files of days asks `gate`
    /// first, which may fail it: from some step on, all of them, and the process is as good as dead.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    #[cfg(any(test, feature = "contract-suite"))]
    pub fn open_on(
        path: impl AsRef<Path>,
        options: FileOptions,
        clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static,
        gate: impl Fn(&str) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let place = Place { clock: Arc::new(clock), gate: Arc::new(gate), is_in_background: false, ..Place::default() };
        Self::open_at(path.as_ref(), options, place)
    }

    /// Opens `path` for reading alone: takes no lock and changes nothing. Rows appended later are not seen, until the writer
    /// moves finished days out of the file: then it is opened anew.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when there is no such file, or it is no latency data.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let given = path.as_ref();
        let (view, skipped_rows) = reading::open(given)?;
        Ok(Self::of(Shared::new(given, view, None, skipped_rows, FileOptions::default(), Place::default())))
    }

    fn open_at(given: &Path, options: FileOptions, place: Place) -> Result<Self, StoreError> {
        let OpenFile { view, writer, skipped_rows, take_back, decoded } =
            open_for_writing(given, &place, options.keep_decoded_bytes)?;
        let shared = Shared::new(given, view, Some(writer), skipped_rows, options, place);
        *lock(&shared.take_back) = take_back;
        *lock(&shared.decoded) = decoded;
        shared.keep_house();
        Ok(Self::of(shared))
    }

    fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// The folder beside the file, `latency_data.d`.
    pub fn folder(&self) -> PathBuf {
        self.shared.folder()
    }

    /// The folder that a store at `path` has beside it.
    pub fn folder_beside(path: &Path) -> PathBuf {
        sidecar::folder_of(&std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
    }

    /// Whether `other` is the file of a store at `path`, or has a name that belongs to what it keeps beside it: finished days,
    /// rows that were set aside, the file as it was before an upgrade.
    pub fn is_part_of(path: &Path, other: &Path) -> bool {
        let (path, other) = (real(path), real(other));
        let folder = sidecar::folder_of(&path);
        let begins_alike = other.file_name().zip(path.file_name()).is_some_and(|(other, name)| {
            other
                .as_encoded_bytes()
                .strip_prefix(name.as_encoded_bytes())
                .is_some_and(|rest| matches!(rest, [] | [b'.', ..]))
        });
        other.starts_with(folder) || (begins_alike && other.parent() == path.parent())
    }

    /// The days of which there is a usage file of `environment`, and what tells the file's content from another.
    ///
    /// # Errors
    /// They cannot be listed.
    pub async fn usage_files(&self, environment: &Environment) -> Result<BTreeMap<NaiveDate, String>, StoreError> {
        let environment = environment.clone();
        let list = move |_: &_, folder: &Path| {
            sidecar::usage_files(folder, &environment).map_err(|error| read_error(&folder.join("usage"), &error))
        };
        self.beside(list).await
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

    /// Runs `work` on the folder beside the file.
    async fn beside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared, &Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Also to learn which it is: whoever holds the view may be reading a folder.
        self.blocking(move |shared| work(shared, &shared.folder())).await?
    }
}

/// `path` without links and dots, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::canonicalize(path).unwrap_or_else(|_| match (std::fs::canonicalize(folder), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    })
}

/// A lock whose holder panicked guards nothing half-changed: every change under it is made in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(
        given: &Path,
        view: View,
        writer: Option<Writer>,
        skipped_rows: u64,
        options: FileOptions,
        place: Place,
    ) -> Self {
        Self {
            given: given.to_owned(),
            view: RwLock::new(view),
            writer: writer.map(|writer| Mutex::new(Some(writer))),
            sidecar: Mutex::new(()),
            condition: Mutex::new(Condition { skipped_rows, failure: None }),
            house: Mutex::default(),
            take_back: Mutex::new(None),
            decoded: Mutex::default(),
            options,
            place,
        }
    }

    fn view(&self) -> std::sync::RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> std::sync::RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> PathBuf {
        self.view().days.folder.clone()
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

    fn health(&self) -> StoreHealth {
        let Condition { skipped_rows, failure } = lock(&self.condition).clone();
        let mut problems: Vec<_> = failure.into_iter().collect();
        problems.extend(lock(&self.house).failures.iter().flatten().cloned());
        let view = self.view();
        let (location, days) = (view.path.display().to_string(), view.days.clone());
        drop(view);
        problems.extend(lock(&days.troubles).texts());
        StoreHealth { kind: "file", location, skipped_rows, problems, ..StoreHealth::default() }
    }

    fn read_sidecar(path: &Path) -> Result<Option<Bytes>, StoreError> {
        sidecar::read(path).map(|bytes| bytes.map(Bytes::from)).map_err(|error| read_error(path, &error))
    }
}
