//! Can bytes hold a number at all? Asked of undecoded text, and of bytes of no known format.
//!
//! Written as plain loops over blocks of 64 bytes that the compiler turns into vector instructions; a text without
//! twelve digits close together costs one pass at memory speed and no allocation. Decoded text is asked by
//! [`super::runs`].

use std::ops::Range;

/// Bytes looked at together.
const BLOCK: usize = 64;
const FEWEST: u32 = 12;

/// What a block holds: ASCII digits, and bytes that may begin a digit of another script.
fn count(block: &[u8]) -> u32 {
    let (mut digits, mut high) = (0u8, 0u8);
    for &byte in block {
        digits += u8::from(byte.wrapping_sub(b'0') < 10);
        high |= byte;
    }
    if high < 0x80 {
        return u32::from(digits);
    }
    // First bytes of the blocks that have digits: 0660 (D9), 06F0 (DB), 07C0 (DF), 0966.. (E0), 1040.. (E1),
    // 2070.. (E2), A620.. (EA), FF10 (EF), beyond the BMP (F0), superscripts (C2).
    let mut leads = 0u8;
    for &byte in block {
        let lead = (byte == 0xc2)
            || (byte == 0xd9)
            || (byte == 0xdb)
            || (byte == 0xdf) | (byte.wrapping_sub(0xe0) < 3)
            || (byte == 0xea)
            || (byte == 0xef)
            || (byte == 0xf0);
        leads += u8::from(lead);
    }
    u32::from(digits) + u32::from(leads)
}

/// How far apart the digits of one number may stand in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In text, with escapes of a few bytes a digit.
    Text,
    /// In markup: a tag with its attributes around every digit.
    Markup,
}

/// Can these raw bytes hold twelve digits of one number anywhere? Coarser than [`super::runs`].
pub fn any_escaped(bytes: &[u8], reach: Reach) -> bool {
    let (mut near, mut far) = (0, 0);
    let blocks = match reach {
        Reach::Text => 4,
        Reach::Markup => 128,
    };
    for blocks in bytes.chunks(BLOCK * blocks) {
        let digits: u32 = blocks.chunks(BLOCK).map(count).sum();
        if digits + near + far >= FEWEST {
            return true;
        }
        (far, near) = (near, digits);
    }
    false
}

/// Bytes around a dense stretch that are read with it, for what stands beside a number.
const AROUND: usize = 4 * BLOCK;

/// Stretches of bytes of no known format that hold twelve ASCII digits close together, with what is around them:
/// ascending and apart. Digits of other scripts are not looked for, because any bytes at random would hold them.
pub fn dense(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut before = 0;
    for (index, block) in bytes.chunks(BLOCK).enumerate() {
        let digits = block.iter().fold(0u8, |sum, byte| sum + u8::from(byte.wrapping_sub(b'0') < 10));
        if u32::from(before + digits) >= FEWEST {
            let at = index * BLOCK;
            if !has_chain(&bytes[at.saturating_sub(BLOCK)..(at + BLOCK * 2).min(bytes.len())]) {
                before = digits;
                continue;
            }
            let (start, end) = (at.saturating_sub(BLOCK + AROUND), (at + BLOCK + AROUND).min(bytes.len()));
            match out.last_mut() {
                Some(last) if last.end >= start => last.end = end,
                _ => out.push(start..end),
            }
        }
        before = digits;
    }
    out
}

/// Twelve digits with few bytes between each and the next? Zero bytes count as none: two-byte text is text too.
fn has_chain(bytes: &[u8]) -> bool {
    const WIDEST: u32 = 4;
    let (mut digits, mut gap) = (0, 0);
    bytes.iter().any(|byte| {
        if byte.is_ascii_digit() {
            (digits, gap) = (digits + 1, 0);
        } else if *byte != 0 {
            gap += 1;
            if gap > WIDEST {
                digits = 0;
            }
        }
        digits >= FEWEST
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_at_random_are_sparse_and_a_number_among_them_is_found() {
        let mut bytes: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert!(dense(&bytes).len() < 20);
        let wide: Vec<u8> = "4111 1111 1111 1111".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for at in [0, 63, 7_001, bytes.len() - wide.len()] {
            bytes[at..at + wide.len()].copy_from_slice(&wide);
            assert!(dense(&bytes).iter().any(|range| range.start <= at && range.end >= at + wide.len()), "{at}");
        }
    }
}
