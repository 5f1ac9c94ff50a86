//! The gzipped form, inflated: whole, or as a stream (checklist rule 32).

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

use flate2::bufread::GzDecoder;

use crate::vcon::VconLimits;

/// The magic number of a gzip member (RFC 1952 §2.3.1).
const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes to which any payload may inflate, whatever its ratio: too few to harm.
const INFLATED_BYTES_MIN: usize = 1 << 20;

/// Why a gzipped payload is not opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GzipError {
    /// Damaged, or cut short.
    #[error("the gzip stream is corrupt")]
    Damaged,
    /// A second member or other bytes behind the first.
    #[error("bytes follow the gzip member")]
    Trailing,
    /// It inflates to more than it may.
    #[error("inflates to more than {bytes_max} bytes")]
    TooLarge {
        /// Allowed, by size and by ratio.
        bytes_max: usize,
    },
}

/// Opens a payload that may be gzipped: there is no marker but the first two bytes (RFC 1952 §2.3.1).
///
/// # Errors
/// When the stream is damaged, has something behind it, or inflates beyond the limits.
pub fn inflate<'a>(payload: &'a [u8], limits: &VconLimits) -> Result<Cow<'a, [u8]>, GzipError> {
    if !payload.starts_with(&MAGIC) {
        return Ok(Cow::Borrowed(payload));
    }
    let bytes_max = limits.json.bytes_max.min(by_ratio(payload.len(), limits));
    let mut decoder = GzDecoder::new(payload);
    let mut inflated = Vec::new();
    let allowed = u64::try_from(bytes_max).expect("usize fits u64") + 1;
    decoder.by_ref().take(allowed).read_to_end(&mut inflated).map_err(|_| GzipError::Damaged)?;
    if inflated.len() > bytes_max {
        return Err(GzipError::TooLarge { bytes_max });
    }
    if !decoder.into_inner().is_empty() {
        return Err(GzipError::Trailing);
    }
    Ok(Cow::Owned(inflated))
}

/// The bytes to which a payload of this length may inflate.
fn by_ratio(bytes: usize, limits: &VconLimits) -> usize {
    bytes.saturating_mul(limits.inflation_ratio_max).max(INFLATED_BYTES_MIN)
}

/// A reader that inflates another if it is gzipped: of any size, within the ratio.
///
/// # Errors
/// Its reads give a [`GzipError`] inside the [`io::Error`], where [`inflate`] gives one.
#[derive(Debug)]
pub struct InflateReader<R: Read>(Stream<R>);

/// Those two bytes that say what it is, and what is behind them.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

#[derive(Debug)]
enum Stream<R: Read> {
    Plain(Whole<R>),
    Gzip { decoder: Box<GzDecoder<Counted<BufReader<Whole<R>>>>>, given: usize, limits: VconLimits },
}

/// Counts what is taken out of a reader.
#[derive(Debug)]
struct Counted<R> {
    from: R,
    taken: usize,
}

impl<R: Read> InflateReader<R> {
    /// A reader of what `from` gives.
    ///
    /// # Errors
    /// When `from` cannot be read.
    pub fn new(mut from: R, limits: &VconLimits) -> io::Result<Self> {
        let mut start = Vec::with_capacity(MAGIC.len());
        from.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
        let is_gzip = start == MAGIC;
        let whole = Cursor::new(start).chain(from);
        Ok(Self(if is_gzip {
            let decoder = GzDecoder::new(Counted { from: BufReader::new(whole), taken: 0 });
            Stream::Gzip { decoder: Box::new(decoder), given: 0, limits: *limits }
        } else {
            Stream::Plain(whole)
        }))
    }
}

impl<R: Read> Read for InflateReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Stream::Plain(whole) => whole.read(into),
            Stream::Gzip { decoder, given, limits } => {
                let read = decoder.read(into).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                        io::Error::new(error.kind(), GzipError::Damaged)
                    }
                    _ => error,
                })?;
                *given = given.saturating_add(read);
                let bytes_max = by_ratio(decoder.get_ref().taken, limits);
                if *given > bytes_max {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, GzipError::TooLarge { bytes_max }));
                }
                if read == 0 && !into.is_empty() && !decoder.get_mut().fill_buf()?.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, GzipError::Trailing));
                }
                Ok(read)
            }
        }
    }
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.taken += read;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.from.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
        self.from.consume(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn opens_one_member_and_nothing_behind_it() {
        let limits = VconLimits::default();
        let mut packed = gzip(b"{\"parties\":[]}");
        assert_eq!(inflate(&packed, &limits).unwrap().as_ref(), b"{\"parties\":[]}");
        assert_eq!(inflate(b"{}", &limits).unwrap().as_ref(), b"{}");
        assert_eq!(inflate(&packed[..packed.len() - 1], &limits), Err(GzipError::Damaged));
        packed.push(0);
        assert_eq!(inflate(&packed, &limits), Err(GzipError::Trailing));
    }

    #[test]
    fn a_bomb_is_stopped_by_ratio_and_by_size() {
        let bomb = gzip(&vec![b' '; 4 << 20]);
        assert!(matches!(inflate(&bomb, &VconLimits::default()), Err(GzipError::TooLarge { .. })));
        let mut small = VconLimits { inflation_ratio_max: 100_000, ..VconLimits::default() };
        assert!(inflate(&bomb, &small).is_ok());
        small.json.bytes_max = 1 << 20;
        assert_eq!(inflate(&bomb, &small), Err(GzipError::TooLarge { bytes_max: 1 << 20 }));
    }

    #[test]
    fn a_stream_is_held_to_the_same_rules() {
        let limits = VconLimits::default();
        let read = |bytes: &[u8]| -> Result<Vec<u8>, String> {
            let mut out = Vec::new();
            let mut reader = InflateReader::new(bytes, &limits).map_err(|error| error.to_string())?;
            reader.read_to_end(&mut out).map_err(|error| error.to_string()).map(|_| out)
        };
        let document = b"{\"parties\":[]}";
        let mut packed = gzip(document);
        assert_eq!(read(document).unwrap(), document);
        assert_eq!(read(b"{").unwrap(), b"{");
        assert_eq!(read(&packed).unwrap(), document);
        assert_eq!(read(&packed[..packed.len() - 1]), Err(GzipError::Damaged.to_string()));
        packed.push(0);
        assert_eq!(read(&packed), Err(GzipError::Trailing.to_string()));
        assert!(read(&gzip(&vec![b' '; 4 << 20])).unwrap_err().starts_with("inflates to more than"));
        // More than a document has, where it does not shrink much.
        let mut large: Vec<u8> = (0..40_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        large[0] = b'{';
        assert!(large.len() > limits.json.bytes_max && read(&gzip(&large)).unwrap() == large);
    }
}
