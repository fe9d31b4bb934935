use axum::http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};

use super::*;

async fn get_with(monitor: &Monitor, uri: &str, name: header::HeaderName, value: &str) -> Answer {
    monitor.send(Request::get(uri).header(name, value).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_dashboard_and_its_files_are_served_with_a_policy_that_allows_nothing_from_elsewhere() {
    let monitor = Monitor::new();
    for (uri, accept) in [("/", "text/html"), ("/assets/index.html", "*/*")] {
        let page = get_with(&monitor, uri, header::ACCEPT, accept).await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"), "{uri}");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(page.header("cache-control"), "no-cache", "a new version is seen at once");
    }
    for nothing in ["/assets/nothing.js", "/assets/../Cargo.toml", "/assets/"] {
        assert_eq!(monitor.get(nothing).await.problem().0, 404, "{nothing}");
    }
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let monitor = Monitor::new();
    monitor.add(one_a_second(3)).await;
    for uri in ["/api/latency", "/api/models", "/openapi.json", "/assets/index.html", "/"] {
        let first = monitor.get(uri).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with("W/\""), "{uri}: {tag}");
        for known in [tag.as_str(), "*", &format!("\"other\", {tag}"), tag.trim_start_matches("W/")] {
            let again = get_with(&monitor, uri, IF_NONE_MATCH, known).await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{uri} {known}");
            assert_eq!(again.header("etag"), tag, "{uri}");
            assert_eq!(again.header("vary").contains("accept"), first.header("vary").contains("accept"), "{uri}");
        }
        assert_eq!(get_with(&monitor, uri, IF_NONE_MATCH, "\"other\"").await.status, 200, "{uri}");
        let head = monitor.send(Request::head(uri).body(Body::empty()).unwrap()).await;
        assert_eq!((head.header("etag"), head.body.len()), (tag.as_str(), 0), "{uri}");
    }
    let tag = monitor.get("/api/latency").await.header("etag").to_owned();
    monitor.add(vec![record("prod", "gpt-4o-mini", seconds_ago(0))]).await;
    assert_eq!(get_with(&monitor, "/api/latency", IF_NONE_MATCH, &tag).await.status, 200, "there is a new record");
    assert_eq!(monitor.get("/health").await.header("etag"), "", "never from a cache");
}

#[tokio::test]
async fn large_answers_are_packed_as_the_client_takes_them() {
    let monitor = Monitor::new();
    monitor.add(one_a_second(50)).await;
    let plain = monitor.get("/api/latency").await;
    assert_eq!((plain.header("content-encoding"), plain.header("content-length").is_empty()), ("", false));
    let br = |without| if cfg!(feature = "brotli") { "br" } else { without };
    for (accepted, encoding) in
        [("gzip", "gzip"), ("br", br("")), ("gzip, br;q=1", br("gzip")), ("br;q=0, gzip", "gzip"), ("zstd", "")]
    {
        let packed = get_with(&monitor, "/api/latency", ACCEPT_ENCODING, accepted).await;
        assert_eq!(packed.header("content-encoding"), encoding, "{accepted}");
        let varies = packed.headers.get_all("vary").iter().any(|value| value == "accept-encoding");
        assert!(varies, "{accepted}: {:?}", packed.headers);
        assert_eq!(packed.header("etag"), plain.header("etag"), "{accepted}");
        if encoding == "gzip" {
            assert_eq!(unpacked(&packed.body), plain.body);
            assert!(packed.body.len() * 5 < plain.body.len(), "{} of {}", packed.body.len(), plain.body.len());
        }
    }
    let tiny = get_with(&monitor, "/api/latency?limit=1&status=error", ACCEPT_ENCODING, "gzip, br").await;
    assert_eq!((tiny.header("content-encoding"), tiny.body.as_slice()), ("", b"[]".as_slice()));
    // Of any length: brotli takes memory as for a large one.
    let whole = monitor.get("/api/export").await;
    for (accepted, encoding) in [("gzip, br", "gzip"), ("br", br("")), ("zstd", "")] {
        let export = get_with(&monitor, "/api/export", ACCEPT_ENCODING, accepted).await;
        assert_eq!(export.header("content-encoding"), encoding, "{accepted}");
        if encoding == "gzip" {
            assert_eq!(unpacked(&export.body), whole.body);
        }
    }
    for address in ["/api/export?format=xml", "/api/export?from=yesterday"] {
        let refused = get_with(&monitor, address, ACCEPT_ENCODING, "gzip, br").await;
        assert_eq!((refused.problem().0, refused.header("content-encoding")), (400, ""), "{address}");
    }
    let refused = get_with(&monitor, "/api/latency?limit=0", ACCEPT_ENCODING, "gzip").await;
    assert_eq!(refused.problem().0, 400, "an error is readable as it stands");
}

fn unpacked(body: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(body), &mut unpacked).unwrap();
    unpacked
}
