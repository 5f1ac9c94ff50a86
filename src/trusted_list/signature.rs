//! The signature of a trusted list (TS 119 612 §5.7): an XML signature that the list envelops.
//!
//! Of XML signatures (<https://www.w3.org/TR/xmldsig-core1/>) as much as lists have: references within the document, no
//! transforms but canonicalizations, and no key but those that the relying party named.

use std::sync::Arc;

use roxmltree::{Document, Node};

use super::canonical::{Canonicalization, canonicalize};
use super::xml::{SIGNATURE, base64, child, children};
use crate::crypto::{Hash, SignatureAlgorithm, ecdsa_der, sha256, sha384, sha512};
use crate::pki::Certificate;

/// The canonicalization that the profile wants, and that of references that name none (XMLDSig §4.4.3.2).
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// References of one signature: the list, the signed properties, and some more.
const REFERENCES_MAX: usize = 8;
/// Keys that a signature is held against.
pub(super) const SIGNERS_MAX: usize = 64;

/// Why a signature does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum XmlSignatureError {
    /// There is none, or more than one.
    #[error("the list has {0} signatures, and not one")]
    Count(usize),
    /// It is not of the form of TS 119 612.
    #[error("the signature has no {0}")]
    Missing(&'static str),
    /// An algorithm that the profile does not have, or that is not trusted.
    #[error("{what} {uri:?} is not one that is taken")]
    Algorithm { what: &'static str, uri: String },
    /// It does not cover the list.
    #[error("the signature does not cover the whole list")]
    NotWhole,
    /// It refers to something that is not there once, or not inside it.
    #[error("the signature refers to {0:?}")]
    Reference(String),
    /// What it covers is not what was signed.
    #[error("what the signature covers at {0:?} was changed")]
    Changed(String),
    /// None of the certificates that were named has the key that made it.
    #[error("none of the {0} certificates that may sign it made its signature")]
    Signer(usize),
}

/// Checks the one signature of `document` against those who may sign it, and gives the certificate whose key made it.
///
/// # Errors
/// When there is not exactly one, it does not cover the whole list, or nobody of `signers` made it.
pub(super) fn check_signature(
    document: &Document<'_>,
    signers: &[Arc<Certificate>],
) -> Result<Arc<Certificate>, XmlSignatureError> {
    let root = document.root_element();
    let count = children(root, SIGNATURE, "Signature").count();
    let signature =
        child(root, SIGNATURE, "Signature").filter(|_| count == 1).ok_or(XmlSignatureError::Count(count))?;
    let info = only(signature, "SignedInfo")?;
    let method = canonicalization(only(info, "CanonicalizationMethod")?)?;
    let references: Vec<_> = children(info, SIGNATURE, "Reference").take(REFERENCES_MAX + 1).collect();
    if references.len() > REFERENCES_MAX {
        return Err(XmlSignatureError::NotWhole);
    }
    let mut whole = false;
    for reference in references {
        whole |= check_reference(document, signature, reference)?;
    }
    if !whole {
        return Err(XmlSignatureError::NotWhole);
    }
    let value = base64(only(signature, "SignatureValue")?).ok_or(XmlSignatureError::Missing("SignatureValue"))?;
    let signed = canonicalize(info, None, &method);
    let algorithm = signature_algorithm(only(info, "SignatureMethod")?)?;
    let value = match algorithm {
        // XMLDSig §6.4.3 has r ‖ s, on whatever curve and with whatever hash.
        SignatureAlgorithm::EcdsaDer(_) => ecdsa_der(&value).unwrap_or_default(),
        _ => value,
    };
    let made = signers
        .iter()
        .take(SIGNERS_MAX)
        .find(|signer| signer.key().is_ok_and(|key| key.check_signature(algorithm, &signed, &value).is_ok()));
    made.cloned().ok_or(XmlSignatureError::Signer(signers.len()))
}

/// Checks one reference, and gives whether it is to the whole list.
fn check_reference<'a>(
    document: &'a Document<'a>,
    signature: Node<'a, 'a>,
    reference: Node<'a, 'a>,
) -> Result<bool, XmlSignatureError> {
    let uri = reference.attribute("URI").unwrap_or("?");
    let transforms = child(reference, SIGNATURE, "Transforms");
    let mut transforms = transforms.into_iter().flat_map(|list| list.children().filter(Node::is_element)).peekable();
    let enveloped = transforms.next_if(|first| algorithm(*first) == ENVELOPED).is_some();
    let method = transforms.next().map_or(Ok(Canonicalization::Inclusive), canonicalization)?;
    if let Some(third) = transforms.next() {
        return Err(refused("transform", third));
    }
    let (apex, is_whole) = match uri.strip_prefix('#') {
        None if uri.is_empty() => (document.root(), true),
        None => return Err(XmlSignatureError::Reference(uri.to_owned())),
        Some(id) => {
            let apex = by_id(document, id).ok_or_else(|| XmlSignatureError::Reference(uri.to_owned()))?;
            (apex, apex == document.root_element())
        }
    };
    // What is inside the signature may be covered as well; anything else beside the whole would be covered twice.
    if is_whole != enveloped || !(is_whole || apex.ancestors().any(|one| one == signature)) {
        return Err(XmlSignatureError::Reference(uri.to_owned()));
    }
    let covered = canonicalize(apex, enveloped.then(|| signature.id()), &method);
    let digest = only(reference, "DigestMethod")?;
    let digest = match digest_algorithm(algorithm(digest)).ok_or_else(|| refused("digest", digest))? {
        Hash::Sha256 => sha256(&covered).to_vec(),
        Hash::Sha384 => sha384(&covered).to_vec(),
        Hash::Sha512 => sha512(&covered).to_vec(),
    };
    if base64(only(reference, "DigestValue")?) != Some(digest) {
        return Err(XmlSignatureError::Changed(uri.to_owned()));
    }
    Ok(is_whole)
}

/// The one child with a name; an element that is there twice says two things.
fn only<'a>(node: Node<'a, 'a>, name: &'static str) -> Result<Node<'a, 'a>, XmlSignatureError> {
    let mut found = children(node, SIGNATURE, name);
    found.next().filter(|_| found.next().is_none()).ok_or(XmlSignatureError::Missing(name))
}

/// The one element with an identifier; where two have it, none.
fn by_id<'a>(document: &'a Document<'a>, id: &str) -> Option<Node<'a, 'a>> {
    let has = |node: &Node<'_, '_>| ["Id", "ID", "id"].iter().any(|name| node.attribute(*name) == Some(id));
    let mut found = document.descendants().filter(has);
    found.next().filter(|_| found.next().is_none())
}

fn algorithm<'a>(node: Node<'a, 'a>) -> &'a str {
    node.attribute("Algorithm").unwrap_or_default()
}

fn refused(what: &'static str, node: Node<'_, '_>) -> XmlSignatureError {
    XmlSignatureError::Algorithm { what, uri: algorithm(node).to_owned() }
}

/// The canonicalization that an element names.
fn canonicalization<'a>(method: Node<'a, 'a>) -> Result<Canonicalization<'a>, XmlSignatureError> {
    match algorithm(method) {
        INCLUSIVE => Ok(Canonicalization::Inclusive),
        EXCLUSIVE => {
            let prefixes = child(method, EXCLUSIVE, "InclusiveNamespaces").and_then(|one| one.attribute("PrefixList"));
            Ok(Canonicalization::Exclusive(prefixes.unwrap_or_default().split_whitespace().collect()))
        }
        _ => Err(refused("canonicalization", method)),
    }
}

fn digest_algorithm(uri: &str) -> Option<Hash> {
    Some(match uri {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Hash::Sha256,
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Hash::Sha384,
        "http://www.w3.org/2001/04/xmlenc#sha512" => Hash::Sha512,
        _ => return None,
    })
}

/// The algorithms of RFC 9231 that are trusted.
fn signature_algorithm(method: Node<'_, '_>) -> Result<SignatureAlgorithm, XmlSignatureError> {
    let uri = algorithm(method);
    let hash = |name: &str| match name {
        "sha256" => Some(Hash::Sha256),
        "sha384" => Some(Hash::Sha384),
        "sha512" => Some(Hash::Sha512),
        _ => None,
    };
    let found = if let Some(name) = uri.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#rsa-") {
        hash(name).map(SignatureAlgorithm::RsaPkcs1)
    } else if let Some(name) = uri.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#ecdsa-") {
        hash(name).map(SignatureAlgorithm::EcdsaDer)
    } else {
        let name = uri.strip_prefix("http://www.w3.org/2007/05/xmldsig-more#");
        name.and_then(|name| name.strip_suffix("-rsa-MGF1")).and_then(hash).map(SignatureAlgorithm::RsaPss)
    };
    found.ok_or_else(|| refused("signature algorithm", method))
}
