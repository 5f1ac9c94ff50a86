//! A witness's directory: its keys and certificates, the logs that it follows, and their newest checkpoints.
//!
//! ```text
//! witness.toml    name, algorithms of the keys, timestamp policy
//! witness.key     Ed25519, PKCS#8, and
//! witness-ml-dsa-44.key   ML-DSA-44, PKCS#8: one of them or both
//! tsa-root.key    RSA-3072, PKCS#8: signs the revocation lists of the root; without it there are none
//! tsa-root.pem    the anchor that tokens lead to
//! tsa.key         RSA-3072, PKCS#8
//! tsa.pem         the certificate that signs tokens
//! tsa-revoked     certificates that were revoked, one a line: serial number, time, reason
//! logs            one verifier key a line
//! state/          the checkpoint cosigned last, by the hash of its origin
//! lock            held while a witness runs
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use der::Decode as _;
use serde::{Deserialize, Serialize};
use x509_cert::Certificate;

use super::cosigner::cosigning_key::{CosigningAlgorithm, CosigningKey};
use super::cosigner::witness::{OpenError, Witness};
use super::key_file::{self, KeyFileError, Passphrase};
use super::tsa::certificates::{certificates, key_pair, root_params};
use super::tsa::revocation_lists::RevocationLists;
use super::tsa::revoked_certificate::RevokedCertificate;
use super::tsa::timestamp_authority::TimestampAuthority;
use crate::atomic_file::{self, Access};
use crate::clock::Clock;
use crate::crypto::{KeySize, Signer as _, SigningKey};
use crate::path_error::PathError;
use crate::pki::RevocationReason;
use crate::tlog::{VerifierKey, VerifierKeyError};
use crate::vfs::FileLock;

/// Bytes of the settings, the logs and each certificate: thousands of logs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why a directory cannot be made or opened.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub enum WitnessDirError {
    /// There is one already.
    #[error("{0} is the directory of a witness already")]
    Exists(PathBuf),
    /// Another process runs on it.
    #[error("another process holds {0}")]
    Locked(PathBuf),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] PathError),
    /// A file is longer than any should be.
    #[error("{0} is longer than {FILE_BYTES_MAX} bytes")]
    TooLong(PathBuf),
    /// The settings are not TOML of the right members.
    #[error("the settings in {0} are malformed")]
    Settings(PathBuf),
    /// The policy is not an object identifier.
    #[error("{0:?} is not an object identifier")]
    Policy(String),
    /// A key was not kept or not read.
    #[error("{path}: {cause}")]
    Key { path: PathBuf, cause: KeyFileError },
    /// A certificate was not made.
    #[error("a certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// A certificate is not PEM, or not of the key beside it.
    #[error("{0} is not the certificate of the key beside it")]
    OtherCertificate(PathBuf),
    /// The name, or the key of a log, is not one.
    #[error(transparent)]
    VerifierKey(#[from] VerifierKeyError),
    /// A line of the logs is not a verifier key.
    #[error("line {line} of {path}: {cause}")]
    Log {
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        cause: VerifierKeyError,
    },
    /// A line of the revoked certificates does not name one.
    #[error("line {line} of {path} names no certificate, time and reason")]
    Revoked {
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// No key, or two of one algorithm.
    #[error("a witness needs at least one key, and at most one of each algorithm")]
    Algorithms,
    /// The witness's state could not be read.
    #[error(transparent)]
    Witness(#[from] OpenError),
}

/// The settings of a witness.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessSettings {
    /// The key name of its cosignatures.
    pub name: String,
    /// The algorithms of its keys, one key of each.
    #[serde(default = "ed25519_alone")]
    pub keys: Vec<CosigningAlgorithm>,
    /// The policy of its tokens, an object identifier.
    pub timestamp_policy: String,
}

/// The keys of a witness whose settings name none.
fn ed25519_alone() -> Vec<CosigningAlgorithm> {
    vec![CosigningAlgorithm::Ed25519]
}

/// A witness's directory.
#[derive(Clone, Debug)]
pub struct WitnessDir {
    path: PathBuf,
    settings: WitnessSettings,
}

/// A directory that was opened.
#[derive(Debug)]
#[allow(missing_docs, reason = "fields explain themselves")]
pub struct OpenedWitness {
    pub witness: Witness,
    /// The timestamp authority.
    pub authority: TimestampAuthority,
    /// Held for its lock: keep it as long as the two.
    pub lock: FileLock,
}

impl WitnessDir {
    /// Makes a new directory, with new keys and certificates that hold from `now`.
    ///
    /// # Errors
    /// When there is one at `path` already, the settings do not do, or a file cannot be written.
    pub fn init(
        path: &Path,
        settings: WitnessSettings,
        passphrase: Option<&Passphrase>,
        now: DateTime<Utc>,
    ) -> Result<Self, WitnessDirError> {
        if const_oid::ObjectIdentifier::new(&settings.timestamp_policy).is_err() {
            return Err(WitnessDirError::Policy(settings.timestamp_policy));
        }
        let algorithms = settings.keys.as_slice();
        let twice = (1..algorithms.len()).any(|at| algorithms[..at].contains(&algorithms[at]));
        if algorithms.is_empty() || twice {
            return Err(WitnessDirError::Algorithms);
        }
        let mut keys = Vec::new();
        for algorithm in algorithms {
            let (key, pkcs8) = CosigningKey::generate(*algorithm);
            key.verifier_key(&settings.name)?;
            keys.push((algorithm.file(), pkcs8));
        }
        let this = Self { path: path.to_owned(), settings };
        std::fs::create_dir_all(this.states()).map_err(PathError::at(&this.states()))?;
        let _lock = this.lock()?;
        // Written last, so what a crash left behind is not taken for a witness.
        if this.file("witness.toml").exists() {
            return Err(WitnessDirError::Exists(this.path));
        }

        let (_, root_pkcs8) = SigningKey::generate_rsa(KeySize::Rsa3072);
        let (_, signer_pkcs8) = SigningKey::generate_rsa(KeySize::Rsa3072);
        let (root, signer) = certificates(&this.settings.name, &root_pkcs8, &signer_pkcs8, now)?;
        for (name, pkcs8) in keys.into_iter().chain([("tsa-root.key", root_pkcs8), ("tsa.key", signer_pkcs8)]) {
            let path = this.file(name);
            key_file::write(&path, &pkcs8, passphrase).map_err(|cause| WitnessDirError::Key { path, cause })?;
        }
        let settings = toml::to_string(&this.settings).map_err(|_| WitnessDirError::Settings(this.path.clone()))?;
        for (name, text) in
            [("tsa-root.pem", root), ("tsa.pem", signer), ("logs", String::new()), ("witness.toml", settings)]
        {
            this.write(name, &text)?;
        }
        Ok(this)
    }

    /// Finds the directory of a witness.
    ///
    /// # Errors
    /// When there is none at `path`.
    pub fn at(path: &Path) -> Result<Self, WitnessDirError> {
        let file = path.join("witness.toml");
        let text = read(&file)?;
        let settings = toml::from_str(&text).map_err(|_| WitnessDirError::Settings(file))?;
        Ok(Self { path: path.to_owned(), settings })
    }

    /// Its settings.
    #[must_use]
    pub fn settings(&self) -> &WitnessSettings {
        &self.settings
    }

    /// The file of the anchor of its tokens, in PEM.
    #[must_use]
    pub fn root_certificate(&self) -> PathBuf {
        self.file("tsa-root.pem")
    }

    /// The keys of the logs that it follows.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is not a verifier key.
    pub fn logs(&self) -> Result<Vec<VerifierKey>, WitnessDirError> {
        let path = self.file("logs");
        let text = read(&path)?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
        lines
            .map(|(before, line)| {
                line.parse().map_err(|cause| WitnessDirError::Log { path: path.clone(), line: before + 1, cause })
            })
            .collect()
    }

    /// Follows one more log, or one more key of a log, from the next start on. Says whether it is new.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn add_log(&self, log: &VerifierKey) -> Result<bool, WitnessDirError> {
        let mut logs = self.logs()?;
        if logs.contains(log) {
            return Ok(false);
        }
        logs.push(log.clone());
        self.write("logs", &logs.iter().map(|log| format!("{log}\n")).collect::<String>())?;
        Ok(true)
    }

    /// Revokes the certificate that signs tokens, from the next start on. Says whether it was not revoked before.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the certificate is none.
    pub fn revoke_authority(&self, reason: RevocationReason, now: DateTime<Utc>) -> Result<bool, WitnessDirError> {
        let path = self.file("tsa.pem");
        let pem = read(&path)?;
        let der = der::pem::decode_vec(pem.as_bytes()).ok().map(|(_, der)| der);
        let serial = der.and_then(|der| serial_of(&der)).ok_or(WitnessDirError::OtherCertificate(path))?;
        let mut revoked = self.revoked()?;
        if revoked.iter().any(|one| one.serial == serial) {
            return Ok(false);
        }
        revoked.push(RevokedCertificate { serial, revoked_at: now, reason });
        self.write("tsa-revoked", &revoked.iter().map(|one| format!("{one}\n")).collect::<String>())?;
        Ok(true)
    }

    fn revoked(&self) -> Result<Vec<RevokedCertificate>, WitnessDirError> {
        let path = self.file("tsa-revoked");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = read(&path)?;
        let lines = text.lines().zip(1..);
        lines
            .map(|(text, line)| text.parse().map_err(|_| WitnessDirError::Revoked { path: path.clone(), line }))
            .collect()
    }

    /// Opens the witness and the timestamp authority, for this process alone.
    ///
    /// # Errors
    /// When another process holds the directory, or something in it cannot be read or does not belong together.
    pub fn open(
        &self,
        passphrase: Option<&Passphrase>,
        clock: &Arc<dyn Clock>,
    ) -> Result<OpenedWitness, WitnessDirError> {
        let lock = self.lock()?;
        let key = |name: &str| {
            let path = self.file(name);
            key_file::read(&path, passphrase).map_err(|cause| WitnessDirError::Key { path, cause })
        };
        let cosigning_key = |algorithm: &CosigningAlgorithm| {
            let path = self.file(algorithm.file());
            let pkcs8 = key_file::read_pkcs8(&path, passphrase);
            let key = pkcs8.and_then(|pkcs8| Ok(CosigningKey::from_pkcs8_der(*algorithm, &pkcs8)?));
            key.map_err(|cause| WitnessDirError::Key { path, cause })
        };
        let signers = self.settings.keys.iter().map(cosigning_key).collect::<Result<Vec<_>, _>>()?;
        let name = &self.settings.name;
        let witness = Witness::open(name, signers, &self.logs()?, &self.states(), Arc::clone(clock))?;
        let signer = key("tsa.key")?;
        // The root is left out: whoever trusts it has it.
        let chain = vec![self.certificate("tsa.pem", &signer)?];
        let policy = &self.settings.timestamp_policy;
        let revoked = self.revoked()?;
        let serial = serial_of(&chain[0]);
        let mut authority = TimestampAuthority::new(signer, chain, policy, Arc::clone(clock));
        if revoked.iter().any(|one| Some(&one.serial) == serial.as_ref()) {
            authority = authority.revoked();
        }
        if self.file("tsa-root.key").exists() {
            authority = authority.with_lists(self.lists(passphrase, revoked, clock)?);
        }
        Ok(OpenedWitness { witness, authority, lock })
    }

    /// The revocation lists of the root.
    fn lists(
        &self,
        passphrase: Option<&Passphrase>,
        revoked: Vec<RevokedCertificate>,
        clock: &Arc<dyn Clock>,
    ) -> Result<RevocationLists, WitnessDirError> {
        let path = self.file("tsa-root.key");
        let pkcs8 = key_file::read_pkcs8(&path, passphrase);
        let pkcs8 = pkcs8.map_err(|cause| WitnessDirError::Key { path: path.clone(), cause })?;
        let key = SigningKey::from_pkcs8_der(&pkcs8);
        let key = key.map_err(|cause| WitnessDirError::Key { path, cause: cause.into() })?;
        self.certificate("tsa-root.pem", &key)?;
        let root = root_params(&self.settings.name, clock.now());
        Ok(RevocationLists::new(root, key_pair(&pkcs8)?, revoked, Arc::clone(clock)))
    }

    fn certificate(&self, name: &str, key: &SigningKey) -> Result<Vec<u8>, WitnessDirError> {
        let path = self.file(name);
        let pem = read(&path)?;
        let other = || WitnessDirError::OtherCertificate(path.clone());
        let (_, der) = der::pem::decode_vec(pem.as_bytes()).map_err(|_| other())?;
        let certificate = Certificate::from_der(&der).map_err(|_| other())?;
        let spki = der::Encode::to_der(certificate.tbs_certificate().subject_public_key_info());
        let spki = spki.map_err(|_| other())?;
        if key.verifying_key().spki_der() != spki {
            return Err(other());
        }
        Ok(der)
    }

    fn lock(&self) -> Result<FileLock, WitnessDirError> {
        let lock = FileLock::take(&self.file("lock")).map_err(PathError::at(&self.file("lock")))?;
        lock.ok_or_else(|| WitnessDirError::Locked(self.path.clone()))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), WitnessDirError> {
        let path = self.file(name);
        Ok(atomic_file::write(&path, text.as_bytes(), Access::Public).map_err(PathError::at(&path))?)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn states(&self) -> PathBuf {
        self.file("state")
    }
}

/// The serial number of a certificate, in hexadecimal.
fn serial_of(der: &[u8]) -> Option<String> {
    crate::pki::Certificate::from_der(der).ok().map(|certificate| certificate.serial_hex())
}

fn read(path: &Path) -> Result<String, WitnessDirError> {
    let io = PathError::at(path);
    if std::fs::metadata(path).map_err(io)?.len() > FILE_BYTES_MAX {
        return Err(WitnessDirError::TooLong(path.to_owned()));
    }
    Ok(std::fs::read_to_string(path).map_err(io)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, parse_time};
    use crate::crypto::Hash;
    use crate::pki::tsp::{MessageImprint, Timestamp, TimestampError};
    use crate::pki::tsp::{TimestampFailure, TimestampRequest, TimestampResponse};
    use crate::pki::{Crl, RevocationStatus};
    use crate::tlog::KeyType;

    const LOG: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    fn settings() -> WitnessSettings {
        WitnessSettings {
            name: "example.com/w".to_owned(),
            keys: vec![CosigningAlgorithm::Ed25519, CosigningAlgorithm::MlDsa44],
            timestamp_policy: "1.3.6.1.4.1.32473.1".to_owned(),
        }
    }

    #[test]
    fn a_directory_is_made_once_and_opened_by_one() {
        let directory = tempfile::tempdir().unwrap();
        let now = parse_time("2028-02-29T12:00:00.120Z").unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
        let wrong = |change: fn(&mut WitnessSettings)| {
            let mut settings = settings();
            change(&mut settings);
            WitnessDir::init(directory.path(), settings, None, now).err()
        };
        assert!(matches!(wrong(|it| it.name = "a b".to_owned()), Some(WitnessDirError::VerifierKey(_))));
        assert!(matches!(wrong(|it| it.timestamp_policy = "x".to_owned()), Some(WitnessDirError::Policy(_))));
        assert!(matches!(wrong(|it| it.keys.clear()), Some(WitnessDirError::Algorithms)));
        assert!(matches!(wrong(|it| it.keys.push(CosigningAlgorithm::MlDsa44)), Some(WitnessDirError::Algorithms)));
        assert!(WitnessDir::at(directory.path()).is_err());

        let made = WitnessDir::init(directory.path(), settings(), None, now).unwrap();
        assert!(matches!(wrong(|_| {}), Some(WitnessDirError::Exists(_))));
        let log: VerifierKey = LOG.parse().unwrap();
        assert!(made.add_log(&log).unwrap());
        assert!(!made.add_log(&log).unwrap());
        let found = WitnessDir::at(directory.path()).unwrap();
        assert_eq!(found.logs().unwrap(), [log]);

        let opened = found.open(None, &clock).unwrap();
        assert!(matches!(found.open(None, &clock), Err(WitnessDirError::Locked(_))));
        check_authority(&opened.authority, now);
        let root = std::fs::read_to_string(made.root_certificate()).unwrap();
        check_list(&opened.authority, &root, now);
        let keys: Vec<KeyType> = opened.witness.keys().iter().map(VerifierKey::key_type).collect();
        assert_eq!(keys, [KeyType::Ed25519Cosignature, KeyType::MlDsa44Cosignature]);
        drop(opened);
        // A directory from before there was a choice has one key.
        let settings = "name = \"example.com/w\"\ntimestamp_policy = \"1.3.6.1.4.1.32473.1\"\n";
        std::fs::write(directory.path().join("witness.toml"), settings).unwrap();
        let found = WitnessDir::at(directory.path()).unwrap();
        assert_eq!(found.open(None, &clock).unwrap().witness.keys().len(), 1);
        check_revoked(&found, &root, &clock);
        // A root's key that was taken elsewhere signs no lists, and is not missed.
        let (key, aside) = (directory.path().join("tsa-root.key"), directory.path().join("aside"));
        std::fs::rename(&key, &aside).unwrap();
        assert_eq!(found.open(None, &clock).unwrap().authority.revocation_list(), None);
        std::fs::copy(directory.path().join("tsa.key"), &key).unwrap();
        assert!(matches!(found.open(None, &clock), Err(WitnessDirError::OtherCertificate(_))));
        std::fs::rename(&aside, &key).unwrap();
        std::fs::copy(made.root_certificate(), directory.path().join("tsa.pem")).unwrap();
        assert!(matches!(found.open(None, &clock), Err(WitnessDirError::OtherCertificate(_))));
        std::fs::write(directory.path().join("logs"), format!("{LOG}\nx\n")).unwrap();
        assert!(matches!(found.logs(), Err(WitnessDirError::Log { line: 2, .. })));
    }

    fn check_list(authority: &TimestampAuthority, root: &str, now: DateTime<Utc>) {
        let root = crate::pki::Certificate::from_pem_bundle(root, 1).unwrap().remove(0);
        let request = TimestampRequest::new(MessageImprint::of(Hash::Sha256, b"data"), [0; 8]);
        let answer = TimestampResponse::parse(&authority.answer(&request.encode().unwrap())).unwrap();
        let opened = Timestamp::open(answer.granted_token().unwrap(), b"data", &[]).unwrap();
        let signer = crate::pki::Certificate::from_der(opened.signer()).unwrap();
        let der = authority.revocation_list().unwrap();
        assert_eq!(authority.revocation_list().unwrap(), der, "one a second");
        let list = Crl::from_der(&der).unwrap();
        assert_eq!((list.check_rules(), list.check_signature(&root)), (Ok(()), Ok(())));
        assert_eq!(list.revocation_of(&signer), RevocationStatus::Good);
        assert_eq!(list.this_update().timestamp(), now.timestamp());
        assert_eq!(list.authority_key_identifier(), root.subject_key_identifier());
        let mut flipped = der;
        *flipped.last_mut().unwrap() ^= 1;
        assert!(Crl::from_der(&flipped).unwrap().check_signature(&root).is_err());
    }

    fn check_revoked(directory: &WitnessDir, root: &str, clock: &Arc<dyn Clock>) {
        let root = crate::pki::Certificate::from_pem_bundle(root, 1).unwrap().remove(0);
        assert!(directory.revoke_authority(RevocationReason::KeyCompromise, clock.now()).unwrap());
        assert!(!directory.revoke_authority(RevocationReason::Superseded, clock.now()).unwrap());
        let signer = std::fs::read_to_string(directory.file("tsa.pem")).unwrap();
        let signer = crate::pki::Certificate::from_pem_bundle(&signer, 1).unwrap().remove(0);
        let opened = directory.open(None, clock).unwrap();
        let list = Crl::from_der(&opened.authority.revocation_list().unwrap()).unwrap();
        assert_eq!(list.check_signature(&root), Ok(()));
        let RevocationStatus::Revoked(entry) = list.revocation_of(&signer) else { panic!("it is listed") };
        assert_eq!(
            (entry.reason, entry.revoked_at.timestamp()),
            (RevocationReason::KeyCompromise, clock.now().timestamp())
        );
        let request = TimestampRequest::new(MessageImprint::of(Hash::Sha256, b"data"), [0; 8]);
        let answer = TimestampResponse::parse(&opened.authority.answer(&request.encode().unwrap())).unwrap();
        assert_eq!(answer.status().failure, Some(TimestampFailure::SystemFailure));
        std::fs::write(directory.file("tsa-revoked"), "x\n").unwrap();
        drop(opened);
        assert!(matches!(directory.open(None, clock), Err(WitnessDirError::Revoked { line: 1, .. })));
        std::fs::remove_file(directory.file("tsa-revoked")).unwrap();
    }

    fn check_authority(authority: &TimestampAuthority, now: DateTime<Utc>) {
        let answer = |request: &TimestampRequest| {
            TimestampResponse::parse(&authority.answer(&request.encode().unwrap())).unwrap()
        };
        let mut request = TimestampRequest::new(MessageImprint::of(Hash::Sha512, b"data"), [0x80; 8]);
        let response = answer(&request);
        let opened = Timestamp::open(response.granted_token().unwrap(), b"data", &[]).unwrap();
        assert_eq!((opened.info().gen_time, &opened.info().nonce), (now, &request.nonce));
        assert_eq!((opened.certificates().len(), opened.info().serial.len()), (0, 16));
        let again = answer(&request);
        let again = Timestamp::open(again.granted_token().unwrap(), b"data", &[]).unwrap();
        assert_ne!(again.info().serial, opened.info().serial);
        let other = Timestamp::open(response.granted_token().unwrap(), b"date", &[]);
        assert_eq!(other.err(), Some(TimestampError::Imprint));

        request.certificate_wanted = false;
        let response = answer(&request);
        assert!(Timestamp::open(response.granted_token().unwrap(), b"data", &[]).is_err());
        let signer = [opened.signer().to_vec()];
        assert!(Timestamp::open(response.granted_token().unwrap(), b"data", &signer).is_ok());

        request.policy = Some("1.2.3".to_owned());
        assert_eq!(answer(&request).status().failure, Some(TimestampFailure::UnacceptedPolicy));
        let rejected = |bytes: &[u8]| TimestampResponse::parse(&authority.answer(bytes)).unwrap().status().failure;
        assert_eq!(rejected(b"nothing"), Some(TimestampFailure::BadDataFormat));
        let mut request = request.encode().unwrap();
        request[4] = 2;
        assert_eq!(rejected(&request), Some(TimestampFailure::BadRequest));
        // The last byte of the imprint's algorithm: SHA-512 becomes SHA-224.
        let at = request.windows(2).position(|bytes| bytes == [2, 3]).unwrap() + 1;
        request[4] = 1;
        request[at] = 4;
        assert_eq!(rejected(&request), Some(TimestampFailure::BadAlgorithm));
    }
}
