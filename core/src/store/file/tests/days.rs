//! Days' files as they are found: large, many, and damaged by hand.

use super::{
    rotation::{Machine, assert_rows, day_of, records},
    *,
};

/// A day of 4 × 8,000 rows: some megabytes.
fn large_day() -> Vec<Record> {
    let mut batch = cycle(0, &["dev", "prod"], 16_000);
    batch.records.iter_mut().step_by(9).for_each(|record| record.model_name.push_str("\nsecond line"));
    batch.records
}

async fn only_segment(store: &Arc<dyn Store>) -> Segment {
    let mut segments = store.segments(&Scope::default()).await.expect("listed");
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments.remove(0)
}

/// The rows of a segment read part by part, and the lines of those that cannot be read.
async fn in_parts(store: &Arc<dyn Store>, segment: &Segment) -> (Vec<Record>, Vec<u64>) {
    let (mut rows, mut problems) = (Vec::new(), Vec::new());
    for part in store.parts(segment).await.expect("divided") {
        assert!(part.size_bytes < 1_200_000, "{part:?}");
        let decoded = csv::decode(&store.read(&part).await.expect("readable"), part.first_line);
        assert!(decoded.records.iter().all(|row| Some(row.timestamp) >= part.earliest), "{part:?}");
        assert!(decoded.records.iter().all(|row| Some(row.timestamp) <= part.latest), "{part:?}");
        rows.extend(decoded.records);
        problems.extend(decoded.problems.into_iter().map(|problem| problem.line));
    }
    (rows, problems)
}

fn with_day(content: impl AsRef<[u8]>) -> Folder {
    let folder = Folder::quick();
    fs::create_dir(folder.beside("")).expect("created");
    fs::write(folder.beside("date=2026-11-24.csv"), content).expect("written");
    folder
}

fn open(folder: &Folder) -> Arc<dyn Store> {
    Machine::at("2026-11-26T20:00:00Z").open(folder)
}

#[tokio::test]
async fn a_day_of_any_size_is_read_in_parts() {
    let rows = large_day();
    let folder = with_day(file_of(&rows));
    let store = open(&folder);
    let day = only_segment(&store).await;
    assert_eq!((&*day.name, day.is_open, day.first_line), ("date=2026-11-24.csv", false, 2));
    assert_eq!(day.earliest, "2026-11-24T00:00:00Z".parse().ok());
    assert_eq!(day.latest, "2026-11-24T23:59:59.999999999Z".parse().ok());
    let parts = store.parts(&day).await.expect("divided");
    assert!(parts.len() > 2, "{} parts", parts.len());
    assert_eq!(parts.iter().map(|part| part.size_bytes).sum::<u64>() + file_of(&[]).len() as u64, day.size_bytes);
    let (found, problems) = in_parts(&store, &day).await;
    assert!(found == rows && problems.is_empty());
    let whole = csv::decode(&store.read(&day).await.expect("readable"), 2).records;
    assert!(whole == rows, "or as a whole");
    assert_eq!(store.parts(&parts[1]).await.expect("divided"), [parts[1].clone()], "a part has none");

    // Changed by hand, in place: what was listed is no more.
    let fewer = file_of(&rows[..16_000]);
    fs::write(folder.beside("date=2026-11-24.csv"), fewer).expect("written");
    for segment in [&day, &parts[0], &parts[2]] {
        assert!(matches!(store.read(segment).await, Err(StoreError::Changed { .. })), "{segment:?}");
    }
    assert!(matches!(store.parts(&day).await, Err(StoreError::Changed { .. })));
    let day = only_segment(&store).await;
    assert!(in_parts(&store, &day).await.0 == rows[..16_000]);
    fs::remove_file(folder.beside("date=2026-11-24.csv")).expect("removed");
    assert!(matches!(store.read(&day).await, Err(StoreError::Changed { .. })));
    assert_eq!(store.segments(&Scope::default()).await.expect("listed"), []);
}

/// Edited in place to the same length: only its time tells.
#[tokio::test]
async fn a_day_edited_in_place_is_another() {
    let folder = with_day(file_of(&records(&day_of("2026-11-24", 1))));
    let store = open(&folder);
    let day = only_segment(&store).await;
    let path = folder.beside("date=2026-11-24.csv");
    let edited = fs::read_to_string(&path).expect("readable").replace("model-00000", "model-77777");
    fs::write(&path, edited).expect("written");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(1);
    File::options().write(true).open(&path).expect("opens").set_modified(later).expect("set");
    assert!(matches!(store.read(&day).await, Err(StoreError::Changed { .. })));
    assert!(all_rows(&store).await.iter().any(|row| row.model_name == "model-77777"));
}

/// Header in the middle, other columns below it, a huge cell, a row that cannot be read and a torn end, with the right lines.
#[tokio::test]
async fn a_large_day_with_faults_is_read_around_them() {
    let rows = large_day();
    let part = |rows: &[Record]| file_of(rows)[file_of(&[]).len()..].to_vec();
    let other_columns = b"timestamp,latency_ms,environment,model_name\n2026-11-24T07:00:00Z,1,qa,m\n";
    let mut content = [file_of(&rows[..8_000]), file_of(&rows[8_000..16_000])].concat();
    content.extend_from_slice(b"m,dev,never,1,,,,,,\n");
    content.extend_from_slice(&part(&rows[16_000..20_000]));
    content.extend_from_slice(&[vec![b'x'; 100_000_000], b"\n".to_vec()].concat());
    content.extend_from_slice(&part(&rows[20_000..]));
    content.extend_from_slice(other_columns);
    content.extend_from_slice(b"2026-11-24T07:00:0");
    let mut lines = content.split(|byte| *byte == b'\n');
    let line_of_never = 1 + lines.position(|line| line.starts_with(b"m,dev,never")).expect("there") as u64;
    let folder = with_day(&content);
    let store = open(&folder);
    let day = only_segment(&store).await;
    let (found, problems) = in_parts(&store, &day).await;
    assert_eq!(found.len(), rows.len() + 1);
    assert!(found[..rows.len()] == rows && found[rows.len()].model_name == "m");
    assert_eq!(problems, [line_of_never]);
    let said = store.health().await.problems;
    assert!(said.len() == 1 && said[0].contains("date=2026-11-24.csv has 3 rows that cannot be read"), "{said:?}");
}

#[tokio::test]
async fn files_that_are_no_days_of_ours_are_told_and_cost_no_other() {
    let good = day_of("2026-11-23", 2);
    let text = String::from_utf8(file_of(&records(&good))).expect("UTF-8");
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let large = |bytes: &[u8]| bytes.repeat(2_000_000 / bytes.len());
    let binary = [0xff, 0x00, 0x12, b'\n', 0x80, 0x81];
    for (content, says) in [
        (utf_16.clone(), "no latency data"),
        (large(&utf_16), "no latency data"),
        (binary.to_vec(), "no latency data"),
        (large(&binary), "no latency data"),
        (b"name,age\nAda,36\n".to_vec(), "no latency data"),
        (Vec::new(), "is empty"),
    ] {
        let folder = with_day(&content);
        fs::write(folder.beside("date=2026-11-23.csv"), &text).expect("written");
        let store = open(&folder);
        assert_eq!(store.health().await.problems, Vec::<String>::new(), "opening reads no days");
        let mut found = Vec::new();
        for segment in store.segments(&Scope::default()).await.expect("listed") {
            found.extend(in_parts(&store, &segment).await.0);
        }
        assert_eq!(found, records(&good), "{says}");
        let said = store.health().await.problems;
        let is_said = said.len() == 1 && said[0].contains("date=2026-11-24.csv") && said[0].contains(says);
        assert!(is_said, "{said:?} should say: {says}");
        assert_eq!(fs::read(folder.beside("date=2026-11-24.csv")).expect("readable"), content, "it is left alone");
        // Put right, it is there, and nothing more is said.
        fs::write(folder.beside("date=2026-11-24.csv"), file_of(&records(&day_of("2026-11-24", 1)))).expect("written");
        store.read(&Segment { name: Arc::from("date=2026-11-24.csv"), ..segment_of_nothing() }).await.expect_err("old");
        let all = records(&[good.clone(), day_of("2026-11-24", 1)].concat());
        assert_rows(&store, &all, "put right").await;
        assert_eq!(store.health().await.problems, Vec::<String>::new());
    }
}

fn segment_of_nothing() -> Segment {
    Segment {
        name: Arc::from(""),
        identity: Arc::from("x"),
        earliest: None,
        latest: None,
        environment: None,
        is_open: false,
        size_bytes: 0,
        first_line: 2,
    }
}

#[tokio::test]
async fn foreign_names_are_ignored_and_rows_of_other_days_told() {
    let folder = with_day(file_of(&records(&day_of("2026-11-24", 1))));
    for name in ["date=2026-11-23.csv.gz", "notes.csv", "date=2026-11-20.csv.new.bak", "date=2026-13-01.csv"] {
        fs::write(folder.beside(name), file_of(&records(&day_of("2026-11-20", 1)))).expect("written");
    }
    fs::create_dir(folder.beside("date=2026-11-22.csv")).expect("created");
    let store = open(&folder);
    assert_rows(&store, &records(&day_of("2026-11-24", 1)), "one day").await;
    let said = store.health().await.problems;
    assert!(said.len() == 1 && said[0].contains("date=2026-11-22.csv is no file"), "{said:?}");
    drop(store);
    let mut rows = large_day();
    rows[7].timestamp += chrono::TimeDelta::days(2);
    fs::write(folder.beside("date=2026-11-24.csv"), file_of(&rows)).expect("written");
    fs::remove_dir(folder.beside("date=2026-11-22.csv")).expect("removed");
    let store = open(&folder);
    let day = only_segment(&store).await;
    in_parts(&store, &day).await;
    let said = store.health().await.problems;
    assert!(said.len() == 1 && said[0].contains("holds rows of other days"), "{said:?}");
}

/// Without header, with CRLF, a byte order mark, another order of columns: each is read by what it says.
#[tokio::test]
async fn days_of_other_shapes_are_read() {
    let rows = records(&day_of("2026-11-24", 1));
    let ours = String::from_utf8(file_of(&rows)).expect("UTF-8");
    let (_, headless) = ours.split_once('\n').expect("lines");
    let crlf = format!("\u{feff}{}", ours.replace('\n', "\r\n"));
    for (content, count) in [
        (headless.to_owned(), 4),
        (crlf, 4),
        ("timestamp,model_name,latency_ms\n2026-11-24T07:00:00Z,m,1\n".to_owned(), 1),
        (format!("{ours}{ours}"), 8),
    ] {
        for repeat in [1, 2_000] {
            let again = content.trim_start_matches('\u{feff}').repeat(repeat - 1);
            let folder = with_day(format!("{content}{again}"));
            let store = open(&folder);
            let day = only_segment(&store).await;
            let (found, problems) = in_parts(&store, &day).await;
            assert_eq!((found.len(), problems), (count * repeat, vec![]), "{content}");
        }
    }
}
