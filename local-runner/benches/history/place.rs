//! Histories in temporary folders.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Days, Utc};
use llm_monitor::mock_history::{self, Layout, Plan};
use tempfile::TempDir;

/// A made-up history on disk.
pub(super) struct Place {
    folder: TempDir,
    pub(super) rows: usize,
    /// All rows are older.
    pub(super) until: DateTime<Utc>,
}

impl Place {
    /// `days` days of `models` models in four environments; only the first `rows` rows where that is said.
    pub(super) fn make(layout: Layout, days: u32, models: usize, rows: Option<i64>) -> Self {
        let mut plan = plan(days, models);
        if let Some(rows) = rows {
            plan.from = plan.to - plan.interval * i32::try_from(rows / (4 * models.cast_signed() as i64)).expect("few");
        }
        Self::of(layout, &plan)
    }

    /// The same in `environments`.
    pub(super) fn make_of(layout: Layout, days: u32, models: usize, environments: &[&str]) -> Self {
        let environments = environments.iter().map(|name| name.parse().expect("a name")).collect();
        Self::of(layout, &Plan { environments, ..plan(days, models) })
    }

    fn of(layout: Layout, plan: &Plan) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let out = match layout {
            Layout::Csv => folder.path().join("latency_data.csv"),
            Layout::Days | Layout::S3 => folder.path().join("history"),
        };
        let written = mock_history::write(plan, layout, &out, |_| {}).expect("written");
        Self { folder, rows: written.rows as usize, until: plan.to }
    }

    pub(super) fn folder(&self) -> PathBuf {
        let nested = self.folder.path().join("history");
        if nested.is_dir() { nested } else { self.folder.path().to_owned() }
    }

    pub(super) fn file(&self) -> PathBuf {
        file_in(&self.folder())
    }
}

pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join("latency_data.csv")
}

/// Up to yesterday's end: every day but the last is finished.
fn plan(days: u32, models: usize) -> Plan {
    let today = Utc::now().date_naive().checked_sub_days(Days::new(1)).expect("a day");
    Plan::of_days(days, models, today.and_time(chrono::NaiveTime::MIN).and_utc())
}
