//! A usage endpoint that says what a test wants it to say.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::Utc;

/// Its answers, and what it was asked.
#[derive(Clone, Default)]
pub(crate) struct Usage(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    status: u16,
    body: Vec<u8>,
    /// Of any other day than today; `None`: the same as of today.
    other_days: Option<(u16, Vec<u8>)>,
    asked: Vec<(String, HeaderMap)>,
}

impl Usage {
    /// Answers 200 with `body`.
    pub(crate) fn says(&self, body: impl Into<Vec<u8>>) {
        self.answers(200, body);
    }

    pub(crate) fn answers(&self, status: u16, body: impl Into<Vec<u8>>) {
        let mut inner = self.0.lock().expect("no panic");
        inner.status = status;
        inner.body = body.into();
    }

    /// Answers so when asked for another day than today (UTC).
    pub(crate) fn answers_of_other_days(&self, status: u16, body: impl Into<Vec<u8>>) {
        self.0.lock().expect("no panic").other_days = Some((status, body.into()));
    }

    /// The path and query of each request so far, and its headers.
    pub(crate) fn asked(&self) -> Vec<(String, HeaderMap)> {
        self.0.lock().expect("no panic").asked.clone()
    }

    /// Starts one that says `body`; lives as long as the test's runtime.
    pub(crate) async fn start(body: impl Into<Vec<u8>>) -> (Self, SocketAddr) {
        let usage = Self::default();
        usage.says(body);
        let router = Router::new().route("/{*path}", get(answer)).with_state(usage.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        (usage, address)
    }
}

async fn answer(State(Usage(inner)): State<Usage>, request: Request) -> Response {
    let mut inner = inner.lock().expect("no panic");
    inner.asked.push((request.uri().to_string(), request.headers().clone()));
    let is_today = request.uri().to_string().contains(&format!("date={}", Utc::now().date_naive()));
    let (status, body) = match &inner.other_days {
        Some(answer) if !is_today => answer.clone(),
        _ => (inner.status, inner.body.clone()),
    };
    (StatusCode::from_u16(status).expect("a status"), body).into_response()
}
