//! The HTTP function: events of API Gateway and function URLs.

use serde_json::{Value, json};

use crate::support::{
    cloud::{Variables, mock, quick, variables, with},
    lambda::{Function, sample},
    s3_server::InProcess,
};

/// A server with the records of one cycle, and the variables of an API function over it.
async fn measured() -> (InProcess, Variables) {
    let (mock, server) = (mock([("gpt-4o-mini", quick()), ("gpt-own", quick())]), InProcess::start().await);
    let variables = variables(&mock, &server);
    let monitor = Function::start("monitor", variables.clone()).await;
    monitor.invoke(&json!({})).await.expect("a summary");
    (server, variables)
}

fn body(answer: &Value) -> Value {
    let text = answer["body"].as_str().unwrap_or_else(|| panic!("a text body: {answer}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {answer}"))
}

#[tokio::test]
async fn events_of_every_kind_are_answered_from_what_the_monitor_wrote() {
    let (_server, variables) = measured().await;
    let api = Function::start("api", variables).await;
    for file in [
        "http-api-get-latency",
        "http-api-named-stage-get-latency",
        "function-url-get-latency",
        "http-api-get-latency-with-jwt",
        "http-api-get-latency-with-token",
    ] {
        let answer = api.invoke(&sample(&format!("api/{file}.json"))).await.expect("an answer");
        assert_eq!(
            (&answer["statusCode"], &answer["isBase64Encoded"]),
            (&json!(200), &json!(false)),
            "{file}: {answer}"
        );
        let records = body(&answer);
        let names: Vec<_> = records.as_array().expect("a list").iter().map(|record| &record["environment"]).collect();
        assert!(!names.is_empty() && names.iter().all(|name| *name == "prod"), "{file}: {records}");
    }
    let health = api.invoke(&sample("api/http-api-get-health.json")).await.expect("an answer");
    assert_eq!((&health["statusCode"], &body(&health)["status"]), (&json!(200), &json!("ok")), "{health}");
    let missing = api.invoke(&sample("api/http-api-not-found.json")).await.expect("an answer");
    assert_eq!(missing["statusCode"], json!(404), "{missing}");
    assert!(missing["headers"]["content-type"].as_str().is_some_and(|kind| kind.contains("problem+json")), "{missing}");
}

#[tokio::test]
async fn no_log_line_shows_what_a_client_sent_as_its_token() {
    let (_server, variables) = measured().await;
    let variables = with(with(variables, "API_TOKEN", "geheim"), "RUST_LOG", "trace,lambda_runtime=trace");
    let api = Function::start("api", variables).await;
    let mut request = sample("api/http-api-get-latency-with-token.json");
    request["headers"]["authorization"] = json!("Bearer geheim");
    let answer = api.invoke(&request).await.expect("an answer");
    assert_eq!(answer["statusCode"], json!(200), "{answer}");
    let output = api.stop().await;
    assert!(output.stderr.contains("TRACE"), "{}", output.stderr);
    assert!(!output.stderr.contains("geheim") && !output.stdout.contains("geheim"), "{}", output.stderr);
}

#[tokio::test]
async fn a_parameter_given_twice_and_encoded_characters_arrive_as_they_were_sent() {
    let (_server, variables) = measured().await;
    let api = Function::start("api", variables).await;
    let mut request = sample("api/http-api-get-latency.json");
    request["rawQueryString"] = json!("environment=prod&model=gpt%2Down");
    request["queryStringParameters"] = json!({"environment": "prod", "model": "gpt-own"});
    let answer = api.invoke(&request).await.expect("an answer");
    let records = body(&answer);
    assert_eq!((records.as_array().map(Vec::len), &records[0]["model_name"]), (Some(1), &json!("gpt-own")), "{answer}");
}

#[tokio::test]
async fn a_compressed_answer_is_encoded_for_the_gateway() {
    let (_server, variables) = measured().await;
    let api = Function::start("api", variables).await;
    let mut request = sample("api/http-api-get-models-gzip.json");
    request["headers"]["accept-encoding"] = json!("gzip");
    request["rawPath"] = json!("/openapi.json");
    let answer = api.invoke(&request).await.expect("an answer");
    assert_eq!((&answer["statusCode"], &answer["isBase64Encoded"]), (&json!(200), &json!(true)), "{answer}");
    assert_eq!(answer["headers"]["content-encoding"], "gzip", "{answer}");
    // The first bytes of every gzip stream, in base64.
    assert!(answer["body"].as_str().is_some_and(|body| body.starts_with("H4sI")), "{answer}");
}

#[tokio::test]
async fn records_are_posted_with_the_token_alone_and_bodies_are_decoded() {
    let (_server, variables) = measured().await;
    let variables = with(with(variables, "MULTI_ENV_MODE", "simple"), "ENVIRONMENTS", "dev,test,qa,prod");
    let closed = Function::start("api", variables.clone()).await;
    let refused = closed.invoke(&sample("api/http-api-post-latency.json")).await.expect("an answer");
    assert_eq!(refused["statusCode"], json!(403), "{refused}");

    let open = Function::start("api", with(variables, "API_TOKEN", "geheim")).await;
    for file in ["http-api-post-latency", "http-api-post-latency-base64", "function-url-post-latency"] {
        let mut request = sample(&format!("api/{file}.json"));
        request["headers"]["authorization"] = json!("Bearer geheim");
        let answer = open.invoke(&request).await.expect("an answer");
        assert_eq!(answer["statusCode"], json!(201), "{file}: {answer}");
    }
}

#[tokio::test]
async fn a_bucket_that_is_away_is_a_503_and_no_end() {
    let (_server, variables) = measured().await;
    let api = Function::start("api", with(variables, "RECORDS_BUCKET", "no-such-bucket")).await;
    for _ in 0..2 {
        let answer = api.invoke(&sample("api/http-api-get-latency.json")).await.expect("an answer");
        assert_eq!(answer["statusCode"], json!(503), "{answer}");
    }
}
