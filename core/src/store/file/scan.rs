//! A CSV file read row by row in bounded memory.

use std::{fs::File, io};

use super::disk::read_up_to;
use crate::record::csv::{BOM, Cell, Layout, MAX_ROW_BYTES, RowReader, Split};

const CHUNK_BYTES: usize = 256 * 1024;

/// Walks over a file's rows. Holds two chunks at most, whatever the file holds.
#[derive(Debug)]
pub(super) struct Scanner<'f> {
    file: &'f File,
    /// The file's length: what lies behind it is not looked at.
    limit: u64,
    buffer: Vec<u8>,
    /// Where in `buffer` the next row begins, and where that is in the file.
    start: usize,
    offset: u64,
    line: u64,
    reader: RowReader,
    header: Option<Vec<u8>>,
}

/// A stretch of the file.
#[derive(Debug)]
pub(super) struct Scanned<'a> {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// The line on which it begins; the header is line 1.
    pub(super) line: u64,
    pub(super) lines: u64,
    /// Whether it ends in a line feed.
    pub(super) has_line_end: bool,
    /// Whether a row has as many fields as the header: one cut short may look like a row of an older version.
    pub(super) is_full_length: bool,
    /// As it stands in the file; empty where it is too long to be held.
    pub(super) bytes: &'a [u8],
    pub(super) cell: Cell<'a>,
}

impl<'f> Scanner<'f> {
    /// Begins below the header, if the file has one.
    pub(super) fn new(file: &'f File, limit: u64) -> io::Result<Self> {
        let mut scanner = Self {
            file,
            limit,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            line: 1,
            reader: RowReader::default(),
            header: None,
        };
        scanner.fill()?;
        let bom_len = if scanner.buffer.starts_with(BOM) { BOM.len() } else { 0 };
        let header = scanner.reader.take_header(scanner.buffer.get(bom_len..).unwrap_or_default());
        if let Some(len) = header {
            scanner.header = scanner.buffer.get(bom_len..bom_len + len).map(<[u8]>::to_vec);
            scanner.line += 1;
        }
        scanner.advance(bom_len + header.unwrap_or(0));
        Ok(scanner)
    }

    /// The header row with its line end; `None` for a file that begins with a row.
    pub(super) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// The columns in force.
    pub(super) fn layout(&self) -> &Layout {
        self.reader.layout()
    }

    /// Where the next row begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next row, or whatever stands in its place.
    pub(super) fn next(&mut self) -> io::Result<Option<Scanned<'_>>> {
        let found = loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let is_last = self.offset + rest.len() as u64 >= self.limit;
            match self.reader.split(rest, is_last) {
                Split::End => return Ok(None),
                Split::NeedMore => self.fill()?,
                Split::Endless => return self.skip_line().map(Some),
                found => break found,
            }
        };
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let read = self.reader.read(rest, found);
        let scanned = Scanned {
            offset: self.offset,
            len: read.used as u64,
            line: self.line,
            lines: read.lines,
            has_line_end: rest.get(..read.used).is_some_and(|row| row.ends_with(b"\n")),
            is_full_length: self.reader.is_full_length(),
            bytes: rest.get(..read.used).unwrap_or_default(),
            cell: read.cell,
        };
        self.start += read.used;
        self.offset += scanned.len;
        self.line += scanned.lines;
        Ok(Some(scanned))
    }

    /// Passes over a line longer than any row.
    fn skip_line(&mut self) -> io::Result<Scanned<'static>> {
        let (offset, line) = (self.offset, self.line);
        let has_line_end = loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest);
            let used = end.map_or(rest.len(), |end| end + 1);
            self.advance(used);
            if end.is_some() || self.offset >= self.limit {
                break end.is_some();
            }
            self.fill()?;
        };
        self.line += 1;
        let reason = format!("the row is longer than {} KiB", MAX_ROW_BYTES / 1_024);
        Ok(Scanned {
            offset,
            len: self.offset - offset,
            line,
            lines: 1,
            has_line_end,
            is_full_length: false,
            bytes: &[],
            cell: Cell::Problem(reason),
        })
    }

    fn advance(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Reads the next chunk behind what is left of the last.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let held = self.buffer.len();
        let from = self.offset + held as u64;
        let wanted = self.limit.saturating_sub(from).min(CHUNK_BYTES as u64) as usize;
        self.buffer.resize(held + wanted, 0);
        let read = read_up_to(self.file, self.buffer.get_mut(held..).unwrap_or_default(), from)?;
        if read < wanted {
            // Somebody cuts the file while it is read.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
