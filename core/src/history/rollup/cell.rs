//! What an hour's probes of one model add up to.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::bins::{self, Bin, PackedBins};
use crate::record::{ErrorKind, Metric, TableRow};

/// Sums of the phases of the successes that have all of them, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Phases {
    /// How many.
    pub count: u64,
    /// Name resolution.
    pub dns_ms: f64,
    /// TCP: connecting without name resolution and TLS.
    pub tcp_ms: f64,
    /// The TLS handshake; 0 without TLS.
    pub tls_ms: f64,
    /// From the connection to the response's headers.
    pub waiting_ms: f64,
    /// From the headers to the first generated text.
    pub first_token_ms: f64,
    /// From the first to the last text.
    pub streaming_ms: f64,
}

impl Phases {
    /// Adds a success.
    pub fn add(&mut self, row: &TableRow<'_>) {
        let (Some(connect), Some(ttfb), Some(ttft), Some(latency)) =
            (row.ms(Metric::ConnectMs), row.ms(Metric::TtfbMs), row.ms(Metric::TtftMs), row.ms(Metric::LatencyMs))
        else {
            return;
        };
        let (dns, tls) = (row.ms(Metric::DnsMs).unwrap_or(0.0), row.ms(Metric::TlsMs).unwrap_or(0.0));
        self.count += 1;
        self.dns_ms += dns;
        self.tls_ms += tls;
        self.tcp_ms += (connect - dns - tls).max(0.0);
        self.waiting_ms += (ttfb - connect).max(0.0);
        self.first_token_ms += (ttft - ttfb).max(0.0);
        self.streaming_ms += (latency - ttft).max(0.0);
    }

    /// Adds others' sums.
    pub fn and(&mut self, other: &Self) {
        self.count += other.count;
        self.dns_ms += other.dns_ms;
        self.tcp_ms += other.tcp_ms;
        self.tls_ms += other.tls_ms;
        self.waiting_ms += other.waiting_ms;
        self.first_token_ms += other.first_token_ms;
        self.streaming_ms += other.streaming_ms;
    }
}

/// A row in short.
#[derive(Debug, Clone, PartialEq)]
pub struct Last {
    /// When the probe started.
    pub timestamp: DateTime<Utc>,
    /// Whether it succeeded.
    pub is_success: bool,
    /// End to end, of a success.
    pub latency_ms: Option<f64>,
    /// To the first generated text.
    pub ttft_ms: Option<f64>,
    /// What failed.
    pub error_kind: Option<ErrorKind>,
    /// The failure in words.
    pub error_message: Option<String>,
    /// Derived instead of measured.
    pub simulated: bool,
    /// Who serves the model.
    pub provider: Option<String>,
}

impl Last {
    /// `row` in short.
    pub fn of(row: &TableRow<'_>) -> Self {
        Self { provider: row.label().provider.clone(), ..Self::without_provider(row) }
    }

    /// Rows come oldest first in each segment, so nearly every one is the newest so far: what is there already is written over.
    pub fn replace(&mut self, row: &TableRow<'_>) {
        let now = &row.label().provider;
        let provider = self.provider.take().filter(|provider| now.as_ref() == Some(provider));
        *self = Self { provider: provider.or_else(|| now.clone()), ..Self::without_provider(row) };
    }

    fn without_provider(row: &TableRow<'_>) -> Self {
        Self {
            timestamp: row.timestamp(),
            is_success: row.is_success(),
            latency_ms: row.ms(Metric::LatencyMs),
            ttft_ms: row.ms(Metric::TtftMs),
            error_kind: row.error_kind(),
            error_message: row.label().error_message.clone().filter(|_| !row.is_success()),
            simulated: row.label().simulated,
            provider: None,
        }
    }
}

/// The counts of an hour, or of a day: everything but durations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Probes.
    pub count: u64,
    /// Probes that succeeded.
    pub successes: u64,
    /// Failures by kind, rate limits included; `None` is the kind of rows that name none.
    pub failures: BTreeMap<Option<ErrorKind>, u64>,
    /// Input, output, cached input and reasoning tokens; `None` where no probe says how many.
    pub tokens: [Option<u64>; 4],
    /// US dollars, over the probes whose cost is known; `None` where that is none.
    pub cost_usd: Option<Decimal>,
    /// Probes whose cost is known.
    pub priced: u64,
    /// Successes whose cost is not known.
    pub unpriced: u64,
    /// Where a success's time goes.
    pub phases: Phases,
    /// The newest probe.
    pub last: Option<Last>,
}

impl Counts {
    /// Adds those of another hour.
    pub(super) fn and(&mut self, other: Self) {
        let newest = |last: &Option<Last>| last.as_ref().map(|last| last.timestamp);
        if newest(&other.last) >= newest(&self.last) {
            self.last = other.last;
        }
        self.count += other.count;
        self.successes += other.successes;
        for (kind, count) in other.failures {
            *self.failures.entry(kind).or_default() += count;
        }
        for (sum, more) in self.tokens.iter_mut().zip(other.tokens) {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        }
        if let Some(cost) = other.cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or_default().saturating_add(cost));
        }
        self.priced += other.priced;
        self.unpriced += other.unpriced;
        self.phases.and(&other.phases);
    }

    pub(super) fn add(&mut self, row: &TableRow<'_>) {
        match &mut self.last {
            Some(last) if last.timestamp > row.timestamp() => {}
            Some(last) => last.replace(row),
            none => *none = Some(Last::of(row)),
        }
        self.count += 1;
        let tokens = [row.input_tokens(), row.output_tokens(), row.cached_input_tokens(), row.reasoning_tokens()];
        for (sum, more) in self.tokens.iter_mut().zip(tokens) {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        }
        let cost = row.cost();
        if let Some(cost) = cost {
            self.cost_usd = Some(self.cost_usd.unwrap_or_default().saturating_add(cost));
            self.priced += 1;
        }
        if row.is_success() {
            self.successes += 1;
            self.unpriced += u64::from(cost.is_none());
            self.phases.add(row);
        } else {
            *self.failures.entry(row.error_kind()).or_default() += 1;
        }
    }
}

/// An hour's (or a day's) values of one duration, over the successes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Values<'a> {
    /// How many.
    pub count: u64,
    /// The smallest, in milliseconds; exact.
    pub min: f64,
    /// The largest; exact.
    pub max: f64,
    /// Of all; exact.
    pub sum: f64,
    /// Where they lie.
    pub bins: PackedBins<'a>,
}

/// Values in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected {
    pub(super) min: f64,
    pub(super) max: f64,
    pub(super) sum: f64,
    pub(super) bins: Vec<Bin>,
}

impl Collected {
    pub(super) fn add(&mut self, ms: f64) {
        let is_first = self.bins.is_empty();
        self.min = if is_first { ms } else { self.min.min(ms) };
        self.max = if is_first { ms } else { self.max.max(ms) };
        self.sum += ms;
        bins::count(&mut self.bins, bins::bin_of(ms));
    }
}
