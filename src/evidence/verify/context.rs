//! The context of one signature: what it is validated with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::evidence::verify::input::Input;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::revocation::checker::RevocationChecker;
use crate::evidence::verify::time::{SignatureTime, TimeEvidence};
use crate::pki::{Certificate, CertificationPath};

/// Certificates, in their order.
type Thumbprints = Vec<[u8; 32]>;
/// The trusted time, a path, and the certificates that came with it.
type PathKey = (Option<DateTime<Utc>>, Thumbprints, Thumbprints);

/// Cached results about revocation: many signatures may have the same path.
#[derive(Default)]
pub(super) struct RevocationMemo {
    states: RefCell<HashMap<PathKey, Rc<[RevocationState]>>>,
}

/// The input, the time evidence, and the time of one signature.
pub(super) struct Context<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) time: &'a TimeEvidence,
    pub(super) signature: SignatureTime,
    memo: &'a RevocationMemo,
}

impl<'a> Context<'a> {
    /// The contexts of the signatures of each layer, the outermost layer first.
    pub(super) fn of_layers(input: &'a Input<'a>, time: &'a TimeEvidence, memo: &'a RevocationMemo) -> Vec<Vec<Self>> {
        let of = |signature: &SignatureTime| Self { input, time, signature: signature.clone(), memo };
        time.layers.iter().map(|layer| layer.signatures.iter().map(of).collect()).collect()
    }

    /// The state of each certificate of a path but the anchor, the signer's first.
    pub(super) fn revocation_states(
        &self,
        path: &CertificationPath,
        offered: &[Arc<Certificate>],
    ) -> Rc<[RevocationState]> {
        let thumbprints =
            |certificates: &[Arc<Certificate>]| certificates.iter().map(|one| *one.thumbprint()).collect();
        let key: PathKey = (self.signature.existed_by, thumbprints(path.certificates()), thumbprints(offered));
        if let Some(known) = self.memo.states.borrow().get(&key) {
            return known.clone();
        }
        let checker = RevocationChecker {
            held: &self.input.revocation,
            policy: self.input.policy,
            trusted: self.signature.existed_by,
            now: self.input.now,
            poe: &self.time.poe,
            path_ends: path.validity().1,
            offered,
            budget: &self.input.budget,
            issuers_checked: self.input.verifier.issuers_checked(),
        };
        let found: Rc<[RevocationState]> = checker.states_along(path).into();
        self.memo.states.borrow_mut().insert(key, found.clone());
        found
    }
}
