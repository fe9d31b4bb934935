//! Takes requests: finds the model, decides what goes wrong, and answers in the provider's format.

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use chrono::Utc;
use fastrand::Rng;
use llm_monitor_core::provider::Provider;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    Shared,
    behaviour::{Behaviour, Failure, FailureKind},
    chance::{alphanumeric, seeded},
    config::MockModel,
    log::Seen,
    pacing::{Plan, milliseconds},
    script::Script,
    usage,
    wire::{self, Answer, Asked, Problem, Target, Wire},
};

/// Largest request that is read.
const MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;
const SLOW_HEADERS_MS: f64 = 5_000.0;
const RETRY_AFTER_S: u64 = 20;

/// The path's variable parts; both are absent on the bare `/v1/...`.
#[derive(Debug, Default, Deserialize)]
struct PathParts {
    environment: Option<String>,
    model: Option<String>,
}

/// Every path the mock answers.
pub(super) fn router(shared: Shared) -> Router {
    let chat = |provider| {
        post(move |shared: State<Shared>, path: Option<Path<PathParts>>, call: Call| {
            let path = path.map(|Path(parts)| parts).unwrap_or_default();
            async move { answer(&shared, provider, path, call).await }
        })
    };
    Router::new()
        .route("/api/llm-usage", get(usage_of_dev))
        .route("/{environment}/api/llm-usage", get(usage_of_environment))
        .route("/v1/chat/completions", chat(Provider::OpenAi))
        .route("/{environment}/openai/v1/chat/completions", chat(Provider::OpenAi))
        .route("/{environment}/azure/openai/deployments/{model}/chat/completions", chat(Provider::Azure))
        .route("/{environment}/anthropic/v1/messages", chat(Provider::Anthropic))
        .route("/{environment}/gemini/v1beta/models/{model}", chat(Provider::Gemini))
        .route("/{environment}/ollama/api/chat", chat(Provider::Ollama))
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(shared)
}

async fn usage_of_dev(shared: State<Shared>, headers: HeaderMap, asked: Query<usage::Asked>) -> Response {
    usage::answer(&shared, "dev", &headers, &asked)
}

async fn usage_of_environment(
    shared: State<Shared>,
    Path(environment): Path<String>,
    headers: HeaderMap,
    asked: Query<usage::Asked>,
) -> Response {
    usage::answer(&shared, &environment, &headers, &asked)
}

async fn no_such_path(method: Method, uri: Uri) -> Response {
    let paths = [
        "GET /{environment}/api/llm-usage?date=YYYY-MM-DD",
        "POST /{environment}/openai/v1/chat/completions",
        "POST /{environment}/azure/openai/deployments/{model}/chat/completions?api-version=...",
        "POST /{environment}/anthropic/v1/messages",
        "POST /{environment}/gemini/v1beta/models/{model}:streamGenerateContent?alt=sse",
        "POST /{environment}/ollama/api/chat",
    ];
    let problem = json!({"error": format!("the mock does not answer {method} {}", uri.path()), "paths": paths});
    (StatusCode::NOT_FOUND, Json(problem)).into_response()
}

/// One LLM request, whole.
#[derive(Debug)]
struct Call {
    received: Instant,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = BytesRejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        // The schedule counts from the request's head, as a client's clock nearly does.
        let received = Instant::now();
        let (method, uri, headers) = (request.method().clone(), request.uri().clone(), request.headers().clone());
        let body = Bytes::from_request(request, state).await?;
        Ok(Self { received, method, uri, headers, body })
    }
}

async fn answer(shared: &Shared, provider: Provider, path: PathParts, call: Call) -> Response {
    let wire = wire::of(provider);
    let environment = path.environment.unwrap_or_else(|| "dev".to_owned());
    let target = Target { model: path.model, query: call.uri.query().unwrap_or_default().to_owned() };
    let mut seen = Seen {
        environment: environment.clone(),
        model: None,
        method: call.method,
        path: call.uri.path().to_owned(),
        headers: call.headers.clone(),
        body: call.body.clone(),
    };
    let found = find(shared, provider, &environment, &target, &call.headers, &call.body);
    if let Ok(found) = &found {
        seen.model = Some(found.name.clone());
    }
    shared.log.push(seen);
    match found {
        Err(problem) => refusal(wire, &problem),
        Ok(found) => found.answer(shared, wire, &environment, call.received).await,
    }
}

/// A request that will be answered, and how.
struct Found {
    /// The usage endpoint's name.
    name: String,
    asked: Asked,
    served_model: String,
    behaviour: Behaviour,
}

fn find(
    shared: &Shared,
    provider: Provider,
    environment: &str,
    target: &Target,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Found, Problem> {
    let wire = wire::of(provider);
    if let Some(demanded) = &shared.config.api_key {
        let key = wire.key(headers, &target.query).ok_or(Problem::NoKey)?;
        if !demanded.is(&key) {
            return Err(Problem::WrongKey(key));
        }
    }
    if let Some(problem) = wire.bad_header(headers) {
        return Err(problem);
    }
    let body: Value = serde_json::from_slice(body).map_err(|error| Problem::NotJson(error.to_string()))?;
    let asked = wire.asked(target, &body)?;
    let unknown = || Problem::UnknownModel(asked.model.clone());
    let (name, model) = served(shared, provider, &asked.model).ok_or_else(unknown)?;
    // Checked at start: what is left is a model that this environment is without.
    let mut behaviour = shared.config.behaviour(environment, name).ok().flatten().ok_or_else(unknown)?;
    if let Some(problem) = wire.refuses(&asked, &behaviour, &body) {
        return Err(problem);
    }
    if asked.without_reasoning {
        behaviour.reasoning_tokens = 0;
    }
    let served_model = model.served_as.clone().unwrap_or_else(|| asked.model.clone());
    Ok(Found { name: name.to_owned(), served_model, behaviour, asked })
}

/// The model that `provider` calls `asked`. The OpenAI format serves them all, as a gateway does.
fn served<'a>(shared: &'a Shared, provider: Provider, asked: &str) -> Option<(&'a str, &'a MockModel)> {
    let models = &shared.config.models;
    let bare = asked.strip_suffix(":latest").unwrap_or(asked);
    let local = format!("ollama-{bare}");
    let (name, model) = match provider {
        Provider::Ollama => models.get_key_value(&local).or_else(|| models.get_key_value(asked))?,
        _ => models.get_key_value(asked)?,
    };
    let speaks = match provider {
        Provider::OpenAi => true,
        Provider::Azure => matches!(model.provider, Provider::Azure | Provider::OpenAi),
        other => model.provider == other,
    };
    speaks.then_some((name.as_str(), model))
}

impl Found {
    async fn answer(self, shared: &Shared, wire: &'static dyn Wire, environment: &str, received: Instant) -> Response {
        let number = shared.log.number(environment, &self.name);
        let mut rng = seeded(shared.config.seed, &[environment, &self.name, &number.to_string()]);
        let id = alphanumeric(&mut rng, 32);
        let failure = self.behaviour.failures.iter().find(|failure| failure.strikes(number, rng.f64())).cloned();
        let plan = self.plan(wire, number, failure.as_ref(), &mut rng);
        if let Some(problem) = failure.as_ref().and_then(|failure| self.refused(failure)) {
            // A refusal needs no generation, but is not free either.
            sleep_until(received + plan.headers_at / 4).await;
            return refusal(wire, &problem);
        }
        sleep_until(received + plan.headers_at).await;
        if failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::HtmlPage) {
            let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in to the network.</body></html>\n";
            return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
        }
        let answer = Answer {
            cached_tokens: self.behaviour.cached_tokens.min(self.asked.prompt_tokens),
            received: Utc::now() - received.elapsed(),
            asked: self.asked,
            plan,
            served_model: self.served_model,
            id,
        };
        respond(wire, &answer, failure.as_ref(), received)
    }

    fn plan(&self, wire: &'static dyn Wire, number: u64, failure: Option<&Failure>, rng: &mut Rng) -> Plan {
        let plan = Plan::draw(&self.behaviour, self.asked.limit, number == 1, rng);
        let plan = if wire.hides_reasoning(&self.asked) { plan.without_visible_reasoning() } else { plan };
        match failure {
            Some(Failure { kind: FailureKind::Empty, .. }) => plan.emptied(),
            Some(Failure { kind: FailureKind::SlowHeaders, delay_ms, .. }) => {
                plan.delayed(milliseconds(delay_ms.unwrap_or(SLOW_HEADERS_MS)))
            }
            _ => plan,
        }
    }

    /// The refusal that `failure` is, if it is one.
    fn refused(&self, failure: &Failure) -> Option<Problem> {
        match failure.kind {
            FailureKind::RateLimited => Some(Problem::RateLimited {
                model: self.asked.model.clone(),
                retry_after_s: failure.retry_after_s.unwrap_or(RETRY_AFTER_S),
            }),
            FailureKind::ServerError => Some(Problem::ServerError),
            FailureKind::Unavailable => Some(Problem::Unavailable),
            FailureKind::Overloaded => Some(Problem::Overloaded),
            FailureKind::ErrorEvent if !self.asked.streams => Some(Problem::ServerError),
            _ => None,
        }
    }
}

fn respond(wire: &'static dyn Wire, answer: &Answer, failure: Option<&Failure>, received: Instant) -> Response {
    let (script, content_type) = if answer.asked.streams {
        (Script::of_stream(wire, answer, failure), wire.content_type(&answer.asked))
    } else {
        let whole = wire.whole(answer).to_string();
        (Script::of_whole(answer.plan.end_at, whole, failure), "application/json")
    };
    let mut response = Response::new(script.body(received));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    for (name, value) in wire.headers(&answer.id) {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    response
}

fn refusal(wire: &dyn Wire, problem: &Problem) -> Response {
    let (status, body) = wire.problem(problem);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(body)).into_response();
    if let Problem::RateLimited { retry_after_s, .. } = problem {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_s));
    }
    response
}
