//! An HTTP request as data, and the parts that all formats share.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Access;
use crate::redact;

/// An HTTP request as data. [`fmt::Debug`] shows no secret.
#[derive(Clone)]
pub struct HttpRequest {
    /// Its method.
    pub method: Method,
    /// Where to; user info is not part of it (it is in the headers).
    pub url: Url,
    /// Secrets among them are marked sensitive.
    pub headers: HeaderMap,
    /// JSON.
    pub body: Bytes,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &redact::url(&self.url))
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

/// A setting cannot be put into a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsendable {
    /// It holds characters that no HTTP header can.
    #[error("the API key holds characters that cannot be sent in a header")]
    ApiKey,
    /// It is of a kind that has no path (`data:`, `mailto:`).
    #[error("the base URL is not one of http or https")]
    BaseUrl,
}

/// A POST of `body` to the path of `segments` below the base URL, asking for an uncompressed answer.
pub(super) fn post(
    access: &Access,
    segments: &[&str],
    body: &impl serde::Serialize,
) -> Result<HttpRequest, Unsendable> {
    let url = join(&access.base_url, segments)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(credentials) = user_info(&access.base_url) {
        secret_header(&mut headers, header::AUTHORIZATION, "Basic ", &credentials)?;
    }
    // The bodies are plain structs of strings and numbers, which serialise without fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Ok(HttpRequest { method: Method::POST, url, headers, body: body.into() })
}

/// `base` with `segments` after its own path; its query stays, its user info and fragment go. A segment stays one, whatever is
/// in it: a model's name comes from outside and must not choose another path.
fn join(base: &Url, segments: &[&str]) -> Result<Url, Unsendable> {
    let mut url = base.clone();
    url.path_segments_mut().map_err(|()| Unsendable::BaseUrl)?.pop_if_empty().extend(segments);
    url.set_fragment(None);
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| Unsendable::BaseUrl)?;
    Ok(url)
}

/// A base URL's user info as HTTP basic authentication wants it; `None` where there is none.
pub(super) fn user_info(base: &Url) -> Option<SecretString> {
    if base.username().is_empty() && base.password().is_none() {
        return None;
    }
    let mut credentials: Vec<u8> = percent_decode_str(base.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(base.password().unwrap_or_default()));
    Some(BASE64_STANDARD.encode(&credentials).into())
}

/// Adds `name: {prefix}{key}`, marked sensitive.
pub(super) fn secret_header(
    headers: &mut HeaderMap,
    name: HeaderName,
    prefix: &str,
    key: &SecretString,
) -> Result<(), Unsendable> {
    let mut value =
        HeaderValue::from_str(&format!("{prefix}{}", key.expose_secret())).map_err(|_| Unsendable::ApiKey)?;
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn user_info_becomes_basic_authentication() {
        let url = Url::parse("https://me:p%40ss+1@llm.example").expect("a URL");
        assert_eq!(user_info(&url).expect("credentials").expose_secret(), "bWU6cEBzcysx");
        let token = Url::parse("https://key@llm.example").expect("a URL");
        let encoded = "a2V5Og==";
        assert_eq!(user_info(&token).expect("credentials").expose_secret(), encoded);
    }

    #[test]
    fn a_base_url_keeps_its_path_and_query() {
        let url = Url::parse("https://gateway.example/llm/v1/?team=a#top").expect("a URL");
        assert_eq!(
            join(&url, &["chat", "completions"]).expect("joined").as_str(),
            "https://gateway.example/llm/v1/chat/completions?team=a"
        );
    }
}
