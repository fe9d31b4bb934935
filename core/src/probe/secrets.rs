//! Keeps secrets out of records: a server may send back what it was sent.

use secrecy::ExposeSecret;

use crate::provider::{Access, user_info};

/// Shorter values are not secrets, and would be found in ordinary words.
const MIN_SECRET_CHARS: usize = 6;

/// A secret cut off by a message's limit is still one from this length on.
const MIN_REMAINDER_CHARS: usize = 4;

/// Replaces every secret of `access` in `text`.
pub(super) fn redact(text: &str, access: &Access) -> String {
    let mut clean = text.to_owned();
    for secret in secrets(access) {
        if secret.len() < MIN_SECRET_CHARS {
            continue;
        }
        clean = clean.replace(&secret, "[redacted]");
        let remainder = (MIN_REMAINDER_CHARS..secret.len())
            .rev()
            .filter_map(|len| secret.get(..len))
            .find_map(|start| clean.strip_suffix(start).map(str::len));
        if let Some(len) = remainder {
            clean.truncate(len);
            clean.push('…');
        }
    }
    clean
}

/// The key, and of the base URL the query's values, as they stand there and decoded, the user name (some services take a token for
/// one) and the password, also in the form in which they are sent.
fn secrets(access: &Access) -> Vec<String> {
    let url = &access.base_url;
    let mut secrets: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
    secrets.extend(url.query().into_iter().flat_map(|query| query.split(['&', '=']).map(str::to_owned)));
    secrets.push(url.username().to_owned());
    secrets.extend(url.password().map(str::to_owned));
    secrets.extend(user_info(url).map(|sent| sent.expose_secret().to_owned()));
    secrets.extend(access.api_key.as_ref().map(|key| key.expose_secret().to_owned()));
    secrets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    #[test]
    fn what_a_server_echoes_is_struck_out() {
        let access = Access {
            base_url: "https://me:hunter22@llm.example/v1?token=t0ken-value".parse().expect("a URL"),
            api_key: Some("sk-abcdef0123456789".to_owned().into()),
            api_version: None,
        };
        assert_eq!(redact("bad key sk-abcdef0123456789!", &access), "bad key [redacted]!");
        assert_eq!(redact("bad key sk-abcde", &access), "bad key …");
        assert_eq!(
            redact("no route /v1?token=t0ken-value for hunter22", &access),
            "no route /v1?token=[redacted] for [redacted]"
        );
        assert_eq!(redact("by Basic bWU6aHVudGVyMjI=", &access), "by Basic [redacted]");
        assert_eq!(redact("a plain message", &access), "a plain message");
    }
}
