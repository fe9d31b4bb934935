//! `kill -9` in mid-cycle loses no row that the API had shown.

use std::{collections::BTreeSet, time::Duration};

use llm_monitor::mock::{Behaviour, Mock, MockConfig};
use llm_monitor_core::{
    provider::Provider,
    record::{Environment, csv},
    store::{FileOptions, FileStore},
};
use serde_json::Value;

use crate::support::{
    http::{client, get_json},
    monitor::Setup,
};

#[tokio::test]
async fn what_the_api_had_shown_is_there_after_kill_9_in_mid_cycle() {
    let behaviour = Behaviour { ttft_ms: 150.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models = ["gpt-a", "gpt-b", "gpt-c"].map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let setup = Setup::new().with(mock.settings(&[Environment::dev()])).with([("MONITOR_INTERVAL", "1")]);

    let mut rows = 0;
    for round in 1..=5 {
        let mut serving = setup.serve().await;
        serving.cycle().await;
        let shown = get_json(&serving.url("/api/latency?limit=1000")).await;
        let shown = shown.as_array().expect("an array").clone();
        assert!(shown.len() > rows, "round {round}");
        // The next cycle's probes are on their way.
        let answered = mock.answered(&Environment::dev(), "gpt-a");
        while mock.answered(&Environment::dev(), "gpt-a") == answered {
            tokio::task::yield_now().await;
        }
        serving.kill().await;

        let serving = setup.serve().await;
        setup.assert_verified().await;
        let after = get_json(&serving.url("/api/latency?limit=1000")).await;
        let after = after.as_array().expect("an array");
        for record in &shown {
            assert!(after.contains(record), "lost in round {round}: {record}");
        }
        rows = shown.len();
        serving.kill().await;
    }
}

/// Killed at any instant of a cycle, over and over on the same file: every row that was ever shown is there once, and every line of
/// the file can be read. `CRASH_ROUNDS=300` kills as often (default 4).
#[tokio::test]
async fn what_was_ever_shown_is_there_once_after_kill_9_at_random_instants() {
    let rounds: u64 = std::env::var("CRASH_ROUNDS").map_or(4, |count| count.parse().expect("CRASH_ROUNDS: a number"));
    let behaviour = Behaviour { ttft_ms: 5.0, pace_ms: 0.1, output_tokens: 4, ..Behaviour::default() };
    let models = ["gpt-a", "gpt-b", "gpt-c"].map(|name| (name, Provider::OpenAi, behaviour.clone()));
    let mock = Mock::start(MockConfig { listen: ([127, 0, 0, 1], 0).into(), ..MockConfig::of_models(models) });
    let mock = mock.expect("a mock");
    let environments = ["dev", "prod"].map(|name| name.parse::<Environment>().expect("a name"));
    let setup = Setup::new().with(mock.settings(&environments)).with([
        ("MONITOR_INTERVAL", "1"),
        ("MULTI_ENV_MODE", "full"),
        ("ENVIRONMENTS", "dev,prod"),
    ]);
    let mut shown: BTreeSet<String> = BTreeSet::new();
    for round in 1..=rounds {
        let serving = setup.serve().await;
        // The start's own cycle takes some 20 ms, the next comes after a second: kills fall before, into and after both.
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..if round % 4 == 0 { 1_100_000 } else { 60_000 })))
            .await;
        let page = get_json(&serving.url("/api/latency?limit=1000")).await;
        let now: Vec<String> = page.as_array().expect("an array").iter().map(Value::to_string).collect();
        serving.kill().await;
        shown.extend(now);
        let file = csv::decode(setup.csv().as_bytes(), 2);
        // A torn last line may stand there until the next start sets it aside.
        assert!(file.problems.len() <= 1, "round {round}: {:?}", file.problems);
    }
    let serving = setup.serve().await;
    let stored = std::fs::read(setup.csv_path()).expect("the file");
    let file = csv::decode(&stored, 2);
    assert_eq!(file.problems, [], "every line can be read");
    let mut keys = BTreeSet::new();
    for record in &file.records {
        let key = (record.cycle_id, record.environment.clone(), record.model_name.clone());
        assert!(keys.insert(key), "doubled: {record:?}");
    }
    let rows = file.records.len();
    eprintln!("crash: {rounds} kills, {rows} rows, {} of them shown before a kill", shown.len());
    let mut url = Some(serving.url("/api/latency?limit=1000"));
    let mut after = BTreeSet::new();
    while let Some(next) = url.take() {
        let answer = client().get(&next).send().await.expect("an answer");
        let link = answer.headers().get("link").and_then(|link| link.to_str().ok()).map(str::to_owned);
        let page: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        after.extend(page.as_array().expect("an array").iter().map(Value::to_string));
        url = link.and_then(|link| Some(serving.url(link.strip_prefix('<')?.split_once('>')?.0)));
    }
    let lost: Vec<&String> = shown.difference(&after).collect();
    assert!(lost.is_empty(), "{} lost, like {:?}", lost.len(), lost.first());
    setup.assert_verified().await;
}

/// As after a death in mid-write, or a power cut: the file ends anywhere. The next start keeps every whole row, and `verify` itself
/// finds nothing wrong. `CRASH_CUT_STEP=1` cuts at each of the last 4,096 bytes (default: every 61st).
#[tokio::test]
async fn a_file_cut_anywhere_is_clean_to_verify_after_the_next_start() {
    let step: usize =
        std::env::var("CRASH_CUT_STEP").map_or(61, |step| step.parse().expect("CRASH_CUT_STEP: a number"));
    let setup = Setup::quiet();
    let made_up = ["mock-history", "--days", "1", "--models", "1", "--interval", "3600", "--until", "2026-11-24"];
    assert_eq!(setup.run(&[made_up.as_slice(), &["--out", "whole.csv"]].concat()).await.code, Some(0));
    let bytes = std::fs::read(setup.folder().join("whole.csv")).expect("a file");
    let header = bytes.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    assert!(bytes.len() > header + 4_096, "{} bytes are too few", bytes.len());
    let mut cuts = 0;
    for cut in (bytes.len() - 4_096..bytes.len()).rev().step_by(step) {
        let _ = std::fs::remove_dir_all(setup.folder().join("latency_data.d"));
        std::fs::write(setup.csv_path(), &bytes[..cut]).expect("written");
        // As `serve` opens it. A move of the finished day would leave the cut end behind, whatever was done about that.
        let options = FileOptions { rotate: false, ..FileOptions::default() };
        drop(FileStore::open_with(setup.csv_path(), options).expect("it opens"));
        let whole = bytes[header..cut].split(|byte| *byte == b'\n').count() - 1;
        let verified = setup.run(&["verify", "--json"]).await;
        assert_eq!(verified.code, Some(0), "cut at {cut}: {}{}", verified.stdout, verified.stderr);
        let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
        // One that lacks nothing but its line end is whole.
        let is_ended = bytes[cut] == b'\n';
        assert_eq!(report["rows"], whole + usize::from(is_ended), "cut at {cut}: {report}");
        cuts += 1;
    }
    eprintln!("crash: {cuts} cuts");
}
