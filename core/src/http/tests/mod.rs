//! The router that production serves, called as it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod access;
mod adding;
mod document;
mod exports;
mod faulty;
mod figures;
mod gate;
mod money;
mod monitor;
mod outlets;
mod pages;
mod reading;

use axum::{
    body::{Body, to_bytes},
    http::{HeaderMap, Request, Response, header},
};
use chrono::SubsecRound;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::{
    history::DEFAULT_CACHE_BYTES,
    record::{CycleId, ErrorKind, Failure, Outcome, Record},
    store::{Batch, MemoryStore},
};

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Where `Link: <…>; rel="next"` leads.
    fn next(&self) -> Option<String> {
        let (target, rel) = self.header("link").strip_prefix('<')?.split_once('>')?;
        assert_eq!(rel, "; rel=\"next\"");
        Some(target.to_owned())
    }

    /// Of every record, a column.
    fn column(&self, name: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.json().as_array().unwrap().iter().map(|record| text(&record[name])).collect()
    }

    /// The problem's status, and what it names.
    fn problem(&self) -> (u16, String) {
        let problem = self.json();
        assert_eq!(self.header("content-type"), "application/problem+json", "{problem}");
        assert_eq!(problem["type"], "about:blank");
        assert_eq!(problem["status"], self.status);
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        assert_eq!(problem["request_id"].as_str(), Some(self.header("x-request-id")));
        let named = problem["parameter"].as_str().or(problem["field"].as_str()).unwrap_or_default();
        (self.status, named.to_owned())
    }
}

/// A monitor's API over a memory store, without a token.
#[derive(Debug, Clone)]
struct Monitor {
    store: Arc<MemoryStore>,
    history: Arc<History>,
    token: Option<&'static str>,
    cors: CorsPolicy,
    started_at: Option<DateTime<Utc>>,
    problems: watch::Receiver<Vec<String>>,
}

impl Monitor {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let history = Arc::new(History::new(Arc::clone(&store) as Arc<dyn Store>, DEFAULT_CACHE_BYTES));
        let problems = watch::channel(Vec::new()).1;
        Self { store, history, token: None, cors: CorsPolicy::Loopback, started_at: None, problems }
    }

    fn with_token(token: &'static str) -> Self {
        Self { token: Some(token), ..Self::new() }
    }

    fn router(&self) -> Router {
        self.router_over(Arc::clone(&self.store) as Arc<dyn Store>)
    }

    fn router_over(&self, store: Arc<dyn Store>) -> Router {
        router(self.api_over(store))
    }

    fn api_over(&self, store: Arc<dyn Store>) -> Api {
        Api {
            store,
            history: Arc::clone(&self.history),
            environments: ["dev", "test", "qa", "prod"].map(environment).to_vec(),
            api_token: self.token.map(SecretString::from),
            cors: self.cors.clone(),
            version: "1.2.3".to_owned(),
            monitor_interval: Duration::from_mins(1),
            simple_mode: false,
            monitor_started_at: self.started_at,
            host_problems: Some(self.problems.clone()),
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        read(self.router().oneshot(request).await.unwrap()).await
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, body: impl Into<Body>) -> Answer {
        let request = Request::post("/api/latency").header(header::CONTENT_TYPE, "application/json");
        let request = match self.token {
            Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        self.send(request.body(body.into()).unwrap()).await
    }

    async fn add(&self, records: Vec<Record>) {
        let report = self.store.append(&Batch { cycle_id: None, records }).await;
        assert!(report.values().all(Result::is_ok), "{report:?}");
    }
}

async fn read(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

fn environment(name: &str) -> Environment {
    name.parse().unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn seconds_ago(seconds: i64) -> DateTime<Utc> {
    (Utc::now() - chrono::TimeDelta::seconds(seconds)).trunc_subsecs(3)
}

/// A success of `model` in `name`.
fn record(name: &str, model: &str, timestamp: DateTime<Utc>) -> Record {
    let mut record = Record::new(model, environment(name), timestamp);
    record.latency_ms = Some(812.5);
    record.input_tokens = Some(121);
    record.output_tokens = Some(128);
    record
}

/// A failure of `model` in prod.
fn failed(model: &str, timestamp: DateTime<Utc>, kind: ErrorKind, message: &str) -> Record {
    let mut record = Record::new(model, environment("prod"), timestamp);
    record.outcome = Outcome::Error(Failure::new(kind, message));
    record
}

/// One success for each second from `seconds` ago to now, oldest first.
fn one_a_second(seconds: i64) -> Vec<Record> {
    (0..seconds).rev().map(|n| record("prod", "gpt-4o-mini", seconds_ago(n))).collect()
}

/// The record of a cycle that was due `seconds` ago.
fn cycle_record(name: &str, seconds: i64) -> Record {
    let mut record = record(name, "gpt-4o-mini", seconds_ago(seconds));
    record.cycle_id = Some(CycleId::at(record.timestamp));
    record
}
