//! Rows of days that are closed already.

use chrono::TimeDelta;

use super::{
    rotation::{Fault, Machine, assert_rows, cycle_at, day_of, names, records},
    *,
};

/// Monday is closed, with two cycles in it; it is Tuesday evening, with one.
fn tuesday() -> (Folder, Machine, Arc<dyn Store>, Vec<Record>) {
    let (monday, tuesday) = (day_of("2026-11-23", 2), day_of("2026-11-24", 1));
    let all = records(&[monday, tuesday].concat());
    let folder = Folder::quick();
    fs::write(folder.csv(), file_of(&all)).expect("written");
    let machine = Machine::at("2026-11-24T20:00:00Z");
    let store = machine.open(&folder);
    assert_eq!(names(&folder), ["date=2026-11-23.csv"]);
    (folder, machine, store, all)
}

/// A cycle around Monday's midnight: one row of each environment on Monday, one on Tuesday.
fn around_midnight() -> Batch {
    let mut batch = cycle_at(-6 * 60 - 1, &["dev", "prod"], 2);
    for record in &mut batch.records {
        let is_later = record.model_name != "model-00000";
        record.timestamp += TimeDelta::minutes(2 * i64::from(is_later));
    }
    batch
}

#[tokio::test]
async fn late_rows_go_beside_the_closed_day_once() {
    let (folder, machine, store, mut expected) = tuesday();
    let closed = fs::read(folder.beside("date=2026-11-23.csv")).expect("readable");
    let active = fs::read(folder.csv()).expect("readable");
    for batch in &day_of("2026-11-23", 5)[2..] {
        assert_eq!(written(&store.append(batch).await, "prod"), Appended::Written { rows: 2 });
        expected.extend(batch.records.clone());
        assert_rows(&store, &expected, "read your writes").await;
    }
    assert_eq!(names(&folder), ["date=2026-11-23.csv", "date=2026-11-23.late.csv"]);
    let late = fs::read(folder.beside("date=2026-11-23.late.csv")).expect("readable");
    assert_eq!(late, file_of(&records(&day_of("2026-11-23", 5)[2..])));
    assert_eq!(
        fs::read(folder.beside("date=2026-11-23.csv")).expect("readable"),
        closed,
        "what is closed never changes"
    );
    assert_eq!(fs::read(folder.csv()).expect("readable"), active);
    // In the closed file or in the late one: a repeat adds nothing, also of other rows of the same cycle.
    let mut store = store;
    for _ in 0..2 {
        for mut batch in day_of("2026-11-23", 5) {
            assert_eq!(written(&store.append(&batch).await, "dev"), Appended::AlreadyThere);
            batch.records.iter_mut().for_each(|record| record.timestamp += TimeDelta::milliseconds(7));
            assert_eq!(written(&store.append(&batch).await, "dev"), Appended::AlreadyThere);
        }
        assert_rows(&store, &expected, "after repeats").await;
        drop(store);
        store = machine.open(&folder);
    }
    // Only the environment that is missing is added.
    let (first, with_qa) = (&day_of("2026-11-23", 1)[0], cycle_at(-1_440, &["dev", "qa"], 2));
    assert_eq!(first.cycle_id, with_qa.cycle_id);
    let report = store.append(&with_qa).await;
    assert_eq!(
        (written(&report, "dev"), written(&report, "qa")),
        (Appended::AlreadyThere, Appended::Written { rows: 2 })
    );
}

#[tokio::test]
async fn a_cycle_around_midnight_lies_in_both_places() {
    let (folder, _, store, mut expected) = tuesday();
    let batch = around_midnight();
    assert_eq!(written(&store.append(&batch).await, "dev"), Appended::Written { rows: 2 });
    assert_eq!(written(&store.append(&batch).await, "dev"), Appended::AlreadyThere);
    let late = fs::read_to_string(folder.beside("date=2026-11-23.late.csv")).expect("readable");
    assert_eq!((late.lines().count(), folder.content().lines().count()), (3, 1 + 4 + 2));
    expected.extend(batch.records);
    assert_rows(&store, &expected, "both").await;
}

/// A disk on which one looks into the store just before each write.
#[derive(Debug)]
struct Watched {
    file: Arc<File>,
    store: Arc<Mutex<Option<FileStore>>>,
    seen: Arc<Mutex<Vec<u64>>>,
}

impl Disk for Watched {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Some(store) = lock(&self.store).as_ref() {
            let segments = store.shared.segments(&Scope::default()).expect("listed");
            let rows = segments.iter().map(|segment| {
                let bytes = store.shared.read(segment).expect("readable");
                csv::decode(&bytes, 2).records.len() as u64
            });
            lock(&self.seen).push(rows.sum());
        }
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(&self.file)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        File::set_len(&self.file, len)
    }
}

#[tokio::test]
async fn nobody_sees_the_late_half_of_a_cycle_alone() {
    let (folder, machine, store, expected) = tuesday();
    drop(store);
    let (watched, seen) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
    let make_disk: MakeDisk = {
        let (watched, seen) = (Arc::clone(&watched), Arc::clone(&seen));
        Arc::new(move |file| {
            Box::new(Watched { file: Arc::clone(file), store: Arc::clone(&watched), seen: Arc::clone(&seen) })
        })
    };
    let seams = super::super::Place { make_disk, ..machine.seams() };
    let store = FileStore::open_at(&folder.csv(), FileOptions::default(), seams).expect("opens");
    *lock(&watched) = Some(store.clone());
    let batch = around_midnight();
    store.append(&batch).await;
    assert_eq!(*lock(&seen), [expected.len() as u64], "between the two writes");
    *lock(&watched) = None;
    let store: Arc<dyn Store> = Arc::new(store);
    assert_rows(&store, &[expected, batch.records].concat(), "after both").await;
}

/// The process dies after the late rows and before the others: a repeat adds what is missing, and no more.
#[tokio::test]
async fn a_repeat_after_a_crash_in_between_adds_the_rest() {
    let (folder, machine, store, mut expected) = tuesday();
    drop(store);
    let switch = faults::Switch::default();
    let seams = super::super::Place { make_disk: switch.make_disk(), ..machine.seams() };
    let store: Arc<dyn Store> =
        Arc::new(FileStore::open_at(&folder.csv(), FileOptions::default(), seams).expect("opens"));
    switch.set(|faults| (faults.room, faults.cannot_cut) = (Some(10), true));
    let batch = around_midnight();
    assert!(store.append(&batch).await.values().all(Result::is_err));
    drop(store);
    let store = machine.open(&folder);
    assert_eq!(written(&store.append(&batch).await, "dev"), Appended::Written { rows: 1 });
    assert_eq!(written(&store.append(&batch).await, "prod"), Appended::AlreadyThere);
    expected.extend(batch.records);
    assert_rows(&store, &expected, "mended").await;
}

/// No room at any step: nothing of the batch is there, or all; a repeat mends it. Also when the process dies there.
#[tokio::test]
async fn late_rows_are_written_whole_or_not_at_all() {
    for is_dead in [false, true] {
        for step in 0.. {
            let (folder, machine, store, mut expected) = tuesday();
            store.append(&day_of("2026-11-23", 3)[2]).await;
            expected.extend(day_of("2026-11-23", 3)[2].records.clone());
            let batch = &day_of("2026-11-23", 4)[3];
            machine.set_fault(if is_dead { Fault::From(step) } else { Fault::Once(step) });
            let report = store.append(batch).await;
            let steps = machine.steps();
            let when = format!("step {step} of {steps}, dead: {is_dead}");
            let is_written = report.values().all(Result::is_ok);
            if is_written {
                expected.extend(batch.records.clone());
            }
            let found = all_rows(&store).await.len();
            assert!(found == expected.len() || (is_dead && found == expected.len() + 4), "{when}: {found} rows");
            drop(store);
            machine.set_fault(Fault::None);
            let store = machine.open(&folder);
            store.append(batch).await;
            if !is_written {
                expected.extend(batch.records.clone());
            }
            assert_rows(&store, &expected, &when).await;
            assert_eq!(names(&folder), ["date=2026-11-23.csv", "date=2026-11-23.late.csv"], "{when}");
            if step > steps {
                assert!(is_written && steps > 3, "{when}");
                break;
            }
        }
    }
}

/// Rows without a cycle (a POST) are always added; rows of a past day without a file go into the file, and move later.
#[tokio::test]
async fn rows_of_a_day_without_a_file_move_with_the_others() {
    let (folder, machine, store, mut expected) = tuesday();
    let mut posted = day_of("2026-11-20", 1).remove(0);
    posted.cycle_id = None;
    posted.records.iter_mut().for_each(|record| record.cycle_id = None);
    for _ in 0..2 {
        store.append(&posted).await;
        expected.extend(posted.records.clone());
    }
    assert_eq!(names(&folder), ["date=2026-11-23.csv"], "the past arrives: nothing moves before it is all in");
    let next = &day_of("2026-11-24", 2)[1];
    machine.advance(TimeDelta::minutes(1));
    store.append(next).await;
    expected.extend(next.records.clone());
    assert_eq!(names(&folder), ["date=2026-11-20.csv", "date=2026-11-23.csv"]);
    store.append(&posted).await;
    expected.extend(posted.records.clone());
    assert_eq!(names(&folder), ["date=2026-11-20.csv", "date=2026-11-20.late.csv", "date=2026-11-23.csv"]);
    assert_rows(&store, &expected, "posted thrice").await;
}

/// Somebody gave the late file other columns, or cut it: rows added after that are read all the same.
#[tokio::test]
async fn a_late_file_edited_by_hand_is_gone_on_with() {
    for text in ["timestamp,latency_ms,model_name\n2026-11-23T07:00:00Z,1,m", "m,dev,2026-11-23T07:00:00Z,1,,,,,,"] {
        let (folder, _, store, expected) = tuesday();
        fs::write(folder.beside("date=2026-11-23.late.csv"), text).expect("written");
        let batch = &day_of("2026-11-23", 3)[2];
        store.append(batch).await;
        let rows = all_rows(&store).await;
        assert_eq!(rows.len(), expected.len() + 1 + batch.records.len(), "{text}");
        assert!(rows.iter().any(|row| row.model_name == "m") && batch.records.iter().all(|row| rows.contains(row)));
    }
}

/// Every place begins with closed days, so that all the suite's rows are late.
#[derive(Debug)]
struct ClosedDays;

#[derive(Debug)]
struct Late(Folder, Machine);

#[async_trait]
impl Backend for ClosedDays {
    async fn fresh(&self) -> Box<dyn Place> {
        let folder = Folder::quick();
        fs::create_dir(folder.beside("")).expect("created");
        for day in 24..30 {
            fs::write(folder.beside(&format!("date=2026-11-{day}.csv")), file_of(&[])).expect("written");
        }
        Box::new(Late(folder, Machine::at("2026-12-01T00:00:00Z")))
    }
}

/// Every place is one where days move whenever it is opened.
#[derive(Debug)]
struct MovingDays;

#[async_trait]
impl Backend for MovingDays {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Late(Folder::quick(), Machine::at("2026-12-01T00:00:00Z")))
    }
}

#[async_trait]
impl Place for Late {
    async fn open(&self) -> Arc<dyn Store> {
        self.1.open(&self.0)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn late_rows_keep_the_guarantees() {
    contract::every_guarantee(&ClosedDays, Load { writers: 4, appends: 10 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn days_that_move_keep_the_guarantees() {
    contract::every_guarantee(&MovingDays, Load { writers: 8, appends: 25 }).await;
}
