//! HTTP to events and back, in format 2.0 of API Gateway's HTTP APIs:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>.

use std::collections::BTreeMap;

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use serde_json::{Map, Value, json};

/// Largest body that an HTTP API takes.
const REQUEST_MAX_BYTES: usize = 10 * 1024 * 1024;
/// Largest answer that Lambda hands on, its JSON whole.
const ANSWER_MAX_BYTES: usize = 6 * 1024 * 1024;

/// The event of a request; `None` if its body is too large.
pub(crate) async fn event(request: Request) -> Option<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, REQUEST_MAX_BYTES).await.ok()?;
    let query = parts.uri.query().unwrap_or_default();
    let host = text(&parts.headers, header::HOST.as_str());
    let now = Utc::now();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": parts.uri.path(),
        "rawQueryString": query,
        "headers": headers(&parts),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "stand-in",
            "domainName": host,
            "domainPrefix": host.split('.').next(),
            "http": {
                "method": parts.method.as_str(),
                "path": parts.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": text(&parts.headers, header::USER_AGENT.as_str()),
            },
            "requestId": format!("stand-in-{}", now.timestamp_micros()),
            "routeKey": "$default",
            "stage": "$default",
            "time": now.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.timestamp_millis(),
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<String> = parts.headers.get_all(header::COOKIE).iter().flat_map(cookies).collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(parameters(query));
    }
    if !body.is_empty() {
        let as_text = is_text(&parts.headers).then(|| std::str::from_utf8(&body).ok()).flatten();
        event["isBase64Encoded"] = json!(as_text.is_none());
        event["body"] = json!(as_text.map_or_else(|| BASE64_STANDARD.encode(&body), str::to_owned));
    }
    Some(event)
}

/// Names in lower case, several values with commas; cookies stand elsewhere.
fn headers(parts: &Parts) -> BTreeMap<&str, String> {
    let mut headers = BTreeMap::new();
    for name in parts.headers.keys().filter(|name| **name != header::COOKIE) {
        headers.insert(name.as_str(), text(&parts.headers, name.as_str()));
    }
    headers.entry("content-length").or_insert_with(|| "0".to_owned());
    for (name, value) in [
        ("x-amzn-trace-id", "Root=1-6b05c12f-2f6b1c0e4d5a6b7c8d9e0f1a"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-proto", "http"),
    ] {
        headers.insert(name, value.to_owned());
    }
    headers
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(",")
}

fn cookies(value: &HeaderValue) -> Vec<String> {
    String::from_utf8_lossy(value.as_bytes()).split("; ").map(str::to_owned).collect()
}

/// Decoded; a repeated parameter's values with commas.
fn parameters(query: &str) -> BTreeMap<String, String> {
    let url = reqwest::Url::parse(&format!("http://stand-in/?{query}")).expect("a query that HTTP let through");
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        let entry = parameters.entry(name.into_owned());
        entry.and_modify(|values| *values = format!("{values},{value}")).or_insert_with(|| value.into_owned());
    }
    parameters
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = text(headers, header::CONTENT_TYPE.as_str());
    ["text/", "application/json", "application/javascript", "application/xml"].iter().any(|text| kind.starts_with(text))
}

/// What the client gets of a function's answer; `None` where API Gateway could not take it.
pub(crate) fn response(answer: &Value) -> Option<Response> {
    if answer.to_string().len() > ANSWER_MAX_BYTES {
        return None;
    }
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => BASE64_STANDARD.decode(body).ok()?,
        _ => body.as_bytes().to_vec(),
    };
    let mut response = Response::builder().status(u16::try_from(answer["statusCode"].as_u64()?).ok()?);
    let none = Map::new();
    for (name, value) in answer["headers"].as_object().unwrap_or(&none) {
        let name: HeaderName = name.parse().ok()?;
        // API Gateway's own; of several values of one name the format has room for the last alone.
        if [header::CONNECTION, header::TRANSFER_ENCODING].contains(&name) {
            continue;
        }
        response = response.header(name, value.as_str()?);
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        response = response.header(header::SET_COOKIE, cookie.as_str()?);
    }
    response.body(Body::from(body)).ok()
}
