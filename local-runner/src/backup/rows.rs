//! Records from any store into any other, day by day.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::Utc;
use llm_monitor_core::{
    record::csv::Rows,
    store::{Scope, Store},
};

use super::{
    days::{by_day, identity},
    destination::End,
    state::State,
};
use crate::{
    progress,
    transfer::{Day, Transferred, parts},
};

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) rows: Transferred,
    /// Days that were the same already, and not read.
    pub(super) same_days: u64,
    /// Rows of the source that cannot be read, and are not in the copy.
    pub(super) unreadable: u64,
}

/// Copies the records that `to` lacks. `source_name` tells the source from others.
pub(super) async fn copy(from: &End, to: &End, source_name: &str) -> Result<Copied> {
    let now = Utc::now();
    let segments = parts(from.store(), &Scope::default()).await?;
    let source_days = by_day(&segments, now);
    let mut state = match to {
        End::Files { path, .. } => Some((State::load(path, source_name), path)),
        End::Bucket(_) => None,
    };
    let before = identities(to.store(), state.is_some()).await?;
    let mut copied = Copied::default();
    let mut seen = BTreeMap::new();
    let bar = progress::steps(source_days.len() as u64, "days");
    for (day, segments) in &source_days {
        bar.set_message(day.to_string());
        let both = [identity(segments), before.get(day).cloned().unwrap_or_default()];
        if state.as_ref().is_some_and(|(state, _)| state.holds(*day, &both)) {
            copied.same_days += 1;
            bar.inc(1);
            continue;
        }
        let mut of_day = Day::begin(to.store(), *day, false).await?;
        for segment in segments {
            let csv = from.store().read(segment).await?;
            let mut unreadable = 0;
            for row in Rows::new(&csv, segment.first_line) {
                match row {
                    Ok(row) if row.timestamp.date_naive() == *day => {
                        of_day.add(row.into_record(), &mut copied.rows).await?;
                    }
                    Ok(_) => {}
                    Err(_) => unreadable += 1,
                }
            }
            // A segment of several days is read for each of them.
            seen.insert(segment.name.clone(), unreadable);
        }
        of_day.finish(&mut copied.rows).await?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    copied.unreadable = seen.values().sum();
    if let Some((state, path)) = &mut state {
        let after = identities(to.store(), true).await?;
        let both =
            |(day, segments): (_, &Vec<_>)| (day, [identity(segments), after.get(&day).cloned().unwrap_or_default()]);
        let days = source_days.iter().map(|(day, segments)| both((*day, segments))).collect();
        state.save(path, days)?;
    }
    Ok(copied)
}

/// Of the segments of each day.
async fn identities(store: &dyn Store, are_wanted: bool) -> Result<BTreeMap<chrono::NaiveDate, String>> {
    if !are_wanted {
        return Ok(BTreeMap::new());
    }
    let days = by_day(&parts(store, &Scope::default()).await?, Utc::now());
    Ok(days.into_iter().map(|(day, segments)| (day, identity(&segments))).collect())
}
