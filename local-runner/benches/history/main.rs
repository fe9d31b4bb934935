//! What a long history costs: loading, pages, charts, memory.
//!
//! `cargo bench -p llm-monitor --bench history` makes seeded histories in a temporary folder (2 GB), and prints a table; each
//! figure is a ratio within the run where it can be. DuckDB is measured on the same files where `tests/history/run` installed it.
//! `--quick` makes smaller histories, to try it out; `--only load`, `pages`, `month` or `year` measures that part alone.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used)] // a program for a developer's eyes

mod loading;
mod place;
mod serving;

use std::{alloc::System, process::Command};

use llm_monitor::mock_history::Layout;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;

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
    // As `serve` answers HTTP.
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(2).max_blocking_threads(llm_monitor::FILE_THREADS).enable_all();
    let runtime = threads.build().expect("a runtime");
    // The process that `measure_year` starts.
    if let Some(at) = arguments.iter().position(|argument| argument == "--year-at") {
        let folder = arguments.get(at + 1).expect("a folder");
        runtime.block_on(serving::year(folder.as_ref()));
        return;
    }
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    let scale = |full: u32, quick: u32| if is_quick { quick } else { full };

    let only = arguments.iter().position(|argument| argument == "--only").and_then(|at| arguments.get(at + 1));
    let is_asked = |part: &str| only.is_none_or(|only| only == part);

    let mut lines = Vec::new();
    if is_asked("load") || is_asked("pages") {
        eprintln!("one million rows …");
        let million = Place::make(Layout::Csv, scale(18, 3), 10, None);
        if is_asked("load") {
            lines.extend(loading::measure(&million, &runtime));
        }
        if is_asked("pages") {
            let small = Place::make(Layout::Csv, scale(1, 1), 1, Some(1_000));
            lines.extend(runtime.block_on(serving::pages(&small, &million)));
        }
    }
    if is_asked("month") {
        eprintln!("30 days of 40 series …");
        let month = Place::make(Layout::Days, scale(31, 5), 10, None);
        lines.extend(runtime.block_on(serving::month(&month)));
    }
    if is_asked("year") {
        eprintln!("a year of one environment …");
        lines.extend(measure_year(scale(366, 10), &runtime));
    }
    print(&lines);
}

/// In a process of its own, so that its memory is nobody else's.
fn measure_year(days: u32, runtime: &Runtime) -> Vec<Line> {
    let mut lines = Vec::new();
    let year = Place::make_of(Layout::Days, days, 10, &["prod"]);
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
    lines
}

fn print(lines: &[Line]) {
    println!("| what | figure | compared | goal | met |\n| --- | --- | --- | --- | --- |");
    for Line { what, figure, ratio, is_met, goal } in lines {
        let met = if *is_met { "yes" } else { "no" };
        println!("| {what} | {figure} | {ratio} | {goal} | {met} |");
    }
}
