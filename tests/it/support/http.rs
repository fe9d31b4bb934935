use std::sync::LazyLock;

use reqwest::{Client, Response};
use serde_json::Value;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    // Its result only tells whether another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().build().expect("an HTTP client")
});

/// One client for all tests.
pub(crate) fn client() -> &'static Client {
    &CLIENT
}

/// The answer to a GET.
pub(crate) async fn get(url: &str) -> Response {
    client().get(url).send().await.unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

/// The JSON body of a GET that must answer 200.
pub(crate) async fn get_json(url: &str) -> Value {
    let response = get(url).await;
    let status = response.status();
    let text = response.text().await.expect("a body");
    assert_eq!(status, 200, "GET {url}: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("GET {url}: {error} in {text}"))
}
