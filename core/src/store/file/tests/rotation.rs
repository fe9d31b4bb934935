//! What a user finds where days have been moved.

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;

use super::{super::Place as Seams, *};

/// What happens at which of the steps that change files of days.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// That step fails, and no other.
    Once(usize),
    /// That step fails and all that follow: the process is dead, or the disk is.
    From(usize),
}

/// A store whose clock and disk are the test's.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    now: Arc<Mutex<DateTime<Utc>>>,
    fault: Arc<Mutex<Fault>>,
    steps: Arc<AtomicUsize>,
}

impl Machine {
    pub(super) fn at(now: &str) -> Self {
        let now = Arc::new(Mutex::new(now.parse().expect("a time")));
        Self { now, fault: Arc::new(Mutex::new(Fault::None)), steps: Arc::default() }
    }

    pub(super) fn set_clock(&self, now: &str) {
        *lock(&self.now) = now.parse().expect("a time");
    }

    pub(super) fn advance(&self, by: TimeDelta) {
        *lock(&self.now) += by;
    }

    /// Steps are counted from here on.
    pub(super) fn set_fault(&self, fault: Fault) {
        *lock(&self.fault) = fault;
        self.steps.store(0, Ordering::SeqCst);
    }

    /// How many steps there were since.
    pub(super) fn steps(&self) -> usize {
        self.steps.load(Ordering::SeqCst)
    }

    pub(super) fn seams(&self) -> Seams {
        let (now, fault, steps) = (Arc::clone(&self.now), Arc::clone(&self.fault), Arc::clone(&self.steps));
        Seams {
            clock: Arc::new(move || *lock(&now)),
            gate: Arc::new(move |_| {
                let step = steps.fetch_add(1, Ordering::SeqCst);
                let fails = match *lock(&fault) {
                    Fault::None => false,
                    Fault::Once(at) => step == at,
                    Fault::From(at) => step >= at,
                };
                if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
            }),
            is_in_background: false,
            ..Seams::default()
        }
    }

    pub(super) fn open(&self, folder: &Folder) -> Arc<dyn Store> {
        self.open_with(folder, FileOptions::default())
    }

    pub(super) fn open_with(&self, folder: &Folder, options: FileOptions) -> Arc<dyn Store> {
        Arc::new(FileStore::open_at(&folder.csv(), options, self.seams()).expect("opens"))
    }
}

/// The rows of a day: `count` cycles, a quarter of an hour apart from 06:00 on.
pub(super) fn day_of(day: &str, count: usize) -> Vec<Batch> {
    let start: DateTime<Utc> = format!("{day}T06:00:00Z").parse().expect("a day");
    let offset = (start - cycle(0, &[], 0).cycle_id.expect("a cycle").scheduled()).num_minutes();
    (0..count as u32).map(|number| cycle_at(offset + i64::from(15 * number), &["dev", "prod"], 2)).collect()
}

/// As [`cycle`], also before the suite's beginning.
pub(super) fn cycle_at(minute: i64, environments: &[&str], models: usize) -> Batch {
    let shift = TimeDelta::minutes(minute);
    let mut batch = cycle(0, environments, models);
    let id = CycleId::at(batch.cycle_id.expect("a cycle").scheduled() + shift);
    batch.cycle_id = Some(id);
    for record in &mut batch.records {
        record.timestamp += shift;
        record.cycle_id = Some(id);
        record.latency_ms = Some(minute.unsigned_abs() as f64 + 0.125);
    }
    batch
}

pub(super) fn records(batches: &[Batch]) -> Vec<Record> {
    batches.iter().flat_map(|batch| batch.records.clone()).collect()
}

/// Every row of the store is one of `expected`, each once.
pub(super) async fn assert_rows(store: &Arc<dyn Store>, expected: &[Record], when: &str) {
    let sorted = |records: &[Record]| {
        let mut rows: Vec<_> = records
            .iter()
            .map(|record| (record.timestamp, record.environment.to_string(), record.model_name.clone()))
            .collect();
        rows.sort();
        rows
    };
    let (found, expected) = (sorted(&all_rows(store).await), sorted(expected));
    assert!(
        found == expected,
        "{when}: {} rows where {} should be\n{found:?}\n{expected:?}",
        found.len(),
        expected.len()
    );
}

pub(super) fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.beside("")).expect("listed");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into()).collect();
    names.retain(|name: &String| name != "append.intent" && name != "writer.pid");
    names.sort();
    names
}

#[tokio::test]
async fn the_rows_of_finished_days_lie_in_files_of_their_own() {
    let (monday, tuesday) = (day_of("2026-11-23", 3), day_of("2026-11-24", 2));
    let folder = Folder::with(file_of(&records(&[monday.clone(), tuesday.clone()].concat())));
    let machine = Machine::at("2026-11-24T20:00:00Z");
    let store = machine.open(&folder);
    assert_eq!(names(&folder), ["date=2026-11-23.csv"]);
    assert_eq!(fs::read(folder.beside("date=2026-11-23.csv")).expect("readable"), file_of(&records(&monday)));
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&records(&tuesday)));
    let all = records(&[monday, tuesday].concat());
    assert_rows(&store, &all, "after the move").await;
    assert_eq!(store.health().await.problems, Vec::<String>::new());

    // Midnight is too early, as late probes may be out; then the first cycle of the new day sets it going.
    let mut expected = all;
    for (now, minute, is_moved) in [("2026-11-25T00:09:00Z", 1_089, false), ("2026-11-25T00:10:00Z", 1_090, true)] {
        machine.set_clock(now);
        let batch = cycle_at(minute, &["dev"], 1);
        assert_eq!(written(&store.append(&batch).await, "dev"), Appended::Written { rows: 1 });
        expected.extend(batch.records);
        assert_eq!(folder.beside("date=2026-11-24.csv").exists(), is_moved, "at {now}");
        assert_rows(&store, &expected, now).await;
    }
    // The file is still ours alone, and goes on.
    assert!(matches!(FileStore::open(folder.csv()), Err(StoreError::Locked { .. })));
    let batch = cycle_at(1_091, &["dev"], 1);
    store.append(&batch).await;
    expected.extend(batch.records);
    drop(store);
    assert_rows(&machine.open(&folder), &expected, "after a restart").await;
}

#[tokio::test]
async fn what_is_no_row_stays_where_it_is() {
    let (monday, tuesday) = (day_of("2026-11-23", 2), day_of("2026-11-24", 1));
    let mut text = file_of(&records(&monday));
    let odd = [&b"m,dev,yesterday,1,,,,,,\n"[..], b"\n", b"\"oops\"x\n", &vec![b'x'; 3_000_000], b"\n"].concat();
    text.extend_from_slice(&odd);
    text.extend_from_slice(&file_of(&records(&tuesday))[file_of(&[]).len()..]);
    let folder = Folder::with(&text);
    let store = Machine::at("2026-11-24T20:00:00Z").open(&folder);
    let expected = [file_of(&[]), odd, file_of(&records(&tuesday))[file_of(&[]).len()..].to_vec()].concat();
    assert!(fs::read(folder.csv()).expect("readable") == expected, "the file without monday's rows");
    assert_eq!(store.health().await.skipped_rows, 3);
    let days = store.segments(&Scope::default()).await.expect("listed");
    assert_eq!(days.len(), 2, "{days:?}");
    assert_eq!(days[1].first_line, 6, "lines are counted anew");
}

#[tokio::test]
async fn days_can_be_left_in_one_file() {
    let monday = records(&day_of("2026-11-23", 2));
    let folder = Folder::with(file_of(&monday));
    let machine = Machine::at("2026-11-24T20:00:00Z");
    drop(machine.open(&folder));
    assert_eq!(names(&folder), ["date=2026-11-23.csv"]);
    let tuesday = records(&day_of("2026-11-24", 2));
    fs::write(folder.csv(), file_of(&tuesday)).expect("written");
    machine.set_clock("2026-11-25T20:00:00Z");
    let store = machine.open_with(&folder, ONE_FILE);
    assert_eq!(names(&folder), ["date=2026-11-23.csv"]);
    assert_rows(&store, &[monday.clone(), tuesday.clone()].concat(), "days moved earlier are still read").await;
    // Also the rows of days that have a file go into the one, unless they are there.
    let again = day_of("2026-11-23", 3);
    for batch in &again {
        store.append(batch).await;
    }
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&[tuesday, again[2].records.clone()].concat()));
    assert_rows(&store, &[records(&again), records(&day_of("2026-11-24", 2))].concat(), "with one more").await;
}

/// A year, and rows of all days in any order: more files than may be open.
#[tokio::test]
async fn many_days_move_at_once() {
    let mut batches: Vec<_> = (0..400).map(|day| cycle_at(-1_440 * (day * 7 % 400) - 600, &["dev"], 1)).collect();
    batches.extend((0..400).map(|day| cycle_at(-1_440 * day - 660, &["qa"], 2)));
    let folder = Folder::quick();
    fs::write(folder.csv(), file_of(&records(&batches))).expect("written");
    let machine = Machine::at("2026-11-24T20:00:00Z");
    let store = machine.open(&folder);
    assert_eq!(names(&folder).len(), 400);
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&[]));
    assert_rows(&store, &records(&batches), "moved").await;
    let scope = Scope { from: "2026-11-20T00:00:00Z".parse().ok(), ..Scope::default() };
    assert_eq!(store.segments(&scope).await.expect("listed").len(), 4, "only the days asked for");
}

#[tokio::test]
async fn old_files_of_the_predecessor_move_at_the_first_start() {
    const MIXTURE: &[u8] =
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/predecessor/mixture.csv"));
    let folder = Folder::with(MIXTURE);
    let store = Machine::at("2026-11-24T20:00:00Z").open(&folder);
    let expected = csv::decode(&file_of(&csv::decode(MIXTURE, 2).records), 2).records;
    assert_rows(&store, &expected, "moved").await;
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&[]));
    assert_eq!(store.health().await.skipped_rows, 0);
}

/// The clock was ahead for a while: today was closed too early. What follows is moved beside it when the day is over.
#[tokio::test]
async fn a_clock_set_back_costs_nothing() {
    let today = day_of("2026-11-24", 5);
    let folder = Folder::new();
    let machine = Machine::at("2026-11-24T06:10:00Z");
    let store = machine.open(&folder);
    store.append(&today[0]).await;
    machine.set_clock("2026-11-26T06:15:00Z");
    let ahead = day_of("2026-11-26", 1);
    store.append(&ahead[0]).await;
    assert_eq!(names(&folder), ["date=2026-11-24.csv"]);
    machine.set_clock("2026-11-24T06:20:00Z");
    for batch in &today {
        store.append(batch).await;
    }
    assert_eq!(names(&folder), ["date=2026-11-24.csv"], "a day that is not over takes its rows in the file");
    let mut expected = records(&[today, ahead].concat());
    assert_rows(&store, &expected, "the day goes on").await;
    machine.set_clock("2026-11-25T06:20:00Z");
    let next = day_of("2026-11-25", 1);
    store.append(&next[0]).await;
    expected.extend(records(&next));
    assert_eq!(names(&folder), ["date=2026-11-24.csv", "date=2026-11-24.late.csv"]);
    assert_rows(&store, &expected, "the day is over").await;
    assert_eq!(written(&store.append(&day_of("2026-11-24", 5)[4]).await, "dev"), Appended::AlreadyThere);
}

#[tokio::test]
async fn a_name_taken_by_something_else_keeps_its_day_in_the_file() {
    let (sunday, monday) = (day_of("2026-11-22", 2), day_of("2026-11-23", 2));
    let folder = Folder::with(file_of(&records(&[sunday.clone(), monday.clone()].concat())));
    for name in ["date=2026-11-22.csv", "date=2026-11-22.late.csv"] {
        fs::create_dir_all(folder.beside(name)).expect("created");
    }
    let machine = Machine::at("2026-11-24T20:00:00Z");
    let store = machine.open(&folder);
    assert_rows(&store, &records(&[sunday.clone(), monday].concat()), "moved").await;
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&records(&sunday)));
    let problems = store.health().await.problems;
    assert!(problems.iter().any(|text| text.contains("date=2026-11-22.csv is no file")), "{problems:?}");
}

/// The folder was taken away, or made a file, while the program ran.
#[tokio::test]
async fn a_folder_that_is_gone_is_made_anew() {
    let folder = Folder::new();
    let machine = Machine::at("2026-11-24T06:10:00Z");
    let store = machine.open(&folder);
    let tuesday = day_of("2026-11-24", 2);
    store.append(&tuesday[0]).await;
    fs::remove_dir_all(folder.beside("")).expect("removed");
    store.append(&tuesday[1]).await;
    machine.set_clock("2026-11-25T06:10:00Z");
    let wednesday = day_of("2026-11-25", 2);
    store.append(&wednesday[0]).await;
    assert_eq!(names(&folder), ["date=2026-11-24.csv"]);
    assert_rows(&store, &records(&[tuesday.clone(), wednesday[..1].to_vec()].concat()), "moved").await;

    fs::remove_dir_all(folder.beside("")).expect("removed");
    fs::write(folder.0.path().join("latency_data.d"), "a file").expect("written");
    let report = store.append(&wednesday[1]).await;
    assert_eq!(written(&report, "dev"), Appended::Written { rows: 2 }, "rows of now do not wait for the folder");
}
