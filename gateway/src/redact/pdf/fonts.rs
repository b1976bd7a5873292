//! What the codes of a font mean: ToUnicode maps and encodings (ISO 32000-1 §9.6.6, §9.10.3).

use std::collections::HashMap;

use super::lex::{Lexer, Text, Value};

/// Entries of one font that are kept.
const MOST: usize = 70_000;

/// A font's codes.
#[derive(Debug, Clone, Default)]
pub struct Font {
    /// Codes of two bytes.
    pub wide: bool,
    /// Codes that are not plain ASCII.
    map: HashMap<u32, char>,
    /// Has it a map at all? Without one a simple font is read as ASCII.
    mapped: bool,
}

impl Font {
    /// A font that is read as ASCII.
    pub fn plain() -> Self {
        Self::default()
    }

    /// From a font dictionary; `unicode` is its ToUnicode stream, unpacked.
    pub fn new(dictionary: &Value, encoding: Option<&Value>, unicode: Option<&[u8]>) -> Self {
        let mut font =
            Self { wide: dictionary.get("Subtype").and_then(Value::name) == Some("Type0"), ..Self::default() };
        if let Some(Value::Array(differences)) = encoding.and_then(|encoding| encoding.get("Differences")) {
            font.differences(differences);
        }
        if let Some(unicode) = unicode {
            font.read_to_unicode(unicode);
        }
        font
    }

    /// The character of a code.
    pub fn character(&self, code: u32) -> char {
        if let Some(character) = self.map.get(&code) {
            return *character;
        }
        let ascii = u8::try_from(code).ok().filter(|byte| (0x20..0x7f).contains(byte));
        match ascii {
            Some(byte) if !self.wide || !self.mapped => char::from(byte),
            _ => '\u{fffd}',
        }
    }

    /// Codes to write in place of a digit's, best first: an asterisk, then whatever the font has that is no digit.
    pub fn masks(&self) -> Vec<u32> {
        let mut codes: Vec<u32> = Vec::new();
        for wanted in ['*', 'x', 'X', '\u{2022}', '-', '#', '\u{2013}', ' ', '.'] {
            let mut same: Vec<u32> = self.map.iter().filter(|(_, c)| **c == wanted).map(|(code, _)| *code).collect();
            same.sort_unstable();
            codes.extend(same);
        }
        if !self.mapped {
            codes.insert(0, u32::from(b'*'));
        }
        let mut others: Vec<u32> = self.map.iter().filter(|(_, c)| c.is_alphabetic()).map(|(code, _)| *code).collect();
        others.sort_unstable();
        codes.extend(others.into_iter().take(8));
        codes.push(if self.wide { 0 } else { u32::from(b'*') });
        codes
    }

    fn differences(&mut self, items: &[Value]) {
        let mut code = 0u32;
        for item in items.iter().take(1000) {
            match item {
                Value::Number(number) => code = *number as u32,
                Value::Name(name) => {
                    if let Some(character) = glyph(name) {
                        self.map.insert(code, character);
                    }
                    code += 1;
                }
                _ => {}
            }
        }
    }

    fn read_to_unicode(&mut self, map: &[u8]) {
        self.mapped = true;
        let mut lexer = Lexer::new(map, 0);
        let mut operands: Vec<Value> = Vec::new();
        loop {
            match lexer.value() {
                Some(Value::Keyword(word)) => {
                    match word.as_slice() {
                        b"endbfchar" => self.characters(&operands),
                        b"endbfrange" => self.ranges(&operands),
                        b"endcodespacerange" => {
                            if let Some(Value::Text(low)) = operands.first() {
                                self.wide = low.bytes.len() == 2;
                            }
                        }
                        _ => {}
                    }
                    operands.clear();
                }
                Some(value) => operands.push(value),
                None if lexer.skip() => {}
                None => return,
            }
            if self.map.len() > MOST {
                return;
            }
        }
    }

    fn characters(&mut self, operands: &[Value]) {
        for pair in operands.chunks_exact(2) {
            if let [Value::Text(code), Value::Text(text)] = pair {
                self.insert(number(code), text, 0);
            }
        }
    }

    fn ranges(&mut self, operands: &[Value]) {
        let mut left = MOST;
        for triple in operands.chunks_exact(3) {
            let [Value::Text(low), Value::Text(high), to] = triple else { continue };
            let (low, high) = (number(low), number(high));
            for (i, code) in (low..=high).enumerate().take(left) {
                left -= 1;
                match to {
                    Value::Text(text) => self.insert(code, text, i as u32),
                    Value::Array(items) => {
                        if let Some(Value::Text(text)) = items.get(i) {
                            self.insert(code, text, 0);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn insert(&mut self, code: u32, text: &Text, plus: u32) {
        let units: Vec<u16> =
            text.bytes.chunks(2).map(|pair| pair.iter().fold(0, |acc, byte| acc << 8 | u16::from(*byte))).collect();
        let mut characters = char::decode_utf16(units);
        if let (Some(Ok(character)), None) = (characters.next(), characters.next())
            && let Some(character) = char::from_u32(u32::from(character) + plus)
        {
            self.map.insert(code, character);
        }
    }
}

fn number(code: &Text) -> u32 {
    code.bytes.iter().take(4).fold(0, |acc, byte| acc << 8 | u32::from(*byte))
}

/// Characters of the glyph names that matter here.
fn glyph(name: &str) -> Option<char> {
    let character = match name {
        "zero" => '0',
        "one" => '1',
        "two" => '2',
        "three" => '3',
        "four" => '4',
        "five" => '5',
        "six" => '6',
        "seven" => '7',
        "eight" => '8',
        "nine" => '9',
        "space" => ' ',
        "hyphen" | "minus" => '-',
        "asterisk" => '*',
        "bullet" => '\u{2022}',
        "period" => '.',
        "slash" => '/',
        "colon" => ':',
        "endash" => '\u{2013}',
        _ => {
            let stem = name.split(['.', '_']).next().unwrap_or(name);
            let mut characters = stem.chars();
            if let (Some(only), None) = (characters.next(), characters.next()) {
                return Some(only);
            }
            let hex = stem.strip_prefix("uni").or(stem.strip_prefix('u'))?;
            return u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
        }
    };
    Some(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_and_differences() {
        let map = b"1 begincodespacerange <0000> <ffff> endcodespacerange 1 beginbfchar <0003> <002A> endbfchar\n2 beginbfrange <0010> <0019> <0030> <0020> <0021> [<0061> <0062>] endbfrange";
        let font = Font::new(&Value::Dict(vec![]), None, Some(map));
        assert!(font.wide);
        assert_eq!([0x10, 0x14, 0x21, 3, 99].map(|code| font.character(code)), ['0', '4', 'b', '*', '\u{fffd}']);
        assert_eq!(font.masks()[0], 3);
        let encoding = Lexer::new(b"<< /Differences [65 /four /one 70 /uni0037] >>", 0).value().unwrap();
        let font = Font::new(&Value::Dict(vec![]), Some(&encoding), None);
        assert_eq!([65, 66, 70, 71].map(|code| font.character(code)), ['4', '1', '7', 'G']);
    }
}
