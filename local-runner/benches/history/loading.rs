//! Text into memory: rows a second and bytes a row.

use std::{fs, time::Instant};

use chrono::{DateTime, Utc};
use llm_monitor_core::record::{Table, csv as codec};
use serde::Deserialize;
use stats_alloc::Region;
use tokio::runtime::Runtime;

use super::{ALLOCATOR, Line, place::Place, serving};

const SEGMENT_BYTES: usize = 1024 * 1024;
const RUNS: usize = 5;

/// Loads `place` as a server does when its first reader comes, and its text on one thread, by column and by csv and serde.
pub(super) fn measure(place: &Place, runtime: &Runtime) -> Vec<Line> {
    let (text, rows) = (&*fs::read(place.file()).expect("readable"), place.rows);
    let segments = segments(text);
    let count = |segment: &Vec<u8>| codec::decode_table(segment, 2).0.len();
    // Turn by turn, so that what else the machine does falls on both.
    let (mut plain, mut by_column, mut served) = (f64::MAX, f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        served = served.min(runtime.block_on(serving::load(place)));
        plain = plain.min(seconds(rows, || csv::Reader::from_reader(text).deserialize::<Plain>().flatten().count()));
        by_column = by_column.min(seconds(rows, || segments.iter().map(count).sum()));
    }
    let region = Region::new(ALLOCATOR);
    let tables: Vec<Table> = segments.iter().map(|segment| codec::decode_table(segment, 2).0).collect();
    let change = region.change();
    let bytes = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    drop(tables);
    let (million, bytes_per_row) = (rows as f64 / 1e6, bytes / rows as f64);
    vec![
        Line::new(
            format!("load and index {million:.1} million rows from disk, as `serve` does"),
            format!("{:.2} million rows/s", million / served),
            format!("{:.1} x csv + serde into structs ({:.2} million rows/s)", plain / served, million / plain),
            plain / served >= 3.0,
            "3 x",
        ),
        Line::new(
            "the same on one thread, from memory, not indexed".to_owned(),
            format!("{:.2} million rows/s", million / by_column),
            format!("{:.1} x csv + serde", plain / by_column),
            true,
            "-",
        ),
        Line::new(
            "memory of a row".to_owned(),
            format!("{bytes_per_row:.0} bytes"),
            String::new(),
            bytes_per_row < 100.0,
            "100 bytes",
        ),
    ]
}

fn seconds(rows: usize, run: impl FnOnce() -> usize) -> f64 {
    let start = Instant::now();
    assert_eq!(run(), rows, "every row is read");
    start.elapsed().as_secs_f64()
}

/// The text in pieces as the store gives them out: each below a header of its own.
fn segments(text: &[u8]) -> Vec<Vec<u8>> {
    let header_len = text.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (header, mut rest) = text.split_at(header_len);
    let mut segments = Vec::new();
    while !rest.is_empty() {
        let end = rest.get(SEGMENT_BYTES..).and_then(|behind| behind.iter().position(|byte| *byte == b'\n'));
        let (segment, behind) = rest.split_at(end.map_or(rest.len(), |end| SEGMENT_BYTES + end + 1));
        segments.push([header, segment].concat());
        rest = behind;
    }
    segments
}

/// What a careful user of the `csv` crate would write.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "read to be measured")]
struct Plain {
    model_name: String,
    environment: String,
    timestamp: DateTime<Utc>,
    latency_ms: Option<f64>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost: Option<f64>,
    context_window: Option<u64>,
    is_cloud: Option<bool>,
    status: String,
    cycle_id: Option<String>,
    provider: Option<String>,
    simulated: bool,
    location: Option<String>,
    start_delay_ms: Option<f64>,
    connect_ms: Option<f64>,
    ttft_ms: Option<f64>,
    ttfa_ms: Option<f64>,
    tpot_ms: Option<f64>,
    max_gap_ms: Option<f64>,
    cached_input_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    token_source: Option<String>,
    http_status: Option<u16>,
    error_kind: Option<String>,
    error_message: Option<String>,
    served_model: Option<String>,
    finish_reason: Option<String>,
    dns_ms: Option<f64>,
    tls_ms: Option<f64>,
    ttfb_ms: Option<f64>,
    client_delay_ms: Option<f64>,
    load_ms: Option<f64>,
}
