//! `cycle`: exactly one cycle, now.

use chrono::{DateTime, Utc};
use llm_monitor::mock::{Behaviour, Failure, FailureKind, Mock, MockConfig};
use llm_monitor_core::{
    provider::Provider,
    record::{CycleId, Environment},
};
use serde_json::Value;

use super::imports::in_bucket;
use crate::support::{http::get_json, monitor::Setup, s3_server::InProcess};

fn setup(failures: Vec<Failure>) -> (llm_monitor::mock::MockServer, Setup) {
    let behaviour = Behaviour { ttft_ms: 2.0, pace_ms: 0.5, output_tokens: 8, failures, ..Behaviour::default() };
    let models = [("gpt-4o-mini", Provider::OpenAi, behaviour)];
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let environments = [Environment::dev(), "prod".parse().expect("a name")];
    let setup = Setup::new().with(mock.settings(&environments));
    (mock, setup)
}

#[tokio::test]
async fn it_prints_a_table_writes_the_rows_and_exits_0() {
    let (_mock, setup) = setup(Vec::new());
    let ended = setup.run(&["cycle"]).await;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    for expected in ["gpt-4o-mini", "prod", " ok ", "2 probes, 0 failed", "2 rows written to"] {
        assert!(ended.stdout.contains(expected), "{expected} is missing in\n{}", ended.stdout);
    }
    assert_eq!(setup.csv().lines().count(), 3);
}

#[tokio::test]
async fn for_machines_it_prints_json_and_a_failed_probe_makes_it_exit_1() {
    let (_mock, setup) = setup(vec![Failure::always(FailureKind::ServerError)]);
    let ended = setup.run(&["cycle", "--json"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
    assert_eq!(json["summary"]["failures"]["server_error"], 2, "{json}");
    assert_eq!(json["records"][0]["status"], "error");
}

#[tokio::test]
async fn a_cycle_is_named_after_utc_whatever_the_time_zone() {
    let (_mock, mut setup) = setup(Vec::new());
    // Half a day from UTC, each to its side; one with hours that come twice, one with a quarter of an hour.
    for zone in ["AAA-14", "BBB+12", "Europe/Berlin", "CCC-12:45"] {
        setup = setup.with([("TZ", zone)]);
        let before = Utc::now().timestamp();
        let ended = setup.run(&["cycle", "--json"]).await;
        let after = Utc::now().timestamp();
        let json: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
        let id: CycleId = json["summary"]["cycle_id"].as_str().expect("an id").parse().expect("an id");
        assert!((before..=after).contains(&id.scheduled().timestamp()), "{zone}: {id}");
        let time = json["records"][0]["timestamp"].as_str().expect("a time");
        let time: DateTime<Utc> = time.parse().expect("RFC 3339");
        assert!((before..=after).contains(&time.timestamp()), "{zone}: {time}");

        // The schedule of `serve` has a clock of its own.
        let mut serving = setup.serve().await;
        serving.cycle().await;
        let after = Utc::now().timestamp();
        let newest = &get_json(&serving.url("/api/latency?limit=1")).await[0];
        let id: CycleId = newest["cycle_id"].as_str().expect("an id").parse().expect("an id");
        assert!((before..=after).contains(&id.scheduled().timestamp()), "{zone}: {id} of serve");
        assert_eq!(serving.terminate().await, Some(0));
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_said_and_it_does_not_start() {
    let (_mock, setup) = setup(Vec::new());
    std::fs::create_dir(setup.folder().join("folder.csv")).expect("a folder");
    let ended = setup.with([("LATENCY_DATA_CSV", "folder.csv")]).run(&["cycle"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("folder.csv") && ended.stderr.contains("folder"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_file_that_another_process_writes_is_left_alone() {
    let (_mock, setup) = setup(Vec::new());
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let ended = setup.run(&["cycle"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("in use by another process"), "{}", ended.stderr);
}

#[tokio::test]
async fn shards_of_a_cycle_together_send_every_probe_once_into_one_bucket() {
    let behaviour = Behaviour { ttft_ms: 2.0, pace_ms: 0.5, output_tokens: 8, ..Behaviour::default() };
    let names = ["gpt-a", "gpt-b", "gpt-c", "gpt-d", "gpt-e", "gpt-f"];
    let models = names.map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let server = InProcess::start().await;
    let setup = in_bucket(Setup::new().with(mock.settings(&[Environment::dev()])), &server, "");
    let mut all = Vec::new();
    for shard in ["0/3", "1/3", "2/3"] {
        let ended = setup.run(&["cycle", "--json", "--shard", shard]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let json: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
        let records = json["records"].as_array().expect("records").clone();
        assert!(records.len() < names.len(), "{shard} is a share");
        all.extend(records.iter().map(|record| record["model_name"].as_str().expect("a name").to_owned()));
    }
    all.sort();
    assert_eq!(all, names);
    assert_eq!(setup.run(&["export", "--format", "jsonl"]).await.stdout.lines().count(), names.len());

    let ended = Setup::new().run(&["serve", "--shard", "1/2"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("STORE=s3"), "{}", ended.stderr);
}
