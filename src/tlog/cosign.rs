//! Cosigning of checkpoints (c2sp.org/tlog-cosignature).

use super::checkpoint::Checkpoint;
#[cfg(feature = "server")]
use super::cosignature::Subtree;
use super::cosignature::{COSIGNATURE_TIME_MAX, message};
use super::signed_note::{NoteError, NoteSignature};
use super::verifier_key::VerifierKey;
#[cfg(feature = "server")]
use crate::crypto::MlDsa44SigningKey;
use crate::crypto::{SignatureAlgorithm, Signer};

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

/// Cosigns `checkpoint` with an ML-DSA-44 key under `name`, as of `time` in seconds since 1970.
///
/// # Errors
/// When the name is no key name, name or origin is longer than 255 bytes, or the key does not sign.
///
/// # Panics
/// When `time` is 0, which says nothing, or above [`COSIGNATURE_TIME_MAX`].
#[cfg(feature = "server")]
pub fn cosign_ml_dsa_44(
    checkpoint: &Checkpoint,
    name: &str,
    time: u64,
    signer: &MlDsa44SigningKey,
) -> Result<NoteSignature, NoteError> {
    assert!((1..=COSIGNATURE_TIME_MAX).contains(&time), "a cosignature is made at some time");
    made_with_ml_dsa_44(Subtree::whole(checkpoint), name, time, signer)
}

/// Cosigns a part of a tree with an ML-DSA-44 key under `name`. It says no time.
///
/// # Errors
/// As [`cosign_ml_dsa_44`].
#[cfg(feature = "server")]
pub fn cosign_subtree(
    subtree: Subtree<'_>,
    name: &str,
    signer: &MlDsa44SigningKey,
) -> Result<NoteSignature, NoteError> {
    made_with_ml_dsa_44(subtree, name, 0, signer)
}

#[cfg(feature = "server")]
fn made_with_ml_dsa_44(
    subtree: Subtree<'_>,
    name: &str,
    time: u64,
    signer: &MlDsa44SigningKey,
) -> Result<NoteSignature, NoteError> {
    let key = VerifierKey::ml_dsa_44_cosignature(name, signer.verifying_key())?;
    let message = subtree.message(name, time).ok_or(NoteError::NameTooLong)?;
    let signature = signer.sign(&message)?;
    let mut bytes = time.to_be_bytes().to_vec();
    bytes.extend_from_slice(&signature);
    Ok(NoteSignature::new(&key, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(not(feature = "server"))]
    use crate::tlog::cosignature::Subtree;
    use crate::tlog::{LeafIndex, SignedCheckpoint, TreeSize};

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
        use crate::tlog::KeyType;
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

    #[test]
    fn what_ml_dsa_44_signs_is_laid_out_as_the_specification_says() {
        let checkpoint = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        let whole = Subtree::whole(checkpoint.checkpoint());
        let message = whole.message("oid/1.2.3", 1_679_315_147).unwrap();
        let root = checkpoint.checkpoint().root();
        let expected = [
            &b"subtree/v1\n\0\x09oid/1.2.3"[..],
            &1_679_315_147_u64.to_be_bytes(),
            b"\x1bexample.com/behind-the-sofa",
            &[0; 8],
            &20_852_163_u64.to_be_bytes(),
            root.as_bytes(),
        ];
        assert_eq!(message, expected.concat());
        let part = Subtree { start: LeafIndex(8), end: TreeSize(13), ..whole };
        assert!(part.message("w", 0).unwrap().ends_with(&[&[0, 0, 0, 0, 0, 0, 0, 13], &root.as_bytes()[..]].concat()));
        assert_eq!(part.message("w", 1), None, "a part from the middle says no time");
        assert!(whole.message(&"w".repeat(255), 0).is_some());
        for (name, origin) in [("", "x"), ("w", ""), (&*"w".repeat(256), "x"), ("w", &*"x".repeat(256))] {
            assert_eq!(Subtree { origin, ..whole }.message(name, 1), None);
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn an_ml_dsa_44_cosignature_covers_its_time_its_name_and_the_checkpoint() {
        use crate::tlog::{KeyType, VerifiedSignature};
        let (signer, _) = MlDsa44SigningKey::generate();
        let key = VerifierKey::ml_dsa_44_cosignature("witness.example/w1", signer.verifying_key()).unwrap();
        assert_eq!(key.key_type(), KeyType::MlDsa44Cosignature);
        assert_eq!(key.to_string().parse::<VerifierKey>().unwrap(), key);
        let signed = SignedCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        let with = |signed: &SignedCheckpoint, key: &VerifierKey, bytes: &[u8]| {
            let mut more = signed.clone();
            more.add(NoteSignature::new(key, bytes.to_vec())).unwrap();
            let read = SignedCheckpoint::parse(more.to_string().as_bytes()).unwrap();
            read.cosignatures(&[key]).map(|found| found.iter().map(VerifiedSignature::time).collect::<Vec<_>>())
        };
        let made = cosign_ml_dsa_44(signed.checkpoint(), key.name(), 1_700_000_000, &signer).unwrap();
        assert_eq!(made.bytes().len(), 8 + 2420);
        assert_eq!(with(&signed, &key, made.bytes()), Ok(vec![Some(1_700_000_000)]));
        for at in (0..8).chain([8, 40, 1200, 2427]) {
            let mut bytes = made.bytes().to_vec();
            bytes[at] ^= 1;
            assert!(with(&signed, &key, &bytes).is_err(), "bit of byte {at}");
        }
        let other_name = VerifierKey::ml_dsa_44_cosignature("witness.example/w2", signer.verifying_key()).unwrap();
        assert!(with(&signed, &other_name, made.bytes()).is_err());
        for (from, to) in [("20852163", "20852164"), ("behind-the-sofa", "behind-the-safe"), ("CsUYapGG", "CsUYapGH")] {
            let other = SignedCheckpoint::parse(EXAMPLE.replace(from, to).as_bytes()).unwrap();
            assert!(with(&other, &key, made.bytes()).is_err(), "{to}");
        }
        // Extension lines are not covered, and no statement is made about them.
        let extended = EXAMPLE.replacen("\n\n", "\nmore\n\n", 1);
        assert!(with(&SignedCheckpoint::parse(extended.as_bytes()).unwrap(), &key, made.bytes()).is_ok());
        for length in [0, 7, 8, made.bytes().len() - 1] {
            assert!(with(&signed, &key, &made.bytes()[..length.max(1)]).is_err(), "{length}");
        }
        // Time 0 is right, and says nothing; one behind the last there is is wrong.
        let at = |time: u64| {
            let message = Subtree::whole(signed.checkpoint()).message(key.name(), time).unwrap();
            [&time.to_be_bytes(), &*signer.sign(&message).unwrap()].concat()
        };
        assert_eq!(with(&signed, &key, &at(0)), Ok(vec![None]));
        assert_eq!(with(&signed, &key, &at(COSIGNATURE_TIME_MAX)), Ok(vec![Some(COSIGNATURE_TIME_MAX)]));
        assert!(with(&signed, &key, &at(COSIGNATURE_TIME_MAX + 1)).is_err());
        // A note that is no checkpoint has no tree to be cosigned.
        let text = EXAMPLE.replacen("20852163", "many", 1);
        let note = crate::tlog::SignedNote::parse(text.as_bytes()).unwrap();
        assert!(note.check(&made, &key).is_err());
    }
}
