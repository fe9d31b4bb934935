//! Records from one bucket into another: whole objects.

use std::collections::HashMap;

use anyhow::Result;
use futures_util::{StreamExt, TryStreamExt, stream};
use llm_monitor_core::store::{S3Store, Scope, Segment, Store, StoreError};

use crate::progress;

const AT_ONCE: usize = 8;
/// How often an object that grows while it is copied is copied anew.
const ATTEMPTS: u32 = 8;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) objects: u64,
    pub(super) bytes: u64,
    /// Objects of which the copy had everything.
    pub(super) same: u64,
}

/// Copies the objects that `to` lacks, or has with less in them: they only ever grow. What `to` has more stays.
pub(super) async fn copy(from: &S3Store, to: &S3Store) -> Result<Copied> {
    let there: HashMap<String, u64> =
        to.segments(&Scope::default()).await?.iter().filter_map(|s| named(to, s)).collect();
    let all = from.segments(&Scope::default()).await?;
    let (same, wanted): (Vec<_>, Vec<_>) = all.into_iter().partition(|segment| {
        named(from, segment).is_some_and(|(name, size_bytes)| there.get(&name) == Some(&size_bytes))
    });
    let bar = progress::bytes(Some(wanted.iter().map(|segment| segment.size_bytes).sum()));
    let copies = wanted.iter().map(async |segment| {
        let is_written = copy_one(from, to, segment).await?;
        bar.inc(segment.size_bytes);
        Ok::<_, StoreError>((is_written, segment.size_bytes))
    });
    let mut copies = stream::iter(copies).buffer_unordered(AT_ONCE);
    let mut copied = Copied { same: same.len() as u64, ..Copied::default() };
    while let Some((is_written, bytes)) = copies.try_next().await? {
        if is_written {
            copied.objects += 1;
            copied.bytes += bytes;
        } else {
            copied.same += 1;
        }
    }
    bar.finish_and_clear();
    Ok(copied)
}

fn named(store: &S3Store, segment: &Segment) -> Option<(String, u64)> {
    Some((store.name_in_copies(segment)?.to_owned(), segment.size_bytes))
}

async fn copy_one(from: &S3Store, to: &S3Store, listed: &Segment) -> Result<bool, StoreError> {
    let mut segment = listed.clone();
    for _ in 1..ATTEMPTS {
        match to.copy_from(from, &segment).await {
            Err(StoreError::Changed { .. }) => {}
            copied => return copied,
        }
        let environments = segment.environment.clone().map(|environment| vec![environment]);
        let scope = Scope { environments, from: segment.earliest, to: None };
        let again = from.segments(&scope).await?.into_iter().find(|again| again.name == listed.name);
        segment = again.ok_or_else(|| StoreError::Changed { name: listed.name.to_string() })?;
    }
    to.copy_from(from, &segment).await
}
