//! `latency_data.d/`: what the usage endpoint said, the last good catalogs, and rollups.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use chrono::NaiveDate;

use super::{aside::with_suffix, days::Stamp, disk::sync_folder_of};
use crate::{record::Environment, store::usage_day};

/// The folder beside `path` (`latency_data.csv`): `latency_data.d`.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        path.with_extension("d")
    } else {
        with_suffix(path, ".d")
    }
}

/// Where a day's usage report of `environment` is.
pub(super) fn usage_path(folder: &Path, environment: &Environment, day: NaiveDate) -> PathBuf {
    folder.join("usage").join(format!("environment={environment}")).join(format!("date={day}.csv"))
}

/// The days of which there is a usage file of `environment`, and what tells the file's content from another.
pub(super) fn usage_files(folder: &Path, environment: &Environment) -> io::Result<BTreeMap<NaiveDate, String>> {
    let mut files = BTreeMap::new();
    let entries = match fs::read_dir(folder.join("usage").join(format!("environment={environment}"))) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Some(day) = entry.file_name().to_str().and_then(usage_day) else { continue };
        // Followed where it is a link: it is what will be read.
        match fs::metadata(entry.path()) {
            Ok(metadata) => drop(files.insert(day, Stamp::of(&metadata).identity())),
            // Deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

/// Where a day's rollup of `environment` is.
pub(super) fn rollup_path(folder: &Path, environment: &Environment, day: NaiveDate) -> PathBuf {
    folder.join("rollups").join(format!("environment={environment}")).join(format!("date={day}.csv"))
}

/// The environments that have rollups.
pub(super) fn rollup_environments(folder: &Path) -> io::Result<Vec<Environment>> {
    let entries = match fs::read_dir(folder.join("rollups")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("environment=")?.parse().ok();
    Ok(entries.flatten().filter_map(name).collect())
}

/// Where the catalog of `environment` is.
pub(super) fn catalog_path(folder: &Path, environment: &Environment) -> PathBuf {
    folder.join("catalog").join(format!("environment={environment}.json"))
}

/// The file's content, if there is one.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts `bytes` in the place of the file: a reader sees the old ones or the new ones, also after a crash.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new_path = with_suffix(path, ".new");
    let written = File::create(&new_path).and_then(|mut new| {
        new.write_all(bytes)?;
        new.sync_all()
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&new_path);
        return Err(error);
    }
    fs::rename(&new_path, path)?;
    sync_folder_of(path)
}

/// Adds `rows` to the file, which begins with `header_line` if it is new. Rows that fail to be written leave nothing behind.
pub(super) fn append(path: &Path, header_line: &str, rows: &[u8]) -> io::Result<()> {
    let begin = || replace(path, &[header_line.as_bytes(), b"\n", rows].concat());
    let mut file = match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return begin(),
        Err(error) => return Err(error),
    };
    let len = file.seek(SeekFrom::End(0))?;
    if len == 0 {
        return begin();
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    // A torn last line stays a line of its own.
    let line_end: &[u8] = if last == *b"\n" { b"" } else { b"\n" };
    let written = file.write_all(&[line_end, rows].concat()).and_then(|()| file.sync_data());
    if written.is_err() {
        let _ = file.set_len(len);
    }
    written
}
