//! What may be shown of things that can hold secrets.

use url::Url;

/// `url` without user name, password, query and fragment: what is fit for a log, an error or a page.
pub fn url(url: &Url) -> String {
    let mut shown = url.clone();
    // Both can only fail for URLs that have no host, and so no credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn credentials_and_query_are_left_out() {
        let url = "https://user:secret@host:8443/path?key=secret#x".parse().expect("a URL");
        assert_eq!(super::url(&url), "https://host:8443/path");
    }
}
