//! OpenAI's chat completions, and Azure's dialect of them.

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::{
    Answer, Asked, Frame, Problem, Target, Wire, bearer, header, limit_of, masked, prompt_tokens, required_text,
};
use crate::mock::{behaviour::Behaviour, pacing::Part};

#[derive(Debug)]
pub(super) struct OpenAi {
    pub is_azure: bool,
}

impl Wire for OpenAi {
    fn asked(&self, target: &Target, body: &Value) -> Result<Asked, Problem> {
        if self.is_azure && target.query_value("api-version").is_none() {
            return Err(Problem::BadField { field: "api-version", expected: "a version" });
        }
        let model = match &target.model {
            Some(deployment) if self.is_azure => deployment.clone(),
            _ => required_text(body, "model")?.to_owned(),
        };
        if !body.get("messages").is_some_and(Value::is_array) {
            return Err(Problem::BadField { field: "messages", expected: "an array" });
        }
        Ok(Asked {
            model,
            streams: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
            limit: limit_of(body.get("max_completion_tokens").or_else(|| body.get("max_tokens"))),
            includes_usage: body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false),
            prompt_tokens: prompt_tokens(&[body.get("messages")]),
            ..Asked::default()
        })
    }

    fn refuses(&self, asked: &Asked, behaviour: &Behaviour, body: &Value) -> Option<Problem> {
        let has = |field| body.get(field).is_some_and(|value| !value.is_null());
        if behaviour.refuse_stream_options && has("stream_options") {
            return Some(Problem::Unsupported { field: "stream_options", instead: None });
        }
        if !wants_completion_tokens(&asked.model) {
            return None;
        }
        if has("max_tokens") {
            return Some(Problem::Unsupported { field: "max_tokens", instead: Some("max_completion_tokens") });
        }
        let temperature = body.get("temperature").and_then(Value::as_f64);
        temperature
            .is_some_and(|value| (value - 1.0).abs() > f64::EPSILON)
            .then_some(Problem::Unsupported { field: "temperature", instead: None })
    }

    fn key(&self, headers: &HeaderMap, _query: &str) -> Option<String> {
        if self.is_azure { header(headers, "api-key").map(str::to_owned) } else { bearer(headers) }
    }

    fn frames(&self, answer: &Answer) -> Vec<Frame> {
        let plan = &answer.plan;
        let mut frames = Vec::with_capacity(plan.chunks.len() + 5);
        if self.is_azure {
            frames.push(Frame::bare(plan.headers_at, event(&prompt_filter_results(answer))));
        }
        let mut opening = json!({"role": "assistant", "content": ""});
        if !self.is_azure {
            opening["refusal"] = Value::Null;
        }
        frames.push(Frame::bare(plan.headers_at, self.chunk(answer, &opening, None)));
        for chunk in &plan.chunks {
            let field = if chunk.part == Part::Answer { "content" } else { "reasoning_content" };
            let delta = json!({field: answer.text(chunk)});
            frames.push(Frame::of(chunk, self.chunk(answer, &delta, None)));
        }
        frames.push(Frame::bare(plan.end_at, self.chunk(answer, &json!({}), Some(finish_reason(answer)))));
        if answer.asked.includes_usage {
            let mut last = envelope(answer, "chat.completion.chunk");
            last.insert("choices".to_owned(), json!([]));
            last.insert("usage".to_owned(), usage(answer));
            frames.push(Frame::bare(plan.end_at, event(&Value::Object(last))));
        }
        frames.push(Frame::bare(plan.end_at, "data: [DONE]\n\n".to_owned()));
        frames
    }

    fn whole(&self, answer: &Answer) -> Value {
        let mut message = json!({"role": "assistant", "content": answer.whole_text(Part::Answer), "refusal": null, "annotations": []});
        let reasoning = answer.whole_text(Part::Reasoning);
        if !reasoning.is_empty() {
            message["reasoning_content"] = reasoning.into();
        }
        let mut whole = envelope(answer, "chat.completion");
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(answer)});
        whole.insert("choices".to_owned(), json!([choice]));
        whole.insert("usage".to_owned(), usage(answer));
        Value::Object(whole)
    }

    fn problem(&self, problem: &Problem) -> (u16, Value) {
        if self.is_azure
            && let Some(reply) = azure_problem(problem)
        {
            return reply;
        }
        let invalid = "invalid_request_error";
        match problem {
            Problem::NotJson(detail) => {
                let message = format!("We could not parse the JSON body of your request. ({detail})");
                error(400, &message, invalid, None, None)
            }
            Problem::BadField { field, expected } => {
                let message = format!("Missing or invalid parameter: '{field}' must be {expected}.");
                error(400, &message, invalid, Some(field), Some("missing_required_parameter"))
            }
            Problem::Unsupported { field: "stream_options", .. } => {
                error(400, "Unrecognized request argument supplied: stream_options", invalid, None, None)
            }
            Problem::Unsupported { field, instead: Some(instead) } => {
                let message = format!(
                    "Unsupported parameter: '{field}' is not supported with this model. Use '{instead}' instead."
                );
                error(400, &message, invalid, Some(field), Some("unsupported_parameter"))
            }
            Problem::Unsupported { field, instead: None } => {
                let message = format!(
                    "Unsupported value: '{field}' does not support this value with this model. Only the default (1) value is \
                     supported."
                );
                error(400, &message, invalid, Some(field), Some("unsupported_value"))
            }
            Problem::NoKey => {
                let message = "You didn't provide an API key. You need to provide your API key in an Authorization header \
                               using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
                error(401, message, invalid, None, None)
            }
            Problem::WrongKey(key) => {
                let message = format!(
                    "Incorrect API key provided: {}. You can find your API key at \
                     https://platform.openai.com/account/api-keys.",
                    masked(key)
                );
                error(401, &message, invalid, None, Some("invalid_api_key"))
            }
            Problem::UnknownModel(model) => {
                let message = format!("The model `{model}` does not exist or you do not have access to it.");
                error(404, &message, invalid, None, Some("model_not_found"))
            }
            Problem::RateLimited { model, retry_after_s } => {
                let message = format!(
                    "Rate limit reached for {model} in organization org-mock on requests per min (RPM): Limit 500, Used 500, \
                     Requested 1. Please try again in {retry_after_s}s."
                );
                error(429, &message, "requests", None, Some("rate_limit_exceeded"))
            }
            Problem::ServerError => error(500, SERVER_ERROR, "server_error", None, None),
            Problem::Unavailable | Problem::Overloaded => {
                error(503, "The engine is currently overloaded, please try again later", "server_error", None, None)
            }
        }
    }

    fn error_event(&self) -> String {
        event(&json!({"error": {"message": SERVER_ERROR, "type": "server_error", "param": null, "code": null}}))
    }

    fn content_type(&self, _asked: &Asked) -> &'static str {
        "text/event-stream; charset=utf-8"
    }

    fn headers(&self, id: &str) -> Vec<(&'static str, String)> {
        vec![("x-request-id", format!("req_{}", id.to_ascii_lowercase()))]
    }
}

impl OpenAi {
    fn chunk(&self, answer: &Answer, delta: &Value, finish_reason: Option<&str>) -> String {
        let mut chunk = envelope(answer, "chat.completion.chunk");
        let mut choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason});
        if self.is_azure {
            choice["content_filter_results"] = json!({});
        } else {
            chunk.insert("obfuscation".to_owned(), answer.id_part(0, 9).into());
        }
        chunk.insert("choices".to_owned(), json!([choice]));
        if answer.asked.includes_usage {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        event(&Value::Object(chunk))
    }
}

const SERVER_ERROR: &str = "The server had an error while processing your request. Sorry about that!";

/// Azure's own bodies, where they differ from OpenAI's.
fn azure_problem(problem: &Problem) -> Option<(u16, Value)> {
    let (status, code, message) = match problem {
        Problem::NoKey | Problem::WrongKey(_) => (
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an \
             active subscription and use a correct regional API endpoint for your resource."
                .to_owned(),
        ),
        Problem::UnknownModel(_) => (
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, \
             please wait a moment and try again."
                .to_owned(),
        ),
        Problem::BadField { field: "api-version", .. } => (404, "404", "Resource not found".to_owned()),
        Problem::RateLimited { retry_after_s, .. } => (
            429,
            "429",
            format!(
                "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded call rate limit of your \
                 current OpenAI S0 pricing tier. Please retry after {retry_after_s} seconds."
            ),
        ),
        _ => return None,
    };
    Some((status, json!({"error": {"code": code, "message": message}})))
}

/// The reasoning families, which refuse `max_tokens` and a temperature.
fn wants_completion_tokens(model: &str) -> bool {
    let is_o_series = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_o_series || model.starts_with("gpt-5")
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

fn envelope(answer: &Answer, object: &str) -> Map<String, Value> {
    let envelope = json!({
        "id": format!("chatcmpl-{}", answer.id_part(0, 29)),
        "object": object,
        "created": answer.received.timestamp(),
        "model": answer.served_model,
        "service_tier": "default",
        "system_fingerprint": format!("fp_{:.10}", fingerprint(&answer.served_model)),
    });
    match envelope {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// The same for every answer of a model, as the real one is between deployments.
fn fingerprint(model: &str) -> String {
    crate::mock::chance::hex(&mut crate::mock::chance::seeded(0, &["fingerprint", model]), 10)
}

fn finish_reason(answer: &Answer) -> &'static str {
    if answer.plan.is_cut_short { "length" } else { "stop" }
}

fn usage(answer: &Answer) -> Value {
    let (prompt, output) = (answer.asked.prompt_tokens, u64::from(answer.plan.output_tokens()));
    json!({
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": answer.plan.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Azure's first chunk: no choices, only what its filter thinks of the prompt.
fn prompt_filter_results(answer: &Answer) -> Value {
    let safe = json!({"filtered": false, "severity": "safe"});
    let filters = json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe});
    json!({
        "id": "", "object": "", "created": 0, "model": answer.served_model, "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filters}],
    })
}

fn error(status: u16, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> (u16, Value) {
    (status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
}
