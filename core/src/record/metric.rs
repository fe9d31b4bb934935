use std::{fmt, str::FromStr};

use super::Record;

/// A measured duration of a record. The words are the CSV's columns and the API's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is documented at the field of the same name in `Record`")]
pub enum Metric {
    LatencyMs,
    TtftMs,
    TtfaMs,
    TpotMs,
    ConnectMs,
    DnsMs,
    TlsMs,
    TtfbMs,
    MaxGapMs,
    StartDelayMs,
    ClientDelayMs,
    LoadMs,
}

impl Metric {
    /// Every metric, in the order the documentation lists them.
    pub const ALL: [Self; 12] = [
        Self::LatencyMs,
        Self::TtftMs,
        Self::TtfaMs,
        Self::TpotMs,
        Self::ConnectMs,
        Self::DnsMs,
        Self::TlsMs,
        Self::TtfbMs,
        Self::MaxGapMs,
        Self::StartDelayMs,
        Self::ClientDelayMs,
        Self::LoadMs,
    ];

    /// The column's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LatencyMs => "latency_ms",
            Self::TtftMs => "ttft_ms",
            Self::TtfaMs => "ttfa_ms",
            Self::TpotMs => "tpot_ms",
            Self::ConnectMs => "connect_ms",
            Self::DnsMs => "dns_ms",
            Self::TlsMs => "tls_ms",
            Self::TtfbMs => "ttfb_ms",
            Self::MaxGapMs => "max_gap_ms",
            Self::StartDelayMs => "start_delay_ms",
            Self::ClientDelayMs => "client_delay_ms",
            Self::LoadMs => "load_ms",
        }
    }

    /// What `record` measured of it, in milliseconds.
    pub fn of(self, record: &Record) -> Option<f64> {
        match self {
            Self::LatencyMs => record.latency_ms,
            Self::TtftMs => record.ttft_ms,
            Self::TtfaMs => record.ttfa_ms,
            Self::TpotMs => record.tpot_ms,
            Self::ConnectMs => record.connect_ms,
            Self::DnsMs => record.dns_ms,
            Self::TlsMs => record.tls_ms,
            Self::TtfbMs => record.ttfb_ms,
            Self::MaxGapMs => record.max_gap_ms,
            Self::StartDelayMs => record.start_delay_ms,
            Self::ClientDelayMs => record.client_delay_ms,
            Self::LoadMs => record.load_ms,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word names no known metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric")]
pub struct UnknownMetric;

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == word).ok_or(UnknownMetric)
    }
}
