//! The monitor's own probes against the mock: what they record of each answer and each failure.

use std::time::{Duration, Instant};

use chrono::Utc;
use llm_monitor_core::{
    catalog::Target,
    probe::{Prober, Schedule},
    provider::{Access, Provider},
    record::{CycleId, Environment, ErrorKind, Record, TokenSource},
};

use super::{failing, quick, serve};
use crate::mock::{Behaviour, FailureKind, MockServer};

fn target(server: &MockServer, provider: Provider, timeout: Duration) -> Target {
    let environment = Environment::dev();
    Target {
        model: "m".to_owned(),
        provider_model: "m".to_owned(),
        provider,
        access: Access {
            base_url: server.base_url(&environment, provider),
            api_key: Some("mock".to_owned().into()),
            api_version: (provider == Provider::Azure).then(|| "2024-10-21".to_owned()),
        },
        environment,
        prices: None,
        context_window: None,
        is_cloud: false,
        prompt: "Hello, model.".into(),
        max_output_tokens: 100,
        timeout,
    }
}

async fn probed(server: &MockServer, provider: Provider, timeout: Duration) -> Record {
    let schedule = Schedule { cycle_id: CycleId::at(Utc::now()), due: Instant::now(), stop_by: None };
    Prober::new("test").probe(&target(server, provider, timeout), &schedule).await
}

const PATIENT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn every_format_is_measured_and_counted() {
    futures_util::future::join_all(Provider::ALL.map(measured_and_counted)).await;
}

async fn measured_and_counted(provider: Provider) {
    // Slow enough that a busy machine does not read reasoning and answer at once.
    let behaviour =
        Behaviour { ttft_ms: 30.0, pace_ms: 60.0, chunk_tokens: 2, reasoning_tokens: 6, cached_tokens: 3, ..quick() };
    let server = serve(provider, behaviour);
    let record = probed(&server, provider, PATIENT).await;
    assert!(record.is_success(), "{provider}: {:?}", record.outcome);
    assert_eq!(record.output_tokens, Some(16), "{provider}");
    assert_eq!(record.token_source, Some(TokenSource::Provider), "{provider}");
    assert!(record.ttft_ms >= Some(30.0) && record.latency_ms > record.ttft_ms, "{provider}: {record:?}");
    // Gemini keeps its thoughts to itself unless asked, so its first text is the answer.
    assert_eq!(record.ttfa_ms > record.ttft_ms, provider != Provider::Gemini, "{provider}: {record:?}");
    assert!(record.input_tokens > Some(7), "{provider}: the cached tokens are part of the input: {record:?}");
    assert_eq!(record.cached_input_tokens, (provider != Provider::Ollama).then_some(3), "{provider}");
    assert_eq!(server.requests().len(), 1, "{provider}: a probe is one request");
}

#[tokio::test]
async fn every_failure_makes_the_record_it_should() {
    for (failure, kind) in [
        (FailureKind::RateLimited, ErrorKind::RateLimited),
        (FailureKind::ServerError, ErrorKind::ServerError),
        (FailureKind::Unavailable, ErrorKind::Overloaded),
        (FailureKind::Overloaded, ErrorKind::Overloaded),
        (FailureKind::Cut, ErrorKind::IncompleteStream),
        (FailureKind::Empty, ErrorKind::EmptyResponse),
        (FailureKind::Malformed, ErrorKind::MalformedResponse),
        (FailureKind::HtmlPage, ErrorKind::MalformedResponse),
    ] {
        for provider in Provider::ALL {
            let record = probed(&serve(provider, failing(failure)), provider, PATIENT).await;
            assert_eq!(record.error_kind(), Some(kind), "{provider} {failure:?}: {:?}", record.outcome);
        }
    }
    for provider in Provider::ALL {
        let record = probed(&serve(provider, failing(FailureKind::ErrorEvent)), provider, PATIENT).await;
        let kind = if matches!(provider, Provider::Anthropic | Provider::Gemini) {
            ErrorKind::Overloaded
        } else {
            ErrorKind::ServerError
        };
        assert_eq!(record.error_kind(), Some(kind), "{provider}: {:?}", record.outcome);
        assert!(record.ttft_ms.is_some(), "{provider}: what was measured before the failure is kept");
    }
}

#[tokio::test]
async fn a_stall_and_late_headers_end_at_the_time_limit() {
    let limit = Duration::from_secs(1);
    let stalled = probed(&serve(Provider::OpenAi, failing(FailureKind::Stall)), Provider::OpenAi, limit).await;
    assert_eq!(stalled.error_kind(), Some(ErrorKind::Timeout));
    assert!(stalled.ttft_ms.is_some() && stalled.latency_ms.is_none(), "{stalled:?}");
    let late = probed(&serve(Provider::OpenAi, failing(FailureKind::SlowHeaders)), Provider::OpenAi, limit).await;
    assert_eq!((late.error_kind(), late.ttfb_ms), (Some(ErrorKind::Timeout), None));
}

#[tokio::test]
async fn a_server_that_refuses_stream_options_is_measured_without() {
    let server = serve(Provider::OpenAi, Behaviour { refuse_stream_options: true, ..quick() });
    let record = probed(&server, Provider::OpenAi, PATIENT).await;
    assert!(record.is_success(), "{:?}", record.outcome);
    assert_eq!((record.token_source, server.requests().len()), (Some(TokenSource::Estimated), 2));
}
