//! Where the file may be, and who may have it.

use super::*;

fn refusal(path: &Path) -> String {
    FileStore::open(path).map(|_| ()).expect_err("refused").to_string()
}

#[tokio::test]
async fn a_second_writer_is_kept_out_and_told_by_whom() {
    let folder = Folder::new();
    let first = folder.open();
    let error = FileStore::open(folder.csv()).map(|_| ()).expect_err("locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&format!("(pid {})", std::process::id())), "{error}");
    drop(first);
    folder.open();
}

#[tokio::test]
async fn a_reader_needs_no_lock_and_changes_nothing() {
    let folder = Folder::new();
    let writer = folder.open();
    writer.append(&cycle(0, &["dev"], 2)).await;
    let before = fs::read(folder.csv()).expect("readable");
    let reader: Arc<dyn Store> = Arc::new(FileStore::open_read_only(folder.csv()).expect("opens"));
    assert_eq!(all_rows(&reader).await, cycle(0, &["dev"], 2).records);
    let report = reader.append(&cycle(1, &["dev"], 1)).await;
    assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Unusable { .. }))), "{report:?}");
    assert!(reader.save_catalog(&environment("dev"), Bytes::new()).await.is_err());
    assert_eq!(fs::read(folder.csv()).expect("readable"), before);
}

#[tokio::test]
async fn an_old_and_torn_file_is_read_as_it_is_by_a_reader() {
    let text = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/mixture.csv"));
    let torn = [&text[..], b"gpt-4,dev,2025"].concat();
    let folder = Folder::with(&torn);
    let reader: Arc<dyn Store> = Arc::new(FileStore::open_read_only(folder.csv()).expect("opens"));
    let mut found = all_rows(&reader).await;
    let mut expected = csv::decode(text, 2).records;
    found.sort_by_key(|record| record.timestamp);
    expected.sort_by_key(|record| record.timestamp);
    assert_eq!(found, expected);
    assert_eq!(reader.health().await.skipped_rows, 1);
    assert_eq!(fs::read(folder.csv()).expect("readable"), torn);
    assert_eq!(fs::read_dir(folder.0.path()).expect("listed").count(), 1, "nothing is made beside it");
}

#[test]
fn a_missing_file_is_made_with_its_folders_but_not_by_a_reader() {
    let folder = Folder::new();
    let path = folder.0.path().join("a/b/mine.csv");
    let error = FileStore::open_read_only(&path).map(|_| ()).expect_err("refused");
    assert!(error.to_string().ends_with("mine.csv: does not exist"), "{error}");
    let store = FileStore::open(&path).expect("opens");
    assert_eq!(fs::read_to_string(&path).expect("readable"), csv::header_line() + "\n");
    assert!(store.folder().ends_with("a/b/mine.d"));
}

#[test]
fn what_is_no_file_of_ours_is_refused_with_the_reason() {
    let folder = Folder::new();
    assert!(refusal(folder.0.path()).contains("is a folder"));
    let foreign = Folder::with("name,age\nAda,36\n");
    assert!(refusal(&foreign.csv()).contains("is no latency data"), "{}", refusal(&foreign.csv()));
    assert_eq!(foreign.content(), "name,age\nAda,36\n", "a foreign file is left alone");
    let binary = Folder::with([0xff, 0x00, 0x12, b'\n', 0x80]);
    assert!(refusal(&binary.csv()).contains("is no latency data"));
    assert!(FileStore::open_read_only(foreign.csv()).is_err());
    let below_a_file = foreign.csv().join("x.csv");
    assert!(matches!(FileStore::open(below_a_file), Err(StoreError::Unusable { .. })));
}

#[cfg(unix)]
#[test]
fn a_device_and_a_read_only_file_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    assert!(refusal(Path::new("/dev/null")).contains("is not a regular file"));
    let folder = Folder::with(file_of(&[]));
    fs::set_permissions(folder.csv(), fs::Permissions::from_mode(0o444)).expect("set");
    let text = refusal(&folder.csv());
    assert!(text.contains("read-only") || text.contains("cannot be opened for writing"), "{text}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_symbolic_link_stays_one() {
    let folder = Folder::new();
    let real = folder.0.path().join("real.csv");
    fs::write(&real, "model_name,timestamp,latency_ms\nm,2026-11-24T16:54:00Z,1\n").expect("written");
    std::os::unix::fs::symlink(&real, folder.csv()).expect("linked");
    let store = folder.open();
    assert_eq!(all_rows(&store).await.len(), 1);
    assert!(fs::symlink_metadata(folder.csv()).expect("there").is_symlink());
    assert!(fs::read_to_string(&real).expect("readable").starts_with(&csv::header_line()));
}
