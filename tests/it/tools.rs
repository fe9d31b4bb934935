//! `mock-history`, `verify`, `export`, `import` and `backup`, as a person uses them.

use std::{fs, path::Path};

use serde_json::Value;

use super::support::monitor::{Ended, Setup};

/// Made-up rows of a day, two models and two environments, as a file.
async fn made_up(setup: &Setup, out: &str, more: &[&str]) -> Ended {
    let args = ["mock-history", "--days", "2", "--models", "2", "--environments", "dev,prod", "--interval", "600"];
    let ended = setup.run(&[&args, &["--until", "2026-11-24", "--out", out], more].concat()).await;
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
