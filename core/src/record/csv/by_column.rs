//! CSV -> [`Table`], line by line: what can goes the short way, by [`Filling`], the rest as [`Rows`](super::Rows) reads it.

use super::{
    BOM, RowProblem,
    layout::Layout,
    row::{Cell, RowReader},
    split::Split,
    table::Filling,
};
use crate::record::Table;

/// Most problems of one text that are kept; the rest are counted.
const KEPT_PROBLEMS: usize = 1_000;

/// The rows of a text that could not be read. What is no CSV at all has one for each of its lines: only the first are kept.
#[derive(Debug, Default)]
pub struct RowProblems {
    /// The first of them.
    pub first: Vec<RowProblem>,
    /// How many there are.
    pub count: u64,
    /// Where the last one stands; 0 where there are none.
    pub last_line: u64,
}

impl RowProblems {
    fn note(&mut self, line: u64, reason: String) {
        self.count += 1;
        self.last_line = line;
        if self.first.len() < KEPT_PROBLEMS {
            self.first.push(RowProblem { line, reason });
        }
    }
}

/// As [`decode`](super::decode), by column.
pub fn decode_table(bytes: &[u8], first_line: u64) -> (Table, RowProblems) {
    let mut reader = RowReader::default();
    let rest = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let header_len = reader.take_header(rest).unwrap_or(0);
    let mut decoding = Decoding::new(reader, rest.get(header_len..).unwrap_or_default());
    let mut line = first_line;
    let mut problems = RowProblems::default();
    loop {
        let (met, lines) = decoding.next();
        match met {
            Met::End => return (decoding.filling.builder.finish(), problems),
            Met::Row | Met::Blank | Met::Header => {}
            Met::Problem(reason) => problems.note(line, reason),
        }
        line += lines;
    }
}

/// The rows of `bytes`, laid out as `layout` says; `None` as soon as a line is anything but a row that can be read.
pub(crate) fn decode_rows(bytes: &[u8], layout: &Layout) -> Option<Table> {
    let mut decoding = Decoding::new(RowReader::of(layout.clone()), bytes);
    loop {
        match decoding.next().0 {
            Met::Row => {}
            Met::End => return Some(decoding.filling.builder.finish()),
            Met::Blank | Met::Header | Met::Problem(_) => return None,
        }
    }
}

/// A text on its way into a table.
struct Decoding<'a> {
    reader: RowReader,
    rest: &'a [u8],
    filling: Filling,
}

/// What stood at the beginning of the rest.
enum Met {
    Row,
    Blank,
    Header,
    Problem(String),
    End,
}

impl<'a> Decoding<'a> {
    fn new(reader: RowReader, rest: &'a [u8]) -> Self {
        let filling = Filling::new(reader.layout(), rest.len());
        Self { reader, rest, filling }
    }

    /// Takes what comes next, and says how many lines it was.
    fn next(&mut self) -> (Met, u64) {
        let found = self.reader.split(self.rest, true);
        let mut text: &[u8] = &[];
        if let Split::Row { len, used, lines, .. } = found {
            text = self.rest.get(..len).unwrap_or_default();
            if self.filling.take(text, self.reader.bounds()) {
                self.rest = self.rest.get(used..).unwrap_or_default();
                return (Met::Row, lines);
            }
        }
        let read = self.reader.read(self.rest, found);
        self.rest = self.rest.get(read.used..).unwrap_or_default();
        let met = match read.cell {
            Cell::End => Met::End,
            Cell::Blank => Met::Blank,
            Cell::Header => {
                self.filling.follow(self.reader.layout());
                Met::Header
            }
            Cell::Row(row) => {
                let fits = self.reader.layout().fits(self.reader.bounds().len(), row.environment.as_str());
                self.filling.add(&row, fits.then_some((text, self.reader.bounds())));
                Met::Row
            }
            Cell::Problem(reason) => Met::Problem(reason),
        };
        (met, read.lines)
    }
}
