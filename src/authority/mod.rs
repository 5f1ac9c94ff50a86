//! The certificate authority (RFC 5280): a root kept offline, authorities that issue, issuers whose keys rotate, and
//! revocation lists that renew themselves.
//!
//! Everything is in one directory, written so that a power cut leaves the old or the new: `state.json`, `certificates/`,
//! `keys/` (encrypted, of a [`FileKeyStore`]), `crls/` (every list ever made), `profiles/`. One process has it open at a time.
//! The root's key is never in it.
//!
//! What happens leaves an event in an outbox, which the caller turns into ledger entries. Signing never waits: a new key
//! is made beside the old one and swapped in, and a signature made a moment before or after is as good as any.
//!
//! | file | what it adds to [`Authority`] |
//! |---|---|
//! | `init.rs` | a new authority |
//! | `mod.rs` | `open`, what is listed |
//! | `rotation.rs` | issuers: add, issue, sign, rotate |
//! | `revocation.rs` | revoke, lists, ceremonies |
//! | `responder.rs` | the status of single certificates |

mod certificate_request;
mod error;
mod event;
mod init;
mod issue;
mod issuer;
mod key_store;
mod profile;
mod published_status;
mod responder;
mod revocation;
mod revocation_list;
mod rotation;
mod state;
mod summary;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

pub use crate::private_key_file::ScryptCost;
pub use error::AuthorityError;
pub use event::{AuthorityEvent, PendingEvent};
pub use init::AuthorityParams;
pub use issuer::{Issuer, IssuerCredential, IssuerId, IssuerIdError};
pub use key_store::{FileKeyStore, KeyProtection, KeyStore, KeyStoreError, StoredKeyId, read_key_file, write_key_file};
pub use profile::{CertificateProfile, ProfileError, ProfileKeyUsage, Profiles};
pub use published_status::PublishedStatus;
pub use revocation::RevocationRequest;
pub use revocation_list::PublishedCrl;
pub use state::{CertificateKind, Revocation};
pub use summary::{CertificateState, CertificateSummary};

use crate::atomic_file::{self, Access};
use crate::clock::Clock;
use crate::path_error::PathError;
use crate::pki::{Certificate, to_pem};
use crate::vfs::FileLock;
use issue::SigningAuthority;
use published_status::{HeldResponder, SignedStatuses};
use state::AuthorityState;

/// Largest certificate file: what a certificate may have at most.
const CERTIFICATE_BYTES_MAX: u64 = 64 * 1024;
/// The name of the root among the authorities.
const ROOT: &str = "root";

/// A certificate authority in a directory.
pub struct Authority {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    keys: Box<dyn KeyStore>,
    profiles: Profiles,
    root: Arc<Certificate>,
    // Invariant: what is in memory is on the disk. Taken before `issuing` and `credentials`.
    state: Mutex<AuthorityState>,
    /// The issuing authorities, oldest first.
    issuing: RwLock<Vec<Arc<SigningAuthority>>>,
    credentials: RwLock<HashMap<IssuerId, Arc<IssuerCredential>>>,
    // Taken before all others, by whoever opens a key to sign with.
    loading: Mutex<()>,
    /// The newest lists, read once after every change: each record that is issued is verified against them.
    newest_crls: RwLock<Option<Arc<[PublishedCrl]>>>,
    /// Who answers for the root; nobody where no ceremony has made one yet.
    root_responder: RwLock<Option<HeldResponder>>,
    // Taken last.
    statuses: RwLock<SignedStatuses>,
    _lock: FileLock,
}

impl Authority {
    /// Opens an authority, and its issuing keys in `keys`.
    ///
    /// # Errors
    /// When there is none, another process has it open, a key does not open, or a file is corrupt.
    pub fn open(directory: &Path, keys: Box<dyn KeyStore>, clock: Arc<dyn Clock>) -> Result<Self, AuthorityError> {
        let state_path = directory.join("state.json");
        if !state_path.exists() {
            return Err(AuthorityError::Missing(directory.to_owned()));
        }
        let lock = lock(directory)?;
        let state = AuthorityState::load(&state_path)?;
        let profiles = Profiles::load(Some(&directory.join("profiles")))?;
        let root = state.authority(ROOT).ok_or(AuthorityError::NoAuthority)?;
        let root_responder = match state.root_responder() {
            Some((thumbprint, key)) => Some((read_certificate(directory, thumbprint)?, keys.open(key)?)),
            None => None,
        };
        let root = read_certificate(directory, &root.thumbprint)?;
        let mut issuing = Vec::new();
        for record in &state.authorities {
            let Some(key) = &record.key else { continue };
            issuing.push(Arc::new(SigningAuthority {
                name: record.name.clone(),
                common_name: record.common_name.clone(),
                certificate: read_certificate(directory, &record.thumbprint)?,
                signer: keys.open(key)?,
            }));
        }
        Ok(Self {
            directory: directory.to_owned(),
            clock,
            keys,
            profiles,
            root,
            state: Mutex::new(state),
            issuing: RwLock::new(issuing),
            credentials: RwLock::default(),
            loading: Mutex::default(),
            newest_crls: RwLock::default(),
            root_responder: RwLock::new(root_responder),
            statuses: RwLock::default(),
            _lock: lock,
        })
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

    /// Every certificate, in the order of issue.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateSummary> {
        let now = self.clock.now();
        self.lock_state().certificates.iter().map(|record| record.summary(now)).collect()
    }

    /// The certificate of a serial number (hexadecimal) or thumbprint.
    ///
    /// # Errors
    /// When none is ours.
    pub fn certificate(
        &self,
        serial_or_thumbprint: &str,
    ) -> Result<(CertificateSummary, Arc<Certificate>), AuthorityError> {
        let summary = {
            let state = self.lock_state();
            state.certificate(serial_or_thumbprint)?.summary(self.clock.now())
        };
        let certificate = read_certificate(&self.directory, &summary.thumbprint)?;
        Ok((summary, certificate))
    }

    /// The issuer to whom a certificate of ours was issued; `None` for an authority's own and for others' certificates.
    #[must_use]
    pub fn issuer_of(&self, thumbprint: &str) -> Option<IssuerId> {
        self.lock_state().certificate(thumbprint).ok().and_then(|record| record.issuer.clone())
    }

    /// The events that were not acknowledged yet, in order.
    #[must_use]
    pub fn pending_events(&self) -> Vec<PendingEvent> {
        self.lock_state().outbox.clone()
    }

    /// Takes an event out of the outbox, durably; one that is not there any more is no error.
    ///
    /// # Errors
    /// When the state cannot be written.
    pub fn acknowledge(&self, id: u64) -> Result<(), AuthorityError> {
        let mut state = self.lock_state();
        let mut next = state.clone();
        next.outbox.retain(|pending| pending.id != id);
        self.commit(&mut state, next)
    }

    fn lock_state(&self) -> MutexGuard<'_, AuthorityState> {
        self.state.lock().expect(NO_PANIC)
    }

    fn state_path(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    /// Writes a new state, then makes it the one in memory.
    fn commit(&self, state: &mut MutexGuard<'_, AuthorityState>, next: AuthorityState) -> Result<(), AuthorityError> {
        next.save(&self.state_path())?;
        **state = next;
        *self.newest_crls.write().expect(NO_PANIC) = None;
        Ok(())
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
