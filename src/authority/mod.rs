//! The certificate authority (RFC 5280): a root kept offline, authorities that issue, issuers whose keys rotate, and
//! revocation lists that renew themselves.
//!
//! Everything is in one directory, written so that a power cut leaves the old or the new: `state.redb` (a row a thing),
//! `certificates/`, `keys/` (encrypted, of a [`FileKeyStore`]), `crls/` (every list ever made), `profiles/`. One process
//! has it open at a time. The root's key is never in it.
//!
//! What happens leaves an event in an outbox, which the caller turns into ledger entries. Signing never waits: a new key
//! is made beside the old one and swapped in, and a signature made a moment before or after is as good as any. Who changes
//! things holds `changing` to the end of the commit, and takes what the signing path reads only behind it.
//!
//! | file | what it adds to [`Authority`] |
//! |---|---|
//! | `init.rs` | a new authority |
//! | `mod.rs` | `open`, what is listed |
//! | `rotation.rs` | issuers: add, issue, rotate |
//! | `credentials.rs` | what issuers sign with |
//! | `revocation.rs` | revoke, ceremonies |
//! | `catch_up.rs` | what the ledger knows, and a restored backup does not |
//! | `lists.rs` | revocation lists: made, renewed, found again |
//! | `responder.rs` | the status of single certificates |
//! | `store/` | the rows, and what holds them |

mod catch_up;
mod certificate_request;
mod credentials;
mod draft;
mod error;
mod event;
mod init;
mod issue;
mod issuer;
mod key_store;
mod lists;
mod profile;
mod published_status;
mod record;
mod responder;
mod revocation;
mod revocation_list;
mod rotation;
mod store;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

pub use crate::private_key_file::ScryptCost;
pub use catch_up::CaughtUp;
pub use error::AuthorityError;
pub use event::{AuthorityEvent, PendingEvent};
pub use init::AuthorityParams;
pub use issuer::{Issuer, IssuerCredential, IssuerId, IssuerIdError};
pub use key_store::{FileKeyStore, KeyProtection, KeyStore, KeyStoreError, StoredKeyId, read_key_file, write_key_file};
pub use profile::{CertificateProfile, ProfileError, ProfileKeyUsage, Profiles};
pub use published_status::PublishedStatus;
pub use record::{CertificateKind, Revocation};
pub use revocation::RevocationRequest;
pub use revocation_list::PublishedCrl;
pub use store::LedgerMark;
pub use summary::{CertificateState, CertificateSummary};

use crate::atomic_file::{self, Access};
use crate::clock::Clock;
use crate::path_error::PathError;
use crate::pki::{Certificate, to_pem};
use crate::vfs::FileLock;
use issue::SigningAuthority;
use published_status::{HeldResponder, SignedStatuses};
use record::CertificateRecord;
use store::{Change, Identity, StateStore, take_over};

/// Largest certificate file: what a certificate may have at most.
const CERTIFICATE_BYTES_MAX: u64 = 64 * 1024;
/// Largest list of our own: what a verifier takes at most. A larger one is not made.
const CRL_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The name of the root among the authorities.
const ROOT: &str = "root";

/// A certificate authority in a directory.
pub struct Authority {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    keys: Box<dyn KeyStore>,
    profiles: Profiles,
    /// Largest revocation list that is made.
    crl_bytes_max: u64,
    identity: Identity,
    root: Arc<Certificate>,
    store: Arc<dyn StateStore>,
    // Held from reading to the end of the commit by whoever changes rows, and by nobody else. Taken before all others.
    changing: Mutex<()>,
    /// The issuing authorities, oldest first.
    issuing: RwLock<Vec<Arc<SigningAuthority>>>,
    credentials: RwLock<HashMap<IssuerId, Arc<IssuerCredential>>>,
    /// The newest lists, read once after every change: each record that is issued is verified against them.
    newest_crls: RwLock<Option<Arc<[PublishedCrl]>>>,
    /// Who answers for the root; nobody where no ceremony has made one yet.
    root_responder: RwLock<Option<HeldResponder>>,
    // Taken last.
    statuses: RwLock<SignedStatuses>,
    _lock: FileLock,
}

/// What an authority is put together from.
struct Parts {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    keys: Box<dyn KeyStore>,
    profiles: Profiles,
    identity: Identity,
    root: Arc<Certificate>,
    store: Arc<dyn StateStore>,
    issuing: Vec<Arc<SigningAuthority>>,
    root_responder: Option<HeldResponder>,
    lock: FileLock,
}

/// Certificates as they are listed, a page of them.
pub struct CertificatePage {
    /// In the order of issue.
    pub certificates: Vec<CertificateSummary>,
    /// What a page of those before them begins below; `None` where there are none.
    pub before: Option<u64>,
}

impl Authority {
    /// Opens an authority, and its issuing keys in `keys`.
    ///
    /// # Errors
    /// When there is none, another process has it open, a key does not open, or a file is corrupt.
    pub fn open(directory: &Path, keys: Box<dyn KeyStore>, clock: Arc<dyn Clock>) -> Result<Self, AuthorityError> {
        if !Self::is_in(directory) {
            return Err(AuthorityError::Missing(directory.to_owned()));
        }
        let lock = lock(directory)?;
        let store = take_over::open(directory)?;
        let identity = store.identity()?.ok_or_else(|| AuthorityError::Missing(directory.to_owned()))?;
        let profiles = Profiles::load(Some(&directory.join("profiles")))?;
        let responder = store.latest(CertificateKind::OcspResponder, None)?;
        let root_responder = match responder.and_then(|record| Some((record.thumbprint, record.key?))) {
            Some((thumbprint, key)) => Some((read_certificate(directory, &thumbprint)?, keys.open(&key)?)),
            None => None,
        };
        let authorities = store.authorities()?;
        let root = authorities.iter().find(|record| record.name == ROOT).ok_or(AuthorityError::NoAuthority)?;
        let root = read_certificate(directory, &root.thumbprint)?;
        let mut issuing = Vec::new();
        for record in authorities {
            let Some(key) = &record.key else { continue };
            issuing.push(Arc::new(SigningAuthority {
                certificate: read_certificate(directory, &record.thumbprint)?,
                signer: keys.open(key)?,
                name: record.name,
                common_name: record.common_name,
            }));
        }
        let (directory, store) = (directory.to_owned(), Arc::new(store));
        Ok(Self::of(Parts { directory, clock, keys, profiles, identity, root, store, issuing, root_responder, lock }))
    }

    /// Whether there is an authority in `directory`.
    #[must_use]
    pub fn is_in(directory: &Path) -> bool {
        take_over::is_there(directory)
    }

    fn of(parts: Parts) -> Self {
        Self {
            directory: parts.directory,
            clock: parts.clock,
            keys: parts.keys,
            profiles: parts.profiles,
            crl_bytes_max: CRL_BYTES_MAX,
            identity: parts.identity,
            root: parts.root,
            store: parts.store,
            changing: Mutex::default(),
            issuing: RwLock::new(parts.issuing),
            credentials: RwLock::default(),
            newest_crls: RwLock::default(),
            root_responder: RwLock::new(parts.root_responder),
            statuses: RwLock::default(),
            _lock: parts.lock,
        }
    }

    /// The root: the anchor that others have to be given.
    #[must_use]
    pub fn root(&self) -> &Arc<Certificate> {
        &self.root
    }

    /// The root as PEM.
    #[must_use]
    pub fn root_pem(&self) -> String {
        to_pem("CERTIFICATE", self.root.der())
    }

    /// The certificates of those that issue leaves, newest first, as PEM.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        let issuing = self.issuing.read().expect(NO_PANIC);
        issuing.iter().rev().map(|authority| to_pem("CERTIFICATE", authority.certificate.der())).collect()
    }

    /// The certificate of the authority of this name (`root`, `issuing-1`, …): what its `caIssuers` address gives.
    #[must_use]
    pub fn authority_certificate(&self, name: &str) -> Option<Arc<Certificate>> {
        if name == ROOT {
            return Some(Arc::clone(&self.root));
        }
        let issuing = self.issuing.read().expect(NO_PANIC);
        issuing.iter().find(|authority| authority.name == name).map(|authority| Arc::clone(&authority.certificate))
    }

    /// The certificates of all authorities, the root's first.
    #[must_use]
    pub fn authority_certificates(&self) -> Vec<Arc<Certificate>> {
        let issuing = self.issuing.read().expect(NO_PANIC);
        let issuing = issuing.iter().map(|authority| Arc::clone(&authority.certificate));
        std::iter::once(Arc::clone(&self.root)).chain(issuing).collect()
    }

    /// The newest `most` certificates with a number below `before`, in the order of issue; numbers count from 0.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn certificates(&self, before: Option<u64>, most: usize) -> Result<CertificatePage, AuthorityError> {
        let now = self.clock.now();
        let found = self.store.certificates(before.unwrap_or(u64::MAX), most)?;
        let before = found.first().map(|(number, _)| *number).filter(|number| *number > 0);
        Ok(CertificatePage { certificates: found.iter().map(|(_, record)| record.summary(now)).collect(), before })
    }

    /// The certificate of a serial number (hexadecimal) or thumbprint.
    ///
    /// # Errors
    /// When none is ours, or it cannot be read.
    pub fn certificate(
        &self,
        serial_or_thumbprint: &str,
    ) -> Result<(CertificateSummary, Arc<Certificate>), AuthorityError> {
        let summary = self.record_of(serial_or_thumbprint)?.summary(self.clock.now());
        let certificate = read_certificate(&self.directory, &summary.thumbprint)?;
        Ok((summary, certificate))
    }

    /// The issuer to whom a certificate of ours was issued; `None` for an authority's own and for others' certificates.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn issuer_of(&self, thumbprint: &str) -> Result<Option<IssuerId>, AuthorityError> {
        Ok(self.store.certificate(thumbprint)?.and_then(|record| record.issuer))
    }

    /// The digests of all certificates and lists, which have to be proved as long as what they signed.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn digests(&self) -> Result<Vec<String>, AuthorityError> {
        Ok(self.store.digests()?)
    }

    /// Brings up to `most` keys that an earlier release kept under today's protection; gives how many it found.
    ///
    /// # Errors
    /// With the first that does not open or cannot be kept.
    pub fn renew_key_protection(&self, most: usize) -> Result<usize, AuthorityError> {
        Ok(self.keys.renew_protection(most)?)
    }

    /// Up to `most` events that were not acknowledged yet, in order.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn pending_events(&self, most: usize) -> Result<Vec<PendingEvent>, AuthorityError> {
        Ok(self.store.pending_events(most)?)
    }

    /// Takes events out of the outbox, durably; one that is not there any more is no error.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub fn acknowledge(&self, ids: &[u64]) -> Result<(), AuthorityError> {
        let _changing = self.lock_changes();
        Ok(self.store.commit(&Change { acknowledged: ids.to_vec(), ..Change::default() })?)
    }

    fn lock_changes(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().expect(NO_PANIC)
    }

    /// The row of a certificate of ours.
    fn record_of(&self, serial_or_thumbprint: &str) -> Result<CertificateRecord, AuthorityError> {
        let found = self.store.certificate(serial_or_thumbprint)?;
        found.ok_or_else(|| AuthorityError::UnknownCertificate(serial_or_thumbprint.to_owned()))
    }

    /// Makes a change, and forgets the lists that were the newest before it. Its caller holds `changing`.
    fn commit(&self, change: Change) -> Result<(), AuthorityError> {
        let committed = self.store.commit(&change);
        *self.newest_crls.write().expect(NO_PANIC) = None;
        if committed.is_err() {
            // It may be of a change that was made: whatever was loaded has to be looked up again.
            self.credentials.write().expect(NO_PANIC).clear();
            self.statuses.write().expect(NO_PANIC).clear();
        }
        Ok(committed?)
    }

    fn write_certificate(&self, certificate: &Certificate) -> Result<(), AuthorityError> {
        let path = certificate_path(&self.directory, &certificate.thumbprint_url());
        Ok(atomic_file::write(&path, certificate.der(), Access::Public).map_err(PathError::at(&path))?)
    }
}

/// Why the locks here are never poisoned.
const NO_PANIC: &str = "no holder of this lock panics";

fn lock(directory: &Path) -> Result<FileLock, AuthorityError> {
    let path = directory.join("lock");
    let lock = FileLock::take(&path).map_err(PathError::at(&path))?;
    lock.ok_or_else(|| AuthorityError::Locked(directory.to_owned()))
}

fn certificate_path(directory: &Path, thumbprint: &str) -> PathBuf {
    directory.join("certificates").join(format!("{thumbprint}.der"))
}

fn read_certificate(directory: &Path, thumbprint: &str) -> Result<Arc<Certificate>, AuthorityError> {
    let path = certificate_path(directory, thumbprint);
    let file = PathError::at(&path);
    let bytes = atomic_file::read(&path, CERTIFICATE_BYTES_MAX).map_err(file)?;
    let certificate = Certificate::from_der(&bytes).map_err(|error| file(std::io::Error::other(error)))?;
    if certificate.thumbprint_url() != thumbprint {
        return Err(file(std::io::Error::other("the file is not the certificate that it is named after")).into());
    }
    Ok(Arc::new(certificate))
}
