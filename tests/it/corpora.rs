//! The fuzz targets' inputs, replayed, and the fixtures with them.

use std::{fs, path::Path};

#[path = "../../fuzz/checks.rs"]
mod checks;

/// Hands every file below `folder` to `check`; says how many.
fn replay(folder: &Path, check: &dyn Fn(&[u8])) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            count += replay(&path, check);
        } else {
            check(&fs::read(&path).expect("an input"));
            count += 1;
        }
    }
    count
}

#[test]
fn every_corpus_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, check) in checks::TARGETS {
        assert!(replay(&root.join("../fuzz/corpus").join(name), &check) > 0, "{name} has no corpus");
        assert!(replay(&root.join("fixtures/streams"), &check) > 0);
    }
    let corpora = fs::read_dir(root.join("../fuzz/corpus")).expect("the corpora").count();
    assert_eq!(corpora, checks::TARGETS.len(), "a corpus without a target");
}
