//! No room, in every step that writes: the real program, for which no file may grow beyond some size. Nothing of the user's is
//! lost, nothing half-written has a final name, and the same command goes through when there is room.

use std::{collections::BTreeMap, fs, path::Path};

use super::support::{
    limits::NoFileOver,
    monitor::{Ended, Setup},
};

/// A day of it is 384 rows, some 97 kB.
const MADE_UP: [&str; 9] =
    ["mock-history", "--models", "2", "--interval", "1800", "--until", "2026-11-24", "--days", "2"];
pub(crate) const DAY_ROWS: usize = 384;

pub(crate) async fn made_up(setup: &Setup, more: &[&str]) {
    let ended = setup.run(&[MADE_UP.as_slice(), more].concat()).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Every file below `folder`, by its path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("Unicode");
        if entry.path().is_dir() {
            found.extend(files(&entry.path()).into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
        } else {
            found.insert(name, fs::read(entry.path()).expect("a file"));
        }
    }
    found
}

fn assert_no_room(ended: &Ended, file: &str) {
    assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
    let said =
        format!("{file}: no space left on the device, or within a quota or limit of file sizes; make room there");
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
}

pub(crate) async fn stored(setup: &Setup) -> Vec<String> {
    let exported = setup.run(&["export"]).await;
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);
    let mut rows: Vec<_> = exported.stdout.lines().skip(1).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

#[tokio::test]
async fn mock_history_leaves_nothing_behind() {
    for (layout, out, first, blocks) in [
        ("csv", "new/past.csv", "new/past.csv", 200),
        ("days", "new", "new/latency_data.d/date=2026-11-23.csv", 100),
        ("s3", "new", "new/records/environment=dev/date=2026-11-23/hour=00/monitor-local.csv", 1),
    ] {
        let setup = Setup::new();
        let args = [MADE_UP.as_slice(), &["--layout", layout, "--out", out]].concat();
        for blocks in [0, blocks] {
            assert_no_room(&setup.run_by(&NoFileOver::blocks(blocks).by(), &args).await, first);
            assert_eq!(fs::read_dir(setup.folder()).expect("a folder").count(), 0, "{layout}");
        }
        assert_eq!(setup.run(&args).await.code, Some(0));
        assert!(files(setup.folder()).contains_key(first), "{layout}");
        assert_eq!(setup.run(&["verify", out]).await.code, Some(0));
    }
}

/// A name that is taken is found before anything gets its name.
#[tokio::test]
async fn mock_history_writes_all_its_files_or_none() {
    let setup = Setup::new();
    let taken = setup.csv_path();
    fs::write(&taken, "mine").expect("written");
    let refused = setup.run(&[MADE_UP.as_slice(), &["--layout", "days", "--out", "."]].concat()).await;
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("latency_data.csv is there already"), "{}", refused.stderr);
    assert_eq!(files(setup.folder()), BTreeMap::from([("latency_data.csv".to_owned(), b"mine".to_vec())]));
}

#[tokio::test]
async fn an_export_is_whole_or_what_was_there_before() {
    let setup = Setup::new();
    made_up(&setup, &[]).await;
    let little = NoFileOver::blocks(100);
    let export = ["export", "--output", "out.csv"];
    let before = files(setup.folder());
    assert_no_room(&setup.run_by(&little.by(), &export).await, "out.csv");
    assert_eq!(files(setup.folder()), before);
    fs::write(setup.folder().join("out.csv"), "last month's").expect("written");
    let before = files(setup.folder());
    assert_no_room(&setup.run_by(&little.by(), &export).await, "out.csv");
    assert_eq!(files(setup.folder()), before);
    assert_eq!(setup.run(&export).await.code, Some(0));
    assert_eq!(files(setup.folder())["out.csv"], setup.run(&["export"]).await.stdout.into_bytes());
    let to_full = ["/bin/sh", "-c", "exec \"$@\" > /dev/full", "sh"];
    assert_no_room(&setup.run_by(&to_full, &["export"]).await, "standard output");
    // Where not even the reason can be written, the code tells.
    let all_full = ["/bin/sh", "-c", "exec \"$@\" > /dev/full 2>&1", "sh"];
    assert_eq!(setup.run_by(&all_full, &["export"]).await.code, Some(2));
    setup.assert_verified().await;
}

#[tokio::test]
async fn an_import_takes_whole_days_and_goes_on_where_it_ended() {
    let setup = Setup::new();
    made_up(&setup, &["--out", "old.csv"]).await;
    let path = setup.folder().join("old.csv");
    let old = fs::read_to_string(&path).expect("a file");
    // The first day fits.
    let ended = setup.run_by(&NoFileOver::blocks(250).by(), &["import", "old.csv"]).await;
    assert_no_room(&ended, "latency_data.csv");
    assert!(ended.stderr.contains("2026-11-24 was not finished; run it again"), "{}", ended.stderr);
    assert_eq!(stored(&setup).await.len(), DAY_ROWS);
    setup.assert_verified().await;
    let ended = setup.run_by(&NoFileOver::blocks(0).by(), &["import", "old.csv"]).await;
    assert_no_room(&ended, "latency_data.csv");
    assert_eq!(fs::read_to_string(&path).expect("a file"), old);

    let ended = setup.run(&["import", "old.csv"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("384 taken, 384 already there"), "{}", ended.stdout);
    let mut rows: Vec<_> = old.lines().skip(1).collect();
    rows.sort_unstable();
    assert_eq!(stored(&setup).await, rows);
    setup.assert_verified().await;
}

/// First what is no row, then the rows: nothing is taken whose neighbours could not be kept.
#[tokio::test]
async fn an_import_whose_bad_rows_cannot_be_set_aside_takes_nothing() {
    let setup = Setup::new();
    let header = "model_name,timestamp,latency_ms";
    let bad = format!("m,yesterday,{}\n", "9".repeat(100)).repeat(20);
    fs::write(setup.folder().join("old.csv"), format!("{header}\nm,2026-11-24T00:00:00Z,1\n{bad}")).expect("written");
    let aside = setup.folder().join("old.csv.import.rejected");
    fs::write(&aside, "of the last time").expect("written");
    let ended = setup.run_by(&NoFileOver::blocks(2).by(), &["import", "old.csv"]).await;
    assert_no_room(&ended, "old.csv.import.rejected");
    assert_eq!(fs::read_to_string(&aside).expect("a file"), "of the last time");
    assert!(files(setup.folder()).keys().all(|name| !name.starts_with(".llm-monitor")));
    assert_eq!(stored(&setup).await.len(), 0);
    setup.assert_verified().await;
    assert_eq!(setup.run(&["import", "old.csv"]).await.code, Some(1));
    assert_eq!(stored(&setup).await.len(), 1);
    let aside = fs::read_to_string(&aside).expect("a file");
    assert_eq!(aside.lines().filter(|line| !line.starts_with('#')).count(), 20);
}

/// Rows that are too many for the memory are sorted by day in the temporary folder.
#[tokio::test]
async fn an_import_that_cannot_sort_its_rows_takes_none_and_leaves_nothing() {
    const ROWS: u32 = 64_000;
    let setup = Setup::new();
    let served = "x".repeat(500);
    // Some 37 MB, of which the first day has two thirds.
    let row = |number: u32| {
        let (day, second) = (23 + number / 43_000, number % 43_000);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        format!("m,dev,2026-11-{day}T{hour:02}:{minute:02}:{second:02}Z,1,success,{served}\n")
    };
    let rows: String = (0..ROWS).map(row).collect();
    let old = format!("model_name,environment,timestamp,latency_ms,status,served_model\nm,dev,yesterday\n{rows}");
    fs::write(setup.folder().join("old.csv"), &old).expect("written");
    for blocks in [1_000, 40_000] {
        let ended = setup.run_by(&NoFileOver::blocks(blocks).by(), &["import", "old.csv"]).await;
        assert_no_room(&ended, &format!("the temporary folder {}", setup.folder().display()));
        assert!(ended.stderr.contains("cannot sort the rows of old.csv: "), "{}", ended.stderr);
        let mut left = files(setup.folder());
        left.retain(|name, _| !name.starts_with("latency_data."));
        assert_eq!(left.keys().collect::<Vec<_>>(), ["old.csv"], "no temporary file, and none of bad rows");
        assert_eq!(stored(&setup).await.len(), 0);
        setup.assert_verified().await;
    }
    let ended = setup.run(&["import", "old.csv"]).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains(&format!("{ROWS} taken, 0 already there, 1 set aside")), "{}", ended.stdout);
    assert_eq!(fs::read_to_string(setup.folder().join("old.csv")).expect("a file"), old);
    assert!(files(setup.folder()).keys().all(|name| !name.contains("llm-monitor-")));
    assert_eq!(stored(&setup).await.len(), ROWS as usize);
    setup.assert_verified().await;
}

#[tokio::test]
async fn a_backup_goes_on_where_it_ended() {
    let setup = Setup::new();
    made_up(&setup, &[]).await;
    let source = setup.csv();
    for (blocks, rows) in [(0, 0), (250, DAY_ROWS)] {
        let ended = setup.run_by(&NoFileOver::blocks(blocks).by(), &["backup", "copy"]).await;
        assert_no_room(&ended, "copy/latency_data.csv");
        assert_eq!(setup.csv(), source, "the source is not touched");
        if rows > 0 {
            let verified = setup.run(&["verify", "copy/latency_data.csv"]).await;
            assert_eq!(verified.code, Some(0), "{}", verified.stdout);
            assert!(verified.stdout.contains(&format!("{rows} rows in")), "{}", verified.stdout);
        }
    }
    let ended = setup.run(&["backup", "copy"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("384 records copied, 384 there already"), "{}", ended.stdout);
    let rows = stored(&setup).await;
    setup.assert_verified().await;
    let copy = setup.with([("LATENCY_DATA_CSV", "copy/latency_data.csv")]);
    assert_eq!(stored(&copy).await, rows);
    copy.assert_verified().await;
}

/// Which days are copied is noted last: without room for it they are compared, and no row is lost or doubled.
#[tokio::test]
async fn a_backup_that_cannot_note_what_it_copied_is_whole_and_compares_it_again() {
    let setup = Setup::new();
    made_up(&setup, &[]).await;
    // Opened again, the copy moves its finished days; then there is nothing left to write but the note.
    for _ in 0..2 {
        assert_eq!(setup.run(&["backup", "copy"]).await.code, Some(0));
    }
    let note = setup.folder().join("copy/latency_data.d/backup.json");
    let other = r#"{"source":"elsewhere","days":{}}"#;
    fs::write(&note, other).expect("written");
    let copy = || setup.run(&["verify", "copy/latency_data.csv"]);
    for _ in 0..2 {
        let ended = setup.run_by(&NoFileOver::blocks(0).by(), &["backup", "copy"]).await;
        assert_no_room(&ended, "copy/latency_data.d/backup.json");
        assert_eq!(fs::read_to_string(&note).expect("a note"), other, "the note of before stays");
        assert!(files(setup.folder()).keys().all(|name| !name.contains(".new")), "no half of one");
        let verified = copy().await;
        assert_eq!(verified.code, Some(0), "{}", verified.stdout);
        assert!(verified.stdout.contains("768 rows in"), "{}", verified.stdout);
    }
    for said in ["0 records copied, 768 there already", "0 records copied, 0 there already"] {
        let ended = setup.run(&["backup", "copy"]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stdout.starts_with(said), "{}", ended.stdout);
    }
    assert_ne!(fs::read_to_string(&note).expect("a note"), other);
}

#[tokio::test]
async fn an_upgrade_leaves_the_old_file_and_what_was_set_aside_before() {
    let setup = Setup::new();
    let header = "model_name,timestamp,latency_ms";
    let row = |minute: u32| format!("m,2026-11-24T00:{minute:02}:00Z,1\n");
    let many: String = (0..60).map(row).collect();
    let bad = format!("m,yesterday,{}\n", "9".repeat(700));
    fs::write(setup.folder().join("none.csv"), format!("{header}\n")).expect("written");
    let aside = setup.folder().join("latency_data.csv.rejected");
    for (rows, blocks) in [(many, 4), ((row(0) + &bad + &row(1)).replace("T00:", "T01:"), 4)] {
        let old = format!("{header}\n{rows}");
        fs::write(setup.csv_path(), &old).expect("written");
        fs::write(&aside, "# before\n".repeat(180)).expect("written");
        let without_notes = || {
            let mut files = files(setup.folder());
            files.retain(|name, _| !name.starts_with("latency_data.d/"));
            files
        };
        let before = without_notes();
        assert_no_room(
            &setup.run_by(&NoFileOver::blocks(blocks).by(), &["import", "none.csv"]).await,
            "latency_data.csv",
        );
        assert_eq!(without_notes(), before);
        assert_eq!(setup.run(&["import", "none.csv"]).await.code, Some(0));
        let kept = without_notes().into_iter().find(|(name, _)| name.contains(".before-upgrade-")).expect("kept");
        assert_eq!(kept.1, old.into_bytes());
        fs::remove_file(setup.folder().join(kept.0)).expect("removed");
        setup.assert_verified().await;
    }
    let aside = fs::read_to_string(aside).expect("a file");
    assert_eq!(aside.matches("m,yesterday").count(), 1, "set aside once");
}

#[tokio::test]
async fn a_torn_end_stays_where_it_is_until_it_can_be_set_aside() {
    let setup = Setup::new();
    made_up(&setup, &["--out", "old.csv"]).await;
    let old = fs::read_to_string(setup.folder().join("old.csv")).expect("a file");
    let whole: String = old.split_inclusive('\n').take(4).collect();
    let torn = format!("{whole}gpt-4,dev,2026{}", "x".repeat(500));
    fs::write(setup.csv_path(), &torn).expect("written");
    let aside = setup.folder().join("latency_data.csv.rejected");
    let before = "# before\n".repeat(200);
    fs::write(&aside, &before).expect("written");
    for _ in 0..2 {
        let ended = setup.run_by(&NoFileOver::blocks(4).by(), &["import", "old.csv"]).await;
        assert_no_room(&ended, "latency_data.csv");
        assert_eq!(setup.csv(), torn);
        assert_eq!(fs::read_to_string(&aside).expect("a file"), before);
    }
    assert_eq!(setup.run(&["import", "old.csv"]).await.code, Some(0));
    let aside = fs::read_to_string(&aside).expect("a file");
    assert!(aside.starts_with(&before) && aside.matches("gpt-4,dev,2026xxx").count() == 1, "{aside}");
    assert_eq!(stored(&setup).await.len(), 2 * DAY_ROWS);
    setup.assert_verified().await;
}
