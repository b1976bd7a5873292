//! Replacements in a run of bytes, by the offsets of the original.
//!
//! An [`EditSet`] is disjoint and sorted by construction, so that applying it is one pass and every byte outside an
//! edit is the same byte afterwards. Offsets of raw bytes and of decoded text are different types: mixing them up
//! is the classic fault of a redactor.

use std::ops::Range;

/// An offset in the bytes as they came (of a message, or of a decoded attachment that is edited as a whole).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawOffset(pub usize);

/// An offset in decoded text (UTF-8), always on a character's first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextOffset(pub usize);

/// One character of decoded text and what stands in its place afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CharEdit {
    /// Where the old character begins.
    pub at: TextOffset,
    /// The new character.
    pub to: char,
}

/// Sorts edits and drops the second of two at one offset.
pub fn normalise(edits: &mut Vec<CharEdit>) {
    // The sort takes memory of its own even where it has nothing to do.
    if !edits.is_sorted_by_key(|edit| edit.at) {
        edits.sort_by_key(|edit| edit.at);
    }
    edits.dedup_by_key(|edit| edit.at);
}

/// One replacement: of `start..end` by as many of the set's bytes, from `with` on, as `len` says.
#[derive(Debug, Clone, Copy)]
struct Edit {
    start: usize,
    end: usize,
    with: u32,
    len: u32,
}

/// Disjoint replacements in original offsets. The new bytes stand in one vector: one for each edit would take more
/// memory than everything else in a text of single digits.
#[derive(Debug, Clone, Default)]
pub struct EditSet {
    edits: Vec<Edit>,
    bytes: Vec<u8>,
}

impl EditSet {
    /// No edits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Does every replacement have the length of what it replaces?
    pub fn keeps_length(&self) -> bool {
        self.edits.iter().all(|edit| edit.end - edit.start == edit.len as usize)
    }

    /// Replaces `range`. Where it overlaps an earlier edit the earlier one stands: two views of one place strike
    /// out the same digits, and the one that was built first knows the place better.
    pub fn replace(&mut self, range: Range<RawOffset>, with: impl AsRef<[u8]>) -> bool {
        let (start, end) = (range.start.0, range.end.0.max(range.start.0));
        let at = self.edits.partition_point(|edit| edit.start < start);
        let after = self.edits.get(at).is_some_and(|next| next.start < end || next.start == start && next.end == end);
        if after || at > 0 && self.edits[at - 1].end > start {
            return false;
        }
        let bytes = with.as_ref();
        self.edits.insert(at, Edit { start, end, with: self.bytes.len() as u32, len: bytes.len() as u32 });
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// What an edit writes.
    fn new_bytes(&self, edit: &Edit) -> &[u8] {
        &self.bytes[edit.with as usize..(edit.with + edit.len) as usize]
    }

    /// Writes one byte in place of another.
    pub fn put(&mut self, at: RawOffset, byte: u8) {
        // Runs grow in place: a number is one edit, not sixteen.
        if let Some(last) = self.edits.last_mut()
            && last.end == at.0
            && last.end - last.start == last.len as usize
            && (last.with + last.len) as usize == self.bytes.len()
        {
            last.end += 1;
            last.len += 1;
            self.bytes.push(byte);
            return;
        }
        self.replace(at..RawOffset(at.0 + 1), [byte]);
    }

    /// Takes over the edits of a piece that begins at `base` of these bytes.
    pub fn absorb(&mut self, piece: EditSet, base: RawOffset) {
        if self.edits.is_empty() {
            *self = piece;
            self.edits.iter_mut().for_each(|edit| (edit.start, edit.end) = (edit.start + base.0, edit.end + base.0));
            return;
        }
        for edit in &piece.edits {
            let range = RawOffset(base.0 + edit.start)..RawOffset(base.0 + edit.end);
            self.replace(range, piece.new_bytes(edit));
        }
    }

    /// The changed bytes one by one, if no edit changes a length.
    pub fn bytes(&self) -> Option<Vec<(usize, u8)>> {
        self.keeps_length().then(|| {
            let mut out = Vec::with_capacity(self.bytes.len());
            for edit in &self.edits {
                out.extend(self.new_bytes(edit).iter().enumerate().map(|(i, byte)| (edit.start + i, *byte)));
            }
            out
        })
    }

    /// The edited ranges, in order, with the lengths of what replaces them.
    pub fn ranges(&self) -> impl Iterator<Item = (Range<RawOffset>, usize)> + '_ {
        self.edits.iter().map(|edit| (RawOffset(edit.start)..RawOffset(edit.end), edit.len as usize))
    }

    /// The bytes with every edit made.
    pub fn apply(&self, original: &[u8]) -> Vec<u8> {
        let replaced: usize = self.edits.iter().map(|edit| edit.end - edit.start).sum();
        let mut out = Vec::with_capacity((original.len() + self.bytes.len()).saturating_sub(replaced));
        let mut at = 0;
        for edit in &self.edits {
            let start = edit.start.min(original.len());
            out.extend_from_slice(&original[at.min(start)..start]);
            out.extend_from_slice(self.new_bytes(edit));
            at = edit.end.min(original.len());
        }
        out.extend_from_slice(&original[at..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: usize, end: usize) -> Range<RawOffset> {
        RawOffset(start)..RawOffset(end)
    }

    #[test]
    fn edits_are_made_in_original_offsets_whatever_their_order() {
        let mut set = EditSet::new();
        assert!(set.replace(range(8, 9), *b"II"));
        assert!(set.replace(range(0, 1), *b""));
        assert!(set.replace(range(4, 6), *b"XY"));
        assert_eq!(set.apply(b"abcdefghijk"), b"bcdXYghIIjk");
        assert!(!set.keeps_length());
    }

    #[test]
    fn the_first_of_two_overlapping_edits_stands() {
        let mut set = EditSet::new();
        assert!(set.replace(range(2, 5), *b"***"));
        for (start, end) in [(4, 6), (1, 3), (2, 5), (3, 4), (0, 9)] {
            assert!(!set.replace(range(start, end), *b"!"), "{start}..{end}");
        }
        assert!(set.replace(range(5, 6), *b"!"));
        assert_eq!(set.apply(b"abcdefgh"), b"ab***!gh");
        assert_eq!(set.bytes().unwrap().len(), 4);
    }

    proptest::proptest! {
        #[test]
        fn bytes_outside_edits_are_equal(
            original in proptest::collection::vec(proptest::num::u8::ANY, 1..200),
            places in proptest::collection::vec((0usize..200, 0usize..5), 0..20),
        ) {
            let mut set = EditSet::new();
            for (start, len) in places {
                let start = start.min(original.len() - 1);
                let end = (start + len).min(original.len());
                set.replace(range(start, end), vec![b'*'; end - start]);
            }
            let out = set.apply(&original);
            proptest::prop_assert_eq!(out.len(), original.len());
            let edited: Vec<_> = set.ranges().map(|(r, _)| r.start.0..r.end.0).collect();
            for i in 0..out.len() {
                if !edited.iter().any(|r| r.contains(&i)) {
                    proptest::prop_assert_eq!(out[i], original[i]);
                }
            }
        }
    }
}
