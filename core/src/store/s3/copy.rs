//! Objects of one place into another: a copy of a bucket that is a bucket of its own.

use super::{READ_BUDGET, S3Store, retry::Deadline};
use crate::store::{Segment, Store, StoreError};

impl S3Store {
    /// The name of `segment`, which is one of this store's, without the store's prefix: the same in a copy elsewhere.
    pub fn name_in_copies<'a>(&self, segment: &'a Segment) -> Option<&'a str> {
        self.keys.below_prefix(&segment.name)
    }

    /// Puts `segment` of `source` into this store, in the place of the same name.
    ///
    /// # Errors
    /// [`StoreError::Changed`] when the segment is no longer what it was when it was listed: list again.
    pub async fn copy_from(&self, source: &Self, segment: &Segment) -> Result<(), StoreError> {
        let csv = source.read(segment).await?;
        let Some(name) = source.name_in_copies(segment) else {
            return Err(StoreError::Changed { name: segment.name.to_string() });
        };
        let key = self.keys.in_prefix(name);
        let deadline = Deadline::after(READ_BUDGET);
        self.noted(deadline.limit(&self.bucket.location(&key), self.put(&key, csv, &deadline)).await)
    }
}
