//! The folder of finished days: which files are there, and how much of each may be shown.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use chrono::NaiveDate;

use super::{
    day_file::Scans,
    day_name::{DayName, start_of},
    disk::read_error,
    lock,
};
use crate::store::{Scope, Segment, StoreError};

/// How much of the files named may be shown, in bytes; 0 hides one. While rows are being moved or added in several places,
/// what has been written of it stays behind this veil, so that readers see all of it or nothing.
pub(super) type Veil = BTreeMap<DayName, u64>;

/// A folder that was changed less than this long ago may change again within the same tick of the file system's clock.
const SETTLED: Duration = Duration::from_secs(2);

/// The days of one folder. Clones share what they know of it, each with a veil of its own.
#[derive(Debug, Clone)]
pub(super) struct Days {
    pub(super) folder: PathBuf,
    pub(super) veil: Veil,
    listing: Arc<Mutex<Option<Arc<Listing>>>>,
    pub(super) troubles: Arc<Mutex<Troubles>>,
    pub(super) scans: Arc<Mutex<Scans>>,
}

/// What the folder held when it was read.
#[derive(Debug)]
struct Listing {
    /// The folder's own time of change, if it can be relied on.
    changed: Option<SystemTime>,
    files: BTreeMap<DayName, Stamp>,
}

/// Tells a file's content from any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) len: u64,
    mark: String,
}

/// A day's file as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DayFile {
    pub(super) name: DayName,
    /// How much of it may be shown, in bytes.
    pub(super) len: u64,
    pub(super) identity: Arc<str>,
}

impl Stamp {
    pub(super) fn of(metadata: &fs::Metadata) -> Self {
        let changed = metadata.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let changed = changed.unwrap_or_default().as_nanos();
        Self { len: metadata.len(), mark: format!("{:x}.{changed:x}", inode(metadata)) }
    }

    pub(super) fn identity(&self) -> String {
        format!("{}.{}", self.mark, self.len)
    }
}

#[cfg(unix)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(windows)]
fn inode(metadata: &fs::Metadata) -> u64 {
    std::os::windows::fs::MetadataExt::creation_time(metadata)
}

impl DayFile {
    fn new(name: DayName, stamp: &Stamp, veil: &Veil) -> Self {
        let len = veil.get(&name).map_or(stamp.len, |shown| stamp.len.min(*shown));
        Self { name, len, identity: Arc::from(format!("{}.{len}", stamp.mark)) }
    }

    pub(super) fn segment(&self) -> Segment {
        Segment {
            name: Arc::from(self.name.to_string()),
            identity: Arc::clone(&self.identity),
            earliest: Some(self.name.earliest()),
            latest: Some(self.name.latest()),
            environment: None,
            is_open: false,
            size_bytes: self.len,
            first_line: 2,
        }
    }

    fn is_within(&self, scope: &Scope) -> bool {
        scope.from.is_none_or(|from| self.name.latest() >= from)
            && scope.to.is_none_or(|to| start_of(self.name.day) < to)
    }
}

impl Days {
    pub(super) fn new(folder: &Path, veil: Veil) -> Self {
        Self {
            folder: folder.to_owned(),
            veil,
            listing: Arc::default(),
            troubles: Arc::default(),
            scans: Arc::default(),
        }
    }

    /// Whether a file was written that the folder's time may not tell of: it is read again.
    pub(super) fn forget(&self) {
        *lock(&self.listing) = None;
    }

    /// The files that may be shown, oldest day first. The folder is read when it has changed.
    pub(super) fn files(&self) -> Result<Vec<DayFile>, StoreError> {
        let listing = self.listing().map_err(|error| read_error(&self.folder, &error))?;
        let shown = listing.files.iter().map(|(name, stamp)| DayFile::new(*name, stamp, &self.veil));
        Ok(shown.filter(|file| file.len > 0).collect())
    }

    /// The segments that may hold rows of `scope`.
    pub(super) fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        let files = self.files()?;
        Ok(files.iter().filter(|file| file.is_within(scope)).map(DayFile::segment).collect())
    }

    /// The files of `days`, closed and late.
    pub(super) fn files_of(&self, days: &BTreeSet<NaiveDate>) -> Result<Vec<DayFile>, StoreError> {
        Ok(self.files()?.into_iter().filter(|file| days.contains(&file.name.day)).collect())
    }

    /// What an open file may show, by its own metadata.
    pub(super) fn shown(&self, name: DayName, metadata: &fs::Metadata) -> DayFile {
        DayFile::new(name, &Stamp::of(metadata), &self.veil)
    }

    fn listing(&self) -> io::Result<Arc<Listing>> {
        let mut kept = lock(&self.listing);
        let changed = match fs::metadata(&self.folder).and_then(|metadata| metadata.modified()) {
            Ok(changed) => changed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Arc::new(Listing { changed: None, files: BTreeMap::new() }));
            }
            Err(error) => return Err(error),
        };
        if let Some(listing) = kept.as_ref().filter(|listing| listing.changed == Some(changed)) {
            return Ok(Arc::clone(listing));
        }
        let is_settled = changed.elapsed().is_ok_and(|age| age >= SETTLED);
        let files = self.read_folder()?;
        let listing = Arc::new(Listing { changed: is_settled.then_some(changed), files });
        *kept = Some(Arc::clone(&listing));
        Ok(listing)
    }

    fn read_folder(&self) -> io::Result<BTreeMap<DayName, Stamp>> {
        let mut files = BTreeMap::new();
        let mut troubles = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(DayName::parse) else { continue };
            match fs::metadata(entry.path()) {
                Ok(metadata) if !metadata.is_file() => troubles.push((name, "is no file; its name is a day's")),
                Ok(metadata) if metadata.len() == 0 => troubles.push((name, "is empty")),
                Ok(metadata) => drop(files.insert(name, Stamp::of(&metadata))),
                // Removed just now, or a link to nothing.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => troubles.push((name, "cannot be reached")),
            }
        }
        let mut known = lock(&self.troubles);
        known.keep(|name, identity| match files.get(&name) {
            Some(stamp) => identity == DayFile::new(name, stamp, &self.veil).identity.as_ref(),
            None => troubles.iter().any(|(troubled, _)| *troubled == name),
        });
        for (name, text) in troubles {
            known.note(name, "", &name.path(&self.folder), text);
        }
        Ok(files)
    }
}

/// What is wrong with days' files, each said once in the log and in `/health` for as long as it is so.
#[derive(Debug, Default)]
pub(super) struct Troubles(HashMap<DayName, (String, String)>);

impl Troubles {
    /// Notes what is wrong with the file at `path`, as it is now.
    pub(super) fn note(&mut self, name: DayName, identity: &str, path: &Path, text: &str) {
        let text = format!("{} {text}", path.display());
        let known = self.0.insert(name, (identity.to_owned(), text.clone()));
        if known.is_none_or(|(_, known)| known != text) {
            tracing::warn!(file = %path.display(), "{text}");
        }
    }

    /// Forgets those of which `is_so` says that they are over, by name and identity.
    fn keep(&mut self, is_so: impl Fn(DayName, &str) -> bool) {
        self.0.retain(|name, (identity, _)| is_so(*name, identity));
    }

    /// For `/health`, by day.
    pub(super) fn texts(&self) -> Vec<String> {
        /// A folder of ruins need not be told file by file: the log does.
        const TOLD_AT_MOST: usize = 10;
        let sorted: BTreeMap<_, _> = self.0.iter().collect();
        let mut texts: Vec<_> = sorted.values().take(TOLD_AT_MOST).map(|(_, text)| text.clone()).collect();
        if sorted.len() > TOLD_AT_MOST {
            texts.push(format!(
                "and {} more files of days have faults; the log names each",
                sorted.len() - TOLD_AT_MOST
            ));
        }
        texts
    }
}
