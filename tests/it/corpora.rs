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
    // What lies in CI uncompiled is still what `cargo fuzz run` finds.
    let manifest = fs::read_to_string(root.join("../fuzz/Cargo.toml")).expect("the targets' manifest");
    for (name, _) in checks::TARGETS {
        let bin = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&bin), "fuzz/Cargo.toml lacks {bin}");
        let source = fs::read_to_string(root.join(format!("../fuzz/fuzz_targets/{name}.rs"))).expect("a target");
        assert!(source.contains(&format!("checks::{name}(")), "fuzz_targets/{name}.rs checks something else");
    }
    let corpora = fs::read_dir(root.join("../fuzz/corpus")).expect("the corpora").count();
    assert_eq!(corpora, checks::TARGETS.len(), "a corpus without a target");
}

/// A target that is refused before its body is read would find nothing in what reads it.
#[test]
fn a_body_that_is_fuzzed_is_read() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/lambda_request");
    for (input, status) in [("post", 201), ("post_of_the_wrong_type", 422), ("post_that_is_no_json", 400)] {
        let bytes = fs::read(corpus.join(input)).expect("an input");
        assert_eq!(checks::lambda_answer(&bytes).map(|status| status.as_u16()), Some(status), "{input}");
    }
}
