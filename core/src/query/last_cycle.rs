use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    history::{Direction, History},
    record::{CycleId, Environment},
    store::{Scope, StoreError},
};

/// Rows that are looked at before an environment counts as having had no cycle.
const ROWS_AT_MOST: usize = 20_000;

/// The newest cycle of each of `environments` that left a record since `since`. One that left none is not in the answer.
pub async fn last_cycles(
    history: &History,
    environments: &[Environment],
    since: DateTime<Utc>,
) -> Result<BTreeMap<Environment, CycleId>, StoreError> {
    let scope = Scope { environments: Some(environments.to_vec()), from: Some(since), to: None };
    let mut scan = history.scan(scope, Direction::NewestFirst, None);
    let mut found = BTreeMap::new();
    for _ in 0..ROWS_AT_MOST {
        if found.len() == environments.len() {
            break;
        }
        let Some(row) = scan.next().await? else { break };
        if let Some(cycle_id) = row.cycle_id() {
            found.entry(row.environment().clone()).or_insert(cycle_id);
        }
    }
    Ok(found)
}
