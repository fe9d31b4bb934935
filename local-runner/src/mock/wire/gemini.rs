//! Google's `generateContent` and `streamGenerateContent`.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{Answer, Asked, Frame, Problem, Target, Wire, header, limit_of, prompt_tokens, query_value};
use crate::mock::pacing::Part;

#[derive(Debug)]
pub(super) struct Gemini;

impl Wire for Gemini {
    fn asked(&self, target: &Target, body: &Value) -> Result<Asked, Problem> {
        let call = target.model.as_deref().unwrap_or_default();
        let (model, streams) = match call.rsplit_once(':') {
            Some((model, "streamGenerateContent")) => (model, true),
            Some((model, "generateContent")) => (model, false),
            _ => return Err(Problem::UnknownModel(call.to_owned())),
        };
        if !body.get("contents").is_some_and(Value::is_array) {
            return Err(Problem::BadField { field: "contents", expected: "contents is not specified" });
        }
        let thinking = |field: &str| body.pointer(&format!("/generationConfig/thinkingConfig/{field}"));
        Ok(Asked {
            model: model.to_owned(),
            streams,
            limit: limit_of(body.pointer("/generationConfig/maxOutputTokens")),
            without_reasoning: thinking("thinkingBudget").and_then(Value::as_u64) == Some(0),
            shows_reasoning: thinking("includeThoughts").and_then(Value::as_bool) == Some(true),
            as_events: target.query_value("alt").as_deref() == Some("sse"),
            prompt_tokens: prompt_tokens(&[body.get("systemInstruction"), body.get("contents")]),
            ..Asked::default()
        })
    }

    fn hides_reasoning(&self, asked: &Asked) -> bool {
        !asked.shows_reasoning
    }

    fn key(&self, headers: &HeaderMap, query: &str) -> Option<String> {
        header(headers, "x-goog-api-key").map(str::to_owned).or_else(|| query_value(query, "key"))
    }

    fn frames(&self, answer: &Answer) -> Vec<Frame> {
        let plan = &answer.plan;
        let mut frames = Vec::with_capacity(plan.chunks.len() + 1);
        let mut answered = 0;
        for (position, chunk) in plan.chunks.iter().enumerate() {
            let mut part = json!({"text": answer.text(chunk)});
            match chunk.part {
                Part::Reasoning => part["thought"] = true.into(),
                Part::Answer => answered += chunk.tokens,
            }
            let is_last = position + 1 == plan.chunks.len();
            let value = response(answer, &json!([part]), answered, is_last);
            frames.push(Frame::of(chunk, value.to_string()));
        }
        if frames.is_empty() {
            frames.push(Frame::bare(plan.end_at, response(answer, &Value::Null, 0, true).to_string()));
        }
        let last = frames.len() - 1;
        for (position, frame) in frames.iter_mut().enumerate() {
            frame.bytes = if answer.asked.as_events {
                format!("data: {}\r\n\r\n", frame.bytes)
            } else {
                let open = if position == 0 { "[" } else { "" };
                let close = if position == last { "]\n" } else { "\n,\r\n" };
                format!("{open}{}{close}", frame.bytes)
            };
        }
        frames
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut parts = Vec::new();
        let thoughts = answer.whole_text(Part::Reasoning);
        if !thoughts.is_empty() {
            parts.push(json!({"text": thoughts, "thought": true}));
        }
        let text = answer.whole_text(Part::Answer);
        if !text.is_empty() {
            parts.push(json!({"text": text}));
        }
        let parts = if parts.is_empty() { Value::Null } else { Value::Array(parts) };
        response(answer, &parts, answer.plan.answer_tokens, true)
    }

    fn problem(&self, problem: &Problem) -> (u16, Value) {
        let invalid_key = "API key not valid. Please pass a valid API key.";
        let (code, status, message) = match problem {
            Problem::NotJson(detail) => {
                (400, "INVALID_ARGUMENT", format!("Invalid JSON payload received. {detail}"))
            }
            Problem::BadField { field, expected } => {
                (400, "INVALID_ARGUMENT", format!("* GenerateContentRequest.{field}: {expected}\n"))
            }
            Problem::Unsupported { field, .. } => {
                (400, "INVALID_ARGUMENT", format!("Invalid JSON payload received. Unknown name \"{field}\""))
            }
            Problem::NoKey => (
                403,
                "PERMISSION_DENIED",
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or \
                 other form of API consumer identity to call this API."
                    .to_owned(),
            ),
            // Google says 400 where the others say 401.
            Problem::WrongKey(_) => (400, "INVALID_ARGUMENT", invalid_key.to_owned()),
            Problem::UnknownModel(model) => (
                404,
                "NOT_FOUND",
                format!(
                    "models/{model} is not found for API version v1beta, or is not supported for generateContent. Call \
                     ListModels to see the list of available models and their supported methods."
                ),
            ),
            Problem::RateLimited { .. } => (
                429,
                "RESOURCE_EXHAUSTED",
                "You exceeded your current quota, please check your plan and billing details.".to_owned(),
            ),
            Problem::ServerError => (500, "INTERNAL", "An internal error has occurred. Please retry.".to_owned()),
            Problem::Unavailable => (503, "UNAVAILABLE", "The service is currently unavailable.".to_owned()),
            Problem::Overloaded => (503, "UNAVAILABLE", OVERLOADED.to_owned()),
        };
        let mut error = json!({"code": code, "message": message, "status": status});
        match problem {
            Problem::WrongKey(_) => {
                error["details"] = json!([
                    {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
                     "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}},
                    {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": invalid_key},
                ]);
            }
            Problem::RateLimited { retry_after_s, .. } => {
                error["details"] = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": format!("{retry_after_s}s")}]);
            }
            _ => {}
        }
        (code, json!({"error": error}))
    }

    fn error_event(&self) -> String {
        let error = json!({"error": {"code": 503, "message": OVERLOADED, "status": "UNAVAILABLE"}});
        format!("data: {error}\r\n\r\n")
    }

    fn content_type(&self, asked: &Asked) -> &'static str {
        if asked.as_events { "text/event-stream" } else { "application/json; charset=UTF-8" }
    }
}

const OVERLOADED: &str = "The model is overloaded. Please try again later.";

/// One `GenerateContentResponse`, after `answered` tokens of the answer; `parts` null for none.
fn response(answer: &Answer, parts: &Value, answered: u32, is_last: bool) -> Value {
    let mut candidate = json!({"content": {"role": "model"}, "index": 0});
    if !parts.is_null() {
        candidate["content"]["parts"] = parts.clone();
    }
    if is_last {
        candidate["finishReason"] = if answer.plan.is_cut_short { "MAX_TOKENS" } else { "STOP" }.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": usage(answer, answered),
        "modelVersion": answer.served_model,
        "responseId": answer.id_part(0, 22),
    })
}

/// Here the candidates' tokens leave the thoughts out, and a zero is left out altogether.
fn usage(answer: &Answer, answered: u32) -> Value {
    let prompt = answer.asked.prompt_tokens;
    let thoughts = answer.plan.reasoning_tokens;
    let mut usage = json!({
        "promptTokenCount": prompt,
        "totalTokenCount": prompt + u64::from(answered + thoughts),
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    });
    if answered > 0 {
        usage["candidatesTokenCount"] = answered.into();
    }
    if thoughts > 0 {
        usage["thoughtsTokenCount"] = thoughts.into();
    }
    if answer.cached_tokens > 0 {
        usage["cachedContentTokenCount"] = answer.cached_tokens.into();
    }
    usage
}
