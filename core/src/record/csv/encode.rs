//! Record -> row.

use std::borrow::Cow;

use super::{
    TEXT_MAX_CHARS,
    layout::{Column, Layout},
    number::{put, write_decimal, write_ms, write_time},
};
use crate::record::{ERROR_MESSAGE_MAX_CHARS, Record, TokenSource};

/// Appends `record` as one row, ending in a line feed.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    encode_cells(record, Column::ALL.into_iter().map(Some), out);
}

/// As [`encode`], in the order of `layout`'s header, with blanks for columns that we don't know.
pub(crate) fn encode_row(record: &Record, layout: &Layout, out: &mut Vec<u8>) {
    encode_cells(record, layout.columns(), out);
}

fn encode_cells(record: &Record, columns: impl Iterator<Item = Option<Column>>, out: &mut Vec<u8>) {
    for (index, column) in columns.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if let Some(column) = column {
            write_cell(record, column, out);
        }
    }
    out.push(b'\n');
}

fn write_cell(record: &Record, column: Column, out: &mut Vec<u8>) {
    match column {
        Column::ModelName => write_text(&record.model_name, TEXT_MAX_CHARS, out),
        Column::Environment => write_text(record.environment.as_str(), TEXT_MAX_CHARS, out),
        Column::Timestamp => write_time(record.timestamp, out),
        Column::LatencyMs => write_duration(record.latency_ms, out),
        Column::InputTokens => write_whole(record.input_tokens, out),
        Column::OutputTokens => write_whole(record.output_tokens, out),
        Column::Cost => {
            if let Some(cost) = record.cost {
                write_decimal(cost, out);
            }
        }
        Column::ContextWindow => write_whole(record.context_window, out),
        Column::IsCloud => write_word(record.is_cloud.map(bool_word), out),
        Column::Status => write_word(Some(record.outcome.as_str()), out),
        Column::CycleId => {
            if let Some(id) = record.cycle_id {
                put(out, format_args!("{id}"));
            }
        }
        Column::Provider => write_optional_text(record.provider.as_deref(), out),
        Column::Simulated => write_word(Some(bool_word(record.simulated)), out),
        Column::Location => write_optional_text(record.location.as_deref(), out),
        Column::StartDelayMs => write_duration(record.start_delay_ms, out),
        Column::ConnectMs => write_duration(record.connect_ms, out),
        Column::TtftMs => write_duration(record.ttft_ms, out),
        Column::TtfaMs => write_duration(record.ttfa_ms, out),
        Column::TpotMs => write_duration(record.tpot_ms, out),
        Column::MaxGapMs => write_duration(record.max_gap_ms, out),
        Column::CachedInputTokens => write_whole(record.cached_input_tokens, out),
        Column::ReasoningTokens => write_whole(record.reasoning_tokens, out),
        Column::TokenSource => write_word(record.token_source.map(TokenSource::as_str), out),
        Column::HttpStatus => write_whole(record.http_status.map(u64::from), out),
        Column::ErrorKind => write_word(record.error_kind().map(crate::record::ErrorKind::as_str), out),
        Column::ErrorMessage => write_text(record.error_message().unwrap_or_default(), ERROR_MESSAGE_MAX_CHARS, out),
        Column::ServedModel => write_optional_text(record.served_model.as_deref(), out),
        Column::FinishReason => write_optional_text(record.finish_reason.as_deref(), out),
        Column::DnsMs => write_duration(record.dns_ms, out),
        Column::TlsMs => write_duration(record.tls_ms, out),
        Column::TtfbMs => write_duration(record.ttfb_ms, out),
        Column::ClientDelayMs => write_duration(record.client_delay_ms, out),
        Column::LoadMs => write_duration(record.load_ms, out),
    }
}

fn bool_word(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn write_word(word: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(word.unwrap_or_default().as_bytes());
}

fn write_whole(number: Option<u64>, out: &mut Vec<u8>) {
    if let Some(number) = number {
        put(out, format_args!("{number}"));
    }
}

fn write_duration(ms: Option<f64>, out: &mut Vec<u8>) {
    if let Some(ms) = ms {
        write_ms(ms, out);
    }
}

fn write_optional_text(text: Option<&str>, out: &mut Vec<u8>) {
    write_text(text.unwrap_or_default(), TEXT_MAX_CHARS, out);
}

fn write_text(text: &str, max_chars: usize, out: &mut Vec<u8>) {
    let text = cut(text, max_chars);
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for byte in text.bytes() {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// The first `max_chars` characters of `text`.
pub(super) fn cut(text: &str, max_chars: usize) -> &str {
    if text.len() <= max_chars {
        return text;
    }
    let end = text.char_indices().nth(max_chars).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

/// As [`cut`], keeping what is owned.
pub(super) fn cut_cow(text: Cow<'_, str>, max_chars: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text, max_chars)),
        Cow::Owned(mut text) => {
            let len = cut(&text, max_chars).len();
            text.truncate(len);
            Cow::Owned(text)
        }
    }
}
