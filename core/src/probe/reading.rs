//! Bytes of a stream -> an [`Answer`]: the decoder and the provider's reader together. Pure.

use std::time::Duration;

use super::{
    answer::Answer,
    decode::{DecodeError, Decoder},
};
use crate::{
    provider::{Provider, Reader},
    record::{ErrorKind, Failure},
};

/// Reads one stream. The answer is the caller's, so that it outlives a reading that is cut short.
pub struct Reading {
    decoder: Decoder,
    reader: Box<dyn Reader>,
    last_at: Duration,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

impl Reading {
    /// At the start of a stream by `provider`.
    pub fn new(provider: Provider) -> Self {
        let wire = provider.wire();
        Self { decoder: Decoder::new(wire.framing()), reader: wire.reader(), last_at: Duration::ZERO }
    }

    /// Takes in the bytes that the read of `at` brought.
    pub fn push(&mut self, bytes: &[u8], at: Duration, answer: &mut Answer) {
        self.last_at = at;
        let reader = self.reader.as_mut();
        let outcome = self.decoder.push(bytes, &mut |frame| answer.frame(frame, reader, at));
        check(outcome, answer);
    }

    /// The stream ended in good order.
    pub fn finish(&mut self, answer: &mut Answer) {
        let had_failure = answer.failure.is_some();
        let (reader, at) = (self.reader.as_mut(), self.last_at);
        let outcome = self.decoder.finish(&mut |frame| answer.frame(frame, reader, at));
        check(outcome, answer);
        if let Some(failure) = &mut answer.failure
            && !had_failure
            && failure.kind == Some(ErrorKind::MalformedResponse)
        {
            // Every frame before it was good: the last one is only half there.
            *failure = Failure::new(ErrorKind::IncompleteStream, "the stream ended in the middle of an event");
        }
    }
}

fn check(outcome: Result<(), DecodeError>, answer: &mut Answer) {
    if let Err(error) = outcome
        && !answer.is_over()
    {
        answer.failure = Some(Failure::new(ErrorKind::TooLarge, error.to_string()));
    }
}
