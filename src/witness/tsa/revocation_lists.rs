//! The revocation list of a timestamp authority's root (RFC 5280 §5), signed when it is asked for.
//!
//! So a list is as new as whoever asks needs it: of after a token, as soon as there is the token.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber};

use super::revoked_certificate::RevokedCertificate;
use crate::clock::Clock;

/// From thisUpdate to nextUpdate.
const VALIDITY: Duration = Duration::from_secs(7 * 24 * 3600);

/// Makes the lists of one root.
pub(crate) struct RevocationLists {
    issuer: Issuer<'static, KeyPair>,
    revoked: Vec<RevokedCertificate>,
    clock: Arc<dyn Clock>,
    // Its second, and the list: nobody makes the key sign more often.
    held: Mutex<Option<(u64, Vec<u8>)>>,
}

impl RevocationLists {
    /// Those of the root of these parameters, signed with its key, with the certificates that are `revoked`.
    pub(crate) fn new(
        root: CertificateParams,
        key: KeyPair,
        revoked: Vec<RevokedCertificate>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { issuer: Issuer::new(root, key), revoked, clock, held: Mutex::default() }
    }

    /// The list as of now, DER; its number is its second since 1970. Blocks for a signature.
    ///
    /// # Errors
    /// When it cannot be signed.
    ///
    /// # Panics
    /// Never: no holder of the lock panics.
    pub(crate) fn newest(&self) -> Result<Vec<u8>, rcgen::Error> {
        let mut held = self.held.lock().expect("no holder of this lock panics");
        let second = u64::try_from(self.clock.now().timestamp()).unwrap_or_default();
        if let Some((_, list)) = held.as_ref().filter(|(of, _)| *of == second) {
            return Ok(list.clone());
        }
        let this_update = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(second);
        let list = CertificateRevocationListParams {
            this_update,
            next_update: this_update + VALIDITY,
            crl_number: SerialNumber::from(second),
            issuing_distribution_point: None,
            revoked_certs: self.revoked.iter().filter_map(RevokedCertificate::entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.issuer)?.der().to_vec();
        *held = Some((second, list.clone()));
        Ok(list)
    }
}

impl std::fmt::Debug for RevocationLists {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RevocationLists").finish_non_exhaustive()
    }
}
