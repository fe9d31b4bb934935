#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod foreign;
mod written;

use rust_decimal::Decimal;

use super::*;
use crate::record::{CycleId, Environment, ErrorKind, Failure, Outcome, TokenSource};

/// Both ways to read, which must agree on everything, also when rows come again and again.
fn decode(bytes: &[u8], first_line: u64) -> Decoded {
    let rows = super::decode(bytes, first_line);
    let (table, problems) = decode_table(bytes, first_line);
    let by_column: Vec<_> = (0..table.len()).map(|index| table.row(index).unwrap().to_record()).collect();
    assert_eq!(by_column, rows.records);
    assert_eq!(problems.first, rows.problems[..rows.problems.len().min(1_000)]);
    assert_eq!(problems.count, rows.problems.len() as u64);
    rows
}

fn ours(rows: &str) -> Vec<u8> {
    format!("{}\n{rows}", header_line()).into_bytes()
}

fn row_of(record: &Record) -> String {
    let mut out = Vec::new();
    encode(record, &mut out);
    String::from_utf8(out).expect("UTF-8")
}

fn time(text: &str) -> chrono::DateTime<chrono::Utc> {
    number::parse_time(text).expect("a time")
}

/// Text with everything that CSV has trouble with.
fn odd_text(random: &mut fastrand::Rng) -> Option<String> {
    const PIECES: [&str; 16] =
        ["a", ",", "\"", "\n", "\r", "\r\n", "\"\"", "\",\"", " ", "é", "𝄞", "\u{0}", "=1+1", "\u{feff}", ";", "gpt-4"];
    if random.u8(..4) == 0 {
        return None;
    }
    Some((0..random.usize(1..9)).filter_map(|_| random.choice(PIECES)).collect())
}

fn ms(random: &mut fastrand::Rng) -> Option<f64> {
    match random.u8(..4) {
        0 => None,
        1 => Some(random.u64(..100_000) as f64),
        2 => Some(random.u64(..10_000_000) as f64 / 1_000.0),
        _ => Some(random.u64(..8_000_000_000_000_000) as f64 / 1_000.0),
    }
}

fn tokens(random: &mut fastrand::Rng) -> Option<u64> {
    [None, Some(0), Some(random.u64(..100_000)), Some(random.u64(..))][random.usize(..4)]
}

fn any_record(random: &mut fastrand::Rng) -> Record {
    let environment: Environment =
        ["dev", "test", "qa", "prod", "eu-west-1"][random.usize(..5)].parse().expect("a name");
    let millis = random.i64(-62_167_219_200_000..=253_402_300_799_999);
    let mut record = Record::new(
        odd_text(random).unwrap_or_else(|| "gpt-4o-mini".to_owned()),
        environment,
        chrono::DateTime::from_timestamp_millis(millis).expect("in range"),
    );
    record.latency_ms = ms(random);
    record.input_tokens = tokens(random);
    record.output_tokens = tokens(random);
    record.cost = [
        None,
        Some(Decimal::ZERO),
        Some(Decimal::new(random.i64(0..), random.u32(..=28))),
        Some(Decimal::from_i128_with_scale(random.i128(0..(1 << 96)), random.u32(..=28))),
    ][random.usize(..4)];
    record.context_window = tokens(random);
    record.is_cloud = [None, Some(true), Some(false)][random.usize(..3)];
    if random.bool() {
        let kind = random.choice(ErrorKind::ALL);
        record.outcome = Outcome::Error(Failure { kind, message: odd_text(random) });
    }
    record.cycle_id = random.bool().then(|| CycleId::at(record.timestamp));
    record.provider = odd_text(random);
    record.simulated = random.bool();
    record.location = odd_text(random);
    for field in [
        &mut record.start_delay_ms,
        &mut record.connect_ms,
        &mut record.ttft_ms,
        &mut record.ttfa_ms,
        &mut record.tpot_ms,
        &mut record.max_gap_ms,
        &mut record.dns_ms,
        &mut record.tls_ms,
        &mut record.ttfb_ms,
        &mut record.client_delay_ms,
        &mut record.load_ms,
    ] {
        *field = ms(random);
    }
    record.cached_input_tokens = tokens(random);
    record.reasoning_tokens = tokens(random);
    record.token_source = [None, Some(TokenSource::Provider), Some(TokenSource::Estimated)][random.usize(..3)];
    record.http_status = random.bool().then(|| random.u16(..));
    record.served_model = odd_text(random);
    record.finish_reason = odd_text(random);
    record
}

#[test]
fn of_what_is_no_csv_the_first_problems_are_kept_and_the_others_counted() {
    let (table, problems) = decode_table(&ours(&"nonsense\n".repeat(50_000)), 2);
    assert_eq!((table.len(), problems.count, problems.last_line), (0, 50_000, 50_001));
    assert_eq!((problems.first.len(), problems.first[999].line), (1_000, 1_001));
}
