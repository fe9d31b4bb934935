//! The order of dependence in core: data flows one way, and so do `use` lines.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Each may use only those before it.
const CHAIN: [&str; 10] =
    ["record", "provider", "usage", "catalog", "probe", "store", "history", "query", "cycle", "http"];
/// Use nothing of the chain, and any module may use them.
const BELOW: [&str; 6] = ["aws", "cause", "fnv", "redact", "telemetry", "tls"];
/// Use what they like, and no module of the chain may use them: only hosts do.
const ABOVE: [&str; 3] = ["parameters", "parts", "settings"];

#[test]
fn a_module_uses_only_those_before_it() {
    let mut wrong = Vec::new();
    for file in sources() {
        let module = module_of(&file);
        let text = fs::read_to_string(&file).expect("a source file");
        for used in used_by(&text) {
            if used != module && !may_use(&module, &used) {
                wrong.push(format!("{} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_has_its_place() {
    let placed: BTreeSet<String> = CHAIN.into_iter().chain(BELOW).chain(ABOVE).map(str::to_owned).collect();
    let there: BTreeSet<String> = sources().iter().map(|file| module_of(file)).filter(|name| name != "lib").collect();
    assert_eq!(there, placed, "a new module gets its place in the lists above and in ARCHITECTURE.md");
}

#[test]
fn the_architecture_tells_this_order() {
    let text = fs::read_to_string(root().join("../../ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let line = format!("`{}`", CHAIN.join(" -> "));
    assert!(text.lines().any(|other| other == line), "ARCHITECTURE.md lacks the line {line}");
}

#[test]
fn uses_are_found_in_all_their_forms() {
    let text = "use crate::{\n    catalog::{Plan, Target},\n    redact,\n    store::file::{a, b},\n};\nuse crate::probe;\n\
                // crate::cycle\nlet a = crate::record::csv::b();\npub(crate) fn c() {}";
    let expected = ["catalog", "probe", "record", "redact", "store"];
    assert_eq!(used_by(text).into_iter().collect::<Vec<_>>(), expected);
}

fn may_use(module: &str, used: &str) -> bool {
    let place = |name: &str| CHAIN.iter().position(|other| *other == name);
    match (place(module), place(used)) {
        _ if module == "lib" || ABOVE.contains(&module) => true,
        (Some(module), Some(used)) => used < module,
        _ => BELOW.contains(&used),
    }
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src")
}

/// `store/file/mod.rs` is of `store`, `tls.rs` of `tls`.
fn module_of(file: &Path) -> String {
    let path = file.strip_prefix(root()).expect("a file of core");
    let first = path.iter().next().expect("a name").to_str().expect("Unicode");
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that stand after `crate::`, alone or first in each item of its braces. Comments do not count.
fn used_by(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect();
    code.split("crate::")
        .skip(1)
        .flat_map(|rest| rest.strip_prefix('{').map_or_else(|| vec![word(rest)], items))
        .collect()
}

fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// The first word of each item up to the brace that closes the list.
fn items(list: &str) -> Vec<String> {
    let mut depth = 0;
    let mut items = vec![word(list)];
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(word(&list[at + 1..])),
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}
