//! Records by column: what a `Vec<Record>` holds, in a fraction of its memory.
//!
//! What tells a probe's circumstances (model, environment, provider, how it ended, …) recurs in row after row: each
//! combination is kept once, as a [`Label`], and a row names it by number. Numbers lie in columns as narrow as they allow.

mod column;

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

pub(crate) use column::{Amount, Duration};
use column::{Amounts, Durations, Wholes, gather, held_bytes};

use super::{CycleId, Environment, ErrorKind, Failure, Metric, Outcome, Record, TokenSource};

/// What is the same in many rows. Fields are those of [`Record`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is documented at the field of the same name in `Record`")]
pub struct Label {
    pub model_name: String,
    pub environment: Environment,
    pub context_window: Option<u64>,
    pub is_cloud: Option<bool>,
    pub is_success: bool,
    pub provider: Option<String>,
    pub simulated: bool,
    pub location: Option<String>,
    pub token_source: Option<TokenSource>,
    pub http_status: Option<u16>,
    pub error_kind: Option<ErrorKind>,
    pub error_message: Option<String>,
    pub served_model: Option<String>,
    pub finish_reason: Option<String>,
}

/// The numbers of one row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    /// Milliseconds since 1970.
    pub(crate) timestamp_ms: i64,
    pub(crate) cycle_id: Option<CycleId>,
    /// In the order of [`Metric::ALL`].
    pub(crate) durations: [Duration; Metric::ALL.len()],
    /// Input, output, cached input, reasoning.
    pub(crate) tokens: [Option<u64>; 4],
    pub(crate) cost: Amount,
}

/// Records by column. Times are kept to the millisecond.
#[derive(Debug, Default)]
pub struct Table {
    serial: u64,
    labels: Vec<Label>,
    label_of: Vec<u32>,
    timestamps_ms: Vec<i64>,
    cycles: Wholes,
    durations: [Durations; Metric::ALL.len()],
    tokens: [Wholes; 4],
    costs: Amounts,
}

/// A [`Table`] that is being filled.
#[derive(Debug, Default)]
pub(crate) struct TableBuilder {
    table: Table,
    numbers: HashMap<Label, u32>,
    /// About how many rows there will be: growing bit by bit costs a tenth of all the time.
    expected: usize,
}

impl TableBuilder {
    /// For about `expected` rows.
    pub(crate) fn for_rows(expected: usize) -> Self {
        let mut builder = Self { expected, ..Self::default() };
        builder.table.label_of.reserve(expected);
        builder.table.timestamps_ms.reserve(expected);
        builder
    }

    /// The number of `label`.
    pub(crate) fn label(&mut self, label: Label) -> u32 {
        if let Some(number) = self.numbers.get(&label) {
            return *number;
        }
        let number = self.table.labels.len() as u32;
        self.table.labels.push(label.clone());
        self.numbers.insert(label, number);
        number
    }

    /// Adds a row whose label was given the number `label`.
    pub(crate) fn push(&mut self, label: u32, numbers: &Numbers) {
        let table = &mut self.table;
        let row = table.timestamps_ms.len();
        table.label_of.push(label);
        table.timestamps_ms.push(numbers.timestamp_ms);
        table.cycles.push(row, numbers.cycle_id.map(cycle_number), self.expected);
        for (column, value) in table.durations.iter_mut().zip(numbers.durations) {
            column.push(row, value, self.expected);
        }
        for (column, value) in table.tokens.iter_mut().zip(numbers.tokens) {
            column.push(row, value, self.expected);
        }
        table.costs.push(row, numbers.cost);
    }

    pub(crate) fn finish(self) -> Table {
        // Told apart from every other of this process, so that what was found out about labels can be remembered by number.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut table = self.table;
        table.serial = NEXT.fetch_add(1, Ordering::Relaxed);
        table.shrink();
        table
    }
}

/// Seconds since 1970; those before are huge, and as exact.
fn cycle_number(id: CycleId) -> u64 {
    id.scheduled().timestamp().cast_unsigned()
}

impl Table {
    /// How many rows.
    pub fn len(&self) -> usize {
        self.timestamps_ms.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.timestamps_ms.is_empty()
    }

    /// Every combination that occurs.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The row at `index`.
    pub fn row(&self, index: usize) -> Option<TableRow<'_>> {
        let label = self.labels.get(*self.label_of.get(index)? as usize)?;
        let timestamp_ms = *self.timestamps_ms.get(index)?;
        Some(TableRow { table: self, index, label, timestamp_ms })
    }

    /// When each row's probe started, milliseconds since 1970.
    pub(crate) fn timestamps_ms(&self) -> &[i64] {
        &self.timestamps_ms
    }

    /// Gives back what was held for more rows.
    fn shrink(&mut self) {
        self.labels.shrink_to_fit();
        self.label_of.shrink_to_fit();
        self.timestamps_ms.shrink_to_fit();
        self.cycles.shrink();
        self.costs.shrink();
        self.durations.iter_mut().for_each(Durations::shrink);
        self.tokens.iter_mut().for_each(Wholes::shrink);
    }

    /// Puts the rows in the order of `order`, which names each row once.
    pub(crate) fn reorder(&mut self, order: &[u32]) {
        self.label_of = gather(&self.label_of, order);
        self.timestamps_ms = gather(&self.timestamps_ms, order);
        self.cycles.reorder(order);
        self.costs.reorder(order);
        self.durations.iter_mut().for_each(|column| column.reorder(order));
        self.tokens.iter_mut().for_each(|column| column.reorder(order));
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        let labels: usize = self.labels.iter().map(Label::bytes).sum();
        let durations: usize = self.durations.iter().map(Durations::bytes).sum();
        let tokens: usize = self.tokens.iter().map(Wholes::bytes).sum();
        let rows = held_bytes(&self.label_of) + held_bytes(&self.timestamps_ms);
        size_of::<Self>() + labels + rows + durations + tokens + self.cycles.bytes() + self.costs.bytes()
    }
}

impl Label {
    fn bytes(&self) -> usize {
        let texts = [&self.provider, &self.location, &self.error_message, &self.served_model, &self.finish_reason];
        let texts_bytes: usize = texts.into_iter().flatten().map(String::capacity).sum();
        // 16 bytes of an allocator's overhead for each text.
        size_of::<Self>() + self.model_name.capacity() + texts_bytes + 6 * 16
    }
}

/// One row of a [`Table`]: a [`Record`] whose texts and numbers are looked up where they lie.
#[derive(Debug, Clone, Copy)]
pub struct TableRow<'a> {
    table: &'a Table,
    index: usize,
    label: &'a Label,
    timestamp_ms: i64,
}

impl<'a> TableRow<'a> {
    /// What it shares with other rows.
    pub fn label(&self) -> &'a Label {
        self.label
    }

    /// Tells the table from every other in this process.
    pub fn table_serial(&self) -> u64 {
        self.table.serial
    }

    /// The label's number within the table.
    pub fn label_number(&self) -> usize {
        self.table.label_of.get(self.index).map_or(0, |number| *number as usize)
    }

    /// When the probe started.
    pub fn timestamp(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.timestamp_ms).unwrap_or_default()
    }

    /// When the probe started, milliseconds since 1970.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// The cycle that measured it.
    pub fn cycle_id(&self) -> Option<CycleId> {
        let seconds = self.table.cycles.get(self.index)?.cast_signed();
        DateTime::from_timestamp(seconds, 0).map(CycleId::at)
    }

    /// A duration, in milliseconds.
    #[inline]
    pub fn ms(&self, metric: Metric) -> Option<f64> {
        self.table.durations.get(metric as usize).and_then(|column| column.get(self.index))
    }

    /// Prompt tokens, cached ones included.
    pub fn input_tokens(&self) -> Option<u64> {
        self.tokens(0)
    }

    /// Generated tokens, reasoning included.
    pub fn output_tokens(&self) -> Option<u64> {
        self.tokens(1)
    }

    /// Prompt tokens the provider read from its cache.
    pub fn cached_input_tokens(&self) -> Option<u64> {
        self.tokens(2)
    }

    /// Generated tokens that were reasoning.
    pub fn reasoning_tokens(&self) -> Option<u64> {
        self.tokens(3)
    }

    fn tokens(&self, column: usize) -> Option<u64> {
        self.table.tokens.get(column).and_then(|column| column.get(self.index))
    }

    /// US dollars.
    pub fn cost(&self) -> Option<Decimal> {
        self.table.costs.get(self.index)
    }

    /// Whether the probe succeeded.
    pub fn is_success(&self) -> bool {
        self.label.is_success
    }

    /// The failure's kind, for a failed probe.
    pub fn error_kind(&self) -> Option<ErrorKind> {
        self.label.error_kind.filter(|_| !self.label.is_success)
    }

    /// The whole record.
    pub fn to_record(&self) -> Record {
        let label = self.label;
        let outcome = if label.is_success {
            Outcome::Success
        } else {
            Outcome::Error(Failure { kind: label.error_kind, message: label.error_message.clone() })
        };
        Record {
            model_name: label.model_name.clone(),
            environment: label.environment.clone(),
            timestamp: self.timestamp(),
            latency_ms: self.ms(Metric::LatencyMs),
            input_tokens: self.input_tokens(),
            output_tokens: self.output_tokens(),
            cost: self.cost(),
            context_window: label.context_window,
            is_cloud: label.is_cloud,
            outcome,
            cycle_id: self.cycle_id(),
            provider: label.provider.clone(),
            simulated: label.simulated,
            location: label.location.clone(),
            start_delay_ms: self.ms(Metric::StartDelayMs),
            connect_ms: self.ms(Metric::ConnectMs),
            ttft_ms: self.ms(Metric::TtftMs),
            ttfa_ms: self.ms(Metric::TtfaMs),
            tpot_ms: self.ms(Metric::TpotMs),
            max_gap_ms: self.ms(Metric::MaxGapMs),
            cached_input_tokens: self.cached_input_tokens(),
            reasoning_tokens: self.reasoning_tokens(),
            token_source: label.token_source,
            http_status: label.http_status,
            served_model: label.served_model.clone(),
            finish_reason: label.finish_reason.clone(),
            dns_ms: self.ms(Metric::DnsMs),
            tls_ms: self.ms(Metric::TlsMs),
            ttfb_ms: self.ms(Metric::TtfbMs),
            client_delay_ms: self.ms(Metric::ClientDelayMs),
            load_ms: self.ms(Metric::LoadMs),
        }
    }
}
