//! A file's rows by day, and what of it is no row.

use std::{
    io::{self, BufWriter, ErrorKind, Read, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use chrono::{NaiveDate, SecondsFormat, Utc};
use indicatif::ProgressBar;
use llm_monitor_core::{
    record::{
        Environment, Record,
        csv::{self, Line, Reader},
    },
    store::StoreError,
};
use tempfile::NamedTempFile;

use super::input::Input;
use crate::{fresh, spill::Spill};

/// Lines that are kept for the report; the others are counted.
const KEPT: usize = 10_000;
/// A file that begins with so many lines of which none is a row is no latency data.
const UNREADABLE_AT_MOST: u64 = 1_000;

/// What was in a file.
#[derive(Debug)]
pub(super) struct Sorted {
    pub(super) days: Spill<NaiveDate>,
    pub(super) rows: u64,
    pub(super) rejected: u64,
    /// The first lines that could not be read, and why.
    pub(super) problems: Vec<(u64, String)>,
    /// Where all of them were set aside.
    pub(super) set_aside: Option<PathBuf>,
}

impl Sorted {
    /// Reads `input` to its end. Rows that name no environment are of `environment`. Lines that are no row are copied to the
    /// input's own `.import.rejected` (in the working folder where nothing may be written beside it), unless this
    /// `is_rehearsal`.
    pub(super) fn read(
        input: &mut Input,
        environment: Option<&Environment>,
        is_rehearsal: bool,
        bar: &ProgressBar,
    ) -> Result<Self> {
        let name = input.name.clone();
        let cannot_read = || format!("cannot read {name}");
        let cannot_sort = || format!("cannot sort the rows of {name}");
        let mut sorted = Self { days: Spill::new(), rows: 0, rejected: 0, problems: Vec::new(), set_aside: None };
        let mut reader = Reader::new(input.text(bar).with_context(cannot_read)?).with_context(cannot_read)?;
        let mut rejects = Rejects { path: input.rejected_path.clone(), file: None, is_rehearsal };
        let mut row = Vec::with_capacity(1024);
        while let Some(line) = reader.next_line().with_context(cannot_read)? {
            let names_environment = line.names_environment;
            match &line.row {
                None => {}
                Some(Ok(_)) if !line.has_line_end && !line.is_full_length => {
                    let reason = "the file ends within this row".to_owned();
                    sorted.reject(&line, reason, &mut rejects)?;
                }
                Some(Err(reason)) => sorted.reject(&line, reason.clone(), &mut rejects)?,
                Some(Ok(_)) => {
                    let Some(Ok(read)) = line.row else { continue };
                    let mut record = read.into_record();
                    if let Some(environment) = environment.filter(|_| !names_environment) {
                        record.environment = environment.clone();
                    }
                    row.clear();
                    csv::encode(&record, &mut row);
                    sorted.days.push(&record.timestamp.date_naive(), &row).with_context(cannot_sort)?;
                    sorted.rows += 1;
                }
            }
            if sorted.rows == 0 && sorted.rejected >= UNREADABLE_AT_MOST {
                bail!("{name} is no latency data: none of its first {UNREADABLE_AT_MOST} lines is a row");
            }
        }
        sorted.set_aside = rejects.finish()?;
        Ok(sorted)
    }

    fn reject(&mut self, line: &Line<'_>, reason: String, rejects: &mut Rejects) -> Result<()> {
        rejects.write(line, &reason).map_err(|error| StoreError::of_write(&rejects.path, &error))?;
        self.rejected += 1;
        if self.problems.len() < KEPT {
            self.problems.push((line.number, reason));
        }
        Ok(())
    }

    /// The rows of one day, which are taken out.
    pub(super) fn take(&mut self, day: NaiveDate) -> io::Result<DayRows> {
        // As they stand there they have our columns, and no header.
        Ok(DayRows(Reader::new(self.days.take(&day)?)?))
    }
}

/// Rows that were sorted.
pub(super) struct DayRows(Reader<Box<dyn Read + Send>>);

impl DayRows {
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        while let Some(line) = self.0.next_line()? {
            if let Some(Ok(row)) = line.row {
                return Ok(Some(row.into_record()));
            }
        }
        Ok(None)
    }
}

/// The file of lines that are no rows, begun when the first is met; it takes its name when it is whole.
struct Rejects {
    path: PathBuf,
    file: Option<BufWriter<NamedTempFile>>,
    is_rehearsal: bool,
}

impl Rejects {
    fn write(&mut self, line: &Line<'_>, reason: &str) -> io::Result<()> {
        if self.is_rehearsal {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::new(begin(&mut self.path)?)),
        };
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        writeln!(file, "# {now} line {}: {reason}", line.number)?;
        file.write_all(line.text)?;
        if line.text.ends_with(b"\n") { Ok(()) } else { file.write_all(b"\n") }
    }

    /// The file's path, if there is any.
    fn finish(self) -> Result<Option<PathBuf>> {
        let Self { path, file: Some(file), .. } = self else { return Ok(None) };
        let written = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| {
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        });
        written.map_err(|error| StoreError::of_write(&path, &error))?;
        Ok(Some(path))
    }
}

/// A file to take the name `path`, or, where its folder is closed for writing (an archive), one in the working folder.
fn begin(path: &mut PathBuf) -> io::Result<NamedTempFile> {
    match fresh::beside(path) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            let Some(name) = path.file_name() else { return Err(error) };
            let here = fresh::free_name(Path::new(name));
            // The folder that was wanted is the one to tell of.
            let file = fresh::beside(&here).map_err(|_| error)?;
            *path = here;
            Ok(file)
        }
        begun => begun,
    }
}
