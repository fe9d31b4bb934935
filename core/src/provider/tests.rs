#![allow(clippy::expect_used)]
use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;

fn access(base_url: &str) -> Access {
    Access {
        base_url: Url::parse(base_url).expect("a URL"),
        api_key: Some(SecretString::from("the-key".to_owned())),
        api_version: None,
    }
}

/// URL, the header with the key, and the body of a request for `model`.
fn request(provider: Provider, base_url: &str, model: &str) -> (String, String, Value) {
    let access = access(base_url);
    let ask = Ask { model, prompt: "Why?", max_output_tokens: 64, access: &access, quirks: Quirks::default() };
    let request = provider.wire().request(&ask).expect("a request");
    let key = request.headers.iter().find(|(_, value)| value.is_sensitive()).expect("a key, marked sensitive");
    let key = format!("{}: {}", key.0, key.1.to_str().expect("text"));
    assert_eq!(request.headers["accept-encoding"], "identity");
    assert_eq!(request.headers["content-type"], "application/json");
    (request.url.to_string(), key, serde_json::from_slice(&request.body).expect("JSON"))
}

#[test]
fn each_provider_is_asked_in_its_own_format() {
    let messages = json!([{"role": "user", "content": "Why?"}]);
    let (url, key, body) = request(Provider::OpenAi, "https://api.openai.com/v1", "gpt-4o-mini");
    assert_eq!(url, "https://api.openai.com/v1/chat/completions");
    assert_eq!(key, "authorization: Bearer the-key");
    let usage = json!({"include_usage": true});
    let expected = json!({"model": "gpt-4o-mini", "messages": messages, "stream": true, "stream_options": usage, "max_tokens": 64});
    assert_eq!(body, expected);

    let (url, key, body) = request(Provider::Azure, "https://me.openai.azure.com", "my o3/eu");
    let path = "openai/deployments/my%20o3%2Feu/chat/completions?api-version=2024-10-21";
    assert_eq!(url, format!("https://me.openai.azure.com/{path}"));
    assert_eq!(key, "api-key: the-key");
    assert_eq!((&body["messages"], &body["stream"]), (&messages, &json!(true)));

    let (url, key, body) = request(Provider::Anthropic, "https://api.anthropic.com", "claude-sonnet-4-5");
    assert_eq!(url, "https://api.anthropic.com/v1/messages");
    assert_eq!(key, "x-api-key: the-key");
    assert_eq!(body, json!({"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": messages, "stream": true}));

    let (url, key, body) = request(Provider::Gemini, "https://generativelanguage.googleapis.com", "gemini-2.5-flash");
    let path = "v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    assert_eq!(url, format!("https://generativelanguage.googleapis.com/{path}"));
    assert_eq!(key, "x-goog-api-key: the-key");
    let contents = json!([{"role": "user", "parts": [{"text": "Why?"}]}]);
    assert_eq!(body, json!({"contents": contents, "generationConfig": {"maxOutputTokens": 64}}));

    let (url, _, body) = request(Provider::Ollama, "http://localhost:11434", "llama3");
    assert_eq!(url, "http://localhost:11434/api/chat");
    let options = json!({"num_predict": 64});
    assert_eq!(body, json!({"model": "llama3", "messages": messages, "stream": true, "options": options}));
}

#[test]
fn a_model_s_name_cannot_leave_its_place_in_the_path() {
    for provider in [Provider::Azure, Provider::Gemini] {
        let (url, _, _) = request(provider, "https://llm.example", "../../admin?x=1#y");
        let url = Url::parse(&url).expect("a URL");
        assert!(url.path().contains("/..%2F..%2Fadmin%3Fx=1%23y"), "{url}");
        assert!(url.path().starts_with("/openai/deployments/") || url.path().starts_with("/v1beta/models/"), "{url}");
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_refused() {
    let mut access = access("https://llm.example/v1");
    access.api_key = Some(SecretString::from("line\nbreak".to_owned()));
    let ask = Ask { model: "m", prompt: "p", max_output_tokens: 1, access: &access, quirks: Quirks::default() };
    for provider in Provider::ALL {
        assert_eq!(provider.wire().request(&ask).err(), Some(Unsendable::ApiKey), "{provider}");
    }
}

#[test]
fn every_provider_is_found_by_its_name() {
    for provider in Provider::ALL {
        assert_eq!(provider.as_str().parse(), Ok(provider));
    }
    assert_eq!("bedrock".parse::<Provider>(), Err(UnknownProvider));
    assert_eq!(UnknownProvider.to_string(), "a provider is one of openai, azure, anthropic, gemini, ollama");
}

#[test]
fn no_secret_shows_in_debug() {
    let mut access = access("https://user:pa55@llm.example:8443/v1?token=t0ken");
    access.api_key = Some(SecretString::from("sk-secret".to_owned()));
    let ask = Ask { model: "m", prompt: "p", max_output_tokens: 1, access: &access, quirks: Quirks::default() };
    for provider in Provider::ALL {
        let request = provider.wire().request(&ask).expect("a request");
        let shown = format!("{access:?} {request:?} {ask:?}");
        for secret in ["pa55", "t0ken", "sk-secret"] {
            assert!(!shown.contains(secret), "{provider}: {shown}");
        }
        assert!(shown.contains("llm.example:8443"), "{shown}");
    }
}
