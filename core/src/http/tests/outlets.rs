use serde_json::json;

use super::*;
use crate::{
    record::{ErrorKind, Failure, Outcome, csv},
    store::StoreError,
};

const WINDOW: &str = "from=2026-11-24T10:00:00Z&to=2026-11-24T11:00:00Z";

fn failed(model: &str, timestamp: DateTime<Utc>, kind: ErrorKind, message: &str) -> Record {
    let mut record = Record::new(model, environment("prod"), timestamp);
    record.outcome = Outcome::Error(Failure::new(kind, message));
    record
}

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

/// Of one family, by labels.
fn samples(text: &str, name: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(sample, _)| sample.split('{').next() == Some(name))
        .map(|(sample, value)| (sample.to_owned(), value.parse().unwrap()))
        .collect()
}

#[tokio::test]
async fn metrics_count_every_probe_of_today_once_in_base_units() {
    let monitor = Monitor::new();
    let mut slow = record("prod", "we\"ird\\", seconds_ago(1));
    slow.latency_ms = Some(90_000.0);
    slow.cost = Some("0.25".parse().unwrap());
    let mut derived = record("qa", "a", seconds_ago(1));
    derived.simulated = true;
    monitor.add(vec![slow, derived, failed("a", seconds_ago(2), ErrorKind::RateLimited, "")]).await;
    let answer = monitor.get("/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(answer.body).unwrap();
    let labels = r#"environment="prod",model="we\"ird\\",provider="""#;
    for (sample, value) in [
        (format!("llm_monitor_probes_total{{{labels},status=\"success\"}}"), 1.0),
        (r#"llm_monitor_probes_total{environment="prod",model="a",provider="",status="error"}"#.to_owned(), 1.0),
        (
            r#"llm_monitor_probe_failures_total{environment="prod",model="a",provider="",error_kind="rate_limited"}"#
                .to_owned(),
            1.0,
        ),
        (format!("llm_monitor_probe_duration_seconds_bucket{{{labels},le=\"81.92\"}}"), 0.0),
        (format!("llm_monitor_probe_duration_seconds_bucket{{{labels},le=\"+Inf\"}}"), 1.0),
        (format!("llm_monitor_probe_duration_seconds_sum{{{labels}}}"), 90.0),
        (format!("llm_monitor_probe_cost_usd_total{{{labels}}}"), 0.25),
        (format!("llm_monitor_tokens_total{{{labels},type=\"output\"}}"), 128.0),
        (r#"llm_monitor_simulated_records_total{environment="qa"}"#.to_owned(), 1.0),
        (r#"llm_monitor_info{version="1.2.3"}"#.to_owned(), 1.0),
    ] {
        assert!(text.lines().any(|line| line == format!("{sample} {value}")), "{sample} {value}\n{text}");
    }
    let bounds: Vec<_> = samples(&text, "llm_monitor_time_to_first_token_seconds_bucket")
        .iter()
        .filter_map(|(sample, _)| sample.split("le=\"").nth(1)?.split('"').next().map(str::to_owned))
        .take(15)
        .collect();
    assert_eq!(
        bounds,
        [
            "0.01", "0.02", "0.04", "0.08", "0.16", "0.32", "0.64", "1.28", "2.56", "5.12", "10.24", "20.48", "40.96",
            "81.92", "+Inf"
        ]
    );
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let family = line.split(['{', ' ']).next().unwrap();
        let base =
            ["_bucket", "_sum", "_count"].iter().fold(family, |name, end| name.strip_suffix(end).unwrap_or(name));
        assert!(text.contains(&format!("# TYPE {base} ")), "{line}");
    }
}

#[tokio::test]
async fn counters_never_fall_and_labels_are_bounded() {
    let mut monitor = Monitor::new();
    monitor.started_at = Some(Utc::now() - chrono::TimeDelta::days(2));
    let router = monitor.router();
    let total = async |router: &Router| {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let text = String::from_utf8(read(router.clone().oneshot(request).await.unwrap()).await.body).unwrap();
        let samples = samples(&text, "llm_monitor_probes_total");
        (samples.iter().map(|(_, value)| *value as u64).sum::<u64>(), samples.len())
    };
    let hours_ago = |n: i64| seconds_ago(n * 3_600 + 60);
    monitor.add((0..20).map(|n| record("prod", &format!("m{n}"), hours_ago(n))).collect()).await;
    assert_eq!(total(&router).await.0, 20, "from the day of the start on");
    monitor.add(vec![record("prod", "late", hours_ago(0))]).await;
    assert_eq!(total(&router).await.0, 21, "rows of a cycle come when it has ended");
    monitor.add((0..300).map(|n| record("prod", &format!("n{n}"), seconds_ago(1))).collect()).await;
    let (count, labels) = total(&router).await;
    assert_eq!((count, labels), (321, 2 * 101), "100 models and the others together");
    monitor.add((0..5).map(|n| record("prod", &format!("m{n}"), seconds_ago(1))).collect()).await;
    assert_eq!(total(&router).await, (326, 2 * 101));
    assert_eq!(total(&monitor.router()).await.0, 326, "a process that starts anew counts the same");
}

#[tokio::test]
async fn a_badge_tells_a_models_state_and_never_stale_green() {
    let monitor = Monitor::new();
    let shields = async |model: &str| monitor.get(&format!("/badge/prod/{model}?format=shields")).await.json();
    assert_eq!(
        (&shields("a").await["message"], &shields("a").await["color"]),
        (&json!("unknown"), &json!("lightgrey"))
    );
    monitor.add(vec![record("prod", "a", seconds_ago(1_800)), record("prod", "a", seconds_ago(1))]).await;
    assert_eq!(
        shields("a").await,
        json!({"schemaVersion": 1, "label": "a · prod", "message": "up · p50 812 ms", "color": "brightgreen", "cacheSeconds": 60})
    );
    monitor.add(vec![record("prod", "old", seconds_ago(1_800))]).await;
    assert_eq!(shields("old").await["message"], json!("unknown"), "half an hour ago is not now");
    monitor.add(vec![failed("a", seconds_ago(0), ErrorKind::Overloaded, "")]).await;
    assert_eq!(
        (&shields("a").await["message"], &shields("a").await["color"]),
        (&json!("failing · overloaded"), &json!("red"))
    );
    monitor.add(vec![record("prod", "a", seconds_ago(-1))]).await;
    assert_eq!(
        (&shields("a").await["message"], &shields("a").await["color"]),
        (&json!("unsteady · 75 %"), &json!("orange"))
    );
    let mut derived = record("prod", "org/<b>:8b", seconds_ago(1));
    derived.simulated = true;
    monitor.add(vec![derived]).await;
    let badge = monitor.get("/badge/prod/org/%3Cb%3E:8b.svg").await;
    assert_eq!(
        (badge.header("content-type"), badge.header("cache-control")),
        ("image/svg+xml; charset=utf-8", "public, max-age=60")
    );
    let of_somebody = Request::get("/badge/prod/a").header("authorization", "Bearer a.gateways.jwt");
    let of_somebody = monitor.send(of_somebody.body(Body::empty()).unwrap()).await;
    assert_eq!(of_somebody.header("cache-control"), "private, max-age=60", "a gateway's token was needed");
    let svg = String::from_utf8(badge.body).unwrap();
    assert!(
        svg.contains("org/&lt;b&gt;:8b · prod: simulated") && !svg.contains("<b>") && !svg.contains("style"),
        "{svg}"
    );
    assert_eq!(monitor.get("/badge/prod/a.json").await.json()["label"], json!("a · prod"));
    assert_eq!(monitor.get("/badge/nowhere/a").await.problem().0, 404);
    assert_eq!(monitor.get("/badge/prod/a?format=png").await.problem(), (400, "format".to_owned()));
}

#[tokio::test]
async fn with_a_token_metrics_and_badges_need_it_too() {
    let monitor = Monitor::with_token("t0ken");
    for uri in [
        "/metrics",
        "/badge/prod/a",
        "/api/summary",
        "/api/series",
        "/api/compare?a=prod&b=dev",
        "/api/costs",
        "/api/export",
    ] {
        assert_eq!(monitor.get(uri).await.problem().0, 401, "{uri}");
        let request = Request::get(uri).header("authorization", "Bearer t0ken").body(Body::empty()).unwrap();
        assert_eq!(monitor.send(request).await.status, 200, "{uri}");
    }
    for open in ["/docs", "/redoc", "/assets/docs/docs.js"] {
        assert_eq!(monitor.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn the_documentation_pages_bring_all_they_need() {
    let monitor = Monitor::new();
    for page in ["/docs", "/redoc"] {
        let answer = monitor.get(page).await;
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.contains("script-src 'self';") && policy.contains("connect-src 'self';"), "{policy}");
        let html = String::from_utf8(answer.body).unwrap();
        assert!(!html.contains("//"), "nothing from elsewhere: {html}");
        let addresses = html.split(['"']).filter(|word| word.starts_with("assets/"));
        for address in addresses {
            let packed =
                Request::get(format!("/{address}")).header("accept-encoding", "gzip").body(Body::empty()).unwrap();
            let packed = monitor.send(packed).await;
            let plain = monitor.get(&format!("/{address}")).await;
            assert_eq!((plain.status, plain.header("content-encoding"), packed.status), (200, "", 200), "{address}");
            if address.contains("vendor") {
                assert_eq!(packed.header("content-encoding"), "gzip", "{address}");
                assert!(plain.header("cache-control").contains("immutable"), "{address}");
                assert!(plain.body.len() > 2 * packed.body.len() && plain.body.len() > 100_000, "{address}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_is_503_everywhere() {
    #[derive(Debug)]
    struct Broken(MemoryStore);

    #[async_trait::async_trait]
    impl Store for Broken {
        async fn append(&self, batch: &Batch) -> crate::store::AppendReport {
            self.0.append(batch).await
        }
        async fn segments(&self, _: &crate::store::Scope) -> Result<Vec<crate::store::Segment>, StoreError> {
            Err(StoreError::Unavailable { location: "bucket".to_owned(), problem: "gone".to_owned() })
        }
        async fn read(&self, segment: &crate::store::Segment) -> Result<bytes::Bytes, StoreError> {
            self.0.read(segment).await
        }
        async fn append_usage(
            &self,
            e: &Environment,
            d: chrono::NaiveDate,
            h: &str,
            r: bytes::Bytes,
        ) -> Result<(), StoreError> {
            self.0.append_usage(e, d, h, r).await
        }
        async fn read_usage(&self, e: &Environment, d: chrono::NaiveDate) -> Result<Option<bytes::Bytes>, StoreError> {
            self.0.read_usage(e, d).await
        }
        async fn save_catalog(&self, e: &Environment, json: bytes::Bytes) -> Result<(), StoreError> {
            self.0.save_catalog(e, json).await
        }
        async fn load_catalog(&self, e: &Environment) -> Result<Option<bytes::Bytes>, StoreError> {
            self.0.load_catalog(e).await
        }
        async fn health(&self) -> crate::store::StoreHealth {
            self.0.health().await
        }
    }

    let store: Arc<dyn Store> = Arc::new(Broken(MemoryStore::new()));
    let history = Arc::new(History::new(Arc::clone(&store), DEFAULT_CACHE_BYTES));
    let monitor = Monitor::new();
    for uri in [
        "/api/summary",
        "/api/series",
        "/api/compare?a=prod&b=dev",
        "/api/costs",
        "/api/export",
        "/metrics",
        "/badge/prod/a",
    ] {
        let api = Api { history: Arc::clone(&history), ..monitor.api_over(Arc::clone(&store)) };
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let answer = read(router(api).oneshot(request).await.unwrap()).await;
        assert_eq!(answer.problem().0, 503, "{uri}");
        assert_eq!(answer.header("retry-after"), "5", "{uri}");
    }
}
