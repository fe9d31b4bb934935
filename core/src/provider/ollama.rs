//! Ollama's `/api/chat`. <https://github.com/ollama/ollama/blob/main/docs/api.md>

use http::header;
use serde::{Deserialize, Serialize};

use super::{
    Ask, Event, Frame, Framing, HttpRequest, Reader, Unsendable, Usage, Variables, Wire, error_in_stream,
    json::{Count, Number, TextLength, Word},
    malformed, post, secret_header,
};

const NANOSECONDS_PER_MS: f64 = 1e6;

/// How the usage endpoint marks a model that Ollama serves: `ollama-llama3` is Ollama's `llama3`.
const NAME_PREFIX: &str = "ollama-";

/// The format's entry in the table of providers.
#[derive(Debug)]
pub struct Ollama;

#[derive(Debug, Serialize)]
struct ChatRequest<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    stream: bool,
    options: Options,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Debug, Serialize)]
struct Options {
    num_predict: u32,
}

impl Wire for Ollama {
    fn variables(&self) -> Variables {
        Variables {
            key: None,
            base_url: &["OLLAMA_BASE_URL"],
            default_base_url: Some("http://localhost:11434"),
            api_version: None,
        }
    }

    fn serves(&self, model: &str) -> bool {
        model.strip_prefix(NAME_PREFIX).is_some_and(|name| !name.is_empty())
    }

    fn name_of<'m>(&self, model: &'m str) -> &'m str {
        model.strip_prefix(NAME_PREFIX).unwrap_or(model)
    }

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn request(&self, ask: &Ask<'_>) -> Result<HttpRequest, Unsendable> {
        let body = ChatRequest {
            model: ask.model,
            messages: [Message { role: "user", content: ask.prompt }],
            stream: true,
            options: Options { num_predict: ask.max_output_tokens },
        };
        let mut request = post(ask.access, &["api", "chat"], &body)?;
        if let Some(key) = &ask.access.api_key {
            secret_header(&mut request.headers, header::AUTHORIZATION, "Bearer ", key)?;
        }
        Ok(request)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<ChatReader>::default()
    }
}

#[derive(Debug, Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    model: Word<'a>,
    #[serde(default)]
    message: Option<LineMessage>,
    #[serde(default)]
    done: bool,
    #[serde(borrow, default)]
    done_reason: Word<'a>,
    /// Nanoseconds.
    #[serde(default)]
    load_duration: Number,
    #[serde(default)]
    prompt_eval_count: Count,
    #[serde(default)]
    eval_count: Count,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct LineMessage {
    #[serde(default)]
    content: TextLength,
    #[serde(default)]
    thinking: TextLength,
}

/// Reads a chat's lines; the last says `done` and counts.
#[derive(Debug, Default)]
struct ChatReader {
    has_served_model: bool,
}

impl Reader for ChatReader {
    fn read(&mut self, frame: Frame<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        let line: Line<'_> = match serde_json::from_slice(frame.data) {
            Ok(line) => line,
            Err(error) => return on_event(malformed("Ollama", &error)),
        };
        if let Some(error) = line.error {
            return on_event(error_in_stream(&serde_json::json!({ "error": error })));
        }
        if let Some(model) = line.model.as_deref().filter(|_| !self.has_served_model) {
            self.has_served_model = true;
            on_event(Event::ServedModel(model));
        }
        if let Some(message) = line.message {
            if message.thinking.0 > 0 {
                on_event(Event::Reasoning { chars: message.thinking.0 });
            }
            if message.content.0 > 0 {
                on_event(Event::Text { chars: message.content.0 });
            }
        }
        if !line.done {
            return;
        }
        on_event(Event::Usage(Usage {
            input_tokens: line.prompt_eval_count.0,
            output_tokens: line.eval_count.0,
            ..Usage::default()
        }));
        if let Some(nanoseconds) = line.load_duration.0.filter(|duration| *duration >= 0.0) {
            on_event(Event::LoadMs(nanoseconds / NANOSECONDS_PER_MS));
        }
        on_event(Event::Finish(line.done_reason.as_deref().unwrap_or("done")));
        on_event(Event::Done);
    }
}
