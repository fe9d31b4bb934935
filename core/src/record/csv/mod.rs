//! The one CSV codec: how a record is written, and how rows of any age are read.
//!
//! We write one shape: [`COLUMNS`], RFC 4180 quoting, line feeds. We read that shape, any older or newer one (columns are
//! found by name, unknown ones ignored), both shapes of the Python predecessor and files in which they are mixed. A row that
//! cannot be read is a [`RowProblem`] and never costs its neighbours.
//!
//! ```
//! use llm_monitor_core::record::csv;
//!
//! // As the predecessor wrote it: no environment, no zone. And a row that cannot be read.
//! let text = b"model_name,timestamp,latency_ms\ngpt-4,2025-04-30T11:08:37.559536,812.4\ngpt-4,yesterday,1\n";
//! let read = csv::decode(text, 2);
//! assert_eq!(read.records.len(), 1);
//! assert_eq!(read.records[0].environment.as_str(), "dev");
//! assert_eq!(read.records[0].latency_ms, Some(812.4));
//! assert_eq!(read.problems[0].line, 3);
//! ```

mod by_column;
mod encode;
mod layout;
mod number;
mod reader;
mod row;
mod split;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use by_column::decode_rows;
pub use by_column::{RowProblems, decode_table};
pub use encode::encode;
pub(crate) use encode::encode_row;
pub(crate) use layout::Layout;
pub(crate) use reader::Item;
pub use reader::{Line, Reader};
pub use row::Row;
pub(crate) use row::{Cell, RowReader};
pub(crate) use split::{MAX_ROW_BYTES, Split, UNCLOSED_QUOTE};

use super::Record;

/// Some programs write it before the header.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Every column, in the order in which we write them (contract: new ones are only ever added at the end).
pub const COLUMNS: [&str; 33] = [
    "model_name",
    "environment",
    "timestamp",
    "latency_ms",
    "input_tokens",
    "output_tokens",
    "cost",
    "context_window",
    "is_cloud",
    "status",
    "cycle_id",
    "provider",
    "simulated",
    "location",
    "start_delay_ms",
    "connect_ms",
    "ttft_ms",
    "ttfa_ms",
    "tpot_ms",
    "max_gap_ms",
    "cached_input_tokens",
    "reasoning_tokens",
    "token_source",
    "http_status",
    "error_kind",
    "error_message",
    "served_model",
    "finish_reason",
    "dns_ms",
    "tls_ms",
    "ttfb_ms",
    "client_delay_ms",
    "load_ms",
];

/// Longest text cell written or read (`model_name`, `served_model`, …), in characters; what is longer is cut.
/// `error_message` has its own, shorter limit.
pub const TEXT_MAX_CHARS: usize = 512;

/// What a CSV text holds.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The rows that could be read, in the file's order.
    pub records: Vec<Record>,
    /// The rows that could not.
    pub problems: Vec<RowProblem>,
}

/// A row that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// Line in the file, the header being line 1.
    pub line: u64,
    /// Which field, what stands there, and what was expected.
    pub reason: String,
}

/// The header row of files we write, without a line end.
pub fn header_line() -> String {
    COLUMNS.join(",")
}

/// Reads a header row and the rows below it, of any age. `first_line` is the line of the first row after the header.
///
/// ```
/// use llm_monitor_core::record::csv;
///
/// let text = "model_name,timestamp,latency_ms\ngpt-4o-mini,2026-11-24T16:54:00Z,812.5\ngpt-4o-mini,soon,1\n";
/// let decoded = csv::decode(text.as_bytes(), 2);
/// assert_eq!(decoded.records[0].latency_ms, Some(812.5));
/// assert_eq!(decoded.records[0].environment.as_str(), "dev", "what older files leave out");
/// assert_eq!(decoded.problems[0].line, 3, "costs no other row");
/// ```
pub fn decode(bytes: &[u8], first_line: u64) -> Decoded {
    let mut decoded = Decoded::default();
    for row in Rows::new(bytes, first_line) {
        match row {
            Ok(row) => decoded.records.push(row.into_record()),
            Err(problem) => decoded.problems.push(problem),
        }
    }
    decoded
}

/// The rows of a CSV text one by one, borrowing from it: [`decode`] without a [`Record`] for each.
#[derive(Debug)]
pub struct Rows<'a> {
    rest: &'a [u8],
    line: u64,
    reader: RowReader,
}

impl<'a> Rows<'a> {
    /// `bytes` are a header row and the rows below it; `first_line` is the line of the first row after the header.
    pub fn new(bytes: &'a [u8], first_line: u64) -> Self {
        let mut reader = RowReader::default();
        let rest = bytes.strip_prefix(BOM).unwrap_or(bytes);
        // Without a header row, rows are told by their shape alone, and the first one is a row as well.
        let header_len = reader.take_header(rest).unwrap_or(0);
        Self { rest: rest.get(header_len..).unwrap_or_default(), line: first_line, reader }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Result<Row<'a>, RowProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let found = self.reader.split(self.rest, true);
            let read = self.reader.read(self.rest, found);
            let line = self.line;
            self.rest = self.rest.get(read.used..).unwrap_or_default();
            self.line += read.lines;
            match read.cell {
                Cell::End => return None,
                Cell::Blank | Cell::Header => {}
                Cell::Row(row) => return Some(Ok(row)),
                Cell::Problem(reason) => return Some(Err(RowProblem { line, reason })),
            }
        }
    }
}
