//! Name constraints (RFC 5280 §4.2.1.10): which names a certificate authority lets the certificates below it bear.
//!
//! A constraint that is not well formed permits nothing and excludes everything, and so does a name that is not well
//! formed once its form is constrained: the doubt is never the subject's benefit.

use der::Encode as _;
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, NameConstraints};
use x509_cert::ext::pkix::name::GeneralName;

use super::budget::Budget;
use super::certificate::Certificate;
use super::name::Name;

/// Why a certificate's names are not allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum NameConstraintError {
    /// A name of a constrained form is in no permitted subtree.
    #[error("{name} is in no permitted subtree")]
    NotPermitted { name: String },
    /// A name is in an excluded subtree.
    #[error("{name} is in an excluded subtree")]
    Excluded { name: String },
    /// A subtree is not well formed, or has a minimum or maximum distance.
    #[error("a subtree of the constraints is not well formed")]
    MalformedSubtree,
    /// A name of a constrained form is not well formed, or of a form that is not understood.
    #[error("{name} cannot be compared with the constraints")]
    MalformedName { name: String },
    /// The names and subtrees are too many.
    #[error("more comparisons of names with subtrees than {}", Budget::COMPARISONS)]
    TooMany,
}

/// Checks the names of `certificate` against the constraints of a certificate above it, spending from `budget`.
///
/// # Errors
/// When a name is not permitted, is excluded, or cannot be told.
pub(super) fn check_names(
    certificate: &Certificate,
    constraints: &NameConstraints,
    budget: &mut Budget,
) -> Result<(), NameConstraintError> {
    let empty = Vec::new();
    let permitted = constraints.permitted_subtrees.as_ref().unwrap_or(&empty);
    let excluded = constraints.excluded_subtrees.as_ref().unwrap_or(&empty);
    let mut spend = |cost: usize| budget.spend_comparisons(cost).map_err(|_| NameConstraintError::TooMany);
    let alternative = certificate.extensions().subject_alternative_name.as_ref().map_or(0, |names| names.value.len());
    spend(permitted.len() + excluded.len() + alternative)?;
    let permitted = permitted.iter().map(NameSubtree::new).collect::<Result<Vec<_>, _>>()?;
    let excluded = excluded.iter().map(NameSubtree::new).collect::<Result<Vec<_>, _>>()?;
    for name in names(certificate)? {
        spend(permitted.len() + excluded.len())?;
        let (mut constrained, mut is_permitted) = (false, false);
        for subtree in permitted.iter().filter(|subtree| subtree.form() == name.form()) {
            constrained = true;
            is_permitted |= name.is_within(subtree).ok_or_else(|| name.malformed())?;
        }
        if constrained && !is_permitted {
            return Err(NameConstraintError::NotPermitted { name: name.to_string() });
        }
        for subtree in excluded.iter().filter(|subtree| subtree.form() == name.form()) {
            if name.is_within(subtree).ok_or_else(|| name.malformed())? || name.may_become(subtree) {
                return Err(NameConstraintError::Excluded { name: name.to_string() });
            }
        }
    }
    Ok(())
}

/// The form of a name: what decides whether a constraint speaks of it at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameForm {
    Directory,
    Dns,
    Email,
    Uri,
    Ip,
    /// A form that cannot be compared, by its tag.
    Other(u8),
}

#[derive(Debug)]
enum NameSubtree {
    Directory(Name),
    Dns(String),
    Mailbox { local: String, host: String },
    MailHost(String),
    MailDomain(String),
    UriHost(String),
    UriDomain(String),
    Ip { address: Vec<u8>, mask: Vec<u8> },
    Other(u8),
}

impl NameSubtree {
    fn new(raw: &GeneralSubtree) -> Result<Self, NameConstraintError> {
        // RFC 5280 §4.2.1.10: minimum is 0 and maximum absent in this profile.
        if raw.minimum != 0 || raw.maximum.is_some() {
            return Err(NameConstraintError::MalformedSubtree);
        }
        Self::of(&raw.base).ok_or(NameConstraintError::MalformedSubtree)
    }

    fn of(base: &GeneralName) -> Option<Self> {
        Some(match base {
            GeneralName::DirectoryName(name) => Self::Directory(Name::new(name).ok()?),
            GeneralName::DnsName(name) => {
                let name = name.as_str().to_ascii_lowercase();
                (name.is_empty() || is_host(&name)).then_some(())?;
                Self::Dns(name)
            }
            GeneralName::Rfc822Name(name) => match name.as_str().rsplit_once('@') {
                Some((local, host)) => {
                    (is_local(local) && is_mail_host(host)).then_some(())?;
                    Self::Mailbox { local: local.to_owned(), host: host.to_ascii_lowercase() }
                }
                None => match host_or_domain(name.as_str(), is_mail_host)? {
                    (domain, true) => Self::MailDomain(domain),
                    (host, false) => Self::MailHost(host),
                },
            },
            GeneralName::UniformResourceIdentifier(name) => match host_or_domain(name.as_str(), is_host)? {
                (domain, true) => Self::UriDomain(domain),
                (host, false) => Self::UriHost(host),
            },
            GeneralName::IpAddress(bytes) => {
                let bytes = bytes.as_bytes();
                matches!(bytes.len(), 8 | 32).then_some(())?;
                let (address, mask) = bytes.split_at(bytes.len() / 2);
                is_prefix(mask).then_some(())?;
                Self::Ip { address: address.to_vec(), mask: mask.to_vec() }
            }
            other => Self::Other(tag(other)),
        })
    }

    fn form(&self) -> NameForm {
        match self {
            Self::Directory(_) => NameForm::Directory,
            Self::Dns(_) => NameForm::Dns,
            Self::Mailbox { .. } | Self::MailHost(_) | Self::MailDomain(_) => NameForm::Email,
            Self::UriHost(_) | Self::UriDomain(_) => NameForm::Uri,
            Self::Ip { .. } => NameForm::Ip,
            Self::Other(tag) => NameForm::Other(*tag),
        }
    }
}

#[derive(Debug)]
enum Subject {
    Directory(Name),
    Dns(String),
    Email(String),
    Uri(String),
    Ip(Vec<u8>),
    Other(u8),
}

impl Subject {
    fn form(&self) -> NameForm {
        match self {
            Self::Directory(_) => NameForm::Directory,
            Self::Dns(_) => NameForm::Dns,
            Self::Email(_) => NameForm::Email,
            Self::Uri(_) => NameForm::Uri,
            Self::Ip(_) => NameForm::Ip,
            Self::Other(tag) => NameForm::Other(*tag),
        }
    }

    fn malformed(&self) -> NameConstraintError {
        NameConstraintError::MalformedName { name: self.to_string() }
    }

    /// Whether the name lies in a subtree of its own form; nothing when that cannot be told.
    fn is_within(&self, subtree: &NameSubtree) -> Option<bool> {
        Some(match (self, subtree) {
            (Self::Directory(name), NameSubtree::Directory(base)) => name.is_within(base)?,
            (Self::Dns(name), NameSubtree::Dns(base)) => {
                is_host(name.strip_prefix("*.").unwrap_or(name)).then_some(())?;
                is_in_zone(name, base)
            }
            (
                Self::Email(name),
                NameSubtree::Mailbox { .. } | NameSubtree::MailHost(_) | NameSubtree::MailDomain(_),
            ) => {
                let (local, host) = name.rsplit_once('@')?;
                (is_local(local) && is_mail_host(host)).then_some(())?;
                let host = host.to_ascii_lowercase();
                match subtree {
                    NameSubtree::Mailbox { local: base_local, host: base_host } => {
                        local == base_local && host == *base_host
                    }
                    NameSubtree::MailHost(base) => host == *base,
                    NameSubtree::MailDomain(base) => is_below(&host, base),
                    _ => return None,
                }
            }
            (Self::Uri(name), NameSubtree::UriHost(_) | NameSubtree::UriDomain(_)) => {
                let host = uri_host(name)?;
                match subtree {
                    NameSubtree::UriHost(base) => host == *base,
                    NameSubtree::UriDomain(base) => is_below(&host, base),
                    _ => return None,
                }
            }
            (Self::Ip(name), NameSubtree::Ip { address, mask }) => {
                matches!(name.len(), 4 | 16).then_some(())?;
                name.len() == address.len()
                    && name.iter().zip(address).zip(mask).all(|((name, base), mask)| name & mask == base & mask)
            }
            _ => return None,
        })
    }

    /// Whether a wildcard stands for a name in the subtree: `*.example.com` for one in `a.example.com`.
    fn may_become(&self, subtree: &NameSubtree) -> bool {
        let (Self::Dns(name), NameSubtree::Dns(base)) = (self, subtree) else { return false };
        let (Some(parent), Some((_, base_parent))) = (name.strip_prefix("*."), base.split_once('.')) else {
            return false;
        };
        parent == base_parent
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(name) => name.fmt(formatter),
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => {
                name.chars().filter(|character| !character.is_control()).try_for_each(|c| write!(formatter, "{c}"))
            }
            Self::Ip(bytes) => write!(formatter, "address {bytes:?}"),
            Self::Other(tag) => write!(formatter, "a name of form {}", tag & 0x1f),
        }
    }
}

/// Every name that a certificate gives its subject.
fn names(certificate: &Certificate) -> Result<Vec<Subject>, NameConstraintError> {
    let mut names = Vec::new();
    if !certificate.subject().is_empty() {
        names.push(Subject::Directory(certificate.subject().clone()));
    }
    if let Some(alternative) = &certificate.extensions().subject_alternative_name {
        for name in &alternative.value {
            names.push(match name {
                GeneralName::DirectoryName(name) => Subject::Directory(
                    Name::new(name)
                        .map_err(|_| NameConstraintError::MalformedName { name: "a directory name".to_owned() })?,
                ),
                GeneralName::DnsName(name) => Subject::Dns(name.as_str().to_ascii_lowercase()),
                GeneralName::Rfc822Name(name) => Subject::Email(name.as_str().to_owned()),
                GeneralName::UniformResourceIdentifier(name) => Subject::Uri(name.as_str().to_owned()),
                GeneralName::IpAddress(bytes) => Subject::Ip(bytes.as_bytes().to_vec()),
                other => Subject::Other(tag(other)),
            });
        }
    }
    if !names.iter().any(|name| name.form() == NameForm::Email) {
        names.extend(certificate.subject_email_addresses().iter().cloned().map(Subject::Email));
    }
    Ok(names)
}

fn tag(name: &GeneralName) -> u8 {
    name.to_der().ok().and_then(|der| der.first().copied()).unwrap_or_default()
}

fn is_prefix(mask: &[u8]) -> bool {
    let ones: u32 = mask.iter().map(|byte| byte.leading_ones()).sum();
    let total: u32 = mask.iter().map(|byte| byte.count_ones()).sum();
    let first_gap = mask.iter().position(|byte| *byte != 0xff).unwrap_or(mask.len());
    ones == total && mask.iter().skip(first_gap + 1).all(|byte| *byte == 0)
}

/// Host names as RFC 1034 §3.5 has them, with the underscore that is in use.
fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

/// The host of a mailbox. An asterisk stands for itself there (RFC 5280 has no wildcards in mail addresses).
fn is_mail_host(name: &str) -> bool {
    is_host(&name.replace('*', "x"))
}

fn is_local(local: &str) -> bool {
    !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@')
}

/// Reads `host` or `.domain`; the flag says which.
fn host_or_domain(text: &str, is_host: fn(&str) -> bool) -> Option<(String, bool)> {
    let (name, domain) = text.strip_prefix('.').map_or((text, false), |name| (name, true));
    is_host(name).then(|| (name.to_ascii_lowercase(), domain))
}

/// Whether `name` is `zone` or below it. The empty zone holds every name.
fn is_in_zone(name: &str, zone: &str) -> bool {
    zone.is_empty() || name == zone || is_below(name, zone)
}

fn is_below(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|prefix| prefix.len() > 1 && prefix.ends_with('.'))
}

/// The host of a URI with an authority; an address is none, as RFC 5280 §4.2.1.10 asks.
fn uri_host(uri: &str) -> Option<String> {
    let (_scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _port)| host).to_ascii_lowercase();
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
    (is_host(&host) && !is_address).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use der::asn1::{Ia5String, OctetString};

    fn ia5(text: &str) -> Ia5String {
        Ia5String::new(text).unwrap()
    }

    fn check(cases: &[(GeneralName, Subject, Option<bool>)]) {
        for (base, name, expected) in cases {
            let subtree = NameSubtree::of(base).unwrap();
            assert_eq!(name.is_within(&subtree), *expected, "{name} in {subtree:?}");
        }
    }

    #[test]
    fn dns_names_match_their_zone_and_nothing_beside_it() {
        let zone = || GeneralName::DnsName(ia5("Example.com"));
        let name = |text: &str| Subject::Dns(text.to_owned());
        check(&[
            (zone(), name("example.com"), Some(true)),
            (zone(), name("a.b.example.com"), Some(true)),
            (zone(), name("*.example.com"), Some(true)),
            (zone(), name("notexample.com"), Some(false)),
            (zone(), name("example.com.evil"), Some(false)),
            (zone(), name("a b.example.com"), None),
            (GeneralName::DnsName(ia5("")), name("anything"), Some(true)),
        ]);
        assert!(NameSubtree::of(&GeneralName::DnsName(ia5(".example.com"))).is_none());
        assert!(NameSubtree::of(&GeneralName::DnsName(ia5("*.example.com"))).is_none());
        let below = NameSubtree::Dns("a.example.com".into());
        assert!(name("*.example.com").may_become(&below));
        assert!(!name("*.example.org").may_become(&below));
    }

    #[test]
    fn mailboxes_match_by_mailbox_host_or_domain() {
        let base = |text: &str| GeneralName::Rfc822Name(ia5(text));
        let name = |text: &str| Subject::Email(text.to_owned());
        check(&[
            (base("a@example.com"), name("a@EXAMPLE.com"), Some(true)),
            (base("a@example.com"), name("A@example.com"), Some(false)),
            (base("example.com"), name("a@example.com"), Some(true)),
            (base("example.com"), name("a@mail.example.com"), Some(false)),
            (base(".example.com"), name("a@mail.example.com"), Some(true)),
            (base(".example.com"), name("a@example.com"), Some(false)),
            (base("example.com"), name("example.com"), None),
        ]);
    }

    #[test]
    fn uris_match_by_host_and_addresses_by_prefix() {
        let base = |text: &str| GeneralName::UniformResourceIdentifier(ia5(text));
        let name = |text: &str| Subject::Uri(text.to_owned());
        let network = || GeneralName::IpAddress(OctetString::new(&[192, 0, 2, 0, 255, 255, 255, 0][..]).unwrap());
        check(&[
            (base("example.com"), name("https://user@example.com:8443/x"), Some(true)),
            (base(".example.com"), name("https://a.example.com/x"), Some(true)),
            (base(".example.com"), name("https://example.com/x"), Some(false)),
            (base("example.com"), name("https://192.0.2.1/"), None),
            (base("example.com"), name("urn:example.com"), None),
            (network(), Subject::Ip(vec![192, 0, 2, 77]), Some(true)),
            (network(), Subject::Ip(vec![192, 0, 3, 77]), Some(false)),
            (network(), Subject::Ip(vec![0; 16]), Some(false)),
            (network(), Subject::Ip(vec![192, 0, 2]), None),
        ]);
        let gap = GeneralName::IpAddress(OctetString::new(&[192, 0, 2, 0, 255, 0, 255, 0][..]).unwrap());
        assert!(NameSubtree::of(&gap).is_none());
    }
}
