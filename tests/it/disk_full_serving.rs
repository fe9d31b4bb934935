//! No room under `serve` and `cycle`: what is there is served, and rows wait until there is room.

use std::fs;

use super::{
    disk_full::{DAY_ROWS, files, made_up, stored},
    support::{http::get_json, limits::NoFileOver, monitor::Setup},
};

#[tokio::test]
async fn finished_days_stay_in_the_file_while_they_cannot_move() {
    let setup = Setup::quiet();
    made_up(&setup, &["--out", "old.csv"]).await;
    let old = fs::read_to_string(setup.folder().join("old.csv")).expect("a file");
    let lines: Vec<_> = old.split_inclusive('\n').collect();
    let part = |range: std::ops::Range<usize>| format!("{}{}", lines[0], lines[range].concat());
    // Late rows make a file of their own; with those of the active file it grows beyond what there is room for.
    let days = setup.folder().join("latency_data.d");
    fs::create_dir(&days).expect("a folder");
    fs::write(setup.csv_path(), part(1..81)).expect("written");
    fs::write(days.join("date=2026-11-23.csv"), part(81..82)).expect("written");
    fs::write(days.join("date=2026-11-23.late.csv"), part(82..322)).expect("written");
    let before = files(&days);

    let mut serving = setup.serve_by(&NoFileOver::blocks(140).by()).await;
    serving.cycle().await;
    let health = get_json(&serving.url("/health")).await.to_string();
    assert!(health.contains("rows of finished days stay in") && health.contains("no space left"), "{health}");
    let rows = stored(&setup).await;
    assert!(rows.len() > 321, "{}", rows.len());
    let now = files(&days);
    assert!(before.iter().all(|(name, bytes)| now.get(name) == Some(bytes)));
    assert!(now.keys().all(|name| !name.contains(".csv.new")), "{:?}", now.keys());
    assert!(!setup.folder().join("latency_data.csv.rotating").exists());
    setup.assert_verified().await;
    assert_eq!(serving.terminate().await, Some(0));

    let mut serving = setup.serve().await;
    serving.cycle().await;
    assert!(setup.csv().lines().all(|line| !line.contains(",2026-11-23T")), "they moved");
    assert_eq!(serving.terminate().await, Some(0));
    let after = stored(&setup).await;
    assert!(rows.iter().all(|row| after.contains(row)));
    setup.assert_verified().await;
}

#[tokio::test]
async fn rollups_that_cannot_be_kept_cost_time_alone() {
    let setup = Setup::quiet();
    made_up(&setup, &["--layout", "days", "--out", "."]).await;
    // The active file has room to grow.
    fs::remove_file(setup.csv_path()).expect("removed");
    let mut answers = Vec::new();
    for (by, kept) in [(NoFileOver::blocks(10).by().map(str::to_owned).to_vec(), false), (Vec::new(), true)] {
        let by: Vec<_> = by.iter().map(String::as_str).collect();
        let mut serving = setup.serve_by(&by).await;
        serving.cycle().await;
        let window = "from=2026-11-20T00:00:00Z&to=2026-11-24T00:00:00Z";
        let summary = get_json(&serving.url(&format!("/api/summary?{window}"))).await;
        assert_eq!(summary["exact"], false, "{summary}");
        answers.push(summary["groups"].to_string());
        assert_eq!(serving.terminate().await, Some(0));
        let rollups: Vec<_> = files(setup.folder()).into_keys().filter(|name| name.contains("/rollups/")).collect();
        assert_eq!(rollups.len(), if kept { 4 } else { 0 }, "{rollups:?}");
        setup.assert_verified().await;
    }
    assert!(answers[0].len() > 100 && answers[0] == answers[1], "{answers:#?}");
}

/// Not even its pid can be noted: all that is there is served, and the rows of now wait.
#[tokio::test]
async fn a_server_that_starts_on_a_full_disk_serves_what_is_there() {
    let setup = Setup::quiet();
    made_up(&setup, &["--layout", "days", "--out", "."]).await;
    // Whole days only: there is nothing to move.
    fs::write(setup.csv_path(), setup.csv().lines().next().expect("a header").to_owned() + "\n").expect("written");
    let before = setup.csv();
    let mut serving = setup.serve_by(&NoFileOver::blocks(0).by()).await;
    serving.wait_for("no space left").await;
    let page = get_json(&serving.url("/api/latency?limit=1000")).await;
    assert_eq!(page.as_array().map(Vec::len), Some(DAY_ROWS));
    let health = get_json(&serving.url("/health")).await.to_string();
    assert!(health.contains("rows wait in memory") && health.contains("no space left"), "{health}");
    // There is no room in the temporary folder either: what is lost is said.
    serving.ask_to_stop(1);
    serving.wait_for("they are lost").await;
    drop(serving);
    assert_eq!(setup.csv(), before);
    setup.assert_verified().await;
    let mut serving = setup.serve().await;
    serving.cycle().await;
    assert_eq!(serving.terminate().await, Some(0));
    setup.assert_verified().await;
}

/// The store's file is at its limit, and the temporary folder has room.
#[tokio::test]
async fn rows_that_wait_at_the_end_are_saved_elsewhere_and_can_be_imported() {
    let setup = Setup::quiet().with([("LATENCY_DATA_ROTATE", "off")]);
    made_up(&setup, &[]).await;
    let before = stored(&setup).await;
    let full = NoFileOver::blocks(100);
    let saved_in = |said: &str| {
        let (_, path) = said.split_once("they were saved to ").unwrap_or_else(|| panic!("{said}"));
        path.split_whitespace().next().expect("a path").to_owned()
    };

    let ended = setup.run_by(&full.by(), &["cycle"]).await;
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let of_cycle = saved_in(&ended.stderr);
    let mut serving = setup.serve_by(&full.by()).await;
    serving.wait_for("no space left").await;
    serving.ask_to_stop(1);
    let of_server = saved_in(&serving.wait_for("they were saved to ").await);
    drop(serving);
    assert_eq!(stored(&setup).await, before);

    // Only one of them: both cycles were of one minute, perhaps.
    assert_eq!(setup.run(&["verify", &of_server]).await.code, Some(0));
    let imported = setup.run(&["import", &of_cycle]).await;
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    let rows = stored(&setup).await;
    assert!(rows.len() > before.len() && before.iter().all(|row| rows.binary_search(row).is_ok()), "{rows:#?}");
    setup.assert_verified().await;
}
