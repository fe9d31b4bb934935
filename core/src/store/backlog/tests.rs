#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use super::*;
use crate::store::{
    Appended, MemoryStore,
    contract::{self, Backend, Load, Place, all_rows, cycle, due, environment},
};

fn full() -> StoreError {
    StoreError::Full { location: "memory".to_owned() }
}

fn backlog() -> (Arc<MemoryStore>, Arc<Backlog>, Arc<dyn Store>) {
    let memory = Arc::new(MemoryStore::new());
    let backlog = Arc::new(Backlog::new(memory.clone()));
    (memory, backlog.clone(), backlog)
}

#[derive(Debug)]
struct Backlogs;

#[derive(Debug)]
struct Kept(Arc<dyn Store>);

#[async_trait]
impl Backend for Backlogs {
    async fn fresh(&self) -> Box<dyn Place> {
        Box::new(Kept(backlog().2))
    }
}

#[async_trait]
impl Place for Kept {
    async fn open(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backlog_keeps_the_guarantees_of_what_it_wraps() {
    contract::every_guarantee(&Backlogs, Load { writers: 4, appends: 20 }).await;
}

#[tokio::test]
async fn rows_wait_while_there_is_no_room_and_are_written_in_order_when_there_is() {
    let (memory, backlog, store) = backlog();
    memory.fail_with(Some(full()));
    for minute in 0..3 {
        let report = store.append(&cycle(minute, &["dev", "prod"], 2)).await;
        assert!(report.values().all(|outcome| matches!(outcome, Err(StoreError::Full { .. }))), "{report:?}");
        assert_eq!(report.len(), 2);
    }
    assert!(all_rows(&store).await.is_empty());
    let problems = store.health().await.problems.join("; ");
    assert!(problems.contains("12 rows wait in memory since 20"), "{problems}");
    let unwritten = backlog.flush().await.expect_err("still full");
    assert_eq!((unwritten.rows, unwritten.cycles), (12, 3));
    assert!(unwritten.to_string().starts_with("12 rows of 3 cycles, the oldest from 20"), "{unwritten}");

    memory.fail_with(None);
    let report = store.append(&cycle(3, &["dev"], 2)).await;
    assert_eq!(
        report.get(&environment("dev")).expect("an outcome").clone().expect("room"),
        Appended::Written { rows: 2 }
    );
    let cycles: Vec<_> = all_rows(&store).await.iter().filter_map(|record| record.cycle_id).collect();
    assert_eq!(cycles.len(), 14);
    assert!(cycles.is_sorted(), "{cycles:?}");
    assert_eq!(store.health().await.problems, Vec::<String>::new());
    backlog.flush().await.expect("nothing waits");
}

#[tokio::test]
async fn a_repeat_of_a_cycle_that_waits_adds_nothing() {
    let (memory, backlog, store) = backlog();
    memory.fail_with(Some(full()));
    for _ in 0..3 {
        store.append(&cycle(0, &["dev"], 2)).await;
    }
    assert_eq!(backlog.flush().await.expect_err("still full").rows, 2, "it waits once");
    memory.fail_with(None);
    let report = store.append(&cycle(0, &["dev"], 2)).await;
    assert!(matches!(report.get(&environment("dev")), Some(Ok(Appended::AlreadyThere))), "{report:?}");
    backlog.flush().await.expect("room");
    assert_eq!(all_rows(&store).await.len(), 2);
}

#[tokio::test]
async fn rows_of_one_environment_do_not_overtake_each_other() {
    let (memory, backlog, store) = backlog();
    memory.fail_with(Some(full()));
    for minute in 0..3 {
        store.append(&cycle(minute, &["dev", "qa"], 1)).await;
    }
    // The oldest of one environment fails once more: the younger ones, and the next append's, stay behind it.
    memory.fail_next(1, full());
    let report = store.append(&cycle(3, &["dev", "qa"], 1)).await;
    assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Full { .. }))), "{report:?}");
    assert!(matches!(report.get(&environment("qa")), Some(Ok(Appended::Written { rows: 1 }))), "{report:?}");
    backlog.flush().await.expect("room");
    for name in ["dev", "qa"] {
        let rows = all_rows(&store).await;
        let of_it = rows.iter().filter(|record| record.environment.as_str() == name);
        let cycles: Vec<_> = of_it.map(|record| record.latency_ms).collect();
        assert_eq!(cycles, [Some(0.125), Some(1.125), Some(2.125), Some(3.125)], "{name}");
    }
}

#[tokio::test]
async fn rows_without_a_cycle_do_not_wait() {
    let (memory, backlog, store) = backlog();
    memory.fail_with(Some(full()));
    let mut post = cycle(0, &["dev"], 1);
    post.cycle_id = None;
    let report = store.append(&post).await;
    assert!(matches!(report.get(&environment("dev")), Some(Err(StoreError::Full { .. }))), "{report:?}");
    memory.fail_with(None);
    backlog.flush().await.expect("nothing waits");
    assert!(all_rows(&store).await.is_empty());
}

#[tokio::test]
async fn a_lasting_failure_does_not_wait() {
    let (memory, backlog, store) = backlog();
    memory.fail_with(Some(StoreError::Unusable { location: "memory".to_owned(), problem: "broken".to_owned() }));
    store.append(&cycle(0, &["dev"], 1)).await;
    backlog.flush().await.expect("nothing waits");
}

#[tokio::test]
async fn the_memory_that_waiting_rows_take_is_bounded_and_a_loss_is_said() {
    let memory = Arc::new(MemoryStore::new());
    let store: Arc<dyn Store> = Arc::new(Backlog::with_max_rows(memory.clone(), 5));
    memory.fail_with(Some(full()));
    for minute in 0..3 {
        store.append(&cycle(minute, &["dev"], 2)).await;
    }
    let problems = store.health().await.problems.join("; ");
    assert!(problems.contains("4 rows wait") && problems.contains("2 rows are lost"), "{problems}");
    memory.fail_with(None);
    store.append(&cycle(9, &["qa"], 1)).await;
    let rows = all_rows(&store).await;
    assert_eq!(rows.first().and_then(|record| record.cycle_id), Some(due(0)));
    assert_eq!(rows.len(), 5);
}
