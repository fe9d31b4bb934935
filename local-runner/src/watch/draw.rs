//! The board as text: the matrix where it has room, else a list by environment.

mod matrix;

use chrono::{DateTime, TimeDelta, Utc};

pub(super) use super::line::age;
use super::{
    answers::{Health, Snapshot},
    board::{Board, catalog_problem},
    client::AskError,
    line::{Line, Paint},
    screen::Room,
    state::State,
};

use matrix::{Columns, is_matrix, list, matrix};

/// Lines kept for what is wrong, where there are fewer than are needed.
const TROUBLE_LINES: usize = 5;

/// What is known of the server at one instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) url: &'a str,
    pub(super) window: &'a str,
    /// The last answers, and how long ago they came.
    pub(super) known: Option<(&'a Snapshot, TimeDelta)>,
    /// Since when it does not answer, and why.
    pub(super) silence: Option<(DateTime<Utc>, &'a AskError)>,
    /// By this machine's clock.
    pub(super) now: DateTime<Utc>,
}

/// Entries under a heading; what has no room is left out from the best on.
struct Section {
    heading: Vec<String>,
    entries: Vec<(State, Vec<String>)>,
}

impl Section {
    fn line_count(&self) -> usize {
        self.heading.len() + self.entries.iter().map(|(_, lines)| lines.len()).sum::<usize>()
    }
}

/// Everything, a line feed after each line.
pub(super) fn render(scene: &Scene<'_>, room: Room) -> String {
    let board = scene.known.map(|(snapshot, elapsed)| Board::new(snapshot, elapsed, scene.silence.is_some()));
    let mut lines = head(scene, board.as_ref(), room);
    let Some(board) = board else { return joined(&lines) };
    let trouble = trouble(&board, room);
    let legend = legend(&board, room);
    let sections = if is_matrix(&board, room) { vec![matrix(&board, room)] } else { list(&board, room) };
    let kept_free = lines.len() + legend.len() + trouble.len().min(TROUBLE_LINES) + 3;
    lines.push(String::new());
    lines.extend(fitted(sections, room.height.map(|height| height.saturating_sub(kept_free)), room));
    if !trouble.is_empty() {
        lines.push(String::new());
        let free = room.height.map_or(usize::MAX, |height| height.saturating_sub(lines.len() + legend.len() + 1));
        lines.extend(trouble.into_iter().take(free));
    }
    lines.push(String::new());
    lines.extend(legend);
    lines.truncate(room.height.unwrap_or(usize::MAX));
    joined(&lines)
}

fn joined(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
}

fn head(scene: &Scene<'_>, board: Option<&Board>, room: Room) -> Vec<String> {
    let title = Line::new(room).put(Paint::Strong, "LLM Monitor").put(Paint::Plain, format!("  {}", scene.url));
    let Some((snapshot, elapsed)) = scene.known else {
        return [vec![title.end()], silence(scene, room)].concat();
    };
    let Health { status, version, mode, store, problems, .. } = &snapshot.health;
    let time = (snapshot.at + elapsed).format("%H:%M:%S");
    let title = title.put(Paint::Faint, format!("  {version}, {mode} mode, last {}, {time} UTC", scene.window));
    let mut lines = vec![title.end()];
    lines.extend(silence(scene, room));
    if scene.silence.is_none() {
        let paint = if status == "ok" { Paint::Good } else { Paint::Warning };
        let place = if store.location.is_empty() { String::new() } else { format!(" {}", store.location) };
        let line = Line::new(room).put(Paint::Plain, "Monitor ").put(paint, status);
        lines.push(line.put(Paint::Faint, format!("  store: {}{place}", store.kind)).end());
        // An environment's own problems stand with the environment.
        let is_own =
            |problem: &str| !snapshot.health.environments.keys().any(|name| problem.starts_with(&format!("{name}: ")));
        lines.extend(problems.iter().filter(|problem| is_own(problem)).map(|problem| warning(problem, room)));
        for (name, health) in &snapshot.health.environments {
            let problems = health.problems.iter().map(String::as_str);
            let problems: Vec<&str> = if health.problems.is_empty() {
                catalog_problem(health).into_iter().collect()
            } else {
                problems.collect()
            };
            lines.extend(problems.into_iter().map(|problem| warning(&format!("{name}: {problem}"), room)));
        }
    }
    if let Some(board) = board {
        let counts = board.counts();
        let line = counts.iter().fold(Line::new(room), |line, (state, count)| {
            line.put(Paint::of(*state), state.symbol()).put(Paint::Plain, format!(" {count} {}   ", state.word()))
        });
        lines.push(if counts.is_empty() {
            Line::new(room).put(Paint::Warning, "No model is monitored.").end()
        } else {
            line.end()
        });
    }
    lines
}

fn silence(scene: &Scene<'_>, room: Room) -> Vec<String> {
    let Some((since, error)) = scene.silence else {
        return if scene.known.is_some() {
            Vec::new()
        } else {
            vec![Line::new(room).put(Paint::Faint, "Asking …").end()]
        };
    };
    let since_text =
        format!("Unreachable since {} UTC ({}): {error}", since.format("%H:%M:%S"), age(scene.now - since));
    let mut lines = vec![Line::new(room.for_sentences()).put(Paint::Bad, since_text).end()];
    if let Some((snapshot, _)) = scene.known {
        let note = format!("The figures are those of {} UTC; what is now is unknown.", snapshot.at.format("%H:%M:%S"));
        lines.push(Line::new(room).put(Paint::Plain, note).end());
    } else {
        lines.push(
            Line::new(room).put(Paint::Plain, "Is `llm-monitor serve` running there? --url says where to ask.").end(),
        );
    }
    lines
}

fn warning(text: &str, room: Room) -> String {
    Line::new(room.for_sentences()).put(Paint::Warning, "! ").put(Paint::Plain, text).end()
}

/// The sections' lines, at most so many: the best entries go first.
fn fitted(mut sections: Vec<Section>, lines_at_most: Option<usize>, room: Room) -> Vec<String> {
    let count = |sections: &[Section]| -> usize { sections.iter().map(Section::line_count).sum() };
    let mut left_out = 0;
    while lines_at_most.is_some_and(|most| count(&sections) + usize::from(left_out > 0) > most) {
        let entries = sections.iter().enumerate();
        let best = entries
            .flat_map(|(at, section)| section.entries.iter().enumerate().map(move |(i, entry)| (entry.0, at, i)));
        let Some((_, at, index)) = best.max() else { break };
        if let Some(section) = sections.get_mut(at) {
            section.entries.remove(index);
            if section.entries.is_empty() {
                section.heading.clear();
            }
            left_out += 1;
        }
    }
    let has_room = lines_at_most.is_none_or(|most| count(&sections) + sections.len() <= most);
    let mut lines: Vec<String> = Vec::new();
    for section in sections.into_iter().filter(|section| section.line_count() > 0) {
        if has_room && !lines.is_empty() {
            lines.push(String::new());
        }
        lines.extend(section.heading);
        lines.extend(section.entries.into_iter().flat_map(|(_, lines)| lines));
    }
    if left_out > 0 {
        let note = format!("… and {left_out} more, none in a worse state; a higher window shows them");
        lines.push(Line::new(room).put(Paint::Faint, note).end());
    }
    lines
}

/// Each model that does not simply work, worst first; an environment of which nothing is known in one line.
fn trouble(board: &Board, room: Room) -> Vec<String> {
    let mut entries: Vec<(State, String, &str)> = Vec::new();
    for (index, environment) in board.environments.iter().enumerate() {
        let cells = || board.rows.iter().filter_map(|row| Some((&row.model, row.cells.get(index)?)));
        let reasons: std::collections::BTreeSet<&str> =
            cells().filter(|(_, cell)| cell.state < State::Off).map(|(_, cell)| cell.why.as_str()).collect();
        let is_silent =
            cells().filter(|(_, cell)| cell.state < State::Off).all(|(_, cell)| cell.state == State::Unknown);
        if let (true, 1, Some(reason)) = (is_silent, reasons.len(), reasons.first()) {
            entries.push((State::Unknown, environment.name.clone(), reason));
            continue;
        }
        let bad = cells().filter(|(_, cell)| cell.state < State::Working);
        entries
            .extend(bad.map(|(model, cell)| (cell.state, format!("{} {model}", environment.name), cell.why.as_str())));
    }
    entries.sort();
    let lines = entries.into_iter().map(|(state, name, why)| {
        let line = Line::new(room.for_sentences())
            .put(Paint::of(state), format!("{} ", state.symbol()))
            .put(Paint::Strong, name);
        line.put(Paint::Plain, format!("  {}: {why}", state.word())).end()
    });
    lines.collect()
}

fn legend(board: &Board, room: Room) -> Vec<String> {
    let text = if is_matrix(board, room) {
        "Each cell: TTFT p50 / p95, its p95 against the other environments'; end to end p50 / p95, success rate"
            .to_owned()
    } else {
        let columns = Columns::of(board, room);
        let words = [
            (columns.has_ttft, "TTFT p50 / p95"),
            (columns.has_latency, "end to end"),
            (columns.has_share, "success"),
            (columns.has_against, "TTFT against the others"),
        ];
        words.into_iter().filter_map(|(is_shown, word)| is_shown.then_some(word)).collect::<Vec<_>>().join(", ")
    };
    if text.is_empty() { Vec::new() } else { vec![Line::new(room).put(Paint::Faint, text).end()] }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::watch::answers::{Group, Model};

    fn group(environment: &str, name: &str, is_failing: bool) -> Group {
        let distribution = json!({"p50": 410.0, "p95": 512.0, "enough": true});
        let (status, kind) = if is_failing { ("error", Some("timeout")) } else { ("success", None) };
        serde_json::from_value(json!({
            "environment": environment, "model_name": name, "simulated": false, "count": 20, "successes": 20, "failures": 0,
            "success_rate": 1.0, "ttft_ms": distribution, "latency_ms": distribution,
            "last_record": {
                "timestamp": "2026-11-24T16:54:00Z", "status": status, "error_kind": kind, "error_message": null
            },
        }))
        .expect("a group")
    }

    /// 40 models in two environments, of which the last fails in one.
    fn snapshot() -> Snapshot {
        let environment = json!({"status": "ok", "last_cycle": null, "catalog": null});
        let health = json!({
            "status": "ok", "version": "1", "mode": "full", "environments": {"prod": environment, "dev": environment}
        });
        let names: Vec<String> = (0..40).map(|number| format!("model-{number:02}")).collect();
        let groups = ["dev", "prod"].into_iter().flat_map(|environment| {
            names.iter().map(move |name| group(environment, name, (environment, name.as_str()) == ("prod", "model-39")))
        });
        let model = Model { monitored: true, reason: None, simulated: false };
        let listed = names.iter().map(|name| (name.clone(), model.clone())).collect();
        Snapshot {
            health: serde_json::from_value(health).expect("a health"),
            groups: groups.collect(),
            series: Vec::new(),
            models: [("dev".to_owned(), listed)].into(),
            interval: None,
            at: "2026-11-24T16:54:30Z".parse().expect("a time"),
        }
    }

    fn rendered(width: usize, height: Option<usize>) -> String {
        let snapshot = snapshot();
        let known = Some((&snapshot, TimeDelta::zero()));
        let scene = Scene { url: "http://h", window: "1 h", known, silence: None, now: snapshot.at };
        render(&scene, Room { width, height, is_coloured: false })
    }

    #[test]
    fn a_small_window_shows_what_fails_and_says_how_much_it_leaves_out() {
        for (width, height) in [(100, 24), (60, 24), (60, 12), (20, 10)] {
            let text = rendered(width, Some(height));
            assert!(text.lines().count() <= height, "{width} by {height}: {text}");
            assert!(text.contains("model-39"), "{width} by {height}: {text}");
            assert!(text.lines().all(|line| console::measure_text_width(line) <= width), "{width} by {height}: {text}");
        }
        assert!(rendered(100, Some(24)).contains("none in a worse state"), "{}", rendered(100, Some(24)));
        let all = rendered(100, None);
        assert!((0..40).all(|number| all.contains(&format!("model-{number:02}"))), "{all}");
        assert!(all.find("dev").expect("dev") < all.find("prod").expect("prod"), "environments in their order: {all}");
    }
}
