//! Brings rows into a store that does not have them yet, day by day: what `import` and `backup` have in common.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher},
};

use anyhow::{Result, bail};
use bytes::Bytes;
use chrono::{Days, NaiveDate, NaiveTime};
use futures_util::{StreamExt, TryStreamExt, stream};
use llm_monitor_core::{
    record::{
        Record,
        csv::{self, Rows},
    },
    store::{Appended, Batch, Scope, Segment, Store, StoreError},
};

use crate::day_counts::DayCounts;

/// Rows of one append: enough that a day of 30 pairs is one, and little memory.
const BATCH_ROWS: usize = 50_000;
const READ_AHEAD: usize = 8;
/// How often a day is read anew when it changes while it is read.
const ATTEMPTS: u32 = 8;

/// What became of rows.
#[derive(Debug, Default)]
pub(crate) struct Transferred {
    /// Durable now; in a rehearsal, what would be.
    pub(crate) taken: DayCounts,
    /// Was there already, alike in every column.
    pub(crate) there: DayCounts,
}

/// Adds the rows of one day to `store`.
#[derive(Debug)]
pub(crate) struct Day<'a> {
    store: &'a dyn Store,
    date: NaiveDate,
    /// Rows that the store has, and how many copies of each no incoming row has matched yet.
    there: HashMap<u128, u32>,
    batch: Vec<Record>,
    is_rehearsal: bool,
}

impl<'a> Day<'a> {
    /// Reads what `store` has of `day`. A rehearsal writes nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn begin(store: &'a dyn Store, day: NaiveDate, is_rehearsal: bool) -> Result<Self> {
        let mut there = HashMap::new();
        for row in read_day(store, day).await? {
            *there.entry(row).or_default() += 1;
        }
        Ok(Self { store, date: day, there, batch: Vec::new(), is_rehearsal })
    }

    /// Takes `record`, which is of this day, unless the store has it.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(crate) async fn add(&mut self, record: Record, done: &mut Transferred) -> Result<()> {
        if let Some(copies) = self.there.get_mut(&fingerprint(&record))
            && *copies > 0
        {
            *copies -= 1;
            done.there.add(&record.environment, self.date, 1);
            return Ok(());
        }
        self.batch.push(record);
        if self.batch.len() >= BATCH_ROWS { self.write(done).await } else { Ok(()) }
    }

    /// Writes the rest.
    ///
    /// # Errors
    /// The store cannot be written.
    pub(crate) async fn finish(mut self, done: &mut Transferred) -> Result<()> {
        self.write(done).await
    }

    async fn write(&mut self, done: &mut Transferred) -> Result<()> {
        let records = std::mem::take(&mut self.batch);
        if records.is_empty() {
            return Ok(());
        }
        if self.is_rehearsal {
            for record in &records {
                done.taken.add(&record.environment, self.date, 1);
            }
            return Ok(());
        }
        // The rows say themselves which cycles they are of; of a cycle that is there in part the rest is still wanted.
        let report = self.store.append(&Batch { cycle_id: None, records }).await;
        let mut failure = None;
        for (environment, outcome) in report {
            match outcome {
                Ok(Appended::Written { rows }) => done.taken.add(&environment, self.date, rows as u64),
                Ok(Appended::AlreadyThere) => {}
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) => {
                bail!("{error}\n{} was not finished; run it again: what is there is not added twice", self.date)
            }
            None => Ok(()),
        }
    }
}

/// The rows of `day` that `store` has.
async fn read_day(store: &dyn Store, day: NaiveDate) -> Result<Vec<u128>, StoreError> {
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let scope =
        Scope { environments: None, from: Some(midnight(day)), to: day.checked_add_days(Days::new(1)).map(midnight) };
    let mut attempt = 1;
    loop {
        match read_scope(store, &scope, day).await {
            Err(StoreError::Changed { .. }) if attempt < ATTEMPTS => attempt += 1,
            read => return read,
        }
    }
}

async fn read_scope(store: &dyn Store, scope: &Scope, day: NaiveDate) -> Result<Vec<u128>, StoreError> {
    let parts = parts(store, scope).await?;
    let mut reads = stream::iter(parts).map(async |part| store.read(&part).await).buffered(READ_AHEAD);
    let mut rows = Vec::new();
    while let Some(csv) = reads.try_next().await? {
        rows.extend(
            records(&csv).filter(|record| record.timestamp.date_naive() == day).map(|record| fingerprint(&record)),
        );
    }
    Ok(rows)
}

/// The pieces in which the rows of `scope` are read.
pub(crate) async fn parts(store: &dyn Store, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
    let mut parts = Vec::new();
    for segment in store.segments(scope).await? {
        parts.extend(store.parts(&segment).await?);
    }
    Ok(parts)
}

/// The readable rows of a segment.
pub(crate) fn records(csv: &Bytes) -> impl Iterator<Item = Record> {
    Rows::new(csv, 1).flatten().map(csv::Row::into_record)
}

/// A row's 128 bits, of all its columns as we write them.
fn fingerprint(record: &Record) -> u128 {
    let mut row = Vec::with_capacity(512);
    csv::encode(record, &mut row);
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(salt);
        hasher.write(&row);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}
