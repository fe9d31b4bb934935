//! One file or object, row by row.

use std::io::{self, Read};

use anyhow::{Context, Result};
use llm_monitor_core::record::csv::Reader;

use super::{Kind, Place, Problem, Report, doubles::Doubles};

/// How often progress is told, in lines.
const TOLD_EVERY: u64 = 4_096;

/// Rows are compared by way of temporary files.
const CANNOT_COMPARE: &str = "cannot compare the rows";

/// What is checked of every file, and what they share.
#[derive(Debug)]
pub(crate) struct Checks {
    pub(super) doubles: Doubles,
    pub(crate) report: Report,
}

impl Checks {
    pub(crate) fn new(report: Report) -> Self {
        Self { doubles: Doubles::new(), report }
    }

    /// When all files have been read. (Checks that need every row, like those of rollups against the rows, have their place
    /// here.)
    pub(crate) fn finish(self) -> Result<Report> {
        let Self { doubles, mut report } = self;
        doubles.finish(&mut report).context(CANNOT_COMPARE)?;
        Ok(report)
    }
}

/// How a file ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// Within a row.
    Torn(Problem),
    /// It could not be read to its end.
    Broken(Problem),
}

/// Reads `input`, which is called `name`. A torn end is returned, and not yet a problem: the file may just be growing.
/// `on_bytes` hears how many bytes have been read since it was last called.
pub(crate) fn check_file(
    checks: &mut Checks,
    name: &str,
    input: impl Read,
    mut on_bytes: impl FnMut(u64),
) -> Result<End> {
    let place = Place::of_path(name);
    let Checks { doubles, report } = checks;
    doubles.begin_file(name);
    report.files += 1;
    let cannot_read = || format!("cannot read {name}");
    let mut reader = Reader::new(UntilBroken { input, error: None }).with_context(cannot_read)?;
    let mut misplaced: Option<(u64, String, u64)> = None;
    let mut end = End::Whole;
    let (mut lines, mut bytes) = (0, 0);
    let mut next_line = 1;
    while let Some(line) = reader.next_line().with_context(cannot_read)? {
        next_line = line.number + 1;
        lines += 1;
        bytes += line.text.len() as u64;
        if lines % TOLD_EVERY == 0 {
            on_bytes(std::mem::take(&mut bytes));
        }
        let problem = |kind, reason| Problem { kind, file: name.to_owned(), line: line.number, reason };
        match line.row {
            None => {}
            Some(Ok(_)) if !line.has_line_end && !line.is_full_length => {
                end = End::Torn(problem(Kind::TornEnd, "the file ends within this row".to_owned()));
            }
            Some(Ok(row)) => {
                report.rows.add(&row.environment, row.timestamp.date_naive(), 1);
                doubles.note(&row, line.number).context(CANNOT_COMPARE)?;
                if let Some(reason) = place.misplaced(&row) {
                    misplaced.get_or_insert((line.number, reason, 0)).2 += 1;
                }
            }
            Some(Err(reason)) if !line.has_line_end => {
                end = End::Torn(problem(Kind::TornEnd, format!("the file ends within this row ({reason})")));
            }
            Some(Err(reason)) => report.problem(problem(Kind::UnreadableRow, reason)),
        }
    }
    on_bytes(bytes);
    if let Some((line, reason, rows)) = misplaced {
        let others = if rows == 1 { String::new() } else { format!(", and {} more in this file", rows - 1) };
        let reason = format!("{reason} does not belong into this file{others}");
        report.problem(Problem { kind: Kind::MisplacedRow, file: name.to_owned(), line, reason });
    }
    if let Some(error) = &reader.get_ref().error {
        let reason = format!("the file cannot be read from here on: {error}");
        let line = if let End::Torn(torn) = &end { torn.line } else { next_line };
        end = End::Broken(Problem { kind: Kind::UnreadableFile, file: name.to_owned(), line, reason });
    }
    Ok(end)
}

/// Ends where reading fails, and keeps why: what stands before is checked all the same.
struct UntilBroken<R> {
    input: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for UntilBroken<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.input.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                self.error = Some(error);
                Ok(0)
            }
            read => read,
        }
    }
}
