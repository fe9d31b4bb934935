//! Rows that the store could not take before the program ends.

use llm_monitor_core::{record::csv, store::Backlog};
use tracing::{error, info};

/// Writes the rows that still wait. What cannot be written even now goes to a file in the system's temporary folder, and that
/// is said, so that nothing is lost in silence. Returns whether any could not be written to the store.
pub(crate) async fn write_or_say(store: &Backlog) -> bool {
    let left = store.flush().await;
    if left.is_empty() {
        return false;
    }
    let mut text = (csv::header_line() + "\n").into_bytes();
    let mut rows = 0;
    for record in left.iter().flat_map(|batch| &batch.records) {
        csv::encode(record, &mut text);
        rows += 1;
    }
    let name = format!("llm-monitor-unsaved-{}.csv", chrono::Utc::now().format("%Y%m%dT%H%M%SZ"));
    let path = std::env::temp_dir().join(name);
    error!(rows, "{rows} rows could not be written to the store");
    match std::fs::write(&path, &text) {
        Ok(()) => info!("the {rows} rows were saved to {}", path.display()),
        Err(error) => error!(%error, "{} cannot be written either: {error}; {rows} rows are lost", path.display()),
    }
    true
}
