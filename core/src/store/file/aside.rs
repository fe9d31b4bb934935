//! `latency_data.csv.rejected`: what could not be kept in the file, with the reason. Nothing is dropped in silence.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use chrono::{SecondsFormat, Utc};

use super::disk::read_up_to;

/// `path` with `suffix` after its name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Where rows of `path` are set aside.
pub(super) fn rejected_path(path: &Path) -> PathBuf {
    with_suffix(path, ".rejected")
}

/// A piece of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) offset: u64,
    pub(super) len: u64,
    /// The line on which it begins; `None` where that is not known.
    pub(super) line: Option<u64>,
    pub(super) reason: &'a str,
}

/// Copies a piece of `file` to `out`, below a comment that says when it was set aside, where it stood and why.
pub(super) fn copy_piece(file: &File, piece: Piece<'_>, out: &mut impl Write) -> io::Result<()> {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    let line = piece.line.map_or_else(|| format!("byte {}", piece.offset), |line| format!("line {line}"));
    writeln!(out, "# {now} {line}: {}", piece.reason)?;
    let mut buffer = vec![0; piece.len.min(64 * 1024) as usize];
    let mut copied = 0;
    let mut ends_line = true;
    while copied < piece.len {
        let wanted = (piece.len - copied).min(buffer.len() as u64) as usize;
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let read = read_up_to(file, buffer, piece.offset + copied)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        out.write_all(bytes)?;
        ends_line = bytes.ends_with(b"\n");
        copied += read as u64;
    }
    if !ends_line {
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Copies a piece of `file`, which is at `path`, to its `.rejected` and flushes it, so that it can be cut from the file.
pub(super) fn set_aside(path: &Path, file: &File, piece: Piece<'_>) -> io::Result<()> {
    add_to_rejected(path, |out| {
        let mut out = BufWriter::new(out);
        copy_piece(file, piece, &mut out)?;
        out.flush()
    })
}

/// Adds to `path`'s `.rejected` all that `write` writes, on the disk when this returns; where it fails, nothing.
pub(super) fn add_to_rejected(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let rejected = rejected_path(path);
    let mut out = OpenOptions::new().create(true).append(true).open(&rejected)?;
    let len = out.metadata()?.len();
    let written = write(&mut out).and_then(|()| out.sync_all());
    if written.is_err() {
        // It is tried again, and then adds all of it.
        let _ = if len == 0 { fs::remove_file(&rejected) } else { out.set_len(len) };
    }
    written
}
