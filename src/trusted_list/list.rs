//! The list: its scheme, its services, and the lists that it points to (TS 119 612 §5).

use std::sync::Arc;

use chrono::{DateTime, Utc};
use roxmltree::{Document, Node, ParsingOptions};

use super::signature::{SIGNERS_MAX, XmlSignatureError, check_signature};
use super::xml::{LIST, at, base64, child, children, name, text};
use crate::clock::parse_time;
use crate::pki::Certificate;

/// Bytes of a list: the largest of Europe has six million.
pub const LIST_BYTES_MAX: usize = 32 << 20;
/// Elements, attributes and texts of one: the largest has some hundred thousand.
const NODES_MAX: u32 = 4_000_000;
/// Versions of the format that are read: those of TS 119 612 2.1.1 to 2.3.1.
const VERSIONS: [&str; 2] = ["5", "6"];

/// Why a file is not a trusted list that can be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum TrustedListError {
    /// It is too large.
    #[error("a trusted list of {bytes} bytes is larger than {LIST_BYTES_MAX}")]
    TooLarge { bytes: usize },
    /// It is not XML, or has a document type, which a list has not.
    #[error("the list is not XML: {0}")]
    Xml(String),
    /// It is another document.
    #[error("the root element is {0:?}, and not TrustServiceStatusList")]
    NotAList(String),
    /// A version of the format that is not read.
    #[error("version {0:?} of the format is neither 5 nor 6")]
    Version(String),
    /// A member that every list has is not there, or not of its form.
    #[error("the list has no {0} that can be read")]
    Missing(&'static str),
    /// Its signature does not count.
    #[error(transparent)]
    Signature(#[from] XmlSignatureError),
    /// It is signed by nobody that the list of lists names for its territory.
    #[error("the list of lists names no list of {territory:?}")]
    UnknownTerritory { territory: String },
}

/// A list whose signature was checked.
#[derive(Clone, Debug)]
pub struct TrustedList {
    /// The territory of its scheme: `DE`, `EU`.
    pub territory: String,
    /// Who runs the scheme.
    pub operator: String,
    /// Its number.
    pub sequence_number: u64,
    /// When it was issued.
    pub issued_at: DateTime<Utc>,
    /// When the next one comes; `None` for one that was closed.
    pub next_update: Option<DateTime<Utc>>,
    /// Whose key signed it.
    pub signed_by: Arc<Certificate>,
    /// Its services.
    pub services: Vec<ListedService>,
    pointers: Vec<Pointer>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct ListedService {
    /// Who provides it.
    pub provider: String,
    /// Its name.
    pub name: String,
    /// Its certificates, as far as they can be read.
    pub certificates: Vec<Arc<Certificate>>,
    /// Certificates that cannot be read.
    pub unread: usize,
    /// What it was and is, newest first.
    pub statuses: Vec<ServiceStatus>,
}

/// What a service was from a time on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct ServiceStatus {
    pub since: DateTime<Utc>,
    /// URI of the type (§5.5.1).
    pub kind: String,
    /// URI of the status (§5.5.4).
    pub status: String,
    /// URIs of what is said beside the type (§5.5.9.4).
    pub additional: Vec<String>,
}

/// Another list, and who may sign it.
#[derive(Clone, Debug)]
struct Pointer {
    territory: String,
    signers: Vec<Arc<Certificate>>,
}

impl TrustedList {
    /// Reads a list that one of `signers` signed.
    ///
    /// # Errors
    /// When it is none, has members that cannot be read, or is signed by somebody else.
    pub fn open(bytes: &[u8], signers: &[Arc<Certificate>]) -> Result<Self, TrustedListError> {
        let text = source(bytes)?;
        let document = parse(text)?;
        Self::read(&document, check_signature(&document, signers)?)
    }

    /// Reads a list that somebody signed whom this list of lists names for its territory.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when the territory is not among those of this list.
    pub fn open_pointed_to(&self, bytes: &[u8]) -> Result<Self, TrustedListError> {
        let text = source(bytes)?;
        let document = parse(text)?;
        let territory = territory(document.root_element())?;
        let pointers = self.pointers.iter().filter(|pointer| pointer.territory.eq_ignore_ascii_case(&territory));
        let signers: Vec<_> = pointers.flat_map(|pointer| pointer.signers.iter().cloned()).collect();
        if signers.is_empty() {
            return Err(TrustedListError::UnknownTerritory { territory });
        }
        Self::read(&document, check_signature(&document, &signers)?)
    }

    /// The territories of the lists that this one points to.
    pub fn territories(&self) -> impl Iterator<Item = &str> {
        self.pointers.iter().map(|pointer| pointer.territory.as_str())
    }

    fn read(document: &Document<'_>, signed_by: Arc<Certificate>) -> Result<Self, TrustedListError> {
        let root = document.root_element();
        let scheme = child(root, LIST, "SchemeInformation").ok_or(TrustedListError::Missing("SchemeInformation"))?;
        let member = |name| child(scheme, LIST, name).ok_or(TrustedListError::Missing(name));
        let version = text(member("TSLVersionIdentifier")?);
        if !VERSIONS.contains(&version.as_ref()) {
            return Err(TrustedListError::Version(version.into_owned()));
        }
        let number = text(member("TSLSequenceNumber")?).parse();
        let next_update = at(scheme, &["NextUpdate", "dateTime"]).map(|node| time(node, "NextUpdate")).transpose()?;
        let providers = child(root, LIST, "TrustServiceProviderList");
        let providers = providers.into_iter().flat_map(|list| children(list, LIST, "TrustServiceProvider"));
        let pointers = child(scheme, LIST, "PointersToOtherTSL");
        let pointers = pointers.into_iter().flat_map(|list| children(list, LIST, "OtherTSLPointer"));
        Ok(Self {
            territory: territory(root)?,
            operator: name(member("SchemeOperatorName")?).unwrap_or_default(),
            sequence_number: number.map_err(|_| TrustedListError::Missing("TSLSequenceNumber"))?,
            issued_at: time(member("ListIssueDateTime")?, "ListIssueDateTime")?,
            next_update,
            signed_by,
            services: providers.map(services).collect::<Result<Vec<_>, _>>()?.concat(),
            pointers: pointers.filter_map(pointer).collect(),
        })
    }
}

/// The text of a list, without the mark of its byte order.
fn source(bytes: &[u8]) -> Result<&str, TrustedListError> {
    if bytes.len() > LIST_BYTES_MAX {
        return Err(TrustedListError::TooLarge { bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TrustedListError::Xml("it is not in UTF-8".into()))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn parse(text: &str) -> Result<Document<'_>, TrustedListError> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options);
    let document = document.map_err(|error| TrustedListError::Xml(error.to_string()))?;
    let root = document.root_element().tag_name();
    if (root.namespace(), root.name()) != (Some(LIST), "TrustServiceStatusList") {
        return Err(TrustedListError::NotAList(root.name().to_owned()));
    }
    Ok(document)
}

fn territory(root: Node<'_, '_>) -> Result<String, TrustedListError> {
    let territory = at(root, &["SchemeInformation", "SchemeTerritory"]).map(|node| text(node).into_owned());
    territory.ok_or(TrustedListError::Missing("SchemeTerritory"))
}

fn time(node: Node<'_, '_>, name: &'static str) -> Result<DateTime<Utc>, TrustedListError> {
    parse_time(&text(node)).map_err(|_| TrustedListError::Missing(name))
}

/// The services of a provider.
fn services(provider: Node<'_, '_>) -> Result<Vec<ListedService>, TrustedListError> {
    let provider_name = at(provider, &["TSPInformation", "TSPName"]).and_then(name).unwrap_or_default();
    let services = child(provider, LIST, "TSPServices");
    let services = services.into_iter().flat_map(|list| children(list, LIST, "TSPService"));
    services.map(|service| read_service(service, &provider_name)).collect()
}

fn read_service(service: Node<'_, '_>, provider: &str) -> Result<ListedService, TrustedListError> {
    let now = child(service, LIST, "ServiceInformation").ok_or(TrustedListError::Missing("ServiceInformation"))?;
    let history = child(service, LIST, "ServiceHistory");
    let history = history.into_iter().flat_map(|list| children(list, LIST, "ServiceHistoryInstance"));
    let mut statuses = std::iter::once(now).chain(history).map(status).collect::<Result<Vec<_>, _>>()?;
    statuses.sort_by_key(|status| std::cmp::Reverse(status.since));
    let (certificates, unread) = identities(now);
    let name = child(now, LIST, "ServiceName").and_then(name).unwrap_or_default();
    Ok(ListedService { provider: provider.to_owned(), name, certificates, unread, statuses })
}

fn status(instance: Node<'_, '_>) -> Result<ServiceStatus, TrustedListError> {
    let member = |name| child(instance, LIST, name).ok_or(TrustedListError::Missing(name));
    let extensions = child(instance, LIST, "ServiceInformationExtensions");
    let extensions = extensions.into_iter().flat_map(|list| children(list, LIST, "Extension"));
    let additional = extensions.filter_map(|one| at(one, &["AdditionalServiceInformation", "URI"]));
    Ok(ServiceStatus {
        since: time(member("StatusStartingTime")?, "StatusStartingTime")?,
        kind: text(member("ServiceTypeIdentifier")?).into_owned(),
        status: text(member("ServiceStatus")?).into_owned(),
        additional: additional.map(|uri| text(uri).into_owned()).collect(),
    })
}

/// The certificates of a digital identity, and how many cannot be read.
fn identities(service: Node<'_, '_>) -> (Vec<Arc<Certificate>>, usize) {
    let ids = child(service, LIST, "ServiceDigitalIdentity");
    let ids = ids.into_iter().flat_map(|list| children(list, LIST, "DigitalId"));
    let found = ids.filter_map(|id| child(id, LIST, "X509Certificate"));
    let (mut certificates, mut unread) = (Vec::<Arc<Certificate>>::new(), 0);
    for certificate in found {
        match base64(certificate).and_then(|der| Certificate::from_der(&der).ok()) {
            Some(read) if certificates.iter().any(|known| known.thumbprint() == read.thumbprint()) => {}
            Some(read) => certificates.push(Arc::new(read)),
            None => unread += 1,
        }
    }
    (certificates, unread)
}

fn pointer(pointer: Node<'_, '_>) -> Option<Pointer> {
    let information = child(pointer, LIST, "AdditionalInformation")?;
    let mut information = children(information, LIST, "OtherInformation");
    let territory = information.find_map(|one| child(one, LIST, "SchemeTerritory"))?;
    let identities_of = child(pointer, LIST, "ServiceDigitalIdentities")?;
    let signers = children(identities_of, LIST, "ServiceDigitalIdentity").flat_map(|identity| {
        let ids = children(identity, LIST, "DigitalId").filter_map(|id| child(id, LIST, "X509Certificate"));
        ids.filter_map(|one| base64(one).and_then(|der| Certificate::from_der(&der).ok())).map(Arc::new)
    });
    Some(Pointer { territory: text(territory).into_owned(), signers: signers.take(SIGNERS_MAX).collect() })
}
