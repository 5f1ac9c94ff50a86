//! Bodies that are read whole.

use std::io::Read as _;

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use flate2::bufread::GzDecoder;
use futures_util::{Stream, StreamExt as _};

use super::BodyReadError;
use super::incoming::IncomingBody;
use super::memory::HeldMemory;

/// Bytes that a body begins with, and that are unpacked at a time.
const PIECE_BYTES: usize = 16 << 10;

/// A body that is there, with the memory that is counted for it until it is dropped.
#[derive(Debug)]
pub struct HeldBody {
    bytes: Vec<u8>,
    memory: HeldMemory,
}

impl HeldBody {
    /// The body of which nothing is there yet.
    #[must_use]
    pub fn empty(memory: HeldMemory) -> Self {
        Self { bytes: Vec::new(), memory }
    }

    /// Adds `piece`, within `bytes_max`, and waits a moment if there is no room for it.
    ///
    /// # Errors
    /// When it becomes too large, or there is no room.
    pub async fn push(&mut self, piece: &[u8], bytes_max: usize) -> Result<(), BodyReadError> {
        let more = self.growth(piece.len(), bytes_max)?;
        self.memory.hold(more).await?;
        self.append(piece, more);
        Ok(())
    }

    /// Its bytes, and what must be kept as long as they are.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, HeldMemory) {
        (self.bytes, self.memory)
    }

    /// How many bytes must be allocated before `more` can be added: room doubles, as it does in a vector.
    fn growth(&self, more: usize, bytes_max: usize) -> Result<usize, BodyReadError> {
        let needed = self.bytes.len() + more;
        if needed > bytes_max {
            return Err(BodyReadError::TooLarge { bytes_max: bytes_max as u64 });
        }
        let capacity = self.bytes.capacity();
        let doubled = (2 * capacity).clamp(PIECE_BYTES, bytes_max.max(PIECE_BYTES)).max(needed);
        Ok(if needed > capacity { doubled - capacity } else { 0 })
    }

    fn append(&mut self, piece: &[u8], growth: usize) {
        if growth > 0 {
            self.bytes.reserve_exact(self.bytes.capacity() + growth - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
    }

    /// What its gzip member inflates to, within `bytes_max`. Blocks for the processor.
    fn unpacked(self, bytes_max: usize) -> Result<Self, BodyReadError> {
        let mut whole = Self::empty(self.memory.clone());
        let mut packed = GzDecoder::new(self.bytes.as_slice());
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = packed.read(&mut piece).map_err(|_| BodyReadError::Broken)?;
            if count == 0 {
                break;
            }
            let more = whole.growth(count, bytes_max)?;
            whole.memory.try_hold(more)?;
            whole.append(&piece[..count], more);
        }
        if packed.into_inner().is_empty() { Ok(whole) } else { Err(BodyReadError::Broken) }
    }
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body whole, and unpacks it where its `encoding` (RFC 9110 §8.4) says so; both are within `bytes_max`.
///
/// # Errors
/// When it is too large or malformed, comes too slowly, or there is no room for it.
pub async fn read_whole<S>(
    mut body: IncomingBody<S>,
    encoding: Option<&str>,
    bytes_max: usize,
) -> Result<HeldBody, BodyReadError>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let packed = match encoding.map(str::trim) {
        None => false,
        Some(name) if name.eq_ignore_ascii_case("identity") => false,
        Some(name) if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => true,
        Some(_) => return Err(BodyReadError::Encoding),
    };
    let mut whole = HeldBody::empty(body.memory());
    while let Some(chunk) = body.next().await {
        whole.push(&chunk?, bytes_max).await?;
    }
    whole.memory.finish();
    if !packed {
        return Ok(whole);
    }
    let unpacked = tokio::task::spawn_blocking(move || whole.unpacked(bytes_max));
    unpacked.await.unwrap_or(Err(BodyReadError::Broken))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;
    use std::time::Duration;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use futures_util::stream;

    use super::*;
    use crate::request_body::{BodyLimits, BodyMemory, Caller};

    const SECOND: Duration = Duration::from_secs(1);

    fn memory() -> Arc<BodyMemory> {
        BodyMemory::new(BodyLimits {
            bytes_max: 4 << 20,
            caller_bytes_max: 1 << 20,
            bytes_per_second_min: 1000,
            waited_max: 60 * SECOND,
        })
    }

    /// A body of which a chunk comes after each pause.
    async fn read(memory: &Arc<BodyMemory>, chunks: Vec<(Duration, Vec<u8>)>) -> Result<HeldBody, BodyReadError> {
        let chunks = stream::iter(chunks).then(async |(pause, chunk)| {
            tokio::time::sleep(pause).await;
            Ok(Bytes::from(chunk))
        });
        let body = IncomingBody::new(memory, Caller::Token("tok_1".into()), Box::pin(chunks));
        read_whole(body, None, 100_000).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_not_waited_for() {
        let memory = memory();
        let steady = vec![(SECOND, vec![7; 2000]); 40];
        assert_eq!(read(&memory, steady).await.unwrap().as_ref(), vec![7; 80_000]);
        for slow in [
            vec![(11 * SECOND, vec![7])],
            vec![(SECOND, vec![7; 80_000]), (31 * SECOND, vec![7])],
            vec![(SECOND, vec![7; 100]); 40],
            vec![(SECOND, vec![7; 1500]); 61],
        ] {
            assert_eq!(read(&memory, slow).await.unwrap_err(), BodyReadError::TooSlow);
        }
        assert_eq!(memory.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_ends_when_a_faster_one_needs_its_room() {
        let memory = memory();
        let slow = (0..40).map(|_| read(&memory, vec![(Duration::ZERO, vec![7; 60_000]), (9 * SECOND, vec![7])]));
        let fast = async {
            tokio::time::sleep(SECOND).await;
            let mut whole = 0;
            for _ in 0..40 {
                whole += usize::from(read(&memory, vec![(Duration::ZERO, vec![7; 60_000])]).await.is_ok());
            }
            whole
        };
        let (slow, fast) = futures_util::future::join(futures_util::future::join_all(slow), fast).await;
        assert_eq!(fast, 40);
        assert!(slow.iter().any(|body| matches!(body, Err(BodyReadError::NoRoom))));
    }

    #[tokio::test]
    async fn a_body_is_counted_until_it_is_dropped() {
        let memory = memory();
        let body = read(&memory, vec![(Duration::ZERO, vec![7; 20_000]), (Duration::ZERO, vec![7; 30_000])]).await;
        assert_eq!(memory.bytes(), 50_000);
        drop(body);
        assert_eq!(memory.bytes(), 0);
        let large = read(&memory, vec![(Duration::ZERO, vec![7; 60_000]); 2]).await;
        assert_eq!(large.unwrap_err(), BodyReadError::TooLarge { bytes_max: 100_000 });
    }

    #[tokio::test]
    async fn gzip_is_unpacked_within_the_limits() {
        let memory = memory();
        let packed = |bytes: &[u8]| {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(bytes).unwrap();
            packed.finish().unwrap()
        };
        let read = async |bytes: Vec<u8>, encoding, bytes_max| {
            let chunks = stream::iter([Ok(Bytes::from(bytes))]);
            let body = IncomingBody::new(&memory, Caller::Token("tok_1".into()), chunks);
            read_whole(body, Some(encoding), bytes_max).await.map(|body| body.into_parts().0)
        };
        assert_eq!(read(packed(&[7; 50_000]), "gzip", 50_000).await.unwrap(), vec![7; 50_000]);
        assert_eq!(read(b"as it is".to_vec(), "identity", 100).await.unwrap(), b"as it is");
        let too_large = BodyReadError::TooLarge { bytes_max: 50_000 };
        assert_eq!(read(packed(&[7; 50_001]), "gzip", 50_000).await.unwrap_err(), too_large);
        assert_eq!(read(packed(&[7; 8 << 20]), "gzip", 16 << 20).await.unwrap_err(), BodyReadError::NoRoom);
        let mut broken = packed(b"something");
        broken.push(0);
        for wrong in [broken, b"no gzip".to_vec(), packed(b"something")[..12].to_vec()] {
            assert_eq!(read(wrong, "gzip", 100).await.unwrap_err(), BodyReadError::Broken);
        }
        assert_eq!(read(Vec::new(), "br", 100).await.unwrap_err(), BodyReadError::Encoding);
        assert_eq!(memory.bytes(), 0);
    }
}
