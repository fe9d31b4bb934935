//! What is kept beside the records: what usage endpoints said, and catalogs.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use bytes::Bytes;
use chrono::{Days, NaiveDate};
use futures_util::{StreamExt, TryStreamExt, stream};
use llm_monitor_core::{record::Environment, store::Store};

use crate::progress;

const AT_ONCE: usize = 16;

/// Files of usage and catalogs that were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) usage_files: u64,
    pub(super) catalogs: u64,
}

/// Copies what `to` lacks of `environments`, and of the days from `first` to `last`.
pub(super) async fn copy(
    from: &dyn Store,
    to: &dyn Store,
    environments: &BTreeSet<Environment>,
    (first, last): (NaiveDate, NaiveDate),
) -> Result<Copied> {
    let mut copied = Copied::default();
    for environment in environments {
        if let Some(json) = from.load_catalog(environment).await?
            && to.load_catalog(environment).await?.as_ref() != Some(&json)
        {
            to.save_catalog(environment, json).await?;
            copied.catalogs += 1;
        }
    }
    // The day before a record's, and the day after: endpoints are asked around midnight too.
    let first = first.checked_sub_days(Days::new(1)).unwrap_or(first);
    let days: Vec<_> = first.iter_days().take_while(|day| *day <= last).collect();
    let bar = progress::steps((days.len() * environments.len()) as u64, "usage reports");
    let pairs = environments.iter().flat_map(|environment| days.iter().map(move |day| (environment, *day)));
    let copies = pairs.map(async |(environment, day)| {
        let is_written = copy_usage(from, to, environment, day).await;
        bar.inc(1);
        is_written
    });
    let written: Vec<bool> = stream::iter(copies).buffered(AT_ONCE).try_collect().await?;
    copied.usage_files = written.into_iter().filter(|is_written| *is_written).count() as u64;
    bar.finish_and_clear();
    Ok(copied)
}

/// Whether there was something to write. Such files only ever grow.
async fn copy_usage(from: &dyn Store, to: &dyn Store, environment: &Environment, day: NaiveDate) -> Result<bool> {
    let Some(csv) = from.read_usage(environment, day).await? else { return Ok(false) };
    let there = to.read_usage(environment, day).await?.unwrap_or_default();
    let Some((header_line, rows)) = missing(&csv, &there)? else { return Ok(false) };
    to.append_usage(environment, day, &header_line, rows).await?;
    Ok(true)
}

/// The header, and the whole rows of `csv` that `there` lacks.
fn missing(csv: &Bytes, there: &[u8]) -> Result<Option<(String, Bytes)>> {
    // A last line without its end is being written just now.
    let whole = csv.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let header_len = csv.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let header_line = String::from_utf8_lossy(csv.get(..header_len).unwrap_or_default()).trim_end().to_owned();
    let mut at = 0;
    for line in there.split(|byte| *byte == b'\n') {
        let rest = csv.get(at..).and_then(|rest| rest.strip_prefix(line));
        match rest.map(<[u8]>::first) {
            Some(Some(b'\n')) => at += line.len() + 1,
            // An append that was cut short left it; its row comes again, below.
            Some(_) => {}
            None => bail!("what a usage endpoint said is not the same in the copy; this is a copy of another store"),
        }
    }
    let from = header_len.max(at);
    Ok((from < whole).then(|| (header_line, csv.slice(from..whole))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;

    #[test]
    fn only_whole_rows_that_are_missing_are_copied() {
        let csv = Bytes::from_static(b"a,b\n1,2\n3,4\n5,");
        let missing = |there: &[u8]| missing(&csv, there).map(|found| found.map(|(_, rows)| rows));
        assert_eq!(missing(b"").expect("a start"), Some(Bytes::from_static(b"1,2\n3,4\n")));
        assert_eq!(missing(b"a,b\n1,2\n").expect("a start"), Some(Bytes::from_static(b"3,4\n")));
        assert_eq!(missing(b"a,b\n1,2\n3,4\n").expect("a start"), None);
        assert!(missing(b"a,b\n9,9\n").is_err());
        // A copy that was killed while it was written; the second and third as they stand after the next run.
        assert_eq!(missing(b"a,b\n1,").expect("a start"), Some(Bytes::from_static(b"1,2\n3,4\n")));
        assert_eq!(missing(b"a,b\n1,\n1,2\n").expect("a start"), Some(Bytes::from_static(b"3,4\n")));
        assert_eq!(missing(b"a,b\n1,\n1,2\n3,4\n").expect("a start"), None);
        assert_eq!(missing(b"a,b\n1,2").expect("a start"), Some(Bytes::from_static(b"3,4\n")));
    }
}
