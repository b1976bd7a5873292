//! The frame: how a transaction of the journal lies on disk.
//!
//! Promises: a frame is whole or it is nothing (length and checksum); damage is seen without any key; what a
//! frame says is sealed under the tenant's data key, its header bound in as associated data; after damage the next
//! whole frame is found again by its mark. One frame is the unit of atomicity: a settlement and the notice that it
//! causes stand in one.
//!
//! ```text
//! mark(4) length(4) version(1) reserved(3) tenant(4) counter(8) letter(16) checksum(4) | ciphertext tag(16)
//! ```
//! Numbers are big-endian; `length` counts what follows the header; the checksum is CRC-32 over the header without
//! itself and what follows.

use crate::ids::{LetterId, TenantId};

const MARK: [u8; 4] = *b"\xF5WxF";
const VERSION: u8 = 1;
/// Octets of a frame's header.
pub const HEADER_LEN: usize = 44;
/// Octets of the longest frame: far over the largest message, far under what a torn length could claim.
pub const MAX_LEN: usize = 1 << 30;

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Octets after the header.
    pub length: u32,
    /// Whose key sealed it.
    pub tenant: TenantId,
    /// The nonce's number under the run's key.
    pub counter: u64,
    /// The letter that it is about (the first, if there are several).
    pub letter: LetterId,
}

impl FrameHeader {
    /// The octets before the checksum.
    fn bound(&self) -> [u8; HEADER_LEN - 4] {
        let mut octets = [0; HEADER_LEN - 4];
        octets[0..4].copy_from_slice(&MARK);
        octets[4..8].copy_from_slice(&self.length.to_be_bytes());
        octets[8] = VERSION;
        octets[12..16].copy_from_slice(&self.tenant.0.to_be_bytes());
        octets[16..24].copy_from_slice(&self.counter.to_be_bytes());
        octets[24..40].copy_from_slice(&self.letter.to_bytes());
        octets
    }

    /// The associated data of the seal: everything but the checksum.
    pub fn associated(&self) -> [u8; HEADER_LEN - 4] {
        self.bound()
    }

    /// Writes the header into the first octets of `frame`, whose rest is final.
    pub fn finish(&self, frame: &mut [u8]) {
        let bound = self.bound();
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&bound);
        checksum.update(&frame[HEADER_LEN..]);
        frame[..HEADER_LEN - 4].copy_from_slice(&bound);
        frame[HEADER_LEN - 4..HEADER_LEN].copy_from_slice(&checksum.finalize().to_be_bytes());
    }

    fn read(octets: &[u8]) -> Option<Self> {
        let four = |at: usize| octets.get(at..at + 4).and_then(|o| o.try_into().ok()).map(u32::from_be_bytes);
        if octets.get(..4)? != MARK || *octets.get(8)? != VERSION || octets.get(9..12)? != [0; 3] {
            return None;
        }
        Some(Self {
            length: four(4)?,
            tenant: TenantId(four(12)?),
            counter: u64::from_be_bytes(octets.get(16..24)?.try_into().ok()?),
            letter: LetterId::from_bytes(octets.get(24..40)?.try_into().ok()?),
        })
    }
}

/// Reads the frame that begins at the start of `octets`, if a whole and undamaged one does.
pub fn parse(octets: &[u8]) -> Option<(FrameHeader, &[u8])> {
    let header = FrameHeader::read(octets)?;
    let length = header.length as usize;
    if length > MAX_LEN {
        return None;
    }
    let payload = octets.get(HEADER_LEN..HEADER_LEN + length)?;
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&octets[..HEADER_LEN - 4]);
    checksum.update(payload);
    let found = u32::from_be_bytes(octets[HEADER_LEN - 4..HEADER_LEN].try_into().ok()?);
    (checksum.finalize() == found).then_some((header, payload))
}

/// What a walk over a segment meets.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'s> {
    /// A whole frame at this offset.
    Frame(usize, FrameHeader, &'s [u8]),
    /// Octets that are no frame, with a whole frame behind them: damage.
    Damaged(usize, &'s [u8]),
    /// Octets that are no frame, up to the end: the torn tail of a crash (or damage at the end).
    Tail(usize, &'s [u8]),
}

/// Walks over the frames of a segment's octets from `start` on.
pub fn walk(octets: &[u8], start: usize) -> Walk<'_> {
    Walk { octets, at: start }
}

/// See [`walk`].
pub struct Walk<'s> {
    octets: &'s [u8],
    at: usize,
}

impl<'s> Iterator for Walk<'s> {
    type Item = Step<'s>;

    fn next(&mut self) -> Option<Step<'s>> {
        let octets = self.octets;
        let rest = octets.get(self.at..).filter(|rest| !rest.is_empty())?;
        let at = self.at;
        if let Some((header, payload)) = parse(rest) {
            self.at += HEADER_LEN + payload.len();
            return Some(Step::Frame(at, header, payload));
        }
        let next = memchr::memmem::find_iter(&rest[1..], &MARK).map(|found| at + 1 + found);
        for candidate in next {
            if parse(&octets[candidate..]).is_some() {
                self.at = candidate;
                return Some(Step::Damaged(at, &octets[at..candidate]));
            }
        }
        self.at = octets.len();
        Some(Step::Tail(at, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(counter: u64, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            length: payload.len() as u32,
            tenant: TenantId(3),
            counter,
            letter: LetterId::from_bytes([9; 16]),
        };
        let mut octets = vec![0; HEADER_LEN];
        octets.extend_from_slice(payload);
        header.finish(&mut octets);
        octets
    }

    #[test]
    fn damage_costs_one_frame_and_a_torn_tail_is_told_from_it() {
        let mut octets = frame(1, b"one");
        let second = octets.len();
        octets.extend(frame(2, b"two"));
        let third = octets.len();
        octets.extend(frame(3, b"three"));
        octets[second + HEADER_LEN] ^= 1;
        octets.extend(&frame(4, b"torn")[..10]);
        let steps: Vec<_> = walk(&octets, 0).collect();
        assert!(matches!(steps[0], Step::Frame(0, h, b"one") if h.counter == 1));
        assert!(matches!(steps[1], Step::Damaged(at, _) if at == second));
        assert!(matches!(steps[2], Step::Frame(at, h, b"three") if at == third && h.counter == 3));
        assert!(matches!(steps[3], Step::Tail(_, tail) if tail.len() == 10));
        assert_eq!(steps.len(), 4);
    }

    proptest! {
        #[test]
        fn any_octets_are_walked_to_their_end(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            let covered: usize = walk(&octets, 0)
                .map(|step| match step {
                    Step::Frame(_, _, payload) => HEADER_LEN + payload.len(),
                    Step::Damaged(_, bad) | Step::Tail(_, bad) => bad.len(),
                })
                .sum();
            prop_assert_eq!(covered, octets.len());
        }

        #[test]
        fn a_changed_bit_is_always_seen(payload in proptest::collection::vec(any::<u8>(), 0..64), bit in 0usize..512) {
            let mut octets = frame(5, &payload);
            let at = bit % (octets.len() * 8);
            octets[at / 8] ^= 1 << (at % 8);
            prop_assert!(parse(&octets).is_none() || at / 8 >= 9 && at / 8 < 12);
        }
    }
}
