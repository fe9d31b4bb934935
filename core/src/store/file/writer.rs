//! One append: rows go to the end of the file in one write and one flush, or not at all.

use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    sync::Arc,
};

use super::{
    MakeDisk,
    disk::{Disk, read_range, tag, write_error},
    intent::{Intent, IntentFile},
};
use crate::{
    record::{
        CycleId, Environment, Record,
        csv::{self, Layout, Rows},
    },
    store::{
        Batch, StoreError,
        index::{Index, Range, RowNote},
    },
};

/// The only writer of a file.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) tag: String,
    pub(super) file: Arc<File>,
    pub(super) disk: Box<dyn Disk>,
    pub(super) intent: IntentFile,
    /// The header's columns: rows are written in its order.
    pub(super) layout: Layout,
}

impl Drop for Writer {
    /// Gives the lock back at once: a child process that is just being started may hold a copy of the handle for a moment,
    /// and with it the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Rows ready to be written.
#[derive(Debug, Default)]
pub(super) struct Encoded<'b> {
    pub(super) bytes: Vec<u8>,
    rows: Vec<EncodedRow<'b>>,
}

#[derive(Debug)]
struct EncodedRow<'b> {
    record: &'b Record,
    cycle_id: Option<CycleId>,
    len: u64,
    lines: u64,
}

impl Writer {
    /// The `records` of `batch`, as the file takes them.
    pub(super) fn encode<'b>(&self, batch: &'b Batch, records: impl Iterator<Item = &'b Record>) -> Encoded<'b> {
        let mut encoded = Encoded::default();
        for record in records {
            let start = encoded.bytes.len();
            csv::encode_row(record, &self.layout, &mut encoded.bytes);
            let row = encoded.bytes.get(start..).unwrap_or_default();
            let lines = memchr::memchr_iter(b'\n', row).count() as u64;
            let len = row.len() as u64;
            encoded.rows.push(EncodedRow { record, cycle_id: record.cycle_id.or(batch.cycle_id), len, lines });
        }
        encoded
    }

    /// Goes on with `file`, which has taken the name and is locked.
    pub(super) fn change_file(&mut self, file: Arc<File>, make_disk: &MakeDisk) -> io::Result<()> {
        self.tag = tag(&file.metadata()?);
        self.disk = make_disk(&file);
        let _ = self.file.unlock();
        self.file = file;
        Ok(())
    }

    /// Whether the file is still as we left it, `len` bytes long.
    pub(super) fn is_untouched(&self, len: u64) -> bool {
        fs::metadata(&self.path).is_ok_and(|now| now.len() == len && tag(&now) == self.tag)
    }

    /// Writes `bytes` at `offset`, the file's end, and flushes. On failure the file is cut back to `offset`.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let noted = Intent::new(&self.file, offset, bytes).and_then(|intent| self.intent.begin(intent));
        noted.map_err(|error| write_error(&self.path, &error))?;
        let written = self.disk.write_all_at(bytes, offset).and_then(|()| self.disk.sync_data());
        let is_settled = match &written {
            Ok(()) => true,
            // Where even this fails the note stays, and the next append or start takes the rows back.
            Err(_) => self.disk.set_len(offset).is_ok(),
        };
        if is_settled && let Err(error) = self.intent.end() {
            // The note agrees with the file, so nothing would be taken back by it.
            tracing::debug!(%error, "the note of the last append could not be cleared");
        }
        written.map_err(|error| write_error(&self.path, &error))
    }
}

impl Encoded<'_> {
    /// Enters the rows, now written, into `index`.
    pub(super) fn enter(&self, index: &mut Index) {
        for row in &self.rows {
            let (timestamp, environment) = (row.record.timestamp, &row.record.environment);
            index.push_row(row.len, row.lines, &RowNote { timestamp, environment, cycle_id: row.cycle_id });
        }
    }
}

/// Looks for a cycle's rows of `environment` in `ranges` of `file`.
pub(super) fn find_cycle(file: &File, ranges: &[Range], id: CycleId, environment: &Environment) -> io::Result<bool> {
    for range in ranges {
        let bytes = [range.header.to_vec(), read_range(file, range.start, range.len)?].concat();
        let mut rows = Rows::new(&bytes, 1).flatten();
        if rows.any(|row| row.cycle_id == Some(id) && row.environment == *environment) {
            return Ok(true);
        }
    }
    Ok(false)
}
