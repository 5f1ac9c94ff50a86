//! A record in the form of JAdES (ETSI TS 119 182-1 §6): what is known beside it becomes unsigned properties of its
//! signatures, and nothing signed changes.
//!
//! | level | properties |
//! |---|---|
//! | B | `xVals`: the path of the signer's certificate |
//! | T | and `sigTst`: tokens over the signature value |
//! | LT | and `rVals`, `tstVD`: the revocation of both paths, and the certificates of the tokens |
//! | LTA | and `arcTst`: tokens over all of it |
//!
//! The result is not verified here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::jose::{Jws, JwsSignature, NewProperties, UnsignedProperties, UnsignedProperty, ValidationData};
use crate::pki::ocsp::OcspResponse;
use crate::pki::tsp::Timestamp;
use crate::pki::{Certificate, Crl, RevocationStatus};

/// Certificates of one path: the longest that is tried (depth 8), with its anchor.
const PATH_MAX: usize = 9;

/// Bytes of a list that is put beside an OCSP response: what every reader may have either way, as long as it costs little.
const LIST_BESIDE_RESPONSE_BYTES_MAX: usize = 16 << 10;

/// A baseline level of JAdES (TS 119 182-1 §6.1), the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum JadesLevel {
    /// The signature and its certificates.
    B,
    /// With a timestamp over the signature value.
    T,
    /// With all that a verifier needs.
    Lt,
    /// With a timestamp over that.
    Lta,
}

impl std::fmt::Display for JadesLevel {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::B => "b",
            Self::T => "t",
            Self::Lt => "lt",
            Self::Lta => "lta",
        })
    }
}

/// The gap of a level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JadesGap {
    /// The signature leaves open what it has to cover (TS 119 182-1 §6.3).
    #[error("signature {signature} does not cover {what}")]
    NotSigned {
        /// The position of the signature, from 0.
        signature: usize,
        /// The property that it does not cover.
        what: &'static str,
    },
    /// The signer's certificate.
    #[error("no certificate of the signer of signature {0} is at hand")]
    Signer(usize),
    /// A token over a signature value.
    #[error("no timestamp over the value of signature {0} is kept")]
    SignatureTimestamp(usize),
    /// A certificate of a path.
    #[error("no certificate of {0} is at hand")]
    Issuer(String),
    /// The status of a certificate.
    #[error("no revocation list or OCSP response at hand speaks of {0}")]
    Status(String),
    /// An archive timestamp.
    #[error("no archive timestamp is kept, and the log's policy asks for none")]
    ArchiveTimestamp,
}

/// Evidence beside a record: hints, of which those that fit are used.
#[derive(Default)]
pub struct JadesMaterial {
    // Each once.
    certificates: Vec<Arc<Certificate>>,
    anchors: Vec<Arc<Certificate>>,
    crls: Vec<Crl>,
    // As it came, and read.
    ocsp_responses: Vec<(Vec<u8>, OcspResponse)>,
    tokens: Vec<Vec<u8>>,
}

impl JadesMaterial {
    /// Adds certificates, DER each; what cannot be read is of no use.
    pub fn add_certificates<'a>(
        &mut self,
        certificates: impl IntoIterator<Item = &'a (impl AsRef<[u8]> + ?Sized + 'a)>,
    ) {
        for certificate in certificates.into_iter().filter_map(|der| Certificate::from_der(der.as_ref()).ok()) {
            if self.certificates.iter().all(|known| known.thumbprint() != certificate.thumbprint()) {
                self.certificates.push(Arc::new(certificate));
            }
        }
    }

    /// Adds certificates at which a path ends, whoever issued them.
    pub fn add_anchors<'a>(&mut self, anchors: impl IntoIterator<Item = &'a Arc<Certificate>>) {
        self.anchors.extend(anchors.into_iter().map(Arc::clone));
    }

    /// Adds revocation lists, DER each.
    pub fn add_crls<'a>(&mut self, crls: impl IntoIterator<Item = &'a Vec<u8>>) {
        for der in crls {
            if self.crls.iter().all(|known| known.der() != der) {
                self.crls.extend(Crl::from_der(der));
            }
        }
    }

    /// Adds OCSP responses, DER each.
    pub fn add_ocsp_responses<'a>(&mut self, responses: impl IntoIterator<Item = &'a Vec<u8>>) {
        for der in responses {
            if self.ocsp_responses.iter().all(|(known, _)| known != der) {
                self.ocsp_responses.extend(OcspResponse::from_der(der).ok().map(|read| (der.clone(), read)));
            }
        }
    }

    /// Adds tokens over signature values, DER each.
    pub fn add_tokens<'a>(&mut self, tokens: impl IntoIterator<Item = &'a Vec<u8>>) {
        for token in tokens {
            if !self.tokens.contains(token) {
                self.tokens.push(token.clone());
            }
        }
    }

    /// Whether there is a token: without one there is no level above B.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Adds what the signatures of `jws` carry themselves, in their headers.
    pub fn add_carried(&mut self, jws: &Jws) {
        for signature in jws.signatures() {
            self.add_certificates(&signature.header().certificates);
            self.add_properties(&signature.unsigned_properties());
        }
    }

    /// Adds what unsigned properties hold.
    pub fn add_properties(&mut self, properties: &UnsignedProperties) {
        for property in properties.iter() {
            match property {
                UnsignedProperty::SignatureTimestamp(tokens) => self.add_tokens(tokens),
                UnsignedProperty::ValidationData(data) => {
                    self.add_certificates(&data.certificates);
                    self.add_crls(&data.crls);
                    self.add_ocsp_responses(&data.ocsp_responses);
                }
                UnsignedProperty::ArchiveTimestamp { .. } | UnsignedProperty::Other => {}
            }
        }
    }

    /// The unsigned properties of each signature of `jws` at `level`. At the level LTA they are those of LT, which its
    /// archive timestamps are to be over.
    ///
    /// # Errors
    /// The gap of the level.
    pub fn properties(&self, jws: &Jws, level: JadesLevel) -> Result<Vec<NewProperties>, JadesGap> {
        let signatures = jws.signatures().iter().enumerate();
        signatures.map(|(position, signature)| self.of_signature(position, signature, level)).collect()
    }

    fn of_signature(
        &self,
        position: usize,
        signature: &JwsSignature,
        level: JadesLevel,
    ) -> Result<NewProperties, JadesGap> {
        check_signed(position, signature)?;
        let ders: Vec<Vec<u8>> = self.certificates.iter().map(|one| one.der().to_vec()).collect();
        let chain = signature.header().signer_chain(&ders);
        let signer = chain.first().and_then(|der| Certificate::from_der(der).ok());
        let path = self.path(signer.ok_or(JadesGap::Signer(position))?, &[]);
        let mut properties = NewProperties::default();
        let stamps = if level >= JadesLevel::T { self.timestamps(signature, &ders) } else { Vec::new() };
        if level >= JadesLevel::T {
            if stamps.is_empty() {
                return Err(JadesGap::SignatureTimestamp(position));
            }
            let tokens: Vec<Vec<u8>> = stamps.iter().map(|(token, _)| (*token).clone()).collect();
            properties.add_signature_timestamps(&tokens);
        }
        let own = if level >= JadesLevel::Lt { self.whole(&path)? } else { ValidationData::default() };
        properties.add_certificates(&path.iter().map(|one| one.der().to_vec()).collect::<Vec<_>>());
        if level >= JadesLevel::Lt {
            if !own.crls.is_empty() || !own.ocsp_responses.is_empty() {
                properties.add_revocation(&own);
            }
            properties.add_timestamp_validation_data(&self.validation_data(stamps.iter().map(|(_, stamp)| stamp))?);
        }
        Ok(properties)
    }

    /// The certificates of the authorities of `timestamps`, and their revocation: what `tstVD` holds.
    ///
    /// # Errors
    /// The gap.
    pub fn validation_data<'a>(
        &self,
        timestamps: impl IntoIterator<Item = &'a Timestamp>,
    ) -> Result<ValidationData, JadesGap> {
        let mut data = ValidationData::default();
        for timestamp in timestamps {
            let own = timestamp.certificates().iter().filter_map(|der| Certificate::from_der(der).ok());
            let signer = Certificate::from_der(timestamp.signer()).expect("it was read to check the token");
            let path = self.path(signer, &own.map(Arc::new).collect::<Vec<_>>());
            let found = self.whole(&path)?;
            add_new(&mut data.certificates, path.iter().map(|one| one.der().to_vec()));
            add_new(&mut data.crls, found.crls);
            add_new(&mut data.ocsp_responses, found.ocsp_responses);
        }
        Ok(data)
    }

    /// The tokens that are over the value of `signature`.
    fn timestamps(&self, signature: &JwsSignature, certificates: &[Vec<u8>]) -> Vec<(&Vec<u8>, Timestamp)> {
        let over = signature.signature_characters().as_bytes();
        let opened = self.tokens.iter().map(|token| (token, Timestamp::open(token, over, certificates)));
        opened.filter_map(|(token, opened)| Some((token, opened.ok()?))).collect()
    }

    fn is_end(&self, certificate: &Certificate) -> bool {
        let is_it = |anchor: &Arc<Certificate>| anchor.thumbprint() == certificate.thumbprint();
        certificate.is_self_issued() || self.anchors.iter().any(is_it)
    }

    /// The certificates from `leaf` up, as far as they are at hand here or among `more`, those at which a path ends first.
    fn path(&self, leaf: Certificate, more: &[Arc<Certificate>]) -> Vec<Arc<Certificate>> {
        let mut path = vec![Arc::new(leaf)];
        while let Some(last) = path.last().filter(|last| !self.is_end(last) && path.len() < PATH_MAX) {
            let issued = |issuer: &&Arc<Certificate>| {
                issuer.subject() == last.issuer() && issuer.key().is_ok_and(|key| last.check_signature(key).is_ok())
            };
            match self.anchors.iter().chain(&self.certificates).chain(more).find(issued) {
                Some(issuer) => path.push(Arc::clone(issuer)),
                None => break,
            }
        }
        path
    }

    /// The lists and responses about the certificates of a path that leads to an anchor.
    fn whole(&self, path: &[Arc<Certificate>]) -> Result<ValidationData, JadesGap> {
        let mut data = ValidationData::default();
        let last = path.last().expect("a path begins with its leaf");
        if !self.is_end(last) {
            return Err(JadesGap::Issuer(last.issuer().to_string()));
        }
        for pair in path.windows(2) {
            let (certificate, issuer) = (&pair[0], &pair[1]);
            let response = self.response_of(certificate, issuer);
            let is_wanted = |crl: &&Crl| response.is_none() || crl.der().len() <= LIST_BESIDE_RESPONSE_BYTES_MAX;
            let crl = self.crl_of(certificate, issuer).filter(is_wanted);
            if crl.is_none() && response.is_none() && !certificate.has_no_revocation() {
                return Err(JadesGap::Status(certificate.subject().to_string()));
            }
            add_new(&mut data.crls, crl.map(|crl| crl.der().to_vec()));
            add_new(&mut data.ocsp_responses, response.cloned());
        }
        Ok(data)
    }

    /// The newest list of `issuer` that speaks of `certificate`.
    fn crl_of(&self, certificate: &Certificate, issuer: &Certificate) -> Option<&Crl> {
        let speaks = |crl: &&Crl| {
            let silent = |status| matches!(status, RevocationStatus::NotCovered(_) | RevocationStatus::Unusable(_));
            crl.issuer() == issuer.subject() && !silent(crl.revocation_of(certificate))
        };
        let found = self.crls.iter().filter(speaks).filter(|crl| crl.check_signature(issuer).is_ok());
        found.max_by_key(|crl| crl.this_update())
    }

    /// The newest OCSP response about `certificate`, of its issuer or of a responder that it certified.
    fn response_of(&self, certificate: &Certificate, issuer: &Certificate) -> Option<&Vec<u8>> {
        let time = |response: &OcspResponse| {
            let mut statuses = response.statuses().iter();
            let found = statuses.find(|one| one.id.serial() == certificate.serial() && one.id.is_issued_by(issuer));
            found.map(|one| one.this_update)
        };
        let is_right = |response: &OcspResponse| {
            let delegated = response.certificates().iter().map(|one| &**one).filter(|responder| {
                responder.issuer() == issuer.subject()
                    && issuer.key().is_ok_and(|key| responder.check_signature(key).is_ok())
            });
            let mut responders = std::iter::once(issuer).chain(delegated);
            responders.any(|responder| response.is_by(responder) && response.check_signature(responder).is_ok())
        };
        let found = self.ocsp_responses.iter().filter(|(_, response)| is_right(response));
        let found = found.filter_map(|(der, response)| Some((time(response)?, der)));
        found.max_by_key(|(time, _)| *time).map(|(_, der)| der)
    }
}

/// The requirements of every level: a signature covers its algorithm, its time and its certificate.
fn check_signed(position: usize, signature: &JwsSignature) -> Result<(), JadesGap> {
    let open = [
        ("its algorithm", signature.protects("alg")),
        ("its time", signature.protects("iat") || signature.protects("sigT")),
        ("its certificate", signature.header().references.is_signed()),
    ];
    match open.into_iter().find(|(_, is_signed)| !is_signed) {
        Some((what, _)) => Err(JadesGap::NotSigned { signature: position, what }),
        None => Ok(()),
    }
}

fn add_new(all: &mut Vec<Vec<u8>>, more: impl IntoIterator<Item = Vec<u8>>) {
    for one in more {
        if !all.contains(&one) {
            all.push(one);
        }
    }
}
