//! What holds for any input. The fuzz targets look for one where it does not; the ordinary tests replay `corpus/`.

mod api;

use std::time::Duration;

use chrono::{DateTime, NaiveDate};
use http::{HeaderMap, StatusCode};
use llm_monitor_core::{
    probe::{
        answer::Answer,
        decode::{DecodeError, Decoder},
        reading::Reading,
    },
    provider::{Framing, Provider, Quirks, Refused},
    record::{ERROR_MESSAGE_MAX_CHARS, Record, csv},
    usage::{self, Kept},
};
use rust_decimal::Decimal;

#[cfg(test)]
pub(crate) use api::lambda_answer;
pub(crate) use api::{lambda_event, lambda_request, query_string};

/// A target's check: panics where it does not hold.
pub(crate) type Check = fn(&[u8]);

/// Every target's name, and what it checks.
pub(crate) const TARGETS: [(&str, Check); 12] = [
    ("decode_sse", decode_sse),
    ("decode_ndjson", decode_ndjson),
    ("read_openai", read_openai),
    ("read_anthropic", read_anthropic),
    ("read_gemini", read_gemini),
    ("read_ollama", read_ollama),
    ("refusal", refusal),
    ("usage_report", usage_report),
    ("csv_rows", csv_rows),
    ("query_string", query_string),
    ("lambda_request", lambda_request),
    ("lambda_event", lambda_event),
];

/// Any split of a stream of server-sent events gives the same frames.
pub(crate) fn decode_sse(bytes: &[u8]) {
    decode(Framing::Sse, bytes);
}

/// Any split of a stream of lines gives the same frames.
pub(crate) fn decode_ndjson(bytes: &[u8]) {
    decode(Framing::Ndjson, bytes);
}

/// See [`read`].
pub(crate) fn read_openai(bytes: &[u8]) {
    read(Provider::OpenAi, bytes);
}

/// See [`read`].
pub(crate) fn read_anthropic(bytes: &[u8]) {
    read(Provider::Anthropic, bytes);
}

/// See [`read`].
pub(crate) fn read_gemini(bytes: &[u8]) {
    read(Provider::Gemini, bytes);
}

/// See [`read`].
pub(crate) fn read_ollama(bytes: &[u8]) {
    read(Provider::Ollama, bytes);
}

/// An answer that is no stream (the first two bytes are its status) is a failure with a kind and a message of bounded length.
pub(crate) fn refusal(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first_chunk::<2>() else { return };
    let Ok(status) = StatusCode::from_u16(200 + u16::from_be_bytes(*status) % 400) else { return };
    let headers = HeaderMap::new();
    let refused = Refused { status, headers: &headers, body };
    for provider in Provider::ALL {
        let failure = provider.wire().refusal(&refused);
        assert!(failure.kind.is_some());
        let message = failure.message.unwrap_or_default();
        assert!((1..=ERROR_MESSAGE_MAX_CHARS).contains(&message.chars().count()), "{message:?}");
        assert!(!message.contains(char::is_control), "{message:?}");
        let _ = provider.wire().adapt(&refused, Quirks::default());
    }
}

/// A usage endpoint's answer gives entries that can be priced and kept: each model once, no number below 0, and what was
/// written to the usage file is recognised after a restart.
pub(crate) fn usage_report(bytes: &[u8]) {
    let Ok(report) = usage::parse(bytes) else { return };
    let mut codes: Vec<&str> = report.entries.iter().map(|entry| entry.llm_code.as_str()).collect();
    codes.sort_unstable();
    assert!(codes.windows(2).all(|pair| pair[0] != pair[1]) && codes.iter().all(|code| !code.is_empty()));
    for entry in &report.entries {
        let amounts = [entry.cost_usd, entry.input_tokens, entry.output_tokens, entry.prompts];
        assert!(amounts.into_iter().flatten().all(|amount| amount.is_finite() && amount >= 0.0), "{entry:?}");
        assert!([entry.input_rate_usd, entry.output_rate_usd].into_iter().flatten().all(|rate| rate >= Decimal::ZERO));
    }
    let rows = Kept::default().changed_rows(&report, DateTime::UNIX_EPOCH);
    let file = [usage::KEPT_HEADER.as_bytes(), b"\n", &rows].concat();
    let kept = Kept::from_csv(NaiveDate::default(), Some(&file));
    assert!(kept.changed_rows(&report, DateTime::UNIX_EPOCH).is_empty(), "{report:?}");
}

/// Both decoders of CSV tell the same of any text; what was read can be written and is read again as the same.
pub(crate) fn csv_rows(bytes: &[u8]) {
    let rows = csv::decode(bytes, 2);
    let (table, problems) = csv::decode_table(bytes, 2);
    assert_eq!(problems.count, rows.problems.len() as u64);
    let first: Vec<_> = rows.problems.iter().take(1_000).collect();
    assert_eq!(problems.first.iter().collect::<Vec<_>>(), first);
    assert_eq!(table.len(), rows.records.len());
    let mut file = csv::header_line().into_bytes();
    file.push(b'\n');
    for (number, record) in rows.records.iter().enumerate() {
        let same = table.row(number).map(|row| row.to_record());
        // The table keeps times to the millisecond, as we write them.
        assert_eq!(same.map(|record| written(&record)), Some(written(record)), "{record:?}");
        csv::encode(record, &mut file);
    }
    let again = csv::decode(&file, 2);
    assert_eq!(again.problems, [], "of what we wrote ourselves");
    let texts = |records: &[Record]| records.iter().map(written).collect::<Vec<_>>();
    assert_eq!(texts(&again.records), texts(&rows.records));
}

fn written(record: &Record) -> String {
    let mut row = Vec::new();
    csv::encode(record, &mut row);
    String::from_utf8_lossy(&row).into_owned()
}

fn decode(framing: Framing, bytes: &[u8]) {
    let whole = frames(framing, [bytes]);
    assert_eq!(frames(framing, bytes.chunks(1)), whole);
    assert_eq!(frames(framing, bytes.chunks(7)), whole);
}

type Frames = Result<Vec<(Vec<u8>, Vec<u8>)>, DecodeError>;

fn frames<'a>(framing: Framing, chunks: impl IntoIterator<Item = &'a [u8]>) -> Frames {
    let mut decoder = Decoder::new(framing);
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk, &mut |frame| frames.push((frame.event.to_vec(), frame.data.to_vec())))?;
    }
    decoder.finish(&mut |frame| frames.push((frame.event.to_vec(), frame.data.to_vec())))?;
    assert!(frames.iter().all(|(_, data)| !data.is_empty()));
    Ok(frames)
}

/// Any split of a stream gives the same answer, and one that was not completed has a failure.
fn read(provider: Provider, bytes: &[u8]) {
    let whole = answer(provider, [bytes]);
    assert!(whole.is_complete() || whole.verdict().is_some());
    assert_eq!(answer(provider, bytes.chunks(1)), whole);
    assert_eq!(answer(provider, bytes.chunks(7)), whole);
}

fn answer<'a>(provider: Provider, chunks: impl IntoIterator<Item = &'a [u8]>) -> Answer {
    let (mut reading, mut answer) = (Reading::new(provider), Answer::default());
    for chunk in chunks {
        reading.push(chunk, Duration::from_millis(1), &mut answer);
    }
    reading.finish(&mut answer);
    answer
}
