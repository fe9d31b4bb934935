//! Rows that the store could not take before the program ends.

use llm_monitor_core::{record::csv, store::Backlog};
use tracing::error;

/// Writes the rows that still wait. What cannot be written even now goes to a file in the system's temporary folder, and that
/// is said, so that nothing is lost in silence. Returns whether any could not be written to the store.
pub(crate) async fn write_or_say(store: &Backlog) -> bool {
    let Err(left) = store.flush().await else { return false };
    let mut text = (csv::header_line() + "\n").into_bytes();
    for record in store.waiting_records() {
        csv::encode(&record, &mut text);
    }
    let rows = left.rows;
    let (now, pid) = (chrono::Utc::now().format("%Y%m%dT%H%M%SZ"), std::process::id());
    let name = format!("llm-monitor-unsaved-{now}-{pid}.csv");
    let path = std::env::temp_dir().join(name);
    match std::fs::write(&path, &text) {
        Ok(()) => error!(rows, "{left}; they were saved to {}", path.display()),
        Err(error) => {
            error!(rows, %error, "{left}; {} cannot be written either: {error}; they are lost", path.display());
        }
    }
    true
}
