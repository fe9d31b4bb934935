//! Files that are not there, or there whole: written under another name in the same folder.

use std::{
    io, iter,
    path::{Path, PathBuf},
};

use tempfile::{Builder, NamedTempFile};

/// A file in the folder of `path`, to take that name when it is whole; gone if it never does. As readable as any new file.
pub(crate) fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".llm-monitor-");
    #[cfg(unix)]
    {
        use std::{fs::Permissions, os::unix::fs::PermissionsExt};
        // The umask takes away from these.
        builder.permissions(Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder_of(path))
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// `path`, or, where that name is taken, it with the first number after it that is free.
pub(crate) fn free_name(path: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let names = iter::once(path.to_owned()).chain((2..).map(numbered));
    names.into_iter().find(|name| name.symlink_metadata().is_err()).unwrap_or_else(|| path.to_owned())
}
