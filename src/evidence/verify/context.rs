//! The context of one layer: what every signature of it is validated with.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::evidence::verify::input::Input;
use crate::evidence::verify::material::revocation::RevocationState;
use crate::evidence::verify::material::revocation::checker::{CheckedIssuers, RevocationChecker};
use crate::evidence::verify::time::{LayerTime, TimeEvidence};
use crate::pki::{Certificate, CertificationPath};

/// Certificates, in their order.
type Thumbprints = Vec<[u8; 32]>;
/// A path, and the certificates that came with it.
type PathKey = (Thumbprints, Thumbprints);

/// The input, the time evidence, and the time of one layer.
pub(super) struct Context<'a> {
    pub(super) input: &'a Input<'a>,
    pub(super) time: &'a TimeEvidence,
    pub(super) layer: &'a LayerTime,
    // Many signatures may have the same path, and the same issuers of lists.
    revocation_states: RefCell<HashMap<PathKey, Rc<[RevocationState]>>>,
    crl_issuers_checked: RefCell<CheckedIssuers>,
}

impl<'a> Context<'a> {
    /// The context of each layer, the outermost first.
    pub(super) fn of_layers(input: &'a Input<'a>, time: &'a TimeEvidence) -> Vec<Self> {
        let of = |layer| Self {
            input,
            time,
            layer,
            revocation_states: RefCell::default(),
            crl_issuers_checked: RefCell::default(),
        };
        time.layers.iter().map(of).collect()
    }

    /// The state of each certificate of a path but the anchor, the signer's first.
    pub(super) fn revocation_states(
        &self,
        path: &CertificationPath,
        offered: &[Arc<Certificate>],
    ) -> Rc<[RevocationState]> {
        let thumbprints =
            |certificates: &[Arc<Certificate>]| certificates.iter().map(|one| *one.thumbprint()).collect();
        let key: PathKey = (thumbprints(path.certificates()), thumbprints(offered));
        if let Some(known) = self.revocation_states.borrow().get(&key) {
            return known.clone();
        }
        let checker = RevocationChecker {
            crls: &self.input.crls,
            policy: self.input.policy,
            trusted: self.layer.existed_by,
            now: self.input.now,
            poe: &self.time.poe,
            path_ends: path.validity().1,
            offered,
            budget: &self.input.budget,
            crl_issuers_checked: &self.crl_issuers_checked,
        };
        let found: Rc<[RevocationState]> = checker.states_along(path).into();
        self.revocation_states.borrow_mut().insert(key, found.clone());
        found
    }
}
