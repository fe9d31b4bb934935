//! Full disks, failing disks, and other programs' hands on the file.

use super::*;

/// What goes wrong from now on.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    /// Bytes that can still be written; what is over fails after that many.
    pub(super) room: Option<u64>,
    pub(super) cannot_sync: bool,
    pub(super) cannot_cut: bool,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Switch(Arc<Mutex<Faults>>);

impl Switch {
    pub(super) fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut lock(&self.0));
    }

    pub(super) fn make_disk(&self) -> MakeDisk {
        let faults = self.clone();
        Arc::new(move |file| Box::new(FaultyDisk { file: Arc::clone(file), faults: faults.clone() }))
    }
}

#[derive(Debug)]
struct FaultyDisk {
    file: Arc<File>,
    faults: Switch,
}

impl Disk for FaultyDisk {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = lock(&self.faults.0).room.unwrap_or(u64::MAX);
        let fitting = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.file.write_all_at(&bytes[..fitting], offset)?;
        if fitting < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync_data(&mut self) -> io::Result<()> {
        if lock(&self.faults.0).cannot_sync { Err(io::Error::from_raw_os_error(5)) } else { self.file.sync_data() }
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        if lock(&self.faults.0).cannot_cut { Err(io::Error::from_raw_os_error(5)) } else { self.file.set_len(len) }
    }
}

/// Opens `folder`'s file on a disk that can be made to fail.
pub(super) fn open(folder: &Folder) -> (Arc<dyn Store>, Switch) {
    let switch = Switch::default();
    let place = super::super::Place { make_disk: switch.make_disk(), ..super::super::Place::default() };
    (Arc::new(FileStore::open_at(&folder.csv(), ONE_FILE, place).expect("opens")), switch)
}

#[tokio::test]
async fn a_full_disk_leaves_the_file_as_it_was_and_says_so() {
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    store.append(&cycle(0, &["dev"], 2)).await;
    let before = fs::read(folder.csv()).expect("readable");
    faults.set(|faults| faults.room = Some(100));
    let report = store.append(&cycle(1, &["dev", "qa"], 2)).await;
    for name in ["dev", "qa"] {
        assert!(matches!(report.get(&environment(name)), Some(Err(StoreError::Full { .. }))), "{report:?}");
    }
    assert_eq!(fs::read(folder.csv()).expect("readable"), before);
    assert_eq!(all_rows(&store).await, cycle(0, &["dev"], 2).records);
    assert!(store.health().await.problems[0].contains("no space left"), "{:?}", store.health().await);
    // A repeat of what is there needs no room.
    assert_eq!(written(&store.append(&cycle(0, &["dev"], 2)).await, "dev"), Appended::AlreadyThere);
    faults.set(|faults| faults.room = None);
    assert_eq!(written(&store.append(&cycle(1, &["dev", "qa"], 2)).await, "qa"), Appended::Written { rows: 2 });
    assert_eq!(store.health().await.problems, Vec::<String>::new());
    assert_eq!(folder.rejected(), "");
}

#[tokio::test]
async fn rows_that_could_not_be_flushed_are_not_shown() {
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    faults.set(|faults| faults.cannot_sync = true);
    let report = store.append(&cycle(0, &["dev"], 2)).await;
    assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Unavailable { .. }))), "{report:?}");
    assert!(all_rows(&store).await.is_empty());
    faults.set(|faults| faults.cannot_sync = false);
    store.append(&cycle(0, &["dev"], 2)).await;
    assert_eq!(all_rows(&store).await, cycle(0, &["dev"], 2).records);
}

/// Even where the failed rows cannot be cut off at once, the next append goes on cleanly.
#[tokio::test]
async fn a_disk_that_fails_twice_is_put_right_by_the_next_append() {
    let folder = Folder::new();
    let (store, faults) = open(&folder);
    store.append(&cycle(0, &["dev"], 2)).await;
    faults.set(|faults| (faults.room, faults.cannot_cut) = (Some(150), true));
    assert!(store.append(&cycle(1, &["dev"], 3)).await.values().all(Result::is_err));
    assert_eq!(all_rows(&store).await, cycle(0, &["dev"], 2).records);
    faults.set(|faults| *faults = Faults::default());
    assert_eq!(written(&store.append(&cycle(1, &["dev"], 3)).await, "dev"), Appended::Written { rows: 3 });
    let expected: Vec<_> = [cycle(0, &["dev"], 2), cycle(1, &["dev"], 3)].into_iter().flat_map(|b| b.records).collect();
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&expected));
}

#[tokio::test]
async fn a_file_removed_while_it_is_used_is_made_anew() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(&cycle(0, &["dev"], 2)).await;
    let listed = store.segments(&Scope::default()).await.expect("listed");
    fs::remove_file(folder.csv()).expect("removed");
    store.append(&cycle(1, &["dev"], 1)).await;
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&cycle(1, &["dev"], 1).records));
    assert_eq!(all_rows(&store).await, cycle(1, &["dev"], 1).records);
    assert!(matches!(store.read(&listed[0]).await, Err(StoreError::Changed { .. })), "its segments are gone");
}

#[tokio::test]
async fn a_file_replaced_while_it_is_used_is_gone_on_with() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(&cycle(0, &["dev"], 2)).await;
    let others = cycle(40, &["qa"], 2).records;
    let new = folder.0.path().join("new.csv");
    fs::write(&new, file_of(&others)).expect("written");
    fs::rename(&new, folder.csv()).expect("renamed");
    store.append(&cycle(41, &["dev"], 1)).await;
    let expected: Vec<_> = others.into_iter().chain(cycle(41, &["dev"], 1).records).collect();
    assert_eq!(all_rows(&store).await, expected);
    assert_eq!(fs::read(folder.csv()).expect("readable"), file_of(&expected));
}

#[tokio::test]
async fn rows_that_another_program_adds_are_seen_and_kept() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(&cycle(0, &["dev"], 1)).await;
    let mut bytes = fs::read(folder.csv()).expect("readable");
    bytes.extend_from_slice(b"gpt-4,qa,2025-11-24T21:15:26+00:00,640.5,12,99,6.12e-05,128000.0,True,\n");
    fs::write(folder.csv(), &bytes).expect("written");
    store.append(&cycle(1, &["dev"], 1)).await;
    let environments: Vec<_> = all_rows(&store).await.iter().map(|record| record.environment.to_string()).collect();
    assert_eq!(environments, ["dev", "qa", "dev"]);
    // Cut in place: what is left is gone on with.
    fs::write(folder.csv(), file_of(&cycle(0, &["dev"], 1).records)).expect("written");
    store.append(&cycle(2, &["dev"], 1)).await;
    let expected: Vec<_> = [cycle(0, &["dev"], 1), cycle(2, &["dev"], 1)].into_iter().flat_map(|b| b.records).collect();
    assert_eq!(all_rows(&store).await, expected);
}

/// While something else has taken its place, rows are refused as for now, and go on when it is gone.
#[tokio::test]
async fn a_file_replaced_by_something_unusable_is_a_passing_failure() {
    let folder = Folder::new();
    let store = folder.open();
    store.append(&cycle(0, &["dev"], 1)).await;
    fs::rename(folder.csv(), folder.0.path().join("aside.csv")).expect("renamed");
    fs::create_dir(folder.csv()).expect("created");
    for _ in 0..2 {
        let report = store.append(&cycle(1, &["dev"], 1)).await;
        assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Unavailable { .. }))), "{report:?}");
    }
    fs::remove_dir(folder.csv()).expect("removed");
    fs::rename(folder.0.path().join("aside.csv"), folder.csv()).expect("renamed");
    assert_eq!(written(&store.append(&cycle(1, &["dev"], 1)).await, "dev"), Appended::Written { rows: 1 });
    assert_eq!(all_rows(&store).await.len(), 2);
}
