//! Server-sent events. <https://html.spec.whatwg.org/multipage/server-sent-events.html>

use super::{DecodeError, Line, MAX_LINE_BYTES};
use crate::provider::Frame;

/// `id`, `retry` and unknown fields are passed over: a probe never reconnects.
#[derive(Debug, Default)]
pub(super) struct Sse {
    line: Line,
    /// A carriage return ended the last line: a line feed that follows belongs to it.
    is_after_cr: bool,
    event: Event,
}

impl Sse {
    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        while !chunk.is_empty() {
            if std::mem::replace(&mut self.is_after_cr, false)
                && let Some(rest) = chunk.strip_prefix(b"\n")
            {
                chunk = rest;
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', chunk) else {
                return self.line.keep(chunk);
            };
            self.is_after_cr = chunk[end] == b'\r';
            let event = &mut self.event;
            self.line.complete(&chunk[..end], |line| event.line(line, on_frame))?;
            chunk = &chunk[end + 1..];
        }
        Ok(())
    }

    pub(super) fn finish(
        &mut self,
        on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let event = &mut self.event;
        self.line.complete(b"", |line| if line.is_empty() { Ok(()) } else { event.line(line, on_frame) })?;
        self.event.dispatch(on_frame)
    }
}

/// The event whose lines are arriving.
#[derive(Debug, Default)]
struct Event {
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
}

impl Event {
    fn line(
        &mut self,
        line: &[u8],
        on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if line.is_empty() {
            return self.dispatch(on_frame);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.data.len() + value.len() >= MAX_LINE_BYTES {
                    return Err(DecodeError::LineTooLong);
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            // An empty field name is a comment.
            _ => {}
        }
        Ok(())
    }

    /// An event without data is none.
    fn dispatch(&mut self, on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
        let outcome =
            if self.data.is_empty() { Ok(()) } else { on_frame(Frame { event: &self.name, data: &self.data }) };
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        outcome
    }
}
