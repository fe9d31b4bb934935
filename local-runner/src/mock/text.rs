//! What the mock says: one word a token, so that text and token counts can be compared by eye.

use super::pacing::{Chunk, Part};

const ANSWER: &str = "A steady answer begins with the first token and ends with the last one, and everything between them is \
    pace. Latency is what a person waits for, so it is measured from the moment the question leaves until the text has \
    arrived. A median tells of an ordinary day, a high percentile of a bad one, and both are worth a line on the chart.";

const REASONING: &str = "The question asks for a short explanation. First recall what is known, then weigh which part matters \
    to the reader, check the figures once more, and only then write the answer down in plain words.";

/// The text of `chunk`. Only the very first word of a part has no space before it.
pub(super) fn of(chunk: &Chunk, part_starts_at: u32) -> String {
    let source = match chunk.part {
        Part::Answer => ANSWER,
        Part::Reasoning => REASONING,
    };
    let first = (chunk.first_token - part_starts_at) as usize;
    let words = source.split_ascii_whitespace().cycle().skip(first % source.split_ascii_whitespace().count());
    let mut text = String::new();
    for word in words.take(chunk.tokens as usize) {
        if first > 0 || !text.is_empty() {
            text.push(' ');
        }
        text.push_str(word);
    }
    text
}
