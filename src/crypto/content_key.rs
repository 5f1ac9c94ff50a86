//! Authenticated encryption of content under a key that is used once (RFC 7518 §5).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::aead::SealError;
use super::encryption::{ContentAlgorithm, SealedContent};
use super::equal_in_constant_time;
use super::signing_key::random;

/// Bytes of an AES block, and of the initialization vector of CBC.
const BLOCK_BYTES: usize = 16;
/// Bytes of the tag of A256CBC-HS512: the first half of an HMAC-SHA-512 (RFC 7518 §5.2.5).
const CBC_TAG_BYTES: usize = 32;
/// Bytes of the tag of A256GCM (RFC 7518 §5.3).
const GCM_TAG_BYTES: usize = 16;

/// A content encryption key.
pub struct ContentKey {
    algorithm: ContentAlgorithm,
    // Invariant: as many bytes as the algorithm's key has.
    bytes: Zeroizing<Vec<u8>>,
}

impl ContentKey {
    /// Takes a key; `None` when it is not of the algorithm's length.
    #[must_use]
    pub fn new(algorithm: ContentAlgorithm, bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() == algorithm.key_bytes()).then_some(Self { algorithm, bytes })
    }

    /// Makes a key.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn random(algorithm: ContentAlgorithm) -> Self {
        let bytes = Zeroizing::new(random::<64>());
        Self { algorithm, bytes: Zeroizing::new(bytes[..algorithm.key_bytes()].to_vec()) }
    }

    /// The key itself, to be encrypted for those who may read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Encrypts `content`, bound to `additional`, under a random initialization vector.
    ///
    /// # Panics
    /// When the operating system has no randomness to give.
    #[must_use]
    pub fn seal(&self, additional: &[u8], content: &[u8]) -> SealedContent {
        match self.algorithm {
            ContentAlgorithm::A256CbcHs512 => self.seal_cbc(random(), additional, content),
            ContentAlgorithm::A256Gcm => self.seal_gcm(random(), additional, content),
        }
    }

    /// Decrypts what [`seal`](Self::seal) made with the same key and additional data.
    ///
    /// # Errors
    /// When a bit of any of them differs: one error, whatever it was.
    pub fn open(&self, additional: &[u8], sealed: &SealedContent) -> Result<Vec<u8>, SealError> {
        match self.algorithm {
            ContentAlgorithm::A256CbcHs512 => self.open_cbc(additional, sealed),
            ContentAlgorithm::A256Gcm => self.open_gcm(additional, sealed),
        }
    }

    fn seal_cbc(&self, iv: [u8; BLOCK_BYTES], additional: &[u8], content: &[u8]) -> SealedContent {
        let mut ciphertext = Vec::with_capacity(content.len() + BLOCK_BYTES);
        ciphertext.extend_from_slice(content);
        PaddedBlockEncryptingKey::cbc_pkcs7(self.cbc_key())
            .and_then(|key| key.less_safe_encrypt(&mut ciphertext, EncryptionContext::Iv128(FixedLength::from(&iv))))
            .expect("a key and a vector of the right lengths encrypt anything");
        let tag = self.cbc_tag(&iv, additional, &ciphertext).to_vec();
        SealedContent { iv: iv.to_vec(), ciphertext, tag }
    }

    fn open_cbc(&self, additional: &[u8], sealed: &SealedContent) -> Result<Vec<u8>, SealError> {
        let iv: [u8; BLOCK_BYTES] = sealed.iv.as_slice().try_into().map_err(|_| SealError)?;
        // The tag comes first: nothing is to be learned from the padding of what somebody altered.
        let tag = self.cbc_tag(&iv, additional, &sealed.ciphertext);
        if !equal_in_constant_time(&tag, &sealed.tag) {
            return Err(SealError);
        }
        let mut content = sealed.ciphertext.clone();
        let context = DecryptionContext::Iv128(FixedLength::from(&iv));
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.cbc_key()).map_err(|_| SealError)?;
        let length = key.decrypt(&mut content, context).map_err(|_| SealError)?.len();
        content.truncate(length);
        Ok(content)
    }

    /// RFC 7518 §5.2.2.1: the second half of the key encrypts.
    fn cbc_key(&self) -> UnboundCipherKey {
        UnboundCipherKey::new(&AES_256, &self.bytes[32..]).expect("half of the key is one of AES-256")
    }

    /// RFC 7518 §5.2.2.1: the first half of the key authenticates `A ‖ IV ‖ E ‖ AL`.
    fn cbc_tag(&self, iv: &[u8], additional: &[u8], ciphertext: &[u8]) -> [u8; CBC_TAG_BYTES] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA512, &self.bytes[..32]));
        let bits = u64::try_from(additional.len()).expect("usize fits u64") * 8;
        for part in [additional, iv, ciphertext, &bits.to_be_bytes()] {
            context.update(part);
        }
        context.sign().as_ref()[..CBC_TAG_BYTES].try_into().expect("HMAC-SHA-512 gives 64 bytes")
    }

    fn seal_gcm(&self, iv: [u8; NONCE_LEN], additional: &[u8], content: &[u8]) -> SealedContent {
        let mut ciphertext = content.to_vec();
        let tag = self
            .gcm_key()
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(iv), Aad::from(additional), &mut ciphertext)
            .expect("content in memory is shorter than 64 GiB");
        SealedContent { iv: iv.to_vec(), ciphertext, tag: tag.as_ref().to_vec() }
    }

    fn open_gcm(&self, additional: &[u8], sealed: &SealedContent) -> Result<Vec<u8>, SealError> {
        let nonce = Nonce::try_assume_unique_for_key(&sealed.iv).map_err(|_| SealError)?;
        if sealed.tag.len() != GCM_TAG_BYTES {
            return Err(SealError);
        }
        let mut content = vec![0; sealed.ciphertext.len()];
        self.gcm_key()
            .open_separate_gather(nonce, Aad::from(additional), &sealed.ciphertext, &sealed.tag, &mut content)
            .map_err(|_| SealError)?;
        Ok(content)
    }

    fn gcm_key(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.bytes).expect("32 bytes are a key"))
    }
}

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ContentKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [ContentAlgorithm; 2] = [ContentAlgorithm::A256CbcHs512, ContentAlgorithm::A256Gcm];

    #[test]
    fn opens_only_with_every_bit_as_it_was() {
        for algorithm in BOTH {
            let key = ContentKey::random(algorithm);
            for length in [0, 1, 15, 16, 17, 1000] {
                let content = vec![7; length];
                let sealed = key.seal(b"header", &content);
                assert_eq!(key.open(b"header", &sealed).unwrap(), content);
                assert!(key.open(b"Header", &sealed).is_err());
                assert!(ContentKey::random(algorithm).open(b"header", &sealed).is_err());
                let parts: [fn(&mut SealedContent) -> &mut Vec<u8>; 3] =
                    [|one| &mut one.iv, |one| &mut one.ciphertext, |one| &mut one.tag];
                for part in parts {
                    for at in 0..part(&mut sealed.clone()).len() {
                        let mut altered = sealed.clone();
                        part(&mut altered)[at] ^= 1;
                        assert!(key.open(b"header", &altered).is_err(), "{algorithm:?}, byte {at}");
                    }
                    for length in [0, part(&mut sealed.clone()).len() + 1] {
                        let mut altered = sealed.clone();
                        part(&mut altered).resize(length, 0);
                        assert!(altered == sealed || key.open(b"header", &altered).is_err(), "{algorithm:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_key_has_the_length_of_its_algorithm() {
        for algorithm in BOTH {
            for length in [0, 31, 32, 63, 64, 65] {
                let key = ContentKey::new(algorithm, Zeroizing::new(vec![0; length]));
                assert_eq!(key.is_some(), length == algorithm.key_bytes());
            }
        }
        assert!(!format!("{:?}", ContentKey::random(BOTH[0])).contains("bytes"));
    }

    /// RFC 7518 §B.3: the tag is over the whole ciphertext, and so says that it is the example's too.
    #[test]
    fn gives_the_tag_of_the_rfc() {
        let bytes = Zeroizing::new((0..64).collect());
        let key = ContentKey::new(ContentAlgorithm::A256CbcHs512, bytes).unwrap();
        let iv = 0x1af3_8c2d_c2b9_6ffd_d866_9409_2341_bc04_u128.to_be_bytes();
        let content =
            b"A cipher system must not be required to be secret, and it must be able to fall into the hands of \
            the enemy without inconvenience";
        let sealed = key.seal_cbc(iv, b"The second principle of Auguste Kerckhoffs", content);
        let (first, second) =
            (0x4dd3_b4c0_88a7_f45c_2168_3964_5b20_12bf_u128, 0x2e62_69a8_c56a_816d_bc1b_2677_6195_5bc5_u128);
        assert_eq!(sealed.tag, [first.to_be_bytes(), second.to_be_bytes()].concat());
    }
}
