use secrecy::SecretString;
use url::Url;

use super::{
    Host,
    vars::{Source, items},
};

/// Who may ask, and where the local runner listens.
#[derive(Debug, Clone)]
pub struct Serving {
    /// `LISTEN`, default `127.0.0.1:8000`: a host (name or address) and a port.
    pub listen: String,
    /// `ALLOWED_HOSTS`; not set: the local runner decides by where it listens.
    pub allowed_hosts: Option<AllowedHosts>,
    /// `API_TOKEN`: set, every `/api` request needs it.
    pub api_token: Option<SecretString>,
    /// `CORS_ALLOWED_ORIGINS`.
    pub cors: Cors,
}

/// The names by which requests may call the local runner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Every name.
    Any,
    /// These, in lower case; addresses and `localhost` always.
    Names(Vec<String>),
}

/// Which pages of other origins a browser lets read the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cors {
    /// Those on this host (`http://localhost:*` and its addresses): the local runner's default.
    Loopback,
    /// These, exactly; none where the list is empty (Lambda's default).
    Origins(Vec<String>),
}

pub(super) fn read(source: &mut Source<'_>, host: Host) -> Serving {
    let default_cors = match host {
        Host::Local => Cors::Loopback,
        Host::Lambda => Cors::Origins(Vec::new()),
    };
    let expected = "origins like https://dash.example.com, comma-separated, without a path, or none";
    Serving {
        listen: source.parse("LISTEN", "127.0.0.1:8000".to_owned(), "HOST:PORT, like 127.0.0.1:8000", |text| {
            let (host, port) = text.rsplit_once(':')?;
            let _: u16 = port.parse().ok()?;
            (!host.is_empty()).then(|| text.to_owned())
        }),
        allowed_hosts: source.parse(
            "ALLOWED_HOSTS",
            None,
            "host names like monitor.example.com, comma-separated, without a port, or any",
            |text| {
                if text.eq_ignore_ascii_case("any") {
                    return Some(Some(AllowedHosts::Any));
                }
                items(text).map(host_name).collect::<Option<Vec<_>>>().map(|names| Some(AllowedHosts::Names(names)))
            },
        ),
        api_token: source.secret("API_TOKEN"),
        cors: source.parse("CORS_ALLOWED_ORIGINS", default_cors, expected, |text| {
            if text.eq_ignore_ascii_case("none") {
                return Some(Cors::Origins(Vec::new()));
            }
            items(text).map(origin).collect::<Option<Vec<_>>>().map(Cors::Origins)
        }),
    }
}

fn host_name(text: &str) -> Option<String> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    (!text.is_empty() && text.bytes().all(is_name)).then(|| text.trim_end_matches('.').to_ascii_lowercase())
}

fn origin(text: &str) -> Option<String> {
    let origin = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?.origin();
    (origin.ascii_serialization() == text.to_ascii_lowercase().trim_end_matches('/'))
        .then(|| origin.ascii_serialization())
}
