//! Text into memory: rows a second and bytes a row.

use std::{fs, time::Instant};

use chrono::{DateTime, Utc};
use llm_monitor_core::record::csv as codec;
use serde::Deserialize;
use stats_alloc::Region;
use tokio::runtime::Runtime;

use super::{
    ALLOCATOR, Line,
    place::Place,
    serving::{self, MEMORY_LIMIT_BYTES},
};

const SEGMENT_BYTES: usize = 1024 * 1024;
const RUNS: usize = 5;

/// Loads `place` as a server does when its first reader comes, and its text on one core, by column and by csv and serde.
pub(super) fn measure(place: &Place, runtime: &Runtime) -> Vec<Line> {
    const ROOMY_BYTES: usize = 2 * MEMORY_LIMIT_BYTES;
    let (text, rows) = (&*fs::read(place.file()).expect("readable"), place.rows);
    let segments = segments(text);
    let count = |segment: &Vec<u8>| codec::decode_table(segment, 2).0.len();
    let load = |limit_bytes| runtime.block_on(serving::load(place, limit_bytes)).0;
    // Turn by turn, so that what else the machine does falls on all.
    let [mut served, mut roomy, mut by_column, mut plain] = [f64::MAX; 4];
    for _ in 0..RUNS {
        served = served.min(load(MEMORY_LIMIT_BYTES));
        roomy = roomy.min(load(ROOMY_BYTES));
        by_column = by_column.min(seconds(rows, || segments.iter().map(count).sum()));
        plain = plain.min(seconds(rows, || csv::Reader::from_reader(text).deserialize::<Plain>().flatten().count()));
    }
    let decode = || segments.iter().map(|segment| codec::decode_table(segment, 2).0).collect::<Vec<_>>();
    let (of_tables, _) = held_bytes(decode);
    let (held, _) = held_bytes(|| runtime.block_on(serving::load(place, ROOMY_BYTES)).1);
    assert!(held < ROOMY_BYTES as f64, "every row is kept: {held} bytes");
    let million = rows as f64 / 1e6;
    let bytes_per_row = |bytes: f64| bytes / rows as f64;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let speed = |what: String, took: f64| {
        let ratio = format!("{:.1} x csv + serde into structs on one core", plain / took);
        Line::new(what, format!("{:.2} million rows/s", million / took)).compared(ratio)
    };
    vec![
        speed(
            format!(
                "open, index and load {million:.1} million rows from disk, on {cores} cores, in 128 MiB, which hold all of them"
            ),
            roomy,
        )
        .goal("3 x", &[Some(plain / roomy >= 3.0)]),
        speed("the same in 64 MiB, as `serve` has by default: a third of the rows is decoded twice".to_owned(), served),
        speed("the same text on one core, from memory, not indexed".to_owned(), by_column),
        Line::new(
            "csv + serde into structs, on one core, from memory",
            format!("{:.2} million rows/s", million / plain),
        ),
        Line::new(
            "a row in memory, once all are loaded, with index and order",
            format!("{:.0} bytes", bytes_per_row(held)),
        )
        .compared(format!("{:.0} bytes in a decoded table alone", bytes_per_row(of_tables)))
        .goal("100 bytes", &[Some(bytes_per_row(held) < 100.0)]),
    ]
}

/// What is allocated for what `make` gives, for as long as that lives.
fn held_bytes<T>(make: impl FnOnce() -> T) -> (f64, T) {
    let region = Region::new(ALLOCATOR);
    let made = make();
    let change = region.change();
    (change.bytes_allocated as f64 - change.bytes_deallocated as f64, made)
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
