//! Records from one bucket into another: whole objects.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use chrono::Utc;
use futures_util::{StreamExt, TryStreamExt, stream};
use llm_monitor_core::store::{S3Store, Scope, Segment, Store, StoreError};

use super::{
    days::{by_day, identities_by_day, identity},
    state::State,
};
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

/// Copies the objects of which `to` lacks rows. What `to` has more stays. Neither is read where both have the same, by what the
/// servers say of their content or by `state`.
pub(super) async fn copy(from: &S3Store, to: &S3Store, state: &mut State) -> Result<Copied> {
    let there = to.segments(&Scope::default()).await?;
    let all = from.segments(&Scope::default()).await?;
    let source_days = by_day(&all, Utc::now());
    let before = identities_by_day(&there);
    let mut same: HashSet<&str> = HashSet::new();
    for (day, segments) in &source_days {
        if state.holds(*day, &[identity(segments), before.get(day).cloned().unwrap_or_default()]) {
            same.extend(segments.iter().map(|segment| &*segment.name));
        }
    }
    let there: HashMap<&str, &Segment> = there.iter().filter_map(|s| Some((to.name_in_copies(s)?, s))).collect();
    let namesake = |segment| from.name_in_copies(segment).and_then(|name| there.get(name).copied());
    let (same, wanted): (Vec<_>, Vec<_>) = all.iter().partition(|segment| {
        same.contains(&*segment.name) || namesake(segment).is_some_and(|there| is_same(segment, there))
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
    let after = identities_by_day(&to.segments(&Scope::default()).await?);
    let both = |day| after.get(day).cloned().unwrap_or_default();
    state.days = source_days.iter().map(|(day, segments)| (*day, [identity(segments), both(day)])).collect();
    Ok(copied)
}

/// Whether both surely hold the same. Objects of one size need not: rows written at the same time are often equally long.
fn is_same(a: &Segment, b: &Segment) -> bool {
    a.size_bytes == b.size_bytes && a.identity == b.identity && is_hash(&a.identity)
}

/// An MD5, or those of the parts that an object was sent in. Any other identity may be made of size and time, and two objects
/// written in the same second have the same; under a key of the server's own it is never the same.
fn is_hash(identity: &str) -> bool {
    let (hash, parts) = identity.split_once('-').unwrap_or((identity, "1"));
    hash.len() == 32
        && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !parts.is_empty()
        && parts.bytes().all(|byte| byte.is_ascii_digit())
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

#[cfg(test)]
mod tests {
    use super::is_hash;

    #[test]
    fn only_what_is_made_of_the_content_tells_that_it_is_the_same() {
        assert!(is_hash("d41d8cd98f00b204e9800998ecf8427e"));
        assert!(is_hash("d41d8cd98f00b204e9800998ecf8427e-12"));
        for other in
            ["", "-", "4096-1764417600", "65682c40-1000", "d41d8cd98f00b204e9800998ecf8427e-", "0x8DBF1A2B3C4D5E6"]
        {
            assert!(!is_hash(other), "{other}");
        }
    }
}
