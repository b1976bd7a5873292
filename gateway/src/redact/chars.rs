//! What a character can be to a card number: a digit of any script, a kind of separator, nothing at all, or its end.
//!
//! Digits are Unicode's decimal digits (Nd) and the superscript, subscript and circled forms that people paste; an
//! ideographic number is a word and is not read.

/// A character's part in a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A digit with its value.
    Digit(u8),
    /// Shows nothing: zero-width, soft hyphen, joiners, marks.
    Nothing,
    /// White space within a line.
    Space,
    /// Hyphens, dashes, minus signs.
    Hyphen,
    /// Ends a line.
    Newline,
    /// `. / _ | : ,` tab, bullets: separators that mostly mean something else.
    Weak,
    /// Brackets, quotes, `+ # = ;`: seldom put between the digits of one number.
    Odd,
    /// `*`: the emphasis of Markdown around a group, or a mask.
    Emphasis,
    /// A cell's or field's edge.
    Cell,
    /// Everything else.
    Other,
}

/// The edge of a table cell in a view.
pub const CELL: char = '\u{1f}';
/// A view puts it before the value of an attribute that is a URL.
pub const URL: char = '\u{1d}';

/// First characters of the blocks of ten decimal digits beyond ASCII.
const ZEROS: [u32; 69] = [
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66, 0x0de6, 0x0e50,
    0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730, 0x118e0, 0x11950,
    0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50, 0x16d70, 0x1ccf0, 0x1e140,
    0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
];

const ASCII: [Class; 128] = {
    let mut table = [Class::Other; 128];
    let mut i = 0;
    while i < 10 {
        table[b'0' as usize + i] = Class::Digit(i as u8);
        i += 1;
    }
    table[b' ' as usize] = Class::Space;
    table[b'-' as usize] = Class::Hyphen;
    table[b'\n' as usize] = Class::Newline;
    table[b'\r' as usize] = Class::Newline;
    table[0x0b] = Class::Newline;
    table[0x0c] = Class::Newline;
    table[0] = Class::Nothing;
    table[0x1f] = Class::Cell;
    table[b'*' as usize] = Class::Emphasis;
    let weak = b"./_|:,\t~\\";
    let mut i = 0;
    while i < weak.len() {
        table[weak[i] as usize] = Class::Weak;
        i += 1;
    }
    let odd = b"()[]{}<>\"'`+#=;&^!?";
    let mut i = 0;
    while i < odd.len() {
        table[odd[i] as usize] = Class::Odd;
        i += 1;
    }
    table
};

/// The class of an ASCII byte.
pub fn of_ascii(byte: u8) -> Class {
    ASCII[usize::from(byte & 0x7f)]
}

/// The class of a character.
#[allow(clippy::too_many_lines)] // a table
pub fn of(c: char) -> Class {
    if c.is_ascii() {
        return of_ascii(c as u8);
    }
    if let Some(value) = digit(u32::from(c)) {
        return Class::Digit(value);
    }
    match c {
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{300}'..='\u{36f}'
        | '\u{20d0}'..='\u{20f0}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{fe20}'..='\u{fe2f}'
        | '\u{e0000}'..='\u{e01ef}'
        | '\u{1d173}'..='\u{1d17a}' => Class::Nothing,
        '\u{a0}'
        | '\u{1680}'
        | '\u{2000}'..='\u{200a}'
        | '\u{202f}'
        | '\u{205f}'
        | '\u{3000}'
        | '\u{2800}'
        | '\u{2420}'
        | '\u{2423}' => Class::Space,
        '\u{58a}'
        | '\u{5be}'
        | '\u{1400}'
        | '\u{1806}'
        | '\u{2010}'..='\u{2015}'
        | '\u{2e17}'
        | '\u{2e1a}'
        | '\u{2e3a}'
        | '\u{2e3b}'
        | '\u{2e40}'
        | '\u{2e5d}'
        | '\u{301c}'
        | '\u{3030}'
        | '\u{30a0}'
        | '\u{fe31}'
        | '\u{fe32}'
        | '\u{fe58}'
        | '\u{fe63}'
        | '\u{ff0d}'
        | '\u{10ead}'
        | '\u{2212}'
        | '\u{2043}'
        | '\u{af}'
        | '\u{207b}'
        | '\u{208b}'
        | '\u{2796}'
        | '\u{30fc}'
        | '\u{ff70}'
        | '\u{2500}'
        | '\u{2501}'
        | '\u{ff5e}'
        | '\u{2053}'
        | '\u{2d7}'
        | '\u{23af}'
        | '\u{23e4}' => Class::Hyphen,
        '\u{85}' | '\u{2028}' | '\u{2029}' => Class::Newline,
        // C1 controls where a windows-1252 text was labelled latin-1: a bullet and two dashes.
        '\u{95}' | '\u{2022}' | '\u{2023}' | '\u{2024}' | '\u{2027}' | '\u{2219}' | '\u{22c5}' | '\u{b7}'
        | '\u{30fb}' | '\u{ff65}' | '\u{25cf}' | '\u{25cb}' | '\u{25e6}' | '\u{25aa}' | '\u{25ab}' | '\u{25a0}'
        | '\u{25a1}' | '\u{2044}' | '\u{2215}' | '\u{ff0e}' | '\u{ff0f}' | '\u{ff3f}' | '\u{ff0c}' | '\u{ff1a}'
        | '\u{ff5c}' | '\u{3001}' | '\u{3002}' | '\u{2758}' | '\u{a6}' | '\u{2502}' | '\u{fe52}' | '\u{fe50}'
        | '\u{2e31}' | '\u{387}' | '\u{2e33}' | '\u{60c}' | '\u{66b}' | '\u{66c}' | '\u{203f}' | '\u{2192}'
        | '\u{203a}' | '\u{2026}' => Class::Weak,
        // A separator that some program could not read.
        '\u{fffd}' => Class::Weak,
        '\u{96}' | '\u{97}' => Class::Hyphen,
        '\u{2018}'..='\u{201f}'
        | '\u{ff08}'
        | '\u{ff09}'
        | '\u{ff0b}'
        | '\u{3008}'..='\u{3011}'
        | '\u{ab}'
        | '\u{bb}'
        | '\u{b4}'
        | '\u{2032}'
        | '\u{ff1b}'
        | '\u{ff07}' => Class::Odd,
        _ => Class::Other,
    }
}

fn digit(code: u32) -> Option<u8> {
    if code < 0x660 {
        return match code {
            0xb2 | 0xb3 => Some((code - 0xb0) as u8),
            0xb9 => Some(1),
            _ => None,
        };
    }
    let at = ZEROS.partition_point(|zero| *zero <= code);
    if at > 0 && code - ZEROS[at - 1] < 10 {
        return Some((code - ZEROS[at - 1]) as u8);
    }
    let value = match code {
        0x2070 | 0x2080 | 0x24ea | 0x24ff | 0x1f10b | 0x1f10c | 0x1f100 | 0x1f101 => 0,
        0x2074..=0x2079 => code - 0x2070,
        0x2081..=0x2089 => code - 0x2080,
        0x2460..=0x2468 => code - 0x245f,
        0x2474..=0x247c => code - 0x2473,
        0x2488..=0x2490 => code - 0x2487,
        0x24f5..=0x24fd => code - 0x24f4,
        0x2776..=0x277e => code - 0x2775,
        0x2780..=0x2788 => code - 0x277f,
        0x278a..=0x2792 => code - 0x2789,
        0x1d7ce..=0x1d7ff => (code - 0x1d7ce) % 10,
        0x1f102..=0x1f10a => code - 0x1f101,
        0x1e5f1..=0x1e5fa => code - 0x1e5f1,
        _ => return None,
    };
    Some(value as u8)
}

/// The mark that a struck digit leaves: as wide as the digit in the charsets that have it.
pub fn mask(digit: char) -> char {
    match (digit.len_utf8(), digit) {
        (1, _) => '*',
        (_, '\u{b2}' | '\u{b3}' | '\u{b9}') => '\u{d7}',
        (2, _) => '\u{66d}',
        (3, '\u{ff10}'..='\u{ff19}') => '\u{ff0a}',
        (3, _) => '\u{2022}',
        _ => '\u{1f7b6}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_many_scripts_have_their_values() {
        for (text, value) in [("4٤۴४４𝟒𝟜𝟺④⁴₄❹➃߄৪", 4), ("0٠０𝟎⓪⁰", 0), ("9٩９𝟗⑨⁹", 9), ("²", 2), ("³", 3), ("¹", 1)]
        {
            for c in text.chars() {
                assert_eq!(of(c), Class::Digit(value), "{c}");
            }
        }
        for c in "aß一二½Ⅳ⑩東".chars() {
            assert!(!matches!(of(c), Class::Digit(_)), "{c}");
        }
    }

    #[test]
    fn a_mask_is_as_wide_as_its_digit_and_is_none() {
        for code in 0..=0x10_ffff {
            let Some(c) = char::from_u32(code) else { continue };
            if let Class::Digit(value) = of(c) {
                assert!(value < 10);
                assert_eq!(mask(c).len_utf8(), c.len_utf8());
                assert!(matches!(of(mask(c)), Class::Other | Class::Weak | Class::Emphasis), "{c}");
            }
        }
    }

    #[test]
    fn the_table_of_zeros_is_sorted() {
        assert!(ZEROS.is_sorted());
    }
}
