//! What the documents say of the code is true: names of tests, messages, links.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the programs' sources are.
const PROGRAMS: [&str; 3] = ["core/src", "local-runner/src", "functions"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The documents, by their path from the top.
fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["", "docs/"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let name = entry.expect("an entry").file_name().into_string().expect("Unicode");
            if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
                found.push(format!("{folder}{name}"));
            }
        }
    }
    found
}

/// What stands between backticks.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The sources in `folders`, with literals that go over several lines put together.
fn sources(folders: &[&str]) -> String {
    fn gather(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                gather(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    for folder in folders {
        gather(&root().join(folder), &mut text);
    }
    let mut parts = text.split("\\\n");
    let mut joined = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        joined.push_str(part.trim_start());
    }
    joined.replace("\\\"", "\"")
}

#[test]
fn every_guarantee_names_tests_that_exist() {
    let text = read("docs/GUARANTEES.md");
    let names: Vec<_> =
        code(&text).filter_map(|code| code.split_once("::")).filter(|(file, _)| *file != "file").collect();
    for (file, function) in &names {
        let source = read(file);
        let is_there = ["fn ", "def "].iter().any(|keyword| source.contains(&format!("{keyword}{function}(")));
        assert!(is_there, "docs/GUARANTEES.md: there is no {function} in {file}");
    }
    assert!(names.len() > 50, "{} tests are named", names.len());
    for promise in text.split("\n\n").filter(|paragraph| paragraph.starts_with("**")) {
        assert!(code(promise).any(|code| code.contains(".rs::")), "docs/GUARANTEES.md: no test for {promise}");
    }
}

#[test]
fn every_test_and_fuzz_target_that_security_names_exists() {
    let text = read("SECURITY.md");
    let [core, local_runner, functions] = PROGRAMS;
    let sources = sources(&[core, local_runner, functions, "tests/it"]);
    let (mut tests, mut targets) = (0, 0);
    for name in code(&text).filter(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')) {
        match name.matches('_').count() {
            // A word, or a column with its unit.
            0 => {}
            _ if name.ends_with("_ms") => {}
            1 => {
                let target = root().join(format!("fuzz/fuzz_targets/{name}.rs"));
                assert!(target.exists(), "SECURITY.md: there is no fuzz target {name}");
                targets += 1;
            }
            _ => {
                assert!(sources.contains(&format!("fn {name}(")), "SECURITY.md: there is no test {name}");
                tests += 1;
            }
        }
    }
    assert!(tests > 30 && targets > 3, "{tests} tests and {targets} fuzz targets are named");
}

#[test]
fn every_message_in_the_troubleshooting_is_one_of_the_programs() {
    let sources = sources(&PROGRAMS);
    let text = read("docs/OPERATIONS.md");
    let symptoms = text.split_once("## Troubleshooting").expect("the part").1;
    let mut messages = 0;
    for row in symptoms.lines().filter(|line| line.starts_with("| ")) {
        let first_cell = row.split(" | ").next().unwrap_or_default();
        for message in code(first_cell) {
            for words in message.split('…').filter(|words| words.len() > 3) {
                assert!(sources.contains(words), "docs/OPERATIONS.md: nothing prints {words:?} of {message:?}");
            }
            messages += 1;
        }
    }
    assert!(messages > 40, "{messages} messages are explained");
}

#[test]
fn links_lead_somewhere_and_the_readme_leads_to_every_document() {
    for document in documents() {
        let text = read(&document);
        let folder = root().join(&document);
        let folder = folder.parent().expect("a folder");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") {
                assert!(folder.join(path).exists(), "{document}: {target} is not there");
            }
        }
    }
    let readme = read("README.md");
    for document in documents().iter().filter(|document| *document != "README.md") {
        assert!(readme.contains(&format!("]({document})")), "README.md does not lead to {document}");
    }
}

#[test]
fn every_file_that_a_document_names_is_there_and_the_walk_names_each_once() {
    let mut paths = 0;
    for document in documents() {
        let text = read(&document);
        // A store's own paths name their values by `=`.
        for code in code(&text).filter(|code| !code.contains('=')) {
            // Up to a place that differs, a command's options, a test's name.
            let path = code.split(['<', '*', ' ']).next().unwrap_or_default().split("::").next().unwrap_or_default();
            let Some((first, _)) = path.split_once('/') else { continue };
            let is_below = ["core", "local-runner", "functions", "tests", "docs", "fuzz", ".ci"].contains(&first);
            let core = root().join("core/src");
            if is_below {
                assert!(root().join(path).exists(), "{document}: {path} is not there");
            } else if !first.is_empty() && core.join(first).is_dir() {
                // Short for a module of core: `http/admission.rs`, `probe/timeline`.
                let is_there = core.join(path).exists() || core.join(format!("{path}.rs")).exists();
                assert!(is_there, "{document}: there is no {path} in core/src");
            } else {
                continue;
            }
            paths += 1;
        }
    }
    assert!(paths > 200, "{paths} paths are named");
    let text = read("ARCHITECTURE.md");
    let walk = text.split("\n## ").find(|part| part.starts_with("One probe")).expect("the walk");
    let mut named: Vec<_> = code(walk).filter(|code| code.contains('/')).collect();
    let all = named.len();
    named.sort_unstable();
    named.dedup();
    assert!(all > 50 && named.len() == all, "{all} files, {} different ones", named.len());
}
