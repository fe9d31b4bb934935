//! How functions start, and how they don't.

use serde_json::{Value, json};

use crate::support::{
    cloud::{Variables, bucket, environments, mock, quick, scheduled, with},
    lambda::{Function, run_outside_lambda, sample},
    moto,
};

/// Of a function that reads its secrets from moto's Parameter Store and keeps its records in moto's S3.
fn by_reference(mock: &llm_monitor::mock::MockServer, prefix: &str) -> Option<Variables> {
    let server = moto::server();
    let keys = server.access.keys.as_ref()?;
    let endpoint = server.access.endpoint.as_ref()?.to_string();
    let secret = secrecy::ExposeSecret::expose_secret(&keys.secret);
    let mut variables = mock.settings(&environments());
    variables.retain(|(name, _)| !name.ends_with("API_KEY"));
    variables.extend(bucket(endpoint.trim_end_matches('/'), &server.bucket, &keys.id, secret));
    let variables = with(variables, "AWS_ENDPOINT_URL", endpoint.trim_end_matches('/'));
    Some(with(variables, "RECORDS_PREFIX", &format!("{prefix}-{}", std::process::id())))
}

#[tokio::test]
async fn secrets_are_read_by_reference_and_the_cycle_lands_in_an_independent_server() {
    let mock = mock([("gpt-4o-mini", quick()), ("claude-own", quick())]);
    let Some(variables) = by_reference(&mock, "lambda") else { return };
    let variables = with(variables, "PROD_OPENAI_API_KEY_PARAMETER", "/llm-monitor/test/openai");
    let variables =
        with(variables, "DEV_OPENAI_API_KEY_PARAMETER", "/aws/reference/secretsmanager/llm-monitor-test-openai");
    let variables = with(variables, "MODEL_PROVIDERS", "*=openai");
    let function = Function::start("monitor", variables.clone()).await;
    let summary = function.invoke(&scheduled(3)).await.expect("a summary");
    assert_eq!((&summary["succeeded"], &summary["written"]), (&json!(4), &json!(4)), "{summary}");
    let again = Function::start("monitor", variables.clone()).await;
    let summary = again.invoke(&scheduled(3)).await.expect("a summary");
    assert_eq!(summary["already_there"], json!(["dev", "prod"]), "{summary}");

    let api = Function::start("api", with(variables, "API_TOKEN_PARAMETER", "/llm-monitor/test/api-token")).await;
    let mut request = sample("api/http-api-get-latency.json");
    let refused = api.invoke(&request).await.expect("an answer");
    assert_eq!(refused["statusCode"], json!(401), "{refused}");
    request["headers"]["authorization"] = json!("Bearer token-of-the-parameter-store");
    request["rawQueryString"] = json!("environment=prod");
    let answer = api.invoke(&request).await.expect("an answer");
    assert_eq!(answer["statusCode"], json!(200), "{answer}");
    let records: Value = serde_json::from_str(answer["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(records.as_array().map(Vec::len), Some(2), "{records}");
}

#[tokio::test]
async fn a_parameter_that_is_missing_is_named_with_its_variable() {
    let mock = mock([("gpt-4o-mini", quick())]);
    let Some(variables) = by_reference(&mock, "missing") else { return };
    let variables = with(variables, "OPENAI_API_KEY_PARAMETER", "/llm-monitor/test/no-such");
    let variables = with(variables, "PROD_USAGE_TOKEN_PARAMETER", "/llm-monitor/test/api-token");
    let function = Function::start("monitor", variables).await;
    let (_, report) = function.init_error().await;
    let message = report["errorMessage"].as_str().expect("text");
    let expected =
        "OPENAI_API_KEY_PARAMETER=\"/llm-monitor/test/no-such\": expected the name of a parameter that there is in";
    assert!(message.starts_with(expected), "{report}");
    let output = function.ended().await;
    assert_eq!(output.code, Some(1));
    assert!(!output.stderr.contains("token-of-the-parameter-store"), "{}", output.stderr);
}

#[tokio::test]
async fn unusable_settings_are_an_init_error_that_names_each() {
    for name in ["monitor", "api"] {
        let variables = [("ENVIRONMENTS", "dev,dev"), ("LLM_API_TIMEOUT", "soon"), ("API_TOKEN", "geheim\u{7f}")];
        let function = Function::start(name, variables).await;
        let (kind, report) = function.init_error().await;
        assert_eq!((kind.as_str(), &report["errorType"]), ("Runtime.InitError", &json!("Runtime.InitError")));
        let message = report["errorMessage"].as_str().expect("text");
        for variable in ["ENVIRONMENTS=\"dev,dev\"", "LLM_API_TIMEOUT=\"soon\"", "RECORDS_BUCKET is not set"] {
            assert!(message.contains(variable), "{name}: {variable} in {message}");
        }
        let output = function.ended().await;
        assert_eq!(output.code, Some(1), "{}", output.stderr);
        assert!(output.log().iter().any(|line| line["level"] == "ERROR"), "{}", output.stderr);
        assert!(!output.stderr.contains("geheim") && !message.contains("geheim"));
    }
}

#[tokio::test]
async fn a_panic_is_that_events_error_and_the_next_one_is_handled() {
    let function = Function::start("examples/panics", [("RUST_LOG", "info")]).await;
    let error = function.invoke(&json!({"panic": true})).await.expect_err("it panics");
    let message = error["errorMessage"].as_str().unwrap_or_default();
    assert!(message.contains("panicked") && message.contains("as the event says"), "{error}");
    assert_eq!(function.invoke(&json!({})).await, Ok(json!({})));
    let output = function.stop().await;
    let is_panic = |line: &&Value| line["message"].as_str().is_some_and(|message| message.starts_with("panicked at"));
    let line = output.log().iter().find(is_panic).expect("a line, as JSON").clone();
    assert_eq!(line["span"]["request_id"], json!("request-1"), "{line}");
}

#[tokio::test]
async fn outside_of_lambda_it_says_what_it_is() {
    for name in ["monitor", "api"] {
        let output = run_outside_lambda(name).await;
        assert_eq!(output.code, Some(2));
        assert!(output.stderr.contains("cargo lambda watch"), "{}", output.stderr);
    }
}
