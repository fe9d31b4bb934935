//! Chat completions, as OpenAI and every compatible server speak them.
//! <https://platform.openai.com/docs/api-reference/chat/streaming>

use std::fmt;

use http::{StatusCode, header};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use super::{
    Adaptation, Ask, Event, Frame, Framing, HttpRequest, Quirks, Reader, Refused, Unsendable, Usage, Variables, Wire,
    error_in_stream,
    json::{Count, Merge, Merged, TextLength, Word},
    malformed, post,
    refusal::{ErrorObject, has_error},
    secret_header,
};

/// The format's entry in the table of providers.
#[derive(Debug)]
pub struct OpenAi;

impl Wire for OpenAi {
    fn variables(&self) -> Variables {
        Variables {
            key: Some("OPENAI_API_KEY"),
            base_url: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
            default_base_url: Some("https://api.openai.com/v1"),
            api_version: None,
        }
    }

    fn serves(&self, model: &str) -> bool {
        let is_o_series = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        is_o_series || model.starts_with("gpt") || model.starts_with("chatgpt")
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn request(&self, ask: &Ask<'_>) -> Result<HttpRequest, Unsendable> {
        let mut request = post(ask.access, &["chat", "completions"], &ChatRequest::new(ask))?;
        if let Some(key) = &ask.access.api_key {
            secret_header(&mut request.headers, header::AUTHORIZATION, "Bearer ", key)?;
        }
        Ok(request)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChatReader>::default()
    }

    fn adapt(&self, refused: &Refused<'_>, quirks: Quirks) -> Option<Adaptation> {
        adapt(refused, quirks)
    }
}

/// The body of a request.
#[derive(Debug, Serialize)]
pub(super) struct ChatRequest<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

impl<'a> ChatRequest<'a> {
    pub(super) fn new(ask: &Ask<'a>) -> Self {
        let is_new_name = wants_max_completion_tokens(ask.model) != ask.quirks.other_token_limit;
        let limit = Some(ask.max_output_tokens);
        Self {
            model: ask.model,
            messages: [Message { role: "user", content: ask.prompt }],
            stream: true,
            stream_options: (!ask.quirks.without_stream_options).then_some(StreamOptions { include_usage: true }),
            max_tokens: limit.filter(|_| !is_new_name),
            max_completion_tokens: limit.filter(|_| is_new_name),
        }
    }
}

/// OpenAI's reasoning models refuse `max_tokens`; most compatible servers know nothing else. A vendor's prefix
/// (`openai/gpt-5`) is no part of the name.
fn wants_max_completion_tokens(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let digit_after = |prefix: &str| name.strip_prefix(prefix)?.chars().next()?.to_digit(10);
    digit_after("o").is_some() || digit_after("gpt-").is_some_and(|version| version >= 5)
}

/// The one permitted second request: without the option or with the limit's other name, where the refusal names that
/// parameter; without the option also where a 400 or 422 names nothing.
pub(super) fn adapt(refused: &Refused<'_>, quirks: Quirks) -> Option<Adaptation> {
    if !matches!(refused.status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) {
        return None;
    }
    let body = refused.json().unwrap_or_default();
    let error = ErrorObject::of(&body);
    let without_stream_options = Quirks { without_stream_options: true, ..quirks };
    match error.param() {
        Some("stream_options" | "stream_options.include_usage") if !quirks.without_stream_options => {
            Some(Adaptation { quirks: without_stream_options, is_certain: true })
        }
        Some("max_tokens" | "max_completion_tokens") if !quirks.other_token_limit => {
            Some(Adaptation { quirks: Quirks { other_token_limit: true, ..quirks }, is_certain: true })
        }
        None if !quirks.without_stream_options && error.is_generic() => {
            Some(Adaptation { quirks: without_stream_options, is_certain: false })
        }
        _ => None,
    }
}

/// One frame. Unknown fields are passed over.
#[derive(Debug, Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    model: Word<'a>,
    #[serde(borrow, default)]
    object: Word<'a>,
    #[serde(default)]
    choices: Merged<Choices>,
    #[serde(default)]
    usage: Option<ChatUsage>,
    /// Groq's place for the usage.
    #[serde(default)]
    x_groq: Option<GroqExtra>,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// What all choices of a chunk say together: one is asked for, none is legal (usage, Azure's content filter).
#[derive(Debug, Default)]
struct Choices {
    answer_chars: u64,
    reasoning_chars: u64,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(borrow, default)]
    finish_reason: Word<'a>,
}

/// `reasoning_content` is DeepSeek's and vLLM's name, `reasoning` OpenRouter's and newer vLLM's; gateways may send both.
#[derive(Debug, Default, Deserialize)]
struct Delta {
    #[serde(default)]
    content: Content,
    #[serde(default)]
    refusal: TextLength,
    #[serde(default)]
    reasoning_content: TextLength,
    #[serde(default)]
    reasoning: TextLength,
}

impl Merge for Choices {
    type Element<'de> = Choice<'de>;

    fn merge(&mut self, choice: Choice<'_>) {
        let delta = choice.delta.unwrap_or_default();
        self.answer_chars += delta.content.answer_chars + delta.refusal.0;
        self.reasoning_chars += delta.content.reasoning_chars + delta.reasoning_content.0.max(delta.reasoning.0);
        if let Some(reason) = choice.finish_reason.0 {
            self.finish_reason = Some(reason.into_owned());
        }
    }
}

/// A text, or a list of typed parts (Mistral's reasoning models).
#[derive(Debug, Clone, Copy, Default)]
struct Content {
    answer_chars: u64,
    reasoning_chars: u64,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: TextLength,
    #[serde(default)]
    thinking: Content,
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrParts;
        impl<'de> Visitor<'de> for TextOrParts {
            type Value = Content;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of parts")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content { answer_chars: text.chars().count() as u64, reasoning_chars: 0 })
            }
            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::default())
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut content = Content::default();
                while let Some(part) = seq.next_element::<Part>()? {
                    content.answer_chars += part.text.0;
                    content.reasoning_chars += part.thinking.answer_chars;
                }
                Ok(content)
            }
        }
        deserializer.deserialize_any(TextOrParts)
    }
}

#[derive(Debug, Deserialize)]
struct GroqExtra {
    #[serde(default)]
    usage: Option<ChatUsage>,
}

#[derive(Debug, Deserialize)]
struct ChatUsage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    total_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for the cached ones.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Count,
}

#[derive(Debug, Default, Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl ChatUsage {
    fn normalised(&self) -> Usage {
        let reasoning = self.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens.0);
        let (input, output) = (self.prompt_tokens.0, self.completion_tokens.0);
        // xAI and Gemini's compatible endpoint count reasoning beside the completion; their total gives it away.
        let is_beside = match (input, output, reasoning, self.total_tokens.0) {
            (Some(input), Some(output), Some(reasoning), Some(total)) => {
                reasoning > 0 && input.saturating_add(output).saturating_add(reasoning) == total
            }
            _ => false,
        };
        let cached = self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens.0);
        Usage {
            input_tokens: input,
            output_tokens: if is_beside { output.zip(reasoning).map(|(o, r)| o.saturating_add(r)) } else { output },
            cached_input_tokens: cached.or(self.prompt_cache_hit_tokens.0),
            reasoning_tokens: reasoning,
        }
    }
}

/// Reads a chat completion's stream; Azure's too.
#[derive(Debug, Default)]
pub(super) struct ChatReader {
    has_served_model: bool,
}

impl Reader for ChatReader {
    fn read(&mut self, frame: Frame<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        if frame.data == b"[DONE]" {
            return on_event(Event::Done);
        }
        if frame.event == b"error" {
            return on_event(error_of(frame.data));
        }
        let chunk: Chunk<'_> = match serde_json::from_slice(frame.data) {
            Ok(chunk) => chunk,
            Err(error) => return on_event(malformed("chat completions", &error)),
        };
        if chunk.error.is_some() || chunk.object.as_deref() == Some("error") {
            return on_event(error_of(frame.data));
        }
        if let Some(model) = chunk.model.as_deref().filter(|_| !self.has_served_model) {
            self.has_served_model = true;
            on_event(Event::ServedModel(model));
        }
        let choices = chunk.choices.0;
        if choices.reasoning_chars > 0 {
            on_event(Event::Reasoning { chars: choices.reasoning_chars });
        }
        if choices.answer_chars > 0 {
            on_event(Event::Text { chars: choices.answer_chars });
        }
        if let Some(usage) = chunk.usage.or(chunk.x_groq.and_then(|extra| extra.usage)) {
            on_event(Event::Usage(usage.normalised()));
        }
        if let Some(reason) = &choices.finish_reason {
            on_event(Event::Finish(reason));
        }
    }
}

fn error_of(data: &[u8]) -> Event<'static> {
    match serde_json::from_slice::<serde_json::Value>(data) {
        Ok(body) if has_error(&body) || body.get("message").is_some() => error_in_stream(&body),
        Ok(_) => error_in_stream(&serde_json::Value::Null),
        Err(error) => malformed("chat completions", &error),
    }
}
