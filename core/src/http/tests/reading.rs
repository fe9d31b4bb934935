use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::record::{ErrorKind, Failure, Outcome, csv};

#[tokio::test]
async fn a_record_has_every_column_of_the_csv_with_null_for_what_is_unknown() {
    let monitor = Monitor::new();
    let mut full = record("prod", "gpt-4o-mini", at("2026-11-24T16:54:00.113Z"));
    full.cost = Some("0.0003192".parse().unwrap());
    full.is_cloud = Some(true);
    full.cycle_id = Some(CycleId::at(at("2026-11-24T16:54:00Z")));
    let mut failed = Record::new("gpt-4", environment("prod"), at("2026-11-24T16:55:00Z"));
    failed.outcome = Outcome::Error(Failure::new(ErrorKind::RateLimited, "HTTP 429"));
    monitor.add(vec![full, failed]).await;

    let answer = monitor.get("/api/latency").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let records = answer.json();
    let columns: BTreeSet<_> = csv::header_line().split(',').map(str::to_owned).collect();
    assert_eq!(columns.len(), 33);
    for record in records.as_array().unwrap() {
        assert_eq!(record.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>(), columns);
    }
    let (failed, full) = (&records[0], &records[1]);
    assert_eq!(full["timestamp"], "2026-11-24T16:54:00.113Z");
    assert_eq!(
        (&full["latency_ms"], &full["status"], &full["simulated"]),
        (&json!(812.5), &json!("success"), &json!(false))
    );
    assert_eq!((&full["cycle_id"], &full["ttft_ms"]), (&json!("20261124T165400Z"), &Value::Null));
    assert_eq!((&failed["latency_ms"], &failed["status"]), (&Value::Null, &json!("error")));
    assert_eq!((&failed["error_kind"], &failed["error_message"]), (&json!("rate_limited"), &json!("HTTP 429")));
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.contains("\"cost\":0.0003192,"), "no float noise: {text}");
    let in_order: Vec<_> =
        csv::header_line().split(',').map(|name| text.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(in_order.is_sorted(), "fields stand in the CSV's order");
}

#[tokio::test]
async fn newest_first_a_hundred_at_most_unless_asked_otherwise() {
    let monitor = Monitor::new();
    monitor.add(one_a_second(150)).await;
    let newest = monitor.get("/api/latency").await.column("timestamp");
    assert_eq!(newest.len(), 100);
    assert!(newest.is_sorted_by(|a, b| a > b), "newest first");
    let oldest = monitor.get("/api/latency?order=asc&limit=150").await.column("timestamp");
    assert_eq!(oldest.len(), 150);
    assert!(oldest.is_sorted());
    assert_eq!(oldest[149], newest[0]);
    let skipped = monitor.get("/api/latency?skip=145&limit=3").await.column("timestamp");
    assert_eq!(skipped, [&*oldest[4], &oldest[3], &oldest[2]]);
    assert!(monitor.get("/api/latency?skip=150").await.column("timestamp").is_empty());
}

#[tokio::test]
async fn filters_choose_by_environment_model_status_and_time() {
    let monitor = Monitor::new();
    let noon = at("2026-11-20T12:00:00Z");
    let mut failed = Record::new("gpt-4", environment("prod"), noon + TimeDelta::minutes(2));
    failed.outcome = Outcome::Error(Failure::new(ErrorKind::Timeout, "30 s"));
    monitor
        .add(vec![
            record("dev", "gpt-4", noon),
            record("prod", "gpt-4", noon + TimeDelta::minutes(1)),
            failed,
            record("prod", "claude-3-opus", noon + TimeDelta::minutes(3)),
            record("prod", "gpt-4", at("2026-11-21T00:00:00Z")),
        ])
        .await;
    for (query, expected) in [
        ("", 5),
        ("environment=", 5),
        ("environment=prod", 4),
        ("environment=PROD", 4),
        ("environment=dev,prod", 5),
        ("environment=nowhere", 0),
        ("environment=no%20such!", 0),
        ("model=gpt-4", 4),
        ("model=gpt-4o", 0),
        ("status=error", 1),
        ("status=success&environment=prod&model=gpt-4", 2),
        ("from=2026-11-20T12:01:00Z", 4),
        ("to=2026-11-20T12:01:00Z", 1),
        ("from=2026-11-20&to=2026-11-21", 4),
        ("from=2026-11-20T13:01:00+01:00&to=2026-11-20T12:03:00", 2),
        ("from=2026-11-21&to=2026-11-20", 0),
        ("no_such_parameter=1", 5),
    ] {
        let answer = monitor.get(&format!("/api/latency?{query}")).await;
        assert_eq!((answer.status, answer.column("model_name").len()), (200, expected), "{query}");
    }
}

#[tokio::test]
async fn following_the_links_shows_every_record_once_while_rows_arrive() {
    let monitor = Monitor::new();
    // Of each second three copies, so that pages end between rows that are alike.
    let rows: Vec<_> = one_a_second(40).into_iter().flat_map(|row| [row.clone(), row.clone(), row]).collect();
    let times: Vec<_> = rows.iter().map(|row| latency_record::timestamp_text(row.timestamp)).collect();
    monitor.add(rows).await;
    for order in ["desc", "asc"] {
        let mut uri = format!("/api/latency?environment=prod,qa&status=success&limit=7&order={order}&to=2100-01-01");
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let answer = monitor.get(&uri).await;
            assert_eq!(answer.status, 200, "{uri}");
            pages += 1;
            seen.extend(answer.column("timestamp").into_iter().filter(|time| times.contains(time)));
            if order == "desc" {
                monitor.add(vec![record("qa", "gpt-4", seconds_ago(-100))]).await;
            }
            match answer.next() {
                Some(next) => uri = next,
                None => break,
            }
            assert!(pages < 100, "the links end");
        }
        if order == "desc" {
            seen.reverse();
        }
        assert_eq!(seen, times, "{order}");
    }
}

#[tokio::test]
async fn a_link_stands_only_where_there_is_more_and_keeps_the_filters() {
    let monitor = Monitor::new();
    monitor.add(one_a_second(10)).await;
    assert_eq!(monitor.get("/api/latency?limit=10").await.next(), None);
    let filters = "environment=prod%2Cqa&model=gpt-4o-mini&status=success&from=2020-01-01&to=2100-01-01&limit=4";
    for (order, cursor) in [("desc", "before"), ("asc", "after")] {
        let next = monitor.get(&format!("/api/latency?skip=2&{filters}&order={order}")).await.next().unwrap();
        assert!(next.starts_with(&format!("/api/latency?{filters}&order={order}&{cursor}=")), "{next}");
        assert!(!next.contains("skip"), "{next}");
    }
}

#[tokio::test]
async fn an_empty_parameter_counts_as_absent() {
    let monitor = Monitor::new();
    let query = "environment=&model=&status=&from=&to=&skip=&limit=&order=&before=&after=";
    assert_eq!(monitor.get(&format!("/api/latency?{query}")).await.status, 200);
}

#[tokio::test]
async fn a_parameter_that_is_not_accepted_is_named_with_its_value() {
    let monitor = Monitor::new();
    for (query, parameter, value) in [
        ("limit=0", "limit", "0"),
        ("limit=1001", "limit", "1001"),
        ("limit=ten", "limit", "ten"),
        ("limit=1e2", "limit", "1e2"),
        ("skip=-1", "skip", "-1"),
        ("skip=99999999999999999999", "skip", "99999999999999999999"),
        ("order=up", "order", "up"),
        ("status=failed", "status", "failed"),
        ("from=yesterday", "from", "yesterday"),
        ("to=2026-02-30", "to", "2026-02-30"),
        ("before=garbage", "before", "garbage"),
        ("after=x", "after", "x"),
        ("order=asc&before=x", "before", "x"),
    ] {
        let answer = monitor.get(&format!("/api/latency?{query}")).await;
        assert_eq!(answer.problem(), (400, parameter.to_owned()), "{query}");
        let problem = answer.json();
        assert_eq!(problem["value"], value, "{query}");
        assert!(problem["accepted"].as_str().is_some_and(|accepted| accepted.len() > 5), "{problem}");
    }
    let long = "x".repeat(5000);
    let answer = monitor.get(&format!("/api/latency?order={long}")).await;
    assert!(answer.body.len() < 1000, "a long value is not repeated whole");
}
