//! Streams as the providers send them, faults included, read by the real decoder and reader. Written by hand after the public
//! API references; they live in `fixtures/streams/`.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use llm_monitor_core::{
    probe::{answer::Answer, reading::Reading},
    provider::Provider,
    record::TokenSource,
};

/// What must be read of each stream: outcome, kinds of text, tokens (in, of which cached / out, of which reasoning; `~` where
/// estimated), finish reason, served model, load time.
const EXPECTED: &str = "
anthropic/answer.sse          | success            | answer           | 25,0/15,-      | end_turn      | claude-sonnet-4-5-20250929
anthropic/api_error.sse       | server_error       | nothing          | -              | -             | claude-sonnet-4-5-20250929
anthropic/cached.sse          | success            | answer           | 1110,1000/128,- | max_tokens   | claude-sonnet-4-5-20250929
anthropic/cut.sse             | incomplete_stream  | answer           | -              | -             | claude-sonnet-4-5-20250929
anthropic/no_message_stop.sse | success            | answer           | 25,0/15,-      | end_turn      | claude-sonnet-4-5-20250929
anthropic/overloaded.sse      | overloaded         | answer           | -              | -             | claude-sonnet-4-5-20250929
anthropic/refusal.sse         | empty_response     | nothing          | 25,0/1,-       | refusal       | claude-sonnet-4-5-20250929
anthropic/thinking.sse        | success            | reasoning+answer | 25,0/60,-      | end_turn      | claude-sonnet-4-5-20250929
anthropic/unknown_events.sse  | success            | answer           | 25,0/15,-      | end_turn      | claude-sonnet-4-5-20250929

azure/answer.sse              | success            | answer           | 128,0/2,0      | stop          | gpt-4o-mini-2024-07-18
azure/error_mid_stream.sse    | rate_limited       | answer           | -              | -             | gpt-4o-mini-2024-07-18
azure/filtered.sse            | empty_response     | nothing          | 128,0/0,0      | content_filter | gpt-4o-mini-2024-07-18

gemini/answer.sse             | success            | answer           | 126,-/9,-      | STOP          | gemini-2.5-flash
gemini/blocked_prompt.sse     | empty_response     | nothing          | ~126,-/0,-     | PROHIBITED_CONTENT | gemini-2.5-flash
gemini/cut.sse                | incomplete_stream  | answer           | -              | -             | gemini-2.5-flash
gemini/error_mid_stream.sse   | overloaded         | answer           | -              | -             | gemini-2.5-flash
gemini/quota.sse              | rate_limited       | nothing          | -              | -             | -
gemini/safety.sse             | success            | answer           | 126,-/1,-      | SAFETY        | gemini-2.5-flash
gemini/thoughts.sse           | success            | reasoning+answer | 126,100/64,60  | MAX_TOKENS    | gemini-2.5-flash
gemini/thoughts_uncounted_text.sse | empty_response | nothing         | 126,-/125,125  | MAX_TOKENS    | gemini-2.5-flash

ollama/answer.ndjson          | success            | answer           | 126,-/9,-      | stop          | llama3 | 1.334875 ms
ollama/cold.ndjson            | success            | answer           | 126,-/2,-      | length        | llama3 | 8123.456789 ms
ollama/cut.ndjson             | incomplete_stream  | answer           | -              | -             | llama3
ollama/cut_in_line.ndjson     | incomplete_stream  | answer           | -              | -             | llama3
ollama/empty.ndjson           | empty_response     | nothing          | 126,-/1,-      | stop          | llama3 | 1.334875 ms
ollama/error_mid_stream.ndjson | server_error      | answer           | -              | -             | llama3
ollama/no_counts.ndjson       | success            | answer           | ~120,-/3,-     | done          | llama3
ollama/thinking.ndjson        | success            | reasoning+answer | 126,-/30,-     | stop          | llama3 | 1.334875 ms
ollama/unloaded.ndjson        | empty_response     | nothing          | ~120,-/0,-     | load          | llama3

openai/answer.sse             | success            | answer           | 128,64/9,0     | stop          | gpt-4o-mini-2024-07-18
openai/answer_crlf_no_done.sse | success           | answer           | 128,0/1,0      | stop          | gpt-4o-mini-2024-07-18
openai/comments_only.sse      | malformed_response | nothing          | -              | -             | -
openai/cumulative_usage.sse   | success            | answer           | 120,-/2,-      | stop          | /models/llama-3.1-8b
openai/cut.sse                | incomplete_stream  | answer           | -              | -             | gpt-4o-mini-2024-07-18
openai/cut_in_event.sse       | incomplete_stream  | answer           | -              | -             | gpt-4o-mini-2024-07-18
openai/deepseek_reasoning.sse | success            | reasoning+answer | 130,128/40,32  | stop          | deepseek-reasoner
openai/empty.sse              | empty_response     | nothing          | 128,0/1,0      | stop          | gpt-4o-mini-2024-07-18
openai/error_event.sse        | rate_limited       | nothing          | -              | -             | gpt-4o-mini-2024-07-18
openai/error_mid_stream.sse   | server_error       | answer           | -              | -             | gpt-4o-mini-2024-07-18
openai/groq.sse               | success            | answer           | 140,-/1,-      | stop          | llama-3.3-70b-versatile
openai/invalid_utf8.sse       | malformed_response | nothing          | -              | -             | -
openai/length.sse             | success            | answer           | 128,0/128,0    | length        | gpt-4o-mini-2024-07-18
openai/llama_cpp.sse          | success            | answer           | 118,-/2,-      | stop          | llama.gguf
openai/mistral_parts.sse      | success            | reasoning+answer | 110,-/10,-     | stop          | magistral-medium-latest
openai/no_usage.sse           | success            | answer           | ~120,-/3,-     | stop          | gpt-4o-mini-2024-07-18
openai/not_json.sse           | malformed_response | nothing          | -              | -             | -
openai/numbers_as_strings.sse | success            | answer           | 120,-/2,-      | stop          | gpt-4o-mini-2024-07-18
openai/openrouter.sse         | success            | reasoning+answer | 131,0/20,12    | stop          | anthropic/claude-sonnet-4.5
openai/openrouter_error.sse   | server_error       | answer           | -              | -             | anthropic/claude-sonnet-4.5
openai/reasoning_only.sse     | success            | reasoning        | 130,0/128,128  | length        | deepseek-reasoner
openai/refusal.sse            | success            | answer           | 128,0/5,0      | stop          | gpt-4o-mini-2024-07-18
openai/tgi_overloaded.sse     | overloaded         | answer           | -              | -             | gpt-4o-mini-2024-07-18
openai/vllm_error.sse         | server_error       | answer           | -              | -             | /models/llama-3.1-8b
openai/vllm_extra_chunk.sse   | success            | answer           | 120,-/2,-      | stop          | /models/llama-3.1-8b
openai/xai_reasoning_beside.sse | success          | reasoning+answer | 130,0/32,30    | stop          | grok-4
";

/// Characters of the prompt that the streams answer.
const PROMPT_CHARS: u64 = 480;

fn fixtures() -> BTreeMap<String, Vec<u8>> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/streams"));
    let mut fixtures = BTreeMap::new();
    for folder in fs::read_dir(&root).expect("the fixtures") {
        for file in fs::read_dir(folder.expect("a folder").path()).expect("a provider's folder") {
            let path = file.expect("a file").path();
            let name = path.strip_prefix(&root).expect("below the root").to_string_lossy().into_owned();
            fixtures.insert(name, fs::read(&path).expect("a fixture"));
        }
    }
    fixtures
}

fn provider(name: &str) -> Provider {
    name.split('/').next().and_then(|folder| folder.parse().ok()).expect("a folder named after a provider")
}

/// The answer that `chunks` make, read one millisecond apart.
fn read<'a>(provider: Provider, chunks: impl IntoIterator<Item = &'a [u8]>, at: impl Fn(u64) -> Duration) -> Answer {
    let (mut reading, mut answer) = (Reading::new(provider), Answer::default());
    for (number, chunk) in (0..).zip(chunks) {
        reading.push(chunk, at(number), &mut answer);
    }
    reading.finish(&mut answer);
    answer
}

fn same_time(_: u64) -> Duration {
    Duration::from_millis(1)
}

fn summary(answer: &Answer) -> String {
    let outcome = answer.verdict().map_or("success", |failure| failure.kind.expect("a kind").as_str());
    let text = match (answer.timeline.ttft_ms(), answer.timeline.ttfa_ms()) {
        (None, _) => "nothing",
        (Some(_), None) => "reasoning",
        (Some(first), Some(first_answer)) if first < first_answer => "reasoning+answer",
        (Some(_), Some(_)) => "answer",
    };
    let number = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let tokens = if answer.failure.is_none() && answer.is_complete() {
        let tokens = answer.tokens(PROMPT_CHARS);
        let mark = if tokens.source == TokenSource::Estimated { "~" } else { "" };
        let (cached, reasoning) = (number(answer.usage.cached_input_tokens), number(answer.usage.reasoning_tokens));
        format!("{mark}{},{cached}/{},{reasoning}", tokens.input, tokens.output)
    } else {
        "-".to_owned()
    };
    let word = |word: &Option<String>| word.clone().unwrap_or_else(|| "-".to_owned());
    let mut fields =
        vec![outcome.to_owned(), text.to_owned(), tokens, word(&answer.finish_reason), word(&answer.served_model)];
    fields.extend(answer.load_ms.map(|load_ms| format!("{load_ms} ms")));
    fields.join(" | ")
}

#[test]
fn every_stream_is_read_for_what_it_says() {
    let expected: BTreeMap<&str, String> = EXPECTED
        .lines()
        .filter_map(|line| line.split_once('|'))
        .map(|(name, rest)| (name.trim(), rest.split('|').map(str::trim).collect::<Vec<_>>().join(" | ")))
        .collect();
    let fixtures = fixtures();
    assert_eq!(expected.keys().copied().collect::<Vec<_>>(), fixtures.keys().collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for (name, bytes) in &fixtures {
        // One line a read, so that what came first is seen.
        let lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let actual = summary(&read(provider(name), lines, Duration::from_millis));
        if actual != expected[name.as_str()] {
            wrong.push(format!("{name}\n  is       {actual}\n  expected {}", expected[name.as_str()]));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn any_split_of_a_stream_gives_the_same_answer() {
    let mut random = fastrand::Rng::with_seed(20_261_124);
    for (name, bytes) in fixtures() {
        let provider = provider(&name);
        let whole = read(provider, [bytes.as_slice()], same_time);
        assert_eq!(read(provider, bytes.chunks(1), same_time), whole, "{name}, byte by byte");
        for _ in 0..200 {
            let mut cuts: Vec<usize> = (0..random.usize(1..8)).map(|_| random.usize(0..=bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            assert_eq!(read(provider, chunks, same_time), whole, "{name}, cut at {cuts:?}");
        }
    }
}

#[test]
fn damaged_streams_end_in_a_verdict_and_never_in_a_panic() {
    let mut random = fastrand::Rng::with_seed(7);
    for (name, bytes) in fixtures() {
        for provider in Provider::ALL {
            for _ in 0..30 {
                let mut damaged = bytes.clone();
                for _ in 0..random.usize(1..6) {
                    let at = random.usize(..damaged.len());
                    match random.u8(..3) {
                        0 => damaged[at] = random.u8(..),
                        1 => damaged.truncate(at.max(1)),
                        _ => damaged.extend_from_within(at..),
                    }
                }
                let answer = read(provider, [damaged.as_slice()], same_time);
                // A stream that got to its end still has; every other has a failure.
                assert!(answer.is_complete() || answer.verdict().is_some(), "{name} as {provider}");
            }
        }
    }
}
