//! Housekeeping: when finished days are moved out of the file, and old ones deleted. What fails never fails an append: it is
//! told in `/health`, once in the log, and tried again later.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{
    Shared,
    day_name::{first_unfinished, start_of},
    lock,
};
use crate::store::StoreError;

/// After a move that failed, the next is tried so much later.
const RETRY_AFTER: TimeDelta = TimeDelta::minutes(10);

/// How housekeeping goes.
#[derive(Debug, Default)]
pub(super) struct House {
    /// Why finished days are still in the file, or old ones still there.
    pub(super) failures: [Option<String>; 2],
    /// From when until when no move is tried: the last one failed.
    rests: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// The day on which old days were last looked for.
    swept: Option<NaiveDate>,
}

/// Places in [`House::failures`].
const MOVING: usize = 0;
const DELETING: usize = 1;

impl Shared {
    /// Moves finished days' rows and deletes what is older than wanted, where that is due.
    pub(super) fn keep_house(&self) {
        let Some(writing) = &self.writer else { return };
        let now = (self.place.clock)();
        if self.is_move_due(now) {
            let outcome = self.rotate(&mut lock(writing), first_unfinished(now));
            let failure = match outcome {
                Ok(true) => None,
                Ok(false) => Some("their names in its folder are taken by something else".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            let file = self.given.display();
            let failure = failure.map(|why| format!("rows of finished days stay in {file} for now: {why}"));
            lock(&self.house).rests = failure.is_some().then(|| (now, now + RETRY_AFTER));
            self.note_failure(MOVING, failure);
        }
        if let Some(retention_days) = self.options.retention_days
            && lock(&self.house).swept != Some(now.date_naive())
        {
            let deleted = self.delete_old_days(retention_days, now.date_naive());
            lock(&self.house).swept = Some(now.date_naive());
            self.note_failure(DELETING, deleted.err().map(|error: StoreError| format!("old days stay: {error}")));
        }
    }

    /// Whether there is something to do, after rows of which the newest are of `newest` day were appended. Rows of the past
    /// that arrive one cycle after the other are moved when the last of them is in.
    pub(super) fn is_house_due(&self, newest: Option<NaiveDate>) -> bool {
        let now = (self.place.clock)();
        let must_sweep = self.options.retention_days.is_some() && lock(&self.house).swept != Some(now.date_naive());
        newest.is_some_and(|newest| newest >= first_unfinished(now)) && (self.is_move_due(now) || must_sweep)
    }

    /// The first day that is not over.
    pub(super) fn first_unfinished(&self) -> NaiveDate {
        first_unfinished((self.place.clock)())
    }

    fn is_move_due(&self, now: DateTime<Utc>) -> bool {
        let until = start_of(first_unfinished(now));
        let rests = lock(&self.house).rests.is_some_and(|(from, to)| (from..to).contains(&now));
        self.options.rotate && !rests && self.view().index.earliest().is_some_and(|oldest| oldest < until)
    }

    fn note_failure(&self, place: usize, failure: Option<String>) {
        let mut house = lock(&self.house);
        let Some(known) = house.failures.get_mut(place) else { return };
        if let Some(text) = failure.as_ref().filter(|_| *known != failure) {
            tracing::warn!(file = %self.given.display(), "{text}");
        }
        *known = failure;
    }
}
