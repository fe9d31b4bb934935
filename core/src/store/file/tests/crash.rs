//! What is there after the process, or the machine, went down at any instant.

use super::*;

/// Rows with everything that can make a cut awkward.
fn odd_records() -> Vec<Record> {
    let texts = ["plain", "a,b", "say \"hi\"", "two\nlines", "\"", "é🦀", "\r\n"];
    let mut records = Vec::new();
    for minute in 0..36 {
        let mut record = cycle(minute, &["dev"], 1).records.remove(0);
        record.model_name = format!("model {}", texts[minute % texts.len()]);
        record.finish_reason = Some(texts[(minute + 3) % texts.len()].to_owned());
        records.push(record);
    }
    records
}

/// The file cut at every byte of its last 4 kB: every row before the cut is there, and the file goes on.
#[tokio::test]
async fn a_file_cut_anywhere_keeps_every_row_before_the_cut() {
    let records = odd_records();
    let bytes = file_of(&records);
    assert!(bytes.len() > 4_096 + csv::header_line().len(), "{} bytes are too few", bytes.len());
    let mut ends = Vec::new();
    for count in 0..=records.len() {
        ends.push(file_of(&records[..count]).len());
    }
    let next = cycle(100, &["dev"], 1);
    let folder = Folder::quick();
    for cut in bytes.len().saturating_sub(4_096).max(ends[0])..=bytes.len() {
        let _ = fs::remove_dir_all(folder.0.path().join("latency_data.d"));
        let _ = fs::remove_file(aside::rejected_path(&folder.csv()));
        fs::write(folder.csv(), &bytes[..cut]).expect("written");
        let store = folder.open();
        let segments = store.segments(&Scope::default()).await.expect("listed");
        let listed: u64 = segments.iter().map(|segment| segment.size_bytes).sum();
        let on_disk = fs::metadata(folder.csv()).expect("there").len() - ends[0] as u64;
        assert_eq!(listed, on_disk, "cut at {cut}: the segments are all of the file");
        // A row that lacks nothing but its line end is whole.
        let whole = ends.iter().filter(|end| **end <= cut + 1).count() - 1;
        let is_torn = ends.iter().all(|end| *end != cut && *end != cut + 1);
        let rejected = folder.rejected();
        assert_eq!(!rejected.is_empty(), is_torn, "cut at {cut}: {rejected:?}");
        if is_torn {
            let torn = String::from_utf8_lossy(&bytes[ends[whole]..cut]).into_owned();
            assert!(rejected.contains(&torn), "cut at {cut}: {torn:?} is not in {rejected:?}");
        }
        assert_eq!(written(&store.append(&next).await, "dev"), Appended::Written { rows: 1 });
        let mut expected = records[..whole].to_vec();
        expected.extend(next.records.clone());
        assert_eq!(all_rows(&store).await, expected, "appended after a cut at {cut}");
    }
}

#[tokio::test]
async fn a_row_of_ours_cut_to_the_length_of_an_older_one_is_set_aside() {
    let mut bytes = file_of(&cycle(0, &["dev"], 1).records);
    bytes.extend_from_slice(b"gpt-4,dev,2026-11-24T16:54:00.000Z,1,,,,,true,success");
    let folder = Folder::with(&bytes);
    let store = folder.open();
    assert_eq!(all_rows(&store).await, cycle(0, &["dev"], 1).records);
    assert!(folder.rejected().contains("gpt-4,dev,"), "{}", folder.rejected());
}

#[tokio::test]
async fn zeros_left_by_a_power_cut_are_set_aside() {
    let mut bytes = file_of(&cycle(0, &["dev"], 2).records);
    bytes.extend_from_slice(&[0; 1_000]);
    let folder = Folder::with(&bytes);
    assert_eq!(all_rows(&folder.open()).await, cycle(0, &["dev"], 2).records);
    assert!(folder.content().ends_with(",\n"));
}

#[tokio::test]
async fn a_new_file_whose_header_was_cut_short_begins_again() {
    let header = csv::header_line() + "\n";
    for cut in 0..=header.len() {
        let folder = Folder::with(&header[..cut]);
        folder.open();
        assert_eq!(folder.content(), header, "cut at {cut}");
        assert_eq!(folder.rejected(), "");
    }
}

/// The process dies after any number of bytes of a batch of two environments: none of its rows is there, and a repeat
/// writes them all.
#[tokio::test]
async fn an_append_cut_short_is_taken_back_whole() {
    let (first, second) = (cycle(0, &["dev", "prod"], 2), cycle(1, &["dev", "prod"], 2));
    let size = (file_of(&second.records).len() - file_of(&[]).len()) as u64;
    for room in 0..size {
        let folder = Folder::quick();
        let (store, faults) = faults::open(&folder);
        store.append(&first).await;
        // As if killed: nothing tidies up.
        faults.set(|faults| (faults.room, faults.cannot_cut) = (Some(room), true));
        assert!(store.append(&second).await.values().all(Result::is_err));
        drop(store);
        let looked = Arc::new(FileStore::open_read_only(folder.csv()).expect("opens")) as Arc<dyn Store>;
        assert_eq!(all_rows(&looked).await, first.records, "{room} bytes, read only");
        let store = folder.open();
        assert_eq!(all_rows(&store).await, first.records, "{room} bytes");
        assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&first.records));
        if room > 0 {
            let torn = &file_of(&second.records)[file_of(&[]).len()..][..room as usize];
            assert!(folder.rejected().contains(&String::from_utf8_lossy(torn).into_owned()), "{room} bytes");
        }
        assert_eq!(written(&store.append(&second).await, "prod"), Appended::Written { rows: 2 });
        assert_eq!(all_rows(&store).await.len(), 8);
    }
}

/// It dies after the last byte and before the answer: the rows are there, and a repeat adds nothing.
#[tokio::test]
async fn an_append_that_was_whole_is_kept() {
    let folder = Folder::new();
    let (store, faults) = faults::open(&folder);
    faults.set(|faults| (faults.cannot_sync, faults.cannot_cut) = (true, true));
    assert!(store.append(&cycle(0, &["dev", "qa"], 2)).await.values().all(Result::is_err));
    drop(store);
    let store = folder.open();
    assert_eq!(all_rows(&store).await, cycle(0, &["dev", "qa"], 2).records);
    assert_eq!(written(&store.append(&cycle(0, &["dev", "qa"], 2)).await, "qa"), Appended::AlreadyThere);
}

/// The note of an append is about the file it was made for, not about one put in its place.
#[tokio::test]
async fn a_note_about_another_file_cuts_nothing() {
    let folder = Folder::new();
    let (store, faults) = faults::open(&folder);
    store.append(&cycle(0, &["dev"], 2)).await;
    faults.set(|faults| (faults.room, faults.cannot_cut) = (Some(10), true));
    store.append(&cycle(1, &["dev"], 9)).await;
    drop(store);
    let others: Vec<_> = cycle(50, &["prod"], 3).records;
    fs::write(folder.csv(), file_of(&others)).expect("written");
    assert_eq!(all_rows(&folder.open()).await, others);
}

/// Tells the next test's other process which file to write.
const VICTIM: &str = "LLM_MONITOR_TEST_VICTIM";

/// The process that the next test kills: it appends, and says what has been acknowledged, until then.
#[allow(clippy::print_stdout, reason = "how it tells what it has acknowledged")]
async fn append_until_killed(path: &str) {
    let store = FileStore::open(path).expect("opens");
    for minute in 0.. {
        let report = store.append(&cycle(minute, &["dev", "prod"], 40)).await;
        assert!(report.values().all(Result::is_ok), "{report:?}");
        println!("acknowledged {minute}");
    }
}

/// `kill -9` in the middle of whatever it does, many times over on one file.
#[tokio::test]
async fn a_killed_process_loses_nothing_that_it_acknowledged() {
    use std::io::BufRead as _;

    if let Ok(path) = std::env::var(VICTIM) {
        return append_until_killed(&path).await;
    }

    for kill_after in [1, 2, 3, 5, 8, 13] {
        let folder = Folder::quick();
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args([
                "--exact",
                "store::file::tests::crash::a_killed_process_loses_nothing_that_it_acknowledged",
                "--nocapture",
            ])
            .env(VICTIM, folder.csv())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = io::BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let acknowledged = |line: String| line.strip_prefix("acknowledged ").and_then(|minute| minute.parse().ok());
        let mut last: Option<usize> = lines.by_ref().filter_map(acknowledged).nth(kill_after);
        child.kill().expect("killed");
        child.wait().expect("reaped");
        last = lines.filter_map(acknowledged).last().or(last);
        let last = last.expect("something was acknowledged");

        let store = folder.open();
        let rows = all_rows(&store).await;
        let acknowledged: Vec<_> = (0..=last).flat_map(|minute| cycle(minute, &["dev", "prod"], 40).records).collect();
        assert_eq!(rows.get(..acknowledged.len()), Some(acknowledged.as_slice()), "acknowledged rows are there");
        assert_eq!(rows.len() % 80, 0, "cycles are whole");
        let repeat = store.append(&cycle(last, &["dev"], 40)).await;
        assert_eq!(written(&repeat, "dev"), Appended::AlreadyThere);
        assert!(matches!(
            written(&store.append(&cycle(1_000_000, &["dev"], 1)).await, "dev"),
            Appended::Written { .. }
        ));
    }
}
