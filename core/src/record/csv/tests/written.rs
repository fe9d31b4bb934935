//! What we write, and that it reads back.

use super::*;

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

/// Records, and the file of them.
fn any_records(seed: u64, count: usize) -> (Vec<Record>, Vec<u8>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let records: Vec<Record> = (0..count).map(|_| any_record(&mut random)).collect();
    let mut bytes = ours("");
    for record in &records {
        encode(record, &mut bytes);
    }
    (records, bytes)
}

#[test]
fn any_record_reads_back_as_written() {
    let (records, bytes) = any_records(7, 3_000);
    let decoded = decode(&bytes, 2);
    assert_eq!(decoded.problems, []);
    for (index, (read, written)) in decoded.records.iter().zip(&records).enumerate() {
        assert_eq!(read, written, "record {index}");
    }
    assert_eq!(decoded.records.len(), records.len());
}

#[test]
fn another_csv_reader_sees_the_same_cells() {
    let (records, bytes) = any_records(8, 500);
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
