//! Objects of one place into another: a copy of a bucket that is a bucket of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::NaiveDate;

use super::{
    READ_BUDGET, S3Store, listing,
    retry::Deadline,
    rows::{self, Added},
    swap,
};
use crate::{
    record::Environment,
    store::{Segment, Store, StoreError, usage_day},
};

impl S3Store {
    /// The name of `segment`, which is one of this store's, without the store's prefix: the same in a copy elsewhere.
    pub fn name_in_copies<'a>(&self, segment: &'a Segment) -> Option<&'a str> {
        self.keys.below_prefix(&segment.name)
    }

    /// Brings `segment` of `source` into this store, in the place of the same name; what is there, of another writer's too, stays.
    /// Whether there was anything to write.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when the segment is no longer what it was when it was listed: list again.
    pub async fn copy_from(&self, source: &Self, segment: &Segment) -> Result<bool, StoreError> {
        let csv = source.read(segment).await?;
        let Some(name) = source.name_in_copies(segment) else {
            return Err(StoreError::Changed { name: segment.name.to_string() });
        };
        let key = self.keys.in_prefix(name);
        let deadline = self.write_deadline();
        let merge = async {
            let conditions = self.appending().await?.conditions();
            swap::swap(&self.bucket, &key, conditions, &deadline, |current| rows::merge(current, &csv)).await
        };
        let location = self.bucket.location(&key);
        match self.noted(deadline.limit(&location, merge).await)? {
            Added::Written => Ok(true),
            Added::AlreadyThere => Ok(false),
            Added::OtherColumns | Added::Full => {
                let problem =
                    "has other rows than its namesake, and they cannot be put together; copy to another place";
                Err(StoreError::Unusable { location, problem: problem.to_owned() })
            }
        }
    }

    /// The days of which there is a usage file of `environment`, and what tells the file's content from another.
    ///
    /// # Errors
    /// The bucket cannot be listed.
    pub async fn usage_files(&self, environment: &Environment) -> Result<BTreeMap<NaiveDate, String>, StoreError> {
        let deadline = Deadline::after(READ_BUDGET);
        let folder = self.keys.usage_of(environment);
        let listing = listing::below(&self.bucket, folder.clone(), &deadline);
        let listed = self.noted(deadline.limit(&self.bucket.location(&folder), listing).await)?;
        let day = |key: &str| usage_day(key.strip_prefix(&folder)?);
        Ok(listed.iter().filter_map(|(key, version)| Some((day(key)?, version.identity()))).collect())
    }

    /// What somebody keeps in this place beside the records, as `name`.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn read_beside(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.read_key(&self.keys.in_prefix(name)).await
    }

    /// Keeps it, in the place of what was there.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn write_beside(&self, name: &str, content: Bytes) -> Result<(), StoreError> {
        let deadline = Deadline::after(READ_BUDGET);
        let key = self.keys.in_prefix(name);
        self.noted(deadline.limit(&self.bucket.location(&key), self.put(&key, content, &deadline)).await)
    }
}
