//! One day's file read: whole, in parts of bounded size, or looked through for a cycle.

use std::{
    collections::{BTreeSet, VecDeque},
    fs::File,
    io,
    sync::Arc,
};

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};

use super::{
    day_name::DayName,
    days::{DayFile, Days},
    disk::{read_error, read_range, read_up_to},
    load::{Pass, load, with_line_end},
    lock,
    scan::scan,
};
use crate::{
    record::{
        CycleId, Environment,
        csv::{self, Cell, RowReader},
    },
    store::{
        Segment, StoreError,
        index::{Index, RowNote, SEGMENT_BYTES},
    },
};

/// The parts of so many files are kept: a year, twice over. About 2 kB each.
const KEPT_PARTS: usize = 800;

/// The cycles of so many files are kept: of the days that late rows are likely to be of.
const KEPT_CYCLES: usize = 2;

/// A header is no longer than this.
const HEADER_MAX_BYTES: usize = 64 * 1024;

/// Marks a part whose rows stand below a header in the middle of the file.
const OTHER_HEADER: &str = "+other-header";

/// What earlier passes over files found, newest last.
#[derive(Debug, Default)]
pub(super) struct Scans {
    parts: VecDeque<(DayName, Arc<str>, Arc<[Segment]>)>,
    cycles: VecDeque<(DayName, Arc<str>, Arc<Index>)>,
}

fn kept<T: Clone>(kept: &VecDeque<(DayName, Arc<str>, T)>, file: &DayFile) -> Option<T> {
    let found = kept.iter().find(|(name, identity, _)| *name == file.name && *identity == file.identity);
    found.map(|(_, _, found)| found.clone())
}

fn keep<T>(kept: &mut VecDeque<(DayName, Arc<str>, T)>, file: &DayFile, found: T, at_most: usize) {
    kept.retain(|(name, ..)| *name != file.name);
    kept.push_back((file.name, Arc::clone(&file.identity), found));
    while kept.len() > at_most {
        kept.pop_front();
    }
}

/// An open file that is what was asked for.
#[derive(Debug)]
struct OpenDay {
    file: File,
    day: DayFile,
}

impl Days {
    /// Whether a segment is a day's, by its name.
    pub(super) fn is_one_of(segment: &Segment) -> bool {
        parse(segment).is_ok()
    }

    /// The rows of a file, or of a part of one, under a header.
    pub(super) fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let (name, start) = parse(segment)?;
        let Some(open) = self.open(name, segment)? else { return Ok(Bytes::new()) };
        let bytes = match start {
            None => self.read_whole(&open),
            Some(start) => self.read_part(&open, segment, start),
        }?;
        // Somebody may have changed it in the meantime.
        self.check(&open.file, &open.day, segment)?;
        Ok(bytes)
    }

    /// The parts of a file of any size, each of about [`SEGMENT_BYTES`], oldest place in the file first. A file that is no
    /// latency data has none, and `/health` says so.
    pub(super) fn parts(&self, segment: &Segment) -> Result<Vec<Segment>, StoreError> {
        let (name, start) = parse(segment)?;
        if start.is_some() || segment.size_bytes <= SEGMENT_BYTES {
            return Ok(vec![segment.clone()]);
        }
        let Some(OpenDay { file, day }) = self.open(name, segment)? else { return Ok(Vec::new()) };
        if let Some(parts) = kept(&lock(&self.scans).parts, &day) {
            return Ok(parts.to_vec());
        }
        let parts = self.scan(&file, &day)?;
        self.check(&file, &day, segment)?;
        keep(&mut lock(&self.scans).parts, &day, Arc::from(parts.as_slice()), KEPT_PARTS);
        Ok(parts)
    }

    fn scan(&self, file: &File, day: &DayFile) -> Result<Vec<Segment>, StoreError> {
        let path = day.name.path(&self.folder);
        let loaded = match load(&path, file, day.len, &day.identity, Pass::QUIET) {
            Ok(loaded) => loaded,
            Err(StoreError::Unusable { .. }) => {
                self.note(day, FOREIGN);
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        if loaded.skipped_rows > 0 {
            let rows = loaded.skipped_rows;
            self.note(
                day,
                &format!("has {rows} rows that cannot be read (a torn end counts as one); the log names them"),
            );
        }
        let latest = loaded.index.latest().filter(|latest| *latest > day.name.latest());
        let earliest = loaded.index.earliest().filter(|earliest| *earliest < day.name.earliest());
        if let Some(stray) = latest.or(earliest) {
            self.note(
                day,
                &format!("holds rows of other days ({stray}), which windows may miss; move them to their day"),
            );
        }
        let header = first_header(file, day.len).map_err(|error| read_error(&path, &error))?;
        let parts = loaded.index.closed_segments(&header).map(|(mut part, is_first_header)| {
            if !is_first_header {
                part.identity = Arc::from(format!("{}{OTHER_HEADER}", part.identity));
            }
            part
        });
        Ok(parts.collect())
    }

    fn read_whole(&self, open: &OpenDay) -> Result<Bytes, StoreError> {
        let path = open.day.name.path(&self.folder);
        let bytes = read_range(&open.file, 0, open.day.len).map_err(|error| self.failed(&open.day, &error))?;
        if scan(&open.file, open.day.len)
            .and_then(|mut scanner| {
                let is_row = |cell| matches!(cell, Cell::Row(_) | Cell::Header | Cell::End);
                Ok(scanner.header().is_some() || scanner.next_item()?.is_none_or(|item| is_row(item.cell)))
            })
            .map_err(|error| read_error(&path, &error))?
        {
            return Ok(Bytes::from(bytes));
        }
        self.note(&open.day, FOREIGN);
        Ok(Bytes::new())
    }

    fn read_part(&self, open: &OpenDay, segment: &Segment, start: u64) -> Result<Bytes, StoreError> {
        let failed = |error: io::Error| self.failed(&open.day, &error);
        let header = match segment.identity.strip_suffix(OTHER_HEADER) {
            None => first_header(&open.file, open.day.len).map_err(failed)?,
            Some(identity) => {
                let path = open.day.name.path(&self.folder);
                let index = load(&path, &open.file, open.day.len, &open.day.identity, Pass::QUIET)?.index;
                index.range(&Segment { identity: Arc::from(identity), ..segment.clone() })?.header
            }
        };
        let rows = read_range(&open.file, start, segment.size_bytes).map_err(failed)?;
        Ok(Bytes::from([header.to_vec(), rows].concat()))
    }

    /// Opens the file that `segment` was listed of; `None` where nobody may read it, which `/health` says.
    fn open(&self, name: DayName, segment: &Segment) -> Result<Option<OpenDay>, StoreError> {
        let path = name.path(&self.folder);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.changed(segment)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                let identity = segment.identity.as_ref();
                lock(&self.troubles).note(
                    name,
                    identity,
                    &path,
                    "cannot be read: permission denied; its rows are missing",
                );
                return Ok(None);
            }
            Err(error) => return Err(read_error(&path, &error)),
        };
        let metadata = file.metadata().map_err(|error| read_error(&path, &error))?;
        let day = self.shown(name, &metadata);
        self.check(&file, &day, segment)?;
        Ok(Some(OpenDay { file, day }))
    }

    /// Whether `file` is still what `segment` says.
    fn check(&self, file: &File, day: &DayFile, segment: &Segment) -> Result<(), StoreError> {
        let metadata = file.metadata().map_err(|error| self.failed(day, &error))?;
        let now = self.shown(day.name, &metadata);
        // A part's identity is the file's, and its own length behind that.
        let is_same = match segment.identity.strip_prefix(now.identity.as_ref()) {
            Some(rest) => rest.is_empty() || rest.starts_with('-'),
            None => false,
        };
        if metadata.is_file() && is_same { Ok(()) } else { Err(self.changed(segment)) }
    }

    fn changed(&self, segment: &Segment) -> StoreError {
        self.forget();
        StoreError::Changed { name: segment.name.to_string() }
    }

    fn failed(&self, day: &DayFile, error: &io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.forget();
                StoreError::Changed { name: day.name.to_string() }
            }
            _ => read_error(&day.name.path(&self.folder), error),
        }
    }

    fn note(&self, day: &DayFile, text: &str) {
        lock(&self.troubles).note(day.name, &day.identity, &day.name.path(&self.folder), text);
    }

    /// The rows of a cycle's `environment` in the files of `days`, each told by its model and time.
    pub(super) fn rows_of_cycle(
        &self,
        days: &BTreeSet<NaiveDate>,
        id: CycleId,
        environment: &Environment,
    ) -> Result<BTreeSet<(String, i64)>, StoreError> {
        let mut rows = BTreeSet::new();
        for listed in self.files_of(days)? {
            let path = listed.name.path(&self.folder);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(read_error(&path, &error)),
            };
            let metadata = file.metadata().map_err(|error| read_error(&path, &error))?;
            let day = self.shown(listed.name, &metadata);
            let may_be_there = self.cycles(&file, &day).and_then(|cycles| {
                if cycles.has_cycle(id, environment) == Some(false) {
                    return Ok(());
                }
                add_rows_of_cycle(&file, &day, id, environment, &mut rows)
            });
            may_be_there.map_err(|error| read_error(&path, &error))?;
        }
        Ok(rows)
    }

    /// Which cycles are in a file.
    fn cycles(&self, file: &File, day: &DayFile) -> io::Result<Arc<Index>> {
        if let Some(cycles) = kept(&lock(&self.scans).cycles, day) {
            return Ok(cycles);
        }
        let mut index = Index::new("", "", 0, 0, Bytes::new());
        let mut scanner = scan(file, day.len)?;
        while let Some(item) = scanner.next_item()? {
            if let Cell::Row(row) = item.cell {
                let note = RowNote { timestamp: row.timestamp, environment: &row.environment, cycle_id: row.cycle_id };
                index.push_row(0, 0, &note);
            }
        }
        let index = Arc::new(index);
        keep(&mut lock(&self.scans).cycles, day, Arc::clone(&index), KEPT_CYCLES);
        Ok(index)
    }
}

const FOREIGN: &str = "is no latency data (binary, another encoding, other columns?): none of its rows are shown; put it \
                       right, or move it away";

fn add_rows_of_cycle(
    file: &File,
    day: &DayFile,
    id: CycleId,
    environment: &Environment,
    rows: &mut BTreeSet<(String, i64)>,
) -> io::Result<()> {
    let mut scanner = scan(file, day.len)?;
    while let Some(item) = scanner.next_item()? {
        if let Cell::Row(row) = item.cell
            && row.cycle_id == Some(id)
            && row.environment == *environment
        {
            rows.insert(row_key(&row.model_name, row.timestamp));
        }
    }
    Ok(())
}

/// Tells a row from the others of its cycle and environment, as it is written.
pub(super) fn row_key(model_name: &str, timestamp: DateTime<Utc>) -> (String, i64) {
    (model_name.to_owned(), timestamp.timestamp_millis())
}

/// The file's name and, of a part, where it begins.
fn parse(segment: &Segment) -> Result<(DayName, Option<u64>), StoreError> {
    let changed = || StoreError::Changed { name: segment.name.to_string() };
    let (name, start) = match segment.name.rsplit_once('@') {
        Some((name, start)) => (name, Some(start.parse().map_err(|_| changed())?)),
        None => (segment.name.as_ref(), None),
    };
    Ok((DayName::parse(name).ok_or_else(changed)?, start))
}

/// The header by which the first rows of a file are read, with its line end.
fn first_header(file: &File, len: u64) -> io::Result<Bytes> {
    let mut text = vec![0; len.min(HEADER_MAX_BYTES as u64) as usize];
    let read = read_up_to(file, &mut text, 0)?;
    let text = text.get(..read).unwrap_or_default();
    let text = text.strip_prefix(csv::BOM).unwrap_or(text);
    let header = RowReader::default().take_header(text).and_then(|len| text.get(..len));
    Ok(header.map_or_else(|| with_line_end(csv::header_line().as_bytes()), with_line_end))
}
