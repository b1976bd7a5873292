//! What stands between two groups of digits, summed up for the judgement.

use crate::redact::chars::Class;

/// Asterisks in a row that Markdown puts around a word at most.
const EMPHASIS: u8 = 3;
/// Visible characters of one separator.
const WIDEST: u8 = 3;

/// What stands between two groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Separator {
    /// Classes that occur, as bits.
    pub kinds: u8,
    /// Visible characters, without those after a line end.
    pub width: u8,
    /// Line ends.
    pub lines: u8,
    /// The first visible character.
    pub first: char,
    /// Asterisks in a row: two are Markdown's emphasis, more are somebody's mask.
    stars: u8,
    /// Is there an asterisk at all?
    starred: bool,
}

/// Bits of [`Separator::kinds`].
pub mod kind {
    /// White space.
    pub const SPACE: u8 = 1;
    /// Hyphens.
    pub const HYPHEN: u8 = 2;
    /// Weak separators.
    pub const WEAK: u8 = 4;
    /// Odd ones.
    pub const ODD: u8 = 8;
    /// A line end.
    pub const LINE: u8 = 16;
    /// A cell's edge.
    pub const CELL: u8 = 32;
}

impl Separator {
    /// Takes a character in.
    pub(super) fn add(&mut self, class: Class, c: char) {
        if class == Class::Emphasis {
            self.starred = true;
            if self.stars <= EMPHASIS {
                self.stars += 1;
            }
            return;
        }
        if self.stars <= EMPHASIS {
            self.stars = 0;
        }
        let bit = match class {
            Class::Space => kind::SPACE,
            Class::Hyphen => kind::HYPHEN,
            Class::Weak => kind::WEAK,
            Class::Odd => kind::ODD,
            Class::Cell => kind::CELL,
            Class::Newline => {
                // CR LF is one line end.
                if c != '\n' || self.first != '\r' {
                    self.lines = self.lines.saturating_add(1);
                }
                self.kinds |= kind::LINE;
                self.first = c;
                return;
            }
            _ => return,
        };
        // Indents and quote marks after a line end show nothing of their own.
        if self.kinds & kind::LINE != 0 && (matches!(c, '>' | '|' | ' ' | '\t' | '*')) {
            self.first = '\n';
            return;
        }
        if self.width == 0 && self.lines == 0 {
            self.first = c;
        }
        self.kinds |= bit;
        self.width = self.width.saturating_add(1);
    }

    /// Can two groups with this between them belong to one number at all?
    pub(super) fn links(self) -> bool {
        if self.stars > EMPHASIS {
            return false;
        }
        let widest = if self.kinds & (kind::HYPHEN | kind::WEAK) != 0 { WIDEST + 1 } else { WIDEST };
        self.width <= widest && (self.lines <= 1 || self.kinds & kind::CELL != 0 && self.lines <= 4)
    }

    /// As it stands between two groups: emphasis alone is a weak separator of its own.
    pub(super) fn closed(self) -> Self {
        if self.starred && self.kinds == 0 { Self { kinds: kind::WEAK, width: 1, first: '*', ..self } } else { self }
    }

    /// Of one kind and width with another?
    pub fn is_like(self, other: Self) -> bool {
        self.kinds == other.kinds && self.width == other.width && self.first == other.first
    }
}
