//! How fast a stream is read, and what it allocates, with deltas of 30 bytes as real models send them.
//!
//! `cargo bench -p llm-monitor-core --bench decode` prints MB/s, the time and the allocations of a chunk, and the speed as a
//! multiple of a baseline in the same run: a whole-text split with every event parsed into a JSON tree. Exits 1 when reading
//! allocates per chunk, which does not depend on the machine.
#![allow(clippy::print_stdout, clippy::expect_used)] // a program for a developer's eyes

use std::{
    alloc::System,
    process::ExitCode,
    time::{Duration, Instant},
};

use llm_monitor_core::{
    probe::{answer::Answer, decode::Decoder, reading::Reading},
    provider::{Framing, Provider},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EVENTS: usize = 20_000;
const RUNS: usize = 15;

/// Allocations that a chunk may cost: those of the start (buffers, a reader) spread over all chunks.
const MAX_ALLOCATIONS_PER_CHUNK: f64 = 0.01;

fn chat_stream() -> Vec<u8> {
    let event = concat!(
        r#"data: {"id":"chatcmpl-C1","object":"chat.completion.chunk","created":1795557600,"model":"gpt-4o-mini-2024-07-18","#,
        r#""service_tier":"default","system_fingerprint":"fp_44add55e8e","choices":[{"index":0,"delta":"#,
        r#"{"content":" a letter — stamped, then sorted"},"logprobs":null,"finish_reason":null}],"usage":null}"#,
        "\n\n"
    );
    event.repeat(EVENTS).into_bytes()
}

fn anthropic_stream() -> Vec<u8> {
    let event = concat!(
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" a letter — stamped, then sorted"}}"#,
        "\n\n"
    );
    event.repeat(EVENTS).into_bytes()
}

fn gemini_stream() -> Vec<u8> {
    let event = concat!(
        r#"data: {"candidates": [{"content": {"parts": [{"text": " a letter — stamped, then sorted"}],"role": "model"},"index": 0}],"#,
        r#""usageMetadata": {"promptTokenCount": 126,"candidatesTokenCount": 8,"totalTokenCount": 134},"modelVersion": "gemini-2.5-flash"}"#,
        "\r\n\r\n"
    );
    event.repeat(EVENTS).into_bytes()
}

fn ollama_stream() -> Vec<u8> {
    let line = concat!(
        r#"{"model":"llama3","created_at":"2026-11-24T16:54:00.123456Z","#,
        r#""message":{"role":"assistant","content":" a letter — stamped, then sorted"},"done":false}"#,
        "\n"
    );
    line.repeat(EVENTS).into_bytes()
}

/// What one way of reading costs.
struct Cost {
    best: Duration,
    allocations: usize,
}

/// The best of some runs: what disturbs a run only ever makes it longer.
fn measure(mut read: impl FnMut() -> u64) -> Cost {
    let mut cost = Cost { best: Duration::MAX, allocations: 0 };
    for _ in 0..RUNS {
        let region = Region::new(ALLOCATOR);
        let start = Instant::now();
        assert!(std::hint::black_box(read()) > 0);
        cost.best = cost.best.min(start.elapsed());
        cost.allocations = region.change().allocations;
    }
    cost
}

fn baseline(stream: &[u8]) -> u64 {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: ").or(line.starts_with('{').then_some(line)));
    lines
        .filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok())
        .filter(serde_json::Value::is_object)
        .count() as u64
}

fn decode(framing: Framing, stream: &[u8], chunk_bytes: usize) -> u64 {
    let mut decoder = Decoder::new(framing);
    let mut frames = 0;
    for chunk in stream.chunks(chunk_bytes) {
        decoder.push(chunk, &mut |_| frames += 1).expect("within the limits");
    }
    frames
}

fn read(provider: Provider, stream: &[u8], chunk_bytes: usize) -> u64 {
    let (mut reading, mut answer) = (Reading::new(provider), Answer::default());
    for (number, chunk) in (0..).zip(stream.chunks(chunk_bytes)) {
        reading.push(chunk, Duration::from_micros(number), &mut answer);
    }
    assert_eq!(answer.failure, None);
    answer.tokens(0).output
}

fn main() -> ExitCode {
    let mut is_good = true;
    println!("{:42} {:>9} {:>9} {:>14} {:>9}", "", "MB/s", "ns/chunk", "allocs/chunk", "baseline");
    let streams = [
        (Provider::OpenAi, chat_stream()),
        (Provider::Anthropic, anthropic_stream()),
        (Provider::Gemini, gemini_stream()),
        (Provider::Ollama, ollama_stream()),
    ];
    for (provider, stream) in &streams {
        let event_bytes = stream.len() / EVENTS;
        let (framing, whole) = (provider.wire().framing(), baseline_row(*provider, stream));
        let mut row = |what: &str, chunk_bytes: usize, cost: &Cost| {
            let chunks = stream.len().div_ceil(chunk_bytes);
            let allocations = cost.allocations as f64 / chunks as f64;
            is_good &= allocations <= MAX_ALLOCATIONS_PER_CHUNK;
            print_row(&format!("{provider}: {what}"), stream.len(), chunks, cost, &whole);
        };
        row("decode, an event a chunk", event_bytes, &measure(|| decode(framing, stream, event_bytes)));
        row("read, an event a chunk", event_bytes, &measure(|| read(*provider, stream, event_bytes)));
        row("read, 30 bytes a chunk", 30, &measure(|| read(*provider, stream, 30)));
    }
    if is_good {
        return ExitCode::SUCCESS;
    }
    println!("reading allocates more than {MAX_ALLOCATIONS_PER_CHUNK} times a chunk");
    ExitCode::FAILURE
}

fn baseline_row(provider: Provider, stream: &[u8]) -> Cost {
    let cost = measure(|| baseline(stream));
    print_row(&format!("{provider}: baseline, JSON trees"), stream.len(), EVENTS, &cost, &cost);
    cost
}

fn print_row(what: &str, bytes: usize, chunks: usize, cost: &Cost, baseline: &Cost) {
    let seconds = cost.best.as_secs_f64();
    println!(
        "{what:42} {:9.0} {:9.0} {:14.4} {:8.1}x",
        bytes as f64 / seconds / 1e6,
        seconds * 1e9 / chunks as f64,
        cost.allocations as f64 / chunks as f64,
        baseline.best.as_secs_f64() / seconds,
    );
}
