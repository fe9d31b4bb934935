//! A record on the wire.

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

use crate::record::{Record, TokenSource};

/// One measured probe. Field names are the CSV's; every field is always there, `null` where it is unknown. Durations run from
/// the instant the probe starts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "model_name": "gpt-4o-mini", "environment": "prod", "timestamp": "2026-11-24T16:54:00.113Z", "latency_ms": 1834.2,
    "input_tokens": 121, "output_tokens": 128, "cost": 0.000_094_95, "context_window": 128_000, "is_cloud": true,
    "status": "success", "cycle_id": "20261124T165400Z", "provider": "openai", "simulated": false, "location": "eu-west-1",
    "start_delay_ms": 0.4, "connect_ms": 38.1, "ttft_ms": 412.7, "ttfa_ms": 412.7, "tpot_ms": 11.2, "max_gap_ms": 48.9,
    "cached_input_tokens": 0, "reasoning_tokens": 0, "token_source": "provider", "http_status": 200, "error_kind": null,
    "error_message": null, "served_model": "gpt-4o-mini-2024-07-18", "finish_reason": "length", "dns_ms": 2.3,
    "tls_ms": 21.5, "ttfb_ms": 371.0, "client_delay_ms": 0.1, "load_ms": null
}))]
pub struct LatencyRecord {
    /// The usage endpoint's `llmCode`.
    pub model_name: String,
    /// Where the model is used.
    pub environment: String,
    /// When the probe started: RFC 3339, UTC, milliseconds.
    #[schema(format = DateTime)]
    pub timestamp: String,
    /// End to end, to the last chunk that carries text, in milliseconds; `null` for a failed probe.
    #[schema(required = true, minimum = 0)]
    pub latency_ms: Option<f64>,
    /// Prompt tokens, cached ones included.
    #[schema(required = true)]
    pub input_tokens: Option<u64>,
    /// Generated tokens, reasoning included.
    #[schema(required = true)]
    pub output_tokens: Option<u64>,
    /// US dollars at the usage endpoint's rates; `null` where the price is unknown.
    #[schema(required = true, minimum = 0)]
    pub cost: Option<f64>,
    /// The model's context window, in tokens.
    #[schema(required = true)]
    pub context_window: Option<u64>,
    /// `false` for a model served on the monitor's host or by Ollama.
    #[schema(required = true)]
    pub is_cloud: Option<bool>,
    /// `success` or `error`.
    #[schema(pattern = "^(success|error)$")]
    pub status: &'static str,
    /// The scheduled time of the cycle that measured it; `null` for records from elsewhere.
    #[schema(required = true)]
    pub cycle_id: Option<String>,
    /// Who serves the model.
    #[schema(required = true)]
    pub provider: Option<String>,
    /// Derived from another environment's measurement instead of measured.
    pub simulated: bool,
    /// Where the monitor probes from.
    #[schema(required = true)]
    pub location: Option<String>,
    /// How late the probe started after its cycle was due, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub start_delay_ms: Option<f64>,
    /// DNS, TCP and TLS together, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub connect_ms: Option<f64>,
    /// To the first chunk that carries generated text, answer or reasoning, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub ttft_ms: Option<f64>,
    /// To the first chunk of the answer, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub ttfa_ms: Option<f64>,
    /// (`latency_ms` − `ttft_ms`) / (`output_tokens` − 1), in milliseconds; `null` below 2 tokens.
    #[schema(required = true, minimum = 0)]
    pub tpot_ms: Option<f64>,
    /// The longest wait between two chunks with text, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub max_gap_ms: Option<f64>,
    /// Prompt tokens the provider read from its cache.
    #[schema(required = true)]
    pub cached_input_tokens: Option<u64>,
    /// Generated tokens that were reasoning.
    #[schema(required = true)]
    pub reasoning_tokens: Option<u64>,
    /// Who counted the tokens: `provider` or `estimated`.
    #[schema(required = true)]
    pub token_source: Option<&'static str>,
    /// Status of the provider's HTTP response.
    #[schema(required = true)]
    pub http_status: Option<u16>,
    /// What made the probe fail: `timeout`, `dns`, `connect`, `tls`, `auth`, `rate_limited`, `overloaded`, `bad_request`,
    /// `not_found`, `server_error`, `malformed_response`, `empty_response`, `incomplete_stream`, `too_large`.
    #[schema(required = true)]
    pub error_kind: Option<&'static str>,
    /// The failure in words, at most 200 characters.
    #[schema(required = true)]
    pub error_message: Option<String>,
    /// The model that the provider says answered.
    #[schema(required = true)]
    pub served_model: Option<String>,
    /// Why generation ended, in the provider's words.
    #[schema(required = true)]
    pub finish_reason: Option<String>,
    /// DNS part of `connect_ms`, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub dns_ms: Option<f64>,
    /// TLS part of `connect_ms`, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub tls_ms: Option<f64>,
    /// To the response's headers, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub ttfb_ms: Option<f64>,
    /// The longest scheduling delay of the monitor itself while the probe ran, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub client_delay_ms: Option<f64>,
    /// Time the server says it spent loading the model, in milliseconds.
    #[schema(required = true, minimum = 0)]
    pub load_ms: Option<f64>,
}

impl From<Record> for LatencyRecord {
    fn from(record: Record) -> Self {
        Self {
            environment: record.environment.to_string(),
            timestamp: timestamp_text(record.timestamp),
            latency_ms: record.latency_ms,
            input_tokens: record.input_tokens,
            output_tokens: record.output_tokens,
            cost: record.cost.and_then(number),
            context_window: record.context_window,
            is_cloud: record.is_cloud,
            status: record.outcome.as_str(),
            cycle_id: record.cycle_id.map(|id| id.to_string()),
            simulated: record.simulated,
            start_delay_ms: record.start_delay_ms,
            connect_ms: record.connect_ms,
            ttft_ms: record.ttft_ms,
            ttfa_ms: record.ttfa_ms,
            tpot_ms: record.tpot_ms,
            max_gap_ms: record.max_gap_ms,
            cached_input_tokens: record.cached_input_tokens,
            reasoning_tokens: record.reasoning_tokens,
            token_source: record.token_source.map(TokenSource::as_str),
            http_status: record.http_status,
            error_kind: record.error_kind().map(crate::record::ErrorKind::as_str),
            error_message: record.error_message().map(str::to_owned),
            dns_ms: record.dns_ms,
            tls_ms: record.tls_ms,
            ttfb_ms: record.ttfb_ms,
            client_delay_ms: record.client_delay_ms,
            load_ms: record.load_ms,
            model_name: record.model_name,
            provider: record.provider,
            location: record.location,
            served_model: record.served_model,
            finish_reason: record.finish_reason,
        }
    }
}

/// RFC 3339 with milliseconds and `Z`, as in the CSV.
pub(super) fn timestamp_text(timestamp: DateTime<Utc>) -> String {
    timestamp.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The JSON number nearest to an exact decimal: by its text, so that 0.0003192 stays 0.0003192.
pub(super) fn number(decimal: Decimal) -> Option<f64> {
    decimal.to_string().parse().ok()
}
