//! Cuts a body into frames as its bytes arrive. Pure, bounded, and indifferent to where the chunks are cut.

mod ndjson;
mod sse;

use crate::provider::{Frame, Framing};

use self::{ndjson::Ndjson, sse::Sse};

/// Longest line, and longest data of one event, in bytes.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;
/// Longest stream, in bytes.
pub const MAX_STREAM_BYTES: u64 = 16 * 1024 * 1024;
/// Most frames in a stream.
pub const MAX_FRAMES: u32 = 100_000;

/// A stream is larger than the monitor takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line, or the data of one event.
    #[error("a line of the stream is longer than 1 MiB")]
    LineTooLong,
    /// The stream as a whole.
    #[error("the stream is longer than 16 MiB")]
    StreamTooLong,
    /// Its number of frames.
    #[error("the stream has more than {MAX_FRAMES} events")]
    TooManyFrames,
}

/// Decodes one stream. Holds at most one line and one event.
#[derive(Debug)]
pub struct Decoder {
    format: Format,
    stream_bytes: u64,
    frames: u32,
}

#[derive(Debug)]
enum Format {
    Sse(Sse),
    Ndjson(Ndjson),
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(framing: Framing) -> Self {
        let format = match framing {
            Framing::Sse => Format::Sse(Sse::default()),
            Framing::Ndjson => Format::Ndjson(Ndjson::default()),
        };
        Self { format, stream_bytes: 0, frames: 0 }
    }

    /// Takes the next bytes and hands every frame that they complete to `on_frame`.
    ///
    /// # Errors
    /// When a limit is passed; the decoder is then of no more use.
    pub fn push(&mut self, chunk: &[u8], on_frame: &mut dyn FnMut(Frame<'_>)) -> Result<(), DecodeError> {
        self.stream_bytes = self.stream_bytes.saturating_add(chunk.len() as u64);
        if self.stream_bytes > MAX_STREAM_BYTES {
            return Err(DecodeError::StreamTooLong);
        }
        let mut counted = count(&mut self.frames, on_frame);
        match &mut self.format {
            Format::Sse(sse) => sse.push(chunk, &mut counted),
            Format::Ndjson(ndjson) => ndjson.push(chunk, &mut counted),
        }
    }

    /// The stream ended: what stands in its last line, which no line end closed, and in its last event, which no empty line
    /// closed, is handed over. Servers that close early forget both.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self, on_frame: &mut dyn FnMut(Frame<'_>)) -> Result<(), DecodeError> {
        let mut counted = count(&mut self.frames, on_frame);
        match &mut self.format {
            Format::Sse(sse) => sse.finish(&mut counted),
            Format::Ndjson(ndjson) => ndjson.finish(&mut counted),
        }
    }
}

/// Passes frames on, up to [`MAX_FRAMES`].
fn count<'a>(
    frames: &'a mut u32,
    on_frame: &'a mut dyn FnMut(Frame<'_>),
) -> impl FnMut(Frame<'_>) -> Result<(), DecodeError> + 'a {
    move |frame| {
        *frames += 1;
        if *frames > MAX_FRAMES {
            return Err(DecodeError::TooManyFrames);
        }
        on_frame(frame);
        Ok(())
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// The part of a line that has arrived, with the first line's byte order mark taken off.
#[derive(Debug)]
struct Line {
    bytes: Vec<u8>,
    is_first: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: Vec::new(), is_first: true }
    }
}

impl Line {
    /// Keeps bytes of a line whose end has not arrived.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.bytes.len() + bytes.len() > MAX_LINE_BYTES {
            return Err(DecodeError::LineTooLong);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// Completes the line with its last bytes and hands it to `use_line`. A line that came whole is not copied.
    fn complete<T>(
        &mut self,
        last: &[u8],
        use_line: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        if self.bytes.is_empty() {
            if last.len() > MAX_LINE_BYTES {
                return Err(DecodeError::LineTooLong);
            }
            return use_line(strip_bom(last, is_first));
        }
        self.keep(last)?;
        let outcome = use_line(strip_bom(&self.bytes, is_first));
        self.bytes.clear();
        outcome
    }
}

fn strip_bom(line: &[u8], is_first: bool) -> &[u8] {
    if is_first { line.strip_prefix(BOM).unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests;
