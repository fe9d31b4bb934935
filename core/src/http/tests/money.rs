use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::usage::KEPT_HEADER;

async fn keep(monitor: &Monitor, name: &str, date: &str, rows: &str) {
    let (name, date) = (environment(name), date.parse().unwrap());
    monitor.store.append_usage(&name, date, KEPT_HEADER.trim_end(), Bytes::from(rows.to_owned())).await.unwrap();
}

fn probe(name: &str, timestamp: &str, cost: Option<&str>) -> Record {
    let mut record = record(name, "a", at(timestamp));
    record.cost = cost.map(|cost| cost.parse().unwrap());
    record
}

#[tokio::test]
async fn what_models_cost_and_what_monitoring_costs_are_apart() {
    let monitor = Monitor::new();
    let day = "2026-10-31T08:00:00.000Z,a,1.5,100,10,3,0.0000001,0.0000002,,,,\n\
               2026-10-31T09:00:00.000Z,a,2.5,200,20,6,0.0000001,0.0000002,,,,\n\
               2026-10-31T09:00:00.000Z,b,,,,,,,,,,\n";
    keep(&monitor, "prod", "2026-10-31", day).await;
    keep(&monitor, "prod", "2026-11-01", "2026-11-01T10:00:00.000Z,a,0.3,1,1,1,0.00000005,0.0000002,,,,\nbroken\n")
        .await;
    keep(&monitor, "dev", "2026-11-01", "2026-11-01T10:00:00.000Z,a,0.1,1,1,1,,,,,,\n").await;
    let mut simulated = probe("qa", "2026-11-01T10:00:00Z", Some("9"));
    simulated.simulated = true;
    monitor
        .add(vec![
            probe("prod", "2026-10-31T23:59:59.999Z", Some("0.001")),
            probe("prod", "2026-11-01T00:00:00Z", Some("0.002")),
            probe("prod", "2026-11-01T00:01:00Z", Some("0.002")),
            probe("dev", "2026-11-01T00:01:00Z", None),
            probe("prod", "2026-11-02T00:00:00Z", Some("5")),
            simulated,
        ])
        .await;

    let answer = monitor.get("/api/costs?from=2026-10-01&to=2026-11-02").await.json();
    assert_eq!(
        (&answer["from"], &answer["to"], &answer["currency"]),
        (&json!("2026-10-01"), &json!("2026-11-02"), &json!("USD"))
    );
    let usage = &answer["usage"];
    assert_eq!(usage["total"], json!(2.9), "of each day the last that was said");
    assert_eq!(
        usage["days"],
        json!([
            {"date": "2026-10-31", "environment": "prod", "cost": 2.5, "input_tokens": 200.0, "output_tokens": 20.0, "prompts": 6.0},
            {"date": "2026-11-01", "environment": "dev", "cost": 0.1, "input_tokens": 1.0, "output_tokens": 1.0, "prompts": 1.0},
            {"date": "2026-11-01", "environment": "prod", "cost": 0.3, "input_tokens": 1.0, "output_tokens": 1.0, "prompts": 1.0}
        ])
    );
    assert_eq!(usage["months"].as_array().unwrap().len(), 3);
    let b = &usage["models"][2];
    assert_eq!((&b["model_name"], &b["cost"]), (&json!("b"), &json!(null)), "unknown is not free");

    let monitoring = &answer["monitoring"];
    assert_eq!((&monitoring["total"], &monitoring["simulated_left_out"]), (&json!(0.005), &json!(1)));
    assert_eq!(
        monitoring["months"],
        json!([
            {"month": "2026-10", "environment": "prod", "cost": 0.001, "probes": 1, "unpriced": 0},
            {"month": "2026-11", "environment": "dev", "cost": null, "probes": 1, "unpriced": 1},
            {"month": "2026-11", "environment": "prod", "cost": 0.004, "probes": 2, "unpriced": 0}
        ])
    );
    assert_eq!(
        answer["price_changes"],
        json!([{
            "environment": "prod", "model_name": "a", "at": "2026-11-01T10:00:00.000Z",
            "before": {"input": 0.0001, "output": 0.0002}, "after": {"input": 0.00005, "output": 0.0002}
        }])
    );
    let one = monitor.get("/api/costs?from=2026-10-31&to=2026-10-31T12:00:00Z&environment=prod&model=b").await.json();
    assert_eq!(
        (&one["to"], &one["usage"]["total"], &one["usage"]["models"][0]["model_name"]),
        (&json!("2026-11-01"), &json!(null), &json!("b"))
    );
}

#[tokio::test]
async fn without_days_the_last_31_are_summed_up() {
    let monitor = Monitor::new();
    monitor.add(vec![probe("prod", &seconds_ago(0).to_rfc3339(), Some("0.5"))]).await;
    let answer = monitor.get("/api/costs").await.json();
    let date = |name: &str| answer[name].as_str().unwrap().parse::<chrono::NaiveDate>().unwrap();
    assert_eq!((date("to") - date("from")).num_days(), 31);
    assert_eq!(answer["monitoring"]["total"], json!(0.5));
    for (query, parameter) in
        [("from=2020-01-01", "from"), ("from=2026-11-02&to=2026-11-01", "to"), ("to=tomorrow", "to")]
    {
        assert_eq!(monitor.get(&format!("/api/costs?{query}")).await.problem(), (400, parameter.to_owned()), "{query}");
    }
}
