//! `/api/export`: records as a file, however many, without holding them.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, time::timeout};
use utoipa::IntoParams;

use super::{
    Api, Export, ExportFormat, LatencyRecord, Problem,
    error::{ApiError, ReadFailures},
    parameters::{Parameters, environments, one_of},
    window::{self, Window},
};
use crate::{
    history::History,
    query::{Filter, Status},
    store::{Scope, StoreError},
};

/// Chunks that are made while the client takes one.
const CHUNKS_AHEAD: usize = 2;
/// For a client to take the next chunk; one that does not is given up.
const CLIENT_TIME_LIMIT: Duration = Duration::from_secs(60);

/// An empty parameter counts as absent; unknown ones are ignored.
#[derive(Debug, Clone, Default, Deserialize, Serialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportParameters {
    /// `csv`, with the columns of the data of record, or `jsonl`: one JSON object a line, with the fields of `/api/latency`.
    #[param(required = false, pattern = "^(csv|jsonl)?$", default = "csv")]
    format: String,
    /// Only these environments: one name or several with commas. Empty: all.
    #[param(required = false, example = "prod")]
    environment: String,
    /// Only these models: one whole name or several with commas. Empty: all.
    #[param(required = false, example = "gpt-4o-mini")]
    model: String,
    /// Only probes that ended so: `success` or `error`.
    #[param(required = false, pattern = "^(success|error)?$")]
    status: String,
    /// Not older than this: RFC 3339 (no zone: UTC), or a date (its first instant, UTC). Empty: 24 hours before `to`.
    #[param(required = false, example = "2026-11-24T16:00:00Z")]
    from: String,
    /// Older than this; written like `from`. Empty: the end of the running minute.
    #[param(required = false, example = "2026-11-25")]
    to: String,
    /// `false`: without simulated records. Else they are there, with `simulated` true.
    #[param(required = false, pattern = "^(true|false)?$", default = "true")]
    include_simulated: String,
    /// `true`: cells that a spreadsheet would take for a formula get a `'` before them. Only of CSV.
    #[param(required = false, pattern = "^(true|false)?$", default = "false")]
    spreadsheet: String,
}

/// Export
///
/// Records as CSV or JSON lines, oldest first, streamed. What cannot be finished (the store fails on the way, or the client takes
/// nothing for 60 s) is cut off in the middle: an answer that ends as HTTP says it should is whole.
#[utoipa::path(
    get,
    path = "/api/export",
    tag = "records",
    operation_id = "export",
    params(ExportParameters),
    responses(
        (status = 200, description = "The records", content(
            (String = "text/csv"),
            (LatencyRecord = "application/x-ndjson"),
        ), headers(("content-disposition" = String, description = "`attachment`, with a file's name"))),
        (status = 400, description = "A parameter is not accepted", body = Problem, content_type = "application/problem+json"),
        ReadFailures,
    ),
    security((), ("token" = [])),
)]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Parameters(parameters): Parameters<ExportParameters>,
) -> Result<Response, ApiError> {
    let window = Window::parse(["from", "to"], &parameters.from, &parameters.to, TimeDelta::hours(24), Utc::now())?;
    let export = parameters.export(window)?;
    let (content_type, suffix) = match export.format {
        ExportFormat::Csv { .. } => ("text/csv; charset=utf-8", "csv"),
        ExportFormat::JsonLines => ("application/x-ndjson", "jsonl"),
    };
    let (sender, mut receiver) = mpsc::channel(CHUNKS_AHEAD);
    tokio::spawn(async move { send(export, &api.history, &sender, CLIENT_TIME_LIMIT).await });
    // The first chunk before the status: a store that cannot be read is a 503 and not a cut connection.
    let first = match next(&mut receiver).await {
        Ok(chunk) => chunk.unwrap_or_default(),
        Err(CutShort::Store(error)) => return Err(error.into()),
        Err(error @ CutShort::GivenUp) => {
            return Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()));
        }
    };
    let mut response = Body::from_stream(body(first, receiver)).into_response();
    let name = format!("attachment; filename=\"llm-monitor-{}.{suffix}\"", window.from.format("%Y%m%dT%H%M%SZ"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

impl ExportParameters {
    fn export(&self, window: Window) -> Result<Export, ApiError> {
        let flag = |name, text, default| one_of(name, text, &[("", default), ("true", true), ("false", false)]);
        let is_for_spreadsheets = flag("spreadsheet", &self.spreadsheet, false)?;
        let csv = ExportFormat::Csv { is_for_spreadsheets };
        Ok(Export {
            scope: Scope {
                environments: environments(&self.environment),
                from: Some(window.from),
                to: Some(window.to),
            },
            filter: Filter {
                models: window::models(&self.model),
                status: one_of(
                    "status",
                    &self.status,
                    &[("", None), ("success", Some(Status::Success)), ("error", Some(Status::Error))],
                )?,
                leaves_out_simulated: !flag("include_simulated", &self.include_simulated, true)?,
            },
            format: one_of("format", &self.format, &[("", csv), ("csv", csv), ("jsonl", ExportFormat::JsonLines)])?,
        })
    }
}

/// What [`Chunks::next`](super::Chunks::next) says, its end included: the channel may close at any time, and that is no end.
pub(super) type Piece = Result<Option<Bytes>, StoreError>;

/// Why an export ends before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CutShort {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the export was broken off; the program's log says more")]
    GivenUp,
}

/// Sends everything in chunks and that this was all, unless the client is gone or takes nothing for `client_time_limit`.
pub(super) async fn send(export: Export, history: &History, sender: &mpsc::Sender<Piece>, client_time_limit: Duration) {
    let mut chunks = export.start(history);
    loop {
        let piece = chunks.next().await;
        if let Err(error) = &piece {
            tracing::error!(%error, "an export could not be finished: {error}");
        }
        let is_last = !matches!(piece, Ok(Some(_)));
        match timeout(client_time_limit, sender.send(piece)).await {
            Ok(Ok(())) if !is_last => {}
            // All is sent, or the client is gone.
            Ok(_) => return,
            Err(_elapsed) => {
                let seconds = client_time_limit.as_secs();
                tracing::warn!("an export is cut off: its client took nothing for {seconds} s");
                return;
            }
        }
    }
}

async fn next(receiver: &mut mpsc::Receiver<Piece>) -> Result<Option<Bytes>, CutShort> {
    // Closed without a last word: the client was given up, or the sender panicked.
    Ok(receiver.recv().await.ok_or(CutShort::GivenUp)??)
}

/// `first` and what follows. Ends with an error, for which the connection is cut, unless all was sent.
pub(super) fn body(first: Bytes, receiver: mpsc::Receiver<Piece>) -> impl Stream<Item = Result<Bytes, CutShort>> {
    stream::try_unfold((Some(first), receiver), |(first, mut receiver)| async move {
        let chunk = match first {
            Some(first) => Some(first),
            None => next(&mut receiver).await?,
        };
        Ok(chunk.map(|chunk| (chunk, (None, receiver))))
    })
}
