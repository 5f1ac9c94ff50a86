//! The state of earlier releases, one file of JSON, taken over into rows.
//!
//! The rows are whole before they are in their place, and only then is the file of JSON set aside: whoever is killed in
//! between is followed by a start that begins again, or finishes. A file of JSON that is there beside rows which were not
//! made from it is older than they are, or another authority's: nobody takes it in silence.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::super::error::AuthorityError;
use super::super::event::PendingEvent;
use super::super::issuer::Issuer;
use super::super::record::{AuthorityRecord, CertificateRecord, CrlRecord};
use super::redb::RedbStore;
use super::{Change, Identity, StateStore as _};
use crate::atomic_file;
use crate::crypto::Sha256Digest;
use crate::path_error::PathError;
use crate::vfs::{FileSystem as _, OsFileSystem};

/// The file of rows.
pub(in crate::authority) const ROWS: &str = "state.redb";
/// The file of earlier releases.
pub(in crate::authority) const JSON: &str = "state.json";
/// What it is called when it was taken over. It holds no secret, and is read by nobody.
const SET_ASIDE: &str = "state.json.taken-over";
/// Largest file that is taken over: earlier releases wrote more than the 64 MiB that they read.
const JSON_BYTES_MAX: u64 = 4 << 30;
/// The version of the layout of that file.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct JsonState {
    v: u32,
    organisation: String,
    base_url: String,
    authorities: Vec<AuthorityRecord>,
    issuers: Vec<Issuer>,
    certificates: Vec<CertificateRecord>,
    crls: Vec<CrlRecord>,
    outbox: Vec<PendingEvent>,
}

/// Whether there is an authority in the directory.
pub(in crate::authority) fn is_there(directory: &Path) -> bool {
    directory.join(ROWS).exists() || directory.join(JSON).exists()
}

/// Opens the rows, which are made first where an earlier release left its file.
///
/// # Errors
/// When a file cannot be read or written, or both are there and the rows were not made from the other.
pub(in crate::authority) fn open(directory: &Path) -> Result<RedbStore, AuthorityError> {
    let (rows, json) = (directory.join(ROWS), directory.join(JSON));
    if !rows.exists() {
        return take_over(directory);
    }
    let store = RedbStore::open(&rows)?;
    if json.exists() {
        let bytes = atomic_file::read(&json, JSON_BYTES_MAX).map_err(PathError::at(&json))?;
        let identity = store.identity()?;
        if identity.and_then(|identity| identity.taken_over) != Some(Sha256Digest::of(&bytes)) {
            return Err(AuthorityError::TwoStates { rows, json });
        }
        set_aside(directory)?;
    }
    Ok(store)
}

fn take_over(directory: &Path) -> Result<RedbStore, AuthorityError> {
    let json = directory.join(JSON);
    let file = PathError::at(&json);
    let bytes = atomic_file::read(&json, JSON_BYTES_MAX).map_err(file)?;
    let state: JsonState = serde_json::from_slice(&bytes).map_err(|cause| file(cause.into()))?;
    if state.v != VERSION {
        return Err(AuthorityError::StateVersion { seen: state.v, known: VERSION });
    }
    let store = RedbStore::create(&directory.join(ROWS))?;
    let certificates = state.certificates.len();
    let identity = Identity {
        organisation: state.organisation,
        base_url: state.base_url,
        taken_over: Some(Sha256Digest::of(&bytes)),
    };
    store.commit(&Change {
        identity: Some(identity),
        authorities: state.authorities,
        issuers: state.issuers,
        certificates: state.certificates,
        crls: state.crls,
        events: state.outbox.into_iter().map(|pending| pending.event).collect(),
        ..Change::default()
    })?;
    store.place()?;
    set_aside(directory)?;
    tracing::info!(certificates, "authority's state taken over into rows");
    Ok(store)
}

fn set_aside(directory: &Path) -> Result<(), PathError> {
    let json = directory.join(JSON);
    let moved = fs::rename(&json, directory.join(SET_ASIDE)).and_then(|()| OsFileSystem.sync_directory(directory));
    moved.map_err(PathError::at(&json))
}
