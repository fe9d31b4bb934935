//! Ollama's `/api/chat`: one JSON object a line.

use std::time::Duration;

use axum::http::HeaderMap;
use chrono::{SecondsFormat, TimeDelta};
use serde_json::{Value, json};

use super::{Answer, Asked, Frame, Problem, Target, Wire, bearer, limit_of, prompt_tokens, required_text};
use crate::mock::pacing::Part;

#[derive(Debug)]
pub(super) struct Ollama;

impl Wire for Ollama {
    fn asked(&self, _target: &Target, body: &Value) -> Result<Asked, Problem> {
        Ok(Asked {
            model: required_text(body, "model")?.to_owned(),
            // Unlike the others, it streams unless told not to.
            streams: body.get("stream").and_then(Value::as_bool).unwrap_or(true),
            limit: limit_of(body.pointer("/options/num_predict")),
            without_reasoning: body.get("think") == Some(&Value::Bool(false)),
            prompt_tokens: prompt_tokens(&[body.get("messages")]),
            ..Asked::default()
        })
    }

    fn key(&self, headers: &HeaderMap, _query: &str) -> Option<String> {
        bearer(headers)
    }

    fn frames(&self, answer: &Answer) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::with_capacity(answer.plan.chunks.len() + 1);
        for chunk in &answer.plan.chunks {
            let text = answer.text(chunk);
            let message = match chunk.part {
                Part::Reasoning => json!({"role": "assistant", "content": "", "thinking": text}),
                Part::Answer => json!({"role": "assistant", "content": text}),
            };
            let line = json!({
                "model": answer.asked.model, "created_at": instant(answer, chunk.at), "message": message, "done": false,
            });
            frames.push(Frame::of(chunk, format!("{line}\n")));
        }
        let last = finished(answer, &json!({"role": "assistant", "content": ""}));
        frames.push(Frame::bare(answer.plan.end_at, format!("{last}\n")));
        frames
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut message = json!({"role": "assistant", "content": answer.whole_text(Part::Answer)});
        let thinking = answer.whole_text(Part::Reasoning);
        if !thinking.is_empty() {
            message["thinking"] = thinking.into();
        }
        finished(answer, &message)
    }

    fn problem(&self, problem: &Problem) -> (u16, Value) {
        let (status, message) = match problem {
            Problem::NotJson(detail) => (400, detail.clone()),
            Problem::BadField { field, .. } => (400, format!("{field} is required")),
            Problem::Unsupported { field, .. } => (400, format!("invalid option provided: {field}")),
            Problem::NoKey | Problem::WrongKey(_) => (401, "unauthorized".to_owned()),
            Problem::UnknownModel(model) => (404, format!("model '{model}' not found")),
            Problem::RateLimited { .. } => {
                (429, "you have reached your usage limit, please try again later".to_owned())
            }
            Problem::ServerError => (500, "llama runner process has terminated: exit status 2".to_owned()),
            Problem::Unavailable | Problem::Overloaded => {
                (503, "server busy, please try again.  maximum pending requests exceeded".to_owned())
            }
        };
        (status, json!({"error": message}))
    }

    fn error_event(&self) -> String {
        let error = json!({"error": "an error was encountered while running the model: unexpected EOF"});
        format!("{error}\n")
    }

    fn content_type(&self, _asked: &Asked) -> &'static str {
        "application/x-ndjson"
    }
}

/// The last line, which carries the counters; durations are in nanoseconds.
fn finished(answer: &Answer, message: &Value) -> Value {
    let plan = &answer.plan;
    // A warm model still takes a moment to be found.
    let load = plan.load.max(Duration::from_millis(18));
    let prompt = plan.first_text_at().saturating_sub(plan.load);
    json!({
        "model": answer.asked.model,
        "created_at": instant(answer, plan.end_at),
        "message": message,
        "done_reason": if plan.is_cut_short { "length" } else { "stop" },
        "done": true,
        "total_duration": nanoseconds(plan.end_at.max(load)),
        "load_duration": nanoseconds(load),
        "prompt_eval_count": answer.asked.prompt_tokens,
        "prompt_eval_duration": nanoseconds(prompt),
        "eval_count": plan.output_tokens(),
        "eval_duration": nanoseconds(plan.end_at.saturating_sub(plan.first_text_at())),
    })
}

fn instant(answer: &Answer, after: Duration) -> String {
    let at = answer.received + TimeDelta::from_std(after).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
