//! The programs that the tests start, built once for all of them.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    // Built here, so that the tests never run a stale program; where it is fresh this takes no time.
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(env!("CARGO_MANIFEST_DIR"));
    // As tests/run builds them: another choice of packages would be other features, and compile everything again.
    build.args(["build", "--quiet", "--workspace", "--bins", "--examples"]);
    assert!(build.status().expect("cargo runs").success(), "the programs do not build");
    // target/debug/deps/it-… → target/debug
    let test = std::env::current_exe().expect("the path of this test");
    test.ancestors().nth(2).expect("the target folder").to_owned()
});

/// The folder with the binaries, and `examples` below it.
pub(crate) fn folder() -> &'static Path {
    &FOLDER
}
