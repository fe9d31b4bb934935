//! Anthropic's messages. <https://docs.anthropic.com/en/api/messages-streaming>

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::{
    Ask, Event, Frame, Framing, HttpRequest, Reader, Unsendable, Usage, Variables, Wire, error_in_stream,
    json::{Count, TextLength, Word},
    malformed, post, secret_header,
};

const VERSION: &str = "2023-06-01";

/// The format's entry in the table of providers.
#[derive(Debug)]
pub struct Anthropic;

#[derive(Debug, Serialize)]
struct MessagesRequest<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: [Message<'a>; 1],
    stream: bool,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl Wire for Anthropic {
    fn variables(&self) -> Variables {
        Variables {
            key: Some("ANTHROPIC_API_KEY"),
            base_url: &["ANTHROPIC_BASE_URL"],
            default_base_url: Some("https://api.anthropic.com"),
            api_version: None,
        }
    }

    fn serves(&self, model: &str) -> bool {
        model.starts_with("claude")
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    fn request(&self, ask: &Ask<'_>) -> Result<HttpRequest, Unsendable> {
        let body = MessagesRequest {
            model: ask.model,
            max_tokens: ask.max_output_tokens,
            messages: [Message { role: "user", content: ask.prompt }],
            stream: true,
        };
        let mut request = post(ask.access, &["v1", "messages"], &body)?;
        request.headers.insert(HeaderName::from_static("anthropic-version"), HeaderValue::from_static(VERSION));
        if let Some(key) = &ask.access.api_key {
            secret_header(&mut request.headers, HeaderName::from_static("x-api-key"), "", key)?;
        }
        Ok(request)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<MessagesReader>::default()
    }
}

/// One frame: the fields of every kind of event that matters here. Kinds not known are passed over, as the reference asks.
#[derive(Debug, Deserialize)]
struct StreamEvent<'a> {
    #[serde(rename = "type", borrow)]
    kind: Word<'a>,
    #[serde(borrow, default)]
    message: Option<MessageStart<'a>>,
    #[serde(default)]
    content_block: Option<Block>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    usage: Option<MessagesUsage>,
}

#[derive(Debug, Deserialize)]
struct MessageStart<'a> {
    #[serde(borrow, default)]
    model: Word<'a>,
    #[serde(default)]
    usage: Option<MessagesUsage>,
}

#[derive(Debug, Deserialize)]
struct Block {
    #[serde(default)]
    text: TextLength,
    #[serde(default)]
    thinking: TextLength,
}

#[derive(Debug, Deserialize)]
struct Delta<'a> {
    #[serde(default)]
    text: TextLength,
    #[serde(default)]
    thinking: TextLength,
    #[serde(borrow, default)]
    stop_reason: Word<'a>,
}

/// `input_tokens` leaves the cached ones out, so they are added.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[allow(clippy::struct_field_names)] // the wire's names
struct MessagesUsage {
    #[serde(default)]
    input_tokens: Count,
    #[serde(default)]
    cache_read_input_tokens: Count,
    #[serde(default)]
    cache_creation_input_tokens: Count,
    #[serde(default)]
    output_tokens: Count,
}

/// Reads a message's stream.
#[derive(Debug, Default)]
struct MessagesReader {
    /// What is known of the parts of the input: a later event may give only some of them.
    usage: MessagesUsage,
}

impl MessagesReader {
    fn usage(&mut self, newer: MessagesUsage) -> Event<'static> {
        let known = &mut self.usage;
        known.input_tokens.0 = newer.input_tokens.0.or(known.input_tokens.0);
        known.cache_read_input_tokens.0 = newer.cache_read_input_tokens.0.or(known.cache_read_input_tokens.0);
        known.cache_creation_input_tokens.0 =
            newer.cache_creation_input_tokens.0.or(known.cache_creation_input_tokens.0);
        let cached = known.cache_read_input_tokens.0;
        let beside = cached.unwrap_or(0).saturating_add(known.cache_creation_input_tokens.0.unwrap_or(0));
        Event::Usage(Usage {
            input_tokens: known.input_tokens.0.map(|input| input.saturating_add(beside)),
            output_tokens: newer.output_tokens.0,
            cached_input_tokens: cached,
            reasoning_tokens: None,
        })
    }
}

impl Reader for MessagesReader {
    fn read(&mut self, frame: Frame<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        let event: StreamEvent<'_> = match serde_json::from_slice(frame.data) {
            Ok(event) => event,
            Err(error) => return on_event(malformed("Anthropic", &error)),
        };
        match event.kind.as_deref() {
            Some("message_start") => {
                let Some(message) = event.message else { return };
                if let Some(model) = message.model.as_deref() {
                    on_event(Event::ServedModel(model));
                }
                if let Some(usage) = message.usage {
                    on_event(self.usage(usage));
                }
            }
            Some("content_block_start") => {
                if let Some(block) = event.content_block {
                    text(block.text, block.thinking, on_event);
                }
            }
            Some("content_block_delta") => {
                if let Some(delta) = event.delta {
                    text(delta.text, delta.thinking, on_event);
                }
            }
            Some("message_delta") => {
                if let Some(usage) = event.usage {
                    on_event(self.usage(usage));
                }
                if let Some(reason) = event.delta.as_ref().and_then(|delta| delta.stop_reason.as_deref()) {
                    on_event(Event::Finish(reason));
                }
            }
            Some("message_stop") => on_event(Event::Done),
            Some("error") => match serde_json::from_slice(frame.data) {
                Ok(body) => on_event(error_in_stream(&body)),
                Err(error) => on_event(malformed("Anthropic", &error)),
            },
            _ => {}
        }
    }
}

fn text(answer: TextLength, thinking: TextLength, on_event: &mut dyn FnMut(Event<'_>)) {
    if thinking.0 > 0 {
        on_event(Event::Reasoning { chars: thinking.0 });
    }
    if answer.0 > 0 {
        on_event(Event::Text { chars: answer.0 });
    }
}
