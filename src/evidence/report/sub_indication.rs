//! Sub-indications: why a record is not passed, and what each means (EN 319 102-1 §5.1.3).

use serde::{Serialize, Serializer};

macro_rules! sub_indications {
    ($($(#[$doc:meta])* $variant:ident, $name:literal {
        means: $means:literal,
        arises: $arises:literal,
        next: $next:literal,
    })*) => {
        /// Why it is not passed (EN 319 102-1 §5.1.3).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SubIndication {
            $($(#[$doc])* $variant,)*
        }

        impl SubIndication {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// As the standard writes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Its meaning, and its limits.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $means),* }
            }

            /// Its usual causes.
            #[must_use]
            pub fn causes(self) -> &'static str {
                match self { $(Self::$variant => $arises),* }
            }

            /// The next step for the reader of the report.
            #[must_use]
            pub fn next_step(self) -> &'static str {
                match self { $(Self::$variant => $next),* }
            }
        }
    };
}

sub_indications! {
    /// The bytes are not a record that can be judged.
    FormatFailure, "FORMAT_FAILURE" {
        means: "Either nothing here is signed: another file, one that was cut off, a record that was never signed or is \
            encrypted; then nothing can be said of it. Or it is signed and has no single meaning: JSON that two readers \
            may read as two documents, a header that says two things at once, none or a shared secret as the \
            algorithm, something that inflates to far more than it should. Nothing is verified of such bytes.",
        arises: "The wrong file; one that was cut, edited, converted by a mail program or saved from a web page; software that \
            writes its own dialect; or an attempt to show one thing and sign another.",
        next: "Ask whoever gave you the record for the bytes as they were issued.",
    }
    /// There is no certificate to verify with.
    NoSigningCertificateFound, "NO_SIGNING_CERTIFICATE_FOUND" {
        means: "A signature is verified with the key of a certificate, and the record names none that is here. The \
            signature may be right or wrong: it was not looked at.",
        arises: "A signer who leaves its certificate out; a certificate at an address, which is never fetched; or a \
            certificate in the header that is not the one that the signature binds.",
        next: "Ask the issuer for the signing certificate.",
    }
    /// The signature is wrong.
    SigCryptoFailure, "SIG_CRYPTO_FAILURE" {
        means: "Something that is signed is not what it was when the key signed it, or another key made the \
            signature. No trust and no later evidence changes that.",
        arises: "A record that was altered, by one character or by many; a payload or a signature that belongs to \
            another record.",
        next: "Treat the record as altered; ask the ledger for the stored one.",
    }
    /// A recording is not the one that was signed.
    HashFailure, "HASH_FAILURE" {
        means: "The record binds its recordings by their SHA-512. A file that was handed in has another one than \
            every recording that the record names, or than the one of its dialog.",
        arises: "A recording that was cut, converted, compressed again or repaired; the file of another call. One \
            changed bit is enough.",
        next: "Treat the recording as altered or mixed up; ask for the one that was signed.",
    }
    /// A recording that the policy requires was not supplied.
    SignedDataNotFound, "SIGNED_DATA_NOT_FOUND" {
        means: "The trust policy lets a record pass only together with its recordings, and one was not handed in.",
        arises: "A record that was passed on without its recordings.",
        next: "Verify again with the recording.",
    }
    /// Header and certificate contradict each other.
    SigConstraintsFailure, "SIG_CONSTRAINTS_FAILURE" {
        means: "The signature is right, and what it says contradicts something: the protected header names another \
            certificate; the algorithm is not protected; the uuid in the header is not the one inside; it \
            claims to be signed later than it is proved to exist; or the trust policy requires a timestamp or \
            the ledger, and they are not there.",
        arises: "Software that puts a record together from parts; a clock that is wrong by more than the policy \
            allows; a bundle without its evidence.",
        next: "Ask the issuer how this record was made.",
    }
    /// No path to an anchor of the trust policy.
    NoCertificateChainFound, "NO_CERTIFICATE_CHAIN_FOUND" {
        means: "The signer's certificate does not lead to anybody whom the verifier trusts. What a record or \
            bundle offers as an anchor is shown, and never trusted by itself.",
        arises: "Nobody has said whom to trust; the issuer's root is not in the trust policy, or is trusted for \
            another time; a certificate between signer and root is missing.",
        next: "Decide whether you trust the offered anchor; if so, verify with it as --trust.",
    }
    /// A path that breaks rules.
    ChainConstraintsFailure, "CHAIN_CONSTRAINTS_FAILURE" {
        means: "There is a path to a trusted anchor, and it breaks a rule of RFC 5280 or of the profile for \
            signing documents: who may sign certificates, what a key is for, which names an authority may \
            speak for, how long a path may be.",
        arises: "A certificate that was made for web servers or mail; an authority that signed what it was not \
            allowed to; a certificate of version 1.",
        next: "The issuer needs certificates made for signing documents; to accept another purpose, name it as --signer-purpose.",
    }
    /// A weak algorithm or key.
    CryptoConstraintsFailure, "CRYPTO_CONSTRAINTS_FAILURE" {
        means: "The path or the signature rests on a key or an algorithm that is not trusted at any time, or was \
            not any more when the record was signed.",
        arises: "A key that is too short; SHA-1; an algorithm that is not verified here; a signature that was made \
            after the end of its algorithm.",
        next: "Do not rely on the signature alone: its algorithm or key is weak.",
    }
    /// A weak algorithm or key, and nothing proves that the signature was there while it was strong.
    CryptoConstraintsFailureNoPoe, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE" {
        means: "The key or algorithm was trusted until a date that is past. Whoever breaks it today can make \
            signatures that look old, so that a signature counts only if it is proved to be from before.",
        arises: "An old record whose timestamps are missing, or are themselves of an algorithm that has ended and \
            were not renewed in time.",
        next: "Look for a timestamp from before the end of the algorithm.",
    }
    /// The signature says of no certificate that it is its own.
    CertificateNotBound, "CERTIFICATE_NOT_BOUND" {
        means: "The signature is right under the certificate that is here, and nothing that is signed says that this \
            is the signer's. One key may have several certificates: whoever hands the record on can leave out one \
            that was revoked, or that names somebody else, and put another in its place.",
        arises: "Software that puts the certificate into the unprotected header alone, without x5t#S256 in the \
            protected one.",
        next: "Ask the issuer for a record that names its certificate; to do without, verify with --allow-unbound-certificate.",
    }
    /// Signed before the certificate was valid.
    NotYetValid, "NOT_YET_VALID" {
        means: "The record is proved to have existed before the certificate, or one above it, began to be valid. A \
            certificate that did not exist cannot have vouched for it.",
        arises: "A certificate that was issued afterwards for a key that had signed already; an authority's clock \
            that is wrong.",
        next: "Ask the issuer how this record was made.",
    }
    /// Signed after the revocation.
    Revoked, "REVOKED" {
        means: "The record contains a checkpoint that was witnessed after the signer's key had been revoked: it \
            was signed after that.",
        arises: "A key that was used by somebody else after it was lost, or by its owner after it was withdrawn.",
        next: "Do not rely on the record: its key was revoked before it was signed.",
    }
    /// Signed after the end of validity.
    Expired, "EXPIRED" {
        means: "The record contains a checkpoint that was witnessed after the certificate had ended: it was signed \
            after that.",
        arises: "A signer that did not renew its certificate.",
        next: "Do not rely on the record: its certificate had ended before it was signed.",
    }
    /// Revoked, and nothing proves that the signature was there before.
    RevokedNoPoe, "REVOKED_NO_POE" {
        means: "The signer's certificate was revoked, and nothing trusted proves that the record existed before. \
            It may be from before or from after.",
        arises: "A record without timestamps; timestamps of authorities that the trust policy does not name.",
        next: "Look for a timestamp from before the revocation.",
    }
    /// An authority is revoked, and nothing proves that the signature was there before.
    RevokedCaNoPoe, "REVOKED_CA_NO_POE" {
        means: "An authority between signer and anchor was revoked, and nothing trusted proves that the record, \
            and the word that its certificate was not revoked, existed before.",
        arises: "An authority whose key was lost; a bundle without the revocation lists of that time.",
        next: "Look for a timestamp from before the authority's revocation.",
    }
    /// Not to be said today.
    TryLater, "TRY_LATER" {
        means: "Whether the certificate was revoked is not known well enough today: the list or OCSP response is \
            missing or too old, or the certificate is suspended. A newer one decides it.",
        arises: "A record that was verified soon after it was signed; a server that could not publish its list; a \
            bundle that is provisional.",
        next: "Verify again with a newer revocation list or OCSP response.",
    }
    /// Expired, not revoked, and nothing proves that the signature was there before.
    OutOfBoundsNotRevoked, "OUT_OF_BOUNDS_NOT_REVOKED" {
        means: "The certificate has ended and was not revoked until then, and nothing trusted proves that the \
            record existed while it was valid.",
        arises: "An old record without timestamps, or with timestamps of authorities that the trust policy does not \
            name.",
        next: "Look for a timestamp from before the certificate ended.",
    }
    /// Expired, and nothing is known.
    OutOfBoundsNoPoe, "OUT_OF_BOUNDS_NO_POE" {
        means: "The certificate has ended, and no revocation list or OCSP response that still speaks of it is here. Whether it was \
            revoked before its end cannot be said.",
        arises: "An old record without its bundle; an authority that takes expired certificates off its lists.",
        next: "Look for a timestamp, and a revocation list or OCSP response, from before the certificate ended.",
    }
    /// Timestamps contradict each other.
    TimestampOrderFailure, "TIMESTAMP_ORDER_FAILURE" {
        means: "Two things that are trusted to tell the time contradict each other by more than the trust policy \
            allows: the record contains a checkpoint that was witnessed after the time at which the record is \
            proved to have existed.",
        arises: "An authority or a witness whose clock is wrong; one that lies.",
        next: "Ask the authorities of the timestamps.",
    }
}

impl SubIndication {
    /// The one of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|sub| sub.name() == name)
    }
}

impl Serialize for SubIndication {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
