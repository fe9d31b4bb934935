//! The same figures, made of the list of rows one by one.

use std::collections::BTreeMap;

use llm_monitor_core::{
    history::{History, RELATIVE_ERROR},
    query::{Column, Selection, Summary, summaries},
    record::{Metric, Record},
    store::Scope,
};
use rust_decimal::Decimal;

use super::rows::Rows;

/// What `history` says of `scope` is what the rows say.
pub(super) async fn assert_alike(history: &History, scope: &Scope, rows: &Rows) {
    let selection = Selection { scope: scope.clone(), rows_at_most: u64::MAX, ..Selection::default() };
    let (found, is_exact) =
        summaries(history, &selection, &[Column::Environment, Column::Model]).await.expect("summed up");
    let mut groups: BTreeMap<(String, String), Vec<&Record>> = BTreeMap::new();
    for record in rows.within(scope) {
        groups.entry((record.environment.to_string(), record.model_name.clone())).or_default().push(record);
    }
    let names = |key: &llm_monitor_core::query::GroupKey| {
        (key.environment.clone().expect("an environment"), key.model_name.clone().expect("a model"))
    };
    let found: BTreeMap<_, _> = found.into_iter().map(|(key, summary)| (names(&key), summary)).collect();
    assert!(found.keys().eq(groups.keys()), "groups {:?}, expected {:?}", found.keys(), groups.keys());
    for ((name, summary), rows) in found.into_iter().zip(groups.values()) {
        assert_group(&format!("{name:?} in {scope:?}, exact: {is_exact}"), summary, rows, is_exact);
    }
}

fn assert_group(name: &str, mut summary: Summary, rows: &[&Record], is_exact: bool) {
    let counted: Vec<_> = rows.iter().filter(|row| !row.simulated).collect();
    assert_eq!(summary.simulated_left_out, (rows.len() - counted.len()) as u64, "simulated of {name}");
    assert_eq!(summary.count, counted.len() as u64, "rows of {name}");
    assert_eq!(summary.successes, counted.iter().filter(|row| row.is_success()).count() as u64, "successes of {name}");
    let mut failures = BTreeMap::new();
    for row in counted.iter().filter(|row| !row.is_success()) {
        *failures.entry(row.error_kind()).or_insert(0) += 1;
    }
    assert_eq!(summary.failures_by_kind, failures, "failures of {name}");
    assert_eq!(
        summary.output_tokens,
        counted.iter().filter_map(|row| row.output_tokens).sum::<u64>(),
        "tokens of {name}"
    );
    assert_eq!(
        summary.input_tokens,
        counted.iter().filter_map(|row| row.input_tokens).sum::<u64>(),
        "tokens of {name}"
    );
    assert_eq!(summary.cost_usd, counted.iter().filter_map(|row| row.cost).sum::<Decimal>(), "cost of {name}");
    assert_eq!(summary.priced, counted.iter().filter(|row| row.cost.is_some()).count() as u64, "priced of {name}");

    let mut latencies: Vec<f64> = counted.iter().filter_map(|row| row.latency_ms).collect();
    latencies.sort_by(f64::total_cmp);
    let found = summary.take_distribution(Metric::LatencyMs);
    assert_eq!(found.count, latencies.len() as u64, "latencies of {name}");
    assert_eq!((found.min, found.max), (latencies.first().copied(), latencies.last().copied()), "ends of {name}");
    for (p, found) in [(50, found.p50), (95, found.p95)] {
        let rank = (latencies.len() * p).div_ceil(100).max(1);
        let expected = latencies.get(rank - 1).copied();
        let is_alike = match (found, expected) {
            (Some(found), Some(expected)) if !is_exact => (found - expected).abs() <= RELATIVE_ERROR * expected + 1e-9,
            _ => found == expected,
        };
        assert!(is_alike, "p{p} of {name}: {found:?}, expected {expected:?}");
    }
}
