//! Records from any store into any other, day by day.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Result;
use chrono::{NaiveDate, Utc};
use futures_util::{StreamExt, TryStreamExt, stream};
use llm_monitor_core::{
    record::{Environment, csv::Rows},
    store::{Scope, Segment, Store},
};

use super::{
    days::{by_day, identities_by_day, identity},
    destination::End,
    state::State,
};
use crate::{
    progress,
    transfer::{Day, Transferred, parts},
};

const READ_AHEAD: usize = 8;

/// What was copied, by as many attempts as it took.
#[derive(Debug, Default)]
pub(super) struct Copied {
    days: BTreeMap<NaiveDate, CopiedDay>,
    /// Days that were the same already, and not read.
    pub(super) same_days: u64,
    /// Rows of the source that cannot be read, by their segment: one of several days is read for each of them.
    unreadable: BTreeMap<Arc<str>, u64>,
    pub(super) environments: BTreeSet<Environment>,
}

#[derive(Debug, Default)]
struct CopiedDay {
    /// Of its segments in the source, as they were read.
    identity: String,
    /// Rows that were in them.
    rows: u64,
    /// Those of them that the copy lacked.
    taken: u64,
}

impl Copied {
    pub(super) fn taken(&self) -> u64 {
        self.days.values().map(|day| day.taken).sum()
    }

    pub(super) fn there(&self) -> u64 {
        self.days.values().map(|day| day.rows.saturating_sub(day.taken)).sum()
    }

    /// Rows of the source that are not in the copy.
    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable.values().sum()
    }

    fn has(&self, day: NaiveDate, segments: &[Segment]) -> bool {
        self.days.get(&day).is_some_and(|copied| copied.identity == identity(segments))
    }

    fn has_unreadable(&self, segments: &[Segment]) -> bool {
        segments.iter().any(|segment| self.unreadable.get(&segment.name).is_some_and(|rows| *rows > 0))
    }
}

/// Copies the records that `to` lacks, but for the days that are in `copied` as they are now, or of which `state` knows that they
/// are on both sides.
pub(super) async fn copy(from: &End, to: &End, state: &mut State, copied: &mut Copied) -> Result<()> {
    let source_days = by_day(&parts(from.store(), &Scope::default()).await?, Utc::now());
    let before = identities(to.store()).await?;
    copied.same_days = 0;
    let bar = progress::steps(source_days.len() as u64, "days");
    for (day, segments) in &source_days {
        bar.set_message(day.to_string());
        let both = [identity(segments), before.get(day).cloned().unwrap_or_default()];
        if state.holds(*day, &both) {
            copied.same_days += 1;
        } else if !copied.has(*day, segments) {
            copy_day(from, to, (*day, segments), copied).await?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let after = identities(to.store()).await?;
    // What cannot be read is told each time.
    let whole = source_days.iter().filter(|(_, segments)| !copied.has_unreadable(segments));
    let both = |day| after.get(day).cloned().unwrap_or_default();
    state.days = whole.map(|(day, segments)| (*day, [identity(segments), both(day)])).collect();
    Ok(())
}

async fn copy_day(from: &End, to: &End, (day, segments): (NaiveDate, &[Segment]), copied: &mut Copied) -> Result<()> {
    let mut of_day = Day::begin(to.store(), day, false).await?;
    let mut done = Transferred::default();
    let mut reads = stream::iter(segments)
        .map(async |segment| from.store().read(segment).await.map(|csv| (segment, csv)))
        .buffered(READ_AHEAD);
    while let Some((segment, csv)) = reads.try_next().await? {
        let mut unreadable = 0;
        for row in Rows::new(&csv, segment.first_line) {
            match row {
                Ok(row) if row.timestamp.date_naive() == day => of_day.add(row.into_record(), &mut done).await?,
                Ok(_) => {}
                Err(_) => unreadable += 1,
            }
        }
        copied.unreadable.insert(Arc::clone(&segment.name), unreadable);
    }
    of_day.finish(&mut done).await?;
    copied.environments.extend(done.taken.environments().chain(done.there.environments()).cloned());
    let (taken, there) = (done.taken.total(), done.there.total());
    let of_day = copied.days.entry(day).or_default();
    *of_day = CopiedDay { identity: identity(segments), rows: taken + there, taken: of_day.taken + taken };
    Ok(())
}

/// Of the segments of each day.
async fn identities(store: &dyn Store) -> Result<BTreeMap<NaiveDate, String>> {
    Ok(identities_by_day(&parts(store, &Scope::default()).await?))
}
