//! A signed statement in the making.

use affiant::crypto::{Hash, SignatureAlgorithm, Signer, sha256};
use minicbor::Encoder;
use minicbor::data::Tag;

/// RS256 (RFC 8812).
const RS256: i64 = -257;

/// A statement to be signed; everything in it may be changed.
#[derive(Clone)]
pub(crate) struct Draft {
    pub(crate) algorithm: i64,
    pub(crate) issuer: Option<&'static str>,
    pub(crate) subject: Option<&'static str>,
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) chain: Vec<Vec<u8>>,
    /// Whether the chain is in the header that is not signed, its thumbprint in the one that is.
    pub(crate) by_thumbprint: bool,
    pub(crate) unprotected: u64,
}

impl Draft {
    pub(crate) fn new(chain: &[Vec<u8>]) -> Self {
        Self {
            algorithm: RS256,
            issuer: Some("https://issuer.example"),
            subject: Some("vcon://0190a000-0000-8000-8000-000000000001"),
            payload: Some(b"a statement".to_vec()),
            chain: chain.to_vec(),
            by_thumbprint: false,
            unprotected: 0,
        }
    }

    fn chain(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder.u8(33).unwrap().array(self.chain.len() as u64).unwrap();
        for der in &self.chain {
            encoder.bytes(der).unwrap();
        }
    }

    pub(crate) fn sign(&self, signer: &dyn Signer) -> Vec<u8> {
        let mut protected = Vec::new();
        let mut encoder = Encoder::new(&mut protected);
        let claims = u64::from(self.issuer.is_some()) + u64::from(self.subject.is_some());
        let members = 1 + u64::from(claims > 0) + u64::from(!self.chain.is_empty());
        encoder.map(members).unwrap().u8(1).unwrap().i64(self.algorithm).unwrap();
        if claims > 0 {
            encoder.u8(15).unwrap().map(claims).unwrap();
            for (label, claim) in [(1, self.issuer), (2, self.subject)] {
                if let Some(claim) = claim {
                    encoder.u8(label).unwrap().str(claim).unwrap();
                }
            }
        }
        if self.by_thumbprint {
            encoder.u8(34).unwrap().array(2).unwrap().i8(-16).unwrap().bytes(&sha256(&self.chain[0])).unwrap();
        } else if !self.chain.is_empty() {
            self.chain(&mut encoder);
        }
        let payload = self.payload.clone().unwrap_or_default();
        let mut signed = Vec::new();
        let mut encoder = Encoder::new(&mut signed);
        encoder.array(4).unwrap().str("Signature1").unwrap().bytes(&protected).unwrap();
        encoder.bytes(&[]).unwrap().bytes(&payload).unwrap();
        let algorithm = match self.algorithm {
            -37 => SignatureAlgorithm::RsaPss(Hash::Sha256),
            -7 => SignatureAlgorithm::EcdsaFixed(Hash::Sha256),
            _ => SignatureAlgorithm::RsaPkcs1(Hash::Sha256),
        };
        let signature = signer.sign(algorithm, &signed).unwrap();
        let mut message = Vec::new();
        let mut encoder = Encoder::new(&mut message);
        encoder.tag(Tag::new(18)).unwrap().array(4).unwrap().bytes(&protected).unwrap();
        encoder.map(self.unprotected + u64::from(self.by_thumbprint)).unwrap();
        for n in 0..self.unprotected {
            encoder.u64(1000 + n).unwrap().str("hint").unwrap();
        }
        if self.by_thumbprint {
            self.chain(&mut encoder);
        }
        match &self.payload {
            Some(payload) => encoder.bytes(payload).unwrap(),
            None => encoder.null().unwrap(),
        };
        encoder.bytes(&signature).unwrap();
        message
    }
}
