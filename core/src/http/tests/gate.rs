//! What stands before the routes: names, origins, room.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use futures_util::FutureExt;
use tokio::sync::Notify;

use super::{
    faulty::{Fault, Faulty},
    *,
};
use crate::http::admission::{Admission, admit};

/// The API behind a gate that answers to a name of its own.
fn gated(monitor: &Monitor) -> Router {
    let hosts = HostPolicy::Names(vec!["monitor.example.com".to_owned()]);
    router_behind(monitor.api_over(Arc::clone(&monitor.store) as Arc<dyn Store>), Gate { hosts, limits: None })
}

async fn asked(routes: &Router, request: Request<Body>) -> Answer {
    read(routes.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_page_that_was_rebound_to_this_machine_reads_nothing() {
    let routes = gated(&Monitor::new());
    for path in ["/", "/api/latency", "/health", "/metrics", "/assets/app.js", "/nothing"] {
        for (host, refused) in [
            ("rebound.example", true),
            ("rebound.example:8000", true),
            ("localhost.rebound.example", true),
            ("127.0.0.1.rebound.example:8000", true),
            ("localhost:8000", false),
            ("127.0.0.1:8000", false),
            ("[::1]:8000", false),
            ("monitor.example.com", false),
        ] {
            let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
            let answer = asked(&routes, request).await;
            assert_eq!(answer.status == 421, refused, "{path} of {host}: {}", answer.status);
            if refused {
                assert!(
                    answer.problem().0 == 421 && answer.json()["detail"].as_str().unwrap().contains("ALLOWED_HOSTS=")
                );
            }
        }
    }
    // Each place that can name a host, and a second one beside an honest one.
    let whole = Request::get("http://rebound.example/health").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(asked(&routes, whole).await.status, 421);
    let twice = Request::get("/health").header("host", "localhost").header("host", "rebound.example");
    assert_eq!(asked(&routes, twice.body(Body::empty()).unwrap()).await.status, 421);
    let unreadable = Request::get("/health").header("host", "a b").body(Body::empty()).unwrap();
    assert_eq!(asked(&routes, unreadable).await.problem().0, 400);
}

#[tokio::test]
async fn no_page_of_another_origin_writes_even_with_the_token() {
    let body = || {
        let now = Utc::now().to_rfc3339();
        format!(r#"{{"model_name":"a","timestamp":"{now}","latency_ms":1,"input_tokens":1,"output_tokens":1}}"#)
    };
    let mut monitor = Monitor::with_token("t0ken");
    monitor.cors = CorsPolicy::Origins(vec!["https://dash.example".to_owned()]);
    for (origin, site, status) in [
        (None, None, 201),
        (Some("https://monitor.example"), None, 201),
        (Some("https://dash.example"), Some("cross-site"), 201),
        // A proxy changed the host; the browser knows better.
        (Some("https://public.example"), Some("same-origin"), 201),
        (Some("https://evil.example"), None, 403),
        (Some("https://evil.example"), Some("cross-site"), 403),
        (Some("https://dash.example.evil"), Some("cross-site"), 403),
        (Some("https://sibling.monitor.example"), Some("same-site"), 403),
        (Some("null"), Some("cross-site"), 403),
    ] {
        let mut request = Request::post("/api/latency")
            .header("host", "monitor.example")
            .header("authorization", "Bearer t0ken")
            .header("content-type", "application/json");
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let answer = monitor.send(request.body(Body::from(body())).unwrap()).await;
        assert_eq!(answer.status, status, "{origin:?} {site:?}: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// Routes whose one answer waits until it is let go, behind `limits`; and how many are being made.
fn busy_routes(limits: Limits, go: Arc<Notify>, running: Arc<AtomicUsize>) -> Router {
    let wait = async move || {
        running.fetch_add(1, Ordering::SeqCst);
        go.notified().await;
        running.fetch_sub(1, Ordering::SeqCst);
        "made"
    };
    let routes = Router::new().route("/api/latency", get(wait));
    routes.route_layer(from_fn_with_state(Arc::new(Admission::new(limits)), admit))
}

#[tokio::test]
async fn beyond_a_short_queue_requests_are_refused_at_once() {
    let (go, running) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let limits = Limits { at_once: 2, waiting: 3, exports: 1 };
    let routes = busy_routes(limits, Arc::clone(&go), Arc::clone(&running));
    let ask = || Request::get("/api/latency").body(Body::empty()).unwrap();
    let mut taken = Vec::new();
    for _ in 0..5 {
        let routes = routes.clone();
        taken.push(tokio::spawn(async move { asked(&routes, ask()).await }));
        tokio::task::yield_now().await;
    }
    assert_eq!(running.load(Ordering::SeqCst), 2, "two at once, three wait");
    for _ in 0..251 {
        let refused = asked(&routes, ask()).now_or_never().expect("is not let wait");
        assert_eq!((refused.status, refused.header("retry-after")), (503, "1"));
    }
    for answer in taken {
        while !answer.is_finished() {
            assert!(running.load(Ordering::SeqCst) <= 2);
            go.notify_one();
            tokio::task::yield_now().await;
        }
        assert_eq!(answer.await.unwrap().status, 200, "whoever waited is answered");
    }
    go.notify_one();
    assert_eq!(asked(&routes, ask()).await.status, 200, "and then there is room again");
}

#[tokio::test]
async fn a_flood_of_the_api_leaves_room_for_health_and_one_of_health_is_shed_too() {
    let monitor = Monitor::new();
    let limits = Limits { at_once: 2, waiting: 3, exports: 1 };
    for (flooded, path, other) in [("/api/latency", "/api/summary", "/health"), ("/health", "/health", "/api/latency")]
    {
        let store = Faulty::new(&monitor.store, Fault::Hangs);
        let routes = router_behind(store.api(&monitor), Gate { hosts: HostPolicy::Any, limits: Some(limits) });
        let ask = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        let mut taken = Vec::new();
        for _ in 0..5 {
            let (routes, request) = (routes.clone(), ask(flooded));
            taken.push(tokio::spawn(async move { asked(&routes, request).await }));
            tokio::task::yield_now().await;
        }
        assert_eq!(store.lists.load(Ordering::SeqCst), 2, "{flooded}: two at once, three wait");
        for _ in 0..251 {
            let refused = asked(&routes, ask(path)).now_or_never().expect("is not let wait");
            assert_eq!((refused.problem().0, refused.header("retry-after")), (503, "1"), "{path}");
        }
        // Those that hang go on to.
        store.set(Fault::None);
        assert_eq!(asked(&routes, ask(other)).await.status, 200, "{other} has room of its own");
        for answer in taken {
            answer.abort();
        }
    }
}

#[tokio::test]
async fn an_export_keeps_its_place_until_it_is_read_or_given_up() {
    let monitor = Monitor::new();
    monitor.add(one_a_second(3)).await;
    let gate = Gate { hosts: HostPolicy::Any, limits: Some(Limits { at_once: 4, waiting: 4, exports: 1 }) };
    let routes = router_behind(monitor.api_over(Arc::clone(&monitor.store) as Arc<dyn Store>), gate);
    let ask = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let unread = routes.clone().oneshot(ask("/api/export")).await.unwrap();
    assert_eq!(unread.status(), 200);
    let refused = asked(&routes, ask("/api/export")).await;
    assert_eq!((refused.problem().0, refused.header("retry-after")), (503, "1"));
    assert_eq!(asked(&routes, ask("/api/latency")).await.status, 200, "others have room");
    drop(unread);
    let whole = asked(&routes, ask("/api/export")).await;
    assert_eq!((whole.status, String::from_utf8_lossy(&whole.body).lines().count()), (200, 4));
    assert_eq!(asked(&routes, ask("/api/export")).await.status, 200);
}
