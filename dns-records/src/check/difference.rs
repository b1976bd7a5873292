//! Where two texts differ, character by character, in a form that a page can colour and a terminal can underline.

use serde::{Deserialize, Serialize};

/// A stretch of text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Does the other side have it too, in this place?
    pub same: bool,
}

/// Both texts in pieces; the pieces of a side make its whole text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Difference {
    /// What should be there.
    pub expected: Vec<Piece>,
    /// What is there.
    pub found: Vec<Piece>,
}

/// Texts whose middle is longer are not compared inside it: the table would be large and the result no help.
const MIDDLE_MAX: usize = 1_200;

impl Difference {
    /// The shortest way from `expected` to `found`: common beginning and end, and in between the longest common
    /// subsequence.
    pub fn between(expected: &str, found: &str) -> Self {
        let (a, b): (Vec<char>, Vec<char>) = (expected.chars().collect(), found.chars().collect());
        let head = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let tail = a[head..].iter().rev().zip(b[head..].iter().rev()).take_while(|(a, b)| a == b).count();
        let (middle_a, middle_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
        let mut sides = Sides::default();
        a[..head].iter().for_each(|c| sides.both(*c));
        if middle_a.len() > MIDDLE_MAX || middle_b.len() > MIDDLE_MAX {
            push_all(&mut sides.expected, middle_a);
            push_all(&mut sides.found, middle_b);
        } else {
            sides.middle(middle_a, middle_b);
        }
        a[a.len() - tail..].iter().for_each(|c| sides.both(*c));
        Self { expected: sides.expected, found: sides.found }
    }
}

#[derive(Default)]
struct Sides {
    expected: Vec<Piece>,
    found: Vec<Piece>,
}

fn push(side: &mut Vec<Piece>, c: char, same: bool) {
    match side.last_mut() {
        Some(piece) if piece.same == same => piece.text.push(c),
        _ => side.push(Piece { text: c.to_string(), same }),
    }
}

fn push_all(side: &mut Vec<Piece>, text: &[char]) {
    for c in text {
        push(side, *c, false);
    }
}

impl Sides {
    fn both(&mut self, c: char) {
        push(&mut self.expected, c, true);
        push(&mut self.found, c, true);
    }

    fn middle(&mut self, a: &[char], b: &[char]) {
        let width = b.len() + 1;
        // lengths[i][j]: the longest common subsequence of a[i..] and b[j..].
        let mut lengths = vec![0_u16; (a.len() + 1) * width];
        for i in (0..a.len()).rev() {
            for j in (0..b.len()).rev() {
                lengths[i * width + j] = if a[i] == b[j] {
                    lengths[(i + 1) * width + j + 1] + 1
                } else {
                    lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
                };
            }
        }
        let (mut i, mut j) = (0, 0);
        while i < a.len() && j < b.len() {
            if a[i] == b[j] {
                self.both(a[i]);
                (i, j) = (i + 1, j + 1);
            } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
                push(&mut self.expected, a[i], false);
                i += 1;
            } else {
                push(&mut self.found, b[j], false);
                j += 1;
            }
        }
        push_all(&mut self.expected, &a[i..]);
        push_all(&mut self.found, &b[j..]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(pieces: &[Piece], only_same: bool) -> String {
        pieces.iter().filter(|piece| piece.same || !only_same).map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn one_changed_character_is_one_piece() {
        let difference = Difference::between("v=DKIM1; p=AAAA", "v=DKIM1; p=ABAA");
        assert_eq!(difference.expected.iter().filter(|piece| !piece.same).count(), 1);
        assert_eq!(difference.found.iter().find(|piece| !piece.same).unwrap().text, "B");
    }

    proptest! {
        #[test]
        fn the_pieces_make_the_texts(a in "\\PC{0,60}", b in "\\PC{0,60}") {
            let difference = Difference::between(&a, &b);
            prop_assert_eq!(text(&difference.expected, false), a);
            prop_assert_eq!(text(&difference.found, false), b);
            prop_assert_eq!(text(&difference.expected, true), text(&difference.found, true));
        }
    }
}
