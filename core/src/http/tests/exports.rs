use futures_util::{StreamExt, TryStreamExt};
use http_body_util::BodyExt;

use super::{
    faulty::{Fault, Faulty},
    *,
};
use crate::{
    http::export,
    record::{ErrorKind, csv},
};

const WINDOW: &str = "from=2026-11-24T10:00:00Z&to=2026-11-24T11:00:00Z";

fn many(count: i64) -> Vec<Record> {
    (0..count).map(|n| record("prod", "a", at("2026-11-24T10:00:00Z") + chrono::TimeDelta::milliseconds(n))).collect()
}

#[tokio::test]
async fn an_export_is_the_data_of_record_whole() {
    let monitor = Monitor::new();
    let records = many(3_000);
    monitor.add(records.clone()).await;
    let answer = monitor.get(&format!("/api/export?{WINDOW}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"llm-monitor-20261124T100000Z.csv\"");
    let decoded = csv::decode(&answer.body, 2);
    assert!(decoded.problems.is_empty());
    assert_eq!(decoded.records, records);

    let lines = monitor.get(&format!("/api/export?{WINDOW}&format=jsonl")).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = lines
        .body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3_000);
    let page = monitor.get(&format!("/api/latency?{WINDOW}&order=asc&limit=1")).await.json();
    assert_eq!(page[0], lines[0]);

    let request = Request::get(format!("/api/export?{WINDOW}")).header("accept-encoding", "gzip");
    let packed = monitor.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*packed.body), &mut unpacked).unwrap();
    assert_eq!(unpacked, answer.body);

    let none = monitor.get("/api/export?environment=nowhere").await;
    assert_eq!(String::from_utf8(none.body).unwrap(), csv::header_line() + "\n");
}

#[tokio::test]
async fn an_export_is_filtered_and_can_be_made_safe_for_spreadsheets() {
    let monitor = Monitor::new();
    let mut derived = record("qa", "a", at("2026-11-24T10:00:00Z"));
    derived.simulated = true;
    let evil = failed("=cmd()", at("2026-11-24T10:01:00Z"), ErrorKind::Timeout, "+1");
    monitor.add(vec![derived, evil, record("prod", "a", at("2026-11-24T10:02:00Z"))]).await;
    let rows = async |query: &str| {
        let answer = monitor.get(&format!("/api/export?{WINDOW}&{query}")).await;
        let text = String::from_utf8(answer.body).unwrap();
        text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows("").await, ["a", "=cmd()", "a"]);
    assert_eq!(rows("include_simulated=false").await, ["=cmd()", "a"]);
    assert_eq!(rows("status=error&spreadsheet=true").await, ["'=cmd()"]);
    let messages = async |query: &str| {
        let answer = monitor.get(&format!("/api/export?{WINDOW}&status=error&{query}")).await;
        let outcomes = csv::decode(&answer.body, 2).records.into_iter().map(|record| record.outcome);
        let message = |outcome| match outcome {
            Outcome::Error(failure) => failure.message,
            Outcome::Success => None,
        };
        outcomes.filter_map(message).collect::<Vec<_>>()
    };
    assert_eq!(messages("").await, ["+1"]);
    assert_eq!(messages("spreadsheet=true").await, ["'+1"]);
    assert_eq!(rows("model=a&environment=qa").await, ["a"]);
    for (query, parameter) in
        [("format=xml", "format"), ("spreadsheet=1", "spreadsheet"), ("status=bad", "status"), ("from=x", "from")]
    {
        assert_eq!(
            monitor.get(&format!("/api/export?{query}")).await.problem(),
            (400, parameter.to_owned()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn whatever_makes_a_spreadsheet_see_a_formula_is_escaped_and_nothing_else_is() {
    for start in ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "a=", "'", "é", ""] {
        let monitor = Monitor::new();
        let name = format!("{start}cmd()");
        monitor.add(vec![record("prod", &name, at("2026-11-24T10:00:00Z"))]).await;
        let answer = monitor.get(&format!("/api/export?{WINDOW}&spreadsheet=true")).await;
        let records = csv::decode(&answer.body, 2).records;
        let is_formula = !["a=", "'", "é", ""].contains(&start);
        let expected = if is_formula { format!("'{name}") } else { name };
        assert_eq!(records[0].model_name, expected, "{start:?}");
    }
}

/// The status, and the bytes that came before the body ended or broke off, and whether it ended.
async fn exported(routes: Router, packed: bool) -> (u16, Vec<u8>, bool) {
    // Longer than what is listed first.
    let request = Request::get("/api/export?from=2026-11-24T10:00:00Z&to=2026-11-27");
    let request = if packed { request.header("accept-encoding", "gzip") } else { request };
    let response = routes.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (status, bytes, false) };
        bytes.extend(frame.into_data().unwrap());
    }
    (status, bytes, true)
}

#[tokio::test]
async fn an_export_that_the_program_fails_in_does_not_end_as_if_it_were_whole() {
    let monitor = Monitor::new();
    // More than a chunk.
    monitor.add(many(5_000)).await;
    for packed in [false, true] {
        let routes = |fault| router(Faulty::new(&monitor.store, fault).api(&monitor));
        let (status, whole, has_ended) = exported(routes(Fault::None), packed).await;
        assert_eq!((status, has_ended), (200, true), "packed: {packed}");
        let (status, part, has_ended) = exported(routes(Fault::PanicsLater), packed).await;
        assert_eq!((status, has_ended), (200, false), "packed: {packed}");
        assert!(!part.is_empty() && part.len() < whole.len(), "{} of {} bytes", part.len(), whole.len());
        let (status, problem, has_ended) = exported(routes(Fault::Panics), packed).await;
        assert_eq!((status, has_ended), (500, true), "nothing was sent yet: {}", String::from_utf8_lossy(&problem));
    }
}

#[tokio::test]
async fn an_export_that_its_client_does_not_take_in_time_is_cut_off() {
    let monitor = Monitor::new();
    monitor.add(many(5_000)).await;
    let all = || Export {
        scope: crate::store::Scope::default(),
        filter: crate::query::Filter::default(),
        format: ExportFormat::JsonLines,
    };
    // Nobody takes anything until it is given up, which with no time at all is as soon as there is no more room.
    let (sender, receiver) = tokio::sync::mpsc::channel(2);
    export::send(all(), &monitor.history, &sender, Duration::ZERO).await;
    drop(sender);
    let taken: Vec<_> = export::body(Bytes::new(), receiver).collect().await;
    assert_eq!(taken.iter().filter(|piece| piece.is_ok()).count(), 3, "what there was room for");
    assert!(taken.last().unwrap().is_err());
    // Room for all of it: nobody has to take anything in time.
    let (sender, receiver) = tokio::sync::mpsc::channel(1_000);
    export::send(all(), &monitor.history, &sender, Duration::ZERO).await;
    drop(sender);
    let taken: Vec<Bytes> = export::body(Bytes::new(), receiver).try_collect().await.unwrap();
    assert_eq!(taken.concat().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 5_000);
}
