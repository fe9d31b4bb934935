//! Anthropic's messages.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{Answer, Asked, Frame, Problem, Target, Wire, bearer, header, limit_of, prompt_tokens, required_text};
use crate::mock::pacing::Part;

#[derive(Debug)]
pub(super) struct Anthropic;

impl Wire for Anthropic {
    fn asked(&self, _target: &Target, body: &Value) -> Result<Asked, Problem> {
        let model = required_text(body, "model")?.to_owned();
        if !body.get("messages").is_some_and(Value::is_array) {
            return Err(Problem::BadField { field: "messages", expected: "Field required" });
        }
        let limit = limit_of(body.get("max_tokens"))
            .ok_or(Problem::BadField { field: "max_tokens", expected: "Field required" })?;
        Ok(Asked {
            model,
            streams: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
            limit: Some(limit),
            without_reasoning: body.pointer("/thinking/type").and_then(Value::as_str) == Some("disabled"),
            prompt_tokens: prompt_tokens(&[body.get("system"), body.get("messages")]),
            ..Asked::default()
        })
    }

    fn bad_header(&self, headers: &HeaderMap) -> Option<Problem> {
        let missing = Problem::BadField { field: "anthropic-version", expected: "header is required" };
        header(headers, "anthropic-version").is_none().then_some(missing)
    }

    fn key(&self, headers: &HeaderMap, _query: &str) -> Option<String> {
        header(headers, "x-api-key").map(str::to_owned).or_else(|| bearer(headers))
    }

    fn frames(&self, answer: &Answer) -> Vec<Frame> {
        let plan = &answer.plan;
        let mut usage = usage(answer);
        usage["output_tokens"] = 1.into();
        let message = json!({
            "id": message_id(answer), "type": "message", "role": "assistant", "model": answer.served_model, "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage,
        });
        let bare = |at, kind: &str, value: Value| Frame::bare(at, event(kind, value));
        let mut frames = vec![bare(plan.headers_at, "message_start", json!({"message": message}))];
        let mut index = 0;
        let mut open: Option<Part> = None;
        for chunk in &plan.chunks {
            if open != Some(chunk.part) {
                // The first block opens with the message, long before its first text.
                let at = if open.is_none() { plan.headers_at } else { chunk.at };
                if open.is_some() {
                    let signature = json!({"type": "signature_delta", "signature": format!("EqQB{}", answer.id)});
                    frames.push(bare(at, "content_block_delta", json!({"index": index, "delta": signature})));
                    frames.push(bare(at, "content_block_stop", json!({"index": index})));
                    index += 1;
                }
                let block = match chunk.part {
                    Part::Reasoning => json!({"type": "thinking", "thinking": "", "signature": ""}),
                    Part::Answer => json!({"type": "text", "text": ""}),
                };
                frames.push(bare(at, "content_block_start", json!({"index": index, "content_block": block})));
                if open.is_none() {
                    frames.push(bare(at, "ping", json!({})));
                }
                open = Some(chunk.part);
            }
            let text = answer.text(chunk);
            let delta = match chunk.part {
                Part::Reasoning => json!({"type": "thinking_delta", "thinking": text}),
                Part::Answer => json!({"type": "text_delta", "text": text}),
            };
            let delta = event("content_block_delta", json!({"index": index, "delta": delta}));
            frames.push(Frame::of(chunk, delta));
        }
        if open.is_some() {
            frames.push(bare(plan.end_at, "content_block_stop", json!({"index": index})));
        }
        let stop = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
        frames.push(bare(plan.end_at, "message_delta", json!({"delta": stop, "usage": self::usage(answer)})));
        frames.push(bare(plan.end_at, "message_stop", json!({})));
        frames
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut content = Vec::new();
        let thinking = answer.whole_text(Part::Reasoning);
        if !thinking.is_empty() {
            content.push(json!({"type": "thinking", "thinking": thinking, "signature": format!("EqQB{}", answer.id)}));
        }
        let text = answer.whole_text(Part::Answer);
        if !text.is_empty() {
            content.push(json!({"type": "text", "text": text}));
        }
        json!({
            "id": message_id(answer), "type": "message", "role": "assistant", "model": answer.served_model,
            "content": content, "stop_reason": stop_reason(answer), "stop_sequence": null, "usage": usage(answer),
        })
    }

    fn problem(&self, problem: &Problem) -> (u16, Value) {
        let (status, kind, message) = match problem {
            Problem::NotJson(detail) => {
                (400, "invalid_request_error", format!("The request body is not valid JSON: {detail}"))
            }
            Problem::BadField { field, expected } => (400, "invalid_request_error", format!("{field}: {expected}")),
            Problem::Unsupported { field, .. } => {
                (400, "invalid_request_error", format!("{field}: Extra inputs are not permitted"))
            }
            Problem::NoKey => (401, "authentication_error", "x-api-key header is required".to_owned()),
            Problem::WrongKey(_) => (401, "authentication_error", "invalid x-api-key".to_owned()),
            Problem::UnknownModel(model) => (404, "not_found_error", format!("model: {model}")),
            Problem::RateLimited { .. } => (
                429,
                "rate_limit_error",
                "This request would exceed the rate limit for your organization of 50 requests per minute.".to_owned(),
            ),
            Problem::ServerError => (500, "api_error", "Internal server error".to_owned()),
            Problem::Unavailable => (503, "api_error", "Service unavailable".to_owned()),
            Problem::Overloaded => (529, "overloaded_error", "Overloaded".to_owned()),
        };
        let error = json!({"type": kind, "message": message});
        (status, json!({"type": "error", "error": error, "request_id": "req_011CMockMockMockMockMock"}))
    }

    fn error_event(&self) -> String {
        event("error", json!({"error": {"type": "overloaded_error", "message": "Overloaded"}}))
    }

    fn content_type(&self, _asked: &Asked) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn headers(&self, id: &str) -> Vec<(&'static str, String)> {
        vec![("request-id", format!("req_011C{}", id.get(..20).unwrap_or(id)))]
    }
}

/// An event of `kind`, which its data repeats as `type`.
fn event(kind: &str, mut data: Value) -> String {
    data["type"] = kind.into();
    format!("event: {kind}\ndata: {data}\n\n")
}

fn message_id(answer: &Answer) -> String {
    format!("msg_01{}", answer.id_part(0, 22))
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.plan.is_cut_short { "max_tokens" } else { "end_turn" }
}

/// Here `input_tokens` leaves the cached ones out.
fn usage(answer: &Answer) -> Value {
    json!({
        "input_tokens": answer.asked.prompt_tokens - answer.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": answer.plan.output_tokens(),
        "service_tier": "standard",
    })
}
