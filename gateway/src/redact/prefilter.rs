//! Where in a text a number can be at all: stretches that hold twelve digits close together.
//!
//! Written as plain loops over blocks of 64 bytes that the compiler turns into vector instructions; a text without
//! such a stretch costs one pass at memory speed and no allocation.

use std::ops::Range;

/// Bytes looked at together.
const BLOCK: usize = 64;
/// Blocks in which twelve digits make a stretch hot: nineteen digits with three separators each fit in.
const NEAR: usize = 3;
/// The same where characters take up to four bytes.
const NEAR_WIDE: usize = 8;
const FEWEST: u32 = 12;

/// What a block holds: ASCII digits, bytes that may begin a digit of another script, and whether it is all ASCII.
fn count(block: &[u8]) -> (u32, bool) {
    let (mut digits, mut high) = (0u8, 0u8);
    for &byte in block {
        digits += u8::from(byte.wrapping_sub(b'0') < 10);
        high |= byte;
    }
    if high < 0x80 {
        return (u32::from(digits), true);
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
    (u32::from(digits) + u32::from(leads), false)
}

/// The hot stretches, ascending and apart; ends are not character boundaries.
pub fn stretches(bytes: &[u8]) -> Stretches<'_> {
    Stretches { bytes, at: 0, ring: [0; NEAR_WIDE], sum: 0, wide: 0 }
}

/// Can these raw bytes, with escapes of three bytes a digit, hold twelve digits anywhere? Coarser than [`stretches`].
pub fn any_escaped(bytes: &[u8]) -> bool {
    let (mut near, mut far) = (0, 0);
    for blocks in bytes.chunks(BLOCK * 4) {
        let digits: u32 = blocks.chunks(BLOCK).map(|block| count(block).0).sum();
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

/// Iterator over hot stretches.
pub struct Stretches<'b> {
    bytes: &'b [u8],
    at: usize,
    ring: [u32; NEAR_WIDE],
    sum: u32,
    /// How many of the next blocks are judged by the wide measure.
    wide: usize,
}

impl Stretches<'_> {
    /// Takes the next block in; is what ends with it hot, and from where?
    fn advance(&mut self) -> (bool, usize) {
        let end = (self.at + BLOCK).min(self.bytes.len());
        let (digits, ascii) = count(&self.bytes[self.at..end]);
        let index = self.at / BLOCK;
        self.sum = self.sum - self.ring[index % NEAR_WIDE] + digits;
        self.ring[index % NEAR_WIDE] = digits;
        self.wide = if ascii { self.wide.saturating_sub(1) } else { NEAR_WIDE };
        self.at = end;
        if self.sum < FEWEST {
            return (false, 0);
        }
        let near = if self.wide > 0 { NEAR_WIDE } else { NEAR };
        let sum: u32 = (0..near.min(index + 1)).map(|back| self.ring[(index - back) % NEAR_WIDE]).sum();
        (sum >= FEWEST, (index + 1).saturating_sub(near) * BLOCK)
    }
}

impl Iterator for Stretches<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let mut found: Option<Range<usize>> = None;
        while self.at < self.bytes.len() {
            let (hot, from) = self.advance();
            match &mut found {
                None if hot => found = Some(from..self.at),
                Some(range) if hot => range.end = self.at,
                // The next stretch's beginning would reach back into this one otherwise.
                Some(range) if self.at > range.end + NEAR_WIDE * BLOCK => return found,
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_cold_and_a_number_is_hot_wherever_it_stands() {
        let prose = "Your order of 12 May 2026 has left our house. ".repeat(200);
        assert!(stretches("Thank you for your order. ".repeat(500).as_bytes()).next().is_none());
        for at in [0, 1, 63, 64, 65, 1000, prose.len() - 1] {
            let mut text = prose.clone();
            text.insert_str(at, "4 1 1 1 - 1 1 1 1 - 1 1 1 1 - 1 1 1 1");
            assert!(stretches(text.as_bytes()).any(|range| range.start <= at && range.end > at + 36), "{at}");
        }
    }

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

    #[test]
    fn stretches_are_ascending_and_apart() {
        let text = format!("{}{}{}", "4111111111111111 ".repeat(3), "word ".repeat(1000), "٤١١١١١١١١١١١١١١١");
        let all: Vec<_> = stretches(text.as_bytes()).collect();
        assert_eq!(all.len(), 2);
        assert!(all[0].end <= all[1].start && all[1].end == text.len());
    }
}
