use serde_json::json;

use super::*;
use crate::record::{ErrorKind, Failure, Outcome};

const WINDOW: &str = "from=2026-11-24T10:00:00Z&to=2026-11-24T11:00:00Z";

fn failed(name: &str, model: &str, timestamp: DateTime<Utc>, kind: ErrorKind) -> Record {
    let mut record = Record::new(model, environment(name), timestamp);
    record.outcome = Outcome::Error(Failure::new(kind, "no"));
    record
}

/// A success at 10:`minute` that took `latency_ms`.
fn took(name: &str, model: &str, minute: i64, latency_ms: f64) -> Record {
    let mut record = record(name, model, at("2026-11-24T10:00:00Z") + chrono::TimeDelta::minutes(minute));
    record.latency_ms = Some(latency_ms);
    record.cost = Some("0.0001".parse().unwrap());
    record
}

fn simulated(mut record: Record) -> Record {
    record.simulated = true;
    record
}

async fn small_history() -> Monitor {
    let monitor = Monitor::new();
    let mut records: Vec<_> = (0..20).map(|n| took("prod", "a", n, 100.0 + n as f64)).collect();
    records.push(failed("prod", "a", at("2026-11-24T10:30:00Z"), ErrorKind::Timeout));
    records.push(failed("prod", "a", at("2026-11-24T10:31:00Z"), ErrorKind::RateLimited));
    records.push(took("dev", "a", 5, 50.0));
    records.extend([simulated(took("qa", "a", 5, 55.0)), took("prod", "b", 59, 7.0)]);
    records.extend([took("prod", "a", -1, 1e6), took("prod", "a", 60, 1e6)]);
    monitor.add(records).await;
    monitor
}

#[tokio::test]
async fn a_summary_counts_every_record_of_the_window_once() {
    let monitor = small_history().await;
    let answer = monitor.get(&format!("/api/summary?{WINDOW}")).await.json();
    assert_eq!(
        (&answer["exact"], &answer["count"], &answer["simulated_left_out"]),
        (&json!(true), &json!(24), &json!(1))
    );
    assert_eq!(
        (&answer["from"], &answer["to"]),
        (&json!("2026-11-24T10:00:00.000Z"), &json!("2026-11-24T11:00:00.000Z"))
    );
    let names: Vec<_> = answer["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| (g["environment"].clone(), g["model_name"].clone()))
        .collect();
    assert_eq!(names, [("dev", "a"), ("prod", "a"), ("prod", "b"), ("qa", "a")].map(|(e, m)| (json!(e), json!(m))));

    let prod = &answer["groups"][1];
    assert_eq!(
        (&prod["count"], &prod["successes"], &prod["failures"], &prod["rate_limited"]),
        (&json!(22), &json!(20), &json!(1), &json!(1))
    );
    assert_eq!(prod["failures_by_kind"], json!({"rate_limited": 1, "timeout": 1}));
    assert_eq!((&prod["success_rate"], &prod["enough"]), (&json!(0.952_381), &json!(true)), "rate limits are apart");
    let latency = &prod["latency_ms"];
    assert_eq!(
        (&latency["min"], &latency["p50"], &latency["p90"], &latency["p95"], &latency["p99"], &latency["max"]),
        (&json!(100.0), &json!(109.0), &json!(117.0), &json!(118.0), &json!(119.0), &json!(119.0))
    );
    assert_eq!((&latency["count"], &latency["mean"], &latency["enough"]), (&json!(20), &json!(109.5), &json!(true)));
    assert_eq!((&prod["cost"], &prod["priced"]), (&json!(0.002), &json!(20)));
    assert_eq!(
        prod["ttft_ms"],
        json!({"count": 0, "enough": false, "min": null, "mean": null, "p50": null, "p90": null, "p95": null, "p99": null, "max": null})
    );
    assert_eq!(
        (&prod["last_record"]["error_kind"], &prod["last_record"]["status"]),
        (&json!("rate_limited"), &json!("error"))
    );

    let dev = &answer["groups"][0];
    assert_eq!(
        (&dev["enough"], &dev["latency_ms"]["enough"], &dev["latency_ms"]["p99"]),
        (&json!(false), &json!(false), &json!(50.0))
    );
}

#[tokio::test]
async fn simulated_records_are_left_out_and_counted_unless_asked_for() {
    let monitor = small_history().await;
    let qa = |answer: Value| answer["groups"][0].clone();
    let left_out = qa(monitor.get(&format!("/api/summary?{WINDOW}&environment=qa")).await.json());
    assert_eq!(
        (&left_out["count"], &left_out["simulated_left_out"], &left_out["simulated"]),
        (&json!(0), &json!(1), &json!(true))
    );
    assert_eq!(
        (&left_out["latency_ms"]["p50"], &left_out["success_rate"], &left_out["cost"]),
        (&json!(null), &json!(null), &json!(null))
    );
    assert_eq!(left_out["last_record"]["simulated"], json!(true));

    let taken = qa(monitor.get(&format!("/api/summary?{WINDOW}&environment=qa&include_simulated=true")).await.json());
    assert_eq!(
        (&taken["count"], &taken["simulated_left_out"], &taken["simulated"]),
        (&json!(1), &json!(0), &json!(true))
    );
    assert_eq!(taken["latency_ms"]["p50"], json!(55.0));

    let series = monitor.get(&format!("/api/series?{WINDOW}&environment=qa&step=1h")).await.json();
    assert_eq!((&series["simulated_left_out"], &series["series"][0]["values"]["p50"]), (&json!(1), &json!([null])));
}

/// After a change to simple mode derived records are the newest, and say nothing of the model.
#[tokio::test]
async fn the_last_record_is_a_measured_one_where_there_is_any() {
    let monitor = Monitor::new();
    let measured = failed("qa", "a", at("2026-11-24T10:30:00Z"), ErrorKind::Timeout);
    monitor.add(vec![simulated(took("qa", "a", 5, 55.0)), measured, simulated(took("qa", "a", 40, 55.0))]).await;
    let last = async |more: &str| {
        let answer = monitor.get(&format!("/api/summary?{WINDOW}{more}")).await.json();
        let last = &answer["groups"][0]["last_record"];
        (last["simulated"].clone(), last["status"].clone())
    };
    assert_eq!(last("").await, (json!(false), json!("error")));
    assert_eq!(last("&include_simulated=true").await, (json!(true), json!("success")));
}

#[tokio::test]
async fn groups_and_models_can_be_chosen() {
    let monitor = small_history().await;
    let groups = async |query: &str| {
        let answer = monitor.get(&format!("/api/summary?{WINDOW}&{query}")).await.json();
        let groups = answer["groups"].as_array().unwrap().clone();
        groups
            .into_iter()
            .map(|g| (g["environment"].clone(), g["model_name"].clone(), g["count"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(groups("group_by=none").await, [(json!(null), json!(null), json!(24))]);
    assert_eq!(groups("group_by=model&model=b").await, [(json!(null), json!("b"), json!(1))]);
    assert_eq!(groups("group_by=environment&environment=dev,prod&model=a,b").await.len(), 2);
    assert_eq!(groups("model=nothing").await, []);
    assert_eq!(groups("environment=nowhere").await, []);
}

#[tokio::test]
async fn a_series_has_every_bucket_and_invents_nothing() {
    let monitor = small_history().await;
    let answer = monitor
        .get(&format!("/api/series?{WINDOW}&environment=prod&model=a&step=15m&percentile=p50,max,mean"))
        .await
        .json();
    assert_eq!(
        answer["times"],
        json!(["2026-11-24T10:00:00Z", "2026-11-24T10:15:00Z", "2026-11-24T10:30:00Z", "2026-11-24T10:45:00Z"])
    );
    assert_eq!((&answer["unit"], &answer["step_seconds"], &answer["exact"]), (&json!("ms"), &json!(900), &json!(true)));
    let series = &answer["series"][0];
    assert_eq!(series["count"], json!([15, 5, 2, 0]));
    assert_eq!((&series["failures"], &series["rate_limited"]), (&json!([0, 0, 1, 0]), &json!([0, 0, 1, 0])));
    assert_eq!(series["failure_kinds"], json!([null, null, ["timeout", "rate_limited"], null]));
    assert_eq!(
        series["values"],
        json!({"p50": [107.0, 117.0, null, null], "max": [114.0, 119.0, null, null], "mean": [107.0, 117.0, null, null]})
    );

    let get = async |metric: &str| {
        let uri = format!("/api/series?{WINDOW}&environment=prod&model=a&step=30m&metric={metric}");
        let answer = monitor.get(&uri).await.json();
        (answer["unit"].clone(), answer["series"][0]["values"].clone())
    };
    assert_eq!(get("success_rate").await, (json!("share"), json!({"rate": [1.0, 0.0]})));
    assert_eq!(get("cost").await, (json!("USD"), json!({"sum": [0.002, null]})));
    assert_eq!(get("output_tokens").await, (json!("tokens"), json!({"sum": [2560.0, null]})));
    assert_eq!(get("ttft_ms").await, (json!("ms"), json!({"p50": [null, null]})));
}

#[tokio::test]
async fn buckets_stand_on_the_grid_of_their_step() {
    let monitor = small_history().await;
    let answer = monitor
        .get("/api/series?from=2026-11-24T10:07:00Z&to=2026-11-24T10:31:00Z&environment=prod&model=a&step=10m")
        .await
        .json();
    assert_eq!(
        answer["times"],
        json!(["2026-11-24T10:00:00Z", "2026-11-24T10:10:00Z", "2026-11-24T10:20:00Z", "2026-11-24T10:30:00Z"])
    );
    assert_eq!(answer["series"][0]["count"], json!([3, 10, 0, 1]), "only what is in the window");
    let default = monitor.get("/api/series").await.json();
    assert_eq!(default["step_seconds"], json!(300), "288 buckets for 24 hours");
    let nothing = monitor.get("/api/series?from=2026-11-24&to=2026-11-24").await.json();
    assert_eq!((&nothing["times"], &nothing["series"]), (&json!([]), &json!([])));
    let century = monitor.get("/api/series?from=1926-01-01&to=2026-01-01").await;
    assert_eq!(century.status, 200);
}

#[tokio::test]
async fn parameters_of_figures_that_are_not_accepted_are_named() {
    let monitor = Monitor::new();
    for (query, parameter) in [
        ("summary?from=yesterday", "from"),
        ("summary?from=2026-11-24&to=2026-11-23", "to"),
        ("summary?group_by=colour", "group_by"),
        ("summary?group_by=environment,none", "group_by"),
        ("summary?include_simulated=yes", "include_simulated"),
        ("series?metric=speed", "metric"),
        ("series?percentile=p100", "percentile"),
        ("series?percentile=p0", "percentile"),
        ("series?percentile=p50,", "percentile"),
        ("series?percentile=p%2B5", "percentile"),
        ("series?step=0", "step"),
        ("series?step=5x", "step"),
        ("series?step=-5", "step"),
        ("series?step=99999999999999999999d", "step"),
        ("series?step=1s", "step"),
        ("series?from=1970-01-01&step=1h", "step"),
    ] {
        let answer = monitor.get(&format!("/api/{query}")).await;
        assert_eq!(answer.problem(), (400, parameter.to_owned()), "{query}");
    }
    let many = monitor.get("/api/series?step=1s").await.json();
    assert!(many["accepted"].as_str().unwrap().contains("2000"), "{many}");
}

#[tokio::test]
async fn two_environments_are_compared_model_by_model() {
    let monitor = Monitor::new();
    let ms = |n: i64, more: f64| 500.0 + (n * 7 % 30) as f64 + more;
    let mut records: Vec<_> = (0..30).map(|n| took("prod", "a", n, ms(n, 40.0))).collect();
    records.extend((0..30).map(|n| took("dev", "a", n, ms(n, 0.0))));
    records.extend((0..30).map(|n| took("prod", "same", n, ms(n, 0.0))));
    records.extend((0..30).map(|n| took("dev", "same", n, ms(n + 3, 0.0))));
    records.extend((0..19).map(|n| took("prod", "few", n, ms(n, 0.0))));
    records.extend((0..30).map(|n| took("dev", "few", n, ms(n, 40.0))));
    records.extend((0..30).map(|n| simulated(took("dev", "few", n, ms(n, 40.0)))));
    monitor.add(records).await;

    let answer = monitor.get(&format!("/api/compare?a=prod&b=dev&{WINDOW}")).await.json();
    let verdicts: Vec<_> =
        answer["models"].as_array().unwrap().iter().map(|m| (m["model_name"].clone(), m["verdict"].clone())).collect();
    assert_eq!(
        verdicts,
        [("a", "slower"), ("few", "not enough data"), ("same", "no clear difference")]
            .map(|(m, v)| (json!(m), json!(v)))
    );
    let a = &answer["models"][0];
    assert_eq!(
        (&a["a"]["median"], &a["b"]["median"], &a["difference"]["median"]),
        (&json!(554.0), &json!(514.0), &json!(40.0))
    );
    assert!(a["difference"]["low"].as_f64().unwrap() > 30.0 && a["difference"]["high"].as_f64().unwrap() < 50.0, "{a}");
    assert_eq!((&a["difference"]["percent"], &a["enough"]), (&json!(7.78), &json!(true)));
    assert_eq!((&answer["models"][1]["difference"], &answer["models"][1]["b"]["values"]), (&json!(null), &json!(30)));
    assert_eq!((&answer["b"]["simulated_left_out"], &answer["a"]["count"]), (&json!(30), &json!(79)));

    let back = monitor.get(&format!("/api/compare?a=dev&b=prod&model=a&{WINDOW}")).await.json();
    assert_eq!(back["models"][0]["verdict"], json!("faster"));
}

#[tokio::test]
async fn two_windows_of_one_environment_are_compared() {
    let monitor = Monitor::new();
    monitor.add((0..60).map(|n| took("prod", "a", n, if n < 30 { 500.0 } else { 700.0 + n as f64 })).collect()).await;
    let uri = format!("/api/compare?a=prod&b=prod&{WINDOW}&a_from=2026-11-24T10:30:00Z&b_to=2026-11-24T10:30:00Z");
    let answer = monitor.get(&uri).await.json();
    assert_eq!((&answer["a"]["count"], &answer["b"]["count"]), (&json!(30), &json!(30)));
    assert_eq!(answer["models"][0]["verdict"], json!("slower"));
    for (query, parameter) in [
        ("b=dev", "a"),
        ("a=prod", "b"),
        ("a=prod&b=no%20name", "b"),
        ("a=prod&b=dev&metric=cost", "metric"),
        ("a=prod&b=dev&b_from=soon", "b_from"),
        ("a=prod&b=dev&from=2026-11-24&a_to=2026-11-23", "a_to"),
    ] {
        assert_eq!(
            monitor.get(&format!("/api/compare?{query}")).await.problem(),
            (400, parameter.to_owned()),
            "{query}"
        );
    }
}
