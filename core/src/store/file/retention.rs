//! `RETENTION_DAYS`: the only thing that ever deletes.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use chrono::{Days as DayCount, NaiveDate};

use super::{
    Shared,
    day_name::DayName,
    disk::{read_error, write_error},
    lock,
    scan::scan,
};
use crate::{record::csv::Cell, store::StoreError};

/// Folders with a folder for each environment, in which files are named by day.
const BY_ENVIRONMENT: [&str; 2] = ["rollups", "usage"];

impl Shared {
    /// Deletes files of days that are more than `retention_days` before the newest day that is not in the future, and says
    /// which. The day is that of the newest rows: a clock gone wrong deletes nothing by itself.
    pub(super) fn delete_old_days(&self, retention_days: u32, today: NaiveDate) -> Result<(), StoreError> {
        let view = self.view();
        let (days, in_file) = (view.days.clone(), view.index.latest().map(|newest| newest.date_naive()));
        drop(view);
        let files = days.files()?;
        let newest = files.last().map(|file| file.name.day).max(in_file).map(|newest| newest.min(today));
        let first_kept = newest.and_then(|newest| newest.checked_sub_days(DayCount::new(u64::from(retention_days))));
        let Some(first_kept) = first_kept else { return Ok(()) };
        // Figures go before the rows that they were made of.
        let _one_at_a_time = lock(&self.sidecar);
        let old = old_by_environment(&days.folder, first_kept).map_err(|error| read_error(&days.folder, &error))?;
        for path in old {
            self.delete(&path, retention_days, count_lines)?;
        }
        for file in files.iter().filter(|file| file.name.day < first_kept) {
            self.delete(&file.name.path(&days.folder), retention_days, count_rows)?;
        }
        days.forget();
        Ok(())
    }

    fn delete(
        &self,
        path: &Path,
        retention_days: u32,
        count: impl Fn(&File) -> io::Result<u64>,
    ) -> Result<(), StoreError> {
        let file = path.display();
        // What cannot be counted can be deleted all the same.
        let opened = File::open(path);
        let rows = opened.as_ref().ok().and_then(|file| count(file).ok());
        let bytes = opened.and_then(|file| file.metadata()).map_or(0, |metadata| metadata.len());
        let removed = (self.place.gate)("delete").and_then(|()| fs::remove_file(path));
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(write_error(path, &error)),
            _ => {}
        }
        let rows = rows.map_or_else(|| "unknown".to_owned(), |rows| rows.to_string());
        tracing::info!(%file, %rows, bytes, "RETENTION_DAYS={retention_days}: deleted {file}: {rows} rows, {bytes} bytes");
        Ok(())
    }
}

/// Files like `usage/environment=E/date=D.csv` of days before `first_kept`.
fn old_by_environment(folder: &Path, first_kept: NaiveDate) -> io::Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for environments in BY_ENVIRONMENT.map(|name| folder.join(name)) {
        for environment in entries(&environments)? {
            let name = environment.file_name();
            if !name.is_some_and(|name| name.to_string_lossy().starts_with("environment=")) {
                continue;
            }
            old.extend(entries(&environment)?.into_iter().filter(|path| {
                let name = path.file_name().and_then(|name| name.to_str()).and_then(DayName::parse);
                name.is_some_and(|name| !name.is_late && name.day < first_kept) && path.is_file()
            }));
        }
    }
    old.sort();
    Ok(old)
}

/// What is in a folder; nothing if it is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn count_rows(file: &File) -> io::Result<u64> {
    let mut rows = 0;
    let mut scanner = scan(file, file.metadata()?.len())?;
    while let Some(item) = scanner.next_item()? {
        rows += u64::from(matches!(item.cell, Cell::Row(_)));
    }
    Ok(rows)
}

/// Lines below the header.
fn count_lines(mut file: &File) -> io::Result<u64> {
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = 0_u64;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(lines.saturating_sub(1));
        }
        lines += memchr::memchr_iter(b'\n', buffer.get(..read).unwrap_or_default()).count() as u64;
    }
}
