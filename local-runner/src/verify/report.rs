//! What was found.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{day_counts::DayCounts, output::say};

/// Problems that are kept for `--json`; the others are counted.
const KEPT_PROBLEMS: usize = 10_000;

/// What is wrong with a line or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// The file cannot be read, or not to its end.
    UnreadableFile,
    /// The row cannot be read.
    UnreadableRow,
    /// The file ends within a row.
    TornEnd,
    /// Same cycle or time, environment, model and location as another row.
    DuplicateRow,
    /// A cycle that probed the model twice.
    DoubleCycle,
    /// The row lies in the file of another environment, day or hour.
    MisplacedRow,
    /// An object larger than any that is read; none of its rows are.
    TooLarge,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::UnreadableFile => "unreadable files",
            Self::UnreadableRow => "unreadable rows",
            Self::TornEnd => "torn ends",
            Self::DuplicateRow => "duplicate rows",
            Self::DoubleCycle => "doubled cycles",
            Self::MisplacedRow => "misplaced rows",
            Self::TooLarge => "objects too large",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Problem {
    pub(crate) kind: Kind,
    pub(crate) file: String,
    /// The header is line 1.
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// What is there, and what of it is wrong.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) rows: DayCounts,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// What a person should know although nothing is wrong.
    pub(crate) notes: Vec<String>,
    counts: BTreeMap<Kind, u64>,
    /// `None`: problems are printed when they are found, and not kept.
    kept: Option<Vec<Problem>>,
}

impl Report {
    /// One that keeps problems for [`json`](Self::json).
    pub(crate) fn keeping() -> Self {
        Self { kept: Some(Vec::new()), ..Self::default() }
    }

    pub(crate) fn problem(&mut self, problem: Problem) {
        *self.counts.entry(problem.kind).or_default() += 1;
        match &mut self.kept {
            Some(kept) if kept.len() < KEPT_PROBLEMS => kept.push(problem),
            Some(_) => {}
            None => say(format!("{} line {}: {}", problem.file, problem.line, problem.reason)),
        }
    }

    /// Rollups are made of records, and anew where they are damaged: that is a note and no problem.
    pub(crate) fn damaged_rollup(&mut self, name: &str) {
        self.notes.push(format!(
            "{name}: this rollup is of another version or not as it was written; it is made anew when it is next needed"
        ));
    }

    /// Whether every file was read to its end.
    pub(crate) fn is_whole(&self) -> bool {
        !self.counts.contains_key(&Kind::UnreadableFile)
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.counts.is_empty()
    }

    /// For a person: how much, of what, how good.
    pub(crate) fn print(&self, size: &str) {
        if self.rows.total() > 0 {
            say(self.rows.table().to_string());
        }
        for note in &self.notes {
            say(note);
        }
        let found: Vec<_> = self.counts.iter().map(|(kind, count)| format!("{}: {count}", kind.words())).collect();
        let verdict = if found.is_empty() { "no problems".to_owned() } else { found.join(", ") };
        let files = if self.files == 1 { "1 file".to_owned() } else { format!("{} files", self.files) };
        say(format!("{} rows in {files} ({size}): {verdict}", self.rows.total()));
    }

    /// For a program.
    pub(crate) fn json(&self) -> Value {
        json!({
            "rows": self.rows.total(),
            "files": self.files,
            "bytes": self.bytes,
            "environments": self.rows.json(),
            "problem_counts": self.counts,
            "problems": self.kept,
            "notes": self.notes,
        })
    }
}
