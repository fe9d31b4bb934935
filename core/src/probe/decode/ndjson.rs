//! One JSON value a line; blank lines are passed over.

use super::{DecodeError, Line};
use crate::provider::Frame;

#[derive(Debug, Default)]
pub(super) struct Ndjson {
    line: Line,
}

impl Ndjson {
    pub(super) fn push(
        &mut self,
        mut chunk: &[u8],
        on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            self.line.complete(&chunk[..end], |line| frame(line, on_frame))?;
            chunk = &chunk[end + 1..];
        }
        self.line.keep(chunk)
    }

    pub(super) fn finish(
        &mut self,
        on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.line.complete(b"", |line| frame(line, on_frame))
    }
}

fn frame(line: &[u8], on_frame: &mut impl FnMut(Frame<'_>) -> Result<(), DecodeError>) -> Result<(), DecodeError> {
    let data = line.trim_ascii();
    if data.is_empty() { Ok(()) } else { on_frame(Frame { event: b"", data }) }
}
