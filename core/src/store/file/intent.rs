//! What is about to be appended, written down before: so that after a kill in the middle of a write a restart knows which
//! bytes at the end of the file belong together.
//!
//! The note itself is not flushed to disk: it is there for a process that dies, not for a power cut. After a power cut the
//! rule for a torn last line remains.

use std::{
    fs::{File, OpenOptions},
    io,
    path::Path,
};

use super::disk::{read_range, read_up_to, write_all_at};
use crate::fnv;

const FILE_NAME: &str = "append.intent";
/// Of constant length, so that writing it never needs room on the disk.
const LEN: usize = 160;
/// How much of the file before the append tells that it is the same file.
const CONTEXT_BYTES: u64 = 4_096;

/// The note's file.
#[derive(Debug)]
pub(super) struct IntentFile {
    file: File,
}

/// An append that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Intent {
    /// Where the rows go: the file's length before.
    pub(super) offset: u64,
    /// Bytes to append.
    len: u64,
    /// Of the bytes to append.
    sum: u64,
    /// Of the bytes that stand before.
    context: u64,
}

impl Intent {
    /// The append of `bytes` at `offset` of `file`.
    pub(super) fn new(file: &File, offset: u64, bytes: &[u8]) -> io::Result<Self> {
        Ok(Self { offset, len: bytes.len() as u64, sum: fnv::hash(bytes), context: context(file, offset)? })
    }

    /// Whether `file`, of length `len`, ends in part of this append: those bytes are no acknowledged row.
    pub(super) fn is_torn(&self, file: &File, len: u64) -> io::Result<bool> {
        if len <= self.offset || len > self.offset + self.len || context(file, self.offset)? != self.context {
            return Ok(false);
        }
        if len < self.offset + self.len {
            return Ok(true);
        }
        Ok(fnv::hash(&read_range(file, self.offset, self.len)?) != self.sum)
    }

    fn to_text(self) -> String {
        let fields = format!("append {} {} {:016x} {:016x}", self.offset, self.len, self.sum, self.context);
        format!("{fields} {:016x}", fnv::hash(fields.as_bytes()))
    }

    fn parse(text: &str) -> Option<Self> {
        let (fields, sum) = text.trim_end().rsplit_once(' ')?;
        if u64::from_str_radix(sum, 16).ok()? != fnv::hash(fields.as_bytes()) {
            return None;
        }
        let mut words = fields.strip_prefix("append ")?.split(' ');
        Some(Self {
            offset: words.next()?.parse().ok()?,
            len: words.next()?.parse().ok()?,
            sum: u64::from_str_radix(words.next()?, 16).ok()?,
            context: u64::from_str_radix(words.next()?, 16).ok()?,
        })
    }
}

/// A checksum of the bytes that stand in `file` before `offset`.
pub(super) fn context(file: &File, offset: u64) -> io::Result<u64> {
    let from = offset.saturating_sub(CONTEXT_BYTES);
    Ok(fnv::hash(&read_range(file, from, offset - from)?))
}

impl IntentFile {
    /// Opens the note in `folder`.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE_NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(Self { file })
    }

    /// The append that was begun and not ended, if any.
    pub(super) fn pending(&self) -> io::Result<Option<Intent>> {
        read_pending(&self.file)
    }

    /// Notes an append that begins now.
    pub(super) fn begin(&self, intent: Intent) -> io::Result<()> {
        self.write(&intent.to_text())
    }

    /// Notes that the last append has ended, well or taken back.
    pub(super) fn end(&self) -> io::Result<()> {
        self.write("idle")
    }

    fn write(&self, text: &str) -> io::Result<()> {
        write_all_at(&self.file, format!("{text:<width$}\n", width = LEN - 1).as_bytes(), 0)
    }
}

/// The append in `folder`'s note, read without changing anything.
pub(super) fn peek(folder: &Path) -> Option<Intent> {
    read_pending(&File::open(folder.join(FILE_NAME)).ok()?).ok().flatten()
}

fn read_pending(file: &File) -> io::Result<Option<Intent>> {
    let mut bytes = [0; LEN];
    let len = read_up_to(file, &mut bytes, 0)?;
    Ok(bytes.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(Intent::parse))
}
