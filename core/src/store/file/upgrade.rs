//! A file of another age, rewritten once in our columns.
//!
//! Crash-safe at any instant: the new file is complete and on the disk before it takes the name, the original keeps a name
//! of its own, and a restart in between begins again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::Utc;

use super::{
    aside::{Piece, add_to_rejected, copy_piece, with_suffix},
    disk::{open_error, sync_folder_of},
    scan::scan,
};
use crate::{
    record::csv::{self, Cell},
    store::StoreError,
};

/// What an upgrade did.
#[derive(Debug)]
pub(super) struct Upgraded {
    /// The new file, locked.
    pub(super) file: Arc<File>,
    /// Rows that are in it.
    pub(super) rows: u64,
    /// Rows that could not be read; they are in `.rejected`.
    pub(super) rejected: u64,
    /// Where the original is.
    pub(super) original: PathBuf,
}

/// Rewrites `file`, which is at `path`, locked by us and `len` bytes long.
pub(super) fn upgrade(path: &Path, file: &File, len: u64) -> Result<Upgraded, StoreError> {
    rewrite(path, file, len).map_err(|error| {
        let _ = fs::remove_file(new_path(path));
        let _ = fs::remove_file(aside_path(path));
        open_error(path, "its columns are of an older version and it could not be rewritten", &error)
    })
}

fn new_path(path: &Path) -> PathBuf {
    with_suffix(path, ".upgrading")
}

/// Where unreadable rows wait until all are known.
fn aside_path(path: &Path) -> PathBuf {
    with_suffix(path, ".rejected.upgrading")
}

fn rewrite(path: &Path, file: &File, len: u64) -> io::Result<Upgraded> {
    let new_path = new_path(path);
    let new = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&new_path)?;
    // Before it takes the name: whoever opens the file after that finds it in use.
    new.try_lock()?;
    new.set_permissions(file.metadata()?.permissions())?;
    let (rows, rejected) = copy_rows(path, file, len, &new)?;
    new.sync_all()?;
    let original = keep_original(path)?;
    fs::rename(&new_path, path)?;
    sync_folder_of(path)?;
    Ok(Upgraded { file: Arc::new(new), rows, rejected, original })
}

fn copy_rows(path: &Path, file: &File, len: u64, new: &File) -> io::Result<(u64, u64)> {
    let (mut rows, mut rejected) = (0, 0);
    let mut out = BufWriter::with_capacity(256 * 1024, new);
    let aside_path = aside_path(path);
    let mut aside: Option<BufWriter<File>> = None;
    let mut text = Vec::new();
    writeln!(out, "{}", csv::header_line())?;
    let mut scanner = scan(file, len)?;
    while let Some(item) = scanner.next_item()? {
        match item.cell {
            Cell::Row(row) => {
                text.clear();
                csv::encode(&row.into_record(), &mut text);
                out.write_all(&text)?;
                rows += 1;
            }
            Cell::Problem(reason) => {
                let piece = Piece { offset: item.offset, len: item.len, line: Some(item.line), reason: &reason };
                if aside.is_none() {
                    aside = Some(BufWriter::new(File::create(&aside_path)?));
                }
                if let Some(aside) = &mut aside {
                    copy_piece(file, piece, aside)?;
                }
                rejected += 1;
            }
            Cell::Blank | Cell::Header | Cell::End => {}
        }
    }
    out.flush()?;
    if let Some(aside) = aside {
        aside.into_inner().map_err(io::IntoInnerError::into_error)?;
        add_to_rejected(path, |all| io::copy(&mut File::open(&aside_path)?, all).map(drop))?;
        fs::remove_file(&aside_path)?;
    }
    Ok((rows, rejected))
}

/// Gives the original a second name, under which it stays when the new file takes the first.
fn keep_original(path: &Path) -> io::Result<PathBuf> {
    let stamp = Utc::now().format("%Y%m%dT%H%M%SZ");
    for attempt in 0..100 {
        let again = if attempt == 0 { String::new() } else { format!("-{attempt}") };
        let kept = with_suffix(path, &format!(".before-upgrade-{stamp}{again}"));
        match fs::hard_link(path, &kept) {
            Ok(()) => return Ok(kept),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // A file system without hard links.
            Err(_) if !kept.exists() => {
                let copied = fs::copy(path, &kept).and_then(|_| File::open(&kept)?.sync_all());
                if copied.is_err() {
                    let _ = fs::remove_file(&kept);
                }
                return copied.map(|()| kept);
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
