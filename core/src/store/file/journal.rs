//! Which move of rows into day files was begun, so that a crash in the middle of it neither loses nor doubles a row.
//!
//! The note is durable before the first day's file takes its name, and goes when the shortened file has taken its own. As
//! long as the file is the one that was to be shortened, all rows are still in it: what has been published of them is taken
//! back, or hidden from those who may only read.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

use super::{
    aside::with_suffix,
    day_name::{DayName, NEW_SUFFIX},
    days::Veil,
    disk::{Gate, sync_folder_of},
    intent::context,
    sidecar,
};
use crate::fnv;

const FILE_NAME: &str = "rotation.intent";

/// A move that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Journal {
    /// Length of the file whose rows move.
    from_len: u64,
    /// Of bytes at its beginning, and of its last ones.
    from_contexts: (u64, u64),
    /// The files that take names, and how long what had these names was: 0 where there was nothing.
    pub(super) files: Veil,
}

impl Journal {
    /// The move of rows of `file`, `len` bytes long, into `files`.
    pub(super) fn new(file: &File, len: u64, files: Veil) -> io::Result<Self> {
        Ok(Self { from_len: len, from_contexts: contexts(file, len)?, files })
    }

    /// The note in `folder`; `None` where there is none that can be read.
    pub(super) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = sidecar::read(&folder.join(FILE_NAME))?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()).and_then(|text| Self::parse(&text)))
    }

    /// Makes the note durable.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        sidecar::replace(&folder.join(FILE_NAME), self.to_text().as_bytes())
    }

    /// Takes the note away.
    pub(super) fn remove(folder: &Path) -> io::Result<()> {
        match fs::remove_file(folder.join(FILE_NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_folder_of(&folder.join(FILE_NAME)),
        }
    }

    /// Whether `file` still holds all the rows: it is the one that was to be shortened, maybe grown since. Told by its
    /// content, so that a copy of it counts as well.
    pub(super) fn is_from(&self, file: &File) -> io::Result<bool> {
        Ok(file.metadata()?.len() >= self.from_len && contexts(file, self.from_len)? == self.from_contexts)
    }

    /// Takes back what has been published, and then the note.
    pub(super) fn take_back(&self, folder: &Path, gate: &Gate) -> io::Result<()> {
        take_back(&self.files, folder, gate)?;
        gate("remove note")?;
        Self::remove(folder)
    }

    fn to_text(&self) -> String {
        let (head, tail) = self.from_contexts;
        let mut text = format!("rotation {} {head:016x} {tail:016x}\n", self.from_len);
        for (name, old_len) in &self.files {
            let _ = writeln!(text, "{name} {old_len}");
        }
        let sum = fnv::hash(text.as_bytes());
        let _ = writeln!(text, "end {sum:016x}");
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, sum) = text.trim_end().rsplit_once("end ")?;
        if u64::from_str_radix(sum, 16).ok()? != fnv::hash(body.as_bytes()) {
            return None;
        }
        let mut lines = body.lines();
        let mut words = lines.next()?.strip_prefix("rotation ")?.split(' ');
        let from_len = words.next()?.parse().ok()?;
        let mut context = || u64::from_str_radix(words.next()?, 16).ok();
        let from_contexts = (context()?, context()?);
        let file = |line: &str| {
            let (name, old_len) = line.split_once(' ')?;
            Some((DayName::parse(name)?, old_len.parse().ok()?))
        };
        Some(Self { from_len, from_contexts, files: lines.map(file).collect::<Option<BTreeMap<_, _>>>()? })
    }
}

/// Brings `files` back to the lengths they had; those that were not there before go.
pub(super) fn take_back(files: &Veil, folder: &Path, gate: &Gate) -> io::Result<()> {
    for (name, old_len) in files {
        gate("take back")?;
        let path = name.path(folder);
        match OpenOptions::new().write(true).open(&path) {
            Ok(_) if *old_len == 0 => fs::remove_file(&path)?,
            Ok(file) if file.metadata()?.len() > *old_len => {
                file.set_len(*old_len)?;
                file.sync_all()?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sync_folder_of(&folder.join(FILE_NAME))
}

/// How far from the beginning the first of the two contexts ends.
const HEAD_BYTES: u64 = 8 * 1024;

fn contexts(file: &File, len: u64) -> io::Result<(u64, u64)> {
    Ok((context(file, len.min(HEAD_BYTES))?, context(file, len)?))
}

/// Where the shortened file is written before it takes the name of `path`.
pub(super) fn shortened_path(path: &Path) -> PathBuf {
    with_suffix(path, ".rotating")
}

/// Puts right what a crash left of a move of the rows of `file`, which is at `path` and ours. What is given back could not be
/// taken back now, and must stay behind a veil.
pub(super) fn recover(path: &Path, folder: &Path, file: &File, gate: &Gate) -> io::Result<Option<Journal>> {
    let pending = match Journal::read(folder)? {
        Some(journal) if journal.is_from(file)? => match journal.take_back(folder, gate) {
            Ok(()) => {
                tracing::info!(file = %path.display(), "a move of finished days' rows was broken off, and is begun again");
                None
            }
            Err(error) => {
                tracing::error!(%error, "{}: half-moved days cannot be taken back: {error}", folder.display());
                Some(journal)
            }
        },
        // The shortened file has its name: all was done but taking the note away.
        Some(_) => {
            Journal::remove(folder)?;
            None
        }
        None => {
            if folder.join(FILE_NAME).exists() {
                tracing::warn!("{} is no note of ours and is taken away", folder.join(FILE_NAME).display());
                Journal::remove(folder)?;
            }
            None
        }
    };
    if let Err(error) = remove_leftovers(path, folder) {
        tracing::debug!(%error, "leftovers of a move stay");
    }
    Ok(pending)
}

/// Removes files that were being written.
pub(super) fn remove_leftovers(path: &Path, folder: &Path) -> io::Result<()> {
    let shortened = shortened_path(path);
    if shortened.is_file() {
        fs::remove_file(shortened)?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(NEW_SUFFIX)).and_then(DayName::parse);
        if name.is_some() && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What of the days must not be shown beside the rows of `file`, to one who may change nothing.
pub(super) fn veil(folder: &Path, file: &File) -> io::Result<Veil> {
    match Journal::read(folder)? {
        Some(journal) if journal.is_from(file)? => Ok(journal.files),
        _ => Ok(Veil::new()),
    }
}
