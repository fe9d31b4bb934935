//! Windows of days, answered by a running server from rollups, against a count of the exported rows.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use chrono::{Days, Utc};
use llm_monitor_core::store::S3Store;
use serde_json::Value;

use super::imports::in_bucket;
use crate::support::{
    http,
    monitor::{Serving, Setup},
    s3_places::options,
    s3_server::InProcess,
};

const DAYS: &str = "6";
/// 6 days, every 10 minutes, 2 models, 2 environments.
const ROWS: u64 = 6 * 144 * 4;

fn made_up<'a>(layout: &'a str, out: &'a str) -> Vec<&'a str> {
    let span = ["mock-history", "--days", DAYS, "--models", "2", "--interval", "600", "--environments", "prod,qa"];
    [span.as_slice(), &["--layout", layout, "--out", out]].concat()
}

async fn get(serving: &Serving, path: &str) -> Value {
    http::get_json(&serving.url(path)).await
}

/// The whole days, without an hour at both ends.
fn window() -> String {
    let today = Utc::now().date_naive();
    let first = today.checked_sub_days(Days::new(6)).expect("a day");
    let last = today.checked_sub_days(Days::new(1)).expect("a day");
    format!("from={first}T00:30:00Z&to={last}T23:30:00Z")
}

/// Every exported row of the window, counted by hand, against the summary.
async fn assert_summary_is_that_of_the_rows(serving: &Serving) {
    let summary = get(serving, &format!("/api/summary?{}", window())).await;
    assert_eq!(summary["exact"], false, "{summary}");
    let export = http::get(&serving.url(&format!("/api/export?format=jsonl&{}", window()))).await;
    let mut groups: BTreeMap<(String, String), (u64, Vec<f64>)> = BTreeMap::new();
    for line in export.text().await.expect("text").lines() {
        let row: Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| row[name].as_str().expect("text").to_owned();
        let group = groups.entry((text("environment"), text("model_name"))).or_default();
        group.0 += 1;
        if row["status"] == "success" {
            group.1.extend(row["ttft_ms"].as_f64());
        }
    }
    assert_eq!(groups.values().map(|(count, _)| count).sum::<u64>(), ROWS - 2 * 3 * 4);
    assert_eq!(summary["groups"].as_array().expect("groups").len(), groups.len());
    for group in summary["groups"].as_array().expect("groups") {
        let text = |name: &str| group[name].as_str().expect("text").to_owned();
        let (count, mut values) = groups.remove(&(text("environment"), text("model_name"))).expect("a known group");
        values.sort_by(f64::total_cmp);
        assert_eq!(group["count"], count, "{group}");
        let figures = &group["ttft_ms"];
        assert_eq!(
            (figures["count"].as_u64(), figures["max"].as_f64()),
            (Some(values.len() as u64), values.last().copied())
        );
        for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99)] {
            let exact = values[(values.len() * percent).div_ceil(100) - 1];
            let told = figures[name].as_f64().expect("a number");
            assert!((told - exact).abs() <= exact * 0.010_1, "{name}: {told} for {exact}");
        }
    }
}

fn rollups_in(folder: &Path) -> Vec<PathBuf> {
    let environments = fs::read_dir(folder.join("rollups")).into_iter().flatten().flatten();
    let files = environments.flat_map(|environment| fs::read_dir(environment.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).collect()
}

/// Asked once, with rollups spoiled, and without any: the figures are the same, and the rollups are there again.
/// `put` puts a text in the place of a rollup, named as below `folder`.
async fn assert_rollups_are_a_cache(setup: &Setup, folder: &Path, put: impl AsyncFn(&str, String)) {
    let mut serving = setup.serve().await;
    assert_summary_is_that_of_the_rows(&serving).await;
    let made = rollups_in(folder);
    assert_eq!(made.len(), 12, "6 days of 2 environments: {made:?}");
    let texts: Vec<String> = made.iter().map(|path| fs::read_to_string(path).expect("UTF-8")).collect();
    assert_eq!(serving.terminate().await, Some(0));

    for (path, text) in made.iter().zip(&texts) {
        let name = path.strip_prefix(folder).expect("below").to_str().expect("UTF-8");
        put(name, text[..text.len() / 3].to_owned()).await;
    }
    let verified = setup.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
    assert_eq!(verified.stdout.matches("this rollup is").count(), 12, "{}", verified.stdout);
    serving = setup.serve().await;
    assert_summary_is_that_of_the_rows(&serving).await;
    for (path, text) in made.iter().zip(&texts) {
        let now = fs::read_to_string(path).expect("UTF-8");
        assert_eq!(&now, text, "{}", path.display());
    }
    setup.assert_verified().await;
    assert_eq!(serving.terminate().await, Some(0));

    fs::remove_dir_all(folder.join("rollups")).expect("removed");
    serving = setup.serve().await;
    let series = get(&serving, &format!("/api/series?metric=ttft_ms&step=1d&{}", window())).await;
    assert_eq!((series["exact"].as_bool(), series["series"].as_array().map(Vec::len)), (Some(false), Some(4)));
    assert_eq!(rollups_in(folder).len(), 12);
    // A step that is no multiple of an hour cannot come from rollups.
    let fine = get(&serving, &format!("/api/series?metric=ttft_ms&step=30m&{}", window())).await;
    assert_eq!(fine["exact"], true);
    assert_eq!(serving.terminate().await, Some(0));
    setup.assert_verified().await;
}

#[tokio::test]
async fn days_of_the_local_file_are_added_up_once_and_rightly() {
    let setup = Setup::quiet().with([("LATENCY_DATA_CSV", "past/latency_data.csv")]);
    assert_eq!(setup.run(&made_up("days", "past")).await.code, Some(0));
    let folder = setup.folder().join("past/latency_data.d");
    assert_rollups_are_a_cache(&setup, &folder, async |name, text| {
        fs::write(folder.join(name), text).expect("written");
    })
    .await;
}

#[tokio::test]
async fn days_of_a_bucket_are_added_up_once_and_rightly() {
    let server = InProcess::start().await;
    let setup = in_bucket(Setup::quiet(), &server, "");
    assert_eq!(setup.run(&made_up("s3", "past")).await.code, Some(0));
    fs::rename(setup.folder().join("past/records"), server.bucket().join("records")).expect("moved");
    // By the API: the server does not give out what is not what it was given (checksums).
    let client = S3Store::new(options(server.address));
    assert_rollups_are_a_cache(&setup, &server.bucket(), async |name, text| {
        client.write_beside(name, text.into()).await.expect("written");
    })
    .await;
}
