//! What is kept beside the records: what usage endpoints said, and catalogs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::Result;
use bytes::Bytes;
use chrono::NaiveDate;
use futures_util::{StreamExt, TryStreamExt, stream};
use llm_monitor_core::record::Environment;

use super::{
    destination::End,
    state::{Identities, State},
};
use crate::progress;

const AT_ONCE: usize = 16;

/// Files of usage and catalogs that were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) usage_files: u64,
    pub(super) catalogs: u64,
    /// One line for each usage file whose rows could not go into the copy's.
    pub(super) refused: Vec<String>,
}

/// A usage file.
type Of<'a> = (&'a Environment, NaiveDate);

/// Copies what `to` lacks of `environments`, but for the usage files that `state` knows to be on both sides as they are now.
pub(super) async fn copy(
    from: &End,
    to: &End,
    environments: &BTreeSet<Environment>,
    state: &mut State,
) -> Result<Copied> {
    let mut copied = Copied::default();
    for environment in environments {
        if let Some(json) = from.store().load_catalog(environment).await?
            && to.store().load_catalog(environment).await?.as_ref() != Some(&json)
        {
            to.store().save_catalog(environment, json).await?;
            copied.catalogs += 1;
        }
    }
    let (mut here, before) = (usage_files(from, environments).await?, usage_files(to, environments).await?);
    let changed: Vec<Of<'_>> = here
        .iter()
        .filter(|(file, identity)| !state.holds_usage(&name(**file), &both(identity, before.get(file))))
        .map(|(file, _)| *file)
        .collect();
    let bar = progress::steps(changed.len() as u64, "usage reports");
    let copies = changed.iter().map(async |file| {
        let done = copy_usage(from, to, *file).await;
        bar.inc(1);
        done.map(|done| (*file, done))
    });
    let mut copies = stream::iter(copies).buffered(AT_ONCE);
    while let Some((file, done)) = copies.try_next().await? {
        match done {
            Done::Written => copied.usage_files += 1,
            Done::AlreadyThere => {}
            Done::OtherHeader { found, expected } => {
                // Not noted either: it is told each time.
                here.remove(&file);
                let name = name(file);
                // A stranger's first line may be a whole file.
                let found: String = found.chars().take(200).collect();
                copied.refused.push(format!("{name} in the copy begins with {found:?}, expected {expected:?}"));
            }
        }
    }
    drop(copies);
    bar.finish_and_clear();
    let after = usage_files(to, environments).await?;
    state.usage = here.iter().map(|(file, identity)| (name(*file), both(identity, after.get(file)))).collect();
    Ok(copied)
}

/// All there are, with what tells their content from another.
async fn usage_files<'a>(end: &End, environments: &'a BTreeSet<Environment>) -> Result<BTreeMap<Of<'a>, String>> {
    let mut files = BTreeMap::new();
    for environment in environments {
        let days = end.usage_files(environment).await?;
        files.extend(days.into_iter().map(|(day, identity)| ((environment, day), identity)));
    }
    Ok(files)
}

fn both(source: &str, copy: Option<&String>) -> Identities {
    [source.to_owned(), copy.cloned().unwrap_or_default()]
}

/// Where it is in a store.
fn name((environment, day): Of<'_>) -> String {
    format!("usage/environment={environment}/date={day}.csv")
}

/// What became of a usage file.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Written,
    AlreadyThere,
    /// The copy's has other columns: rows of this one would mean something else in it.
    OtherHeader {
        found: String,
        expected: String,
    },
}

async fn copy_usage(from: &End, to: &End, (environment, day): Of<'_>) -> Result<Done> {
    let Some(csv) = from.store().read_usage(environment, day).await? else { return Ok(Done::AlreadyThere) };
    let there = to.store().read_usage(environment, day).await?.unwrap_or_default();
    let (expected, found) = (header(&csv), header(&there));
    if !there.is_empty() && found != expected {
        return Ok(Done::OtherHeader { found, expected });
    }
    let rows = missing(&csv, &there);
    if rows.is_empty() {
        return Ok(Done::AlreadyThere);
    }
    to.store().append_usage(environment, day, &expected, Bytes::from(rows)).await?;
    Ok(Done::Written)
}

fn header(csv: &[u8]) -> String {
    let line = csv.split(|byte| *byte == b'\n').next().unwrap_or_default();
    String::from_utf8_lossy(line).trim_end().to_owned()
}

/// The whole rows of `csv` that `there` lacks, each as often as it stands there less often. What an append that was cut short
/// left in the copy is a row of its own, which `csv` does not have.
fn missing(csv: &[u8], there: &[u8]) -> Vec<u8> {
    let mut copies: HashMap<&[u8], u64> = HashMap::new();
    for line in there.split(|byte| *byte == b'\n').skip(1) {
        *copies.entry(line).or_default() += 1;
    }
    let mut rows = Vec::new();
    for line in csv.split_inclusive(|byte| *byte == b'\n').skip(1) {
        // A last line without its end is being written just now.
        let Some(row) = line.strip_suffix(b"\n").filter(|row| !row.is_empty()) else { continue };
        match copies.get_mut(row) {
            Some(more) if *more > 0 => *more -= 1,
            _ => rows.extend_from_slice(line),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_rows_that_are_missing_are_copied() {
        let missing = |there: &[u8]| String::from_utf8_lossy(&missing(b"a,b\n1,2\n3,4\n5,", there)).into_owned();
        assert_eq!(missing(b""), "1,2\n3,4\n");
        assert_eq!(missing(b"a,b\n1,2\n"), "3,4\n");
        assert_eq!(missing(b"a,b\n1,2\n3,4\n"), "");
        // The copy went on by itself.
        assert_eq!(missing(b"a,b\n9,9\n"), "1,2\n3,4\n");
        assert_eq!(missing(b"a,b\n1,2\n9,9\n"), "3,4\n");
        assert_eq!(missing(b"a,b\n3,4\n9,9\n"), "1,2\n");
        // A copy that was killed while it was written; the second and third as they stand after the next run.
        assert_eq!(missing(b"a,b\n1,"), "1,2\n3,4\n");
        assert_eq!(missing(b"a,b\n1,\n1,2\n"), "3,4\n");
        assert_eq!(missing(b"a,b\n1,\n1,2\n3,4\n"), "");
        assert_eq!(missing(b"a,b\n1,2"), "3,4\n");
    }

    #[test]
    fn a_row_is_there_as_often_as_in_the_one_that_has_it_more_often() {
        let csv = b"a,b\n1,2\n3,4\n1,2\n\n1,2\n";
        assert_eq!(missing(csv, b"a,b\n1,2\n"), b"3,4\n1,2\n1,2\n");
        assert_eq!(missing(csv, b"a,b\n1,2\n1,2\n1,2\n1,2\n"), b"3,4\n");
    }
}
