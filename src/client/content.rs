//! Fetching external content of a document.
//!
//! Whoever wrote the document chose the address, so nothing is asked that was not allowed by name: HTTPS only, hosts on
//! a list that is empty at first, no redirect, no proxy, and no address inside a private network, whatever its name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use super::{CONNECT_TIMEOUT, ClientError, failure};

/// How long a server may be silent: a store that fetches the recording from an archive first.
const QUIET_TIMEOUT: Duration = Duration::from_secs(60);
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// Why content was not fetched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum FetchError {
    /// Not an HTTPS address.
    #[error("{0:?} is not an https address")]
    NotHttps(String),
    /// The host, with the port where it is not 443, is not on the list.
    #[error("host {0} is not allowed")]
    HostNotAllowed(String),
    /// The address is inside a private network, or of this machine.
    #[error("{0} is not a public address")]
    NotPublic(IpAddr),
    /// A redirect, or no content.
    #[error("the server answered with status {0} instead of 200")]
    Status(u16),
    /// The content is longer than allowed.
    #[error("the content is longer than {bytes_max} bytes")]
    TooLong { bytes_max: u64 },
    /// No answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The content could not be written.
    #[error("the fetched content could not be written")]
    Sink(#[source] io::Error),
}

/// Which addresses may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Addresses that anybody can reach.
    Public,
    /// Those of private networks and of this machine too.
    Private,
}

/// Fetches content from the hosts that it is allowed to ask.
#[derive(Clone, Debug)]
pub struct ContentClient {
    client: reqwest::Client,
    hosts: Vec<String>,
    network: Network,
}

impl ContentClient {
    /// A client for `hosts`, each a name or `name:port` where the port is not 443.
    ///
    /// # Errors
    /// When the system's trust store or cryptography cannot be set up.
    pub fn new(hosts: &[String], network: Network) -> Result<Self, ClientError> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("affiant/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .https_only(true)
            // A proxy would resolve names by itself.
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(QUIET_TIMEOUT)
            .dns_resolver(Arc::new(Resolver(network)));
        let client = builder.build().map_err(ClientError::Setup)?;
        Ok(Self { client, hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), network })
    }

    /// Fetches what is at `url`, hands it to `sink` as it comes, and gives the number of its bytes.
    ///
    /// # Errors
    /// When it may not be asked for, does not come, or is longer than `bytes_max`.
    pub async fn fetch(
        &self,
        url: &str,
        bytes_max: u64,
        mut sink: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<u64, FetchError> {
        let mut response = self.client.get(self.allowed(url)?).send().await.map_err(failure)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            bytes += chunk.len() as u64;
            if bytes > bytes_max {
                return Err(FetchError::TooLong { bytes_max });
            }
            sink(&chunk).map_err(FetchError::Sink)?;
        }
        Ok(bytes)
    }

    fn allowed(&self, url: &str) -> Result<reqwest::Url, FetchError> {
        let not_https = || FetchError::NotHttps(url.chars().take(256).collect());
        let url = reqwest::Url::parse(url).ok().filter(|url| url.scheme() == "https").ok_or_else(not_https)?;
        let name = url.host_str().ok_or_else(not_https)?;
        let host = match url.port() {
            None | Some(HTTPS_PORT) => name.to_owned(),
            Some(port) => format!("{name}:{port}"),
        };
        if !self.hosts.contains(&host) {
            return Err(FetchError::HostNotAllowed(host));
        }
        // A name is resolved, and judged, by the resolver; an address is not.
        match name.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !self.network.has(address) => Err(FetchError::NotPublic(address)),
            _ => Ok(url),
        }
    }
}

/// A name that leads nowhere but into a private network.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no public address")]
struct NoPublicAddress(String);

/// Gives the addresses of a name that may be asked: a name that changes its address between two look-ups gains nothing.
struct Resolver(Network);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let network = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| network.has(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NoPublicAddress(name.as_str().to_owned()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        self == Self::Private
            || match address {
                IpAddr::V4(address) => is_public(address),
                IpAddr::V6(address) => is_public_v6(address),
            }
    }
}

/// Whether an address is globally reachable, by IANA's special-purpose registry (RFC 6890).
fn is_public(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = match first {
        0 | 10 | 127 => true,
        100 => second & 0xc0 == 64,
        169 => second == 254,
        172 => second & 0xf0 == 16,
        192 => second == 168 || (second == 0 && (third == 0 || third == 2)) || (second == 88 && third == 99),
        198 => second & 0xfe == 18 || (second == 51 && third == 100),
        203 => second == 0 && third == 113,
        _ => first >= 224,
    };
    !special
}

/// As [`is_public`]; of the global unicast range what carries an IPv4 address inside is left out too.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public(inner);
    }
    let segments = address.segments();
    let special = match segments[0] {
        // Protocol assignments (2001::/23, with Teredo) and documentation.
        0x2001 => segments[1] < 0x200 || segments[1] == 0xdb8,
        // 6to4, and documentation (RFC 9637).
        0x2002 => true,
        0x3fff => segments[1] < 0x1000,
        _ => false,
    };
    segments[0] & 0xe000 == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_not_everybody_can_reach_are_not_public() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!Network::Public.has(address.parse().unwrap()), "{address}");
            assert!(Network::Private.has(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "100.128.0.1", "172.32.0.1", "192.0.1.1", "198.20.0.1", "::ffff:1.1.1.1", "2606:4700::1"]
        {
            assert!(Network::Public.has(address.parse().unwrap()), "{address}");
        }
    }

    #[tokio::test]
    async fn nothing_is_asked_that_was_not_allowed() {
        let hosts = ["a.example".to_owned(), "B.example:8443".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let client = ContentClient::new(&hosts, Network::Public).unwrap();
        let refused = |url: &'static str| client.allowed(url).unwrap_err();
        for url in ["https://a.example/x", "https://A.EXAMPLE:443/x", "https://b.example:8443/"] {
            assert!(client.allowed(url).is_ok(), "{url}");
        }
        for url in ["http://a.example/x", "file:///etc/passwd", "a.example", "ftp://a.example"] {
            assert!(matches!(refused(url), FetchError::NotHttps(_)), "{url}");
        }
        for url in
            ["https://a.example:8443/", "https://b.example/", "https://a.example@evil.example/", "https://x.a.example"]
        {
            assert!(matches!(refused(url), FetchError::HostNotAllowed(_)), "{url}");
        }
        for url in ["https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::1]/"] {
            assert!(matches!(refused(url), FetchError::NotPublic(_)), "{url}");
        }
        assert!(matches!(refused("https://[::ffff:127.0.0.1]/"), FetchError::HostNotAllowed(_)));
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_not_resolved() {
        let client = ContentClient::new(&["localhost".to_owned()], Network::Public).unwrap();
        let error = client.fetch("https://localhost/x", 1, |_| Ok(())).await.unwrap_err();
        let mut causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        assert!(causes.any(|cause| cause.is::<NoPublicAddress>()), "{error:?}");
    }
}
