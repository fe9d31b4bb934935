//! What rows are read from: a file, a packed file, standard input.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;

use crate::fresh;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// One file that was named, opened.
pub(super) struct Input {
    pub(super) name: String,
    /// Where its rows that cannot be read are set aside.
    pub(super) rejected_path: PathBuf,
    /// As it lies there; 0 where that is not known.
    pub(super) len: u64,
    raw: Box<dyn Read>,
}

impl Input {
    /// `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            // What came by a pipe may stand nowhere else: an older one stays.
            let rejected_path = fresh::free_name(Path::new("stdin.import.rejected"));
            return Ok(Self { name: "standard input".to_owned(), rejected_path, len: 0, raw: Box::new(io::stdin()) });
        }
        let cannot_read = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(cannot_read)?;
        let metadata = file.metadata().with_context(cannot_read)?;
        if metadata.is_dir() {
            bail!("{}: is a folder; name the files in it", path.display());
        }
        let mut rejected = path.as_os_str().to_owned();
        rejected.push(".import.rejected");
        Ok(Self {
            name: path.display().to_string(),
            rejected_path: PathBuf::from(rejected),
            len: metadata.len(),
            raw: Box::new(file),
        })
    }

    /// Its text, unpacked where it is packed.
    pub(super) fn text(&mut self, bar: &ProgressBar) -> io::Result<Box<dyn Read>> {
        let mut raw = bar.wrap_read(std::mem::replace(&mut self.raw, Box::new(io::empty())));
        let mut start = Vec::new();
        raw.by_ref().take(GZIP_MAGIC.len() as u64).read_to_end(&mut start)?;
        let is_packed = start == GZIP_MAGIC;
        let whole = Cursor::new(start).chain(raw);
        Ok(if is_packed { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
    }
}
