//! Which names this server answers to. A page whose own name was made to point at this machine (DNS rebinding) is of the same
//! origin for its browser, so no rule of origins holds it off; but its requests name the page's host.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::error::{ApiError, shortened};

/// The names in a request's `Host` that are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPolicy {
    /// Every name: something in front of us has checked it, or anyone may read.
    Any,
    /// These, `localhost`, names below it, and every address: none of the latter can be pointed at us by a stranger.
    Names(Vec<String>),
}

impl HostPolicy {
    fn admits(&self, host: &str) -> bool {
        let Self::Names(names) = self else { return true };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let is_address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        is_address || host == "localhost" || host.ends_with(".localhost") || names.contains(&host)
    }
}

/// 421 for a request to another name. One that names no host is let through: browsers always name one.
pub(super) async fn refuse_strangers(State(policy): State<Arc<HostPolicy>>, request: Request, next: Next) -> Response {
    if *policy == HostPolicy::Any {
        return next.run(request).await;
    }
    match named(request.headers(), request.uri()) {
        Ok(hosts) => match hosts.iter().find(|host| !policy.admits(host)) {
            None => next.run(request).await,
            Some(stranger) => {
                let stranger = shortened(stranger);
                let detail = format!(
                    "this server does not go by the name {stranger}; if it should, set ALLOWED_HOSTS={stranger}"
                );
                ApiError::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
            }
        },
        Err(Unreadable) => ApiError::new(StatusCode::BAD_REQUEST, "the request's Host cannot be read").into_response(),
    }
}

struct Unreadable;

/// The hosts that a request names, without their ports: in the header, and in an address that was given whole.
fn named(headers: &HeaderMap, uri: &Uri) -> Result<Vec<String>, Unreadable> {
    let mut hosts: Vec<String> = uri.host().map(str::to_owned).into_iter().collect();
    for value in headers.get_all(header::HOST) {
        let authority = Authority::try_from(value.as_bytes()).map_err(|_| Unreadable)?;
        hosts.push(authority.host().to_owned());
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::HostPolicy;

    #[test]
    fn addresses_and_names_of_this_machine_are_admitted_and_what_looks_like_them_is_not() {
        let policy = HostPolicy::Names(vec!["monitor.example.com".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "127.0.0.1",
            "192.0.2.7",
            "[::1]",
            "Monitor.Example.com",
        ] {
            assert!(policy.admits(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "monitor.example.com.evil.example",
            "",
        ] {
            assert!(!policy.admits(host), "{host}");
            assert!(HostPolicy::Any.admits(host), "{host}");
        }
    }
}
