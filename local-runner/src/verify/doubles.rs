//! Rows that are there twice: found by hashes, hour by hour, so that memory holds one hour's.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufReader, Read},
    sync::Arc,
};

use llm_monitor_core::record::{CycleId, csv::Row};

use super::{Kind, Problem, Report};
use crate::spill::Spill;

/// What is noted of every row: hash, time, file, line.
const NOTE_BYTES: usize = 32;

/// Notes of all rows, by hour.
#[derive(Debug)]
pub(super) struct Doubles {
    notes: Spill<i64>,
    files: Vec<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Note {
    hash: u64,
    time_ms: i64,
    file: u64,
    line: u64,
}

impl Doubles {
    pub(super) fn new() -> Self {
        Self { notes: Spill::new(), files: Vec::new() }
    }

    /// The rows noted from now on are of this file.
    pub(super) fn begin_file(&mut self, name: &str) {
        self.files.push(Arc::from(name));
    }

    /// Notes a row.
    pub(super) fn note(&mut self, row: &Row<'_>, line: u64) -> io::Result<()> {
        let time_ms = row.timestamp.timestamp_millis();
        let due_ms = row.cycle_id.map(|id| id.scheduled().timestamp_millis());
        let mut hasher = DefaultHasher::new();
        // Several monitors may write into one place, each from where it is.
        (due_ms.unwrap_or(time_ms), &row.environment, &row.model_name, &row.location).hash(&mut hasher);
        row.cycle_id.map(CycleId::scheduled).hash(&mut hasher);
        let note = Note { hash: hasher.finish(), time_ms, file: self.files.len() as u64 - 1, line };
        let hour = due_ms.unwrap_or(time_ms).div_euclid(3_600_000);
        self.notes.push(&hour, &note.to_bytes())
    }

    /// Compares all that was noted.
    pub(super) fn finish(mut self, report: &mut Report) -> io::Result<()> {
        for hour in self.notes.keys() {
            let mut notes = BufReader::with_capacity(64 * 1024, self.notes.take(&hour)?);
            let mut first: HashMap<u64, Note> = HashMap::new();
            let mut bytes = [0; NOTE_BYTES];
            while read_note(&mut notes, &mut bytes)? {
                let note = Note::of_bytes(bytes);
                if let Some(before) = first.get(&note.hash) {
                    report.problem(self.problem(&note, before));
                } else {
                    first.insert(note.hash, note);
                }
            }
        }
        Ok(())
    }

    fn problem(&self, note: &Note, before: &Note) -> Problem {
        let name = |note: &Note| self.files.get(note.file as usize).map(Arc::to_string).unwrap_or_default();
        let where_before = if note.file == before.file {
            format!("line {}", before.line)
        } else {
            format!("{} line {}", name(before), before.line)
        };
        let (kind, reason) = if note.time_ms == before.time_ms {
            (Kind::DuplicateRow, format!("the same time, environment and model as {where_before}"))
        } else {
            (Kind::DoubleCycle, format!("the same cycle, environment and model as {where_before}, at another time"))
        };
        Problem { kind, file: name(note), line: note.line, reason }
    }
}

impl Note {
    fn to_bytes(self) -> [u8; NOTE_BYTES] {
        let mut bytes = [0; NOTE_BYTES];
        let numbers = [self.hash, self.time_ms.cast_unsigned(), self.file, self.line];
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    fn of_bytes(bytes: [u8; NOTE_BYTES]) -> Self {
        let mut numbers = bytes.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number));
        let mut next = || numbers.next().unwrap_or_default();
        Self { hash: next(), time_ms: next().cast_signed(), file: next(), line: next() }
    }
}

/// Whether there was one more.
fn read_note(notes: &mut impl Read, bytes: &mut [u8; NOTE_BYTES]) -> io::Result<bool> {
    match notes.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
