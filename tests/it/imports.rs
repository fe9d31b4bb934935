//! `import`, as a person uses it.

use std::{fs, io::Write, path::Path, process::Stdio};

use flate2::{Compression, write::GzEncoder};
use serde_json::Value;

use super::support::{
    monitor::{Ended, Setup},
    s3_server::{BUCKET, InProcess, KEY_ID, SECRET},
};

const MIXTURE: &str = include_str!("../fixtures/predecessor/mixture.csv");
/// Of which three name no environment.
const MIXTURE_ROWS: usize = 7;

fn packed(text: &str) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text.as_bytes()).expect("packs");
    packer.finish().expect("packs")
}

fn sorted_rows(csv: &str) -> Vec<String> {
    let mut rows: Vec<_> = csv.lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// Everything in the store, by `export`.
async fn stored(setup: &Setup) -> Vec<String> {
    let exported = setup.run(&["export"]).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    sorted_rows(&exported.stdout)
}

async fn import(setup: &Setup, args: &[&str]) -> Ended {
    setup.run(&[&["import"], args].concat()).await
}

#[tokio::test]
async fn the_predecessors_mixture_is_taken_once_plain_packed_and_from_a_pipe() {
    let setup = Setup::new();
    let old = setup.folder().join("old.csv");
    fs::write(&old, MIXTURE).expect("written");
    fs::write(setup.folder().join("old.csv.gz"), packed(MIXTURE)).expect("written");

    let rehearsed = import(&setup, &["--dry-run", "old.csv"]).await;
    assert_eq!(rehearsed.code, Some(0), "{}", rehearsed.stderr);
    assert!(
        rehearsed.stdout.contains("old.csv: 7 would be taken, 0 already there, 0 set aside"),
        "{}",
        rehearsed.stdout
    );
    assert!(!setup.csv_path().exists(), "a rehearsal changes nothing");

    let taken = import(&setup, &["--environment", "staging", "old.csv"]).await;
    assert_eq!(taken.code, Some(0), "{}", taken.stderr);
    assert!(taken.stdout.contains("old.csv: 7 taken, 0 already there, 0 set aside"), "{}", taken.stdout);
    assert!(taken.stdout.contains("staging is not among ENVIRONMENTS"), "{}", taken.stdout);
    let rows = stored(&setup).await;
    assert_eq!(rows.len(), MIXTURE_ROWS);
    assert_eq!(rows.iter().filter(|row| row.contains(",staging,")).count(), 3, "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| row.contains(",dev,")).count(), 1, "a named environment stays: {rows:#?}");

    for again in ["old.csv", "old.csv.gz"] {
        let again = import(&setup, &["--environment", "staging", again]).await;
        assert!(again.stdout.contains("0 taken, 7 already there, 0 set aside"), "{}", again.stdout);
    }
    let piped = import_from_pipe(&setup, &fs::read(&old).expect("read")).await;
    assert!(piped.contains("standard input: 3 taken, 4 already there, 0 set aside"), "{piped}");
    assert_eq!(fs::read_to_string(&old).expect("read"), MIXTURE, "what is imported is not changed");
    assert_eq!(setup.run(&["verify"]).await.code, Some(0));
}

async fn import_from_pipe(setup: &Setup, bytes: &[u8]) -> String {
    let mut child = setup.command(&["import", "-"]).stdin(Stdio::piped()).spawn().expect("starts");
    let mut pipe = child.stdin.take().expect("piped");
    tokio::io::AsyncWriteExt::write_all(&mut pipe, bytes).await.expect("takes");
    drop(pipe);
    let ended = child.wait_with_output().await.expect("ends");
    String::from_utf8(ended.stdout).expect("UTF-8")
}

#[tokio::test]
async fn a_year_of_parts_that_overlap_comes_together_without_doubles() {
    let setup = Setup::new();
    let made_up = ["mock-history", "--days", "9", "--models", "2", "--interval", "900", "--until", "2026-11-24"];
    assert_eq!(setup.run(&[made_up.as_slice(), &["--out", "all.csv"]].concat()).await.code, Some(0));
    let all = fs::read_to_string(setup.folder().join("all.csv")).expect("read");
    let lines: Vec<_> = all.lines().collect();
    let part = |range: std::ops::Range<usize>| {
        let rows: Vec<_> = lines[range].iter().rev().copied().collect();
        format!("{}\n{}\n", lines[0], rows.join("\n"))
    };
    let (count, half) = (lines.len() - 1, lines.len() / 2);
    // Newest first, the second half before the first, a stretch of rows in both.
    fs::write(setup.folder().join("b.csv"), part(half - 500..lines.len())).expect("written");
    fs::write(setup.folder().join("a.csv"), part(1..half)).expect("written");
    let ended = import(&setup, &["--json", "b.csv", "a.csv"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let sum = |file: usize, what: &str| -> u64 {
        let days = report["files"][file][what].as_object().expect("environments").values();
        days.flat_map(|days| days.as_object().expect("days").values()).map(|rows| rows.as_u64().expect("a count")).sum()
    };
    assert_eq!((sum(0, "taken"), sum(0, "already_there")), ((count - half + 501) as u64, 0));
    assert_eq!((sum(1, "taken"), sum(1, "already_there")), ((half - 501) as u64, 500));
    assert_eq!(stored(&setup).await, sorted_rows(&all));
    assert_eq!(setup.run(&["verify"]).await.code, Some(0));
    // Rows that are alike are counted: two in a file are two in the store, once.
    fs::write(setup.folder().join("twice.csv"), format!("{}\n{}\n{}\n", lines[0], lines[7], lines[7]))
        .expect("written");
    for expected in ["1 taken, 1 already there", "0 taken, 2 already there"] {
        let twice = import(&setup, &["twice.csv"]).await;
        assert!(twice.stdout.contains(expected), "{}", twice.stdout);
    }
}

#[tokio::test]
async fn what_is_no_row_is_set_aside_by_line_and_the_rest_is_taken() {
    let setup = Setup::new();
    let header = "model_name,timestamp,latency_ms";
    let text =
        format!("{header}\nm,2026-11-24T00:00:00Z,1\nm,yesterday,2\nm,2026-11-24T00:01:00Z,NaN\nm,2026-11-24T00:02");
    fs::write(setup.folder().join("bad.csv"), text).expect("written");
    let ended = import(&setup, &["bad.csv"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("bad.csv: 1 taken, 0 already there, 3 set aside"), "{}", ended.stdout);
    assert!(ended.stdout.contains("line 3: timestamp is \"yesterday\""), "{}", ended.stdout);
    let aside = fs::read_to_string(setup.folder().join("bad.csv.import.rejected")).expect("set aside");
    let kept: Vec<_> = aside.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(kept, ["m,yesterday,2", "m,2026-11-24T00:01:00Z,NaN", "m,2026-11-24T00:02"]);
    fs::write(setup.folder().join("photo.csv"), "\u{1}\u{2}\n".repeat(2_000)).expect("written");
    let ended = import(&setup, &["photo.csv"]).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("photo.csv is no latency data"), "{}", ended.stderr);
}

#[tokio::test]
async fn bad_rows_of_a_pipe_never_take_the_place_of_those_before_them() {
    let setup = Setup::new();
    for (bad, file) in [("first", "stdin.import.rejected"), ("second", "stdin.import.rejected.2")] {
        let said = import_from_pipe(&setup, format!("model_name,timestamp\nm,{bad}\n").as_bytes()).await;
        assert!(said.contains(&format!("they are in {file}")), "{said}");
    }
    let kept = |file: &str| fs::read_to_string(setup.folder().join(file)).expect("kept");
    assert!(kept("stdin.import.rejected").contains("m,first"));
    assert!(kept("stdin.import.rejected.2").contains("m,second"));
}

#[tokio::test]
async fn a_program_is_told_every_bad_line_and_a_person_the_first() {
    let setup = Setup::new();
    let bad = "m,yesterday\n".repeat(50);
    fs::write(setup.folder().join("bad.csv"), format!("model_name,timestamp\nm,2026-11-24T00:00:00Z\n{bad}"))
        .expect("written");
    let for_a_program = import(&setup, &["--json", "--dry-run", "bad.csv"]).await.stdout;
    let report: Value = serde_json::from_str(&for_a_program).expect("JSON");
    let problems = report["files"][0]["problems"].as_array().expect("a list");
    let lines: Vec<_> = problems.iter().filter_map(|problem| problem["line"].as_u64()).collect();
    assert_eq!(lines, (3..53).collect::<Vec<_>>());
    let for_a_person = import(&setup, &["--dry-run", "bad.csv"]).await.stdout;
    assert!(for_a_person.contains("line 22: ") && !for_a_person.contains("line 23: "), "{for_a_person}");
    assert!(for_a_person.contains("and 30 more"), "{for_a_person}");
}

#[tokio::test]
async fn a_store_that_is_in_use_is_left_alone() {
    let setup = Setup::new().with([
        ("DEV_USAGE_ENDPOINT", "http://127.0.0.1:9"),
        ("OLLAMA_BASE_URL", "http://127.0.0.1:9"),
        ("MONITOR_INTERVAL", "3600"),
    ]);
    fs::write(setup.folder().join("old.csv"), MIXTURE).expect("written");
    let serving = setup.serve().await;
    let refused = import(&setup, &["old.csv"]).await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("latency_data.csv is in use by another process (pid "), "{}", refused.stderr);
    assert_eq!(import(&setup, &["--dry-run", "old.csv"]).await.code, Some(0));
    assert_eq!(serving.terminate().await, Some(0));
    assert_eq!(import(&setup, &["old.csv"]).await.code, Some(0));
}

/// The settings of a bucket in this process.
pub(crate) fn in_bucket(setup: Setup, server: &InProcess, prefix: &str) -> Setup {
    let endpoint = format!("http://{}", server.address);
    setup.with([
        ("STORE", "s3"),
        ("RECORDS_BUCKET", BUCKET),
        ("RECORDS_PREFIX", prefix),
        ("AWS_ENDPOINT_URL_S3", &endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
    ])
}

#[tokio::test]
async fn a_bucket_takes_a_file_once() {
    let server = InProcess::start().await;
    let setup = in_bucket(Setup::new(), &server, "team");
    let made_up = ["mock-history", "--days", "2", "--models", "2", "--interval", "1800", "--until", "2026-11-24"];
    assert_eq!(setup.run(&[made_up.as_slice(), &["--out", "old.csv"]].concat()).await.code, Some(0));
    let rows = sorted_rows(&fs::read_to_string(Path::new(setup.folder()).join("old.csv")).expect("read"));
    for expected in ["768 taken, 0 already there", "0 taken, 768 already there"] {
        let ended = import(&setup, &["old.csv"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
        assert_eq!(stored(&setup).await, rows);
    }
    let verified = setup.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
    assert!(verified.stdout.contains("768 rows in 192 files"), "{}", verified.stdout);
}
