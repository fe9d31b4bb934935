use std::collections::BTreeSet;

use serde_json::json;

use super::*;

/// The route table, as `mod.rs` writes it.
const ROUTES: [(&str, &[&str]); 15] = [
    ("/", &["get"]),
    ("/assets/{*path}", &["get"]),
    ("/api/latency", &["get", "post"]),
    ("/api/models", &["get"]),
    ("/api/summary", &["get"]),
    ("/api/series", &["get"]),
    ("/api/compare", &["get"]),
    ("/api/costs", &["get"]),
    ("/api/export", &["get"]),
    ("/metrics", &["get"]),
    ("/badge/{environment}/{*model}", &["get"]),
    ("/docs", &["get"]),
    ("/redoc", &["get"]),
    ("/health", &["get"]),
    ("/openapi.json", &["get"]),
];

async fn document() -> Value {
    let answer = Monitor::with_token("t0ken").get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// Every value below `value`, with the path to it.
fn walk<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(path, value);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(value, &format!("{path}/{name}"), visit);
            }
        }
        Value::Array(items) => {
            for (n, value) in items.iter().enumerate() {
                walk(value, &format!("{path}/{n}"), visit);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_the_document_names_no_other() {
    let document = document().await;
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!("1.2.3")));
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone()))
        })
        .collect();
    let routes = ROUTES
        .iter()
        .flat_map(|(path, methods)| methods.iter().map(|method| (path.replace("{*", "{"), (*method).to_owned())));
    assert_eq!(described, routes.collect());

    let source = include_str!("../mod.rs");
    let in_source: BTreeSet<_> =
        source.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")?.split('"').next()).collect();
    assert_eq!(in_source, ROUTES.iter().map(|(path, _)| *path).collect(), "a route is added here too");

    let monitor = Monitor::new();
    for (path, methods) in ROUTES {
        for method in ["get", "post", "put", "delete", "patch"] {
            let request =
                Request::builder().method(method.to_ascii_uppercase().as_str()).uri(path.replace(['{', '}', '*'], ""));
            let is_allowed = monitor.send(request.body(Body::empty()).unwrap()).await.status != 405;
            assert_eq!(is_allowed, methods.contains(&method), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_parameter_is_in_the_document_with_words() {
    let document = document().await;
    let window = serde_json::to_value(window::WindowParameters::default()).unwrap();
    let group = serde_json::to_value(summary::GroupParameters::default()).unwrap();
    let together =
        |parts: &[&Value]| Value::Object(parts.iter().flat_map(|part| part.as_object().unwrap().clone()).collect());
    for (path, parameters) in [
        ("/api/latency", serde_json::to_value(latency::LatencyParameters::default()).unwrap()),
        ("/api/models", json!({"environment": ""})),
        ("/api/compare", serde_json::to_value(compare::CompareParameters::default()).unwrap()),
        ("/api/costs", serde_json::to_value(costs::CostsParameters::default()).unwrap()),
        ("/api/export", serde_json::to_value(export::ExportParameters::default()).unwrap()),
        ("/api/summary", together(&[&window, &group])),
        (
            "/api/series",
            together(&[&window, &group, &serde_json::to_value(series::SeriesParameters::default()).unwrap()]),
        ),
    ] {
        let described = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        let names: BTreeSet<_> = described.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, parameters.as_object().unwrap().keys().map(String::as_str).collect(), "{path}");
        for parameter in described {
            let is_needed = path == "/api/compare" && (parameter["name"] == "a" || parameter["name"] == "b");
            assert_eq!((&parameter["in"], &parameter["required"]), (&json!("query"), &json!(is_needed)), "{parameter}");
            assert!(parameter["description"].as_str().is_some_and(|words| words.len() > 15), "{parameter}");
        }
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document().await;
    let mut used = BTreeSet::new();
    walk(&document, "", &mut |path, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{path}: {reference}"));
            assert!(document.pointer(pointer).is_some(), "{path} leads to nothing: {reference}");
            used.insert(pointer.rsplit('/').next().unwrap().to_owned());
        }
    });
    let schemas: BTreeSet<_> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(schemas, used);
}

#[tokio::test]
async fn every_answer_and_every_field_is_described() {
    let document = document().await;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{method} {path}");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(
                    answer["description"].as_str().is_some_and(|words| !words.is_empty()),
                    "{method} {path} {status}"
                );
                let is_problem = status.starts_with('4') || status == "503";
                let problem = &answer["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(problem == "#/components/schemas/Problem", is_problem, "{method} {path} {status}: {answer}");
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            assert!(property.to_string().contains("\"description\":\""), "{name}.{field}: {property}");
        }
    }
}

#[tokio::test]
async fn a_record_as_served_and_as_described_have_the_same_fields() {
    let document = document().await;
    let schema = &document["components"]["schemas"]["LatencyRecord"];
    let record = LatencyRecord::from(record("prod", "gpt-4o-mini", seconds_ago(0)));
    let served: BTreeSet<_> = serde_json::to_value(record).unwrap().as_object().unwrap().keys().cloned().collect();
    let described: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    let required: BTreeSet<_> =
        schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
    let example: BTreeSet<_> = schema["example"].as_object().unwrap().keys().cloned().collect();
    let new: BTreeSet<_> =
        document["components"]["schemas"]["NewRecord"]["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!((&described, &required, &example, &new), (&served, &served, &served, &served));
    let nullable = &schema["properties"]["latency_ms"]["type"];
    assert_eq!(nullable, &json!(["number", "null"]));
}
