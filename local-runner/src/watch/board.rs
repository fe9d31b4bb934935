//! From the server's answers to what is drawn: pure.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    answers::{Distribution, EnvironmentHealth, Group, OneSeries, Snapshot},
    draw,
    state::{News, State, state_of},
};

/// The order in which teams name their environments; others follow by name.
const ORDER: [&str; 8] = ["dev", "development", "test", "qa", "staging", "preprod", "prod", "production"];
/// As `/health` has it: three intervals, and never under 90 s.
const INTERVALS_UNTIL_STALE: i32 = 3;
const STALE_AT_LEAST: TimeDelta = TimeDelta::seconds(90);
/// Answers that are older tell nothing of now.
const NEWS_TIME_LIMIT: TimeDelta = TimeDelta::seconds(180);

/// The matrix at one instant.
#[derive(Debug, Clone)]
pub(super) struct Board {
    pub(super) environments: Vec<EnvironmentColumn>,
    /// By name.
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone)]
pub(super) struct EnvironmentColumn {
    pub(super) name: String,
    pub(super) is_simulated: bool,
    /// How old its last cycle is, or what is wrong.
    pub(super) note: String,
    pub(super) is_well: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) model: String,
    /// One for each environment.
    pub(super) cells: Vec<Cell>,
}

#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) state: State,
    pub(super) why: String,
    pub(super) ttft_ms: Distribution,
    pub(super) latency_ms: Distribution,
    pub(super) success_rate: Option<f64>,
    /// Its TTFT's p95 over the median of the other environments'.
    pub(super) against: Option<f64>,
    /// p95 of TTFT over the window, oldest first.
    pub(super) spark: Vec<Option<f64>>,
}

impl Board {
    /// `elapsed`: since the answers. `is_silent`: the server does not answer any more.
    pub(super) fn new(snapshot: &Snapshot, elapsed: TimeDelta, is_silent: bool) -> Self {
        let mut names: Vec<&String> = snapshot.health.environments.keys().collect();
        names.sort_by_key(|name| (ORDER.iter().position(|usual| usual == name).unwrap_or(ORDER.len()), *name));
        let now = snapshot.at + elapsed;
        let news: Vec<News> = names.iter().map(|name| news_of(snapshot, name, elapsed, is_silent)).collect();
        let environments = names.iter().zip(&news).map(|(name, news)| column(snapshot, name, news, elapsed)).collect();

        let groups: BTreeMap<_, _> = snapshot.groups.iter().map(|g| ((&g.environment, &g.model_name), g)).collect();
        let series: BTreeMap<_, _> = snapshot.series.iter().map(|s| ((&s.environment, &s.model_name), s)).collect();
        let listed = snapshot.models.values().flat_map(BTreeMap::keys);
        let models: BTreeSet<&String> = listed.chain(snapshot.groups.iter().map(|group| &group.model_name)).collect();
        let rows = models.into_iter().map(|model| {
            let cells = names.iter().zip(&news).map(|(name, news)| {
                let group = groups.get(&(*name, model)).copied();
                let listed = snapshot.models.get(*name).and_then(|models| models.get(model));
                let (state, why) = state_of(group, listed, news, group.and_then(|group| age_of(group, now)));
                Cell::new(state, why, group, series.get(&(*name, model)).copied())
            });
            Row { model: model.clone(), cells: compared(cells.collect()) }
        });
        Self { environments, rows: rows.collect() }
    }

    /// Whether all that is monitored is known to work, and something is.
    pub(super) fn is_well(&self) -> bool {
        let states = || self.rows.iter().flat_map(|row| &row.cells).map(|cell| cell.state);
        states().any(|state| state < State::Off)
            && states().all(|state| !matches!(state, State::Failing | State::Unknown))
            && self.environments.iter().all(|environment| environment.is_well)
    }

    /// How many models in environments are in each state, worst first, those that tell nothing left out.
    pub(super) fn counts(&self) -> BTreeMap<State, usize> {
        let mut counts = BTreeMap::new();
        for cell in self.rows.iter().flat_map(|row| &row.cells).filter(|cell| cell.state < State::Off) {
            *counts.entry(cell.state).or_default() += 1;
        }
        counts
    }
}

impl Cell {
    fn new(state: State, why: String, group: Option<&Group>, series: Option<&OneSeries>) -> Self {
        Self {
            state,
            why,
            ttft_ms: group.map(|group| group.ttft_ms).unwrap_or_default(),
            latency_ms: group.map(|group| group.latency_ms).unwrap_or_default(),
            success_rate: group.and_then(|group| group.success_rate),
            against: None,
            spark: series.and_then(|series| series.values.values().next().cloned()).unwrap_or_default(),
        }
    }
}

fn age_of(group: &Group, now: DateTime<Utc>) -> Option<TimeDelta> {
    group.last_record.as_ref().map(|last| now - last.timestamp)
}

fn news_of(snapshot: &Snapshot, name: &str, elapsed: TimeDelta, is_silent: bool) -> News {
    let stale_after = snapshot
        .interval
        .map(|interval| interval.checked_mul(INTERVALS_UNTIL_STALE).unwrap_or(interval).max(STALE_AT_LEAST));
    let health = snapshot.health.environments.get(name);
    let silence = match health.map(|health| health.status.as_str()) {
        _ if is_silent => Some("the server does not answer".to_owned()),
        _ if elapsed > NEWS_TIME_LIMIT => Some(format!("no news for {}", draw::age(elapsed))),
        Some("stale") => Some("the last cycle is overdue".to_owned()),
        Some("unavailable") | None => Some("its records cannot be read".to_owned()),
        Some(_) => None,
    };
    News { silence, stale_after, is_listed: snapshot.models.get(name).is_some_and(|models| !models.is_empty()) }
}

fn column(snapshot: &Snapshot, name: &str, news: &News, elapsed: TimeDelta) -> EnvironmentColumn {
    let models = snapshot.models.get(name).into_iter().flat_map(BTreeMap::values);
    let mut groups = snapshot.groups.iter().filter(|group| group.environment == name);
    let health = snapshot.health.environments.get(name);
    let last = health.and_then(|health| health.last_cycle.as_ref()).map(|last| {
        let age = TimeDelta::milliseconds((last.age_seconds.clamp(0.0, 1e12) * 1_000.0) as i64) + elapsed;
        format!("cycle {} ago", draw::age(age))
    });
    EnvironmentColumn {
        name: name.to_owned(),
        is_simulated: models.clone().any(|model| model.simulated) || groups.any(|group| group.simulated),
        note: match (last, health.map(|health| health.status.as_str())) {
            (Some(last), Some("stale")) => format!("stale, {last}"),
            (Some(last), _) => last,
            (None, Some("starting")) => "first cycle awaited".to_owned(),
            (None, _) => "no cycle".to_owned(),
        },
        is_well: news.silence.is_none() && health.is_some_and(|health| health.status != "starting"),
    }
}

/// Puts each cell against the others of its row.
fn compared(mut cells: Vec<Cell>) -> Vec<Cell> {
    let p95s: Vec<Option<f64>> = cells.iter().map(|cell| cell.ttft_ms.p95).collect();
    for (index, cell) in cells.iter_mut().enumerate() {
        let mut others: Vec<f64> =
            p95s.iter().enumerate().filter(|(i, _)| *i != index).filter_map(|(_, p)| *p).collect();
        others.sort_by(f64::total_cmp);
        let median = match (others.get(others.len() / 2), others.len() % 2) {
            (Some(middle), 1) => Some(*middle),
            (Some(upper), _) => others.get(others.len() / 2 - 1).map(|lower| f64::midpoint(*lower, *upper)),
            (None, _) => None,
        };
        let ratio = |own: f64| median.filter(|median| *median > 0.0).map(|median| own / median);
        cell.against = cell.ttft_ms.p95.and_then(ratio);
    }
    cells
}

/// Where an environment's catalog comes from, if not from its usage endpoint.
pub(super) fn catalog_problem(health: &EnvironmentHealth) -> Option<&'static str> {
    match health.catalog.as_ref()?.source.as_str() {
        "last_good" => Some("its usage endpoint fails; the last good catalog is used"),
        "built_in" => Some("its usage endpoint never answered; the built-in catalog is used"),
        _ => None,
    }
}
