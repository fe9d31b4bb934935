//! What one answer said, gathered event by event. Pure.

use std::time::Duration;

use crate::{
    probe::timeline::Timeline,
    provider::{Event, Frame, Reader, Usage},
    record::{ErrorKind, Failure, TokenSource},
};

/// Characters of a token, where a provider counts none: about right for English with today's tokenizers.
const CHARS_PER_TOKEN: u64 = 4;

/// Longest word kept of what a provider says (a model's name, a reason), in characters.
const MAX_WORD_CHARS: usize = 128;

/// An answer, as far as it arrived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// When it arrived.
    pub timeline: Timeline,
    /// Counts by the provider.
    pub usage: Usage,
    /// Why generation ended, in the provider's words.
    pub finish_reason: Option<String>,
    /// The model that answered, by the provider's word.
    pub served_model: Option<String>,
    /// Milliseconds the server spent loading the model.
    pub load_ms: Option<f64>,
    /// The provider said that the stream is complete.
    pub is_done: bool,
    /// What failed in the stream.
    pub failure: Option<Failure>,
    text_chars: u64,
    frames: u32,
}

/// The tokens of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// Who counted.
    pub source: TokenSource,
    /// Cached ones included.
    pub input: u64,
    /// Reasoning included.
    pub output: u64,
}

impl Answer {
    /// Takes in `frame`, which the read of `at` completed. Whatever follows the end or a failure is passed over.
    pub fn frame(&mut self, frame: Frame<'_>, reader: &mut dyn Reader, at: Duration) {
        self.frames = self.frames.saturating_add(1);
        if !self.is_over() {
            reader.read(frame, &mut |event| self.event(event, at));
        }
    }

    fn event(&mut self, event: Event<'_>, at: Duration) {
        match event {
            Event::Text { chars } => {
                self.timeline.answer(at);
                self.text_chars = self.text_chars.saturating_add(chars);
            }
            Event::Reasoning { chars } => {
                self.timeline.text(at);
                self.text_chars = self.text_chars.saturating_add(chars);
            }
            Event::Usage(usage) => self.usage.update(usage),
            Event::Finish(reason) => self.finish_reason = Some(word(reason)),
            Event::ServedModel(model) => self.served_model = Some(word(model)),
            Event::LoadMs(load_ms) => self.load_ms = Some(load_ms),
            Event::Done => self.is_done = true,
            Event::Error(failure) => self.failure = Some(failure),
        }
    }

    /// Nothing that could still come matters.
    pub fn is_over(&self) -> bool {
        self.is_done || self.failure.is_some()
    }

    /// The provider said that it generated all it would. Many end the stream with no more than that.
    pub fn is_complete(&self) -> bool {
        self.is_done || self.finish_reason.is_some()
    }

    /// What is wrong with the answer now that its stream has ended; `None` for a good one.
    pub fn verdict(&self) -> Option<Failure> {
        if let Some(failure) = &self.failure {
            return Some(failure.clone());
        }
        if self.frames == 0 {
            return Some(Failure::new(
                ErrorKind::MalformedResponse,
                "the answer holds nothing that is a stream of events",
            ));
        }
        if !self.is_complete() {
            return Some(Failure::new(
                ErrorKind::IncompleteStream,
                "the stream ended before the provider said it was complete",
            ));
        }
        if !self.timeline.has_text() {
            let reason = self.finish_reason.as_deref().unwrap_or("none given");
            return Some(Failure::new(
                ErrorKind::EmptyResponse,
                format!("no text was generated; finish reason: {reason}"),
            ));
        }
        None
    }

    /// The tokens of a complete answer to a prompt of that length. A provider that reports no output although there is text
    /// has not counted.
    pub fn tokens(&self, prompt_chars: u64) -> Tokens {
        let output = self.usage.output_tokens.filter(|output| *output > 0 || self.text_chars == 0);
        match (self.usage.input_tokens, output) {
            (Some(input), Some(output)) => Tokens { source: TokenSource::Provider, input, output },
            (input, output) => Tokens {
                source: TokenSource::Estimated,
                input: input.unwrap_or(prompt_chars.div_ceil(CHARS_PER_TOKEN)),
                output: output.unwrap_or(self.text_chars.div_ceil(CHARS_PER_TOKEN)),
            },
        }
    }
}

fn word(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_WORD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Duration = Duration::from_millis(100);

    /// Says one event a frame, whatever the frame.
    struct Script(Vec<Event<'static>>);

    impl Reader for Script {
        fn read(&mut self, _: Frame<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
            on_event(self.0.remove(0));
        }
    }

    fn answer<const N: usize>(events: [Event<'static>; N]) -> Answer {
        let mut script = Script(Vec::from(events));
        let mut answer = Answer::default();
        for _ in 0..N {
            answer.frame(Frame { event: b"", data: b"{}" }, &mut script, AT);
        }
        answer
    }

    fn kind(answer: &Answer) -> Option<ErrorKind> {
        answer.verdict().and_then(|failure| failure.kind)
    }

    #[test]
    fn a_verdict_tells_what_is_missing() {
        let text = Event::Text { chars: 4 };
        assert_eq!(kind(&answer([])), Some(ErrorKind::MalformedResponse));
        assert_eq!(kind(&answer([text.clone()])), Some(ErrorKind::IncompleteStream));
        assert_eq!(kind(&answer([Event::Done])), Some(ErrorKind::EmptyResponse));
        assert_eq!(kind(&answer([text.clone(), Event::Done])), None);
        assert_eq!(kind(&answer([text, Event::Finish("stop")])), None);
        assert_eq!(kind(&answer([Event::Reasoning { chars: 9 }, Event::Finish("length")])), None);
    }

    #[test]
    fn the_last_usage_wins_and_is_never_summed() {
        let usage = |input, output| Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        let answer = answer([
            Event::Usage(usage(Some(120), Some(1))),
            Event::Text { chars: 400 },
            Event::Usage(usage(None, Some(64))),
            Event::Usage(usage(None, Some(64))),
            Event::Done,
        ]);
        assert_eq!(answer.tokens(480), Tokens { source: TokenSource::Provider, input: 120, output: 64 });
    }

    #[test]
    fn tokens_that_nobody_counted_are_estimated() {
        let none = answer([Event::Text { chars: 401 }, Event::Done]);
        assert_eq!(none.tokens(480), Tokens { source: TokenSource::Estimated, input: 120, output: 101 });
        let zero = Usage { input_tokens: Some(7), output_tokens: Some(0), ..Usage::default() };
        let zero = answer([Event::Text { chars: 4 }, Event::Usage(zero), Event::Done]);
        assert_eq!(zero.tokens(480), Tokens { source: TokenSource::Estimated, input: 7, output: 1 });
    }

    #[test]
    fn what_follows_the_end_is_passed_over() {
        let late = answer([Event::Done, Event::Text { chars: 1 }]);
        assert!(!late.timeline.has_text());
    }
}
