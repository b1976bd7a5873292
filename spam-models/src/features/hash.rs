//! Hashing of features: our own, because the hash is part of the model's format and must never change under it.

/// What a feature is about; each has a hash seed of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Word = 1,
    Gram,
    Across,
    Squeezed,
    Masked,
    Written,
    Leet,
    LeetGram,
    Digits,
    Tag,
    Handle,
    Domain,
    Host,
    Top,
    LinkWord,
    PathWord,
    LinkGram,
    Mail,
    Emoji,
    Shape,
    Structure,
}

/// A hash under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(u64);

/// 2^64 divided by the golden ratio (Knuth, TAOCP 3 §6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hash {
    #[inline]
    pub(super) fn new(kind: Kind) -> Self {
        Self((kind as u64).wrapping_mul(GOLDEN))
    }

    #[inline]
    pub(super) fn add(self, value: u32) -> Self {
        Self((self.0.rotate_left(5) ^ u64::from(value)).wrapping_mul(GOLDEN))
    }

    pub(super) fn chars(self, chars: &[char]) -> Self {
        chars.iter().fold(self, |hash, &c| hash.add(c as u32))
    }

    pub(super) fn text(self, text: &str) -> Self {
        text.chars().fold(self, |hash, c| hash.add(c as u32))
    }

    pub(super) fn squeezed(self, chars: &[char]) -> Self {
        let mut previous = None;
        chars.iter().fold(self, |hash, &c| if previous.replace(c) == Some(c) { hash } else { hash.add(c as u32) })
    }

    pub(super) fn masked(self, chars: &[char]) -> Self {
        chars.iter().fold(self, |hash, &c| hash.add(if c.is_numeric() { '0' } else { c } as u32))
    }

    /// The hash of two words in a row.
    pub(super) fn pair(self, next: Self) -> Self {
        Self((self.0.rotate_left(23) ^ next.0).wrapping_mul(GOLDEN))
    }

    #[inline]
    pub(super) fn finish(self) -> u32 {
        // The last multiplication leaves the low bits weak; fold the high ones in once more.
        ((self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
    }
}

/// The letters that a word with digits and signs in their place is read as; `None` where it holds none, or no letter.
pub(super) fn leet(word: &str) -> Option<Vec<char>> {
    if !word.is_ascii() || !(3..=40).contains(&word.len()) || word.contains("://") {
        return None;
    }
    let word =
        word.trim_end_matches(['.', ',', ';', ':', '?', ')', '!', '"', '\'']).trim_start_matches(['(', '"', '\'']);
    let mut swapped = 0;
    let letters: Vec<char> = word
        .bytes()
        .map(|octet| {
            let plain = match octet {
                b'0' => 'o',
                b'1' | b'!' | b'|' => 'i',
                b'3' => 'e',
                b'4' | b'@' => 'a',
                b'5' | b'$' => 's',
                b'7' | b'+' => 't',
                b'8' => 'b',
                b'9' => 'g',
                other => return char::from(other.to_ascii_lowercase()),
            };
            swapped += 1;
            plain
        })
        .collect();
    let own = letters.iter().filter(|c| c.is_ascii_alphabetic()).count();
    (swapped > 0 && own > swapped || swapped > 1 && word.bytes().any(|octet| octet.is_ascii_alphabetic()))
        .then_some(letters)
}

/// The hashes seen so far of one post: an open-addressed set, because a sort took a third of the whole time.
#[derive(Debug)]
pub(crate) struct Distinct {
    slots: Vec<u32>,
    mask: usize,
    zero: bool,
}

impl Distinct {
    pub(crate) fn with_room_for(entries: usize) -> Self {
        let size = (entries * 2).next_power_of_two().max(16);
        Self { slots: vec![0; size], mask: size - 1, zero: false }
    }

    /// Whether `hash` was new.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u32) -> bool {
        if hash == 0 {
            return !std::mem::replace(&mut self.zero, true);
        }
        let mut at = hash as usize & self.mask;
        loop {
            match self.slots[at] {
                0 => {
                    self.slots[at] = hash;
                    return true;
                }
                present if present == hash => return false,
                _ => at = (at + 1) & self.mask,
            }
        }
    }
}
