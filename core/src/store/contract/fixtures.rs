//! What the suite stores, and how it compares what it reads.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    record::{
        CycleId, Environment, Record,
        csv::{self, Decoded},
    },
    store::{AppendReport, Appended, Batch, Scope, Store, StoreError},
};

/// The environment of that name.
pub fn environment(name: &str) -> Environment {
    name.parse().expect("a valid name")
}

/// The id of the suite's cycle number `minute`.
pub fn due(minute: usize) -> CycleId {
    CycleId::at(start() + TimeDelta::minutes(minute as i64))
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_500_000, 0).expect("in range")
}

/// The suite's cycle number `minute`: `models` rows for each environment.
pub fn cycle(minute: usize, environments: &[&str], models: usize) -> Batch {
    let cycle_id = due(minute);
    let mut records = Vec::new();
    for name in environments {
        for model in 0..models {
            let timestamp = cycle_id.scheduled() + TimeDelta::milliseconds((model % 30_000) as i64);
            let mut record = Record::new(format!("model-{model:05}"), environment(name), timestamp);
            record.cycle_id = Some(cycle_id);
            record.latency_ms = Some(minute as f64 + 0.125);
            record.output_tokens = Some(model as u64);
            record.provider = Some("openai".to_owned());
            record.location = Some("suite".to_owned());
            records.push(record);
        }
    }
    Batch { cycle_id: Some(cycle_id), records }
}

/// Every row of the store, in the order in which it gives them.
pub async fn all_rows(store: &Arc<dyn Store>) -> Vec<Record> {
    rows(store, &Scope::default()).await
}

/// The rows of the segments of `scope`. Lists again when a segment changes while it is read, as readers do.
pub async fn rows(store: &Arc<dyn Store>, scope: &Scope) -> Vec<Record> {
    'list: loop {
        let mut rows = Vec::new();
        for segment in store.segments(scope).await.expect("segments are listed") {
            match store.read(&segment).await {
                Ok(bytes) => {
                    let Decoded { records, problems } = csv::decode(&bytes, segment.first_line);
                    assert_eq!(problems, [], "in {}", segment.name);
                    rows.extend(records);
                }
                Err(StoreError::Changed { .. }) => continue 'list,
                Err(error) => panic!("reading {}: {error}", segment.name),
            }
        }
        return rows;
    }
}

pub(super) fn outcome(report: &AppendReport, name: &str) -> Appended {
    match report.get(&environment(name)) {
        Some(Ok(appended)) => *appended,
        Some(Err(error)) => panic!("append to {name}: {error}"),
        None => panic!("no outcome for {name}"),
    }
}

/// The same rows, whatever the order between environments and cycles.
pub(super) fn assert_same(found: &[Record], expected: &[Record], when: &str) {
    let sorted = |records: &[Record]| {
        let mut records = records.to_vec();
        records.sort_by(|a, b| {
            let key = |record: &Record| (record.cycle_id, record.environment.clone(), record.model_name.clone());
            key(a).cmp(&key(b))
        });
        records
    };
    let (found, expected) = (sorted(found), sorted(expected));
    if let Some((found, expected)) = found.iter().zip(&expected).find(|(found, expected)| found != expected) {
        panic!("{when}: found {found:#?}\nexpected {expected:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{when}: number of rows");
}
