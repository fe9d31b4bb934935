//! Records as text, in chunks: what `/api/export` and the `export` command have in common.

use std::sync::Arc;

use bytes::Bytes;

use super::LatencyRecord;
use crate::{
    history::{Direction, History, Scan},
    query::Filter,
    record::{Outcome, Record, csv},
    store::{Scope, StoreError},
};

/// What is given out at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Room behind it for the row that fills a chunk.
const ROW_BYTES: usize = 4 * 1024;

/// What is exported, and how.
#[derive(Debug, Clone)]
pub struct Export {
    /// Environments and time.
    pub scope: Scope,
    /// Which of their records.
    pub filter: Filter,
    /// As what.
    pub format: ExportFormat,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// The columns of the data of record, below a header.
    Csv {
        /// Cells that a spreadsheet would take for a formula get a `'` before them.
        is_for_spreadsheets: bool,
    },
    /// One JSON object a line, with the fields of `/api/latency`.
    JsonLines,
}

/// An export under way. Holds one chunk and what the scan holds, however long the history is.
#[derive(Debug)]
pub struct Chunks<'a> {
    export: Export,
    scan: Scan<'a>,
    /// Rows that were given out, and those in the chunk that is being made.
    rows: u64,
    is_begun: bool,
    is_done: bool,
}

impl Export {
    /// Starts reading `history`, oldest record first.
    pub fn start(self, history: &History) -> Chunks<'_> {
        let mut scan = history.scan(self.scope.clone(), Direction::OldestFirst, None).once();
        if self.filter != Filter::default() {
            scan = scan.only(Arc::new(self.filter.clone()));
        }
        Chunks { export: self, scan, rows: 0, is_begun: false, is_done: false }
    }

    fn write(&self, mut record: Record, out: &mut Vec<u8>) {
        match self.format {
            ExportFormat::Csv { is_for_spreadsheets } => {
                if is_for_spreadsheets {
                    escape_formulas(&mut record);
                }
                csv::encode(&record, out);
            }
            ExportFormat::JsonLines => {
                // Writing to memory cannot fail.
                let _ = serde_json::to_writer(&mut *out, &LatencyRecord::from(record));
                out.push(b'\n');
            }
        }
    }
}

impl Chunks<'_> {
    /// The next chunk, which ends with a line; `None` after the last. There is always a first, if an empty one.
    ///
    /// # Errors
    /// The store cannot be read; what came before is no whole export.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.is_done {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + ROW_BYTES);
        if !self.is_begun && matches!(self.export.format, ExportFormat::Csv { .. }) {
            chunk.extend_from_slice(csv::header_line().as_bytes());
            chunk.push(b'\n');
        }
        self.is_begun = true;
        while chunk.len() < CHUNK_BYTES {
            let Some(row) = self.scan.next().await? else {
                self.is_done = true;
                break;
            };
            self.export.write(row.to_record(), &mut chunk);
            self.rows += 1;
        }
        Ok(Some(chunk.into()))
    }

    /// How many records the chunks so far hold.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

/// What makes a spreadsheet take a text for a formula (OWASP, "CSV Injection"), the wide forms of East Asian writing among them.
const FORMULA_STARTS: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Puts a `'` before texts that a spreadsheet would run.
fn escape_formulas(record: &mut Record) {
    let escape = |text: &mut String| {
        if text.starts_with(FORMULA_STARTS) {
            text.insert(0, '\'');
        }
    };
    escape(&mut record.model_name);
    let texts = [&mut record.provider, &mut record.location, &mut record.served_model, &mut record.finish_reason];
    texts.into_iter().flatten().for_each(escape);
    if let Outcome::Error(failure) = &mut record.outcome
        && let Some(message) = &mut failure.message
    {
        escape(message);
    }
}
