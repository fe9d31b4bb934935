//! The objects of a bucket.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Result, bail};
use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::{StreamExt, stream};
use indicatif::ProgressBar;
use llm_monitor_core::{
    history::is_intact_rollup,
    record::Environment,
    store::{Scope, Segment, Store, StoreError},
};

use super::{
    Kind, Problem, check_file,
    file::{Checks, End},
};

const READ_AHEAD: usize = 8;
/// How often an object that changes while it is read is listed again.
const ATTEMPTS: u32 = 8;

/// Checks every segment of `store`. The monitor may go on meanwhile.
pub(crate) async fn check_store(checks: &mut Checks, store: &Arc<dyn Store>, bar: &ProgressBar) -> Result<()> {
    let segments = store.segments(&Scope::default()).await?;
    bar.set_length(segments.iter().map(|segment| segment.size_bytes).sum());
    let days = segments.iter().filter_map(|segment| segment.earliest).map(|earliest| earliest.date_naive()).collect();
    let environments = segments.iter().filter_map(|segment| segment.environment.clone()).collect();
    let mut reads =
        stream::iter(segments).map(async |segment| (read(store, &segment).await, segment)).buffered(READ_AHEAD);
    while let Some((csv, segment)) = reads.next().await {
        let csv = match csv {
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::TooLarge { .. })) => {
                let (file, reason) = (segment.name.to_string(), error.to_string());
                checks.report.problem(Problem { kind: Kind::TooLarge, file, line: 1, reason });
                continue;
            }
            csv => csv?,
        };
        checks.report.bytes += csv.len() as u64;
        let end = check_file(checks, &segment.name, csv.as_ref(), |_| {});
        // An object is written whole: what is torn in it came so.
        if let End::Torn(problem) | End::Broken(problem) = end? {
            checks.report.problem(problem);
        }
        bar.inc(segment.size_bytes);
    }
    check_rollups(checks, store, environments, days).await
}

/// Those of the days that have records.
async fn check_rollups(
    checks: &mut Checks,
    store: &Arc<dyn Store>,
    environments: BTreeSet<Environment>,
    days: BTreeSet<NaiveDate>,
) -> Result<()> {
    for environment in environments {
        let mut loads = stream::iter(&days)
            .map(async |day| (day, store.load_rollup(&environment, *day).await))
            .buffered(READ_AHEAD);
        while let Some((day, kept)) = loads.next().await {
            if kept?.is_some_and(|kept| !is_intact_rollup(&kept.csv)) {
                checks.report.damaged_rollup(&format!("rollups/environment={environment}/date={day}.csv"));
            }
        }
    }
    Ok(())
}

async fn read(store: &Arc<dyn Store>, listed: &Segment) -> Result<Bytes> {
    let mut segment = listed.clone();
    for _ in 0..ATTEMPTS {
        match store.read(&segment).await {
            Err(StoreError::Changed { .. }) => {}
            read => return Ok(read?),
        }
        let scope = Scope {
            environments: segment.environment.clone().map(|environment| vec![environment]),
            from: segment.earliest,
            to: None,
        };
        let now = store.segments(&scope).await?;
        let Some(again) = now.into_iter().find(|again| again.name == listed.name) else {
            bail!("{} vanished while it was read", listed.name);
        };
        segment = again;
    }
    bail!("{} keeps changing", listed.name)
}
