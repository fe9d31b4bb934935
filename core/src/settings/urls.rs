use url::Url;

use super::vars::Source;

const EXPECTED: &str = "an http:// or https:// URL";

/// The URL in `name`, where it is set. A user name or password in it never shows in a problem.
pub(super) fn http_url(source: &mut Source<'_>, name: &str) -> Option<Url> {
    let text = source.get(name)?;
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        // What cannot be parsed cannot be told apart: anything that may hold a password is not shown.
        let shown = if text.contains('@') || text.contains('?') { "***" } else { text };
        source.refuse(name, Some(shown), EXPECTED);
    }
    url
}
