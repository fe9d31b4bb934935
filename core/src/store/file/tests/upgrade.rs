//! Files of other ages.

use super::*;

const OLDEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/oldest.csv"));
const NEWEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/newest.csv"));
const MIXTURE: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/mixture.csv"));

/// Files beside the CSV whose names contain `part`.
fn beside(folder: &Folder, part: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.0.path()).expect("listed");
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(part))).collect()
}

/// As read back after an upgrade: durations to the microsecond.
fn rounded(records: &[Record]) -> Vec<Record> {
    csv::decode(&file_of(records), 2).records
}

#[tokio::test]
async fn the_predecessors_files_are_brought_up_to_date_and_kept() {
    for original in [OLDEST, NEWEST, MIXTURE] {
        let folder = Folder::with(original);
        let store = folder.open();
        let expected = rounded(&csv::decode(original, 2).records);
        assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&expected));
        let kept = beside(&folder, ".before-upgrade-");
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read(&kept[0]).expect("readable"), original, "the original is kept whole");
        assert_eq!(folder.rejected(), "");
        assert_eq!(store.health().await.skipped_rows, 0);
        // Still locked, appended to, and not upgraded again.
        assert!(matches!(FileStore::open(folder.csv()), Err(StoreError::Locked { .. })));
        assert_eq!(written(&store.append(&cycle(0, &["dev"], 1)).await, "dev"), Appended::Written { rows: 1 });
        drop(store);
        let store = folder.open();
        assert_eq!(all_rows(&store).await.len(), expected.len() + 1);
        assert_eq!(beside(&folder, ".before-upgrade-").len(), 1);
    }
}

#[tokio::test]
async fn unreadable_rows_of_an_old_file_are_set_aside_with_their_lines() {
    let text =
        [OLDEST, b"gpt-4,2025-04-30T11:08:37,NaN,14,128,,,8192,True\n\"torn,2025\n", &OLDEST[..0], b"x,2025-04-30T1"]
            .concat();
    let folder = Folder::with(&text);
    let store = folder.open();
    assert_eq!(all_rows(&store).await, rounded(&csv::decode(OLDEST, 2).records));
    assert_eq!(store.health().await.skipped_rows, 3);
    let rejected = folder.rejected();
    assert!(rejected.contains("line 5: latency_ms is \"NaN\""), "{rejected}");
    assert!(rejected.contains("gpt-4,2025-04-30T11:08:37,NaN,14,128,,,8192,True\n"), "{rejected}");
    assert!(rejected.contains("line 6:") && rejected.contains("\"torn,2025\n"), "{rejected}");
    assert!(rejected.contains("line 7:") && rejected.ends_with("x,2025-04-30T1\n"), "{rejected}");
    assert_eq!(beside(&folder, "upgrading"), Vec::<PathBuf>::new());
}

/// Killed while rewriting: the original still has its name, and the next start begins again.
#[tokio::test]
async fn an_upgrade_broken_off_begins_again() {
    let folder = Folder::with(MIXTURE);
    fs::write(folder.0.path().join("latency_data.csv.upgrading"), "half a fi").expect("written");
    fs::write(folder.0.path().join("latency_data.csv.rejected.upgrading"), "half").expect("written");
    fs::hard_link(folder.csv(), folder.0.path().join("latency_data.csv.before-upgrade-20261124T000000Z"))
        .expect("linked");
    let store = folder.open();
    assert_eq!(all_rows(&store).await.len(), csv::decode(MIXTURE, 2).records.len());
    for kept in beside(&folder, ".before-upgrade-") {
        assert_eq!(fs::read(kept).expect("readable"), MIXTURE);
    }
    assert_eq!(folder.rejected(), "");
}

#[tokio::test]
async fn an_upgrade_that_cannot_be_made_leaves_the_file_alone() {
    let folder = Folder::with(NEWEST);
    fs::create_dir(folder.0.path().join("latency_data.csv.upgrading")).expect("created");
    let error = FileStore::open(folder.csv()).map(|_| ()).expect_err("refused");
    assert!(error.to_string().contains("could not be rewritten"), "{error}");
    assert_eq!(fs::read(folder.csv()).expect("readable"), NEWEST);
}

#[tokio::test]
async fn rows_without_a_header_and_files_put_together_are_brought_up_to_date() {
    let rows = "m,dev,2026-11-24T16:54:00Z,1,,,,,,\nm,2026-11-24T16:55:00Z,2,1,1,,,4096,True\n";
    let together = format!("{}\n{rows}latency_ms,model_name,timestamp\n3,n,2026-11-24T16:56:00Z", csv::header_line());
    for (text, count) in [(rows.to_owned(), 2), (together, 3)] {
        let folder = Folder::with(text);
        let store = folder.open();
        let latencies: Vec<_> = all_rows(&store).await.iter().filter_map(|record| record.latency_ms).collect();
        assert_eq!(latencies, [1.0, 2.0, 3.0][..count]);
        assert!(folder.content().starts_with(&csv::header_line()));
        assert_eq!(folder.content().lines().count(), 1 + count);
    }
}

#[tokio::test]
async fn a_lone_header_without_line_end_is_gone_on_with() {
    for header in ["model_name,timestamp,latency_ms".to_owned(), format!("{},extra", csv::header_line())] {
        let folder = Folder::with(&header);
        let store = folder.open();
        store.append(&cycle(0, &["dev"], 1)).await;
        assert_eq!(all_rows(&store).await, cycle(0, &["dev"], 1).records, "{header}");
    }
}
