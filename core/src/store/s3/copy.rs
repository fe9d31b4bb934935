//! Objects of one place into another: a copy of a bucket that is a bucket of its own.

use bytes::Bytes;

use super::{
    READ_BUDGET, S3Store,
    retry::Deadline,
    rows::{self, Added},
    swap,
};
use crate::store::{Segment, Store, StoreError};

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
