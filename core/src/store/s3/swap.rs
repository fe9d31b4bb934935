//! Changing an object as if nobody else did: read it, put the changed one in its place unless it has changed meanwhile.

use bytes::Bytes;

use super::{
    bucket::{Bucket, Condition, Object},
    failure::{Failed, Failure},
    large::MAX_OBJECT_BYTES,
    retry::{Deadline, Retries},
};
use crate::store::StoreError;

/// What to do with an object.
#[derive(Debug)]
pub(super) enum Edit<T> {
    /// Put this in its place.
    Put(Vec<u8>, T),
    /// Leave it as it is.
    Leave(T),
}

/// How conditions are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    /// ETags in quotes, as the standard has it.
    Quoted,
    /// ETags without quotes.
    Bare,
    /// Not at all: the server ignores or refuses them. Changes made by two writers at once can be lost.
    None,
}

impl Conditions {
    /// On the version of an object that is a cache, which is there to be replaced whatever it holds.
    pub(super) fn on_version(self, version: Option<&str>) -> Condition {
        match (self, version) {
            (Self::None, _) => Condition::Always,
            (_, None) => Condition::IsNew,
            (Self::Quoted, Some(version)) => Condition::Is(version.to_owned()),
            (Self::Bare, Some(version)) => Condition::IsBare(version.to_owned()),
        }
    }

    fn on(self, current: Option<&Object>) -> Result<Condition, Failure> {
        let Some(object) = current else {
            return Ok(if self == Self::None { Condition::Always } else { Condition::IsNew });
        };
        let no_etag = || Failure::Lasting("the server gives no ETag; set RECORDS_APPEND=objects".to_owned());
        let etag = || object.version.etag.clone().ok_or_else(no_etag);
        match self {
            Self::Quoted => etag().map(Condition::Is),
            Self::Bare => etag().map(Condition::IsBare),
            Self::None => Ok(Condition::Always),
        }
    }
}

/// Applies `edit` to the object at `key` (`None`: there is none), as often as it takes until no other writer was in between.
/// An edit may only add at the end.
pub(super) async fn swap<T: Clone>(
    bucket: &Bucket,
    key: &str,
    conditions: Conditions,
    deadline: &Deadline,
    edit: impl Fn(Option<&[u8]>) -> Edit<T>,
) -> Result<T, StoreError> {
    let location = bucket.location(key);
    let mut retries = Retries::until(deadline);
    let mut unsure = Unsure::default();
    loop {
        let failure = match turn(bucket, key, conditions, &edit, &mut unsure).await {
            Ok(outcome) => return Ok(outcome),
            Err(failure) => failure,
        };
        retries.after(failure).await.map_err(|failure| failure.into_error(&location))?;
    }
}

/// What may have been written although no answer said so.
type Unsure<T> = Vec<(Bytes, T)>;

async fn turn<T: Clone>(
    bucket: &Bucket,
    key: &str,
    conditions: Conditions,
    edit: &impl Fn(Option<&[u8]>) -> Edit<T>,
    unsure: &mut Unsure<T>,
) -> Result<T, Failure> {
    let (current, denied) = match bucket.get(key, MAX_OBJECT_BYTES).await {
        // Who may not list is not told that an object is missing: the write finds out.
        Err(Failure::Denied(problem)) if conditions != Conditions::None => (None, Some(problem)),
        answer => (answer?, None),
    };
    if let Some(object) = &current
        && let Some((_, outcome)) = unsure.iter().find(|(written, _)| object.body.starts_with(written))
    {
        // Others only add at the end, so this beginning is ours.
        return Ok(outcome.clone());
    }
    let (body, outcome) = match edit(current.as_ref().map(|object| &*object.body)) {
        Edit::Leave(outcome) => return Ok(outcome),
        Edit::Put(body, outcome) => (Bytes::from(body), outcome),
    };
    let condition = conditions.on(current.as_ref())?;
    match bucket.put(key, body.clone(), &condition).await {
        Ok(_) => Ok(outcome),
        Err(Failed { failure, is_unsure }) => {
            if is_unsure {
                unsure.push((body, outcome));
            }
            Err(match (failure, denied) {
                (Failure::Condition, Some(problem)) => Failure::Denied(problem),
                // The object went away since it was read.
                (Failure::Missing, _) => Failure::Condition,
                (failure, _) => failure,
            })
        }
    }
}

/// Whether [`create`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    Written,
    WasThere,
}

/// Writes an object that nobody changes afterwards, unless there is one already.
pub(super) async fn create(
    bucket: &Bucket,
    key: &str,
    has_conditions: bool,
    deadline: &Deadline,
    body: Bytes,
) -> Result<Created, StoreError> {
    let location = bucket.location(key);
    let mut retries = Retries::until(deadline);
    let mut may_be_ours = false;
    let there = |may_be_ours| if may_be_ours { Created::Written } else { Created::WasThere };
    loop {
        let failure = match create_once(bucket, key, has_conditions, &body).await {
            Ok(Created::Written) => return Ok(Created::Written),
            Ok(Created::WasThere) => return Ok(there(may_be_ours)),
            Err(Failed { failure, is_unsure }) => {
                may_be_ours |= is_unsure;
                failure
            }
        };
        if failure == Failure::Condition {
            // Either it is there, or another writer is about to put it there.
            match bucket.has(key).await {
                Ok(true) => return Ok(there(may_be_ours)),
                Ok(false) | Err(Failure::Denied(_)) => {}
                Err(failure) => retries.after(failure).await.map_err(|failure| failure.into_error(&location))?,
            }
        }
        retries.after(failure).await.map_err(|failure| failure.into_error(&location))?;
    }
}

async fn create_once(bucket: &Bucket, key: &str, has_conditions: bool, body: &Bytes) -> Result<Created, Failed> {
    let condition = if has_conditions { Condition::IsNew } else { Condition::Always };
    if !has_conditions {
        let sure = |failure| Failed { failure, is_unsure: false };
        if bucket.has(key).await.map_err(sure)? {
            return Ok(Created::WasThere);
        }
    }
    bucket.put(key, body.clone(), &condition).await.map(|_| Created::Written)
}
