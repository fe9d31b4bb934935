//! Google's `streamGenerateContent`. <https://ai.google.dev/api/generate-content>

use http::HeaderName;
use serde::{Deserialize, Serialize};

use super::{
    Ask, Event, Frame, Framing, HttpRequest, Reader, Unsendable, Usage, Variables, Wire, error_in_stream,
    json::{Count, Merge, Merged, TextLength, Word},
    malformed, post, secret_header,
};

/// The format's entry in the table of providers.
#[derive(Debug)]
pub struct Gemini;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerateRequest<'a> {
    contents: [Content<'a>; 1],
    generation_config: GenerationConfig,
}

#[derive(Debug, Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: [TextPart<'a>; 1],
}

#[derive(Debug, Serialize)]
struct TextPart<'a> {
    text: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: u32,
}

impl Wire for Gemini {
    fn variables(&self) -> Variables {
        Variables {
            key: Some("GEMINI_API_KEY"),
            base_url: &["GEMINI_BASE_URL"],
            default_base_url: Some("https://generativelanguage.googleapis.com"),
            api_version: None,
        }
    }

    fn serves(&self, model: &str) -> bool {
        model.starts_with("gemini")
    }

    fn framing(&self) -> Framing {
        Framing::Sse
    }

    /// The base URL is Google's own, without a version. The key goes into a header: a query ends up in logs.
    fn request(&self, ask: &Ask<'_>) -> Result<HttpRequest, Unsendable> {
        let body = GenerateRequest {
            contents: [Content { role: "user", parts: [TextPart { text: ask.prompt }] }],
            generation_config: GenerationConfig { max_output_tokens: ask.max_output_tokens },
        };
        let name = ask.model.strip_prefix("models/").unwrap_or(ask.model);
        let mut request = post(ask.access, &["v1beta", "models", &format!("{name}:streamGenerateContent")], &body)?;
        request.url.query_pairs_mut().append_pair("alt", "sse");
        if let Some(key) = &ask.access.api_key {
            secret_header(&mut request.headers, HeaderName::from_static("x-goog-api-key"), "", key)?;
        }
        Ok(request)
    }

    fn reader(&self) -> Box<dyn Reader> {
        Box::<GenerateReader>::default()
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(default)]
    candidates: Merged<Candidates>,
    #[serde(borrow, default)]
    prompt_feedback: Option<PromptFeedback<'a>>,
    #[serde(default)]
    usage_metadata: Option<UsageMetadata>,
    #[serde(borrow, default)]
    model_version: Word<'a>,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// What all candidates of a chunk say together; one is asked for.
#[derive(Debug, Default)]
struct Candidates {
    parts: Parts,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    content: Option<CandidateContent>,
    #[serde(borrow, default)]
    finish_reason: Word<'a>,
}

#[derive(Debug, Deserialize)]
struct CandidateContent {
    #[serde(default)]
    parts: Merged<Parts>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    answer_chars: u64,
    reasoning_chars: u64,
}

/// A part of a candidate; `thought` marks a summary of the model's reasoning.
#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: TextLength,
    #[serde(default)]
    thought: bool,
}

impl Merge for Parts {
    type Element<'de> = Part;

    fn merge(&mut self, part: Part) {
        if part.thought {
            self.reasoning_chars += part.text.0;
        } else {
            self.answer_chars += part.text.0;
        }
    }
}

impl Merge for Candidates {
    type Element<'de> = Candidate<'de>;

    fn merge(&mut self, candidate: Candidate<'_>) {
        if let Some(content) = candidate.content {
            self.parts.answer_chars += content.parts.0.answer_chars;
            self.parts.reasoning_chars += content.parts.0.reasoning_chars;
        }
        if let Some(reason) = candidate.finish_reason.0 {
            self.finish_reason = Some(reason.into_owned());
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback<'a> {
    #[serde(borrow, default)]
    block_reason: Word<'a>,
}

/// Counts so far, on every chunk. Thoughts stand beside the candidates' tokens; cached ones are part of the prompt's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_field_names)] // the wire's names
struct UsageMetadata {
    #[serde(default)]
    prompt_token_count: Count,
    #[serde(default)]
    candidates_token_count: Count,
    #[serde(default)]
    thoughts_token_count: Count,
    #[serde(default)]
    cached_content_token_count: Count,
}

impl UsageMetadata {
    fn normalised(&self) -> Usage {
        let (candidates, thoughts) = (self.candidates_token_count.0, self.thoughts_token_count.0);
        let is_output_known = candidates.or(thoughts).is_some();
        Usage {
            input_tokens: self.prompt_token_count.0,
            output_tokens: is_output_known.then(|| candidates.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
            cached_input_tokens: self.cached_content_token_count.0,
            reasoning_tokens: thoughts,
        }
    }
}

/// Reads a generation's stream. Nothing in it says that it is complete but the last chunk's `finishReason`.
#[derive(Debug, Default)]
struct GenerateReader {
    has_served_model: bool,
}

impl Reader for GenerateReader {
    fn read(&mut self, frame: Frame<'_>, on_event: &mut dyn FnMut(Event<'_>)) {
        let chunk: Chunk<'_> = match serde_json::from_slice(frame.data) {
            Ok(chunk) => chunk,
            Err(error) => return on_event(malformed("Gemini", &error)),
        };
        if let Some(error) = chunk.error {
            return on_event(error_in_stream(&serde_json::json!({ "error": error })));
        }
        if let Some(model) = chunk.model_version.as_deref().filter(|_| !self.has_served_model) {
            self.has_served_model = true;
            on_event(Event::ServedModel(model));
        }
        let candidates = chunk.candidates.0;
        if candidates.parts.reasoning_chars > 0 {
            on_event(Event::Reasoning { chars: candidates.parts.reasoning_chars });
        }
        if candidates.parts.answer_chars > 0 {
            on_event(Event::Text { chars: candidates.parts.answer_chars });
        }
        if let Some(usage) = chunk.usage_metadata {
            on_event(Event::Usage(usage.normalised()));
        }
        let blocked = chunk.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_deref());
        if let Some(reason) = blocked.or(candidates.finish_reason.as_deref()) {
            on_event(Event::Finish(reason));
        }
    }
}
