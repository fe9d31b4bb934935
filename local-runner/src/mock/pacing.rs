//! When each chunk of an answer is due: a schedule of instants counted from the request, drawn before the first byte is sent,
//! so that a late write never delays the next one.

use std::time::Duration;

use fastrand::Rng;

use super::{
    behaviour::Behaviour,
    chance::{spread_around_mean, spread_around_median},
};

/// The usage and finish chunks trail the last text by this long (milliseconds), as real servers' do.
const TAIL_MS: std::ops::Range<f64> = 20.0..60.0;

/// What a chunk carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Reasoning,
    Answer,
}

/// One chunk with text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    /// After the request.
    pub at: Duration,
    pub part: Part,
    /// Position of its first token among all generated ones, hidden reasoning included.
    pub first_token: u32,
    pub tokens: u32,
}

/// An answer's schedule. Durations count from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    /// The response's headers, and the chunk without text that some formats open with.
    pub headers_at: Duration,
    /// In order.
    pub chunks: Vec<Chunk>,
    /// The end of the stream.
    pub end_at: Duration,
    /// Time spent loading the model, part of the first chunk's instant.
    pub load: Duration,
    /// Generated tokens that were reasoning, hidden or not.
    pub reasoning_tokens: u32,
    /// Generated tokens of the answer.
    pub answer_tokens: u32,
    /// The request's limit cut the answer short.
    pub is_cut_short: bool,
}

impl Plan {
    /// Draws the schedule of one answer of at most `limit` tokens; `loads` when the model is cold.
    pub(super) fn draw(behaviour: &Behaviour, limit: Option<u32>, loads: bool, rng: &mut Rng) -> Self {
        let load_ms = if loads { behaviour.load_ms } else { 0.0 };
        let factor = spread_around_median(rng, behaviour.jitter);
        let ttft_ms = behaviour.ttft_ms * factor;
        let headers_ms = behaviour.headers_ms.map_or(ttft_ms / 3.0, |ms| ms * factor).min(ttft_ms);
        let limit = limit.unwrap_or(u32::MAX);
        let reasoning_tokens = behaviour.reasoning_tokens.min(limit);
        let answer_tokens = behaviour.output_tokens.min(limit - reasoning_tokens);
        let mut plan = Self {
            headers_at: milliseconds(load_ms + headers_ms),
            chunks: Vec::new(),
            end_at: Duration::ZERO,
            load: milliseconds(load_ms),
            reasoning_tokens,
            answer_tokens,
            is_cut_short: reasoning_tokens < behaviour.reasoning_tokens || answer_tokens < behaviour.output_tokens,
        };
        let mut at_ms = load_ms + ttft_ms;
        let mut token = 0;
        let mut last_text_ms = at_ms;
        for (part, tokens_left) in [(Part::Reasoning, reasoning_tokens), (Part::Answer, answer_tokens)] {
            let end = token + tokens_left;
            while token < end {
                let tokens = behaviour.chunk_tokens.min(end - token);
                // A chunk is sent when its last token is there; the very first token is there at `ttft_ms`.
                let generated = if token == 0 { tokens - 1 } else { tokens };
                at_ms +=
                    (0..generated).map(|_| behaviour.pace_ms * spread_around_mean(rng, behaviour.jitter)).sum::<f64>();
                if part == Part::Answer || behaviour.reasoning_visible {
                    plan.chunks.push(Chunk { at: milliseconds(at_ms), part, first_token: token, tokens });
                }
                last_text_ms = at_ms;
                token += tokens;
            }
        }
        let tail_ms = TAIL_MS.start + rng.f64() * (TAIL_MS.end - TAIL_MS.start);
        plan.end_at = milliseconds(last_text_ms + tail_ms);
        plan
    }

    /// The same, but for reasoning that stays hidden.
    pub(super) fn without_visible_reasoning(mut self) -> Self {
        self.chunks.retain(|chunk| chunk.part == Part::Answer);
        self
    }

    /// The same times, but nothing was generated.
    pub(super) fn emptied(mut self) -> Self {
        self.chunks.clear();
        self.reasoning_tokens = 0;
        self.answer_tokens = 0;
        self.is_cut_short = false;
        self
    }

    /// All of it later by `delay`.
    pub(super) fn delayed(mut self, delay: Duration) -> Self {
        self.headers_at += delay;
        self.end_at += delay;
        for chunk in &mut self.chunks {
            chunk.at += delay;
        }
        self
    }

    /// Generated tokens in all.
    pub(super) fn output_tokens(&self) -> u32 {
        self.reasoning_tokens + self.answer_tokens
    }

    /// The first chunk with text; the end where there is none.
    pub(super) fn first_text_at(&self) -> Duration {
        self.chunks.first().map_or(self.end_at, |chunk| chunk.at)
    }
}

pub(super) fn milliseconds(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::chance::seeded;

    fn behaviour() -> Behaviour {
        Behaviour { ttft_ms: 100.0, pace_ms: 10.0, output_tokens: 10, ..Behaviour::default() }
    }

    fn draw(behaviour: &Behaviour, limit: Option<u32>) -> Plan {
        Plan::draw(behaviour, limit, false, &mut seeded(1, &[]))
    }

    fn ms(plan: &Plan) -> Vec<u128> {
        plan.chunks.iter().map(|chunk| chunk.at.as_millis()).collect()
    }

    #[test]
    fn without_jitter_the_schedule_is_exact() {
        assert_eq!(ms(&draw(&behaviour(), None)), [100, 110, 120, 130, 140, 150, 160, 170, 180, 190]);
        let in_threes = draw(&Behaviour { chunk_tokens: 3, ..behaviour() }, None);
        assert_eq!(ms(&in_threes), [120, 150, 180, 190]);
        assert_eq!(in_threes.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [3, 3, 3, 1]);
    }

    #[test]
    fn the_limit_cuts_reasoning_first() {
        let reasoning = Behaviour { reasoning_tokens: 6, ..behaviour() };
        let plan = draw(&reasoning, Some(8));
        assert_eq!((plan.reasoning_tokens, plan.answer_tokens, plan.is_cut_short), (6, 2, true));
        let plan = draw(&reasoning, Some(4));
        assert_eq!((plan.reasoning_tokens, plan.answer_tokens, plan.is_cut_short), (4, 0, true));
        assert!(!draw(&reasoning, Some(16)).is_cut_short);
    }

    #[test]
    fn hidden_reasoning_takes_its_time_before_the_first_chunk() {
        let plan = draw(&Behaviour { reasoning_tokens: 5, reasoning_visible: false, ..behaviour() }, None);
        assert_eq!(plan.first_text_at().as_millis(), 150);
        assert_eq!(plan.output_tokens(), 15);
        assert!(plan.chunks.iter().all(|chunk| chunk.part == Part::Answer));
    }

    #[test]
    fn the_same_seed_draws_the_same_schedule() {
        let wild = Behaviour { jitter: 0.5, ..behaviour() };
        let with_seed = |seed| Plan::draw(&wild, None, false, &mut seeded(seed, &[]));
        assert_eq!(with_seed(7), with_seed(7));
        assert_ne!(with_seed(7), with_seed(8));
    }
}
