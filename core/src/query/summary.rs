//! What a window's rows say of each model: how many, how sure, how fast, how dear.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::{
    Column, GroupKey, Groups, Selection,
    sample::{Distribution, Sample},
};
use crate::{
    history::{FoldError, History},
    record::{ErrorKind, Metric, TableRow},
};

/// The metrics that a summary describes.
const SUMMARISED: [Metric; 4] = [Metric::LatencyMs, Metric::TtftMs, Metric::TpotMs, Metric::ConnectMs];

/// A group of rows in numbers.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Probes, without the simulated rows that were left out.
    pub count: u64,
    /// Probes that succeeded.
    pub successes: u64,
    /// Failures by kind, rate limits included; `None` is the kind of rows that name none.
    pub failures_by_kind: BTreeMap<Option<ErrorKind>, u64>,
    /// Rows that count and are simulated.
    pub simulated: u64,
    /// Simulated rows that were left out.
    pub simulated_left_out: u64,
    /// Prompt tokens.
    pub input_tokens: u64,
    /// Generated tokens.
    pub output_tokens: u64,
    /// Of the prompt tokens: read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Of the generated tokens: reasoning.
    pub reasoning_tokens: u64,
    /// US dollars, over the probes whose cost is known.
    pub cost_usd: Decimal,
    /// Probes whose cost is known.
    pub priced: u64,
    /// Where a success's time goes.
    pub phases: Phases,
    /// The newest row, also if it was left out.
    pub last: Option<Last>,
    samples: [Sample; SUMMARISED.len()],
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
    fn of(row: &TableRow<'_>) -> Self {
        Self { provider: row.label().provider.clone(), ..Self::without_provider(row) }
    }

    /// Rows come oldest first in each segment, so nearly every one is the newest so far: what is there already is written over.
    fn replace(&mut self, row: &TableRow<'_>) {
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
    fn add(&mut self, row: &TableRow<'_>) {
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
}

impl Summary {
    fn add(&mut self, row: &TableRow<'_>, include_simulated: bool) {
        match &mut self.last {
            Some(last) if last.timestamp > row.timestamp() => {}
            Some(last) => last.replace(row),
            none => *none = Some(Last::of(row)),
        }
        if row.label().simulated && !include_simulated {
            self.simulated_left_out += 1;
            return;
        }
        self.count += 1;
        self.simulated += u64::from(row.label().simulated);
        self.input_tokens = self.input_tokens.saturating_add(row.input_tokens().unwrap_or(0));
        self.output_tokens = self.output_tokens.saturating_add(row.output_tokens().unwrap_or(0));
        self.cached_input_tokens = self.cached_input_tokens.saturating_add(row.cached_input_tokens().unwrap_or(0));
        self.reasoning_tokens = self.reasoning_tokens.saturating_add(row.reasoning_tokens().unwrap_or(0));
        if let Some(cost) = row.cost() {
            self.cost_usd = self.cost_usd.saturating_add(cost);
            self.priced += 1;
        }
        if !row.is_success() {
            *self.failures_by_kind.entry(row.error_kind()).or_default() += 1;
            return;
        }
        self.successes += 1;
        self.phases.add(row);
        for (metric, sample) in SUMMARISED.into_iter().zip(&mut self.samples) {
            if let Some(ms) = row.ms(metric) {
                sample.add(ms);
            }
        }
    }

    /// Failures that say something of the model: without rate limits, which are the account's own.
    pub fn failures(&self) -> u64 {
        self.count.saturating_sub(self.successes).saturating_sub(self.rate_limited())
    }

    /// Probes that the account's own limit refused.
    pub fn rate_limited(&self) -> u64 {
        self.failures_by_kind.get(&Some(ErrorKind::RateLimited)).copied().unwrap_or(0)
    }

    /// Over the successes, in milliseconds; takes the values out.
    pub fn take_distribution(&mut self, metric: Metric) -> Distribution {
        let sample = SUMMARISED.into_iter().zip(&mut self.samples).find(|(of, _)| *of == metric);
        sample.map(|(_, sample)| std::mem::take(sample).into_sorted().distribution()).unwrap_or_default()
    }
}

/// Summarises the rows of `selection`, grouped by `columns`. Exact: every row is looked at.
pub async fn summaries(
    history: &History,
    selection: &Selection,
    columns: &[Column],
) -> Result<Vec<(GroupKey, Summary)>, FoldError> {
    let start = || Groups::<Summary>::by(columns);
    let groups = history.fold(
        &selection.scope,
        selection.rows_at_most,
        |label| selection.wants(label),
        start,
        |groups, row| {
            groups.of(row).add(row, selection.include_simulated);
        },
    );
    Ok(groups.await?.into_groups())
}
