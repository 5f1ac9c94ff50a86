//! Signed statuses of certificates, and who signs them.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::crypto::Signer;
use crate::pki::Certificate;
use crate::pki::ocsp::CertificateId;

/// The statuses that are signed, by each of the names of their certificates.
pub(super) type SignedStatuses = HashMap<CertificateId, Arc<PublishedStatus>>;

/// A signed status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct PublishedStatus {
    /// The thumbprint of the certificate.
    pub certificate: String,
    /// The name of the authority that issued it.
    pub issued_by: String,
    pub this_update: DateTime<Utc>,
    pub next_update: DateTime<Utc>,
    /// The OCSPResponse.
    pub der: Vec<u8>,
}

/// The certificate of a responder, and its key.
pub(super) type HeldResponder = (Arc<Certificate>, Arc<dyn Signer>);
