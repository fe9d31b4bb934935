//! The models with their figures: the matrix where it has room, else a list by environment.

use super::Section;
use crate::watch::{
    board::{Board, Cell},
    client::SPARK_BUCKETS,
    line::{Line, Paint, against, pair, percent, spark},
    screen::Room,
    state::State,
};

/// Widest `7.31 / 8.20 ms`, `99.9 %` and `−99 %`.
const PAIR: usize = 14;
const SHARE: usize = 6;
const AGAINST: usize = 6;
/// A cell of the matrix without its sparkline: the mark, a pair, a share.
const CELL: usize = 2 + PAIR + 1 + AGAINST;
const GAP: usize = 3;
/// Of models' names: what they are cut to at least, and given at most.
const NAME_LEAST: usize = 14;
const NAME_MOST: usize = 32;
/// Differences under this share are noise to the eye.
const WORTH_A_COLOUR: f64 = 0.1;

fn name_width(board: &Board) -> usize {
    let widest = board.rows.iter().map(|row| console::measure_text_width(&row.model)).max().unwrap_or_default();
    widest.clamp(NAME_LEAST, NAME_MOST)
}

pub(super) fn is_matrix(board: &Board, room: Room) -> bool {
    NAME_LEAST + board.environments.len() * (GAP + CELL) <= room.width
}

pub(super) fn matrix(board: &Board, room: Room) -> Section {
    let count = board.environments.len();
    let has_sparks = name_width(board) + count * (GAP + CELL + 1 + SPARK_BUCKETS) <= room.width;
    let width = CELL + if has_sparks { 1 + SPARK_BUCKETS } else { 0 };
    let name = name_width(board).min(room.width.saturating_sub(count * (GAP + width)));
    let start = |index: usize| name + GAP + index * (GAP + width);
    let (mut names, mut notes) = (Line::new(room).put(Paint::Faint, "model"), Line::new(room));
    for (index, environment) in board.environments.iter().enumerate() {
        let simulated = if environment.is_simulated { " simulated" } else { "" };
        names = names.to(start(index)).put(Paint::Strong, &environment.name).put(Paint::Warning, simulated);
        let paint = if environment.is_well { Paint::Faint } else { Paint::Warning };
        notes = notes.to(start(index)).cell(paint, &environment.note, width);
    }
    let entries = board.rows.iter().map(|row| {
        let (mut upper, mut lower) = (Line::new(room).cell(Paint::Strong, &row.model, name), Line::new(room));
        for (index, cell) in row.cells.iter().enumerate() {
            (upper, lower) = (upper.to(start(index)), lower.to(start(index)));
            upper = upper.put(Paint::of(cell.state), cell.state.symbol());
            if let State::Absent | State::Off = cell.state {
                lower = lower.to(start(index) + 2).put(Paint::Faint, cell.state.word());
                continue;
            }
            let figures = paint_of_figures(cell);
            upper = upper.to(start(index) + 2).cell(figures, pair(cell.ttft_ms), PAIR + 1);
            upper = put_against(upper, cell);
            lower = lower.to(start(index) + 2).cell(figures, pair(cell.latency_ms), PAIR + 1);
            lower = lower.number(figures, percent(cell.success_rate), AGAINST);
            if has_sparks {
                upper = upper.to(start(index) + CELL + 1).put(figures, spark(&cell.spark, SPARK_BUCKETS));
            }
        }
        (worst(row.cells.iter()), vec![upper.end(), lower.end()])
    });
    Section { heading: vec![names.end(), notes.end()], entries: entries.collect() }
}

/// What a line of the list has room for.
pub(super) struct Columns {
    name: usize,
    pub(super) has_share: bool,
    pub(super) has_ttft: bool,
    pub(super) has_latency: bool,
    pub(super) has_against: bool,
    has_sparks: bool,
}

impl Columns {
    /// What a narrow window has no room for goes, the least telling first; names are cut before figures are.
    pub(super) fn of(board: &Board, room: Room) -> Self {
        let mut free = room.width.saturating_sub(2 + NAME_LEAST);
        let mut is_full = false;
        let mut fits = |width| {
            is_full |= free < width;
            free -= if is_full { 0 } else { width };
            !is_full
        };
        let (has_ttft, has_share, has_latency) = (fits(3 + PAIR), fits(3 + SHARE), fits(3 + PAIR));
        let name = name_width(board).min(NAME_LEAST + free);
        free -= name - NAME_LEAST;
        let has_against = has_latency && free >= 2 + AGAINST;
        let has_sparks = has_against && free >= 5 + AGAINST + SPARK_BUCKETS;
        Self { name, has_share, has_ttft, has_latency, has_against, has_sparks }
    }
}

pub(super) fn list(board: &Board, room: Room) -> Vec<Section> {
    let Columns { name, has_share, has_ttft, has_latency, has_against, has_sparks } = Columns::of(board, room);
    let sections = board.environments.iter().enumerate().map(|(index, environment)| {
        let simulated = if environment.is_simulated { " simulated" } else { "" };
        let paint = if environment.is_well { Paint::Faint } else { Paint::Warning };
        let heading = Line::new(room).put(Paint::Strong, &environment.name).put(Paint::Warning, simulated);
        let cells = board.rows.iter().filter_map(|row| Some((&row.model, row.cells.get(index)?)));
        let entries = cells.filter(|(_, cell)| cell.state != State::Absent).map(|(model, cell)| {
            let line = Line::new(room).put(Paint::of(cell.state), cell.state.symbol()).to(2);
            let mut line = line.cell(Paint::Strong, model, name);
            if cell.state == State::Off {
                return (cell.state, vec![line.put(Paint::Faint, format!("   {}", cell.state.word())).end()]);
            }
            let figures = paint_of_figures(cell);
            if has_ttft {
                line = line.put(Paint::Plain, "   ").cell(figures, pair(cell.ttft_ms), PAIR);
            }
            if has_latency {
                line = line.put(Paint::Plain, "   ").cell(figures, pair(cell.latency_ms), PAIR);
            }
            if has_share {
                line = line.number(figures, percent(cell.success_rate), 3 + SHARE);
            }
            if has_against {
                line = put_against(line.put(Paint::Plain, "  "), cell);
            }
            if has_sparks {
                line = line.put(figures, format!("   {}", spark(&cell.spark, SPARK_BUCKETS)));
            }
            (cell.state, vec![line.end()])
        });
        Section {
            heading: vec![heading.put(paint, format!("  {}", environment.note)).end()],
            entries: entries.collect(),
        }
    });
    sections.collect()
}

/// What is old or few is not shown like what is known.
fn paint_of_figures(cell: &Cell) -> Paint {
    if cell.state == State::Unknown { Paint::Faint } else { Paint::Plain }
}

fn put_against(line: Line, cell: &Cell) -> Line {
    let Some(ratio) = cell.against else { return line.number(Paint::Plain, "", AGAINST) };
    let paint = match ratio - 1.0 {
        _ if cell.state == State::Unknown || !cell.ttft_ms.enough => Paint::Faint,
        change if change >= WORTH_A_COLOUR => Paint::Warning,
        change if change <= -WORTH_A_COLOUR => Paint::Good,
        _ => Paint::Faint,
    };
    line.number(paint, against(ratio), AGAINST)
}

fn worst<'a>(cells: impl Iterator<Item = &'a Cell>) -> State {
    cells.map(|cell| cell.state).min().unwrap_or(State::Absent)
}
