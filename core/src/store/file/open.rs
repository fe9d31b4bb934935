//! Opening the file: is it ours to use, what did the last run leave, what is in it.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FileStore, Place, View,
    aside::{Piece, rejected_path, set_aside},
    days::Days,
    disk::{
        Gate, is_full, nearest_folder, open_error, read_error, read_range, sync_folder_of, tag, unusable, write_all_at,
    },
    intent::{self, IntentFile},
    journal::{self, Journal},
    load::{Decoded, Loaded, Pass, Tail, load},
    sidecar::folder_of,
    upgrade::upgrade,
    writer::Writer,
};
use crate::{
    record::csv::{self, RowReader},
    store::StoreError,
};

/// Who has the file open for writing.
const HOLDER_FILE: &str = "writer.pid";

/// A first line longer than this is no header.
const HEADER_MAX_BYTES: u64 = 64 * 1024;

/// An open file and what is in it.
#[derive(Debug)]
pub(super) struct Opened {
    /// Its path, with symbolic links resolved.
    pub(super) path: PathBuf,
    /// `latency_data.d`.
    pub(super) folder: PathBuf,
    pub(super) file: Arc<File>,
    /// Tells it from another file of that name.
    pub(super) tag: String,
    pub(super) loaded: Loaded,
}

/// A file opened for writing.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) view: View,
    pub(super) writer: Writer,
    pub(super) skipped_rows: u64,
    pub(super) take_back: Option<Journal>,
    pub(super) decoded: Decoded,
}

/// Opens `given` for reading alone: no lock, nothing is changed. What is appended later is not seen.
pub(super) fn for_reading(given: &Path) -> Result<Opened, StoreError> {
    check_kind(given)?;
    let file = File::open(given).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unusable(given, "does not exist"),
        _ => open_error(given, "cannot be opened", &error),
    })?;
    let path = fs::canonicalize(given).map_err(|error| read_error(given, &error))?;
    let folder = folder_of(&path);
    let metadata = file.metadata().map_err(|error| read_error(given, &error))?;
    let mut len = metadata.len();
    // Rows that are being written just now, or whose writer died, are no acknowledged rows.
    if let Some(intent) = intent::peek(&folder)
        && intent.is_torn(&file, len).map_err(|error| read_error(given, &error))?
    {
        len = intent.offset;
    }
    let tag = tag(&metadata);
    let loaded = load(&path, &file, len, &tag, Pass::at_start(0))?;
    Ok(Opened { path, folder, file: Arc::new(file), tag, loaded })
}

/// Opens `given` for writing, with what readers and the writer need.
pub(super) fn open_for_writing(given: &Path, place: &Place, keep_bytes: usize) -> Result<OpenFile, StoreError> {
    let (opened, intent, take_back) = for_writing(given, &place.gate, Pass::at_start(keep_bytes))?;
    let Opened { path, folder, file, tag, loaded } = opened;
    let disk = (place.make_disk)(&file);
    let writer = Writer { path: path.clone(), tag, file, disk, intent, layout: loaded.layout };
    let veil = take_back.as_ref().map(|journal| journal.files.clone()).unwrap_or_default();
    let days = Days::new(&folder, veil);
    let view = View { path, tag: writer.tag.clone(), file: Arc::clone(&writer.file), index: loaded.index, days };
    Ok(OpenFile { view, writer, skipped_rows: loaded.skipped_rows, take_back, decoded: loaded.decoded })
}

/// Opens `given` for writing: creates it where it is missing, locks it, puts right what a crash left behind and brings an
/// older version's columns up to date.
///
/// Also gives back what of half-moved days could not be put right, and must not be shown.
fn for_writing(given: &Path, gate: &Gate, pass: Pass) -> Result<(Opened, IntentFile, Option<Journal>), StoreError> {
    check_kind(given)?;
    if let Some(parent) = given.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(|error| open_error(given, "its folder cannot be created", &error))?;
    }
    let file = lock(given)?;
    let path = fs::canonicalize(given).map_err(|error| read_error(given, &error))?;
    let folder = folder_of(&path);
    let intent = fs::create_dir_all(&folder)
        .and_then(|()| note_holder(&folder))
        .and_then(|()| IntentFile::open(&folder))
        .map_err(|error| open_error(&folder, CANNOT_WRITE_FOLDER, &error))?;
    take_back_torn_append(&path, &file, &intent)
        .and_then(|()| begin(&path, &file))
        .map_err(|error| open_error(given, "cannot be written", &error))?;
    let take_back = journal::recover(&path, &folder, &file, gate)
        .map_err(|error| open_error(&folder, "what a crash left there cannot be put right", &error))?;
    let mut opened = loaded(path, folder, Arc::new(file), pass)?;
    if opened.loaded.is_outdated {
        opened = upgraded(opened, pass)?;
    }
    mend_tail(&mut opened).map_err(|error| open_error(given, "its last line cannot be mended", &error))?;
    Ok((opened, intent, take_back))
}

/// Says who writes. It is for people alone: a full disk, on which readers can still be served, is no reason not to open.
fn note_holder(folder: &Path) -> io::Result<()> {
    let noted = fs::write(folder.join(HOLDER_FILE), std::process::id().to_string());
    noted.or_else(|error| if is_full(&error) { Ok(()) } else { Err(error) })
}

impl FileStore {
    /// Whether `path` could be written now, and files made beside it, without opening it. Nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] and [`StoreError::Full`], as [`open`](Self::open) would give them.
    pub fn check_place(path: &Path) -> Result<(), StoreError> {
        check_kind(path)?;
        if path.exists() {
            let file = OpenOptions::new().write(true).open(path);
            let file = file.map_err(|error| open_error(path, CANNOT_OPEN, &error))?;
            refuse_marked_read_only(path, &file)?;
        }
        for folder in [path.parent().unwrap_or(path), &folder_of(path)] {
            let folder = nearest_folder(folder);
            let trial = folder.join(format!(".llm-monitor-check-{}", std::process::id()));
            let written = fs::write(&trial, "check");
            let _ = fs::remove_file(&trial);
            written.map_err(|error| open_error(&folder, CANNOT_WRITE_FOLDER, &error))?;
        }
        Ok(())
    }
}

const CANNOT_OPEN: &str = "cannot be opened for writing";
const CANNOT_WRITE_FOLDER: &str = "the folder cannot be written";

fn loaded(path: PathBuf, folder: PathBuf, file: Arc<File>, pass: Pass) -> Result<Opened, StoreError> {
    let metadata = file.metadata().map_err(|error| read_error(&path, &error))?;
    let tag = tag(&metadata);
    let loaded = load(&path, &file, metadata.len(), &tag, pass)?;
    Ok(Opened { path, folder, file, tag, loaded })
}

/// Refuses what is no file.
fn check_kind(path: &Path) -> Result<(), StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            Err(unusable(path, "is a folder; LATENCY_DATA_CSV must name a file in it, like latency_data.csv"))
        }
        Ok(metadata) if !metadata.is_file() => Err(unusable(path, "is not a regular file")),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(open_error(path, "cannot be reached", &error)),
    }
}

/// Opens or creates the file and takes its lock, which lasts as long as the handle.
fn lock(path: &Path) -> Result<File, StoreError> {
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| open_error(path, CANNOT_OPEN, &error))?;
        let metadata = file.metadata().map_err(|error| read_error(path, &error))?;
        refuse_marked_read_only(path, &file)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked { location: path.display().to_string(), holder: holder(path) });
            }
            Err(TryLockError::Error(error)) => return Err(open_error(path, "cannot be locked", &error)),
        }
        // Between opening and locking, an upgrade by another process may have put a new file under this name.
        if fs::metadata(path).is_ok_and(|now| tag(&now) == tag(&metadata)) {
            return Ok(file);
        }
    }
}

/// An administrator may write anything: the mark is a wish all the same.
fn refuse_marked_read_only(path: &Path, file: &File) -> Result<(), StoreError> {
    let metadata = file.metadata().map_err(|error| read_error(path, &error))?;
    if metadata.permissions().readonly() {
        return Err(unusable(path, "is read-only; make it writable, or set LATENCY_DATA_CSV to another file"));
    }
    Ok(())
}

fn holder(path: &Path) -> String {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let pid = fs::read_to_string(folder_of(&path).join(HOLDER_FILE)).unwrap_or_default();
    pid.trim().parse::<u32>().map_or_else(|_| String::new(), |pid| format!(" (pid {pid})"))
}

/// Cuts off rows of an append that did not finish. They were never acknowledged, and never shown.
fn take_back_torn_append(path: &Path, file: &File, intent: &IntentFile) -> io::Result<()> {
    let Some(begun) = intent.pending()? else { return Ok(()) };
    let len = file.metadata()?.len();
    if begun.is_torn(file, len)? {
        let reason = "an append was cut short, and its rows were never acknowledged";
        cut(path, file, Piece { offset: begun.offset, len: len - begun.offset, line: None, reason })?;
    }
    intent.end()
}

/// Moves the end of the file to `.rejected`.
fn cut(path: &Path, file: &File, piece: Piece<'_>) -> io::Result<()> {
    set_aside(path, file, piece)?;
    file.set_len(piece.offset)?;
    file.sync_all()?;
    tracing::warn!(
        file = %path.display(),
        bytes = piece.len,
        "the last {} bytes were set aside in {}: {}",
        piece.len,
        rejected_path(path).display(),
        piece.reason
    );
    Ok(())
}

/// Writes the header of a new file, also of one whose creation was cut short, and ends the line of a lone header.
fn begin(path: &Path, file: &File) -> io::Result<()> {
    let len = file.metadata()?.len();
    if len > HEADER_MAX_BYTES {
        return Ok(());
    }
    let text = read_range(file, 0, len)?;
    let header = csv::header_line() + "\n";
    if header.as_bytes().starts_with(&text) && text.len() < header.len() {
        write_all_at(file, header.as_bytes(), 0)?;
    } else if !text.contains(&b'\n')
        && RowReader::default().take_header(text.strip_prefix(csv::BOM).unwrap_or(&text)).is_some()
    {
        write_all_at(file, b"\n", len)?;
    } else {
        return Ok(());
    }
    file.sync_all()?;
    sync_folder_of(path)
}

/// Rewrites the file in our columns.
fn upgraded(opened: Opened, pass: Pass) -> Result<Opened, StoreError> {
    let Opened { path, folder, file, loaded: Loaded { index, tail, .. }, .. } = opened;
    let len = match tail {
        Tail::Torn { .. } => file.metadata().map_err(|error| read_error(&path, &error))?.len(),
        Tail::Whole | Tail::NoLineEnd => index.end(),
    };
    let done = upgrade(&path, &file, len)?;
    let unreadable = match done.rejected {
        0 => "none was unreadable".to_owned(),
        rejected => format!("{rejected} unreadable ones are in {}", rejected_path(&path).display()),
    };
    tracing::info!(
        file = %path.display(),
        rows = done.rows,
        rejected = done.rejected,
        "{} was rewritten with this version's columns: {} rows; {unreadable}; the original is {}",
        path.display(),
        done.rows,
        done.original.display()
    );
    let mut opened = self::loaded(path, folder, done.file, pass)?;
    opened.loaded.skipped_rows += done.rejected;
    Ok(opened)
}

/// Sees to it that the next row begins on a line of its own.
fn mend_tail(opened: &mut Opened) -> io::Result<()> {
    match std::mem::replace(&mut opened.loaded.tail, Tail::Whole) {
        Tail::Whole => Ok(()),
        Tail::NoLineEnd => {
            write_all_at(&opened.file, b"\n", opened.loaded.index.end())?;
            opened.loaded.index.extend_last(1);
            opened.file.sync_all()
        }
        Tail::Torn { offset, line, reason } => {
            let len = opened.file.metadata()?.len() - offset;
            cut(&opened.path, &opened.file, Piece { offset, len, line: Some(line), reason: &reason })
        }
    }
}
