use serde_json::json;

use super::*;
use crate::{
    catalog::{Catalog, CatalogModel, Prices, Source, UsageStats},
    store::{Backlog, Store, StoreError},
};

fn catalog(name: &str, models: Vec<CatalogModel>) -> Catalog {
    Catalog {
        environment: name.to_owned(),
        source: Source::UsageEndpoint,
        fetched_at: Some(seconds_ago(5)),
        problems: Vec::new(),
        simulated: false,
        models,
    }
}

fn model(name: &str) -> CatalogModel {
    CatalogModel {
        name: name.to_owned(),
        provider: Some("openai".to_owned()),
        context_window: Some(128_000),
        arena_score: None,
        is_cloud: true,
        prices: None,
        usage: None,
        not_monitored: None,
    }
}

async fn keep(monitor: &Monitor, catalog: &Catalog) {
    let json = serde_json::to_vec(catalog).unwrap();
    monitor.store.save_catalog(&environment(&catalog.environment), json.into()).await.unwrap();
}

/// A monitor whose four environments had a cycle `seconds` ago.
async fn running(seconds: i64) -> Monitor {
    let monitor = Monitor::new();
    for name in ["dev", "test", "qa", "prod"] {
        monitor.add(vec![cycle_record(name, seconds)]).await;
        keep(&monitor, &catalog(name, vec![model("gpt-4o-mini")])).await;
    }
    monitor
}

async fn status(monitor: &Monitor) -> (u16, String) {
    let answer = monitor.get("/health").await;
    (answer.status, answer.json()["status"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn models_are_shown_with_prices_per_thousand_tokens_and_no_null_in_their_use() {
    let monitor = Monitor::new();
    assert_eq!(monitor.get("/api/models").await.json(), json!({}), "before the first cycle");
    let mut priced = model("gpt-4o-mini");
    priced.prices = Some(Prices {
        input_usd_per_token: "0.00000015".parse().unwrap(),
        output_usd_per_token: "0.0000006".parse().unwrap(),
    });
    priced.usage = Some(UsageStats { daily_cost_usd: Some(1.545), ..UsageStats::default() });
    let mut unreachable = model("mistral-large");
    unreachable.provider = None;
    unreachable.not_monitored = Some("no provider; set MODEL_PROVIDERS=mistral-*=openai".to_owned());
    keep(&monitor, &catalog("dev", vec![priced, unreachable])).await;

    let models = monitor.get("/api/models?environment=dev").await.json();
    let expected = json!({
        "provider": "openai", "context_window": 128_000, "pricing": {"input": 0.00015, "output": 0.0006}, "is_cloud": true,
        "arena_score": null,
        "usage_stats": {
            "daily_cost": 1.545, "daily_input_tokens": 0.0, "daily_output_tokens": 0.0, "daily_prompts": 0.0,
            "monthly_avg_cost": 0.0, "monthly_avg_input_tokens": 0.0, "monthly_avg_output_tokens": 0.0
        },
        "monitored": true, "reason": null, "simulated": false
    });
    assert_eq!(models["gpt-4o-mini"], expected);
    let unreachable = &models["mistral-large"];
    assert_eq!(unreachable["pricing"], json!({"input": null, "output": null}));
    assert_eq!((&unreachable["usage_stats"], &unreachable["monitored"]), (&Value::Null, &json!(false)));
    assert!(unreachable["reason"].as_str().unwrap().contains("MODEL_PROVIDERS"));
}

#[tokio::test]
async fn of_several_environments_the_first_that_has_a_model_is_shown() {
    let monitor = Monitor::new();
    let of = |name: &str, window: u64| CatalogModel { context_window: Some(window), ..model(name) };
    keep(&monitor, &catalog("dev", vec![of("a", 1)])).await;
    keep(&monitor, &catalog("prod", vec![of("a", 2), of("b", 2)])).await;
    for (query, expected) in [
        ("", json!({"a": 1, "b": 2})),
        ("?environment=", json!({"a": 1, "b": 2})),
        ("?environment=prod", json!({"a": 2, "b": 2})),
        ("?environment=prod,dev", json!({"a": 2, "b": 2})),
        ("?environment=qa", json!({})),
        ("?environment=nowhere", json!({})),
        ("?environment=../dev", json!({})),
    ] {
        let models = monitor.get(&format!("/api/models{query}")).await.json();
        let windows: serde_json::Map<_, _> = models
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, model)| (name.clone(), model["context_window"].clone()))
            .collect();
        assert_eq!(Value::Object(windows), expected, "{query}");
    }
}

#[tokio::test]
async fn a_kept_catalog_that_cannot_be_read_is_said() {
    let monitor = running(30).await;
    monitor.store.save_catalog(&environment("qa"), "{".into()).await.unwrap();
    assert_eq!(monitor.get("/api/models?environment=qa").await.problem().0, 503);
    assert_eq!(monitor.get("/api/models?environment=prod").await.status, 200);
    assert_eq!(status(&monitor).await, (200, "degraded".to_owned()));
}

#[tokio::test]
async fn health_is_ok_while_cycles_run() {
    let monitor = running(30).await;
    let answer = monitor.get("/health").await;
    let health = answer.json();
    assert_eq!((answer.status, &health["status"]), (200, &json!("ok")), "{health}");
    assert_eq!((&health["version"], &health["mode"]), (&json!("1.2.3"), &json!("full")));
    assert_eq!(health["store"], json!({"kind": "memory", "location": "memory", "notes": [], "problems": []}));
    let prod = &health["environments"]["prod"];
    let age = prod["last_cycle"]["age_seconds"].as_f64().unwrap();
    assert!((30.0..60.0).contains(&age), "{age}");
    assert_eq!(prod["catalog"]["source"], "usage_endpoint");
    assert_eq!((&health["skipped_rows"], &health["problems"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn health_is_stale_when_an_environment_missed_its_cycles_whatever_else_was_added() {
    let monitor = running(30).await;
    let old = Monitor::new();
    old.add(vec![cycle_record("prod", 200), record("prod", "gpt-4", seconds_ago(1))]).await;
    for name in ["dev", "test", "qa"] {
        old.add(vec![cycle_record(name, 10)]).await;
    }
    assert_eq!(status(&monitor).await, (200, "ok".to_owned()));
    assert_eq!(status(&old).await, (503, "stale".to_owned()));
    let health = old.get("/health").await.json();
    assert_eq!(
        (&health["environments"]["prod"]["status"], &health["environments"]["dev"]["status"]),
        (&json!("stale"), &json!("ok"))
    );
    assert!(health["problems"][0].as_str().unwrap().starts_with("prod: the last cycle was due 20"), "{health}");

    let mut restarted = old.clone();
    restarted.started_at = Some(seconds_ago(1));
    assert_eq!(status(&restarted).await, (200, "starting".to_owned()), "its first cycle is awaited");
    restarted.started_at = Some(seconds_ago(1000));
    assert_eq!(status(&restarted).await, (503, "stale".to_owned()));
}

#[tokio::test]
async fn health_is_starting_before_the_first_cycle_and_stale_when_it_never_comes() {
    let mut monitor = Monitor::new();
    assert_eq!(status(&monitor).await, (200, "starting".to_owned()));
    monitor.started_at = Some(seconds_ago(10));
    assert_eq!(status(&monitor).await, (200, "starting".to_owned()));
    monitor.started_at = Some(seconds_ago(1000));
    assert_eq!(status(&monitor).await, (503, "stale".to_owned()));
    let long_ago = Monitor::new();
    long_ago.add(vec![cycle_record("prod", 3 * 86_400)]).await;
    assert_eq!(long_ago.get("/health").await.json()["environments"]["prod"]["status"], "stale");
}

#[tokio::test]
async fn a_monitor_that_stopped_months_ago_is_told_by_its_catalog_and_not_by_listing_all_there_is() {
    let monitor = Monitor::new();
    monitor.add(vec![cycle_record("prod", 90 * 86_400), cycle_record("dev", 90 * 86_400)]).await;
    let then = Catalog { fetched_at: Some(seconds_ago(90 * 86_400)), ..catalog("prod", vec![model("gpt-4o-mini")]) };
    keep(&monitor, &then).await;
    let health = monitor.get("/health").await.json();
    assert_eq!(health["environments"]["prod"]["status"], "stale");
    assert_eq!(health["environments"]["prod"]["problems"], json!(["no cycle within the last 24 hours"]));
    assert_eq!(health["environments"]["dev"]["status"], "starting", "further back than is looked");
}

#[tokio::test]
async fn health_is_degraded_while_something_wants_looking_after() {
    let monitor = running(30).await;
    let mut last_good = catalog("prod", vec![model("gpt-4o-mini")]);
    last_good.source = Source::LastGood;
    last_good.problems = vec!["the usage endpoint answered 500".to_owned()];
    keep(&monitor, &last_good).await;
    let health = monitor.get("/health").await.json();
    assert_eq!(
        (&health["status"], &health["problems"]),
        (&json!("degraded"), &json!(["prod: the usage endpoint answered 500"]))
    );

    let mut monitor = running(30).await;
    let (problems, receiver) = watch::channel(vec!["12 rows wait for room on the disk".to_owned()]);
    monitor.problems = receiver;
    assert_eq!(status(&monitor).await, (200, "degraded".to_owned()));
    problems.send(Vec::new()).unwrap();
    assert_eq!(status(&monitor).await, (200, "ok".to_owned()));

    let mut none = catalog("prod", vec![model("mistral-large")]);
    none.models[0].not_monitored = Some("no key".to_owned());
    let monitor = running(3_000).await;
    for name in ["dev", "test", "qa", "prod"] {
        keep(&monitor, &Catalog { environment: name.to_owned(), ..none.clone() }).await;
    }
    assert_eq!(status(&monitor).await, (200, "degraded".to_owned()), "with nothing to monitor no cycle is missed");
}

#[tokio::test]
async fn health_is_degraded_and_not_stale_while_rows_wait_for_room() {
    let monitor = running(1_000).await;
    let backlog = Arc::new(Backlog::new(Arc::clone(&monitor.store) as Arc<dyn Store>));
    monitor.store.fail_with(Some(StoreError::Full { location: "latency_data.csv".to_owned() }));
    let records: Vec<_> = ["dev", "test", "qa", "prod"].map(|name| cycle_record(name, 20)).to_vec();
    let batch = Batch { cycle_id: records[0].cycle_id, records };
    assert!(backlog.append(&batch).await.values().all(Result::is_err));

    let health = |store: Arc<dyn Store>| {
        let routes = monitor.router_over(store);
        async move { read(routes.oneshot(Request::get("/health").body(Body::empty()).unwrap()).await.unwrap()).await }
    };
    let waiting = health(Arc::clone(&backlog) as Arc<dyn Store>).await;
    assert_eq!((waiting.status, &waiting.json()["status"]), (200, &json!("degraded")), "{}", waiting.json());
    assert!(waiting.json()["problems"].to_string().contains("no space left"), "{}", waiting.json());
    monitor.store.fail_with(None);
    backlog.flush().await.unwrap();
    let written = health(backlog).await.json();
    assert_eq!((&written["status"], &written["problems"]), (&json!("ok"), &json!([])));
}
