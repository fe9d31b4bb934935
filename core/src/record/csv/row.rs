//! Row -> record: the fields' values, and what is wrong with them.

use std::{borrow::Cow, str::FromStr as _};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    TEXT_MAX_CHARS,
    encode::cut_cow,
    layout::{Column, Layout, field},
    number::{parse_bool, parse_cycle_time, parse_decimal, parse_ms, parse_time, parse_u64},
    split::{Bounds, Split, split},
};
use crate::record::{CycleId, ERROR_MESSAGE_MAX_CHARS, Environment, ErrorKind, Failure, Outcome, Record, TokenSource};

/// A record as it stands in a CSV text: the same fields as [`Record`]'s, texts borrowed where they can be.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is documented at the field of the same name in `Record`")]
pub struct Row<'a> {
    pub model_name: Cow<'a, str>,
    pub environment: Environment,
    pub timestamp: DateTime<Utc>,
    pub latency_ms: Option<f64>,
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub cost: Option<Decimal>,
    pub context_window: Option<u64>,
    pub is_cloud: Option<bool>,
    pub is_success: bool,
    pub cycle_id: Option<CycleId>,
    pub provider: Option<Cow<'a, str>>,
    pub simulated: bool,
    pub location: Option<Cow<'a, str>>,
    pub start_delay_ms: Option<f64>,
    pub connect_ms: Option<f64>,
    pub ttft_ms: Option<f64>,
    pub ttfa_ms: Option<f64>,
    pub tpot_ms: Option<f64>,
    pub max_gap_ms: Option<f64>,
    pub cached_input_tokens: Option<u64>,
    pub reasoning_tokens: Option<u64>,
    pub token_source: Option<TokenSource>,
    pub http_status: Option<u16>,
    pub error_kind: Option<ErrorKind>,
    pub error_message: Option<Cow<'a, str>>,
    pub served_model: Option<Cow<'a, str>>,
    pub finish_reason: Option<Cow<'a, str>>,
    pub dns_ms: Option<f64>,
    pub tls_ms: Option<f64>,
    pub ttfb_ms: Option<f64>,
    pub client_delay_ms: Option<f64>,
    pub load_ms: Option<f64>,
}

impl Row<'_> {
    /// The record, owning its texts.
    pub fn into_record(self) -> Record {
        let owned = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
        let outcome = if self.is_success {
            Outcome::Success
        } else {
            Outcome::Error(Failure { kind: self.error_kind, message: owned(self.error_message) })
        };
        Record {
            model_name: self.model_name.into_owned(),
            environment: self.environment,
            timestamp: self.timestamp,
            latency_ms: self.latency_ms,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost: self.cost,
            context_window: self.context_window,
            is_cloud: self.is_cloud,
            outcome,
            cycle_id: self.cycle_id,
            provider: owned(self.provider),
            simulated: self.simulated,
            location: owned(self.location),
            start_delay_ms: self.start_delay_ms,
            connect_ms: self.connect_ms,
            ttft_ms: self.ttft_ms,
            ttfa_ms: self.ttfa_ms,
            tpot_ms: self.tpot_ms,
            max_gap_ms: self.max_gap_ms,
            cached_input_tokens: self.cached_input_tokens,
            reasoning_tokens: self.reasoning_tokens,
            token_source: self.token_source,
            http_status: self.http_status,
            served_model: owned(self.served_model),
            finish_reason: owned(self.finish_reason),
            dns_ms: self.dns_ms,
            tls_ms: self.tls_ms,
            ttfb_ms: self.ttfb_ms,
            client_delay_ms: self.client_delay_ms,
            load_ms: self.load_ms,
        }
    }
}

/// What stands at the start of some bytes, and how much of them it is.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    /// Bytes, line end included.
    pub(crate) used: usize,
    /// Lines.
    pub(crate) lines: u64,
    /// What they hold.
    pub(crate) cell: Cell<'a>,
}

/// What a stretch of a CSV text holds.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once a row and taken apart at once; a box would cost an allocation"
)]
pub(crate) enum Cell<'a> {
    /// Nothing follows.
    End,
    /// An empty line.
    Blank,
    /// A header in the middle of the file (files put together by hand): later rows are read by it.
    Header,
    /// A row that could be read.
    Row(Row<'a>),
    /// One that could not, and why.
    Problem(String),
}

/// Reads rows one after the other, by the header in force.
#[derive(Debug, Default)]
pub(crate) struct RowReader {
    layout: Layout,
    bounds: Vec<Bounds>,
    /// Names seen so far: a handful, and every row has one of them.
    environments: Vec<Environment>,
    names_environment: bool,
}

impl RowReader {
    /// For rows that stand apart from their header.
    pub(crate) fn of(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// The header in force.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where the fields of the row found last lie.
    pub(super) fn bounds(&self) -> &[Bounds] {
        &self.bounds
    }

    /// Whether the row read last has as many fields as the header.
    pub(crate) fn is_full_length(&self) -> bool {
        self.bounds.len() == self.layout.len()
    }

    /// Whether the row read last says which environment it is of.
    pub(crate) fn names_environment(&self) -> bool {
        self.names_environment
    }

    /// Takes the row at the start of `bytes` for the header, if it is one, and says how many bytes it is.
    pub(crate) fn take_header(&mut self, bytes: &[u8]) -> Option<usize> {
        let Split::Row { len, used, .. } = split(bytes, true, &mut self.bounds) else { return None };
        self.layout = Layout::of_header(bytes.get(..len)?, &self.bounds)?;
        Some(used)
    }

    /// Finds the end of the row at the start of `bytes`; [`read`](Self::read) is called with the same bytes next.
    pub(crate) fn split(&mut self, bytes: &[u8], is_last: bool) -> Split {
        split(bytes, is_last, &mut self.bounds)
    }

    /// Reads what [`split`](Self::split) has just found.
    pub(crate) fn read<'a>(&mut self, bytes: &'a [u8], found: Split) -> Read<'a> {
        match found {
            Split::End | Split::NeedMore => Read { used: 0, lines: 0, cell: Cell::End },
            Split::Blank { used } => Read { used, lines: 1, cell: Cell::Blank },
            Split::Malformed { used, reason } => Read { used, lines: 1, cell: Cell::Problem(reason.to_owned()) },
            Split::Endless => Read { used: bytes.len(), lines: 0, cell: Cell::Problem(super::split::TOO_LONG.clone()) },
            Split::Row { len, used, lines, first_line } => {
                match self.row(bytes.get(..len).unwrap_or_default()) {
                    Ok(cell) => Read { used, lines, cell },
                    // What looked like one row over several lines was a stray quote: only its own line is lost.
                    Err(reason) => Read { used: first_line, lines: 1, cell: Cell::Problem(reason) },
                }
            }
        }
    }

    fn row<'a>(&mut self, line: &'a [u8]) -> Result<Cell<'a>, String> {
        let line = std::str::from_utf8(line).map_err(|error| {
            format!("the row is not UTF-8 (its byte {} is part of no character)", error.valid_up_to() + 1)
        })?;
        let second = self.bounds.get(1).map(|&bounds| field(line, bounds)).unwrap_or_default();
        let by_shape;
        let layout = if self.layout.fits(self.bounds.len(), &second) {
            &self.layout
        } else if let Some(layout) = self.layout.by_shape(self.bounds.len(), &second) {
            by_shape = layout;
            &by_shape
        } else if self.bounds.len() == self.layout.len() {
            &self.layout
        } else if self.take_middle_header(line) {
            return Ok(Cell::Header);
        } else {
            return Err(format!("the row has {} fields where the header has {}", self.bounds.len(), self.layout.len()));
        };
        let environment = layout.position(Column::Environment).and_then(|position| self.bounds.get(position));
        self.names_environment = environment.is_some_and(|(start, end)| start < end);
        match (Fields { line, bounds: &self.bounds, layout, environments: &mut self.environments }).row() {
            Ok(row) => Ok(Cell::Row(row)),
            Err(_) if self.take_middle_header(line) => Ok(Cell::Header),
            Err(reason) => Err(reason),
        }
    }

    fn take_middle_header(&mut self, line: &str) -> bool {
        let header = Layout::of_header(line.as_bytes(), &self.bounds);
        let is_header = header.is_some();
        if let Some(header) = header {
            self.layout = header;
        }
        is_header
    }
}

/// One row's fields, by column.
struct Fields<'a, 'b> {
    line: &'a str,
    bounds: &'b [Bounds],
    layout: &'b Layout,
    environments: &'b mut Vec<Environment>,
}

impl<'a> Fields<'a, '_> {
    fn row(&mut self) -> Result<Row<'a>, String> {
        let latency_ms = self.ms(Column::LatencyMs)?;
        let error_kind = ErrorKind::from_str(&self.get(Column::ErrorKind)).ok();
        Ok(Row {
            model_name: self.text(Column::ModelName, TEXT_MAX_CHARS).ok_or("model_name is empty")?,
            environment: self.environment()?,
            timestamp: self.timestamp()?,
            latency_ms,
            input_tokens: self.whole(Column::InputTokens)?,
            output_tokens: self.whole(Column::OutputTokens)?,
            cost: self.cost()?,
            context_window: self.whole(Column::ContextWindow)?,
            is_cloud: self.boolean(Column::IsCloud)?,
            is_success: self.is_success(latency_ms)?,
            cycle_id: self.cycle_id()?,
            provider: self.text(Column::Provider, TEXT_MAX_CHARS),
            simulated: self.boolean(Column::Simulated)?.unwrap_or(false),
            location: self.text(Column::Location, TEXT_MAX_CHARS),
            start_delay_ms: self.ms(Column::StartDelayMs)?,
            connect_ms: self.ms(Column::ConnectMs)?,
            ttft_ms: self.ms(Column::TtftMs)?,
            ttfa_ms: self.ms(Column::TtfaMs)?,
            tpot_ms: self.ms(Column::TpotMs)?,
            max_gap_ms: self.ms(Column::MaxGapMs)?,
            cached_input_tokens: self.whole(Column::CachedInputTokens)?,
            reasoning_tokens: self.whole(Column::ReasoningTokens)?,
            token_source: self.token_source(),
            http_status: self.http_status()?,
            error_kind,
            error_message: self.text(Column::ErrorMessage, ERROR_MESSAGE_MAX_CHARS),
            served_model: self.text(Column::ServedModel, TEXT_MAX_CHARS),
            finish_reason: self.text(Column::FinishReason, TEXT_MAX_CHARS),
            dns_ms: self.ms(Column::DnsMs)?,
            tls_ms: self.ms(Column::TlsMs)?,
            ttfb_ms: self.ms(Column::TtfbMs)?,
            client_delay_ms: self.ms(Column::ClientDelayMs)?,
            load_ms: self.ms(Column::LoadMs)?,
        })
    }

    /// The column's text; empty where the file has no such column.
    #[inline]
    fn get(&self, column: Column) -> Cow<'a, str> {
        let bounds = self.layout.position(column).and_then(|position| self.bounds.get(position));
        bounds.map(|&bounds| field(self.line, bounds)).unwrap_or_default()
    }

    fn text(&self, column: Column, max_chars: usize) -> Option<Cow<'a, str>> {
        let text = self.get(column);
        (!text.is_empty()).then(|| cut_cow(text, max_chars))
    }

    /// `None` for an empty field, else what `parse` makes of it.
    #[inline]
    fn parsed<T>(
        &self,
        column: Column,
        parse: impl Fn(&str) -> Option<T>,
        expected: &'static str,
    ) -> Result<Option<T>, String> {
        let text = self.get(column);
        if text.is_empty() {
            return Ok(None);
        }
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None if text.trim().is_empty() => Ok(None),
            None => Err(unexpected(column, &text, expected)),
        }
    }

    fn ms(&self, column: Column) -> Result<Option<f64>, String> {
        self.parsed(column, parse_ms, "milliseconds, 0 or more")
    }

    fn whole(&self, column: Column) -> Result<Option<u64>, String> {
        self.parsed(column, parse_u64, "a whole number, 0 or more")
    }

    fn boolean(&self, column: Column) -> Result<Option<bool>, String> {
        self.parsed(column, parse_bool, "true or false")
    }

    fn cost(&self) -> Result<Option<Decimal>, String> {
        self.parsed(Column::Cost, parse_decimal, "US dollars as a number")
    }

    fn http_status(&self) -> Result<Option<u16>, String> {
        let parse = |text: &str| parse_u64(text).and_then(|status| u16::try_from(status).ok());
        self.parsed(Column::HttpStatus, parse, "an HTTP status like 200")
    }

    fn timestamp(&self) -> Result<DateTime<Utc>, String> {
        let expected = "a time like 2026-11-24T16:54:00.123Z";
        self.parsed(Column::Timestamp, parse_time, expected)?.ok_or_else(|| unexpected(Column::Timestamp, "", expected))
    }

    fn cycle_id(&self) -> Result<Option<CycleId>, String> {
        let parse = |text: &str| parse_cycle_time(text).map(CycleId::at);
        self.parsed(Column::CycleId, parse, "a time like 20261124T165400Z")
    }

    fn environment(&mut self) -> Result<Environment, String> {
        let text = self.get(Column::Environment);
        let name = text.trim();
        if let Some(known) = self.environments.iter().find(|known| known.as_str() == name) {
            return Ok(known.clone());
        }
        let environment = if name.is_empty() {
            Environment::dev()
        } else {
            name.parse().map_err(|_| unexpected(Column::Environment, name, "1 to 32 of a-z, 0-9 and '-'"))?
        };
        if self.environments.len() < MAX_KNOWN_ENVIRONMENTS && environment.as_str() == name {
            self.environments.push(environment.clone());
        }
        Ok(environment)
    }

    fn is_success(&self, latency_ms: Option<f64>) -> Result<bool, String> {
        let parse = |text: &str| match text.trim() {
            word if word.eq_ignore_ascii_case("success") => Some(true),
            word if word.eq_ignore_ascii_case("error") => Some(false),
            _ => None,
        };
        // The predecessor never filled it in, and never wrote a row without a latency.
        Ok(self.parsed(Column::Status, parse, "success or error")?.unwrap_or(latency_ms.is_some()))
    }

    fn token_source(&self) -> Option<TokenSource> {
        let word = self.get(Column::TokenSource);
        [TokenSource::Provider, TokenSource::Estimated].into_iter().find(|source| source.as_str() == word)
    }
}

/// How many environments' names are remembered while reading; more are read as well, a little slower.
const MAX_KNOWN_ENVIRONMENTS: usize = 64;

/// Longest piece of a bad field that is shown, in characters.
const SHOWN_CHARS: usize = 40;

fn unexpected(column: Column, text: &str, expected: &str) -> String {
    let name = column.name();
    if text.is_empty() {
        return format!("{name} is empty, expected {expected}");
    }
    let shown: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{name} is {shown:?}{more}, expected {expected}")
}
