//! `backup`, as a person uses it: every copy is a store.

use std::fs;

use serde_json::Value;

use super::{
    imports::in_bucket,
    support::{
        monitor::{Ended, Setup},
        s3_server::{BUCKET, InProcess},
    },
};

const MADE_UP: [&str; 9] =
    ["mock-history", "--days", "2", "--models", "2", "--interval", "1800", "--until", "2026-11-24"];
/// 2 days, every half hour, 2 models, 4 environments.
const ROWS: usize = 768;

async fn run(setup: &Setup, args: &[&str]) -> Ended {
    let ended = setup.run(args).await;
    assert_eq!(ended.code, Some(0), "{args:?}: {} {}", ended.stdout, ended.stderr);
    ended
}

async fn stored(setup: &Setup) -> Vec<String> {
    let exported = run(setup, &["export"]).await.stdout;
    let mut rows: Vec<_> = exported.lines().map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

async fn verified(setup: &Setup) -> Value {
    serde_json::from_str(&run(setup, &["verify", "--json"]).await.stdout).expect("JSON")
}

#[tokio::test]
async fn a_copy_of_files_made_while_serve_runs_is_a_store_and_the_next_copies_what_is_new() {
    let nowhere = "http://127.0.0.1:9";
    let setup = Setup::new().with([
        ("DEV_USAGE_ENDPOINT", nowhere),
        ("OLLAMA_BASE_URL", nowhere),
        ("MONITOR_INTERVAL", "1"),
        ("LLM_API_TIMEOUT", "1"),
    ]);
    run(&setup, &MADE_UP).await;
    // What an endpoint said; the monitor itself keeps catalogs.
    let usage = setup.folder().join("latency_data.d/usage/environment=dev/date=2026-11-23.csv");
    fs::create_dir_all(usage.parent().expect("a folder")).expect("made");
    fs::write(&usage, "a,b\n1,2\n").expect("written");
    let mut serving = setup.serve().await;
    serving.cycle().await;
    run(&setup, &["backup", "copy"]).await;
    serving.cycle().await;
    serving.cycle().await;
    run(&setup, &["backup", "copy"]).await;
    assert_eq!(serving.terminate().await, Some(0));
    run(&setup, &["backup", "copy"]).await;

    let rows = stored(&setup).await;
    assert!(rows.len() > ROWS + 1);
    let unchanged = run(&setup, &["backup", "copy"]).await.stdout;
    assert!(unchanged.starts_with("0 records copied, 0 there already"), "nothing is read: {unchanged}");
    assert!(unchanged.contains("LATENCY_DATA_CSV=copy/latency_data.csv"), "{unchanged}");
    let read = |path: &str| fs::read_to_string(setup.folder().join(path)).expect("a copy");
    assert_eq!(read("copy/latency_data.d/usage/environment=dev/date=2026-11-23.csv"), "a,b\n1,2\n");
    let catalog = "latency_data.d/catalog/environment=qa.json";
    assert_eq!(read(&format!("copy/{catalog}")), read(catalog));
    // Without what tells which days are the same, they are compared; nothing is doubled.
    fs::remove_file(setup.folder().join("copy/latency_data.d/backup.json")).expect("removed");
    let compared = run(&setup, &["backup", "copy"]).await.stdout;
    assert!(compared.starts_with(&format!("0 records copied, {} there already", rows.len() - 1)), "{compared}");

    let copy = setup.with([("LATENCY_DATA_CSV", "copy/latency_data.csv")]);
    assert_eq!(stored(&copy).await, rows);
    assert_eq!(verified(&copy).await["rows"], rows.len() - 1);
    let mut serving = copy.serve().await;
    serving.cycle().await;
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn files_go_to_a_bucket_and_from_bucket_to_bucket_and_back_to_files() {
    let server = InProcess::start().await;
    let file = Setup::new();
    run(&file, &MADE_UP).await;
    let rows = stored(&file).await;
    let to_bucket = format!("s3://{BUCKET}/first");
    // The store is a file; the variables say only how the bucket is reached.
    let file = in_bucket(file, &server, "").with([("STORE", "file")]);
    for copied in ["768 records copied", "0 records copied, 768 there already"] {
        let done = run(&file, &["backup", &to_bucket]).await.stdout;
        assert!(done.starts_with(copied), "{done}");
        assert!(done.contains(&format!("STORE=s3 RECORDS_BUCKET={BUCKET} RECORDS_PREFIX=first")), "{done}");
    }
    let first = in_bucket(Setup::new(), &server, "first");
    assert_eq!(stored(&first).await, rows);
    assert_eq!(verified(&first).await["rows"], ROWS);

    let again = format!("s3://{BUCKET}/second");
    for copied in ["192 objects", "0 objects (0 B) copied, 192 the same already"] {
        let done = run(&first, &["backup", &again]).await.stdout;
        assert!(done.starts_with(copied), "{done}");
    }
    let second = in_bucket(Setup::new(), &server, "second");
    assert_eq!(stored(&second).await, rows);

    run(&second, &["backup", "files"]).await;
    // Opened again, the copy moves its finished days into files of their own: once more they are compared.
    run(&second, &["backup", "files"]).await;
    let unchanged = run(&second, &["backup", "files"]).await.stdout;
    assert!(unchanged.starts_with("0 records copied, 0 there already"), "{unchanged}");
    let files = second.with([("STORE", "file"), ("LATENCY_DATA_CSV", "files/latency_data.csv")]);
    assert_eq!(stored(&files).await, rows);
    assert_eq!(verified(&files).await["rows"], ROWS);
}

#[tokio::test]
async fn a_copy_never_takes_the_place_of_the_store_and_says_what_it_lacks() {
    let setup = Setup::new();
    let none = setup.run(&["backup", "copy"]).await;
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("latency_data.csv does not exist") || none.stderr.contains("does not exist"));
    assert!(!setup.folder().join("copy").exists(), "no empty copy is left");
    run(&setup, &MADE_UP).await;
    let itself = setup.run(&["backup", "."]).await;
    assert_eq!(itself.code, Some(2));
    assert!(itself.stderr.contains("is the store itself"), "{}", itself.stderr);
    fs::write(setup.csv_path(), format!("{}nonsense\n", setup.csv())).expect("written");
    // One more row behind it: what stands last may be torn.
    let last = setup.csv().lines().nth(1).expect("a row").replacen("T00:00:", "T00:15:", 1);
    let last = last.replacen("T000000Z", "T001500Z", 1);
    fs::write(setup.csv_path(), format!("{}{last}\n", setup.csv())).expect("written");
    let lacking = setup.run(&["backup", "copy"]).await;
    assert_eq!(lacking.code, Some(1), "{}", lacking.stderr);
    assert!(lacking.stdout.contains("1 rows cannot be read and are not in the copy"), "{}", lacking.stdout);
    assert_eq!(setup.run(&["verify", "copy/latency_data.csv"]).await.code, Some(0));
}
