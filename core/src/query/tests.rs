#![allow(clippy::unwrap_used)]

use chrono::{DateTime, Utc};

use super::*;
use crate::history::Position;

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
