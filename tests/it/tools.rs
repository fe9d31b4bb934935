//! `mock-history`, `verify`, `export`, `import` and `backup`, as a person uses them.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::support::{
    http::client,
    monitor::{Ended, Setup},
};

/// Made-up rows of a day, two models and two environments, as a file.
async fn made_up(setup: &Setup, out: &str, more: &[&str]) -> Ended {
    let args = ["mock-history", "--days", "2", "--models", "2", "--environments", "dev,prod", "--interval", "600"];
    let ended = setup.run(&[args.as_slice(), &["--until", "2026-11-24", "--out", out], more].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

/// 2 days, every 10 minutes, 2 models, 2 environments.
const ROWS: usize = 2 * 144 * 2 * 2;

fn rows_of(csv: &str) -> Vec<&str> {
    let mut rows: Vec<_> = csv.lines().skip(1).collect();
    rows.sort_unstable();
    rows
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("a file")
}

#[tokio::test]
async fn a_made_up_past_is_the_same_in_every_layout_and_verifies_clean() {
    let setup = Setup::new();
    made_up(&setup, "one.csv", &[]).await;
    made_up(&setup, "days", &["--layout", "days"]).await;
    made_up(&setup, "bucket", &["--layout", "s3"]).await;
    let one = read(setup.folder().join("one.csv"));
    assert_eq!(rows_of(&one).len(), ROWS);
    let first_day = read(setup.folder().join("days/latency_data.d/date=2026-11-23.csv"));
    let active = read(setup.folder().join("days/latency_data.csv"));
    assert_eq!(rows_of(&first_day).len() + rows_of(&active).len(), ROWS);
    assert_eq!([rows_of(&first_day), rows_of(&active)].concat().len(), ROWS);
    let hour = read(setup.folder().join("bucket/records/environment=prod/date=2026-11-24/hour=16/monitor-local.csv"));
    assert!(rows_of(&hour).iter().all(|row| one.contains(row)) && rows_of(&hour).len() == 12);
    for place in ["one.csv", "days/latency_data.csv", "bucket"] {
        let verified = setup.run(&["verify", place]).await;
        assert_eq!(verified.code, Some(0), "{}", verified.stdout);
        assert!(verified.stdout.contains(&format!("{ROWS} rows")), "{}", verified.stdout);
    }
    let again = setup.run(&["mock-history", "--out", "one.csv"]).await;
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("one.csv is there already"), "{}", again.stderr);
}

/// Days, and the folder in which `prod` has its rollups.
async fn with_a_place_for_rollups() -> (Setup, PathBuf) {
    let setup = Setup::new();
    made_up(&setup, ".", &["--layout", "days"]).await;
    let rollups = setup.folder().join("latency_data.d/rollups/environment=prod");
    fs::create_dir_all(&rollups).expect("a folder");
    (setup, rollups)
}

#[tokio::test]
async fn verify_tells_of_a_damaged_rollup_and_calls_it_no_problem() {
    let (setup, rollups) = with_a_place_for_rollups().await;
    fs::write(rollups.join("date=2026-11-23.csv"), "hour,model_name\n").expect("written");
    let verified = setup.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
    let note = "environment=prod/date=2026-11-23.csv: this rollup is of another version or not as it was written";
    assert!(verified.stdout.contains(note), "{}", verified.stdout);
}

#[tokio::test]
async fn verify_goes_on_where_a_rollup_vanishes_after_it_was_listed() {
    let (setup, rollups) = with_a_place_for_rollups().await;
    // Listed, and not there when it is read.
    std::os::unix::fs::symlink("nowhere", rollups.join("date=2026-11-23.csv")).expect("a link");
    let verified = setup.run(&["verify"]).await;
    assert_eq!(verified.code, Some(0), "{}{}", verified.stdout, verified.stderr);
}

#[tokio::test]
async fn verify_names_every_kind_of_damage_by_file_and_line() {
    let setup = Setup::new();
    made_up(&setup, ".", &["--layout", "days"]).await;
    let day_path = setup.folder().join("latency_data.d/date=2026-11-23.csv");
    let (active, day) = (setup.csv(), read(&day_path));
    let row = |text: &str, line: usize| text.lines().nth(line - 1).expect("a line").to_owned();
    // A row twice, a row of another day, a row of nothing, a cycle that ran twice.
    let moved = row(&active, 5).replacen("2026-11-24T00:00:00", "2026-11-24T00:00:09", 1);
    let torn = &row(&active, 6)[..40];
    fs::write(setup.csv_path(), format!("{active}{}\n{moved}\nnonsense\n{torn}", row(&active, 9))).expect("written");
    fs::write(&day_path, format!("{day}{}\n", row(&active, 10))).expect("written");
    let (end, day_end) = (active.lines().count(), day.lines().count());

    let verified = setup.run(&["verify", "--json"]).await;
    assert_eq!(verified.code, Some(1), "{}", verified.stderr);
    let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    let found: Vec<_> = report["problems"].as_array().expect("a list").iter().collect();
    let has = |kind: &str, file: &str, line: usize| {
        found.iter().any(|problem| {
            let file_name = problem["file"].as_str().expect("a text").rsplit('/').next();
            problem["kind"] == kind && file_name == Some(file) && problem["line"] == line
        })
    };
    let (file, day_file) = ("latency_data.csv", "date=2026-11-23.csv");
    assert!(has("misplaced_row", day_file, day_end + 1), "{found:#?}");
    assert!(has("duplicate_row", file, end + 1), "{found:#?}");
    assert!(has("double_cycle", file, end + 2), "{found:#?}");
    assert!(has("unreadable_row", file, end + 3), "{found:#?}");
    assert!(has("torn_end", file, end + 4), "{found:#?}");
    // The row of another day is in both files.
    assert!(has("duplicate_row", file, 10), "{found:#?}");
    assert_eq!(found.len(), 6, "{found:#?}");
    assert_eq!(report["rows"], ROWS + 3);
    assert_eq!(report["environments"]["prod"]["2026-11-23"], 288);

    let for_a_person = setup.run(&["verify"]).await;
    assert!(for_a_person.stdout.contains(&format!("latency_data.csv line {}: the row has 1 fields", end + 3)));
    let none = setup.run(&["verify", "nothing.csv"]).await;
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("cannot read nothing.csv"), "{}", none.stderr);
}

#[tokio::test]
async fn verify_reads_on_behind_a_file_that_cannot_be_read_and_says_so_with_2() {
    let setup = Setup::new();
    made_up(&setup, "parts/b.csv", &[]).await;
    let whole = setup.folder().join("parts/b.csv");
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(&fs::read(&whole).expect("read")).expect("packs");
    let packed = packer.finish().expect("packs");
    fs::write(setup.folder().join("parts/a.csv.gz"), &packed[..packed.len() / 2]).expect("written");
    let verified = setup.run(&["verify", "--json", "parts"]).await;
    assert_eq!(verified.code, Some(2), "{}", verified.stderr);
    let report: Value = serde_json::from_str(&verified.stdout).expect("JSON");
    assert_eq!((&report["files"], &report["problem_counts"]["unreadable_file"]), (&json!(2), &json!(1)), "{report}");
    let problems = report["problems"].as_array().expect("a list");
    let broken = problems.iter().find(|problem| problem["kind"] == "unreadable_file").expect("named");
    assert!(broken["file"].as_str().is_some_and(|file| file.ends_with("a.csv.gz")), "{broken}");
    assert!(broken["line"].as_u64().is_some_and(|line| line > 10 && line < ROWS as u64), "{broken}");
    // Every row of the other was read: those that the first holds too are doubled.
    assert_eq!(report["environments"]["prod"]["2026-11-24"].as_u64().map(|rows| rows >= 288), Some(true), "{report}");
    let imported = setup.run(&["import", "--dry-run", "parts/a.csv.gz"]).await;
    assert_eq!(imported.code, Some(2));
    assert!(imported.stderr.contains("cannot read parts/a.csv.gz"), "{}", imported.stderr);
}

#[tokio::test]
async fn export_gives_what_the_api_gives_while_serve_runs() {
    let setup = Setup::quiet().with([("API_TOKEN", "t")]);
    made_up(&setup, "latency_data.csv", &[]).await;
    let mut serving = setup.serve().await;
    serving.cycle().await;
    let window = "from=2026-11-23T06:00:00Z&to=2026-11-24T18:00:00Z";
    let api = async |query: &str| {
        let url = serving.url(&format!("/api/export?{window}&{query}"));
        let answer = client().get(url).bearer_auth("t").send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        answer.text().await.expect("a text")
    };
    let command = async |more: &[&str]| {
        let from_to = ["export", "--from", "2026-11-23T06:00:00Z", "--to", "2026-11-24T18:00:00Z"];
        let ended = setup.run(&[from_to.as_slice(), more].concat()).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let all = command(&[]).await;
    assert_eq!(all.lines().count(), 1 + 36 * 6 * 4);
    assert_eq!(all, api("").await);
    let prod = command(&["--environment", "prod", "--model", "gpt-4o-mini", "--format", "jsonl"]).await;
    assert_eq!(prod.lines().count(), 36 * 6);
    assert_eq!(prod, api("environment=prod&model=gpt-4o-mini&format=jsonl").await);
    assert_eq!(command(&["--status", "success"]).await, api("status=success").await);
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn an_exported_file_is_whole_and_safe_and_never_the_store() {
    let setup = Setup::new();
    let header = "model_name,environment,timestamp,latency_ms,status,simulated,error_message";
    let rows = "=cmd|' /C calc'!A0,prod,2026-11-24T00:00:00Z,1,success,false,\n\
                m,prod,2026-11-24T00:01:00Z,,error,false,@SUM(A1)\n\
                m,test,2026-11-24T00:02:00Z,2,success,true,\nnonsense\n";
    fs::write(setup.csv_path(), format!("{header}\n{rows}")).expect("written");
    let before = setup.csv();
    let plain = setup.run(&["export", "--output", "plain.csv"]).await;
    assert!(
        plain.stderr.contains("1 rows could not be read") && plain.stderr.contains("3 records"),
        "{}",
        plain.stderr
    );
    let text = read(setup.folder().join("plain.csv"));
    assert!(text.contains("\n=cmd|") && text.contains(",@SUM(A1),"), "{text}");
    let safe = setup.run(&["export", "--spreadsheet", "--include-simulated", "false"]).await.stdout;
    assert!(safe.contains("\n'=cmd|") && safe.contains(",'@SUM(A1),") && safe.lines().count() == 3, "{safe}");
    fs::create_dir(setup.folder().join("latency_data.d")).expect("made");
    for (args, said) in [
        (["export", "--output", "latency_data.csv"], "this name is the store's own"),
        (["export", "--output", "./latency_data.d/date=2026-11-23.csv"], "this name is the store's own"),
        (["export", "--output", "latency_data.d/export.csv"], "this name is the store's own"),
        (["export", "--output", "latency_data.csv.rejected"], "this name is the store's own"),
        (["export", "--output", "no/such/folder.csv"], "no/such/folder.csv: cannot be written: "),
        (["export", "--from", "yesterday"], "expected a time like"),
        (["export", "--status", "maybe"], "a status is success or error"),
    ] {
        let refused = setup.run(&args).await;
        assert_eq!(refused.code, Some(2), "{args:?}");
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    assert_eq!(setup.csv(), before, "the store is not changed");
    let left: Vec<_> =
        fs::read_dir(setup.folder()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".llm-monitor")), "{left:?}");
    // A reader that has enough is no failure.
    let long = setup.run(&["mock-history", "--days", "3", "--models", "3", "--out", "long.csv"]).await;
    assert_eq!(long.code, Some(0), "{}", long.stderr);
    let setup = setup.with([("LATENCY_DATA_CSV", "long.csv")]);
    let (first_line, code) = setup.run_until_first_line(&["export"]).await;
    assert!(first_line.starts_with("model_name,environment,"));
    assert_eq!(code, Some(0));
}
