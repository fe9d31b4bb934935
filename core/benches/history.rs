//! How fast a history is loaded, and what it takes.
//!
//! `cargo bench -p llm-monitor-core --bench history` prints rows/s and bytes/row of loading a million rows, as a multiple of
//! the `csv` crate deserialising the same text into structs by serde. Exits 1 when a row takes 100 bytes or more, which does
//! not depend on the machine.
#![allow(clippy::print_stdout, clippy::expect_used)] // a program for a developer's eyes

use std::{
    alloc::System,
    process::ExitCode,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use llm_monitor_core::record::{CycleId, ErrorKind, Failure, Outcome, Record, TokenSource, csv as codec};
use rust_decimal::Decimal;
use serde::Deserialize;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROWS: usize = 1_000_000;
const SEGMENT_BYTES: usize = 1024 * 1024;
const RUNS: usize = 5;
const BYTES_PER_ROW_MAX: f64 = 100.0;

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

/// 40 pairs of model and environment, once a minute.
fn history(random: &mut fastrand::Rng) -> Vec<u8> {
    let start = DateTime::parse_from_rfc3339("2026-11-01T00:00:00Z").expect("a time").to_utc();
    let mut text = codec::header_line().into_bytes();
    text.push(b'\n');
    let mut written = 0;
    for minute in 0.. {
        let due = start + TimeDelta::minutes(minute);
        for environment in ["dev", "test", "qa", "prod"] {
            for model in 0..10 {
                if written == ROWS {
                    return text;
                }
                written += 1;
                codec::encode(&record(random, due, environment, model), &mut text);
            }
        }
    }
    text
}

fn record(random: &mut fastrand::Rng, due: DateTime<Utc>, environment: &str, model: u32) -> Record {
    let mut ms = |from: f64, to: f64| Some((from + random.f64() * (to - from) * 1e3).round() / 1e3);
    let environment = environment.parse().expect("a name");
    let mut record = Record::new(format!("model-{model}-2026-11-24"), environment, due + TimeDelta::milliseconds(7));
    record.context_window = Some(128_000);
    record.is_cloud = Some(true);
    record.cycle_id = Some(CycleId::at(due));
    record.provider = Some("openai".to_owned());
    record.location = Some("eu-west-1".to_owned());
    record.start_delay_ms = ms(0.0, 3.0);
    record.connect_ms = ms(10.0, 40.0);
    record.dns_ms = ms(1.0, 5.0);
    record.tls_ms = ms(5.0, 20.0);
    record.client_delay_ms = ms(0.0, 1.0);
    if random.u8(..) == 0 {
        record.outcome = Outcome::Error(Failure::new(ErrorKind::ServerError, "the provider answered 500"));
        record.http_status = Some(500);
        return record;
    }
    let mut ms = |from: f64, to: f64| Some((from + random.f64() * (to - from) * 1e3).round() / 1e3);
    record.ttfb_ms = ms(150.0, 300.0);
    record.ttft_ms = ms(300.0, 900.0);
    record.ttfa_ms = record.ttft_ms;
    record.latency_ms = ms(900.0, 4_000.0);
    record.tpot_ms = ms(5.0, 30.0);
    record.max_gap_ms = ms(20.0, 300.0);
    record.input_tokens = Some(126);
    record.output_tokens = Some(random.u64(90..=128));
    record.cached_input_tokens = Some(0);
    record.cost = record.output_tokens.map(|tokens| Decimal::new(i64::try_from(tokens * 6 + 189).unwrap_or(0), 7));
    record.token_source = Some(TokenSource::Provider);
    record.http_status = Some(200);
    record.served_model = Some(format!("model-{model}-2026-11-24-preview"));
    record.finish_reason = Some("stop".to_owned());
    record
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

fn best(mut run: impl FnMut() -> usize) -> Duration {
    let time = |_| {
        let start = Instant::now();
        assert_eq!(run(), ROWS);
        start.elapsed()
    };
    (0..RUNS).map(time).min().unwrap_or_default()
}

fn main() -> ExitCode {
    let text = history(&mut fastrand::Rng::with_seed(1));
    let segments = segments(&text);
    println!("{ROWS} rows, {:.0} MB in {} segments", text.len() as f64 / 1e6, segments.len());

    let serde = best(|| csv::Reader::from_reader(&*text).deserialize::<Plain>().flatten().count());
    let loaded = best(|| segments.iter().map(|segment| codec::decode_table(segment, 2).0.len()).sum());
    let region = Region::new(ALLOCATOR);
    let tables: Vec<_> = segments.iter().map(|segment| codec::decode_table(segment, 2).0).collect();
    let change = region.change();
    let held = change.bytes_allocated as f64 - change.bytes_deallocated as f64;
    let told: usize = tables.iter().map(llm_monitor_core::record::Table::bytes).sum();

    let rate = |time: Duration| ROWS as f64 / time.as_secs_f64() / 1e6;
    println!("csv and serde into structs: {:.2} million rows/s", rate(serde));
    println!("loaded by column:           {:.2} million rows/s", rate(loaded));
    println!("ratio:                      {:.1} x", serde.as_secs_f64() / loaded.as_secs_f64());
    let per_row = held / ROWS as f64;
    println!("memory:                     {per_row:.0} bytes/row ({:.0} by our own count)", told as f64 / ROWS as f64);
    if per_row < BYTES_PER_ROW_MAX { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
