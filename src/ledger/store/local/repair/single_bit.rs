//! A frame in which one bit fell over, put right: its checksum says which bit it was.

use super::super::segment::{HEADER_BYTES, parse_header};

/// The frame that `bytes` were before one bit of them, or of the header, fell over; `None` when it was more than that.
///
/// Of damage of another kind one in `2^32 / bits` looks like a single bit: what is put right here still has to be what its
/// own signature, or the hash of others, says it is.
pub(super) fn corrected(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, payload) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (length, crc) = parse_header(*header);
    let wrong = crc32fast::hash(payload) ^ crc;
    let mut whole = bytes.to_vec();
    if payload.is_empty() {
        return None;
    }
    if length != payload.len() {
        let is_one_bit = (length ^ payload.len()).count_ones() == 1 && wrong == 0;
        whole[..4].copy_from_slice(&u32::try_from(payload.len()).ok()?.to_le_bytes());
        return is_one_bit.then_some(whole);
    }
    if wrong.count_ones() == 1 {
        whole[4..HEADER_BYTES].copy_from_slice(&(crc ^ wrong).to_le_bytes());
        return Some(whole);
    }
    let (behind, bit) = flipped_bit(wrong, payload.len())?;
    let at = whole.len() - 1 - behind;
    whole[at] ^= 1 << bit;
    Some(whole)
}

/// How many bytes are behind the byte whose flipped bit changes the checksum by `wrong`, and which bit that is.
fn flipped_bit(wrong: u32, length: usize) -> Option<(usize, u32)> {
    // What each bit of a byte does to the checksum, when so many bytes follow.
    let mut changes: [u32; 8] = std::array::from_fn(|bit| behind_zero(1 << bit));
    for behind in 0..length {
        if let Some(bit) = changes.iter().position(|change| *change == wrong) {
            return Some((behind, u32::try_from(bit).expect("below 8")));
        }
        changes = changes.map(behind_zero);
    }
    None
}

/// The state of CRC-32 (IEEE 802.3, reflected) one byte later.
fn behind_zero(state: u32) -> u32 {
    (0..8).fold(state, |state, _| (state >> 1) ^ if state & 1 == 1 { 0xedb8_8320 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::super::super::segment::frame_header;
    use super::*;

    #[test]
    fn one_bit_is_put_right_wherever_it_is_and_two_are_not() {
        let payload: Vec<u8> = (0..=255).collect();
        let whole = [&frame_header(&[&payload])[..], &payload].concat();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(corrected(&damaged).as_ref(), Some(&whole), "bit {bit}");
            damaged[(bit / 8 + 40) % whole.len()] ^= 2;
            assert_eq!(corrected(&damaged), None, "bit {bit} and another");
        }
        assert_eq!(corrected(&whole[..HEADER_BYTES]), None);
    }
}
