//! How many requests are worked on at one time. A monitor that answers everybody at once measures late: beyond a short queue it
//! says so and is asked again.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use tokio::sync::Semaphore;

use super::error::ApiError;

/// When to ask again, in seconds: a full queue is worked off in less.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// How many may be asked for at one time, of what costs more than a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Answers that are made at one time.
    pub at_once: usize,
    /// Requests that wait for their turn; more are refused.
    pub waiting: usize,
    /// Exports that run at one time, until their client has read them; more are refused.
    pub exports: usize,
}

#[derive(Debug)]
pub(super) struct Admission {
    room: Semaphore,
    turns: Semaphore,
    exports: Arc<Semaphore>,
}

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            room: Semaphore::new(limits.at_once + limits.waiting),
            turns: Semaphore::new(limits.at_once),
            exports: Arc::new(Semaphore::new(limits.exports)),
        }
    }
}

/// 503 with `Retry-After` where there is no room.
pub(super) async fn admit(State(admission): State<Arc<Admission>>, request: Request, next: Next) -> Response {
    let Ok(_place) = admission.room.try_acquire() else { return busy() };
    // Never closed, so a turn always comes.
    let _turn = admission.turns.acquire().await.ok();
    if request.uri().path() != "/api/export" {
        return next.run(request).await;
    }
    let Ok(export) = Arc::clone(&admission.exports).try_acquire_owned() else { return busy() };
    let (parts, body) = next.run(request).await.into_parts();
    // A body is made while it is read: it keeps its place until its end, or until its reader is gone.
    let body = body.into_data_stream().map(move |chunk| {
        let _ = &export;
        chunk
    });
    Response::from_parts(parts, Body::from_stream(body.fuse()))
}

fn busy() -> Response {
    let detail = "too many requests at this time: measuring comes first; ask again in a moment";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        .with_header(header::RETRY_AFTER, RETRY_AFTER_SECONDS)
        .into_response()
}
