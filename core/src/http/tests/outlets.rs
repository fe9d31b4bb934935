use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use serde_json::json;

use super::{
    faulty::{Fault, Faulty},
    *,
};
use crate::record::ErrorKind;

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
async fn a_scrape_that_is_broken_off_loses_nothing_that_was_settled() {
    let mut monitor = Monitor::new();
    monitor.started_at = Some(Utc::now() - chrono::TimeDelta::days(2));
    let store = Faulty::new(&monitor.store, Fault::None);
    let routes = router(store.api(&monitor));
    let scrape = || routes.clone().oneshot(Request::get("/metrics").body(Body::empty()).unwrap());
    let total = async || {
        let text = String::from_utf8(read(scrape().await.unwrap()).await.body).unwrap();
        samples(&text, "llm_monitor_probes_total").iter().map(|(_, value)| *value as u64).sum::<u64>()
    };
    monitor.add(vec![record("prod", "a", seconds_ago(7_200))]).await;
    assert_eq!(total().await, 1);
    monitor.add(vec![record("prod", "a", seconds_ago(7_100))]).await;
    assert_eq!(total().await, 1, "what is an hour old was counted once and for all");
    store.set(Fault::Hangs);
    let lists_before = store.lists.load(Ordering::SeqCst);
    assert!(scrape().now_or_never().is_none(), "it waits for the store, and its client leaves");
    assert_eq!(store.lists.load(Ordering::SeqCst), lists_before + 1);
    store.set(Fault::None);
    assert_eq!(total().await, 1, "counters go on from where they were");
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
    let monitor = Monitor::new();
    let broken = Faulty::new(&monitor.store, Fault::Unavailable);
    for uri in [
        "/api/summary",
        "/api/series",
        "/api/compare?a=prod&b=dev",
        "/api/costs",
        "/api/export",
        "/metrics",
        "/badge/prod/a",
    ] {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let answer = read(router(broken.api(&monitor)).oneshot(request).await.unwrap()).await;
        assert_eq!(answer.problem().0, 503, "{uri}");
        assert_eq!(answer.header("retry-after"), "5", "{uri}");
    }
}
