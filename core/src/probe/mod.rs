//! One target -> one record. Never an error: a failed probe is data.
//!
//! Every probe opens a connection of its own, so that records compare with each other. What counts is when bytes arrived: on
//! Linux the kernel says so, elsewhere it is the instant at which their read returned, before anything looked at them.
//! Durations are derived from these instants afterwards ([`timeline`]).

pub mod answer;
mod arrival;
mod attempt;
mod connect;
pub mod decode;
mod exchange;
mod lateness;
mod memory;
pub mod reading;
pub mod timeline;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt;
use rustls::ClientConfig;
use tokio::time::timeout_at;

use self::{arrival::Stamping, attempt::Attempt, lateness::Lateness, memory::Memory, timeline::ms};
use crate::{
    catalog::Target,
    provider::{Ask, Secrets},
    record::{CycleId, ErrorKind, Failure, Outcome, Record, TokenSource},
    tls::SharedTls,
};

/// What is asked unless the settings say otherwise: about 120 tokens that every model can answer at length.
pub const DEFAULT_PROMPT: &str = "You are taking part in a latency measurement, so the length and the pace of your answer \
matter more than its style. Explain to a curious twelve-year-old how a letter travels from the sender's mailbox to the \
recipient's door in another country: how it is collected, stamped, sorted, carried by road, rail, ship or air, cleared by \
customs, sorted again and finally delivered. Mention who does the work at each stage and what can go wrong. Write plain \
paragraphs of full sentences, with no headings, no lists and no questions back to me, and write at least three hundred words.";

/// When a cycle's probes were due, and when they must be over.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The cycle they belong to.
    pub cycle_id: CycleId,
    /// When the cycle was due: `start_delay_ms` counts from here.
    pub due: Instant,
    /// A probe still running then is cut and recorded as `timeout` with what it had (Lambda's deadline).
    pub stop_by: Option<Instant>,
}

/// Sends probes. One per process: it keeps the TLS roots and what it learned of each endpoint.
#[derive(Debug)]
pub struct Prober {
    location: String,
    tls: SharedTls,
    memory: Memory,
    lateness: Lateness,
    _stamping: Stamping,
}

impl Prober {
    /// `location` is where this monitor probes from, part of every record. The platform's trusted roots are read when the first
    /// `https` endpoint is probed.
    pub fn new(location: impl Into<String>) -> Self {
        Self {
            location: location.into(),
            tls: SharedTls::default(),
            memory: Memory::default(),
            lateness: Lateness::default(),
            _stamping: Stamping::keep(),
        }
    }

    /// As [`new`](Self::new), with a TLS configuration of the caller's (see
    /// [`client_config_with_roots`](crate::tls::client_config_with_roots)).
    pub fn with_tls(location: impl Into<String>, config: Arc<ClientConfig>) -> Self {
        Self::sharing(location, SharedTls::of(config))
    }

    /// As [`new`](Self::new), with roots that others use too.
    pub fn sharing(location: impl Into<String>, tls: SharedTls) -> Self {
        Self { tls, ..Self::new(location) }
    }

    /// Sends one request and measures it. The one case of a second request is an endpoint that refuses a parameter
    /// (`stream_options`, or the token limit's name): it is asked once more without, remembered, and the record measures the
    /// second request alone, from its own start; the time limit covers both.
    pub async fn probe(&self, target: &Target, schedule: &Schedule) -> Record {
        let tls = self.tls(target).await;
        let mut attempt = Attempt::new();
        let watch = self.lateness.watch(attempt.start);
        let start_delay = attempt.start.saturating_duration_since(schedule.due);
        let limit = TimeLimit::of(target, schedule, attempt.start);
        let prompt = with_nonce(&target.prompt);

        let outcome = match tls {
            Err(failure) => Err(failure),
            Ok(tls) => {
                let ended = limit.enforce(self.ask(target, &prompt, tls.as_ref(), &mut attempt)).await;
                ended.unwrap_or_else(|| limit.verdict(&attempt))
            }
        };

        let mut record = self.record(target, &attempt, prompt.chars().count() as u64, outcome);
        record.cycle_id = Some(schedule.cycle_id);
        record.start_delay_ms = Some(ms(start_delay));
        record.client_delay_ms = Some(ms(watch.worst()));
        record
    }

    /// The TLS configuration for `target`; `None` where it needs none.
    async fn tls(&self, target: &Target) -> Result<Option<Arc<ClientConfig>>, Failure> {
        if target.access.base_url.scheme() != "https" {
            return Ok(None);
        }
        self.tls.get().await.map(Some).map_err(|error| Failure::new(ErrorKind::Tls, error.to_string()))
    }

    async fn ask(
        &self,
        target: &Target,
        prompt: &str,
        tls: Option<&Arc<ClientConfig>>,
        attempt: &mut Attempt,
    ) -> Result<(), Failure> {
        let mut ask = Ask {
            model: &target.provider_model,
            prompt,
            max_output_tokens: target.max_output_tokens,
            access: &target.access,
            quirks: self.memory.quirks(target),
        };
        let Err(refusal) = attempt.run(target.provider, &ask, tls).await else { return Ok(()) };
        let Some(adaptation) = refusal.adaptation.filter(|adaptation| self.memory.allows(target, *adaptation)) else {
            return Err(refusal.failure);
        };
        ask.quirks = adaptation.quirks;
        *attempt = Attempt::new();
        let outcome = attempt.run(target.provider, &ask, tls).await;
        let is_refused_again = attempt.http_status.is_none_or(|status| status >= 300);
        self.memory.learn(target, adaptation, is_refused_again);
        tracing::debug!(
            model = %target.model, environment = %target.environment, quirks = ?adaptation.quirks, is_refused_again,
            "{} of {}: a parameter was refused; measured a second request without it", target.model, target.environment
        );
        outcome.map_err(|refusal| refusal.failure)
    }

    fn record(&self, target: &Target, attempt: &Attempt, prompt_chars: u64, outcome: Result<(), Failure>) -> Record {
        let (answer, timeline) = (&attempt.answer, &attempt.answer.timeline);
        let secrets = Secrets::of(&target.access.base_url, target.access.api_key.as_ref());
        let redact = |text: &String| secrets.strike_out(text);
        // What a stream said before it failed counts only part of its tokens.
        let tokens = answer.is_complete().then(|| answer.tokens(prompt_chars));
        let is_counted = tokens.is_some_and(|tokens| tokens.source == TokenSource::Provider);
        Record {
            latency_ms: timeline.latency_ms().filter(|_| outcome.is_ok()),
            input_tokens: tokens.map(|tokens| tokens.input),
            output_tokens: tokens.map(|tokens| tokens.output),
            cost: target.prices.zip(tokens).map(|(prices, tokens)| prices.cost(tokens.input, tokens.output)),
            context_window: target.context_window,
            is_cloud: Some(target.is_cloud),
            outcome: match outcome {
                Ok(()) => Outcome::Success,
                Err(failure) => Outcome::Error(Failure { message: failure.message.as_ref().map(redact), ..failure }),
            },
            provider: Some(target.provider.to_string()),
            location: Some(self.location.clone()),
            connect_ms: timeline.connected.map(ms),
            ttft_ms: timeline.ttft_ms(),
            ttfa_ms: timeline.ttfa_ms(),
            tpot_ms: tokens.and_then(|tokens| timeline.tpot_ms(tokens.output)),
            max_gap_ms: timeline.max_gap_ms(),
            cached_input_tokens: answer.usage.cached_input_tokens.filter(|_| is_counted),
            reasoning_tokens: answer.usage.reasoning_tokens.filter(|_| is_counted),
            token_source: tokens.map(|tokens| tokens.source),
            http_status: attempt.http_status,
            served_model: answer.served_model.as_ref().map(redact),
            finish_reason: answer.finish_reason.as_ref().map(redact),
            dns_ms: timeline.dns.map(ms),
            tls_ms: timeline.tls.map(ms),
            ttfb_ms: timeline.headers.map(ms),
            load_ms: answer.load_ms,
            ..Record::new(target.model.clone(), target.environment.clone(), attempt.timestamp)
        }
    }
}

/// The end of a probe's time, and whose limit that is.
struct TimeLimit {
    deadline: Instant,
    message: String,
}

impl TimeLimit {
    fn of(target: &Target, schedule: &Schedule, start: Instant) -> Self {
        let own = start + target.timeout;
        match schedule.stop_by.filter(|stop_by| *stop_by < own) {
            Some(deadline) => Self { deadline, message: "cut off: the cycle's time was over".to_owned() },
            None => Self { deadline: own, message: format!("not complete within {} s", target.timeout.as_secs_f64()) },
        }
    }

    /// What `asking` came to; `None` if the time was over first. A panic in one provider's reader is that probe's failure, not
    /// the cycle's end.
    async fn enforce(&self, asking: impl Future<Output = Result<(), Failure>>) -> Option<Result<(), Failure>> {
        match AssertUnwindSafe(timeout_at(self.deadline.into(), asking)).catch_unwind().await {
            Ok(Ok(outcome)) => Some(outcome),
            Ok(Err(_)) => None,
            Err(_) => {
                let message = "the monitor itself failed to read the answer; please report this with its log";
                Some(Err(Failure::new(ErrorKind::MalformedResponse, message)))
            }
        }
    }

    /// What a probe is that was cut here: generation that had ended takes no harm from a stream that does not close.
    fn verdict(&self, attempt: &Attempt) -> Result<(), Failure> {
        let (answer, timeline) = (&attempt.answer, &attempt.answer.timeline);
        if answer.is_complete() {
            return answer.verdict().map_or(Ok(()), Err);
        }
        let stage = if timeline.has_text() {
            "the text stalled or went on"
        } else if timeline.headers.is_some() {
            "headers came, but no text"
        } else if timeline.connected.is_some() {
            "connected, but no headers came"
        } else {
            "no connection"
        };
        Err(Failure::new(ErrorKind::Timeout, format!("{}: {stage}", self.message)))
    }
}

/// Differs from its first token on, so that no cache of answers or prefixes knows it.
fn with_nonce(prompt: &str) -> String {
    format!("{:016x} {prompt}", fastrand::u64(..))
}

#[cfg(test)]
mod tests {
    use std::{future, time::Duration};

    use super::*;

    fn limit(timeout: Duration) -> TimeLimit {
        TimeLimit { deadline: Instant::now() + timeout, message: "over".to_owned() }
    }

    #[tokio::test]
    async fn a_panic_is_a_failed_probe() {
        let limit = limit(Duration::from_mins(1));
        let ended = limit.enforce(async { panic!("a bug in a reader") }).await;
        let failure = ended.and_then(Result::err);
        assert_eq!(failure.and_then(|failure| failure.kind), Some(ErrorKind::MalformedResponse));
        assert_eq!(limit.enforce(async { Ok(()) }).await, Some(Ok(())));
    }

    #[tokio::test]
    async fn time_that_is_over_says_how_far_it_got() {
        let limit = limit(Duration::ZERO);
        assert_eq!(limit.enforce(future::pending()).await, None);
        let message = |attempt: &Attempt| limit.verdict(attempt).err().and_then(|failure| failure.message);
        let mut attempt = Attempt::new();
        assert_eq!(message(&attempt).as_deref(), Some("over: no connection"));
        attempt.answer.timeline.connected = Some(Duration::ZERO);
        assert_eq!(message(&attempt).as_deref(), Some("over: connected, but no headers came"));
        attempt.answer.timeline.answer(Duration::ZERO);
        assert_eq!(message(&attempt).as_deref(), Some("over: the text stalled or went on"));
    }

    #[test]
    fn no_two_prompts_start_alike() {
        let (one, other) = (with_nonce(DEFAULT_PROMPT), with_nonce(DEFAULT_PROMPT));
        assert_ne!(one.get(..16), other.get(..16));
        assert!(one.ends_with(DEFAULT_PROMPT));
    }
}
