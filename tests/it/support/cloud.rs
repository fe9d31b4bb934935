//! Settings of functions whose records lie in a bucket, and the bucket's rows.

use std::sync::LazyLock;

use llm_monitor::mock::{Behaviour, Mock, MockConfig, MockServer};
use llm_monitor_core::{provider::Provider, record::Environment};
use serde_json::{Value, json};

use super::s3_server::{BUCKET, InProcess, KEY_ID, SECRET};

/// Variables of a function.
pub(crate) type Variables = Vec<(String, String)>;

/// Two environments.
pub(crate) fn environments() -> [Environment; 2] {
    ["dev", "prod"].map(|name| name.parse().expect("a name"))
}

/// Answers at once.
pub(crate) fn quick() -> Behaviour {
    Behaviour { ttft_ms: 1.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() }
}

/// A mock of these models, on a free port.
pub(crate) fn mock(models: impl IntoIterator<Item = (&'static str, Behaviour)>) -> MockServer {
    let models = models.into_iter().map(|(name, behaviour)| (name, Provider::OpenAi, behaviour));
    let mut config = MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) };
    for model in config.models.values_mut() {
        (model.input_usd_per_token, model.output_usd_per_token) = (1e-6, 2e-6);
    }
    Mock::start(config).expect("a mock")
}

/// Of a function that finds `mock` outside and keeps its records in `server`.
pub(crate) fn variables(mock: &MockServer, server: &InProcess) -> Variables {
    let mut variables = mock.settings(&environments());
    variables.extend(bucket(&format!("http://{}", server.address), BUCKET, KEY_ID, SECRET));
    variables
}

/// Of a function whose bucket is there.
pub(crate) fn bucket(endpoint: &str, bucket: &str, key_id: &str, secret: &str) -> Variables {
    let pairs = [
        ("RECORDS_BUCKET", bucket),
        ("AWS_ENDPOINT_URL_S3", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("PROBE_LOCATION", "here"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// `variables` with one more.
pub(crate) fn with(mut variables: Variables, name: &str, value: &str) -> Variables {
    variables.retain(|(other, _)| other != name);
    variables.push((name.to_owned(), value.to_owned()));
    variables
}

/// The Scheduler's event of `minutes` after the hour began in which the tests started.
pub(crate) fn scheduled(minutes: u32) -> Value {
    // The same hour to the end of the tests.
    static HOUR: LazyLock<String> = LazyLock::new(|| chrono::Utc::now().format("%Y-%m-%dT%H").to_string());
    json!({"time": format!("{}:{minutes:02}:00Z", *HOUR), "shard": 0, "shards": 1})
}

/// Every row of the environment's objects, each a map from column to field.
pub(crate) fn rows(server: &InProcess, environment: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let folder = format!("records/environment={environment}/");
    let keys = server
        .keys()
        .into_iter()
        .filter(|key| key.starts_with(&folder) && key.rsplit_once('.').is_some_and(|(_, ending)| ending == "csv"));
    keys.flat_map(|key| {
        let text = std::fs::read_to_string(server.bucket().join(key)).expect("CSV");
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        reader.deserialize().map(|row| row.expect("a row")).collect::<Vec<_>>()
    })
    .collect()
}
