//! Cosignatures: a witness's word that a checkpoint is consistent with all it saw before (c2sp.org/tlog-cosignature).
//!
//! Of the two types the Ed25519 one (04) is made and verified here. It says at what second it was made, and covers that.

use super::checkpoint::Checkpoint;
use super::signed_note::{NoteError, NoteSignature};
use super::verifier_key::VerifierKey;
use crate::crypto::{SignatureAlgorithm, Signer, VerifyingKey};

/// Latest time of a cosignature, in seconds since 1970 (tlog-cosignature).
pub const COSIGNATURE_TIME_MAX: u64 = (1 << 63) - 1;

/// Cosigns `checkpoint` with an Ed25519 key under `name`, as of `time` in seconds since 1970.
///
/// # Errors
/// When the name is no key name, or the key is not Ed25519 or does not sign.
///
/// # Panics
/// When `time` is 0, which says nothing, or above [`COSIGNATURE_TIME_MAX`].
pub fn cosign(checkpoint: &Checkpoint, name: &str, time: u64, signer: &dyn Signer) -> Result<NoteSignature, NoteError> {
    assert!((1..=COSIGNATURE_TIME_MAX).contains(&time), "a cosignature is made at some time");
    let key = VerifierKey::ed25519_cosignature(name, signer.verifying_key())?;
    let signature = signer.sign(SignatureAlgorithm::Ed25519, &message(&checkpoint.to_string(), time))?;
    let mut bytes = time.to_be_bytes().to_vec();
    bytes.extend_from_slice(&signature);
    Ok(NoteSignature::new(&key, bytes))
}

/// The time of a right cosignature over the note text `text`: `None` when it is wrong.
pub(super) fn verified_time(key: &VerifyingKey, text: &str, bytes: &[u8]) -> Option<u64> {
    let (time, signature) = bytes.split_first_chunk::<8>()?;
    let time = u64::from_be_bytes(*time);
    if !(1..=COSIGNATURE_TIME_MAX).contains(&time) {
        return None;
    }
    key.check_signature(SignatureAlgorithm::Ed25519, &message(text, time), signature).ok()?;
    Some(time)
}

fn message(text: &str, time: u64) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{KeyType, SignedCheckpoint};

    // The specification's example; its witness key is not published there, so only its layout can be checked.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    #[test]
    fn the_example_of_the_specification_has_the_time_it_says() {
        let signed = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        let cosignature = &signed.note().signatures()[1];
        assert_eq!(cosignature.bytes().len(), 72);
        assert_eq!(cosignature.bytes()[..8], 1_679_315_147_u64.to_be_bytes());
        assert!(
            message(signed.note().text(), 1_679_315_147).starts_with(b"cosignature/v1\ntime 1679315147\nexample.com/")
        );
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_cosignature_covers_its_time_and_the_checkpoint() {
        use crate::crypto::SigningKey;
        let (signer, _) = SigningKey::generate_ed25519();
        let key = VerifierKey::ed25519_cosignature("witness.example/w1", signer.verifying_key()).unwrap();
        assert_eq!(key.key_type(), KeyType::Ed25519Cosignature);
        let signed = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        let cosignature = cosign(signed.checkpoint(), key.name(), 1_700_000_000, &signer).unwrap();

        let mut right = signed.clone();
        right.add(cosignature.clone()).unwrap();
        let read = SignedCheckpoint::parse(right.to_string().as_bytes()).unwrap();
        assert_eq!(read.cosignatures(&[&key]).unwrap()[0].time(), Some(1_700_000_000));
        assert_eq!(signed.cosignatures(&[&key]).unwrap(), []);

        for at in 0..72 {
            let mut bytes = cosignature.bytes().to_vec();
            bytes[at] ^= 1;
            let mut wrong = signed.clone();
            wrong.add(NoteSignature::new(&key, bytes)).unwrap();
            assert!(wrong.cosignatures(&[&key]).is_err(), "bit of byte {at}");
        }
        let mut other = SignedCheckpoint::parse(EXAMPLE.replace("20852163", "20852164").as_bytes()).unwrap();
        other.add(cosignature).unwrap();
        assert!(other.cosignatures(&[&key]).is_err());
        let mut short = signed;
        short.add(NoteSignature::new(&key, vec![0; 7])).unwrap();
        assert!(short.cosignatures(&[&key]).is_err());
    }
}
