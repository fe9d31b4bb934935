//! What others wrote, of any age and in any state.

use super::*;

const OLDEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/oldest.csv"));
const NEWEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/newest.csv"));
const MIXTURE: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/mixture.csv"));

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
