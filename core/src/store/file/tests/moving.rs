//! Moves of days cut short: by a crash, by a full disk, and looked at while they happen.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::TimeDelta;

use super::{
    rotation::{Fault, Machine, assert_rows, day_of, names, records},
    *,
};

/// Two days to move, of which one was closed before and has late rows too, a bad row, and a day that is not over.
struct Scene {
    folder: Folder,
    machine: Machine,
    expected: Vec<Record>,
}

const BAD_ROW: &[u8] = b"m,dev,2026-11-22T10:00:00Z,NaN,,,,,,\n";

impl Scene {
    fn new() -> Self {
        let (saturday, sunday) = (day_of("2026-11-21", 4), day_of("2026-11-22", 2));
        let (monday, tuesday) = (day_of("2026-11-23", 2), day_of("2026-11-24", 2));
        let folder = Folder::quick();
        fs::create_dir(folder.beside("")).expect("created");
        fs::write(folder.beside("date=2026-11-21.csv"), file_of(&records(&saturday[..1]))).expect("written");
        // Somebody cut its last line end.
        let late = file_of(&records(&saturday[1..2]));
        fs::write(folder.beside("date=2026-11-21.late.csv"), &late[..late.len() - 1]).expect("written");
        let in_file = [saturday[2..].to_vec(), sunday.clone(), monday.clone(), tuesday.clone()].concat();
        let text = [&file_of(&records(&in_file[..3]))[..], BAD_ROW, &rows_of(&records(&in_file[3..]))].concat();
        fs::write(folder.csv(), text).expect("written");
        let expected = records(&[saturday, sunday, monday, tuesday].concat());
        Self { folder, machine: Machine::at("2026-11-24T20:00:00Z"), expected }
    }

    async fn assert_whole(&self, store: &Arc<dyn Store>, when: &str) {
        assert_rows_despite_bad_one(store, &self.expected, when).await;
    }

    fn assert_moved(&self, when: &str) {
        let expected =
            ["date=2026-11-21.csv", "date=2026-11-21.late.csv", "date=2026-11-22.csv", "date=2026-11-23.csv"];
        assert_eq!(names(&self.folder), expected, "{when}: nothing else lies there");
        let beside = fs::read_dir(self.folder.0.path()).expect("listed").count();
        assert_eq!(beside, 2, "{when}: nor beside the file");
    }
}

/// Rows without a header.
fn rows_of(records: &[Record]) -> Vec<u8> {
    file_of(records)[file_of(&[]).len()..].to_vec()
}

/// As `assert_rows`, where one row cannot be read.
async fn assert_rows_despite_bad_one(store: &Arc<dyn Store>, expected: &[Record], when: &str) {
    let mut found = Vec::new();
    let mut problems = 0;
    for segment in store.segments(&Scope::default()).await.expect("listed") {
        let decoded = csv::decode(&store.read(&segment).await.expect("nothing moves now"), segment.first_line);
        found.extend(decoded.records);
        problems += decoded.problems.len();
    }
    let sorted = |records: &[Record]| {
        let key = |record: &Record| (record.timestamp, record.environment.to_string(), record.model_name.clone());
        let mut keys: Vec<_> = records.iter().map(key).collect();
        keys.sort();
        keys
    };
    assert!(sorted(&found) == sorted(expected), "{when}: {} rows where {} should be", found.len(), expected.len());
    assert_eq!(problems, 1, "{when}: the bad row");
}

/// How many steps an undisturbed move has.
fn steps_of_a_move() -> usize {
    let scene = Scene::new();
    scene.machine.set_fault(Fault::None);
    scene.machine.open(&scene.folder);
    scene.assert_moved("undisturbed");
    scene.machine.steps()
}

/// The process dies before any one of the steps, and whatever was written stays as it is.
#[tokio::test]
async fn a_crash_at_any_step_loses_and_doubles_nothing() {
    let steps = steps_of_a_move();
    assert!(steps > 15, "{steps} steps");
    for step in 0..steps {
        let scene = Scene::new();
        scene.machine.set_fault(Fault::From(step));
        drop(scene.machine.open(&scene.folder));
        let when = format!("dead at step {step} of {steps}");
        let looked: Arc<dyn Store> = Arc::new(FileStore::open_read_only(scene.folder.csv()).expect("opens"));
        scene.assert_whole(&looked, &format!("{when}, read only")).await;

        // A restart that dies as well, at every step of what it does about it.
        for again in [0, 1, 2, 3] {
            scene.machine.set_fault(Fault::From(again));
            drop(scene.machine.open(&scene.folder));
            scene.assert_whole(&looked, &format!("{when}, and again at {again}, read only")).await;
        }
        scene.machine.set_fault(Fault::None);
        let store = scene.machine.open(&scene.folder);
        scene.assert_whole(&store, &format!("{when}, after a restart")).await;
        scene.assert_moved(&when);
        scene.assert_whole(&looked, &format!("{when}, read only, in the end")).await;
        assert_eq!(store.health().await.problems, Vec::<String>::new(), "{when}");
    }
}

/// The disk is full at one step, or from one on: appends go on, readers see every row once, and it is tried again later.
#[tokio::test]
async fn a_move_that_fails_harms_no_append_and_is_tried_again() {
    let steps = steps_of_a_move();
    for fault in (0..steps).flat_map(|step| [Fault::Once(step), Fault::From(step)]) {
        let mut scene = Scene::new();
        scene.machine.set_fault(fault);
        let store = scene.machine.open(&scene.folder);
        let when = format!("{fault:?} of {steps}");
        scene.assert_whole(&store, &when).await;
        let is_done = fs::read(scene.folder.csv()).expect("readable").len() < 4_000;
        let problems = store.health().await.problems;
        assert_eq!(problems.is_empty(), is_done, "{when}: {problems:?}");
        assert!(problems.iter().all(|text| text.contains("finished days stay in")), "{when}: {problems:?}");

        for number in 2..4 {
            let batch = &day_of("2026-11-24", 4)[number];
            let report = store.append(batch).await;
            assert_eq!(written(&report, "dev"), Appended::Written { rows: 2 }, "{when}");
            scene.expected.extend(batch.records.clone());
            scene.assert_whole(&store, &format!("{when}, after append {number}")).await;
        }
        // A late row as well, while it is as it is.
        let late = &day_of("2026-11-21", 5)[4];
        let is_written = store.append(late).await.values().all(Result::is_ok);
        if is_written {
            scene.expected.extend(late.records.clone());
        }
        scene.assert_whole(&store, &format!("{when}, after a late row")).await;

        let died = scene.expected.clone();
        scene.machine.set_fault(Fault::None);
        scene.machine.advance(TimeDelta::minutes(11));
        let batch = &day_of("2026-11-24", 5)[4];
        store.append(batch).await;
        scene.expected.extend(batch.records.clone());
        scene.assert_whole(&store, &format!("{when}, tried again")).await;
        assert_eq!(store.health().await.problems, Vec::<String>::new(), "{when}");
        drop(store);
        assert!(died.len() < scene.expected.len());
        scene.assert_whole(&scene.machine.open(&scene.folder), &format!("{when}, in the end")).await;
        scene.assert_moved(&when);
    }
}

/// As above, and then the process dies in that state: the note of the move outlives appends that came after it, also where
/// there was room again for these.
#[tokio::test]
async fn a_crash_after_a_failed_move_loses_and_doubles_nothing() {
    let steps = steps_of_a_move();
    for (step, has_room_again) in (0..steps).flat_map(|step| [(step, false), (step, true)]) {
        let mut scene = Scene::new();
        scene.machine.set_fault(Fault::From(step));
        let store = scene.machine.open(&scene.folder);
        if has_room_again {
            scene.machine.set_fault(Fault::None);
        }
        for batch in [&day_of("2026-11-24", 3)[2], &day_of("2026-11-21", 5)[4]] {
            if store.append(batch).await.values().all(Result::is_ok) {
                scene.expected.extend(batch.records.clone());
            }
        }
        drop(store);
        let when = format!("failing from step {step} of {steps}, room again: {has_room_again}");
        let looked: Arc<dyn Store> = Arc::new(FileStore::open_read_only(scene.folder.csv()).expect("opens"));
        scene.assert_whole(&looked, &format!("{when}, read only")).await;
        scene.machine.set_fault(Fault::None);
        scene.assert_whole(&scene.machine.open(&scene.folder), &when).await;
        scene.assert_moved(&when);
    }
}

/// A day's file cut at any byte while it was being written is begun again.
#[tokio::test]
async fn what_was_half_written_is_no_day() {
    let monday = records(&day_of("2026-11-23", 2));
    let whole = file_of(&monday);
    for cut in (0..whole.len()).step_by(97) {
        let folder = Folder::quick();
        fs::write(folder.csv(), &whole).expect("written");
        fs::create_dir(folder.beside("")).expect("created");
        fs::write(folder.beside("date=2026-11-23.csv.new"), &whole[..cut]).expect("written");
        fs::write(folder.0.path().join("latency_data.csv.rotating"), &whole[..cut]).expect("written");
        let store = Machine::at("2026-11-24T20:00:00Z").open(&folder);
        assert_rows(&store, &monday, "moved").await;
        assert_eq!(fs::read(folder.beside("date=2026-11-23.csv")).expect("readable"), whole);
    }
}

/// A note about a file that is no longer there, or that is no note, takes nothing away.
#[tokio::test]
async fn a_note_about_another_file_takes_back_nothing() {
    for is_torn in [false, true] {
        let scene = Scene::new();
        scene.machine.set_fault(Fault::From(steps_of_a_move() - 2));
        drop(scene.machine.open(&scene.folder));
        let note = scene.folder.beside("rotation.intent");
        assert!(note.exists());
        if is_torn {
            let text = fs::read(&note).expect("readable");
            fs::write(&note, &text[..text.len() / 2]).expect("written");
        }
        let tuesday = records(&day_of("2026-11-24", 1));
        fs::write(scene.folder.csv(), file_of(&tuesday)).expect("written");
        scene.machine.set_fault(Fault::None);
        drop(scene.machine.open(&scene.folder));
        scene.assert_moved("another file has its name");
    }
}

/// Readers go through all rows while days move and others arrive, in this process and in another.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_reads_while_days_move_sees_every_row_once() {
    let folder = Folder::quick();
    let machine = Machine::at("2026-11-24T20:00:00Z");
    let store = machine.open(&folder);
    let is_done = Arc::new(AtomicBool::new(false));
    let other: Arc<dyn Store> = Arc::new(FileStore::open_read_only(folder.csv()).expect("opens"));
    let mut readers = Vec::new();
    for store in [store.clone(), store.clone(), other] {
        let is_done = Arc::clone(&is_done);
        readers.push(tokio::spawn(async move {
            let mut most = 0;
            loop {
                let is_last = is_done.load(Ordering::Acquire);
                let rows = all_rows(&store).await;
                let key = |row: &Record| (row.timestamp, row.environment.clone(), row.model_name.clone());
                let keys: BTreeSet<_> = rows.iter().map(key).collect();
                assert_eq!(keys.len(), rows.len(), "a row twice");
                assert!(rows.len() >= most, "{} rows where there had been {most}", rows.len());
                assert_eq!(rows.len() % 2, 0, "half a cycle of an environment");
                most = rows.len();
                if is_last {
                    return most;
                }
            }
        }));
    }
    let mut rows = 0;
    for day in 25..30 {
        machine.set_clock(&format!("2026-11-{day}T20:00:00Z"));
        for batch in day_of(&format!("2026-11-{day}"), 12) {
            rows += batch.records.len();
            store.append(&batch).await;
        }
    }
    assert_eq!(names(&folder).len(), 4, "days that have moved");
    is_done.store(true, Ordering::Release);
    for (index, reader) in readers.into_iter().enumerate() {
        let seen = reader.await.expect("the reader finishes");
        if index < 2 {
            assert_eq!(seen, rows, "in the end");
        }
    }
}

/// One that only reads is told of the move and goes on with what is there now.
#[tokio::test]
async fn a_reader_in_another_process_copes_with_a_move() {
    let folder = Folder::new();
    let machine = Machine::at("2026-11-24T20:00:00Z");
    let writer = machine.open(&folder);
    let tuesday = day_of("2026-11-24", 2);
    for batch in &tuesday {
        writer.append(batch).await;
    }
    let reader: Arc<dyn Store> = Arc::new(FileStore::open_read_only(folder.csv()).expect("opens"));
    let before = reader.segments(&Scope::default()).await.expect("listed");
    machine.set_clock("2026-11-25T20:00:00Z");
    let wednesday = day_of("2026-11-25", 1);
    writer.append(&wednesday[0]).await;
    assert_eq!(names(&folder), ["date=2026-11-24.csv"]);
    let bytes = reader.read(&before[0]).await.expect("what it listed is still what it was");
    assert_eq!(csv::decode(&bytes, 2).records.len(), 8);
    assert_rows(&reader, &records(&[tuesday, wednesday].concat()), "listed again").await;
    assert!(matches!(reader.read(&before[0]).await, Err(StoreError::Changed { .. })));
}
