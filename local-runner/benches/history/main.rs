//! What a long history costs: loading, pages, charts, memory.
//!
//! `cargo bench -p llm-monitor --bench history` makes seeded histories in a temporary folder (2 GB), and prints a table; each
//! figure is a ratio within the run where it can be. DuckDB is measured on the same files where `tests/history/run` installed it.
//! `--quick` makes smaller histories, to try it out.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used)] // a program for a developer's eyes

mod loading;
mod place;
mod serving;

use std::{alloc::System, process::Command};

use llm_monitor::mock_history::Layout;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use place::Place;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One line of the table.
struct Line {
    what: String,
    figure: String,
    ratio: String,
    is_met: bool,
    goal: &'static str,
}

impl Line {
    fn new(what: String, figure: String, ratio: String, is_met: bool, goal: &'static str) -> Self {
        Self { what, figure, ratio, is_met, goal }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    // A year is measured in a process of its own, so that its memory is nobody else's.
    if let Some(at) = arguments.iter().position(|argument| argument == "--year-at") {
        let folder = arguments.get(at + 1).expect("a folder");
        runtime.block_on(serving::year(folder.as_ref()));
        return;
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let scale = |full: u32, quick: u32| if is_quick { quick } else { full };

    let mut lines = Vec::new();
    eprintln!("one million rows …");
    let small = Place::make(Layout::Csv, scale(1, 1), 1, Some(1_000));
    let million = Place::make(Layout::Csv, scale(18, 3), 10, None);
    lines.extend(loading::measure(&million, &runtime));
    lines.extend(runtime.block_on(serving::pages(&small, &million)));
    drop((small, million));
    eprintln!("30 days of 40 series …");
    let month = Place::make(Layout::Days, scale(31, 5), 10, None);
    lines.extend(runtime.block_on(serving::month(&month)));
    drop(month);
    eprintln!("a year of one environment …");
    let year = Place::make_of(Layout::Days, scale(366, 10), 10, &["prod"]);
    runtime.block_on(serving::roll_up(&year));
    let child = Command::new(std::env::current_exe().expect("a path")).arg("--year-at").arg(year.folder()).output();
    let said = child.expect("it runs");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    for line in String::from_utf8_lossy(&said.stdout).lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        if let [what, figure, is_met, goal] = cells[..] {
            let goal: &'static str = goal.to_owned().leak();
            lines.push(Line::new(what.to_owned(), figure.to_owned(), String::new(), is_met == "true", goal));
        }
    }
    print(&lines);
}

fn print(lines: &[Line]) {
    println!("| what | figure | compared | goal | met |\n| --- | --- | --- | --- | --- |");
    for Line { what, figure, ratio, is_met, goal } in lines {
        let met = if *is_met { "yes" } else { "no" };
        println!("| {what} | {figure} | {ratio} | {goal} | {met} |");
    }
}
