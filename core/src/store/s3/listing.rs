//! Finding the segments of a scope with few requests.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::try_join_all;

use super::{
    bucket::{Bucket, Listing, Page, Version},
    failure::Failure,
    layout::{KeyRange, Keys, RecordsKey, Times},
    retry::{Deadline, Retries},
};
use crate::{
    record::Environment,
    store::{Scope, Segment, StoreError},
};

/// The segments of `scope` as they are at `now`: one request an environment for each thousand objects, however much else is
/// in the bucket; one more where the environments must be found.
pub(super) async fn segments(
    bucket: &Bucket,
    keys: &Keys,
    scope: &Scope,
    now: DateTime<Utc>,
    deadline: &Deadline,
) -> Result<Vec<Segment>, StoreError> {
    let environments = match &scope.environments {
        Some(environments) => environments.clone(),
        None => environments(bucket, keys, deadline).await?,
    };
    let times = Times { from: scope.from, to: scope.to };
    let of_each = environments.iter().map(|environment| {
        let range = KeyRange::new(keys, environment, times);
        async move { in_range(bucket, range, deadline).await }
    });
    let mut found: Vec<(RecordsKey, String, Version)> = Vec::new();
    for (key, version) in try_join_all(of_each).await?.into_iter().flatten() {
        if let Some(parsed) = keys.parse(&key).filter(|parsed| is_within(parsed, times)) {
            found.push((parsed, key, version));
        }
    }
    // Within one hour of one environment the names are in the order in which they were written.
    found.sort_by(|(a, a_key, _), (b, b_key, _)| (a.hour.start, a_key).cmp(&(b.hour.start, b_key)));
    Ok(found.into_iter().map(|(parsed, key, version)| segment(parsed, &key, &version, now)).collect())
}

fn is_within(key: &RecordsKey, times: Times) -> bool {
    times.from.is_none_or(|from| key.latest() >= from) && times.to.is_none_or(|to| key.hour.start < to)
}

fn segment(parsed: RecordsKey, key: &str, version: &Version, now: DateTime<Utc>) -> Segment {
    let is_open = parsed.is_open(now);
    Segment {
        name: Arc::from(key),
        identity: Arc::from(version.identity()),
        earliest: Some(parsed.hour.start),
        latest: Some(parsed.latest()),
        environment: Some(parsed.hour.environment),
        is_open,
        size_bytes: version.size_bytes,
        first_line: 2,
    }
}

async fn environments(bucket: &Bucket, keys: &Keys, deadline: &Deadline) -> Result<Vec<Environment>, StoreError> {
    let prefix = keys.records();
    let mut environments = Vec::new();
    let mut next = None;
    loop {
        let listing = Listing { prefix: &prefix, delimiter: Some("/"), start_after: None, next };
        let page = page(bucket, listing, deadline).await?;
        environments.extend(page.folders.iter().filter_map(|folder| keys.environment_of(folder)));
        next = page.next;
        if next.is_none() {
            return Ok(environments);
        }
    }
}

/// Everything below `prefix`.
pub(super) async fn below(
    bucket: &Bucket,
    prefix: String,
    deadline: &Deadline,
) -> Result<Vec<(String, Version)>, StoreError> {
    in_range(bucket, KeyRange { prefix, start_after: None, end: None }, deadline).await
}

async fn in_range(bucket: &Bucket, range: KeyRange, deadline: &Deadline) -> Result<Vec<(String, Version)>, StoreError> {
    let mut found = Vec::new();
    let mut next = None;
    loop {
        let start_after = range.start_after.as_deref();
        let listing = Listing { prefix: &range.prefix, delimiter: None, start_after, next };
        let page = page(bucket, listing, deadline).await?;
        let is_beyond = |key: &str| range.end.as_deref().is_some_and(|end| key >= end);
        let is_past_end = page.objects.last().is_some_and(|(key, _)| is_beyond(key));
        // A server that does not know `start-after` lists from the prefix on.
        let is_in = |key: &str| start_after.is_none_or(|start| key > start) && !is_beyond(key);
        found.extend(page.objects.into_iter().filter(|(key, _)| is_in(key)));
        next = page.next;
        if next.is_none() || is_past_end {
            return Ok(found);
        }
    }
}

async fn page(bucket: &Bucket, listing: Listing<'_>, deadline: &Deadline) -> Result<Page, StoreError> {
    let mut retries = Retries::until(deadline);
    loop {
        let failure: Failure = match bucket.list(listing.clone()).await {
            Ok(page) => return Ok(page),
            Err(failure) => failure,
        };
        retries.after(failure).await.map_err(|failure| failure.into_error(&bucket.location(listing.prefix)))?;
    }
}
