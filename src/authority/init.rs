//! A new authority: a root, an issuing authority, and their first lists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::draft::{Draft, NewCertificate};
use super::error::AuthorityError;
use super::issue::{self, SigningAuthority, Subject};
use super::issuer::is_display_name;
use super::key_store::{KeyProtection, KeyStore, write_key_file};
use super::profile::Profiles;
use super::record::{AuthorityRecord, CertificateKind};
use super::store::redb::RedbStore;
use super::store::{Identity, take_over};
use super::{Authority, NO_PANIC, Parts, ROOT, lock};
use crate::atomic_file;
use crate::clock::Clock;
use crate::crypto::{Signer as _, SigningKey};
use crate::path_error::PathError;
use crate::vfs::FileLock;

/// Parameters of a new authority.
#[derive(Debug)]
pub struct AuthorityParams {
    /// The organisation in every name.
    pub organisation: String,
    /// Address of lists and certificates: `{base}/crls/…` and `{base}/certificates/…`.
    pub base_url: String,
    /// File of the root's encrypted key: on a medium that leaves the server.
    pub root_key_path: PathBuf,
    /// How that key is encrypted.
    pub root_key_protection: KeyProtection,
    /// The certificate profiles.
    pub profiles: Profiles,
}

impl Authority {
    /// Makes a root and an issuing authority, whose key is in `keys`, and their first lists.
    ///
    /// # Errors
    /// When there is one already, a name or address is no good, or something cannot be written.
    pub fn init(
        directory: &Path,
        params: AuthorityParams,
        keys: Box<dyn KeyStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuthorityError> {
        check_params(directory, &params)?;
        let lock = make_directory(directory)?;
        params.profiles.save(&directory.join("profiles"))?;
        let identity = Identity {
            organisation: params.organisation.clone(),
            base_url: params.base_url.trim_end_matches('/').to_owned(),
            taken_over: None,
        };
        let store = Arc::new(RedbStore::create(&directory.join(take_over::ROWS))?);
        let mut draft = Draft::new(&*store);
        draft.change.identity = Some(identity.clone());
        let root_authority = make_root(&mut draft, &params, &*clock)?;
        let root = Arc::clone(&root_authority.certificate);
        let authority = Self::of(Parts {
            directory: directory.to_owned(),
            clock,
            keys,
            profiles: params.profiles,
            identity,
            root,
            store: Arc::<RedbStore>::clone(&store),
            issuing: Vec::new(),
            root_responder: None,
            lock,
        });
        authority.write_certificate(&root_authority.certificate)?;
        authority.make_crl(&mut draft, &root_authority)?;
        let responder = authority.make_root_responder(&mut draft, &root_authority)?;
        let issuing = authority.make_issuing_authority(&mut draft, &root_authority)?;
        authority.make_crl(&mut draft, &issuing)?;
        // The rows come last: until they are in their place, there is no authority.
        authority.commit(draft.change)?;
        store.place()?;
        authority.issuing.write().expect(NO_PANIC).push(Arc::new(issuing));
        *authority.root_responder.write().expect(NO_PANIC) = Some(responder);
        Ok(authority)
    }
}

/// Makes the folders of an authority, and locks it.
fn make_directory(directory: &Path) -> Result<FileLock, AuthorityError> {
    let create = |path: PathBuf| atomic_file::create_directory(&path).map_err(PathError::at(&path));
    create(directory.to_owned())?;
    let lock = lock(directory)?;
    // Not before: another process may just have made it.
    if take_over::is_there(directory) {
        return Err(AuthorityError::Exists(directory.to_owned()));
    }
    ["certificates", "keys", "crls", "profiles"].map(|part| directory.join(part)).into_iter().try_for_each(create)?;
    Ok(lock)
}

/// Makes the root's key and certificate; the key goes to its file.
fn make_root(
    draft: &mut Draft<'_>,
    params: &AuthorityParams,
    clock: &dyn Clock,
) -> Result<SigningAuthority, AuthorityError> {
    let (key, pkcs8) = SigningKey::generate_rsa(params.profiles.root.key_size());
    let KeyProtection { passphrase, cost } = &params.root_key_protection;
    write_key_file(&params.root_key_path, &pkcs8, passphrase, *cost)?;
    let (not_before, not_after) = issue::window(&params.profiles.root, clock.now(), None)?;
    let common_name = format!("{} Root CA", params.organisation);
    let subject = Subject {
        organisation: &params.organisation,
        common_name: &common_name,
        key: key.verifying_key(),
        not_before,
        not_after,
    };
    let root = issue::issue(&params.profiles.root, &subject, None, Some(&key), &params.base_url)?;
    draft.put_authority(AuthorityRecord {
        name: ROOT.to_owned(),
        common_name: common_name.clone(),
        thumbprint: root.thumbprint_url(),
        key: None,
        next_crl_number: 1,
    });
    draft.add_certificate(NewCertificate {
        certificate: &root,
        kind: CertificateKind::Root,
        issued_by: ROOT,
        issuer: None,
        key: None,
        renew_at: root.not_after(),
        active_until: root.not_after(),
    });
    Ok(SigningAuthority { name: ROOT.to_owned(), common_name, certificate: root, signer: Arc::new(key) })
}

fn check_params(directory: &Path, params: &AuthorityParams) -> Result<(), AuthorityError> {
    // The longest common name is the organisation's with " Issuing CA 99" after it.
    if !is_display_name(&params.organisation) || params.organisation.chars().count() > 50 {
        return Err(AuthorityError::Name);
    }
    let scheme = params.base_url.starts_with("http://") || params.base_url.starts_with("https://");
    if !scheme || !params.base_url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AuthorityError::BaseUrl);
    }
    let parent = params.root_key_path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = std::path::absolute(parent.unwrap_or(Path::new("."))).ok();
    let parent = parent.map(|parent| parent.canonicalize().unwrap_or(parent));
    let inside = std::path::absolute(directory).ok();
    let inside = inside.map(|inside| inside.canonicalize().unwrap_or(inside));
    match (parent, inside) {
        (Some(parent), Some(inside)) if !parent.starts_with(&inside) => Ok(()),
        _ => Err(AuthorityError::RootKeyInside(directory.to_owned())),
    }
}
