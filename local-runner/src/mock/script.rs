//! One answer, decided before its first byte is sent: every frame with its instant, and how it ends.

use std::{io, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use super::{
    behaviour::{Failure, FailureKind},
    wire::{Answer, Frame, Wire},
};

/// Longest silence of a stalled stream, so that a client that never gives up is not kept for ever.
const LONGEST_STALL: Duration = Duration::from_mins(10);

/// A server that is cut off throws away what it has not sent; the frames before the cut are to arrive.
const BEFORE_CUT: Duration = Duration::from_millis(2);

/// What is sent, when, and how it ends.
#[derive(Debug, PartialEq)]
pub(super) struct Script {
    pub frames: Vec<(Duration, Bytes)>,
    pub ending: Ending,
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Complete,
    /// The connection is closed in mid-stream.
    Cut,
    /// Silence, until the client leaves.
    Stall,
}

impl Script {
    /// The stream of `answer`, with `failure` in it if that strikes in mid-stream.
    pub(super) fn of_stream(wire: &dyn Wire, answer: &Answer, failure: Option<&Failure>) -> Self {
        let frames = wire.frames(answer);
        let Some(failure) = failure else { return Self::complete(frames) };
        let after = failure.after_tokens.unwrap_or(answer.plan.output_tokens() / 2);
        let is_past = |frame: &Frame| frame.tokens.is_some_and(|tokens| tokens > after);
        match failure.kind {
            FailureKind::Cut => Self { ending: Ending::Cut, ..Self::complete(until(frames, is_past)) },
            FailureKind::Stall => Self { ending: Ending::Stall, ..Self::complete(until(frames, is_past)) },
            FailureKind::ErrorEvent => {
                let at = frames.iter().find(|frame| is_past(frame)).map_or(answer.plan.end_at, |frame| frame.at);
                let mut script = Self::complete(until(frames, is_past));
                script.frames.push((at, Bytes::from(wire.error_event())));
                script
            }
            FailureKind::Malformed => {
                let mut frames = frames;
                if let Some(frame) = frames.iter_mut().find(|frame| is_past(frame)) {
                    frame.bytes = broken(&frame.bytes);
                }
                Self::complete(frames)
            }
            _ => Self::complete(frames),
        }
    }

    /// `text` in one piece at `at`.
    pub(super) fn of_whole(at: Duration, text: String, failure: Option<&Failure>) -> Self {
        let (frames, ending) = match failure.map(|failure| failure.kind) {
            Some(FailureKind::Cut) => (Vec::new(), Ending::Cut),
            Some(FailureKind::Stall) => (Vec::new(), Ending::Stall),
            Some(FailureKind::Malformed) => (vec![(at, Bytes::from(broken(&text)))], Ending::Complete),
            _ => (vec![(at, Bytes::from(text))], Ending::Complete),
        };
        Self { frames, ending }
    }

    /// Sends the frames, each at its instant after `start`: a late one does not move the next.
    pub(super) fn body(self, start: Instant) -> Body {
        let frames = stream::iter(self.frames).then(move |(at, bytes)| async move {
            sleep_until(start + at).await;
            Ok::<_, io::Error>(bytes)
        });
        match self.ending {
            Ending::Complete => Body::from_stream(frames),
            Ending::Cut => {
                let cut = stream::once(async {
                    tokio::time::sleep(BEFORE_CUT).await;
                    Err(io::Error::from(io::ErrorKind::ConnectionAborted))
                });
                Body::from_stream(frames.chain(cut))
            }
            Ending::Stall => {
                let silence = stream::once(async {
                    tokio::time::sleep(LONGEST_STALL).await;
                    Err(io::Error::from(io::ErrorKind::TimedOut))
                });
                Body::from_stream(frames.chain(silence))
            }
        }
    }

    fn complete(frames: Vec<Frame>) -> Self {
        let frames = frames.into_iter().map(|frame| (frame.at, Bytes::from(frame.bytes))).collect();
        Self { frames, ending: Ending::Complete }
    }
}

fn until(frames: Vec<Frame>, is_past: impl Fn(&Frame) -> bool) -> Vec<Frame> {
    frames.into_iter().take_while(|frame| !is_past(frame)).collect()
}

/// `frame` with its JSON cut short, but its line end kept.
fn broken(frame: &str) -> String {
    let text = frame.trim_end();
    let line_end = frame.get(text.len()..).unwrap_or_default();
    let kept: String = text.chars().take(text.chars().count() * 2 / 3).collect();
    kept + line_end
}
