//! Whose bodies are counted together.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::dev::ConnectionInfo;

/// Whoever sends requests, as far as it can be told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// Somebody without a token, by the address; of IPv6 the first 64 bits, since whoever has one has all below it
    /// (RFC 6177).
    Stranger(IpAddr),
    /// The holder of a token, by its public name.
    Token(String),
}

impl Caller {
    /// A stranger at `address`.
    #[must_use]
    pub fn at(address: IpAddr) -> Self {
        Self::Stranger(match address.to_canonical() {
            IpAddr::V6(six) => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & !u128::from(u64::MAX))),
            four => four,
        })
    }

    /// Whether it is known by nothing but its address.
    #[must_use]
    pub fn is_stranger(&self) -> bool {
        matches!(self, Self::Stranger(_))
    }
}

/// The address that a request comes from: its peer, and where that is one of `proxies`, the last address that the proxy
/// added to `X-Forwarded-For` (RFC 7239 §8.1). What stands before it anybody could have written.
#[must_use]
pub fn client_address(connection: &ConnectionInfo, forwarded_for: Option<&str>, proxies: &[IpAddr]) -> Option<IpAddr> {
    let peer: IpAddr = connection.peer_addr()?.parse().ok()?;
    if !proxies.contains(&peer.to_canonical()) {
        return Some(peer);
    }
    let last = forwarded_for.and_then(|list| list.rsplit(',').next()).and_then(|last| last.trim().parse().ok());
    Some(last.unwrap_or(peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_an_address_of_ipv6_has_all_of_its_network() {
        let of = |text: &str| Caller::at(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::4"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn only_a_proxy_that_is_named_says_who_called() {
        let request =
            actix_web::test::TestRequest::default().peer_addr("192.0.2.1:80".parse().unwrap()).to_http_request();
        let address = |forwarded, proxies: &[IpAddr]| {
            client_address(&request.connection_info(), forwarded, proxies).unwrap().to_string()
        };
        let proxy = ["192.0.2.1".parse().unwrap()];
        assert_eq!(address(Some("198.51.100.9"), &[]), "192.0.2.1");
        assert_eq!(address(Some("203.0.113.1, 198.51.100.9"), &proxy), "198.51.100.9");
        assert_eq!(address(Some("2001:db8::1"), &proxy), "2001:db8::1");
        assert_eq!(address(Some("nobody"), &proxy), "192.0.2.1");
        assert_eq!(address(None, &proxy), "192.0.2.1");
    }
}
