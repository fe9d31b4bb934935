use axum::routing::get;

use super::*;

async fn options(monitor: &Monitor, origin: &str) -> Answer {
    let request = Request::options("/api/latency")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "authorization");
    monitor.send(request.body(Body::empty()).unwrap()).await
}

async fn with_header(monitor: &Monitor, name: &str, value: &str, uri: &str) -> Answer {
    monitor.send(Request::get(uri).header(name, value).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn without_a_token_reading_is_open_and_adding_forbidden() {
    let monitor = Monitor::new();
    assert_eq!(monitor.get("/api/latency").await.status, 200);
    let answer = monitor.post("{}").await;
    assert_eq!(answer.problem().0, 403);
    assert!(answer.json()["detail"].as_str().unwrap().contains("API_TOKEN"));
}

#[tokio::test]
async fn with_a_token_every_api_request_needs_it() {
    let monitor = Monitor::with_token("t0ken");
    for uri in ["/api/latency", "/api/models"] {
        let answer = monitor.get(uri).await;
        assert_eq!((answer.problem().0, answer.header("www-authenticate")), (401, "Bearer"), "{uri}");
        for wrong in ["Bearer t0keN", "Bearer ", "Bearer t0ken0", "Basic t0ken", "t0ken", "Bearer"] {
            let answer = with_header(&monitor, "authorization", wrong, uri).await;
            assert_eq!(answer.problem().0, 401, "{wrong}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{wrong}");
            assert!(!String::from_utf8(answer.body).unwrap().contains("t0ken"), "{wrong}");
        }
        assert_eq!(with_header(&monitor, "authorization", "bearer t0ken", uri).await.status, 200);
    }
    let unauthorized = Request::post("/api/latency").header("content-type", "application/json");
    assert_eq!(monitor.send(unauthorized.body(Body::from("{}")).unwrap()).await.status, 401);
    for open in ["/", "/health", "/openapi.json"] {
        assert_eq!(monitor.get(open).await.status, 200, "{open}");
    }
}

#[tokio::test]
async fn pages_on_this_machine_may_read_and_others_may_not() {
    let mut monitor = Monitor::with_token("t0ken");
    let preflight = options(&monitor, "http://localhost:3000").await;
    assert_eq!(preflight.status, 200, "a preflight carries no token");
    assert_eq!(preflight.header("access-control-allow-origin"), "http://localhost:3000");
    assert!(preflight.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(preflight.header("access-control-allow-credentials"), "");

    let refused = with_header(&monitor, "origin", "http://localhost:3000", "/api/latency").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, "http://localhost:3000"));
    assert!(refused.header("vary").contains("origin"));
    assert!(refused.header("access-control-expose-headers").contains("link"));

    for origin in ["https://evil.example", "http://localhost.evil.example", "null"] {
        assert_eq!(options(&monitor, origin).await.header("access-control-allow-origin"), "", "{origin}");
    }
    monitor.cors = CorsPolicy::Origins(vec!["https://status.example.org".to_owned()]);
    for (origin, allowed) in [
        ("https://status.example.org", "https://status.example.org"),
        ("https://status.example.org:8443", ""),
        ("http://status.example.org", ""),
        ("http://localhost:3000", ""),
    ] {
        assert_eq!(options(&monitor, origin).await.header("access-control-allow-origin"), allowed, "{origin}");
    }
    monitor.cors = CorsPolicy::Nobody;
    assert_eq!(options(&monitor, "http://localhost:3000").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn what_is_not_there_is_said_as_a_problem() {
    let monitor = Monitor::new();
    // The last two were found by fuzzing: their bytes are no text.
    for path in
        ["/api", "/api/nothing", "/nothing", "/api/latency/", "/badge/nowhere/a", "/badge/prod/%00e%ff", "/assets/%ff"]
    {
        assert_eq!(monitor.get(path).await.problem().0, 404, "{path}");
    }
    let delete = |path: &str| Request::delete(path).body(Body::empty()).unwrap();
    let answer = monitor.send(delete("/api/latency")).await;
    assert_eq!((answer.problem().0, answer.header("allow")), (405, "GET,HEAD,POST"));
    let answer = monitor.send(delete("/health")).await;
    assert_eq!((answer.problem().0, answer.header("allow")), (405, "GET,HEAD"));
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let monitor = Monitor::new();
    for (path, status) in
        [("/api/latency", 200), ("/health", 200), ("/", 200), ("/nothing", 404), ("/api/latency?limit=0", 400)]
    {
        let answer = monitor.send(Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_an_id_and_safe_headers() {
    let monitor = Monitor::new();
    for path in ["/", "/api/latency", "/nothing"] {
        let answer = monitor.get(path).await;
        assert_eq!(answer.header("x-request-id").len(), 16, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"), "{path}");
    }
    assert_eq!(with_header(&monitor, "x-request-id", "trace-7", "/nothing").await.header("x-request-id"), "trace-7");
    let rude = with_header(&monitor, "x-request-id", "<script>", "/nothing").await;
    assert_ne!(rude.header("x-request-id"), "<script>");
}

#[tokio::test]
async fn a_panic_or_an_endless_answer_costs_one_request_only() {
    async fn fails() -> String {
        panic!("boom: a secret")
    }
    async fn never() {
        std::future::pending::<()>().await;
    }
    let routes = Router::new()
        .route("/fails", get(fails))
        .route("/never", get(never))
        .layer(from_fn_with_state(Duration::from_millis(1), guard::guard));
    for (path, status) in [("/fails", 500), ("/never", 503), ("/fails", 500)] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = read(routes.clone().oneshot(request).await.unwrap()).await;
        assert_eq!(answer.problem().0, status, "{path}");
        assert_eq!(answer.header("retry-after"), if status == 503 { "5" } else { "" }, "{path}");
        assert!(!String::from_utf8(answer.body).unwrap().contains("secret"));
    }
}

#[tokio::test]
async fn health_tells_a_stranger_the_state_and_no_places() {
    let monitor = Monitor::with_token("t0ken");
    let stranger = monitor.get("/health").await;
    assert_eq!((stranger.status, stranger.json()["store"]["location"].as_str()), (200, Some("")));
    let known = with_header(&monitor, "authorization", "Bearer t0ken", "/health").await.json();
    assert_eq!(known["store"]["location"], "memory");
    assert_eq!(known["status"], stranger.json()["status"]);
}

#[tokio::test]
async fn the_start_is_json_for_programs_and_a_page_for_browsers() {
    let monitor = Monitor::new();
    assert!(monitor.get("/").await.json()["message"].as_str().is_some_and(|message| message.contains("LLM Monitor")));
    let page = with_header(&monitor, "accept", "text/html,application/xhtml+xml;q=0.9", "/").await;
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("<title>LLM Monitor") && page.contains("=\"assets/"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing from elsewhere");
}

#[tokio::test]
async fn options_tell_the_methods_of_a_path() {
    let monitor = Monitor::with_token("t0ken");
    let options = async |path: &str| monitor.send(Request::options(path).body(Body::empty()).unwrap()).await;
    for (path, allow) in
        [("/api/latency", "GET,HEAD,POST"), ("/health", "GET,HEAD"), ("/assets/index.html", "GET,HEAD")]
    {
        let answer = options(path).await;
        assert_eq!((answer.status, answer.header("allow"), answer.body.len()), (204, allow, 0), "{path}");
    }
    assert_eq!(options("/nothing").await.problem().0, 404);
}

#[tokio::test]
async fn what_is_larger_than_any_honest_request_is_refused() {
    let monitor = Monitor::new();
    let long = format!("/api/latency?model={}", "x".repeat(8 * 1024));
    assert_eq!(monitor.get(&long).await.problem().0, 414);
    let answer = with_header(&monitor, "x-large", &"x".repeat(32 * 1024), "/health").await;
    assert_eq!(answer.problem().0, 431);
    assert_eq!(with_header(&monitor, "x-large", &"x".repeat(31 * 1024), "/").await.status, 200);
}
