//! What is in the file: one pass over it, when it is opened.

use std::{collections::VecDeque, fs::File, io, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    bulk::{self, Bulk},
    disk::{read_error, read_range, unusable},
    scan::{Scanner, go_on, scan},
};
use crate::{
    record::{
        Table,
        csv::{self, Cell, Item, Layout, Row},
    },
    store::{
        StoreError,
        index::{Index, RowNote},
    },
};

/// How many unreadable rows are named in the log; the others are counted.
const NAMED_PROBLEMS: u64 = 20;

/// Unreadable lines at the end that are taken together for one torn row, at most so many bytes.
const TORN_MAX_BYTES: u64 = 256 * 1024;

/// A file's contents, without the rows.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) index: Index,
    /// The columns of its header.
    pub(super) layout: Layout,
    /// Rows that could not be read.
    pub(super) skipped_rows: u64,
    pub(super) tail: Tail,
    /// Its header lacks columns of ours, or it has none, or several.
    pub(super) is_outdated: bool,
    /// The newest segments' rows, as far as [`Pass::keep_bytes`] goes.
    pub(super) decoded: Decoded,
}

/// How a file is gone through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    /// Threads that decode.
    pub(super) threads: usize,
    /// How many bytes of decoded rows are kept for whoever reads first.
    pub(super) keep_bytes: usize,
}

impl Pass {
    /// While others are served.
    pub(super) const QUIET: Self = Self { threads: 1, keep_bytes: 0 };

    /// While nothing else can be done yet.
    pub(super) fn at_start(keep_bytes: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { threads: cores.min(THREADS_MAX), keep_bytes }
    }
}

/// More would not be faster than the disk, and each holds a segment.
const THREADS_MAX: usize = 4;

/// A segment's name and identity.
pub(super) type SegmentKey = (Arc<str>, Arc<str>);

/// Rows by their segment, oldest first.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    pub(super) tables: VecDeque<(SegmentKey, Table)>,
    bytes: usize,
}

impl Decoded {
    fn keep(&mut self, segment: SegmentKey, table: Table, limit_bytes: usize) {
        self.bytes += table.bytes();
        self.tables.push_back((segment, table));
        while self.bytes > limit_bytes {
            let Some((_, oldest)) = self.tables.pop_front() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}

/// How the file ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// With a line end.
    Whole,
    /// With a whole row that lacks its line end.
    NoLineEnd,
    /// With part of a row, which is not in the index.
    Torn { offset: u64, line: u64, reason: String },
}

/// Reads the first `limit` bytes of `file`, which is at `path`.
pub(super) fn load(path: &Path, file: &File, limit: u64, tag: &str, pass: Pass) -> Result<Loaded, StoreError> {
    let failed = |error| read_error(path, &error);
    let mut scanner = scan(file, limit).map_err(failed)?;
    let mut loading = Loading::new(path, &scanner, tag);
    loop {
        if loading.in_bulk(file, limit, scanner.layout(), pass) {
            go_on(&mut scanner, file, limit, loading.loaded.index.end(), loading.loaded.index.next_line());
        }
        let Some(item) = scanner.next_item().map_err(failed)? else { break };
        let stretch = Stretch::of(&item);
        match item.cell {
            Cell::End => break,
            Cell::Row(row) => loading.row(&stretch, &row),
            Cell::Problem(reason) => loading.problem(&stretch, reason)?,
            Cell::Blank if stretch.has_line_end => loading.other(&stretch),
            Cell::Blank => loading.unread(&stretch, "blanks".to_owned()),
            Cell::Header => {
                let header = read_range(file, stretch.offset, stretch.len).map_err(failed)?;
                loading.header(&stretch, &header, scanner.layout());
            }
        }
    }
    loading.end(file, limit).map_err(failed)
}

/// Where an item of the file lies.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    offset: u64,
    len: u64,
    line: u64,
    lines: u64,
    has_line_end: bool,
    is_full_length: bool,
}

impl Stretch {
    fn of(item: &Item<'_>) -> Self {
        Self {
            offset: item.offset,
            len: item.len,
            line: item.line,
            lines: item.lines,
            has_line_end: item.has_line_end,
            is_full_length: item.is_full_length,
        }
    }
}

/// Unreadable lines since the last row: a torn end, if nothing follows.
#[derive(Debug)]
struct Unread {
    first: Stretch,
    last: Stretch,
    len: u64,
    lines: u64,
    reason: String,
}

/// A file half read.
#[derive(Debug)]
struct Loading<'p> {
    path: &'p Path,
    loaded: Loaded,
    /// Nothing but rows tells that this is latency data: there was no header.
    is_unproven: bool,
    unread: Option<Unread>,
}

impl<'p> Loading<'p> {
    fn new(path: &'p Path, scanner: &Scanner<'_>, tag: &str) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let has_header = scanner.header().is_some();
        let header = scanner.header().map_or_else(|| with_line_end(csv::header_line().as_bytes()), with_line_end);
        let layout = scanner.layout().clone();
        let loaded = Loaded {
            index: Index::new(&name, tag, scanner.offset(), u64::from(has_header), header),
            is_outdated: !has_header || !layout.is_complete(),
            layout,
            skipped_rows: 0,
            tail: Tail::Whole,
            decoded: Decoded::default(),
        };
        Self { path, loaded, is_unproven: !has_header, unread: None }
    }

    fn row(&mut self, at: &Stretch, row: &Row<'_>) {
        self.is_unproven = false;
        if !at.has_line_end {
            // A row of ours that was cut short can look like a whole one of an older version.
            if !self.loaded.is_outdated && !at.is_full_length {
                self.loaded.skipped_rows += 1;
                self.unread(at, "the row was cut short".to_owned());
                return;
            }
            self.loaded.tail = Tail::NoLineEnd;
        }
        self.push_unread();
        let note = RowNote { timestamp: row.timestamp, environment: &row.environment, cycle_id: row.cycle_id };
        self.loaded.index.push_row(at.len, at.lines, &note);
    }

    /// Takes what follows in whole segments, as far as they hold rows alone; whether there was any.
    fn in_bulk(&mut self, file: &File, limit: u64, layout: &Layout, pass: Pass) -> bool {
        let before = self.loaded.index.end();
        // Between two segments, and nothing waits to be judged by what follows.
        while self.unread.is_none() && self.loaded.index.is_full() {
            let bulks = bulk::next(file, self.loaded.index.end(), limit, layout, pass);
            if bulks.is_empty() {
                break;
            }
            self.is_unproven = false;
            for Bulk { len, lines, note, table } in bulks {
                let segment = self.loaded.index.push_rows(len, lines, &note);
                if let Some(table) = table {
                    self.loaded.decoded.keep(segment, table, pass.keep_bytes);
                }
            }
        }
        self.loaded.index.end() > before
    }

    fn problem(&mut self, at: &Stretch, reason: String) -> Result<(), StoreError> {
        if self.is_unproven {
            return Err(unusable(
                self.path,
                format!(
                    "is no latency data: its first line is neither a header with model_name and timestamp nor a row \
                     ({reason}); move it away, or set LATENCY_DATA_CSV to another file"
                ),
            ));
        }
        self.loaded.skipped_rows += 1;
        if self.loaded.skipped_rows <= NAMED_PROBLEMS {
            tracing::warn!(file = %self.path.display(), line = at.line, "line {} is unreadable: {reason}", at.line);
        }
        self.unread(at, reason);
        Ok(())
    }

    fn other(&mut self, at: &Stretch) {
        self.push_unread();
        self.loaded.index.push_other(at.len, at.lines);
    }

    fn header(&mut self, at: &Stretch, header: &[u8], layout: &Layout) {
        self.is_unproven = false;
        self.push_unread();
        if *layout == self.loaded.layout {
            self.loaded.index.push_other(at.len, at.lines);
        } else {
            self.loaded.is_outdated = true;
            self.loaded.index.push_header(at.len, with_line_end(header));
        }
        if !at.has_line_end {
            self.loaded.tail = Tail::NoLineEnd;
        }
    }

    fn unread(&mut self, at: &Stretch, reason: String) {
        if let Some(unread) = &mut self.unread {
            unread.last = *at;
            unread.len += at.len;
            unread.lines += at.lines;
        } else {
            self.unread = Some(Unread { first: *at, last: *at, len: at.len, lines: at.lines, reason });
        }
    }

    fn push_unread(&mut self) {
        if let Some(unread) = self.unread.take() {
            self.loaded.index.push_other(unread.len, unread.lines);
        }
    }

    /// Decides what the unreadable lines at the end are: a row cut short by a crash, or just unreadable.
    fn end(mut self, file: &File, limit: u64) -> io::Result<Loaded> {
        if self.loaded.skipped_rows > NAMED_PROBLEMS {
            let rows = self.loaded.skipped_rows;
            tracing::warn!(file = %self.path.display(), rows, "{rows} rows are unreadable in all");
        }
        let Some(unread) = self.unread.take() else { return Ok(self.loaded) };
        let ends_line = limit > 0 && read_range(file, limit - 1, 1)? == b"\n";
        if ends_line && unread.reason != csv::UNCLOSED_QUOTE {
            self.loaded.index.push_other(unread.len, unread.lines);
            return Ok(self.loaded);
        }
        let torn = if unread.len <= TORN_MAX_BYTES {
            unread.first
        } else {
            // Too much for one row: only the last line is taken away, so that the next row begins on its own.
            self.loaded.index.push_other(unread.len - unread.last.len, unread.lines - unread.last.lines);
            unread.last
        };
        self.loaded.tail = Tail::Torn { offset: torn.offset, line: torn.line, reason: unread.reason };
        Ok(self.loaded)
    }
}

/// `header`, ending in a line feed.
pub(super) fn with_line_end(header: &[u8]) -> Bytes {
    let mut header = header.to_vec();
    if !header.ends_with(b"\n") {
        header.push(b'\n');
    }
    Bytes::from(header)
}
