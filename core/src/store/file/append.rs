//! An append: what of it is there already, what belongs to a day that is closed, and the rest to the end of the file.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use chrono::NaiveDate;

use super::{
    Shared, Writing,
    day_file::row_key,
    disk::{read_error, write_error},
    journal::{remove_leftovers, take_back},
    lock, open_for_writing,
    writer::{Writer, find_cycle},
};
use crate::{
    record::{
        CycleId, Environment, Record,
        csv::{self, TEXT_MAX_CHARS},
    },
    store::{AppendReport, Appended, Batch, StoreError},
};

/// The rows of one environment that are to be written, by their places in the batch.
type Wanted = BTreeMap<Environment, Vec<usize>>;

impl Shared {
    pub(super) fn append(&self, batch: &Batch) -> AppendReport {
        let environments: BTreeSet<_> = batch.records.iter().map(|record| record.environment.clone()).collect();
        let outcome = self.append_all(batch, &environments);
        lock(&self.condition).failure = match &outcome {
            Ok(report) => report.values().find_map(|outcome| outcome.as_ref().err().map(ToString::to_string)),
            Err(error) => Some(error.to_string()),
        };
        outcome.unwrap_or_else(|error| environments.into_iter().map(|name| (name, Err(error.clone()))).collect())
    }

    fn append_all(&self, batch: &Batch, environments: &BTreeSet<Environment>) -> Result<AppendReport, StoreError> {
        let Some(writing) = &self.writer else { return Err(self.read_only()) };
        let mut writing = lock(writing);
        let writer = self.settled(&mut writing)?;
        let mut report = AppendReport::new();
        let mut wanted = Wanted::new();
        for environment in environments {
            match self.missing(batch, environment) {
                Ok(missing) if missing.is_empty() => {
                    report.insert(environment.clone(), Ok(Appended::AlreadyThere));
                }
                Ok(missing) => drop(wanted.insert(environment.clone(), missing)),
                Err(error) => drop(report.insert(environment.clone(), Err(error))),
            }
        }
        // Late rows first: should this process end in between, a repeat finds them and adds the rest.
        let late = self.late_rows(batch, &wanted);
        let in_late = match self.write_late(writer, batch, &late) {
            Ok(written) => written,
            Err(error) => {
                let is_late = |rows: &Vec<usize>| rows.iter().any(|at| late.contains(at));
                wanted.retain(|environment, rows| {
                    let is_late = is_late(rows);
                    if is_late {
                        report.insert(environment.clone(), Err(error.clone()));
                    }
                    !is_late
                });
                BTreeSet::new()
            }
        };
        let written = self.write_rest(writer, batch, &wanted, &in_late);
        for (environment, rows) in wanted {
            let all_late = rows.iter().all(|at| in_late.contains(at));
            let outcome = if all_late { Ok(()) } else { written.clone() };
            report.insert(environment, outcome.map(|()| Appended::Written { rows: rows.len() }));
        }
        Ok(report)
    }

    /// Writes the rows that are not in late files to the end of the file, and lets all of them be seen.
    fn write_rest(
        &self,
        writer: &mut Writer,
        batch: &Batch,
        wanted: &Wanted,
        in_late: &BTreeSet<usize>,
    ) -> Result<(), StoreError> {
        let mut rest: Vec<_> = wanted.values().flatten().copied().filter(|at| !in_late.contains(at)).collect();
        rest.sort_unstable();
        let encoded = writer.encode(batch, rest.iter().filter_map(|at| batch.records.get(*at)));
        let end = self.view().index.end();
        let written = if encoded.bytes.is_empty() { Ok(()) } else { writer.write(end, &encoded.bytes) };
        let mut view = self.view_mut();
        if written.is_ok() {
            encoded.enter(&mut view.index);
        }
        if !in_late.is_empty() {
            view.days.veil.clear();
            view.days.forget();
        }
        written
    }

    /// Which rows of `environment` are not there yet: all, none, or those that a crash kept from being written.
    fn missing(&self, batch: &Batch, environment: &Environment) -> Result<Vec<usize>, StoreError> {
        let rows = batch.records.iter().enumerate().filter(|(_, record)| record.environment == *environment);
        let rows: Vec<_> = rows.collect();
        let all = || rows.iter().map(|(at, _)| *at).collect();
        let Some(cycle_id) = batch.cycle_id else { return Ok(all()) };
        if self.is_in_file(cycle_id, environment)? {
            return Ok(Vec::new());
        }
        let mut days: BTreeSet<_> = rows.iter().map(|(_, record)| day_of(record)).collect();
        days.insert(cycle_id.scheduled().date_naive());
        let view_days = self.view().days.clone();
        let there = match view_days.rows_of_cycle(&days, cycle_id, environment) {
            Ok(there) => there,
            // A fault of the folder keeps rows of the past waiting, in which a repeat could hide, and not those of now.
            Err(_) if days.first().is_some_and(|oldest| *oldest >= self.first_unfinished()) => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        let key = |record: &Record| {
            row_key(&record.model_name.chars().take(TEXT_MAX_CHARS).collect::<String>(), record.timestamp)
        };
        let missing: Vec<_> =
            rows.iter().filter(|(_, record)| !there.contains(&key(record))).map(|(at, _)| *at).collect();
        // Other rows of this cycle were there first: it was measured twice.
        let is_another = !there.is_empty() && missing.len() == rows.len();
        Ok(if is_another { Vec::new() } else { missing })
    }

    fn is_in_file(&self, cycle_id: CycleId, environment: &Environment) -> Result<bool, StoreError> {
        let view = self.view();
        if let Some(is_there) = view.index.has_cycle(cycle_id, environment) {
            return Ok(is_there);
        }
        let (file, ranges) = (Arc::clone(&view.file), view.index.ranges_near(cycle_id));
        drop(view);
        find_cycle(&file, &ranges, cycle_id, environment).map_err(|error| read_error(&self.given, &error))
    }

    /// The rows among `wanted` whose day is finished and has its own file already.
    fn late_rows(&self, batch: &Batch, wanted: &Wanted) -> BTreeSet<usize> {
        let until = self.first_unfinished();
        let day_at = |at: usize| batch.records.get(at).map(day_of).filter(|day| *day < until);
        let past: BTreeSet<_> = wanted.values().flatten().filter_map(|at| day_at(*at)).collect();
        // While half-moved days cannot be taken back, nothing may be added to any.
        if past.is_empty() || !self.options.rotate || self.end_take_back().is_err() {
            return BTreeSet::new();
        }
        let days = self.view().days.clone();
        let Ok(files) = days.files_of(&past) else { return BTreeSet::new() };
        let closed: BTreeSet<_> = files.iter().filter(|file| !file.name.is_late).map(|file| file.name.day).collect();
        let is_late = |at: &usize| day_at(*at).is_some_and(|day| closed.contains(&day));
        wanted.values().flatten().copied().filter(is_late).collect()
    }

    /// Adds rows to the late files of their days, all or none; which were written. They are not shown yet.
    fn write_late(
        &self,
        writer: &Writer,
        batch: &Batch,
        late: &BTreeSet<usize>,
    ) -> Result<BTreeSet<usize>, StoreError> {
        if late.is_empty() {
            return Ok(BTreeSet::new());
        }
        let view = self.view();
        let (path, days, header) = (view.path.clone(), view.days.clone(), view.index.header().clone());
        drop(view);
        let folder = days.folder.clone();
        let failed = |error: io::Error| {
            let _ = remove_leftovers(&path, &folder);
            write_error(&folder, &error)
        };
        let mut sinks = self.sinks(writer, days, header).map_err(failed)?;
        let mut written = BTreeSet::new();
        let mut text = Vec::new();
        for (at, record) in late.iter().filter_map(|at| Some((*at, batch.records.get(*at)?))) {
            text.clear();
            csv::encode_row(record, &writer.layout, &mut text);
            if sinks.write(day_of(record), &text).map_err(failed)? {
                written.insert(at);
            }
        }
        sinks.finish().map_err(failed)?;
        let replaced = sinks.replaced();
        self.view_mut().days.veil.clone_from(&replaced);
        if let Err(error) = sinks.rename() {
            // Where this fails too, some are there, and a repeat of the cycle finds which.
            let _ = take_back(&replaced, &folder, &self.place.gate);
            let mut view = self.view_mut();
            view.days.veil.clear();
            view.days.forget();
            return Err(failed(error));
        }
        Ok(written)
    }

    /// The writer, on a file that is as it was left; if others changed, moved or removed it, on what is there now.
    pub(super) fn settled<'w>(&self, writing: &'w mut Writing) -> Result<&'w mut Writer, StoreError> {
        let end = self.view().index.end();
        if writing.as_ref().is_none_or(|writer| !writer.is_untouched(end)) {
            tracing::warn!(file = %self.given.display(), "{} is not as it was left; it is opened anew", self.given.display());
            // The lock would keep ourselves out.
            drop(writing.take());
            let opened = open_for_writing(&self.given, &self.place, 0).map_err(|error| {
                // Rows can wait until somebody has put this right.
                let location = self.given.display().to_string();
                let problem = format!("was changed by another program, and what is there now cannot be used: {error}");
                StoreError::Unavailable { location, problem }
            })?;
            *self.view_mut() = opened.view;
            *lock(&self.take_back) = opened.take_back;
            lock(&self.condition).skipped_rows = opened.skipped_rows;
            *writing = Some(opened.writer);
        }
        writing.as_mut().ok_or_else(|| self.read_only())
    }
}

/// The UTC day of a record.
pub(super) fn day_of(record: &Record) -> NaiveDate {
    record.timestamp.date_naive()
}
