//! Addresses that no usage endpoint is asked at: those at which a cloud tells a machine its own secrets, and link-local ones, where
//! these lie. An endpoint is asked by its configured name, but whoever holds that name says where it points.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Alibaba Cloud's and Azure's, which are not link-local.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];

/// Link-local (AWS, Google, Azure: 169.254.169.254; ECS 169.254.170.2; fe80::/10), or a cloud's metadata (AWS by IPv6:
/// fd00:ec2::/32).
pub(super) fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || METADATA_V4.contains(&address),
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            address.is_unicast_link_local()
                || (first, second) == (0xfd00, 0x0ec2)
                || inner(address).is_some_and(|inner| is_forbidden(inner.into()))
        }
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped (`::ffff:0:0/96`), compatible (`::/96`) or by NAT64 (`64:ff9b::/96`).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// Whether `url` names such an address itself.
pub(super) fn names_forbidden(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_forbidden(address.into()),
        Some(Host::Ipv6(address)) => is_forbidden(address.into()),
        Some(Host::Domain(_)) | None => false,
    }
}

/// The system's resolver, without such addresses.
#[derive(Debug)]
pub(super) struct SafeResolver;

impl Resolve for SafeResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            permitted(found)
        })
    }
}

fn permitted(found: impl Iterator<Item = SocketAddr>) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    let permitted: Vec<SocketAddr> = found.filter(|address| !is_forbidden(address.ip())).collect();
    if permitted.is_empty() {
        return Err("its name points to link-local or metadata addresses only, where no usage endpoint is asked".into());
    }
    Ok(Box::new(permitted.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_link_local_addresses_are_forbidden_in_every_spelling() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://169.254.170.2/v2/credentials",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://0251.0376.0251.0376/",
            "http://169.254.43518/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://[fd00:ec2::23]/",
            "http://[fe80::1]/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
        ] {
            assert!(names_forbidden(&url.parse().expect("a URL")), "{url}");
        }
        for url in ["http://127.0.0.1/", "http://10.0.0.1/", "http://[::1]/", "http://[fd00::1]/", "http://usage/"] {
            assert!(!names_forbidden(&url.parse().expect("a URL")), "{url}");
        }
    }

    #[test]
    fn a_name_that_points_there_is_asked_at_its_other_addresses_or_not_at_all() {
        let at = |address: &str| SocketAddr::new(address.parse().expect("an address"), 0);
        let both = permitted([at("169.254.169.254"), at("192.0.2.1")].into_iter()).expect("one is left");
        assert_eq!(both.collect::<Vec<_>>(), [at("192.0.2.1")]);
        assert!(permitted([at("169.254.169.254"), at("fd00:ec2::254")].into_iter()).is_err());
    }
}
