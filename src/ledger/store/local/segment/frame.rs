//! A frame: `length u32 ‖ crc32 u32 ‖ payload`, little-endian.

use std::io;

use crate::vfs::FileHandle;

/// Bytes of one frame: a batch of entries, or one record body of the largest size with its seal.
pub(in crate::ledger::store::local) const FRAME_BYTES_MAX: usize = 128 << 20;
/// Bytes before the payload.
pub(in crate::ledger::store::local) const HEADER_BYTES: usize = 8;

/// The header of the frame that holds `parts`.
pub(in crate::ledger::store::local) fn frame_header(parts: &[&[u8]]) -> [u8; HEADER_BYTES] {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    assert!((1..=FRAME_BYTES_MAX).contains(&bytes), "a frame keeps its limits");
    let [a, b, c, d] = u32::try_from(bytes).expect("a frame is below 4 GiB").to_le_bytes();
    let [e, f, g, h] = hasher.finalize().to_le_bytes();
    [a, b, c, d, e, f, g, h]
}

/// The length of the payload, and its checksum, as a header has them.
pub(in crate::ledger::store::local) fn parse_header(header: [u8; HEADER_BYTES]) -> (usize, u32) {
    let [a, b, c, d, crc @ ..] = header;
    (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes(crc))
}

/// Reads the payload of the frame at `offset` of a file of `length` bytes; `None` when no whole frame is there.
pub(in crate::ledger::store::local) fn read_frame(
    file: &dyn FileHandle,
    offset: u64,
    length: u64,
) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; HEADER_BYTES];
    if length < offset + HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut header, offset)?;
    let (bytes, crc) = parse_header(header);
    let end = offset + (HEADER_BYTES + bytes) as u64;
    if bytes == 0 || bytes > FRAME_BYTES_MAX || end > length {
        return Ok(None);
    }
    let mut payload = vec![0; bytes];
    file.read_exact_at(&mut payload, offset + HEADER_BYTES as u64)?;
    Ok((crc32fast::hash(&payload) == crc).then_some(payload))
}
