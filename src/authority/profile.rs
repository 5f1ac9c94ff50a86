//! Certificate profiles: what a certificate of each kind says, read from `certs/profiles/*.toml`.

use std::path::Path;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::atomic_file::{self, Access};
use crate::crypto::KeySize;
use crate::path_error::PathError;
use crate::pki::oid::ObjectIdentifier;

/// Largest profile file: ours are below 1 KiB.
const PROFILE_BYTES_MAX: u64 = 16 * 1024;
/// Longest validity that is taken, 30 years: beyond it nobody can say what an algorithm is worth.
const VALIDITY_DAYS_MAX: i64 = 30 * 366;

/// How long before its issue a certificate begins: clocks of those who check it may be behind.
pub(super) const BACK_DATED: TimeDelta = TimeDelta::minutes(5);

/// The profile of certificates of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateProfile {
    key: RsaKey,
    /// From notBefore to notAfter.
    pub validity_days: i64,
    /// For how long a leaf's key signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_days: Option<i64>,
    /// When a leaf's successor is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_days: Option<i64>,
    /// Whether it is a certificate authority.
    pub authority: bool,
    /// How many authorities may follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_length: Option<u8>,
    /// Key usage; always critical.
    pub key_usages: Vec<ProfileKeyUsage>,
    /// Extended key usage, as object identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_key_usages: Vec<String>,
    /// Whether the extended key usages are critical.
    #[serde(default)]
    pub extended_key_usages_critical: bool,
    /// The policies that it is issued under, as object identifiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// An authority's lists: from thisUpdate to nextUpdate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_validity_days: Option<i64>,
    /// An authority's lists: when the next one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl_renew_hours: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum RsaKey {
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// A key usage that a profile may name (RFC 5280 §4.2.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfileKeyUsage {
    /// Signatures on data.
    #[serde(rename = "digitalSignature")]
    DigitalSignature,
    /// Signatures that their maker stands by (contentCommitment).
    #[serde(rename = "nonRepudiation")]
    NonRepudiation,
    /// Signatures on certificates.
    #[serde(rename = "keyCertSign")]
    KeyCertSign,
    /// Signatures on revocation lists.
    #[serde(rename = "cRLSign")]
    CrlSign,
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum ProfileError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] PathError),
    /// The file is not TOML, or has members that no profile has.
    #[error("profile {name}: {cause}")]
    Toml {
        /// Which profile.
        name: &'static str,
        cause: Box<toml::de::Error>,
    },
    /// A profile says what no certificate of its kind may say.
    #[error("profile {name}: {rule}")]
    Rule {
        /// Which profile.
        name: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
}

impl CertificateProfile {
    /// The size of the key.
    #[must_use]
    pub fn key_size(&self) -> KeySize {
        match self.key {
            RsaKey::Rsa2048 => KeySize::Rsa2048,
            RsaKey::Rsa3072 => KeySize::Rsa3072,
            RsaKey::Rsa4096 => KeySize::Rsa4096,
        }
    }

    /// From notBefore to notAfter.
    #[must_use]
    pub fn validity(&self) -> TimeDelta {
        TimeDelta::days(self.validity_days)
    }

    /// For how long the key signs: as long as the certificate is valid, where the profile says nothing else.
    #[must_use]
    pub fn active(&self) -> TimeDelta {
        self.active_days.map_or_else(|| self.validity(), TimeDelta::days)
    }

    /// How long after its issue a certificate's successor is due.
    #[must_use]
    pub fn renewed_after(&self) -> TimeDelta {
        self.renew_days.map_or_else(|| self.active(), TimeDelta::days)
    }

    /// From thisUpdate to nextUpdate of an authority's lists.
    #[must_use]
    pub fn crl_validity(&self) -> TimeDelta {
        TimeDelta::days(self.crl_validity_days.unwrap_or(7))
    }

    /// How long after a list the next one is made.
    #[must_use]
    pub fn crl_renewed_after(&self) -> TimeDelta {
        self.crl_renew_hours.map_or(TimeDelta::days(1), TimeDelta::hours)
    }

    fn check(&self, name: &'static str, is_authority: bool) -> Result<(), ProfileError> {
        let oids = self.extended_key_usages.iter().chain(&self.policies);
        let rules = [
            (self.authority != is_authority, "an authority is needed here, or is not allowed here"),
            (!(1..=VALIDITY_DAYS_MAX).contains(&self.validity_days), "validity_days is outside of 1 to 10980"),
            (
                !(TimeDelta::days(1)..=self.validity()).contains(&self.active()),
                "active_days is longer than the validity",
            ),
            (!(TimeDelta::days(1)..=self.active()).contains(&self.renewed_after()), "renew_days is after active_days"),
            (self.crl_renewed_after() >= self.crl_validity(), "crl_renew_hours is not within crl_validity_days"),
            (self.crl_renewed_after() <= TimeDelta::zero(), "crl_renew_hours is not positive"),
            (self.key_usages.is_empty(), "key_usages is empty"),
            (
                is_authority != self.key_usages.contains(&ProfileKeyUsage::KeyCertSign),
                "keyCertSign is for authorities, and needed by them",
            ),
            (oids.into_iter().any(|oid| ObjectIdentifier::new(oid).is_err()), "an object identifier is malformed"),
        ];
        match rules.into_iter().find(|(is_broken, _)| *is_broken) {
            Some((_, rule)) => Err(ProfileError::Rule { name, rule }),
            None => Ok(()),
        }
    }
}

/// The profiles of one authority.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct Profiles {
    pub root: CertificateProfile,
    /// Authorities that issue leaves.
    pub issuing_ca: CertificateProfile,
    /// Certificates that sign vCons.
    pub signing_leaf: CertificateProfile,
    /// Timestamp authorities of our own.
    pub timestamp: CertificateProfile,
    /// Who answers for the root's certificates.
    pub ocsp_responder: CertificateProfile,
}

const ROOT: (&str, &str) = ("root", include_str!("../../certs/profiles/root.toml"));
const ISSUING_CA: (&str, &str) = ("issuing-ca", include_str!("../../certs/profiles/issuing-ca.toml"));
const SIGNING_LEAF: (&str, &str) = ("signing-leaf", include_str!("../../certs/profiles/signing-leaf.toml"));
const OCSP_RESPONDER: (&str, &str) = ("ocsp-responder", include_str!("../../certs/profiles/ocsp-responder.toml"));
const TIMESTAMP: (&str, &str) = ("timestamp", include_str!("../../certs/profiles/timestamp.toml"));

impl Profiles {
    /// Gives the built-in profiles, each replaced by the file of its name in `directory` where there is one.
    ///
    /// # Errors
    /// When a file cannot be read, or says what no certificate of its kind may say.
    pub fn load(directory: Option<&Path>) -> Result<Self, ProfileError> {
        Ok(Self {
            root: load(directory, ROOT, true)?,
            issuing_ca: load(directory, ISSUING_CA, true)?,
            signing_leaf: load(directory, SIGNING_LEAF, false)?,
            timestamp: load(directory, TIMESTAMP, false)?,
            ocsp_responder: load(directory, OCSP_RESPONDER, false)?,
        })
    }

    /// Gives the same profiles with RSA keys of 2048 bits, which are allowed and quick to make.
    #[must_use]
    pub fn with_smallest_keys(mut self) -> Self {
        let Self { root, issuing_ca, signing_leaf, timestamp, ocsp_responder } = &mut self;
        for profile in [root, issuing_ca, signing_leaf, timestamp, ocsp_responder] {
            profile.key = RsaKey::Rsa2048;
        }
        self
    }

    /// Writes the profiles where [`load`](Self::load) finds them.
    pub(super) fn save(&self, directory: &Path) -> Result<(), ProfileError> {
        let profiles = [
            (ROOT.0, &self.root),
            (ISSUING_CA.0, &self.issuing_ca),
            (SIGNING_LEAF.0, &self.signing_leaf),
            (TIMESTAMP.0, &self.timestamp),
            (OCSP_RESPONDER.0, &self.ocsp_responder),
        ];
        for (name, profile) in profiles {
            let path = directory.join(format!("{name}.toml"));
            let text = toml::to_string(profile).expect("a profile is plain TOML");
            if text.len() as u64 > PROFILE_BYTES_MAX {
                return Err(ProfileError::Rule { name, rule: "it is larger than what is read of a profile" });
            }
            atomic_file::write(&path, text.as_bytes(), Access::Public).map_err(PathError::at(&path))?;
        }
        Ok(())
    }
}

fn load(
    directory: Option<&Path>,
    (name, built_in): (&'static str, &'static str),
    is_authority: bool,
) -> Result<CertificateProfile, ProfileError> {
    let path = directory.map(|directory| directory.join(format!("{name}.toml"))).filter(|path| path.exists());
    let text = match path {
        None => built_in.to_owned(),
        Some(path) => atomic_file::read(&path, PROFILE_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other))
            .map_err(PathError::at(&path))?,
    };
    let profile: CertificateProfile =
        toml::from_str(&text).map_err(|cause| ProfileError::Toml { name, cause: Box::new(cause) })?;
    profile.check(name, is_authority)?;
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profiles_keep_their_own_rules() {
        let profiles = Profiles::load(None).unwrap();
        assert_eq!(profiles.root.key_size(), KeySize::Rsa4096);
        assert_eq!(profiles.issuing_ca.path_length, Some(0));
        assert_eq!(profiles.signing_leaf.active(), TimeDelta::days(90));
        assert!(profiles.timestamp.extended_key_usages_critical);
    }

    #[test]
    fn a_directory_replaces_what_it_names_and_nothing_silly() {
        let directory = tempfile::tempdir().unwrap();
        let profiles = Profiles::load(None).unwrap().with_smallest_keys();
        profiles.save(directory.path()).unwrap();
        assert_eq!(Profiles::load(Some(directory.path())).unwrap(), profiles);

        let leaf = directory.path().join("signing-leaf.toml");
        let text = std::fs::read_to_string(&leaf).unwrap();
        for (from, to) in [
            ("validity_days = 460", "validity_days = 0"),
            ("renew_days = 60", "renew_days = 91"),
            ("authority = false", "authority = true"),
            ("digitalSignature", "keyCertSign"),
            ("key_usages =", "key_usage ="),
        ] {
            std::fs::write(&leaf, text.replacen(from, to, 1)).unwrap();
            assert!(Profiles::load(Some(directory.path())).is_err(), "{to}");
        }
    }

    #[test]
    fn a_profile_that_would_not_be_read_again_is_not_written() {
        let (given, own) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut text = SIGNING_LEAF.1.to_owned();
        let policies = vec!["'1.2.3'"; 1950].join(",");
        text.push_str(&format!("\npolicies=[{policies}]\n"));
        let text = text.replace("policies = [", "# policies = [");
        assert!(text.len() as u64 <= PROFILE_BYTES_MAX);
        std::fs::write(given.path().join("signing-leaf.toml"), text).unwrap();
        let profiles = Profiles::load(Some(given.path())).unwrap();
        assert!(matches!(profiles.save(own.path()), Err(ProfileError::Rule { name: "signing-leaf", .. })));
        assert!(!own.path().join("signing-leaf.toml").exists());
    }
}
