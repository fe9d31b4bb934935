//! What `RETENTION_DAYS` deletes, and what nothing deletes.

use chrono::TimeDelta;

use super::{
    rotation::{Fault, Machine, day_of, records},
    *,
};

/// Ten days to the 24th, each with its files; the 10th has a late one, today's and the oldest's rows are in the file too.
fn ten_days() -> Folder {
    let folder = Folder::quick();
    for day in 15..24 {
        let text = file_of(&records(&day_of(&format!("2026-11-{day}"), 1)));
        fs::create_dir_all(folder.beside("")).expect("created");
        fs::write(folder.beside(&format!("date=2026-11-{day}.csv")), text).expect("written");
        for kind in ["usage", "rollups"] {
            let of = folder.beside(&format!("{kind}/environment=prod"));
            fs::create_dir_all(&of).expect("created");
            fs::write(of.join(format!("date=2026-11-{day}.csv")), "a\n1\n").expect("written");
        }
    }
    fs::write(folder.beside("date=2026-11-15.late.csv"), file_of(&[])).expect("written");
    for foreign in ["date=2026-11-01.csv.gz", "usage/date=2026-11-01.csv", "usage/environment=prod/notes.csv"] {
        fs::write(folder.beside(foreign), "mine").expect("written");
    }
    let in_file = [day_of("2026-11-24", 1)].concat();
    fs::write(folder.csv(), file_of(&records(&in_file))).expect("written");
    folder
}

fn days_in(folder: &Folder, kind: &str) -> Vec<String> {
    let entries = fs::read_dir(folder.beside(kind)).expect("listed");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into()).collect();
    names.retain(|name| name.starts_with("date="));
    names.sort();
    names
}

const THREE_DAYS: FileOptions = FileOptions { rotate: true, retention_days: Some(3), keep_decoded_bytes: 0 };

#[tokio::test]
async fn what_is_older_than_wanted_goes_and_nothing_else() {
    let folder = ten_days();
    let machine = Machine::at("2026-11-24T20:00:00Z");
    drop(machine.open(&folder));
    assert_eq!(days_in(&folder, "").len(), 11, "by default all is kept");
    let active = fs::read(folder.csv()).expect("readable");
    let store = machine.open_with(&folder, THREE_DAYS);
    let kept = ["date=2026-11-21.csv", "date=2026-11-22.csv", "date=2026-11-23.csv"];
    assert_eq!(days_in(&folder, ""), [&["date=2026-11-01.csv.gz"][..], &kept].concat());
    for kind in ["usage/environment=prod", "rollups/environment=prod"] {
        assert_eq!(days_in(&folder, kind), kept, "{kind}");
    }
    assert!(
        folder.beside("usage/environment=prod/notes.csv").exists()
            && folder.beside("usage/date=2026-11-01.csv").exists()
    );
    assert_eq!(fs::read(folder.csv()).expect("readable"), active, "the file is never touched");
    assert_eq!(all_rows(&store).await.len(), 4 * 4);

    // A day later the next one goes, with the first append.
    machine.advance(TimeDelta::days(1));
    store.append(&day_of("2026-11-25", 1)[0]).await;
    let kept = ["date=2026-11-22.csv", "date=2026-11-23.csv", "date=2026-11-24.csv"];
    assert_eq!(days_in(&folder, "")[1..], kept);
}

/// A clock that has gone wrong by years deletes nothing before rows of then are there.
#[tokio::test]
async fn a_wrong_clock_deletes_nothing_by_itself() {
    let folder = ten_days();
    let machine = Machine::at("2036-11-24T20:00:00Z");
    let store = machine.open_with(&folder, FileOptions { retention_days: Some(9), ..THREE_DAYS });
    assert_eq!(all_rows(&store).await.len(), 10 * 4);
    machine.set_clock("2016-11-24T20:00:00Z");
    drop(store);
    let store = machine.open_with(&folder, FileOptions { retention_days: Some(1), ..THREE_DAYS });
    assert_eq!(all_rows(&store).await.len(), 10 * 4);
}

#[tokio::test]
async fn what_cannot_be_deleted_is_told_and_tried_again() {
    let folder = ten_days();
    let machine = Machine::at("2026-11-24T20:00:00Z");
    machine.set_fault(Fault::From(0));
    let store = machine.open_with(&folder, THREE_DAYS);
    let said = store.health().await.problems;
    assert!(said.len() == 1 && said[0].contains("old days stay"), "{said:?}");
    machine.set_fault(Fault::None);
    machine.advance(TimeDelta::days(1));
    store.append(&day_of("2026-11-25", 1)[0]).await;
    assert_eq!(store.health().await.problems, Vec::<String>::new());
    assert_eq!(days_in(&folder, "").len(), 1 + 3);
}
