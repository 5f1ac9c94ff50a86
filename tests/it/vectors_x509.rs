//! Paths and revocation against suites from outside: C2SP x509-limbo and NIST PKITS.
//!
//! A case that must fail and passes is a failure of ours, always. Known divergences are predicates on a case's features

//! with their reasons; a case that a predicate covers and that passes all the same is reported too.

use std::sync::Arc;

use crate::fixtures::conformance::Count;
use crate::fixtures::vectors::folder;
use affiant::clock::parse_time;
use affiant::crypto::KeyError;
use affiant::pki::oid::ObjectIdentifier;
use affiant::pki::{
    Budget, Certificate, Crl, CrlRuleError, NoPath, PathOutcome, PathProfile, PathRule, Purpose, Reasons,
    RevocationStatus, Strictness, TrustAnchors, ValidPath, Version, find_path, pem_blocks,
};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// "Now" for the cases that name no time: all of them are made to be valid for centuries, or to have expired long ago.
const NOW: &str = "2026-07-01T00:00:00Z";

/// How many keys of the same authority may vouch for one another in a row.
const SIGNERS_MAX: usize = 2;

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a suite's cases came to.
struct Tally {
    counted: Count,
    wrong: Vec<String>,
}

impl Tally {
    fn new(suite: &'static str) -> Self {
        Self { counted: Count::new(suite), wrong: Vec::new() }
    }

    fn count(&mut self, id: &str, expected_valid: bool, result: &Result<(), String>, divergence: Option<&str>) {
        match (expected_valid == result.is_ok(), divergence) {
            (true, None) => self.counted.passed(id),
            (false, Some(reason)) => {
                self.counted.diverged(id, reason);
                println!("diverges: {id}: {reason}");
            }
            (true, Some(reason)) => self.wrong.push(format!("{id}: should diverge ({reason}) and does not")),
            (false, None) => {
                let expected = if expected_valid { "valid" } else { "invalid" };
                self.wrong.push(format!("{id}: expected {expected}, got {result:?}"));
            }
        }
    }

    fn finish(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        self.counted.finish();
    }
}

/// One validation as both suites ask for it: a path, its periods, its revocation.
struct Case {
    leaf: Arc<Certificate>,
    offered: Vec<Arc<Certificate>>,
    anchors: TrustAnchors,
    crls: Vec<Crl>,
    profile: PathProfile,
    time: DateTime<Utc>,
    /// Whether a certificate that no list speaks of is refused.
    requires_status: bool,
}

impl Case {
    fn validate(&self) -> Result<(), String> {
        let path = self.path(&self.leaf)?;
        path.check_validity_at(self.time).map_err(|(depth, why)| format!("certificate {depth}: {why}"))?;
        let below_anchor = path.certificates().len() - 1;
        for (depth, certificate) in path.certificates()[..below_anchor].iter().enumerate() {
            self.check_revocation(certificate, &path.certificates()[depth + 1])?;
        }
        Ok(())
    }

    fn path(&self, leaf: &Arc<Certificate>) -> Result<ValidPath, String> {
        match find_path(leaf, &self.offered, &self.anchors, &self.profile, &mut Budget::default()) {
            PathOutcome::Valid(path) => Ok(path),
            PathOutcome::Broken { violations, .. } => Err(violations[0].to_string()),
            PathOutcome::NoPath(why) => Err(why.to_string()),
        }
    }

    fn check_revocation(&self, certificate: &Certificate, issuer: &Arc<Certificate>) -> Result<(), String> {
        let mut unknown = None;
        let mut good = false;
        let mut reasons = Reasons::default();
        for crl in &self.crls {
            match self.usable(crl, issuer, SIGNERS_MAX).map(|()| crl.revocation_of(certificate)) {
                Ok(RevocationStatus::Good) => good = true,
                Ok(RevocationStatus::GoodFor(some)) => reasons = reasons.and(some),
                Ok(RevocationStatus::Revoked(entry)) => return Err(format!("revoked at {}", entry.revoked_at)),
                Ok(RevocationStatus::NotCovered(why) | RevocationStatus::Unusable(why)) | Err(why) => {
                    unknown = Some(why);
                }
            }
        }
        good |= reasons.are_all();
        match unknown {
            // A list by another authority is no statement about this certificate.
            Some(CrlRuleError::IssuerDiffers { .. }) if !self.requires_status => Ok(()),
            Some(why) if !good => Err(format!("revocation unknown: {why}")),
            None if !good && self.requires_status => Err("revocation unknown: no list".to_owned()),
            _ => Ok(()),
        }
    }

    /// The issuer's key, or another key of the same name with a path and a good status of its own, made the list.
    fn usable(&self, crl: &Crl, issuer: &Arc<Certificate>, signers_max: usize) -> Result<(), CrlRuleError> {
        crl.check_rules()?;
        let in_time = crl.this_update() <= self.time && crl.next_update().is_some_and(|next| self.time <= next);
        if !in_time {
            return Err(CrlRuleError::Signature("the list is not of this time".to_owned()));
        }
        let mut result = crl.check_signature(issuer);
        for other in self.offered.iter().filter(|other| other.subject() == issuer.subject()) {
            if result.is_err() && self.may_sign_lists(other, signers_max) {
                result = crl.check_signature(other);
            }
        }
        result
    }

    /// A signer of lists needs a path, and its own authority's word that it is not revoked; where it is that authority
    /// itself, under its next key, its own word.
    fn may_sign_lists(&self, signer: &Arc<Certificate>, signers_max: usize) -> bool {
        let Ok(path) = self.path(signer) else { return false };
        let (Some(issuer), Some(signers_max)) = (path.certificates().get(1), signers_max.checked_sub(1)) else {
            return false;
        };
        self.crls.iter().any(|crl| {
            let own = signer.is_self_issued() && crl.check_signature(signer).is_ok();
            (own || self.usable(crl, issuer, signers_max).is_ok())
                && crl.revocation_of(signer) == RevocationStatus::Good
        })
    }
}

fn parse_all(texts: &[&str]) -> Vec<Arc<Certificate>> {
    // What does not parse is as good as not offered.
    let ders = texts.iter().filter_map(|text| pem_blocks(text, "CERTIFICATE", 1).ok()).flatten();
    ders.filter_map(|der| Certificate::from_der(&der).ok()).map(Arc::new).collect()
}

fn limbo_case(case: &Value) -> Result<Case, String> {
    let id = case["id"].as_str().unwrap();
    let leaf = pem_blocks(case["peer_certificate"].as_str().unwrap(), "CERTIFICATE", 1).map_err(|e| e.to_string())?;
    let leaf = Certificate::from_der(&leaf[0]).map_err(|error| error.to_string())?;
    let crls = strings(&case["crls"]).into_iter().map(Crl::from_pem).collect::<Result<_, _>>();
    // The suite's own name for a case says whose rules it tests: RFC 5280's, or those of public hierarchies.
    let strictness = if id.starts_with("webpki::") { Strictness::Baseline } else { Strictness::Conforming };
    let mut profile = PathProfile { strictness, key_usage_any: &[], ..PathProfile::any_purpose() };
    if let Some(depth) = case["max_chain_depth"].as_u64() {
        profile.intermediates_max = usize::try_from(depth).unwrap();
    }
    let purpose = |usage: &&str| {
        Purpose::Usage(ObjectIdentifier::new_unwrap(match *usage {
            "anyExtendedKeyUsage" => "2.5.29.37.0",
            "serverAuth" => "1.3.6.1.5.5.7.3.1",
            "clientAuth" => "1.3.6.1.5.5.7.3.2",
            "codeSigning" => "1.3.6.1.5.5.7.3.3",
            "emailProtection" => "1.3.6.1.5.5.7.3.4",
            "timeStamping" => "1.3.6.1.5.5.7.3.8",
            "OCSPSigning" => "1.3.6.1.5.5.7.3.9",
            other => panic!("extended key usage {other} has no place in this harness"),
        }))
    };
    profile.purposes = strings(&case["extended_key_usage"]).iter().take(1).map(purpose).collect();
    let time = parse_time(case["validation_time"].as_str().unwrap_or(NOW)).unwrap();
    profile.preferred_time = Some(time);
    Ok(Case {
        leaf: Arc::new(leaf),
        offered: parse_all(&strings(&case["untrusted_intermediates"])),
        anchors: TrustAnchors::new(parse_all(&strings(&case["trusted_certs"]))),
        crls: crls.map_err(|error: affiant::pki::CrlError| error.to_string())?,
        profile,
        time,
        requires_status: false,
    })
}

#[test]
fn x509_limbo_vectors() {
    let Some(directory) = folder("x509-limbo") else { return };
    let suite: Value = serde_json::from_slice(&std::fs::read(directory.join("limbo.json")).unwrap()).unwrap();
    let mut tally = Tally::new("x509-limbo");
    for case in suite["testcases"].as_array().unwrap() {
        let result = limbo_case(case).and_then(|case| case.validate());
        tally.count(case["id"].as_str().unwrap(), case["expected_result"] == "SUCCESS", &result, None);
    }
    tally.finish();
}

#[test]
fn pkits_vectors() {
    let Some(directory) = folder("pkits") else { return };
    let suite: Value = serde_json::from_slice(&std::fs::read(directory.join("pkits.json")).unwrap()).unwrap();
    let read = |folder: &str, name: &str| std::fs::read(directory.join(folder).join(name)).unwrap();
    let certificate = |name: &str| {
        Arc::new(Certificate::from_der(&read("certs", name)).unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    let anchor = certificate("TrustAnchorRootCertificate.crt");
    let mut tally = Tally::new("PKITS");
    for case in suite.as_array().unwrap() {
        let mut crls: Vec<Crl> = vec![Crl::from_der(&read("crls", "TrustAnchorRootCRL.crl")).unwrap()];
        crls.extend(strings(&case["crls"]).iter().map(|name| Crl::from_der(&read("crls", name)).unwrap()));
        let checked = case["revocation"] != Value::Bool(false);
        let case_ = Case {
            leaf: certificate(case["cert"].as_str().unwrap()),
            offered: strings(&case["other_certs"]).iter().map(|name| certificate(name)).collect(),
            anchors: TrustAnchors::new(vec![Arc::clone(&anchor)]),
            crls: if checked { crls } else { Vec::new() },
            profile: PathProfile {
                // NIST's authorities are older than some of RFC 5280's rules for authorities, and test the tolerance.
                strictness: Strictness::Tolerant,
                key_usage_any: &[],
                ..PathProfile::any_purpose()
            },
            time: parse_time(NOW).unwrap(),
            requires_status: checked,
        };
        let expected = case["error"].is_null();
        let result = case_.validate();
        tally.count(case["name"].as_str().unwrap(), expected, &result, pkits_divergence(&case_, expected));
    }
    tally.finish();
}

/// Where we refuse what PKITS lets pass.
fn pkits_divergence(case: &Case, expected_valid: bool) -> Option<&'static str> {
    let unsupported =
        |certificate: &Arc<Certificate>| matches!(certificate.key(), Err(KeyError::UnsupportedAlgorithm(_)));
    if expected_valid && case.offered.iter().any(unsupported) {
        return Some("keys of an algorithm that no record is signed with any more (DSA) are not verified with");
    }
    let says = |rule: &CrlRuleError| {
        case.crls.iter().any(|crl| crl.revocation_of(&case.leaf) == RevocationStatus::NotCovered(rule.clone()))
    };
    if expected_valid && says(&CrlRuleError::Indirect) {
        return Some("indirect lists are never read: whoever may speak for another issuer is one more party to trust");
    }
    None
}

#[test]
fn vcon_draft_chain_vectors() {
    use base64::Engine as _;
    let Some(directory) = folder("vcon-core-03") else { return };
    let text = std::fs::read(directory.join("ab_call_ext_rec_signed.vcon")).unwrap();
    let record: Value = serde_json::from_slice(&text).unwrap();
    let chain: Vec<Arc<Certificate>> = strings(&record["signatures"][0]["header"]["x5c"])
        .into_iter()
        .map(|text| base64::engine::general_purpose::STANDARD.decode(text).unwrap())
        .map(|der| Arc::new(Certificate::from_der(&der).unwrap()))
        .collect();
    let (leaf, rest) = chain.split_first().unwrap();
    let profile = PathProfile::any_purpose();

    let untrusted = find_path(leaf, rest, &TrustAnchors::default(), &profile, &mut Budget::default());
    assert!(matches!(untrusted, PathOutcome::NoPath(NoPath::NoAnchors)));

    let anchors = TrustAnchors::new(vec![Arc::clone(rest.last().unwrap())]);
    let outcome = find_path(leaf, rest, &anchors, &profile, &mut Budget::default());
    let PathOutcome::Broken { path, violations } = outcome else { panic!("{outcome:?}") };
    assert_eq!(path.certificates().len(), 3);
    for depth in [0, 1] {
        let old = PathRule::Version(Version::V1);
        assert!(violations.iter().any(|violation| violation.depth == depth && violation.rule == old), "{depth}");
    }
    assert!(violations.iter().all(|violation| !violation.rule.is_cryptographic()));
}
