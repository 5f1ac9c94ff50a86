//! Private keys at rest: PKCS#8 under a pass phrase, in PEM (RFC 5958, RFC 8018 §6.2, RFC 7468 §11).
//!
//! PBES2 with scrypt and AES-256-CBC, which openssl reads too. Where the file is, and who may make it anew, is for
//! whoever keeps it to say.

use der::{Decode as _, Encode as _};
use pkcs8::EncryptedPrivateKeyInfoOwned;
use pkcs8::pkcs5::{EncryptionScheme, pbes2};
use zeroize::Zeroizing;

use crate::crypto::{KeyError, SigningKey, random};
use crate::pki::{PemError, pem_blocks, to_pem};

/// Largest key file: an RSA-8192 key takes some 7 KiB.
pub(crate) const KEY_FILE_BYTES_MAX: u64 = 32 * 1024;
/// The label of an encrypted PKCS#8 key (RFC 7468 §11).
pub(crate) const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// How much work a guess of the pass phrase takes: scrypt with N = 2 to this, r = 8, p = 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost(u8);

impl ScryptCost {
    /// 128 MiB and about a third of a second: what OWASP recommends.
    pub const RECOMMENDED: Self = Self(17);
    /// For tests alone: a guess costs next to nothing.
    pub const INSECURE: Self = Self(4);
    /// A key file that asks for more is refused: 2 GiB of memory.
    const MAX: u8 = 21;

    /// The logarithm of the cost.
    pub(crate) fn log_n(self) -> u8 {
        self.0
    }
}

/// Rounds of PBKDF2 that a key file may ask for: sixteen times what OWASP recommends, some seconds.
const PBKDF2_ROUNDS_MAX: u32 = 10_000_000;

/// Why a sealed key does not open.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum PrivateKeyFileError {
    /// The armour is broken.
    #[error(transparent)]
    Pem(PemError),
    /// Not an encrypted PKCS#8 key, or one that asks for more memory or rounds than are given.
    #[error("not a PKCS#8 key encrypted with PBES2, or its work factor is too high")]
    Malformed,
    /// The pass phrase is wrong, or the bytes were changed: encryption cannot tell which.
    #[error("wrong pass phrase, or the key file was changed")]
    Sealed,
    /// The key itself is not one that can sign.
    #[error(transparent)]
    Unusable(KeyError),
}

/// Makes a key of a pass phrase with scrypt (RFC 7914); `None` for a cost that is none or is not given.
pub(crate) fn derive_key(passphrase: &Zeroizing<String>, salt: &[u8], log_n: u8) -> Option<Zeroizing<[u8; 32]>> {
    let parameters = pkcs8::pkcs5::scrypt::Params::new(log_n, 8, 1).ok();
    let parameters = parameters.filter(|_| (1..=ScryptCost::MAX).contains(&log_n))?;
    let mut key = Zeroizing::new([0; 32]);
    pkcs8::pkcs5::scrypt::scrypt(passphrase.as_bytes(), salt, &parameters, &mut key[..]).ok()?;
    Some(key)
}

/// Encrypts a PKCS#8 key: the text of its file.
pub(crate) fn seal(pkcs8: &[u8], passphrase: &Zeroizing<String>, cost: ScryptCost) -> Option<String> {
    let scrypt = pkcs8::pkcs5::scrypt::Params::new(cost.0, 8, 1).ok()?;
    let parameters = pbes2::Parameters::generate_scrypt_aes256cbc(scrypt, &random::<16>(), random()).ok()?;
    let encrypted_data = parameters.encrypt(passphrase.as_bytes(), pkcs8).ok()?;
    let sealed = EncryptedPrivateKeyInfoOwned {
        encryption_algorithm: EncryptionScheme::Pbes2(parameters),
        encrypted_data: der::asn1::OctetString::new(encrypted_data).ok()?,
    };
    Some(to_pem(LABEL, &sealed.to_der().ok()?))
}

/// Opens the text of a key file that [`seal`] made, or another program.
pub(crate) fn open(text: &str, passphrase: &Zeroizing<String>) -> Result<SigningKey, PrivateKeyFileError> {
    let opened = open_pkcs8(text, passphrase)?;
    SigningKey::from_pkcs8_der(&opened).map_err(PrivateKeyFileError::Unusable)
}

/// The same, for a key that need not sign: its PKCS#8 encoding. Other programs derive with PBKDF2 too.
pub(crate) fn open_pkcs8(
    text: &str,
    passphrase: &Zeroizing<String>,
) -> Result<Zeroizing<Vec<u8>>, PrivateKeyFileError> {
    let blocks = pem_blocks(text, LABEL, 1).map_err(PrivateKeyFileError::Pem)?;
    let sealed = blocks.first().and_then(|der| EncryptedPrivateKeyInfoOwned::from_der(der).ok());
    let sealed = sealed.ok_or(PrivateKeyFileError::Malformed)?;
    let kdf =
        sealed.encryption_algorithm.pbes2().map(|parameters| &parameters.kdf).ok_or(PrivateKeyFileError::Malformed)?;
    let bearable = match (kdf.scrypt(), kdf.pbkdf2()) {
        (Some(scrypt), _) => {
            // N is more than 1 (RFC 7914 §2); the library takes the logarithm of what it is given, 0 too.
            (2..=1 << ScryptCost::MAX).contains(&scrypt.cost_parameter)
                && scrypt.block_size <= 8
                && scrypt.parallelization <= 4
        }
        (None, Some(pbkdf2)) => pbkdf2.iteration_count <= PBKDF2_ROUNDS_MAX,
        (None, None) => false,
    };
    if !bearable {
        return Err(PrivateKeyFileError::Malformed);
    }
    let opened = sealed.decrypt(passphrase.as_bytes()).map_err(|_| PrivateKeyFileError::Sealed)?;
    Ok(Zeroizing::new(opened.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Signer as _;

    #[test]
    fn opens_with_its_pass_phrase_only_and_not_after_a_flipped_bit() {
        let (right, wrong) = (Zeroizing::new("right".to_owned()), Zeroizing::new("wrong".to_owned()));
        let (key, pkcs8) = SigningKey::generate_ed25519();
        let text = seal(&pkcs8, &right, ScryptCost::INSECURE).unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
        assert_eq!(open(&text, &right).unwrap().verifying_key(), key.verifying_key());
        assert_eq!(open(&text, &wrong).err(), Some(PrivateKeyFileError::Sealed));
        assert_eq!(open("no key", &right).err(), Some(PrivateKeyFileError::Malformed));
        let mut sealed = pem_blocks(&text, LABEL, 1).unwrap().remove(0);
        *sealed.last_mut().unwrap() ^= 1;
        let flipped = open(&to_pem(LABEL, &sealed), &right).err();
        assert!(matches!(flipped, Some(PrivateKeyFileError::Sealed | PrivateKeyFileError::Unusable(_))));
    }

    /// The default of openssl, which is not scrypt.
    #[test]
    fn opens_what_others_derived_with_pbkdf2_in_bearable_rounds() {
        let (key, pkcs8) = SigningKey::generate_ed25519();
        let passphrase = Zeroizing::new("right".to_owned());
        let text = |rounds: u32| {
            let iv = random::<16>();
            let made = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(rounds.min(10), &random::<16>(), iv);
            let mut parameters = made.unwrap();
            let encrypted_data = parameters.encrypt(passphrase.as_bytes(), &pkcs8[..]).unwrap();
            if let pbes2::Kdf::Pbkdf2(pbkdf2) = &mut parameters.kdf {
                pbkdf2.iteration_count = rounds;
            }
            let sealed = EncryptedPrivateKeyInfoOwned {
                encryption_algorithm: EncryptionScheme::Pbes2(parameters),
                encrypted_data: der::asn1::OctetString::new(encrypted_data).unwrap(),
            };
            to_pem(LABEL, &sealed.to_der().unwrap())
        };
        assert_eq!(open(&text(10), &passphrase).unwrap().verifying_key(), key.verifying_key());
        assert_eq!(open(&text(PBKDF2_ROUNDS_MAX + 1), &passphrase).err(), Some(PrivateKeyFileError::Malformed));
    }

    #[test]
    fn refuses_a_cost_of_scrypt_that_is_none_or_too_high() {
        let (_, pkcs8) = SigningKey::generate_ed25519();
        let passphrase = Zeroizing::new("right".to_owned());
        let sealed = pem_blocks(&seal(&pkcs8, &passphrase, ScryptCost::INSECURE).unwrap(), LABEL, 1).unwrap().remove(0);
        let open_at = |cost: u64| {
            let mut sealed = EncryptedPrivateKeyInfoOwned::from_der(&sealed).unwrap();
            if let EncryptionScheme::Pbes2(pbes2::Parameters { kdf: pbes2::Kdf::Scrypt(scrypt), .. }) =
                &mut sealed.encryption_algorithm
            {
                scrypt.cost_parameter = cost;
            }
            open(&to_pem(LABEL, &sealed.to_der().unwrap()), &passphrase).map(drop)
        };
        assert_eq!(open_at(1 << 4), Ok(()));
        for cost in [0, 1, 1 << 22, u64::MAX] {
            assert_eq!(open_at(cost), Err(PrivateKeyFileError::Malformed), "{cost}");
        }
        assert_eq!(open_at(17), Err(PrivateKeyFileError::Sealed));
    }
}
