//! How far long work has come: drawn on standard error, and only at a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Counts rows, of `total` where that is known.
pub(crate) fn rows(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => bar(total, "{spinner} {wide_bar} {human_pos}/{human_len} rows  {per_sec}  {eta} left  {msg}"),
        None => bar(0, "{spinner} {human_pos} rows  {per_sec}  {elapsed}  {wide_msg}"),
    }
}

/// Counts bytes, of `total` where that is known.
pub(crate) fn bytes(total: Option<u64>) -> ProgressBar {
    match total {
        Some(total) => bar(total, "{spinner} {wide_bar} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}"),
        None => bar(0, "{spinner} {bytes}  {bytes_per_sec}  {elapsed}  {wide_msg}"),
    }
}

/// Counts what `what` names, of `total`.
pub(crate) fn steps(total: u64, what: &str) -> ProgressBar {
    bar(total, &format!("{{spinner}} {{wide_bar}} {{human_pos}}/{{human_len}} {what}  {{eta}} left  {{msg}}"))
}

fn bar(total: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
