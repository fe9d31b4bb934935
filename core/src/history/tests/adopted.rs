//! What the store had decoded on opening is taken over.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::store::{Backlog, FileOptions, FileStore};

#[tokio::test]
async fn the_first_reader_gets_what_was_decoded_and_reads_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("latency_data.csv");
    let expected: Vec<_> = (0..30_000).map(|at| record(["dev", "prod"][at as usize % 2], "m", at)).collect();
    let (_, bytes) = segment("all", &expected, false);
    fs::write(&path, &bytes).unwrap();
    let options = FileOptions { rotate: false, keep_decoded_bytes: usize::MAX, ..FileOptions::default() };
    let store = FileStore::open_with(path.clone(), options).unwrap();
    // Whoever reads the file now finds nothing in it.
    fs::write(&path, "x".repeat(bytes.len())).unwrap();
    let history = History::new(Arc::new(Backlog::new(Arc::new(store))), usize::MAX);
    let rows = all(&mut history.scan(Scope::default(), Direction::OldestFirst, None)).await;
    assert!(records(&rows) == expected, "{} rows", rows.len());
}
