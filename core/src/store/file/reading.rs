//! What readers see: the file and its days as one consistent whole, whoever moves rows between them.

use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

use bytes::Bytes;

use super::{
    Shared, View,
    days::Days,
    disk::{read_error, read_range, tag},
    journal, lock,
    open::{self, Opened},
};
use crate::{
    record::Table,
    store::{Scope, Segment, StoreError},
};

/// So often a reader looks again when a writer moves days under its eyes.
const LOOKS_AT_MOST: u32 = 16;

/// Opens `given` for reading alone; how many of its rows could not be read.
pub(super) fn open(given: &Path) -> Result<(View, u64), StoreError> {
    let Opened { path, folder, file, tag, loaded } = open::for_reading(given)?;
    let veil = journal::veil(&folder, &file).map_err(|error| read_error(&folder, &error))?;
    let days = Days::new(&folder, veil);
    Ok((View { path, tag, file, index: loaded.index, days }, loaded.skipped_rows))
}

impl Shared {
    pub(super) fn segments(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        if self.writer.is_none() {
            return self.segments_of_others(scope);
        }
        // The one lock makes it one view: the writer moves rows by changing both at once.
        Self::segments_in(&self.view(), scope)
    }

    fn segments_in(view: &View, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        let mut segments = view.days.segments(scope)?;
        segments.extend(view.index.segments(scope));
        segments.sort_by_key(|segment| segment.earliest);
        Ok(segments)
    }

    /// As [`segments`](Self::segments), where another process may be moving rows: looked at until nothing moved meanwhile.
    fn segments_of_others(&self, scope: &Scope) -> Result<Vec<Segment>, StoreError> {
        for _ in 0..LOOKS_AT_MOST {
            self.open_anew_if_replaced()?;
            let veil = self.veil_now()?;
            let mut view = self.view_mut();
            if view.days.veil != veil {
                view.days.veil.clone_from(&veil);
                view.days.forget();
            }
            let segments = Self::segments_in(&view, scope)?;
            drop(view);
            if !self.is_replaced()? && self.veil_now()? == veil {
                return Ok(segments);
            }
            self.view().days.forget();
        }
        let location = self.given.display().to_string();
        Err(StoreError::Unavailable { location, problem: "finished days are being moved; try again".to_owned() })
    }

    fn is_replaced(&self) -> Result<bool, StoreError> {
        match fs::metadata(&self.given) {
            Ok(now) => Ok(tag(&now) != self.view().tag),
            // A snapshot of a file that is gone is still one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(read_error(&self.given, &error)),
        }
    }

    fn open_anew_if_replaced(&self) -> Result<(), StoreError> {
        if self.is_replaced()? {
            let (view, skipped_rows) = open(&self.given)?;
            *self.view_mut() = view;
            lock(&self.condition).skipped_rows = skipped_rows;
        }
        Ok(())
    }

    fn veil_now(&self) -> Result<super::days::Veil, StoreError> {
        let view = self.view();
        let (folder, file) = (view.days.folder.clone(), Arc::clone(&view.file));
        drop(view);
        journal::veil(&folder, &file).map_err(|error| read_error(&folder, &error))
    }

    pub(super) fn parts(&self, segment: &Segment) -> Result<Vec<Segment>, StoreError> {
        let view = self.view();
        if view.index.range(segment).is_ok() || !Days::is_one_of(segment) {
            return Ok(vec![segment.clone()]);
        }
        let days = view.days.clone();
        drop(view);
        days.parts(segment)
    }

    /// What was decoded when the file was opened, as far as it is still there.
    pub(super) fn take_decoded(&self) -> Vec<(Segment, Table)> {
        let decoded = std::mem::take(&mut *lock(&self.decoded));
        if decoded.tables.is_empty() {
            return Vec::new();
        }
        let segments = self.view().index.segments(&Scope::default());
        let named = segments.into_iter().map(|segment| ((segment.name.clone(), segment.identity.clone()), segment));
        let mut named: HashMap<_, _> = named.collect();
        decoded.tables.into_iter().filter_map(|(name, table)| Some((named.remove(&name)?, table))).collect()
    }

    pub(super) fn read(&self, segment: &Segment) -> Result<Bytes, StoreError> {
        let view = self.view();
        let (file, range, days) = (Arc::clone(&view.file), view.index.range(segment), view.days.clone());
        drop(view);
        let range = match range {
            Err(_) if Days::is_one_of(segment) => return days.read(segment),
            range => range?,
        };
        let rows = read_range(&file, range.start, range.len).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => StoreError::Changed { name: segment.name.to_string() },
            _ => read_error(&self.given, &error),
        })?;
        Ok(Bytes::from([range.header.to_vec(), rows].concat()))
    }
}
