#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::{
    history::{Direction, Position, tests::days::days_that_differ},
    record::Record,
    store::Scope,
};

fn cursor(timestamp: &str, model: &str) -> Cursor {
    let timestamp: DateTime<Utc> = timestamp.parse().unwrap();
    let environment = "eu-prod".parse().unwrap();
    Cursor(Position { timestamp, environment, model_name: model.to_owned(), fingerprint: 0x0a, copies: 3 })
}

#[test]
fn a_cursor_reads_back_what_it_writes() {
    for timestamp in ["2026-11-24T16:54:00.123456789Z", "2026-11-24T16:54:00Z", "1969-12-31T23:59:59.5Z"] {
        for model in ["gpt-4o-mini", "org/model:8b~q4", "", "модель"] {
            let cursor = cursor(timestamp, model);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }
    assert_eq!(
        cursor("2026-11-24T16:54:00.123Z", "m").to_string(),
        "1795539240.123000000~000000000000000a~3~eu-prod~m",
        "clients hold these while we are updated"
    );
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in [
        "",
        "x",
        "1~2~3~dev~m",
        "1.0~zz~1~dev~m",
        "1.0~0a~-1~dev~m",
        "1.0~0a~1~no env~m",
        "1.0~0a~1~dev",
        "1.9999999999~0a~1~dev~m",
    ] {
        assert_eq!(text.parse::<Cursor>(), Err(InvalidCursor), "{text}");
    }
}

/// A filter judges rows one by one and days by their rollups: where it judged these otherwise, rows would be missing.
#[tokio::test]
async fn a_page_of_days_that_rollups_tell_of_is_a_lists_whatever_the_filter() {
    let (every, store) = days_that_differ();
    assert_eq!(store.history().roll_up(None).await.unwrap(), 10);
    let history = store.history();
    let models = [None, Some(vec!["a"]), Some(vec!["b"]), Some(vec!["a", "b"]), Some(vec!["none"]), Some(vec![])];
    for models in models.map(|models| models.map(|models| models.into_iter().map(str::to_owned).collect::<Vec<_>>())) {
        for status in [None, Some(Status::Success), Some(Status::Error)] {
            for leaves_out_simulated in [false, true] {
                let filter = Filter { models: models.clone(), status, leaves_out_simulated };
                let is_wanted = |record: &&Record| {
                    models.as_ref().is_none_or(|models| models.contains(&record.model_name))
                        && status.is_none_or(|status| record.is_success() == (status == Status::Success))
                        && !(leaves_out_simulated && record.simulated)
                };
                let wanted: Vec<Record> = every.iter().filter(is_wanted).cloned().collect();
                for skip in [0, 1, 30] {
                    let (scope, direction, after) = (Scope::default(), Direction::OldestFirst, None);
                    let query = RecordQuery { scope, filter: filter.clone(), direction, after, skip, limit: 1000 };
                    let page = page(&history, &query).await.unwrap();
                    assert_eq!(page.records, wanted[wanted.len().min(skip as usize)..], "{filter:?}, skip {skip}");
                }
            }
        }
    }
    let before = store.reads();
    let filter = Filter { models: Some(vec!["none".to_owned()]), ..Filter::default() };
    let (scope, direction) = (Scope::default(), Direction::NewestFirst);
    let query = RecordQuery { scope, filter, direction, after: None, skip: 0, limit: 100 };
    assert_eq!(page(&store.history(), &query).await.unwrap().records, []);
    assert_eq!(store.reads(), before, "no day is read for what none has");
}

#[tokio::test]
async fn the_last_row_is_the_newest_that_counts_of_rollups_too() {
    let (every, store) = days_that_differ();
    let history = store.history();
    let midnight = every[0].timestamp.date_naive().and_time(chrono::NaiveTime::MIN).and_utc();
    let mut passed_over = 0;
    for days in 3..=10 {
        for include_simulated in [false, true] {
            let scope = Scope { from: Some(midnight), to: Some(midnight + TimeDelta::days(days)), ..Scope::default() };
            let within = every.iter().filter(|row| row.timestamp < midnight + TimeDelta::days(days));
            let selection = Selection { scope, include_simulated, rows_at_most: u64::MAX, ..Selection::default() };
            let (groups, is_exact) = summaries(&history, &selection, &[Column::Model]).await.unwrap();
            assert!(!is_exact && groups.len() == 2, "{days} days");
            for (key, summary) in groups {
                let mut of_model = within.clone().filter(|row| key.model_name.as_ref() == Some(&row.model_name));
                let newest = of_model.clone().next_back().unwrap();
                let counts = of_model.rfind(|row| include_simulated || !row.simulated).unwrap();
                passed_over += u32::from(counts != newest);
                let last = summary.last.unwrap();
                assert_eq!((last.timestamp, last.simulated), (counts.timestamp, counts.simulated), "{days} days");
            }
        }
    }
    assert!(passed_over > 0, "derived rows were the newest somewhere");
}
