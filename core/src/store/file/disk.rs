//! Reading and writing at a place in a file, and the errors that come of it.

use std::{
    fmt::Debug,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::store::StoreError;

/// Passed before every step that changes the files of days, with the step's name: a seam, so that tests can fill the disk,
/// or end the process, between any two.
pub(super) type Gate = Arc<dyn Fn(&str) -> io::Result<()> + Send + Sync>;

/// A gate that lets all pass.
pub(super) fn open_gate() -> Gate {
    Arc::new(|_| Ok(()))
}

/// What an append does to the file: a seam, so that tests can fill the disk.
pub(super) trait Disk: Debug + Send {
    /// Writes all of `bytes` from `offset` on.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Returns when what has been written is on the disk.
    fn sync_data(&mut self) -> io::Result<()>;
    /// Cuts the file.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
}

impl Disk for Arc<File> {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        write_all_at(self, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(self, len)
    }
}

#[cfg(unix)]
pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

/// Fills `buffer` from `offset` on as far as the file goes; how many bytes that was.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match read_at(file, rest, offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The `len` bytes from `offset` on.
pub(super) fn read_range(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    if read_up_to(file, &mut bytes, offset)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// Tells a file from another one under the same name.
#[cfg(unix)]
pub(super) fn tag(metadata: &fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    format!("{:x}.{:x}", metadata.dev(), metadata.ino())
}

/// Tells a file from another one under the same name.
#[cfg(windows)]
pub(super) fn tag(metadata: &fs::Metadata) -> String {
    use std::os::windows::fs::MetadataExt as _;
    format!("{:x}", metadata.creation_time())
}

/// Makes a new name in `path`'s folder durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    if cfg!(unix)
        && let Some(folder) = path.parent()
    {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Copies `len` bytes of `file`, from `offset` on, to `out`.
pub(super) fn copy_range(file: &File, offset: u64, len: u64, out: &mut impl io::Write) -> io::Result<()> {
    let mut buffer = vec![0; len.min(256 * 1024) as usize];
    let mut copied = 0;
    while copied < len {
        let wanted = (len - copied).min(buffer.len() as u64) as usize;
        let chunk = buffer.get_mut(..wanted).unwrap_or_default();
        if read_up_to(file, chunk, offset + copied)? < wanted {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(chunk)?;
        copied += wanted as u64;
    }
    Ok(())
}

/// A failure that concerns the rows in hand: they can be written later.
pub(super) fn write_error(path: &Path, error: &io::Error) -> StoreError {
    let location = path.display().to_string();
    if is_full(error) {
        return StoreError::Full { location };
    }
    StoreError::Unavailable { location, problem: format!("cannot be written: {error}{}", remedy(path, error)) }
}

impl StoreError {
    /// Why `path`, any file of this machine, could not be written, and what to do.
    pub fn of_write(path: &Path, error: &io::Error) -> Self {
        write_error(path, error)
    }
}

/// Whether there is no room: on the device, within a quota, or within the process's limit of file sizes.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// What to do where `path` may not be written: which file or folder needs which permission.
fn remedy(path: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let folder = nearest_folder(path);
            let beside = if path.is_file() { format!("{} and on ", path.display()) } else { String::new() };
            format!(
                "; the user that runs llm-monitor needs write permission on {beside}the folder {}; give it, or use another place",
                folder.display()
            )
        }
        io::ErrorKind::ReadOnlyFilesystem => "; mount it writable, or use another place".to_owned(),
        _ => String::new(),
    }
}

/// `path`, if it is a folder, or the folder above it that is there.
pub(super) fn nearest_folder(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute.ancestors().find(|place| place.is_dir()).unwrap_or(path).to_owned()
}

/// A failure to read.
pub(super) fn read_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable { location: path.display().to_string(), problem: format!("cannot be read: {error}") }
}

/// A place that cannot be used at all.
pub(super) fn unusable(path: &Path, problem: impl Into<String>) -> StoreError {
    StoreError::Unusable { location: path.display().to_string(), problem: problem.into() }
}

/// A failure while opening: a full disk is said as such, all else makes the place unusable.
pub(super) fn open_error(path: &Path, what: &str, error: &io::Error) -> StoreError {
    match write_error(path, error) {
        full @ StoreError::Full { .. } => full,
        _ => unusable(path, format!("{what}: {error}{}", remedy(path, error))),
    }
}
