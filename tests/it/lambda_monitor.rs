//! The monitor function: a scheduled event goes in, CSV objects come out.

use std::{collections::BTreeSet, time::Duration};

use llm_monitor::mock::Behaviour;
use serde_json::{Value, json};

use crate::support::{
    cloud::{environments, mock, quick, rows, scheduled, variables, with},
    lambda::{Function, sample},
    s3_faults::{Fault, Faults},
    s3_server::{InProcess, SECRET},
};

#[tokio::test]
async fn every_event_is_a_cycle_and_the_same_event_again_adds_nothing() {
    let (mock, server) = (mock([("gpt-4o-mini", quick()), ("gpt-own", quick())]), InProcess::start().await);
    let function = Function::start("monitor", variables(&mock, &server)).await;
    let answered = || mock.requests().len();

    let summary = function.invoke(&scheduled(1)).await.expect("a summary");
    assert_eq!((&summary["probes"], &summary["succeeded"], &summary["written"]), (&json!(4), &json!(4), &json!(4)));
    assert_eq!(rows(&server, "prod").len(), 2);
    let cost = summary["cost_usd"].as_f64().expect("a number");
    assert!(cost > 0.0, "{summary}");

    let summary = function.invoke(&scheduled(2)).await.expect("a summary");
    assert_eq!(summary["written"], json!(4), "on a warm process: {summary}");
    assert_eq!(rows(&server, "prod").len(), 4);
    let objects = server.keys().into_iter().filter(|key| key.starts_with("records/environment=prod/")).count();
    assert_eq!(objects, 1, "all of an hour's cycles share an object: {:?}", server.keys());

    let sent = answered();
    let summary = function.invoke(&scheduled(2)).await.expect("a summary");
    assert_eq!((&summary["written"], summary["probes"].as_u64()), (&json!(0), Some(4)), "{summary}");
    assert_eq!(answered(), sent, "what is written already is not measured again");
    function.stop().await;

    let another = Function::start("monitor", variables(&mock, &server)).await;
    let summary = another.invoke(&scheduled(2)).await.expect("a summary");
    assert_eq!((&summary["written"], &summary["already_there"]), (&json!(0), &json!(["dev", "prod"])), "{summary}");
    assert_eq!(rows(&server, "prod").len(), 4);
    assert_eq!(rows(&server, "dev").len(), 4);
}

#[tokio::test]
async fn events_of_every_kind_run_the_cycle_of_their_time() {
    let (mock, server) = (mock([("gpt-4o-mini", quick())]), InProcess::start().await);
    for (file, location) in [("scheduler", "a"), ("eventbridge-rule", "b"), ("unknown-fields", "c")] {
        let function = Function::start("monitor", with(variables(&mock, &server), "PROBE_LOCATION", location)).await;
        let summary = function.invoke(&sample(&format!("monitor/{file}.json"))).await.expect("a summary");
        assert_eq!((&summary["cycle_id"], &summary["written"]), (&json!("20261124T165400Z"), &json!(2)), "{file}");
    }
    let function = Function::start("monitor", variables(&mock, &server)).await;
    let summary = function.invoke(&sample("monitor/empty.json")).await.expect("a summary");
    let day = chrono::Utc::now().format("%Y").to_string();
    assert!(summary["cycle_id"].as_str().is_some_and(|id| id.starts_with(&day)), "{summary}");
}

#[tokio::test]
async fn an_unusable_event_is_a_clear_error_and_the_next_one_is_handled() {
    let (mock, server) = (mock([("gpt-4o-mini", quick())]), InProcess::start().await);
    let function = Function::start("monitor", variables(&mock, &server)).await;
    for (file, field) in [
        ("wrong-not-an-object", "event: (whole): expected a JSON object"),
        ("wrong-shard-number", "event: shard: expected a whole number, 0 to 1"),
        ("wrong-shard-type", "event: shard: expected a whole number"),
        ("wrong-time-text", "event: time: expected a time like 2026-11-24T16:54:00Z, found \"five to five\""),
        ("wrong-time-type", "event: time: expected a time"),
    ] {
        let error = function.invoke(&sample(&format!("monitor/{file}.json"))).await.expect_err("an error");
        let message = error["errorMessage"].as_str().unwrap_or_default();
        assert!(message.contains(field) && error["errorType"] == "EventError", "{file}: {error}");
    }
    assert!(mock.requests().is_empty(), "no probe is sent");
    function.invoke(&scheduled(1)).await.expect("a summary");
}

#[tokio::test]
async fn probing_stops_in_time_to_write_before_the_deadline() {
    let slow = Behaviour { ttft_ms: 1.0, pace_ms: 2_000.0, output_tokens: 100, ..Behaviour::default() };
    let (mock, server) = (mock([("gpt-slow", slow), ("gpt-own", quick())]), InProcess::start().await);
    let function = Function::start("monitor", variables(&mock, &server)).await;
    let summary = function.invoke_within(&scheduled(1), Duration::from_secs(6)).await.expect("a summary");
    assert_eq!((&summary["written"], &summary["failures"]), (&json!(4), &json!({"timeout": 2})), "{summary}");
    let rows = rows(&server, "prod");
    let cut = rows.iter().find(|row| row["model_name"] == "gpt-slow").expect("a row");
    assert_eq!(cut["error_kind"], "timeout");
    assert!(cut["error_message"].starts_with("cut off: the cycle's time was over"), "{cut:?}");
    assert!(!cut["ttft_ms"].is_empty(), "with what it had: {cut:?}");
    let done = rows.iter().find(|row| row["model_name"] == "gpt-own").expect("a row");
    assert_eq!(done["status"], "success");
}

#[tokio::test]
async fn shards_share_the_pairs_and_write_objects_of_their_own() {
    let models = ["gpt-a", "gpt-b", "gpt-c", "gpt-d", "gpt-e"];
    let (mock, server) = (mock(models.map(|name| (name, quick()))), InProcess::start().await);
    let function = Function::start("monitor", variables(&mock, &server)).await;
    let mut probes = 0;
    for shard in 0..2 {
        let mut event = scheduled(1);
        (event["shard"], event["shards"]) = (json!(shard), json!(2));
        let summary = function.invoke(&event).await.expect("a summary");
        let of_shard = summary["probes"].as_u64().expect("a number");
        assert!(of_shard < 10, "{summary}");
        assert_eq!(summary["written"].as_u64(), Some(of_shard), "{summary}");
        probes += of_shard;
    }
    assert_eq!(probes, 10);
    for environment in environments() {
        let rows = rows(&server, environment.as_str());
        let names: BTreeSet<&str> = rows.iter().map(|row| row["model_name"].as_str()).collect();
        assert_eq!((rows.len(), names), (5, BTreeSet::from(models)), "{environment}");
        assert_eq!(mock.answered(&environment, "gpt-a"), 1);
    }
    let writers: BTreeSet<String> = server
        .keys()
        .iter()
        .filter(|key| key.starts_with("records/"))
        .filter_map(|key| key.rsplit('/').next().map(str::to_owned))
        .collect();
    assert_eq!(writers, ["monitor-here-shard0.csv", "monitor-here-shard1.csv"].map(str::to_owned).into());
}

#[tokio::test]
async fn it_fails_only_when_nothing_could_be_stored() {
    let (mock, server) = (mock([("gpt-4o-mini", quick())]), InProcess::start().await);
    // Nobody listens there.
    let variables = with(variables(&mock, &server), "AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1");
    let function = Function::start("monitor", variables).await;
    // The second delivery is tried as the first: what was not written is not remembered as if it were.
    for _ in 0..2 {
        let answer = function.invoke_within(&scheduled(1), Duration::from_secs(5)).await;
        let error = answer.expect_err("nothing was stored");
        let message = error["errorMessage"].as_str().unwrap_or_default();
        assert!(message.starts_with("nothing could be stored: s3://records/"), "{error}");
        assert_eq!(error["errorType"], "NothingStored");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_before_the_deadline() {
    let (mock, server) = (mock([("gpt-4o-mini", quick())]), InProcess::start().await);
    let silent = Faults::before(server.address, |_, _| Fault::Silence).await;
    let variables = with(variables(&mock, &server), "AWS_ENDPOINT_URL_S3", &format!("http://{}", silent.address));
    let function = Function::start("monitor", variables).await;
    let answer = function.invoke_within(&scheduled(1), Duration::from_secs(8)).await;
    let error = answer.expect_err("nothing was stored");
    let message = error["errorMessage"].as_str().unwrap_or_default();
    let said = message.split("no answer within ").nth(1).and_then(|rest| rest.split(' ').next());
    let waited_s: f64 = said.and_then(|seconds| seconds.parse().ok()).unwrap_or_else(|| panic!("{error}"));
    assert!(waited_s < 8.0, "{error}");
}

#[tokio::test]
async fn rows_of_an_old_event_say_how_late_they_were() {
    let (mock, server) = (mock([("gpt-4o-mini", quick())]), InProcess::start().await);
    let function = Function::start("monitor", variables(&mock, &server)).await;
    let time = (chrono::Utc::now() - chrono::TimeDelta::minutes(5)).to_rfc3339();
    function.invoke(&json!({"time": time})).await.expect("a summary");
    let rows = rows(&server, "prod");
    let late_ms: f64 = rows[0]["start_delay_ms"].parse().expect("a number");
    assert!(late_ms >= 300_000.0, "{rows:?}");
}

#[tokio::test]
async fn every_log_line_names_its_request_and_none_a_secret() {
    let (mock, server) = (mock([("gpt-4o-mini", quick())]), InProcess::start().await);
    let variables = with(variables(&mock, &server), "DEV_USAGE_TOKEN", "geheim");
    let function = Function::start("monitor", with(variables, "RUST_LOG", "debug")).await;
    function.invoke(&scheduled(1)).await.expect("a summary");
    function.invoke(&scheduled(2)).await.expect("a summary");
    let output = function.stop().await;

    let log = output.log();
    let of_cycle = |line: &&Value| line["message"].as_str().is_some_and(|message| message.ends_with("2 rows written"));
    let cycles: Vec<&Value> = log.iter().filter(of_cycle).collect();
    let [first, second] = cycles.as_slice() else { panic!("one line a cycle: {}", output.stderr) };
    for (line, id, is_cold) in [(first, "request-1", true), (second, "request-2", false)] {
        let span = &line["span"];
        assert_eq!((&span["request_id"], &span["cold_start"]), (&json!(id), &json!(is_cold)), "{line}");
        assert_eq!((&line["probes"], &line["failed"], &line["written"]), (&json!(2), &json!(0), &json!(2)), "{line}");
    }
    for secret in [SECRET, "geheim"] {
        assert!(!output.stderr.contains(secret) && !output.stdout.contains(secret));
    }

    let metrics: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let [first, _] = metrics.as_slice() else { panic!("a line a cycle: {}", output.stdout) };
    let directive = &first["_aws"]["CloudWatchMetrics"][0];
    assert!(directive["Metrics"].as_array().is_some_and(|metrics| metrics.len() <= 10), "{first}");
    assert_eq!((&directive["Dimensions"], &first["Function"]), (&json!([["Function"]]), &json!("test-function")));
    assert_eq!((&first["Probes"], &first["FailedProbes"]), (&json!(2), &json!(0)));
}
