//! The check of the authority before a start: what the ledger says of certificates, the authority has to know.
//!
//! An authority that was restored from a backup forgot what it revoked, and would give numbers of lists a second time. Each
//! start reads the entries behind those that the authority was held against before, and takes over what it does not know.

use std::collections::HashMap;

use crate::authority::{Authority, AuthorityError, AuthorityEvent, CaughtUp, LedgerMark};
use crate::crypto::Sha256Digest;
use crate::evidence::Event;
use crate::evidence::format::Entry;
use crate::ledger::{LedgerReader, ReadError, TileReadError};
use crate::pki::RevocationReason;
use crate::tlog::merkle::leaf_hash;
use crate::tlog::tile::{TILE_WIDTH, bundle_entries};
use crate::tlog::{LeafIndex, TileKind, TilePath, TreeSize};

/// Entries behind the mark from which on it is moved while a server runs: a start reads them in a tenth of a second.
const MARK_BEHIND_MAX: u64 = 65_536;
/// What the bytes of every entry about certificates and lists contain.
const KINDS: [&[u8]; 2] = [b"\"certificate.", b"\"crl.published\""];

/// Why the authority and the ledger do not go together.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum AuthorityCheckError {
    /// The ledger.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// Certificates that the ledger names are not here.
    #[error(
        "ledger entry {entry} is about certificate {certificate}, of which nothing is in the authority's directory \
         ({count} such entries): it is an older copy; restore a newer one, or put the certificate in DER there as \
         certificates/{certificate}.der, or pass --accept-lost-certificates: what is lost cannot be revoked any more"
    )]
    Lost { entry: LeafIndex, certificate: String, count: usize },
}

/// Holds the authority against the entries of the ledger that it was not held against yet, and lets it catch up. What waits
/// to be told and is there is told. Gives how many events it did not know.
///
/// # Errors
/// When something cannot be read or written; [`Lost`](AuthorityCheckError::Lost) unless `accept_lost`.
pub fn hold_against_ledger(
    authority: &Authority,
    ledger: &LedgerReader,
    accept_lost: bool,
) -> Result<usize, AuthorityCheckError> {
    let (from, size) = (checked(authority, ledger)?, ledger.size());
    if from == size {
        return Ok(0);
    }
    let mut waiting = waiting(authority)?;
    let mut told = Vec::new();
    let mut lost = Vec::new();
    let (mut unknown, mut lists) = (0, false);
    for (index, event) in events(ledger, from, size) {
        let event = event?;
        told.extend(waiting.remove(&text(&event)));
        if authority.knows(&event)? {
            continue;
        }
        unknown += 1;
        let caught_up = authority.catch_up(&event)?;
        let (index_, certificate) = (index.0, subject(&event));
        tracing::warn!(index = index_, ?caught_up, certificate, "authority is an older copy: the ledger knows more");
        lists |= caught_up == CaughtUp::List;
        if caught_up == CaughtUp::Lost {
            lost.push((index, subject(&event).to_owned()));
        }
    }
    if lists {
        authority.renew_crls_now()?;
        tracing::warn!("revocation lists made anew; for the root's run affiant certs ceremony renew-crl");
    }
    if let Some((entry, certificate)) = lost.first().filter(|_| !accept_lost) {
        return Err(AuthorityCheckError::Lost { entry: *entry, certificate: certificate.clone(), count: lost.len() });
    }
    authority.acknowledge(&told)?;
    mark(authority, ledger, size)?;
    Ok(unknown)
}

/// The events that wait to be brought into the ledger. Who was killed between the two, or was restored, finds them there.
fn waiting(authority: &Authority) -> Result<HashMap<String, u64>, AuthorityError> {
    let pending = authority.pending_events(usize::MAX)?;
    Ok(pending.into_iter().map(|pending| (text(&pending.event), pending.id)).collect())
}

fn text(event: &AuthorityEvent) -> String {
    serde_json::to_string(event).expect("an event is plain JSON")
}

/// Moves the mark to the end of the ledger, once it is far behind: what came since was brought in by this authority itself.
/// One that was never held against the ledger has none.
///
/// # Errors
/// When something cannot be read or written.
pub fn move_mark(authority: &Authority, ledger: &LedgerReader) -> Result<(), AuthorityCheckError> {
    let size = ledger.size();
    match authority.ledger_mark()? {
        Some(known) if size.0 >= known.size.saturating_add(MARK_BEHIND_MAX) => mark(authority, ledger, size),
        _ => Ok(()),
    }
}

fn mark(authority: &Authority, ledger: &LedgerReader, size: TreeSize) -> Result<(), AuthorityCheckError> {
    let root = Sha256Digest(*ledger.root(size)?.as_bytes());
    Ok(authority.set_ledger_mark(LedgerMark { size: size.0, root })?)
}

/// The size up to which the authority was held against this very ledger.
fn checked(authority: &Authority, ledger: &LedgerReader) -> Result<TreeSize, AuthorityCheckError> {
    let Some(mark) = authority.ledger_mark()? else { return Ok(TreeSize(0)) };
    let size = TreeSize(mark.size);
    if size <= ledger.size() && size.0 > 0 && *ledger.root(size)?.as_bytes() == mark.root.0 {
        return Ok(size);
    }
    tracing::warn!(size = mark.size, "authority was held against another ledger, or more of this one: reading all");
    Ok(TreeSize(0))
}

/// The events of the authority among the entries from `from` to `size`.
fn events(
    ledger: &LedgerReader,
    from: TreeSize,
    size: TreeSize,
) -> impl Iterator<Item = (LeafIndex, Result<AuthorityEvent, ReadError>)> {
    let width = u64::from(TILE_WIDTH);
    let bundles = from.0 / width..size.0.div_ceil(width);
    bundles.flat_map(move |bundle| {
        let first = bundle * width;
        match bundle_events(ledger, bundle, size) {
            Ok(events) => events.into_iter().map(|(index, event)| (index, Ok(event))).collect(),
            Err(error) => vec![(LeafIndex(first), Err(error))],
        }
        .into_iter()
        .filter(move |(index, event)| index.0 >= from.0 || event.is_err())
    })
}

/// The same of one bundle, each entry of which is held against its leaf hash.
fn bundle_events(
    ledger: &LedgerReader,
    bundle: u64,
    size: TreeSize,
) -> Result<Vec<(LeafIndex, AuthorityEvent)>, ReadError> {
    let first = bundle * u64::from(TILE_WIDTH);
    let width = u16::try_from((size.0 - first).min(u64::from(TILE_WIDTH))).unwrap_or(TILE_WIDTH);
    let read = |kind| -> Result<Vec<u8>, TileReadError> { ledger.tiles().read(TilePath::new(kind, bundle, width)?) };
    let (bytes, hashes) = (read(TileKind::Entries)?, read(TileKind::Hashes { level: 0 })?);
    let entries = bundle_entries(&bytes, width).map_err(TileReadError::from)?;
    let mut events = Vec::new();
    for ((index, entry), hash) in (first..).map(LeafIndex).zip(entries).zip(hashes.chunks_exact(32)) {
        if leaf_hash(entry).as_bytes() != hash {
            return Err(TileReadError::OtherEntry(index).into());
        }
        if KINDS.iter().any(|kind| memchr::memmem::find(entry, kind).is_some()) {
            let parsed = Entry::parse(entry).map_err(|error| TileReadError::NotAnEntry(index, error))?;
            events.extend(authority_event(parsed.event).map(|event| (index, event)));
        }
    }
    Ok(events)
}

fn authority_event(event: Event) -> Option<AuthorityEvent> {
    Some(match event {
        Event::CertificateIssued { issuer, certificate } => AuthorityEvent::CertificateIssued {
            issuer: issuer.and_then(|issuer| issuer.parse().ok()),
            certificate: certificate.to_string(),
        },
        Event::CertificateRevoked { certificate, reason, revoked_at } => AuthorityEvent::CertificateRevoked {
            certificate: certificate.to_string(),
            // A number that names no reason is a revocation all the same.
            reason: reason_of(reason).name().to_owned(),
            revoked_at,
        },
        Event::CrlPublished { authority, crl, number, this_update } => AuthorityEvent::CrlPublished {
            issuer_certificate: authority.to_string(),
            crl: crl.to_string(),
            number,
            this_update,
        },
        _ => return None,
    })
}

fn reason_of(code: u8) -> RevocationReason {
    let found = RevocationReason::ALL.into_iter().find(|reason| reason.code() == code);
    found.unwrap_or(RevocationReason::Unspecified)
}

/// The certificate that an event is about; of a list, that of its authority.
fn subject(event: &AuthorityEvent) -> &str {
    match event {
        AuthorityEvent::CertificateIssued { certificate, .. }
        | AuthorityEvent::CertificateRevoked { certificate, .. } => certificate,
        AuthorityEvent::CrlPublished { issuer_certificate, .. } => issuer_certificate,
    }
}
