//! SHA-2, and SHA-1 where a format names something by it (never for a signature).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::backend;

/// The SHA-256 digest of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    backend::sha256(bytes)
}

/// The SHA-384 digest of `bytes`.
#[must_use]
pub fn sha384(bytes: &[u8]) -> [u8; 48] {
    backend::sha384(bytes)
}

/// The SHA-512 digest of `bytes`.
#[must_use]
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    backend::sha512(bytes)
}

/// The SHA-1 digest of `bytes`: for uuid version 8 and ESSCertID (RFC 2634), which name things by it.
#[must_use]
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    use sha1::Digest as _;
    sha1::Sha1::digest(bytes).into()
}

/// A SHA-256 digest that names something, written `sha256-<base64url>`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

/// Text that is not `sha256-` and the base64url of 32 bytes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a digest of the form sha256-<base64url of 32 bytes>")]
pub struct DigestSyntaxError;

impl Sha256Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }
}

impl std::fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "sha256-{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::fmt::Debug for Sha256Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, formatter)
    }
}

impl std::str::FromStr for Sha256Digest {
    type Err = DigestSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let encoded = text.strip_prefix("sha256-").ok_or(DigestSyntaxError)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| DigestSyntaxError)?;
        Ok(Self(bytes.try_into().map_err(|_| DigestSyntaxError)?))
    }
}

impl serde::Serialize for Sha256Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Sha256Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A SHA-256 digest in the making, for what does not fit in memory.
#[derive(Clone)]
pub struct Sha256(backend::Sha256);

/// A SHA-384 digest in the making, for recordings of any size.
#[derive(Clone)]
pub struct Sha384(backend::Sha384);

/// A SHA-512 digest in the making, for recordings of any size.
#[derive(Clone)]
pub struct Sha512(backend::Sha512);

macro_rules! streaming {
    ($name:ident, $size:literal) => {
        impl Default for $name {
            fn default() -> Self {
                Self(backend::$name::new())
            }
        }

        impl $name {
            /// Takes in the next bytes.
            pub fn update(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            /// The digest of everything taken in.
            #[must_use]
            pub fn finish(self) -> [u8; $size] {
                self.0.finish()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(stringify!($name))
            }
        }

        impl std::io::Write for $name {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.update(bytes);
                Ok(bytes.len())
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

streaming!(Sha256, 32);
streaming!(Sha384, 48);
streaming!(Sha512, 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_backends_agree_with_the_standard() {
        // FIPS 180-4, "abc".
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&sha256(b"abc")), abc);
        assert_eq!(hex(&super::super::rust_crypto::sha256(b"abc")), abc);
        assert_eq!(sha512(b"abc"), super::super::rust_crypto::sha512(b"abc"));
        assert_eq!(sha384(b"abc"), super::super::rust_crypto::sha384(b"abc"));
        assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn a_digest_reads_back_and_nothing_else_does() {
        let digest = Sha256Digest::of(b"abc");
        assert_eq!(digest.to_string(), "sha256-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "sha256-", "sha512-AA", "sha256-ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa1"] {
            assert!(wrong.parse::<Sha256Digest>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_stream_gives_what_the_whole_gives() {
        let mut stream = Sha512::default();
        stream.update(b"a");
        stream.update(b"bc");
        assert_eq!(stream.finish(), sha512(b"abc"));
        let mut stream = Sha384::default();
        stream.update(b"ab");
        stream.update(b"c");
        assert_eq!(stream.finish(), sha384(b"abc"));
    }
}
