//! A folder in which nothing may be written: what writes says which and what to do, and what reads goes on.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::support::{
    http::get_json,
    limits::bound_by_permissions,
    monitor::{Ended, Setup},
};

/// A folder that is closed for writing until this is dropped: else its files could not be cleared away.
struct Closed(PathBuf);

impl Closed {
    fn new(folder: PathBuf) -> Self {
        fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("set");
        Self(folder)
    }
}

impl Drop for Closed {
    fn drop(&mut self) {
        let _ = fs::set_permissions(&self.0, Permissions::from_mode(0o755));
    }
}

async fn run(setup: &Setup, args: &[&str]) -> Ended {
    setup.run_by(bound_by_permissions(), args).await
}

/// Two finished days and one that `serve` will move, in `data/`.
async fn filled() -> Setup {
    let setup = Setup::quiet().with([("MONITOR_INTERVAL", "1"), ("LATENCY_DATA_CSV", "data/latency_data.csv")]);
    let made_up = ["mock-history", "--days", "3", "--models", "2", "--interval", "1800", "--until", "2026-11-24"];
    let ended = setup.run(&[made_up.as_slice(), &["--layout", "days", "--out", "data"]].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    fs::write(setup.folder().join("old.csv"), "model_name,timestamp,latency_ms\nm,2026-11-24T00:00:00Z,1\n")
        .expect("written");
    setup
}

fn wanted(folder: &Path) -> String {
    let folder = folder.canonicalize().expect("a folder");
    format!(
        "Permission denied (os error 13); the user that runs llm-monitor needs write permission on the folder {}; give it, \
         or use another place",
        folder.display()
    )
}

#[tokio::test]
async fn what_writes_says_which_folder_needs_which_permission() {
    let setup = filled().await;
    let data = setup.folder().join("data");
    for folder in [data.join("latency_data.d"), data.clone()] {
        if folder == data {
            fs::remove_dir_all(data.join("latency_data.d")).expect("removed");
        }
        let said = wanted(&folder);
        let inside = |name: &str| folder.join(name).display().to_string();
        let closed = Closed::new(folder.clone());
        for args in [
            &["serve"][..],
            &["cycle"],
            &["import", "old.csv"],
            &["backup", &inside("copy")],
            &["mock-history", "--out", &inside("new/past.csv")],
        ] {
            let ended = run(&setup, args).await;
            assert_eq!(ended.code, Some(2), "{args:?}");
            // A temporary file's own name may stand in between.
            let (before, after) = said.split_once(';').expect("a remedy");
            assert!(ended.stderr.contains(before) && ended.stderr.contains(after), "{args:?}: {}", ended.stderr);
        }
        let checked = run(&setup, &["check"]).await;
        assert_eq!(checked.code, Some(1), "{}", checked.stdout);
        assert!(checked.stdout.contains(&said), "{}", checked.stdout);
        if folder == data {
            let ended = run(&setup, &["export", "--output", &inside("out.csv")]).await;
            assert!(ended.code == Some(2) && ended.stderr.contains("Permission denied"), "{}", ended.stderr);
        }
        drop(closed);
        let left = fs::read_dir(&folder).expect("a folder").flatten().map(|entry| entry.file_name());
        let left: Vec<_> = left.filter(|name| !name.to_string_lossy().contains("date=")).collect();
        assert!(left.len() <= 1, "{left:?}");
    }
    let checked = run(&setup, &["check"]).await;
    assert!(!checked.stdout.contains("Permission denied"), "{}", checked.stdout);
    assert_eq!(fs::read_dir(&data).expect("a folder").count(), 1, "check leaves nothing behind");
}

#[tokio::test]
async fn what_reads_goes_on() {
    let setup = filled().await;
    let data = setup.folder().join("data");
    let before = run(&setup, &["export"]).await.stdout;
    let closed = [Closed::new(data.join("latency_data.d")), Closed::new(data)];
    let exported = run(&setup, &["export"]).await;
    assert_eq!((exported.code, exported.stdout), (Some(0), before), "{}", exported.stderr);
    for args in [&["verify"][..], &["export", "--output", "elsewhere.csv"], &["backup", "copy"]] {
        let ended = run(&setup, args).await;
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.stderr);
    }
    drop(closed);
}

/// Old files often lie where nobody may write.
#[tokio::test]
async fn a_file_of_a_closed_archive_is_imported_and_its_bad_rows_are_set_aside_here() {
    let setup = Setup::new();
    let archive = setup.folder().join("archive");
    fs::create_dir(&archive).expect("made");
    fs::write(archive.join("old.csv"), "model_name,timestamp\nm,2026-11-24T00:00:00Z\nm,yesterday\n").expect("written");
    let closed = Closed::new(archive);
    let ended = run(&setup, &["import", "archive/old.csv"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("1 taken, 0 already there, 1 set aside"), "{}", ended.stdout);
    assert!(ended.stdout.contains("they are in old.csv.import.rejected"), "{}", ended.stdout);
    let aside = fs::read_to_string(setup.folder().join("old.csv.import.rejected")).expect("set aside");
    assert!(aside.contains("m,yesterday"), "{aside}");
    drop(closed);
}

/// The folder is closed under a running server: figures are made of rows and none is kept, and cycles are written on.
#[tokio::test]
async fn a_running_server_answers_and_appends_without_keeping_rollups() {
    let setup = filled().await;
    let days = setup.folder().join("data/latency_data.d");
    let mut serving = setup.serve_by(bound_by_permissions()).await;
    serving.cycle().await;
    let closed = Closed::new(days.clone());
    let window = "from=2026-11-22T00:00:00Z&to=2026-11-25T00:00:00Z";
    let summary = get_json(&serving.url(&format!("/api/summary?{window}"))).await;
    assert_eq!(summary["exact"], false, "{summary}");
    let page = get_json(&serving.url(&format!("/api/latency?limit=1000&{window}"))).await;
    assert_eq!(page.as_array().map(Vec::len), Some(1000));
    serving.cycle().await;
    assert!(!days.join("rollups").exists());
    setup.assert_verified().await;
    drop(closed);
    let again = get_json(&serving.url(&format!("/api/summary?{window}&step=1d"))).await;
    assert_eq!(again["groups"], summary["groups"]);
    assert_eq!(serving.terminate().await, Some(0));
}
