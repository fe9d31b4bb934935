//! A CSV of any length, from anywhere, row by row in bounded memory.

use std::io::{self, Read};

use super::{BOM, Cell, Layout, MAX_ROW_BYTES, Row, RowReader, Split, split::TOO_LONG};

const CHUNK_BYTES: usize = 256 * 1024;

/// Reads rows as [`Rows`](super::Rows) does, from what need not fit into memory: it holds some chunks of 256 KiB.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where in `buffer` the next row begins, and where that is in the input.
    start: usize,
    offset: u64,
    line: u64,
    is_at_end: bool,
    header: Option<Vec<u8>>,
    rows: RowReader,
}

/// What stands on a line, or on several where a field holds line ends.
#[derive(Debug)]
pub struct Line<'a> {
    /// Its number; 1 is the file's first line.
    pub number: u64,
    /// Its bytes, line end included; of one longer than any row only the beginning.
    pub text: &'a [u8],
    /// Whether a line feed ends it: what a crash cut short has none.
    pub has_line_end: bool,
    /// Whether it has as many fields as the header.
    pub is_full_length: bool,
    /// Whether it says itself which environment it is of; `dev` is assumed of one that does not.
    pub names_environment: bool,
    /// `None` for an empty line and for a header in the middle; an error says why the row cannot be read.
    pub row: Option<Result<Row<'a>, String>>,
}

/// A [`Line`] with its place, for those who read a file of their own.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    /// Where it begins in the input, in bytes.
    pub(crate) offset: u64,
    /// Its bytes, line end included.
    pub(crate) len: u64,
    /// The line on which it begins; 1 is the first.
    pub(crate) line: u64,
    pub(crate) lines: u64,
    /// As it stands in the input; of a line longer than any row only the beginning.
    pub(crate) text: &'a [u8],
    pub(crate) has_line_end: bool,
    /// Whether a row has as many fields as the header: one cut short may look like a row of an older version.
    pub(crate) is_full_length: bool,
    pub(crate) names_environment: bool,
    pub(crate) cell: Cell<'a>,
}

impl Item<'_> {
    /// All of its bytes; `None` where they are too many to be held.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        (self.text.len() as u64 == self.len).then_some(self.text)
    }
}

impl<R: Read> Reader<R> {
    /// Begins below the header, if there is one.
    ///
    /// # Errors
    /// What reading gives.
    pub fn new(input: R) -> io::Result<Self> {
        let mut reader = Self {
            input,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            line: 1,
            is_at_end: false,
            header: None,
            rows: RowReader::default(),
        };
        reader.fill()?;
        let bom_len = if reader.buffer.starts_with(BOM) { BOM.len() } else { 0 };
        let below_bom = reader.buffer.get(bom_len..).unwrap_or_default();
        let header_len = reader.rows.take_header(below_bom);
        if let Some(len) = header_len {
            reader.header = below_bom.get(..len).map(<[u8]>::to_vec);
            reader.line += 1;
        }
        reader.start = bom_len + header_len.unwrap_or(0);
        reader.offset = reader.start as u64;
        Ok(reader)
    }

    /// Where the bytes come from.
    pub fn get_ref(&self) -> &R {
        &self.input
    }

    /// The header row with its line end; `None` where the input begins with a row.
    pub(crate) fn header(&self) -> Option<&[u8]> {
        self.header.as_deref()
    }

    /// The columns in force.
    pub(crate) fn layout(&self) -> &Layout {
        self.rows.layout()
    }

    /// Goes on with `input`, whose first byte is the one at `offset` of the whole, on `line`.
    pub(crate) fn go_on(&mut self, input: R, offset: u64, line: u64) {
        self.input = input;
        self.buffer.clear();
        self.start = 0;
        self.is_at_end = false;
        (self.offset, self.line) = (offset, line);
    }

    /// Where in the input the next row begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line; `None` after the last.
    ///
    /// # Errors
    /// What reading gives.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let Some(item) = self.next_item()? else { return Ok(None) };
        Ok(Some(Line {
            number: item.line,
            text: item.text,
            has_line_end: item.has_line_end,
            is_full_length: item.is_full_length,
            names_environment: item.names_environment,
            row: match item.cell {
                Cell::Row(row) => Some(Ok(row)),
                Cell::Problem(reason) => Some(Err(reason)),
                Cell::End | Cell::Blank | Cell::Header => None,
            },
        }))
    }

    /// As [`next_line`](Self::next_line), with its place.
    pub(crate) fn next_item(&mut self) -> io::Result<Option<Item<'_>>> {
        let found = loop {
            let rest = self.buffer.get(self.start..).unwrap_or_default();
            match self.rows.split(rest, self.is_at_end) {
                Split::End => return Ok(None),
                Split::NeedMore => self.fill()?,
                Split::Endless => return self.skip_line().map(Some),
                found => break found,
            }
        };
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        let read = self.rows.read(rest, found);
        let text = rest.get(..read.used).unwrap_or_default();
        let item = Item {
            offset: self.offset,
            len: read.used as u64,
            line: self.line,
            lines: read.lines,
            text,
            has_line_end: text.ends_with(b"\n"),
            is_full_length: self.rows.is_full_length(),
            names_environment: self.rows.names_environment(),
            cell: read.cell,
        };
        self.start += read.used;
        self.offset += item.len;
        self.line += item.lines;
        Ok(Some(item))
    }

    /// Passes over a line longer than any row; its beginning stays in the buffer.
    fn skip_line(&mut self) -> io::Result<Item<'_>> {
        self.buffer.drain(..self.start);
        self.start = self.buffer.len();
        let kept = self.start.min(MAX_ROW_BYTES);
        let mut len = self.start as u64;
        let has_line_end = loop {
            self.buffer.truncate(self.start);
            if !self.read_more()? {
                break false;
            }
            let more = self.buffer.get(self.start..).unwrap_or_default();
            if let Some(at) = memchr::memchr(b'\n', more) {
                len += at as u64 + 1;
                self.start += at + 1;
                break true;
            }
            len += more.len() as u64;
        };
        let (offset, line) = (self.offset, self.line);
        self.offset += len;
        self.line += 1;
        Ok(Item {
            offset,
            len,
            line,
            lines: 1,
            text: self.buffer.get(..kept).unwrap_or_default(),
            has_line_end,
            is_full_length: false,
            names_environment: false,
            cell: Cell::Problem(TOO_LONG.clone()),
        })
    }

    /// Drops what has been read and reads the next chunk.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.is_at_end = !self.read_more()?;
        Ok(())
    }

    /// Whether there was more.
    fn read_more(&mut self) -> io::Result<bool> {
        let read = self.input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut self.buffer)?;
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;
    use crate::record::csv::{COLUMNS, RowProblem, Rows};

    /// Gives a few bytes at a time, as a pipe may.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = self.0.len().min(out.len()).min(7);
            let (now, later) = self.0.split_at(len);
            out[..len].copy_from_slice(now);
            self.0 = later;
            Ok(len)
        }
    }

    type Seen = Vec<Result<String, RowProblem>>;

    fn seen(input: impl Read) -> Seen {
        let mut reader = Reader::new(input).expect("reads");
        let mut seen = Vec::new();
        while let Some(line) = reader.next_line().expect("reads") {
            let number = line.number;
            seen.extend(
                line.row
                    .map(|row| row.map(|row| format!("{row:?}")).map_err(|reason| RowProblem { line: number, reason })),
            );
        }
        seen
    }

    #[test]
    fn it_reads_what_rows_reads_whatever_comes_at_once() {
        let mixture: &[u8] =
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/mixture.csv"));
        let quoted = b"model_name,timestamp,latency_ms\n\"a\nb\",2026-11-24T00:00:00Z,1\n\nm,yesterday,2\nm,\"x";
        for text in [mixture, quoted, b"", b"\xef\xbb\xbfmodel_name,timestamp", &[0, 255, b'\n', 7]] {
            let expected: Seen = Rows::new(text, 2).map(|row| row.map(|row| format!("{row:?}"))).collect();
            let mut actual = seen(Trickle(text));
            if !text.starts_with(b"model_name") && !text.starts_with(BOM) {
                // Without a header the first row is on line 1; `Rows` is told.
                for problem in actual.iter_mut().filter_map(|row| row.as_mut().err()) {
                    problem.line += 1;
                }
            }
            assert_eq!(actual, expected, "{:?}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_cell_of_megabytes_costs_its_own_line_alone() {
        let huge = "x".repeat(3 * 1024 * 1024);
        let text =
            format!("model_name,timestamp,latency_ms\na,2026-11-24T00:00:00Z,1\n{huge}\nb,2026-11-24T00:00:00Z,2\n");
        let rows = seen(text.as_bytes());
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1], Err(RowProblem { line: 3, reason: TOO_LONG.clone() }));
        assert!(rows[2].is_ok());
        let mut cut = Reader::new(&text.as_bytes()[..1024 * 1024]).expect("reads");
        let mut last = None;
        while let Some(line) = cut.next_line().expect("reads") {
            assert!(line.text.len() <= MAX_ROW_BYTES);
            last = Some(line.has_line_end);
        }
        assert_eq!(last, Some(false));
    }

    #[test]
    fn a_row_says_whether_it_names_its_environment() {
        let names = |text: &str| {
            let mut reader = Reader::new(text.as_bytes()).expect("reads");
            reader.next_line().expect("reads").is_some_and(|line| line.names_environment)
        };
        let rest = ",".repeat(COLUMNS.len() - 3);
        let header = COLUMNS.join(",");
        assert!(names(&format!("{header}\nm,prod,2026-11-24T00:00:00Z{rest}\n")));
        assert!(!names(&format!("{header}\nm,,2026-11-24T00:00:00Z{rest}\n")));
        assert!(!names("model_name,timestamp,latency_ms\nm,2026-11-24T00:00:00Z,1\n"));
    }
}
