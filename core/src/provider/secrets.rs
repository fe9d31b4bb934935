//! Keeps secrets out of records: a server may send back what it was sent.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::request::user_info;

/// Shorter values are not secrets, and would be found in ordinary words.
const MIN_SECRET_CHARS: usize = 6;

/// A secret cut off by a message's limit is still one from this length on.
const MIN_REMAINDER_CHARS: usize = 4;

/// A user name or a query's value that may be an ordinary word (a team, a region) is none in a name from this length on.
const MIN_UNCERTAIN_CHARS: usize = 12;

/// What a server was sent that nobody else may see.
pub(crate) struct Secrets {
    /// The key and the password, also in the form in which they are sent.
    certain: Vec<String>,
    /// The query's values, as they stand there and decoded, and the user name: some services take a token for one.
    uncertain: Vec<String>,
}

impl Secrets {
    /// Those of a request to `url` with `key`.
    pub(crate) fn of(url: &Url, key: Option<&SecretString>) -> Self {
        let mut certain: Vec<String> = url.password().map(str::to_owned).into_iter().collect();
        certain.extend(user_info(url).map(|sent| sent.expose_secret().to_owned()));
        certain.extend(key.map(|key| key.expose_secret().to_owned()));
        let mut uncertain: Vec<String> = url.query_pairs().map(|(_, value)| value.into_owned()).collect();
        uncertain.extend(url.query().into_iter().flat_map(|query| query.split(['&', '=']).map(str::to_owned)));
        uncertain.push(url.username().to_owned());
        certain.retain(|secret| secret.len() >= MIN_SECRET_CHARS);
        uncertain.retain(|secret| secret.len() >= MIN_SECRET_CHARS);
        Self { certain, uncertain }
    }

    /// Whether `name` shows one.
    pub(crate) fn show_in(&self, name: &str) -> bool {
        let long = self.uncertain.iter().filter(|secret| secret.len() >= MIN_UNCERTAIN_CHARS);
        self.certain.iter().chain(long).any(|secret| name.contains(secret))
    }

    /// `text` without any of them.
    pub(crate) fn strike_out(&self, text: &str) -> String {
        self.uncertain.iter().chain(&self.certain).fold(text.to_owned(), |text, secret| without(&text, secret))
    }
}

fn without(text: &str, secret: &str) -> String {
    let mut clean = text.replace(secret, "[redacted]");
    let remainder = (MIN_REMAINDER_CHARS..secret.len())
        .rev()
        .filter_map(|len| secret.get(..len))
        .find_map(|start| clean.strip_suffix(start).map(str::len));
    if let Some(len) = remainder {
        clean.truncate(len);
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    fn secrets(url: &str, key: &str) -> Secrets {
        Secrets::of(&url.parse().expect("a URL"), Some(&key.to_owned().into()))
    }

    #[test]
    fn what_a_server_echoes_is_struck_out() {
        let secrets = secrets("https://me:hunter22@llm.example/v1?token=t0ken-value", "sk-abcdef0123456789");
        for (said, kept) in [
            ("bad key sk-abcdef0123456789!", "bad key [redacted]!"),
            ("bad key sk-abcde", "bad key …"),
            ("no route /v1?token=t0ken-value for hunter22", "no route /v1?token=[redacted] for [redacted]"),
            ("by Basic bWU6aHVudGVyMjI=", "by Basic [redacted]"),
            ("a plain message", "a plain message"),
        ] {
            assert_eq!(secrets.strike_out(said), kept);
        }
    }

    #[test]
    fn a_name_that_shows_one_is_told_from_one_with_an_ordinary_word() {
        let secrets = secrets("https://monitor:hunter22@host/?team=openai&code=4f1c0b7d9e2a", "sk-abcdef0123456789");
        for name in ["sk-abcdef0123456789", "gpt-hunter22", "m-4f1c0b7d9e2a", "bW9uaXRvcjpodW50ZXIyMg=="] {
            assert!(secrets.show_in(name), "{name}");
        }
        for name in ["openai/gpt-4o", "monitor", "sk-abc"] {
            assert!(!secrets.show_in(name), "{name}");
        }
    }
}
