//! The rows of finished days move out of the file into files of their own.
//!
//! All new files are complete and on the disk before the first of them takes its name; the note of the journal says which
//! they are; the shortened file takes its name last, and from then on the rows are where they belong.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::NaiveDate;

use super::{
    Shared, Writing,
    day_name::start_of,
    days::Days,
    disk::{Gate, copy_range, sync_folder_of, tag, write_error},
    journal::{Journal, remove_leftovers, shortened_path},
    lock,
    scan::scan,
    sinks::Sinks,
    writer::Writer,
};
use crate::{
    record::csv::{Cell, Item},
    store::{
        StoreError,
        index::{Index, RowNote},
    },
};

/// Long work says so this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// A file that lets a gate decide before each write.
#[derive(Clone)]
pub(super) struct Gated {
    pub(super) file: Arc<File>,
    pub(super) gate: Gate,
}

impl std::fmt::Debug for Gated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gated").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.gate)("write")?;
        (&*self.file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The file without the rows of finished days, and those in files of their own, none under its name yet.
#[derive(Debug)]
struct Sorted {
    file: Arc<File>,
    tag: String,
    index: Index,
    sinks: Sinks,
}

impl Shared {
    /// Moves the rows of days before `until` out of the file. `false`: there were none that could be moved.
    pub(super) fn rotate(&self, writing: &mut Writing, until: NaiveDate) -> Result<bool, StoreError> {
        let writer = self.settled(writing)?;
        self.end_take_back().map_err(|error| write_error(&self.view().days.folder, &error))?;
        let oldest = self.view().index.earliest();
        if oldest.is_none_or(|oldest| oldest >= start_of(until)) {
            return Ok(false);
        }
        let result = self.rotate_on(writer, until);
        if result.is_err() {
            let view = self.view();
            let _ = remove_leftovers(&view.path, &view.days.folder);
        }
        result.map_err(|error| write_error(&self.given, &error))
    }

    fn rotate_on(&self, writer: &mut Writer, until: NaiveDate) -> io::Result<bool> {
        let view = self.view();
        let (path, index, days) = (view.path.clone(), view.index.clone(), view.days.clone());
        drop(view);
        // Somebody may have taken it away.
        fs::create_dir_all(&days.folder)?;
        let sinks = self.sinks(writer, days, index.header().clone())?;
        let mut sorted = sort(&path, &writer.file, &index, until, sinks, &self.place.gate)?;
        let (rows, summary) = sorted.sinks.finish()?;
        if rows == 0 {
            remove_leftovers(&path, &sorted.sinks.days.folder)?;
            return Ok(false);
        }
        self.publish(writer, &path, index.end(), &sorted)?;
        tracing::info!(file = %path.display(), rows, "{}: {summary}", path.display());
        Ok(true)
    }

    /// For rows as `writer` writes them.
    pub(super) fn sinks(&self, writer: &Writer, days: Days, header: Bytes) -> io::Result<Sinks> {
        let permissions = writer.file.metadata()?.permissions();
        Ok(Sinks::new(days, header, writer.layout.clone(), permissions, &self.place.gate))
    }

    /// Gives the new files their names: all of them, or none.
    fn publish(&self, writer: &mut Writer, path: &Path, len: u64, sorted: &Sorted) -> io::Result<()> {
        let folder = &sorted.sinks.days.folder;
        let journal = Journal::new(&writer.file, len, sorted.sinks.replaced())?;
        self.view_mut().days.veil = journal.files.clone();
        let renamed = (self.place.gate)("note")
            .and_then(|()| journal.write(folder))
            .and_then(|()| sorted.sinks.rename())
            .and_then(|()| (self.place.gate)("rename the file"))
            .and_then(|()| fs::rename(shortened_path(path), path));
        if let Err(error) = renamed {
            *lock(&self.take_back) = Some(journal);
            // Where even this fails the veil stays, and it is tried again later.
            let _ = self.end_take_back();
            return Err(error);
        }
        // From here on the rows are in the days' files.
        let durable = (self.place.gate)("sync the file's name").and_then(|()| sync_folder_of(path));
        let mut view = self.view_mut();
        view.tag.clone_from(&sorted.tag);
        view.file = Arc::clone(&sorted.file);
        view.index = sorted.index.clone();
        view.days.veil.clear();
        view.days.forget();
        drop(view);
        writer.change_file(Arc::clone(&sorted.file), &self.place.make_disk)?;
        let ended = durable.and_then(|()| (self.place.gate)("remove note")).and_then(|()| Journal::remove(folder));
        if let Err(error) = ended {
            // The next start sees by the file that all is done.
            tracing::debug!(%error, "the note of a move that is done stays");
        }
        Ok(())
    }

    /// Takes back what an earlier move left published, if anything.
    pub(super) fn end_take_back(&self) -> io::Result<()> {
        let mut pending = lock(&self.take_back);
        let Some(journal) = pending.as_ref() else { return Ok(()) };
        let folder = self.view().days.folder.clone();
        journal.take_back(&folder, &self.place.gate)?;
        *pending = None;
        let mut view = self.view_mut();
        view.days.veil.clear();
        view.days.forget();
        Ok(())
    }
}

/// Goes through the file once: rows of days before `until` go into files of their days, all else into a new file.
fn sort(
    path: &Path,
    file: &Arc<File>,
    old: &Index,
    until: NaiveDate,
    mut sinks: Sinks,
    gate: &Gate,
) -> io::Result<Sorted> {
    gate("create the file")?;
    let new = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(shortened_path(path))?;
    // Before it takes the name: whoever opens the file after that finds it in use.
    new.try_lock()?;
    new.set_permissions(file.metadata()?.permissions())?;
    let new = Arc::new(new);
    let mut out = BufWriter::with_capacity(256 * 1024, Gated { file: Arc::clone(&new), gate: Arc::clone(gate) });

    let len = old.end();
    let mut scanner = scan(file, len)?;
    let begin = scanner.offset();
    copy_range(file, 0, begin, &mut out)?;
    let tag = tag(&new.metadata()?);
    let mut index = old.emptied(&tag, begin);
    let mut progress = Progress::new(path, len);
    let mut sorted_len = begin;
    while let Some(item) = scanner.next_item()? {
        sorted_len += item.len;
        progress.tell(sorted_len);
        if let Cell::Row(row) = &item.cell {
            let day = row.timestamp.date_naive();
            if day < until && sinks.write(day, item.text)? {
                continue;
            }
            let note = RowNote { timestamp: row.timestamp, environment: &row.environment, cycle_id: row.cycle_id };
            index.push_row(item.len, item.lines, &note);
        } else {
            index.push_other(item.len, item.lines);
        }
        keep(file, &item, &mut out)?;
    }
    if sorted_len != len {
        // Cannot be, and if it is, nothing may be moved.
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{sorted_len} of {len} bytes were sorted")));
    }
    out.flush()?;
    gate("sync the file")?;
    new.sync_all()?;
    Ok(Sorted { file: new, tag, index, sinks })
}

fn keep(file: &File, item: &Item<'_>, out: &mut impl Write) -> io::Result<()> {
    match item.whole() {
        Some(text) => out.write_all(text),
        None => copy_range(file, item.offset, item.len, out),
    }
}

/// Says in the log how far long work has come.
#[derive(Debug)]
struct Progress<'p> {
    path: &'p Path,
    len: u64,
    /// Looking at the clock for each row would cost more than the row.
    next_look: u64,
    told: Instant,
}

impl<'p> Progress<'p> {
    const LOOK_EVERY_BYTES: u64 = 16 * 1024 * 1024;

    fn new(path: &'p Path, len: u64) -> Self {
        Self { path, len, next_look: Self::LOOK_EVERY_BYTES, told: Instant::now() }
    }

    fn tell(&mut self, done: u64) {
        if done < self.next_look {
            return;
        }
        self.next_look = done + Self::LOOK_EVERY_BYTES;
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.told = Instant::now();
            let percent = done * 100 / self.len.max(1);
            let path = self.path.display();
            tracing::info!(file = %path, percent, "moving finished days out of {path}: {percent} % of {} MB", self.len / 1_000_000);
        }
    }
}
