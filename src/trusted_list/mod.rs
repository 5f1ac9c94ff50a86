//! Trusted lists (ETSI TS 119 612): who supervises trust services in a country, which there are, and since when.
//!
//! A list is read when somebody signed it whom the relying party named, and becomes anchors of a trust policy: services
//! with their certificates, each for as long as its status allowed it. Pure: no network, no clock. Out of scope: what makes
//! a signature *qualified* (the extensions `Qualifications` and `TakenOverBy`), and lists in PDF.

mod canonical;
mod list;
mod signature;
mod trust;
mod xml;

pub use list::{LIST_BYTES_MAX, ListedService, ServiceStatus, TrustedList, TrustedListError};
pub use signature::XmlSignatureError;
pub use trust::{ImportedAnchors, ServiceType, UnknownServiceType};
