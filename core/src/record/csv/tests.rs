#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use rust_decimal::Decimal;

use super::*;
use crate::record::{CycleId, Environment, ErrorKind, Failure, Outcome, TokenSource};

const OLDEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/oldest.csv"));
const NEWEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/newest.csv"));
const MIXTURE: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/mixture.csv"));

/// Both ways to read, which must agree on everything, also when rows come again and again.
fn decode(bytes: &[u8], first_line: u64) -> Decoded {
    let rows = super::decode(bytes, first_line);
    let (table, problems) = decode_table(bytes, first_line);
    let by_column: Vec<_> = (0..table.len()).map(|index| table.row(index).unwrap().to_record()).collect();
    assert_eq!(by_column, rows.records);
    assert_eq!(problems, rows.problems);
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

pub(super) fn any_record(random: &mut fastrand::Rng) -> Record {
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
fn the_header_is_the_contract() {
    assert_eq!(
        header_line(),
        "model_name,environment,timestamp,latency_ms,input_tokens,output_tokens,cost,context_window,is_cloud,status,\
         cycle_id,provider,simulated,location,start_delay_ms,connect_ms,ttft_ms,ttfa_ms,tpot_ms,max_gap_ms,\
         cached_input_tokens,reasoning_tokens,token_source,http_status,error_kind,error_message,served_model,\
         finish_reason,dns_ms,tls_ms,ttfb_ms,client_delay_ms,load_ms"
    );
}

#[test]
fn a_record_is_written_as_documented() {
    let mut record = Record::new("gpt-4o-mini", Environment::dev(), time("2026-11-24T16:54:00.1239Z"));
    record.latency_ms = Some(812.405_929_565_429_7);
    record.input_tokens = Some(128);
    record.cost = Some("0.00031920".parse().expect("a decimal"));
    record.is_cloud = Some(true);
    record.cycle_id = Some("20261124T165400Z".parse().expect("an id"));
    record.start_delay_ms = Some(0.000_4);
    record.connect_ms = Some(10.0);
    record.ttft_ms = Some(1.5);
    record.ttfa_ms = Some(1.05);
    record.tpot_ms = Some(0.1 + 0.2);
    assert_eq!(
        row_of(&record),
        "gpt-4o-mini,dev,2026-11-24T16:54:00.123Z,812.406,128,,0.0003192,,true,success,20261124T165400Z,,false,,\
         0,10,1.5,1.05,0.3,,,,,,,,,,,,,,\n"
    );
    let mut failed = Record::new("a,b \"c\"", Environment::dev(), time("2026-11-24T16:54:00Z"));
    failed.outcome = Outcome::Error(Failure::new(ErrorKind::RateLimited, "slow down, please"));
    failed.http_status = Some(429);
    assert_eq!(
        row_of(&failed),
        "\"a,b \"\"c\"\"\",dev,2026-11-24T16:54:00.000Z,,,,,,,error,,,false,,,,,,,,,,,429,rate_limited,\
         \"slow down, please\",,,,,,,\n"
    );
}

#[test]
fn what_is_no_duration_is_left_empty() {
    for bad in [f64::NAN, f64::INFINITY, -1.0] {
        let mut record = Record::new("m", Environment::dev(), time("2026-11-24T16:54:00Z"));
        record.latency_ms = Some(bad);
        assert!(row_of(&record).starts_with("m,dev,2026-11-24T16:54:00.000Z,,"), "{bad}");
    }
}

#[test]
fn any_record_reads_back_as_written() {
    let mut random = fastrand::Rng::with_seed(7);
    let records: Vec<Record> = (0..3_000).map(|_| any_record(&mut random)).collect();
    let mut bytes = ours("");
    for record in &records {
        encode(record, &mut bytes);
    }
    let decoded = decode(&bytes, 2);
    assert_eq!(decoded.problems, []);
    for (index, (read, written)) in decoded.records.iter().zip(&records).enumerate() {
        assert_eq!(read, written, "record {index}");
    }
    assert_eq!(decoded.records.len(), records.len());
}

#[test]
fn another_csv_reader_sees_the_same_cells() {
    let mut random = fastrand::Rng::with_seed(8);
    let records: Vec<Record> = (0..500).map(|_| any_record(&mut random)).collect();
    let mut bytes = ours("");
    for record in &records {
        encode(record, &mut bytes);
    }
    let mut reader = ::csv::Reader::from_reader(bytes.as_slice());
    let rows: Vec<_> = reader.records().map(|row| row.expect("well-formed")).collect();
    assert_eq!(rows.len(), records.len());
    for (row, record) in rows.iter().zip(&records) {
        assert_eq!(row.len(), COLUMNS.len());
        assert_eq!(row.get(0), Some(record.model_name.as_str()));
        assert_eq!(row.get(25), Some(record.error_message().unwrap_or_default()));
        assert_eq!(row.get(27), Some(record.finish_reason.as_deref().unwrap_or_default()));
    }
}

#[test]
fn long_texts_are_cut_at_a_character() {
    let long = "é".repeat(2_000);
    let mut record = Record::new(long.clone(), Environment::dev(), time("2026-11-24T16:54:00Z"));
    record.outcome = Outcome::Error(Failure { kind: None, message: Some(long.clone()) });
    let written = decode(&ours(&row_of(&record)), 2).records.remove(0);
    assert_eq!(written.model_name.chars().count(), TEXT_MAX_CHARS);
    assert_eq!(written.error_message().map(|message| message.chars().count()), Some(200));
    let by_others = ours(&format!("{long},dev,2026-11-24T16:54:00Z,1,,,,,,\n"));
    assert_eq!(decode(&by_others, 2).records.remove(0).model_name.chars().count(), TEXT_MAX_CHARS);
}

#[test]
fn the_predecessors_oldest_file_is_read() {
    let decoded = decode(OLDEST, 2);
    assert_eq!(decoded.problems, []);
    assert_eq!(decoded.records.len(), 3);
    let first = &decoded.records[0];
    assert_eq!(first.model_name, "gpt-4o-mini");
    assert_eq!(first.environment, Environment::dev());
    assert_eq!(first.timestamp.to_rfc3339(), "2025-04-30T11:08:37.559+00:00");
    assert_eq!(first.latency_ms, Some(812.405_929_565_429_7));
    assert_eq!((first.input_tokens, first.output_tokens), (Some(14), Some(128)));
    assert_eq!(first.cost, Some("0.00007979999999999999".parse().expect("a decimal")));
    assert_eq!((first.context_window, first.is_cloud), (Some(128_000), Some(true)));
    assert!(first.is_success(), "no status, but a latency");
    assert_eq!(decoded.records[2].cost, None, "an empty cost is unknown, not 0");
    assert_eq!(decoded.records[2].is_cloud, Some(false));
}

#[test]
fn the_predecessors_newest_file_is_read() {
    let decoded = decode(NEWEST, 2);
    assert_eq!(decoded.problems, []);
    let environments: Vec<_> = decoded.records.iter().map(|record| record.environment.as_str()).collect();
    assert_eq!(environments, ["dev", "test", "qa", "prod"]);
    assert_eq!(decoded.records[3].timestamp.to_rfc3339(), "2025-11-24T21:15:27+00:00", "its zone is +01:00");
    assert_eq!(decoded.records[3].cost, Some(Decimal::ZERO));
    assert!(decoded.records.iter().all(|record| record.is_success() && !record.simulated));
}

#[test]
fn a_mixture_of_both_shapes_under_the_oldest_header_is_read_whole() {
    let decoded = decode(MIXTURE, 2);
    assert_eq!(decoded.problems, []);
    let mut expected = decode(OLDEST, 2).records;
    expected.extend(decode(NEWEST, 2).records);
    let sorted = |mut records: Vec<Record>| {
        records.sort_by_key(|record| (record.timestamp, record.environment.clone()));
        records
    };
    assert_eq!(sorted(decoded.records), sorted(expected));
}

#[test]
fn our_rows_under_an_older_header_are_read_whole() {
    let mut record = any_record(&mut fastrand::Rng::with_seed(3));
    record.load_ms = Some(1.5);
    for older in [OLDEST, NEWEST] {
        let mut bytes = older.to_vec();
        encode(&record, &mut bytes);
        let decoded = decode(&bytes, 2);
        assert_eq!(decoded.problems, []);
        assert_eq!(decoded.records.last(), Some(&record));
    }
    // And the other way round: the predecessor appended to our file.
    let row = "m,qa,2025-11-24T21:15:26+00:00,640.5,12,99,6.12e-05,128000.0,True,\nm,2025-04-30T11:08:41,1.5,1,1,,,4096.0,False\n";
    let decoded = decode(&ours(row), 2);
    assert_eq!(decoded.problems, []);
    assert_eq!(decoded.records.iter().map(|record| record.latency_ms).collect::<Vec<_>>(), [Some(640.5), Some(1.5)]);
}

#[test]
fn columns_are_found_by_name_and_unknown_ones_ignored() {
    let text = "shiny,timestamp,latency_ms,model_name,sparkle\n1,2026-11-24T16:54:00Z,5,m,\"x,y\"\n,2026-11-24T16:54:01Z,6,n,\n";
    let decoded = decode(text.as_bytes(), 2);
    assert_eq!(decoded.problems, []);
    let read: Vec<_> = decoded.records.iter().map(|record| (record.model_name.as_str(), record.latency_ms)).collect();
    assert_eq!(read, [("m", Some(5.0)), ("n", Some(6.0))]);
}

#[test]
fn words_of_later_versions_are_not_fatal() {
    let row = "m,dev,2026-11-24T16:54:00Z,,,,,,,error,,,,,,,,,,,,,guessed,,quantum_flux,odd,,,,,,,\n";
    let decoded = decode(&ours(row), 2);
    assert_eq!(decoded.problems, []);
    let failure = Failure { kind: None, message: Some("odd".to_owned()) };
    assert_eq!(decoded.records[0].outcome, Outcome::Error(failure));
    assert_eq!(decoded.records[0].token_source, None);
}

#[test]
fn a_row_without_status_and_latency_is_an_error() {
    let decoded = decode(&ours("m,dev,2026-11-24T16:54:00Z,,1,,,,,\n"), 2);
    assert!(!decoded.records[0].is_success());
}

/// Each bad row between two good ones: only it is lost, and its problem says where and why.
#[test]
fn a_bad_row_names_its_line_and_costs_no_other() {
    let bad_rows: [(&[u8], &str); 15] = [
        (b"m,dev,2026-11-24T16:54:00Z,NaN,,,,,,", "latency_ms is \"NaN\", expected milliseconds, 0 or more"),
        (b"m,dev,2026-11-24T16:54:00Z,inf,,,,,,", "latency_ms is \"inf\", expected milliseconds, 0 or more"),
        (b"m,dev,2026-11-24T16:54:00Z,-5,,,,,,", "latency_ms is \"-5\", expected milliseconds, 0 or more"),
        (b"m,dev,2026-11-24T16:54:00Z,1,1.5,,,,,", "input_tokens is \"1.5\", expected a whole number, 0 or more"),
        (b"m,dev,2026-11-24T16:54:00Z,1,,,nan,,,", "cost is \"nan\", expected US dollars as a number"),
        (b"m,dev,2026-11-24T16:54:00Z,1,,,,,maybe,", "is_cloud is \"maybe\", expected true or false"),
        (b"m,dev,2026-11-24T16:54:00Z,1,,,,,,done", "status is \"done\", expected success or error"),
        (b"m,dev,yesterday,1,,,,,,", "timestamp is \"yesterday\", expected a time like 2026-11-24T16:54:00.123Z"),
        (b"m,dev,,1,,,,,,", "timestamp is empty, expected a time like 2026-11-24T16:54:00.123Z"),
        (b"m,The Lab,2026-11-24T16:54:00Z,1,,,,,,", "environment is \"The Lab\", expected 1 to 32 of a-z, 0-9 and '-'"),
        (b",dev,2026-11-24T16:54:00Z,1,,,,,,", "model_name is empty"),
        (b"m,dev,2026-11-24T16:54:00Z,1", "the row has 4 fields where the header has 33"),
        (b"m\xff,dev,2026-11-24T16:54:00Z,1,,,,,,", "the row is not UTF-8 (its byte 2 is part of no character)"),
        (b"\"m,dev,2026-11-24T16:54:00Z,1,,,,,,", "a quote is opened and never closed"),
        (b"\"m\"m,dev,2026-11-24T16:54:00Z,1,,,,,,", "a closing quote is followed by something other than"),
    ];
    for (bad, reason) in bad_rows {
        for end in [&b"\n"[..], b"\r\n"] {
            let good = b"good,dev,2026-11-24T16:54:00Z,1,,,,,,";
            let text = [header_line().as_bytes(), good, bad, good].join(end);
            let decoded = decode(&text, 2);
            let shown = String::from_utf8_lossy(bad);
            assert_eq!(decoded.records.len(), 2, "{shown}: {:?}", decoded.problems);
            assert_eq!(decoded.problems.len(), 1, "{shown}: {:?}", decoded.problems);
            assert_eq!(decoded.problems[0].line, 3, "{shown}");
            assert!(decoded.problems[0].reason.starts_with(reason), "{:?}", decoded.problems[0].reason);
        }
    }
}

#[test]
fn an_unclosed_quote_costs_its_own_line_even_when_a_later_quote_closes_it() {
    let good = "good,dev,2026-11-24T16:54:00Z,1,,,,,,\n";
    let later = "good,dev,2026-11-24T16:54:00Z,,,,,,,error,,,,,,,,,,,,,,,,\"a, b\",,,,,,,\n";
    let text = ours(&format!("{good}\"torn,dev,2026\n{good}{later}{good}x,\"\n{good}\",y\n{good}"));
    let decoded = decode(&text, 2);
    assert_eq!(decoded.records.len(), 6, "{:?}", decoded.problems);
    assert_eq!(decoded.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 7, 9]);
}

#[test]
fn a_header_in_the_middle_is_no_problem_and_is_obeyed() {
    let text = "model_name,timestamp,latency_ms\nm,2026-11-24T16:54:00Z,1\nlatency_ms,model_name,timestamp\n2,n,2026-11-24T16:54:00Z\n";
    let decoded = decode(text.as_bytes(), 2);
    assert_eq!(decoded.problems, []);
    assert_eq!(decoded.records.iter().map(|record| record.latency_ms).collect::<Vec<_>>(), [Some(1.0), Some(2.0)]);
}

#[test]
fn rows_without_a_header_are_told_by_their_shape() {
    let text = "m,dev,2026-11-24T16:54:00Z,1,,,,,,\nm,2026-11-24T16:54:00Z,2,1,1,,,4096,True\n";
    assert_eq!(decode(text.as_bytes(), 1).records.len(), 2);
}

#[test]
fn a_cell_of_megabytes_costs_its_row_only() {
    let huge =
        format!("m,dev,2026-11-24T16:54:00Z,1,,,,,,{}\ngood,dev,2026-11-24T16:54:00Z,1,,,,,,\n", "x".repeat(2_000_000));
    let quoted = format!("\"{}\",dev\ngood,dev,2026-11-24T16:54:00Z,1,,,,,,\n", "x\n".repeat(300_000));
    let decoded = decode(&ours(&huge), 2);
    assert_eq!((decoded.records.len(), decoded.problems.len()), (1, 1));
    assert_eq!(decode(&ours(&quoted), 2).records.len(), 1);
}

#[test]
fn nothing_makes_the_decoder_panic() {
    let mut random = fastrand::Rng::with_seed(11);
    let mut bytes = ours("");
    let mut records: Vec<_> = (0..20).map(|_| any_record(&mut random)).collect();
    for _ in 0..3 {
        // The same circumstances again, with other numbers.
        for record in &mut records {
            record.ttft_ms = ms(&mut random);
            record.input_tokens = tokens(&mut random);
            encode(record, &mut bytes);
        }
    }
    for _ in 0..400 {
        let mut broken = bytes.clone();
        for _ in 0..random.usize(1..20) {
            let at = random.usize(..broken.len());
            broken[at] = random.choice([b'"', b',', b'\n', b'\r', 0, 0xff, b'9', b'-']).unwrap_or(0);
        }
        broken.truncate(random.usize(..broken.len()));
        let decoded = decode(&broken, 2);
        assert!(decoded.records.len() + decoded.problems.len() <= 400);
    }
}

#[test]
fn times_and_numbers_in_every_form() {
    for (text, expected) in [
        ("2026-11-24T16:54:00Z", "2026-11-24T16:54:00+00:00"),
        ("2026-11-24 16:54:00.5", "2026-11-24T16:54:00.500+00:00"),
        ("2026-11-24T16:54:00.123456789+01:30", "2026-11-24T15:24:00.123+00:00"),
        ("2026-11-24T16:54:00-0800", "2026-11-25T00:54:00+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("1969-12-31T23:59:59.250Z", "1969-12-31T23:59:59.250+00:00"),
    ] {
        assert_eq!(time(text).to_rfc3339(), expected, "{text}");
    }
    for bad in
        ["2026-11-24", "2026-13-24T16:54:00Z", "2026-02-30T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T16:54:00.Z"]
    {
        assert_eq!(number::parse_time(bad), None, "{bad}");
    }
    for number in ["0", "128.0", "7.979999999999999e-05", "0.1", "123456789012345", "1e3", "812.4059295654297", "00.5"]
    {
        assert_eq!(number::parse_f64(number), number.parse().ok(), "{number}");
    }
    for bad in ["NaN", "inf", "1e999", "", ".", "1.2.3", "0x1", "1_000"] {
        assert_eq!(number::parse_f64(bad), None, "{bad}");
    }
    assert_eq!(number::parse_u64("18446744073709551615"), Some(u64::MAX));
    assert_eq!(number::parse_u64("18446744073709551616"), None);
    assert_eq!(number::parse_u64("1e3"), Some(1_000));
}
