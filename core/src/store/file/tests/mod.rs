#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod bulk;
mod crash;
mod days;
mod faults;
mod late;
mod moving;
mod place;
mod retention;
mod rotation;
mod upgrade;

use std::{fs, io, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::NaiveDate;
use tempfile::TempDir;

use super::*;
use crate::{
    record::{CycleId, Record, csv},
    store::{
        AppendReport, Appended, Batch, Scope, Segment, Store,
        contract::{self, Backend, Load, Place, all_rows, cycle, environment},
    },
};

const ONE_FILE: FileOptions = FileOptions { rotate: false, retention_days: None, keep_decoded_bytes: 0 };

/// A folder with a CSV in it.
#[derive(Debug)]
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    /// In memory where the system has such a place: for tests that open a file thousands of times and would wait for the
    /// disk each time.
    fn quick() -> Self {
        let memory = Path::new("/dev/shm");
        if memory.is_dir() { Self(TempDir::new_in(memory).expect("a folder")) } else { Self::new() }
    }

    fn with(content: impl AsRef<[u8]>) -> Self {
        let folder = Self::new();
        fs::write(folder.csv(), content).expect("written");
        folder
    }

    fn csv(&self) -> PathBuf {
        self.0.path().join("latency_data.csv")
    }

    fn content(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.csv()).expect("readable")).into_owned()
    }

    fn rejected(&self) -> String {
        fs::read(aside::rejected_path(&self.csv()))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Opened with all days left in the one file.
    fn open(&self) -> Arc<dyn Store> {
        Arc::new(FileStore::open_with(self.csv(), ONE_FILE).expect("opens"))
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.0.path().join("latency_data.d").join(name)
    }
}

#[derive(Debug)]
struct Files;

#[async_trait]
impl Backend for Files {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Folder::quick())
    }
}

#[async_trait]
impl Place for Folder {
    async fn open(&self) -> Arc<dyn Store> {
        Folder::open(self)
    }
}

/// A file as we write it.
fn file_of(records: &[Record]) -> Vec<u8> {
    let mut bytes = (csv::header_line() + "\n").into_bytes();
    for record in records {
        csv::encode(record, &mut bytes);
    }
    bytes
}

fn written(report: &AppendReport, name: &str) -> Appended {
    report.get(&environment(name)).expect("an outcome").clone().expect("no failure")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_file_store_keeps_the_guarantees() {
    contract::every_guarantee(&Files, Load { writers: 8, appends: 25 }).await;
}

#[tokio::test]
async fn a_file_that_we_wrote_is_plain_csv_with_one_header() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(&cycle(0, &["dev"], 2)).await;
    store.append(&cycle(1, &["dev", "prod"], 1)).await;
    let expected: Vec<_> =
        [cycle(0, &["dev"], 2), cycle(1, &["dev", "prod"], 1)].into_iter().flat_map(|b| b.records).collect();
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&expected));
}

#[tokio::test]
async fn closed_segments_never_change() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(&cycle(0, &["dev", "prod"], 12_000)).await;
    let closed = |segments: Vec<Segment>| segments.into_iter().filter(|segment| !segment.is_open).collect::<Vec<_>>();
    let listed = store.segments(&Scope::default()).await.expect("listed");
    assert_eq!(listed.iter().filter(|segment| segment.is_open).count(), 1, "one segment is open");
    let before = closed(listed);
    assert!(before.len() >= 2, "{} closed segments", before.len());
    assert!(before.iter().all(|segment| segment.size_bytes < 1_100_000), "segments are of about 1 MiB");
    let mut contents = Vec::new();
    for segment in &before {
        contents.push(store.read(segment).await.expect("readable"));
    }
    for minute in 1..20 {
        store.append(&cycle(minute, &["dev"], 5)).await;
    }
    drop(store);
    let store = folder.open();
    let after = closed(store.segments(&Scope::default()).await.expect("listed"));
    assert_eq!(after.get(..before.len()), Some(before.as_slice()), "also after a restart");
    for (segment, content) in before.iter().zip(contents) {
        assert_eq!(store.read(segment).await.expect("readable"), content);
    }
}

#[tokio::test]
async fn a_segment_names_the_line_on_which_it_begins() {
    let folder = Folder::new();
    let store = folder.open();
    let mut batch = cycle(0, &["dev"], 10_000);
    batch.records.iter_mut().step_by(7).for_each(|record| record.model_name = "two\nlines".to_owned());
    store.append(&batch).await;
    let content = folder.content();
    for store in [store, Arc::new(FileStore::open_read_only(folder.csv()).expect("opens"))] {
        for segment in store.segments(&Scope::default()).await.expect("listed") {
            let start: usize = segment.name.rsplit_once('@').and_then(|(_, at)| at.parse().ok()).expect("an offset");
            let line = 1 + content[..start].matches('\n').count() as u64;
            assert_eq!(segment.first_line, line, "{}", segment.name);
        }
    }
}

/// Cycles so old that they have left the memory are found in the rows.
#[tokio::test]
async fn an_old_cycle_repeated_adds_nothing() {
    let mut records: Vec<_> =
        (0..9_000).filter(|minute| *minute != 7).flat_map(|minute| cycle(minute, &["dev"], 1).records).collect();
    records.extend(cycle(7, &["qa"], 1).records);
    let folder = Folder::with(file_of(&records));
    let store = folder.open();
    assert_eq!(written(&store.append(&cycle(3, &["dev"], 1)).await, "dev"), Appended::AlreadyThere);
    assert_eq!(written(&store.append(&cycle(8_999, &["dev"], 1)).await, "dev"), Appended::AlreadyThere);
    let report = store.append(&cycle(7, &["dev", "qa"], 1)).await;
    assert_eq!(written(&report, "dev"), Appended::Written { rows: 1 });
    assert_eq!(written(&report, "qa"), Appended::AlreadyThere);
    assert_eq!(written(&store.append(&cycle(7, &["dev"], 1)).await, "dev"), Appended::AlreadyThere);
    assert_eq!(all_rows(&store).await.len(), 9_001);
}

#[tokio::test]
async fn unreadable_rows_are_counted_and_stay_where_they_are() {
    let mut text = file_of(&cycle(0, &["dev"], 1).records);
    text.extend_from_slice(b"m,dev,2026-11-24T16:54:00Z,NaN,,,,,,\n\"oops\"x\n");
    csv::encode(&cycle(1, &["dev"], 1).records[0], &mut text);
    text.extend_from_slice(b"m,dev,yesterday,1,,,,,,\n");
    let folder = Folder::with(&text);
    let store = folder.open();
    assert_eq!(store.health().await.skipped_rows, 3);
    assert_eq!(fs::read(folder.csv()).expect("readable"), text, "nothing is moved");
    store.append(&cycle(2, &["dev"], 1)).await;
    assert!(folder.content().starts_with(&String::from_utf8_lossy(&text).into_owned()));
    let segments = store.segments(&Scope::default()).await.expect("listed");
    let decoded = csv::decode(&store.read(&segments[0]).await.expect("readable"), segments[0].first_line);
    assert_eq!(decoded.records.len(), 3);
    assert_eq!(decoded.problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [3, 4, 6]);
}

#[tokio::test]
async fn columns_of_others_are_kept_and_left_blank() {
    let header = format!("shiny,{},sparkle", csv::header_line());
    let mut row = Vec::new();
    csv::encode(&cycle(0, &["dev"], 1).records[0], &mut row);
    let row = String::from_utf8(row).expect("UTF-8");
    let folder = Folder::with(format!("{header}\n1,{},x\n", row.trim_end()));
    let store = folder.open();
    store.append(&cycle(1, &["dev"], 1)).await;
    let content = folder.content();
    let lines: Vec<_> = content.lines().collect();
    assert_eq!(lines[0], header);
    assert!(lines[1].starts_with("1,model-") && lines[1].ends_with(",x"));
    assert!(lines[2].starts_with(",model-") && lines[2].ends_with(','));
    assert_eq!(lines[2].split(',').count(), header.split(',').count());
    let expected: Vec<_> =
        [cycle(0, &["dev"], 1), cycle(1, &["dev"], 1)].into_iter().flat_map(|batch| batch.records).collect();
    assert_eq!(all_rows(&store).await, expected);
}

#[tokio::test]
async fn usage_files_and_catalogs_lie_beside_the_file() {
    let folder = Folder::new();
    let store = folder.open();
    let day = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a day");
    store.append_usage(&environment("qa"), day, "a", Bytes::from("1\n")).await.expect("written");
    store.save_catalog(&environment("qa"), Bytes::from("{}")).await.expect("written");
    let beside = folder.0.path().join("latency_data.d");
    let usage = beside.join("usage/environment=qa/date=2026-11-24.csv");
    assert_eq!(fs::read_to_string(&usage).expect("readable"), "a\n1\n");
    assert_eq!(fs::read_to_string(beside.join("catalog/environment=qa.json")).expect("readable"), "{}");
    fs::write(&usage, "a\n1\ntorn").expect("written");
    store.append_usage(&environment("qa"), day, "a", Bytes::from("2\n")).await.expect("written");
    assert_eq!(fs::read_to_string(&usage).expect("readable"), "a\n1\ntorn\n2\n");
    fs::write(&usage, "").expect("written");
    store.append_usage(&environment("qa"), day, "a", Bytes::from("3\n")).await.expect("written");
    assert_eq!(fs::read_to_string(&usage).expect("readable"), "a\n3\n", "an empty file gets its header");
}

/// A line of megabytes costs itself, whether its end is there or not, and is never held whole.
#[tokio::test]
async fn an_endless_line_is_passed_over() {
    let (first, second) = (cycle(0, &["dev"], 1).records, cycle(1, &["dev"], 1).records);
    let row = |records: &[Record]| file_of(records)[file_of(&[]).len()..].to_vec();
    let huge = vec![b'x'; 3_000_000];
    let within = [file_of(&first), huge.clone(), b"\n".to_vec(), row(&second)].concat();
    let folder = Folder::with(&within);
    let store = folder.open();
    assert_eq!(store.health().await.skipped_rows, 1);
    let mut latencies = Vec::new();
    let mut problems = Vec::new();
    for segment in store.segments(&Scope::default()).await.expect("listed") {
        let decoded = csv::decode(&store.read(&segment).await.expect("readable"), segment.first_line);
        latencies.extend(decoded.records.into_iter().filter_map(|record| record.latency_ms));
        problems.extend(decoded.problems.into_iter().map(|problem| (problem.line, problem.reason)));
    }
    assert_eq!(latencies, [0.125, 1.125]);
    assert_eq!(problems, Vec::<(u64, String)>::new(), "nobody needs to read it to know that it is no row");

    let at_the_end = [file_of(&first), huge].concat();
    let folder = Folder::with(&at_the_end);
    let store = folder.open();
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&first));
    assert!(folder.rejected().len() > 3_000_000, "it is set aside whole");
    store.append(&cycle(1, &["dev"], 1)).await;
    assert_eq!(all_rows(&store).await, [first, second].concat());
}
