//! What a long history costs: loading, pages, charts, memory.
//!
//! `cargo bench -p llm-monitor --bench history` makes seeded histories in a temporary folder (2 GB), and prints the table that
//! README.md holds; each figure is a ratio within the run where it can be. DuckDB is measured on the same files where
//! `tests/history/run` installed it. `--quick` makes smaller histories, to try it out; `--only load`, `pages`, `month`, `year` or
//! `serve` measures that part alone.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::expect_used)] // a program for a developer's eyes

mod loading;
mod place;
mod resident;
mod serving;

use std::{alloc::System, fmt, process::Command};

use llm_monitor::mock_history::Layout;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use place::Place;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One line of the table.
struct Line {
    what: String,
    figure: String,
    compared: String,
    goal: String,
    met: String,
}

impl Line {
    /// A figure that is compared with nothing, and of which nothing is demanded.
    fn new(what: impl Into<String>, figure: impl Into<String>) -> Self {
        let (compared, goal, met) = (String::new(), String::new(), String::new());
        Self { what: what.into(), figure: figure.into(), compared, goal, met }
    }

    fn compared(self, compared: impl Into<String>) -> Self {
        Self { compared: compared.into(), ..self }
    }

    /// `are_met`, one for each part of the goal: `None` is one that could not be measured here.
    fn goal(self, goal: impl Into<String>, are_met: &[Option<bool>]) -> Self {
        let met = |is_met: &Option<bool>| match is_met {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not measured",
        };
        Self { goal: goal.into(), met: are_met.iter().map(met).collect::<Vec<_>>().join(", "), ..self }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, compared, goal, met } = self;
        write!(f, "| {what} | {figure} | {compared} | {goal} | {met} |")
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

    println!("| what | figure | compared | goal | met |\n| --- | --- | --- | --- | --- |");
    if is_asked("load") || is_asked("pages") {
        eprintln!("one million rows …");
        let million = Place::make(Layout::Csv, scale(18, 3), 10, None);
        if is_asked("load") {
            print(&loading::measure(&million, &runtime));
        }
        if is_asked("pages") {
            let small = Place::make(Layout::Csv, scale(1, 1), 1, Some(1_000));
            print(&runtime.block_on(serving::pages(&small, &million)));
        }
    }
    if is_asked("month") {
        eprintln!("30 days of 40 series …");
        let month = Place::make(Layout::Days, scale(31, 5), 10, None);
        print(&runtime.block_on(serving::month(&month)));
    }
    if is_asked("year") || is_asked("serve") {
        eprintln!("a year of one environment …");
        let year = Place::make_of(Layout::Days, scale(366, 10), 10, &["prod"]);
        runtime.block_on(serving::roll_up(&year));
        if is_asked("year") {
            measure_year(&year);
        }
        if is_asked("serve") {
            print(&resident::measure(&year));
        }
    }
}

/// In a process of its own, so that its memory is nobody else's. It prints its lines itself.
fn measure_year(year: &Place) {
    let child = Command::new(std::env::current_exe().expect("a path")).arg("--year-at").arg(year.folder()).status();
    assert!(child.expect("it runs").success(), "a year: it failed");
}

fn print(lines: &[Line]) {
    for line in lines {
        println!("{line}");
    }
}
