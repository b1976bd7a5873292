//! Where in a text a number can be: runs of bytes without a letter (in markup: without an angle bracket) that hold
//! twelve digits.
//!
//! No letter stands inside a number, so what lies between two letters is looked at by itself. Digits and letters are
//! counted on the bytes, 64 at a time as bit masks; bytes beyond ASCII count as digits or letters where all characters
//! that begin with them are, and as neither otherwise. Never misses a number: what it gives is read exactly afterwards.

use std::ops::Range;

/// Bytes looked at together.
const BLOCK: usize = 64;
/// Digits of the shortest number.
const FEWEST: u32 = 12;

const DIGIT: u8 = 1;
const LETTER: u8 = 2;

/// What each byte says.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            // First bytes of the blocks that have digits: superscripts (C2), 0660 (D9), 06F0 (DB), 07C0 (DF), 0966 (E0),
            // 1040 (E1), 2070 (E2), A620 (EA), FF10 (EF), beyond the BMP (F0).
            0xc2 | 0xd9 | 0xdb | 0xdf | 0xe0..=0xe2 | 0xea | 0xef | 0xf0 => DIGIT,
            // Blocks of nothing but letters: Latin (C3 to C9), Greek's end (CF), Cyrillic, Armenian, Hebrew, ideographs,
            // Hangul.
            0xc3..=0xc9 | 0xcf..=0xd5 | 0xd7 | 0xe4..=0xe9 | 0xeb..=0xed => LETTER,
            _ => 0,
        };
        byte += 1;
    }
    table
};

/// What parts the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaks {
    /// Letters.
    Letters,
    /// The angle brackets of tags.
    Brackets,
}

/// Which bytes of a block are digits, and which part runs.
fn masks(block: &[u8; BLOCK], breaks: Breaks) -> (u64, u64) {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = LOW << 7;
    // Gathers the highest bit of each byte.
    let gather = |bits: u64| ((bits & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
    let words = block.as_chunks::<8>().0;
    if words.iter().fold(0, |all, word| all | u64::from_le_bytes(*word)) & HIGH != 0 {
        return block.iter().enumerate().fold((0, 0), |(digits, breaks_at), (i, byte)| {
            let class = CLASS[usize::from(*byte)];
            let ends = match breaks {
                Breaks::Letters => class >> 1,
                Breaks::Brackets => u8::from(matches!(byte, b'<' | b'>')),
            };
            (digits | u64::from(class & DIGIT) << i, breaks_at | u64::from(ends) << i)
        });
    }
    let (mut digits, mut letters) = (0, 0);
    for (i, word) in words.iter().enumerate() {
        // All bytes are below 80, so no sum carries into the next one.
        let word = u64::from_le_bytes(*word);
        let other = (word ^ (LOW * 0x30)) + LOW * 0x76;
        let letter = match breaks {
            Breaks::Letters => {
                let lower = word | (LOW * 0x20);
                (lower + LOW * 0x1f) & !(lower + LOW * 5)
            }
            Breaks::Brackets => !(((word | (LOW * 2)) ^ (LOW * 0x3e)) + LOW * 0x7f),
        };
        digits |= gather(!other) << (i * 8);
        letters |= gather(letter) << (i * 8);
    }
    (digits, letters)
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Where it stands.
    pub range: Range<usize>,
    /// Its digits, or more: of ASCII exactly.
    pub digits: u32,
}

impl Run {
    /// May it hold a number by its count and first digit? Of twelve digits only Maestro's are, which begin with 5 or 6;
    /// most runs of twelve are times.
    pub fn may_hold(&self, bytes: &[u8]) -> bool {
        let bytes = &bytes[self.range.clone()];
        self.digits > FEWEST
            || !bytes.is_ascii()
            || bytes.iter().find(|byte| byte.is_ascii_digit()).is_some_and(|digit| matches!(digit, b'5' | b'6'))
    }
}

/// Iterator over the runs, ascending and apart; ends need not be character boundaries.
pub struct Runs<'b> {
    bytes: &'b [u8],
    breaks: Breaks,
    /// The next block.
    at: usize,
    /// The block at hand, from `bit` on: its digits and letters, and where it stands.
    digits: u64,
    letters: u64,
    /// Where twelve bytes without a letter begin.
    long: u64,
    base: usize,
    bit: u32,
    /// Where the run that goes on began.
    start: usize,
    /// Its digits so far.
    count: u32,
}

/// The runs of a text.
pub fn runs(bytes: &[u8], breaks: Breaks) -> Runs<'_> {
    Runs { bytes, breaks, at: 0, digits: 0, letters: 0, long: 0, base: 0, bit: BLOCK as u32, start: 0, count: 0 }
}

fn from(bits: u64, bit: u32) -> u64 {
    if bit < 64 { bits & (u64::MAX << bit) } else { 0 }
}

impl Runs<'_> {
    /// Takes the next block in. Where no run of it can have digits enough, only its end is of interest.
    fn advance(&mut self) {
        let rest = &self.bytes[self.at..];
        (self.digits, self.letters) = if let Some(block) = rest.first_chunk::<BLOCK>() {
            masks(block, self.breaks)
        } else {
            let mut block = [0; BLOCK];
            block[..rest.len()].copy_from_slice(rest);
            masks(&block, self.breaks)
        };
        (self.base, self.bit) = (self.at, 0);
        self.at = (self.at + BLOCK).min(self.bytes.len());
        if self.count == 0 {
            self.start = self.base;
        }
        if self.count < FEWEST && self.count + self.digits.count_ones() < FEWEST {
            if self.letters != 0 {
                let last = self.letters.ilog2();
                (self.start, self.count) = (self.base + last as usize + 1, 0);
                self.digits = from(self.digits, last);
            }
            self.count += self.digits.count_ones();
            self.bit = BLOCK as u32;
            return;
        }
        let two = !self.letters & !self.letters >> 1;
        let four = two & two >> 2;
        self.long = four & four >> 4 & four >> 8;
    }

    /// Goes to the end of the run in the block at hand; is it one to be read?
    fn run(&mut self) -> Option<Run> {
        let letters = from(self.letters, self.bit);
        let digits = from(self.digits, self.bit);
        if letters == 0 {
            self.count += digits.count_ones();
            self.bit = BLOCK as u32;
            return None;
        }
        let end = letters.trailing_zeros();
        self.count += (digits & !(u64::MAX << end)).count_ones();
        let found =
            (self.count >= FEWEST).then(|| Run { range: self.start..self.base + end as usize, digits: self.count });
        // On to the next run that is long enough, or to the one that goes on in the next block.
        let last = 64 - letters.leading_zeros();
        self.bit = from(self.long, end).trailing_zeros().min(last);
        (self.start, self.count) = (self.base + self.bit as usize, 0);
        found
    }
}

impl Iterator for Runs<'_> {
    type Item = Run;

    fn next(&mut self) -> Option<Run> {
        loop {
            while self.bit < BLOCK as u32 {
                let found = self.run();
                if found.is_some() {
                    return found;
                }
            }
            if self.at >= self.bytes.len() {
                let last =
                    (self.count >= FEWEST).then_some(Run { range: self.start..self.bytes.len(), digits: self.count });
                self.count = 0;
                return last;
            }
            self.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, byte by byte.
    fn slowly(bytes: &[u8], breaks: Breaks) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        let (mut start, mut count) = (0, 0);
        for (at, byte) in bytes.iter().chain(b"x").enumerate() {
            let last = at == bytes.len();
            match CLASS[usize::from(*byte)] {
                _ if last || breaks == Breaks::Brackets && matches!(byte, b'<' | b'>') => {
                    if count >= FEWEST {
                        out.push(start..at);
                    }
                    (start, count) = (at + 1, 0);
                }
                DIGIT => count += 1,
                LETTER if breaks == Breaks::Letters => {
                    if count >= FEWEST {
                        out.push(start..at);
                    }
                    (start, count) = (at + 1, 0);
                }
                _ => {}
            }
        }
        out
    }

    fn check(bytes: &[u8], breaks: Breaks) {
        let quick: Vec<_> = runs(bytes, breaks).map(|run| run.range).collect();
        let slow = slowly(bytes, breaks);
        assert_eq!(quick.len(), slow.len());
        for (quick, slow) in quick.iter().zip(&slow) {
            // A run may be given from its first block with digits on.
            assert!(quick.start >= slow.start && quick.end == slow.end, "{quick:?} {slow:?}");
            assert!(bytes[slow.start..quick.start].iter().all(|byte| CLASS[usize::from(*byte)] != DIGIT));
        }
    }

    #[test]
    fn prose_is_cold_and_a_number_is_found_wherever_it_stands() {
        let prose = "Your order of 12 May 2026 has left our house. ".repeat(50);
        assert_eq!(runs(prose.as_bytes(), Breaks::Letters).next(), None);
        for at in [0, 1, 63, 64, 65, 1000, prose.len() - 1] {
            let mut text = prose.clone();
            text.insert_str(at, "4 1 1 1 - 1 1 1 1 - 1 1 1 1 - 1 1 1 1");
            assert!(
                runs(text.as_bytes(), Breaks::Letters).any(|run| run.range.start <= at && run.range.end >= at + 37),
                "{at}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn masks_and_bytes_agree(text in "[0-9a-zA-Z<> ./\\-@`{\\[:;é٤４番ж]{0,400}", bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            for breaks in [Breaks::Letters, Breaks::Brackets] {
                check(text.as_bytes(), breaks);
                check(&bytes, breaks);
            }
        }
    }
}
