//! Rollups are made when days are finished, and not when the first reader waits for them.

use std::{sync::Arc, time::Duration};

use chrono::{Days, NaiveDate, Utc};
use llm_monitor_core::history::History;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The first probes and the first page come first.
const AFTER_START: Duration = Duration::from_secs(10);
const BETWEEN: Duration = Duration::from_secs(15 * 60);

/// Goes through the whole history once, then through its last days every quarter of an hour, until `stop`.
pub(crate) async fn keep_rolled_up(history: Arc<History>, stop: CancellationToken) {
    let mut since = None;
    let mut pause = AFTER_START;
    while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        pause = BETWEEN;
        match stop.run_until_cancelled(history.roll_up(since)).await {
            None => return,
            Some(Ok(days)) => {
                if days > 0 {
                    info!(days, "rollups of {days} finished days were made");
                }
                since = two_days_ago();
            }
            // Readers make what they need themselves.
            Some(Err(error)) => warn!(%error, "rollups of finished days could not be made: {error}; tried again later"),
        }
    }
}

fn two_days_ago() -> Option<NaiveDate> {
    Utc::now().date_naive().checked_sub_days(Days::new(2))
}
