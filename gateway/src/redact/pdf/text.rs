//! The text of a content stream in the order it is drawn, and the place of each of its digits.
//!
//! Where a glyph lands decides what stands between it and the one before: nothing, a space, a line end. Widths are
//! estimated (digits are half an em wide and a little more in all common fonts).

use std::collections::HashMap;

use super::fonts::Font;
use super::lex::{Lexer, Slot, Text, Value};
use crate::message::{CharEdit, EditSet, RawOffset};
use crate::redact::chars::CELL;

/// Saved graphics states.
const DEEPEST: usize = 64;

/// A digit of the text.
struct Digit {
    /// In the text.
    at: usize,
    slots: [Option<Slot>; 2],
    /// Index of the font.
    font: usize,
}

/// Text with the places of its digits.
#[derive(Default)]
pub struct Drawn<'f> {
    /// The text.
    pub text: String,
    digits: Vec<Digit>,
    fonts: Vec<&'f Font>,
}

type Matrix = [f64; 6];
const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    [
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
        a[4] * b[0] + a[5] * b[2] + b[4],
        a[4] * b[1] + a[5] * b[3] + b[5],
    ]
}

#[derive(Clone, Copy)]
struct Graphics {
    matrix: Matrix,
    font: usize,
    size: f64,
    leading: f64,
}

struct Painter<'d, 'f> {
    drawn: &'d mut Drawn<'f>,
    names: &'d HashMap<String, &'f Font>,
    known: HashMap<String, usize>,
    graphics: Graphics,
    saved: Vec<Graphics>,
    line: Matrix,
    /// Where the next glyph is drawn, along the line, in unscaled text space.
    advance: f64,
    /// Where the last glyph ended (estimated) and how uncertain that is.
    pen: Option<(f64, f64, f64)>,
    others: Vec<Text>,
}

/// Reads a content stream.
pub fn content<'f>(bytes: &[u8], names: &HashMap<String, &'f Font>, plain: &'f Font) -> Drawn<'f> {
    let mut drawn = Drawn { fonts: vec![plain], ..Drawn::default() };
    let graphics = Graphics { matrix: IDENTITY, font: 0, size: 1.0, leading: 0.0 };
    let mut painter = Painter {
        drawn: &mut drawn,
        names,
        known: HashMap::new(),
        graphics,
        saved: Vec::new(),
        line: IDENTITY,
        advance: 0.0,
        pen: None,
        others: Vec::new(),
    };
    let mut lexer = Lexer::new(bytes, 0);
    let mut operands: Vec<Value> = Vec::new();
    loop {
        match lexer.value() {
            Some(Value::Keyword(word)) => {
                if word == b"ID" {
                    // An inline image: its bytes are no syntax.
                    let end =
                        memchr::memmem::find(&bytes[lexer.at..], b"EI").map_or(bytes.len(), |end| lexer.at + end + 2);
                    lexer.at = end;
                } else {
                    painter.operator(&word, &operands);
                }
                operands.clear();
            }
            Some(value) => operands.push(value),
            None if lexer.skip() => {}
            None => break,
        }
        if operands.len() > 4096 {
            operands.clear();
        }
    }
    let others = std::mem::take(&mut painter.others);
    for other in others {
        drawn.string(&other);
    }
    drawn
}

impl Painter<'_, '_> {
    fn operator(&mut self, word: &[u8], operands: &[Value]) {
        let number = |i: usize| operands.get(i).and_then(Value::number).unwrap_or(0.0);
        match word {
            b"q" if self.saved.len() < DEEPEST => self.saved.push(self.graphics),
            b"Q" => self.graphics = self.saved.pop().unwrap_or(self.graphics),
            b"cm" => {
                let matrix = [number(0), number(1), number(2), number(3), number(4), number(5)];
                self.graphics.matrix = multiply(&matrix, &self.graphics.matrix);
            }
            b"BT" => (self.line, self.advance) = (IDENTITY, 0.0),
            b"Tf" => {
                if let Some(name) = operands.first().and_then(Value::name) {
                    self.graphics.font = self.font(name);
                }
                self.graphics.size = number(1);
            }
            b"TL" => self.graphics.leading = number(0),
            b"Tm" => {
                self.line = [number(0), number(1), number(2), number(3), number(4), number(5)];
                self.advance = 0.0;
            }
            b"Td" => self.move_by(number(0), number(1)),
            b"TD" => {
                self.graphics.leading = -number(1);
                self.move_by(number(0), number(1));
            }
            b"T*" => self.move_by(0.0, -self.graphics.leading),
            b"Tj" => self.show(operands.last()),
            b"'" | b"\"" => {
                self.move_by(0.0, -self.graphics.leading);
                self.show(operands.last());
            }
            b"TJ" => {
                let Some(Value::Array(items)) = operands.last() else { return };
                for item in items {
                    match item {
                        Value::Number(by) => self.advance -= by / 1000.0 * self.graphics.size,
                        other => self.show(Some(other)),
                    }
                }
            }
            _ => {
                for operand in operands {
                    if matches!(operand, Value::Dict(_)) {
                        strings(operand, &mut self.others, 0);
                    }
                }
            }
        }
    }

    fn font(&mut self, name: &str) -> usize {
        if let Some(index) = self.known.get(name) {
            return *index;
        }
        let index = match self.names.get(name) {
            Some(font) => {
                self.drawn.fonts.push(font);
                self.drawn.fonts.len() - 1
            }
            None => 0,
        };
        self.known.insert(name.to_owned(), index);
        index
    }

    fn move_by(&mut self, x: f64, y: f64) {
        self.line = multiply(&[1.0, 0.0, 0.0, 1.0, x, y], &self.line);
        self.advance = 0.0;
    }

    fn show(&mut self, operand: Option<&Value>) {
        let Some(Value::Text(text)) = operand else { return };
        if text.bytes.is_empty() {
            return;
        }
        let whole = multiply(&multiply(&[1.0, 0.0, 0.0, 1.0, self.advance, 0.0], &self.line), &self.graphics.matrix);
        let (x, y) = (whole[4], whole[5]);
        // Along the baseline of turned text the distance is what counts.
        let scale = whole[0].hypot(whole[1]).max(1e-6);
        let size = (self.graphics.size.abs() * scale).max(1e-6);
        if let Some((last_x, last_y, doubt)) = self.pen {
            let (right, up) = (
                (x - last_x) * whole[0] / scale + (y - last_y) * whole[1] / scale,
                (y - last_y) * whole[0] / scale - (x - last_x) * whole[1] / scale,
            );
            let gap = right / size;
            if up.abs() > 0.45 * size {
                self.drawn.text.push('\n');
            } else if gap < -1.5 - doubt || gap > 4.0 + doubt {
                self.drawn.text.push(CELL);
            } else if gap > 0.17 + doubt {
                self.drawn.text.push(' ');
            }
        }
        let font = self.graphics.font;
        let glyphs = self.drawn.glyphs(text, font);
        let moved = glyphs as f64 * 0.5 * self.graphics.size.abs();
        self.advance += moved;
        let along = moved * scale;
        let doubt = 0.11 * glyphs as f64;
        self.pen = Some((x + along * whole[0] / scale, y + along * whole[1] / scale, doubt.min(3.0)));
    }
}

/// All strings in a value.
pub fn strings(value: &Value, out: &mut Vec<Text>, depth: usize) {
    match value {
        Value::Text(text) => out.push(text.clone()),
        Value::Array(items) if depth < 20 => items.iter().for_each(|item| strings(item, out, depth + 1)),
        // A signature's contents are bytes, and so are identifiers.
        Value::Dict(_) if value.get("ByteRange").is_some() => {}
        Value::Dict(entries) if depth < 20 => {
            for (key, item) in
                entries.iter().filter(|(key, _)| !matches!(key.as_str(), "ID" | "Panose" | "CharSet" | "U" | "O"))
            {
                if matches!(item, Value::Text(_)) && matches!(key.as_str(), "T" | "TU" | "V" | "Contents") {
                    out.push(Text::default());
                }
                strings(item, out, depth + 1);
            }
        }
        _ => {}
    }
}

impl Drawn<'_> {
    /// Adds the glyphs of a string; how many there were.
    fn glyphs(&mut self, text: &Text, font: usize) -> usize {
        let step = if self.fonts[font].wide { 2 } else { 1 };
        for (i, code) in text.bytes.chunks(step).enumerate() {
            let code_value = code.iter().fold(0, |acc, byte| acc << 8 | u32::from(*byte));
            let character = self.fonts[font].character(code_value);
            let slots = [
                text.slots.get(i * step).copied(),
                (code.len() == 2).then(|| text.slots.get(i * step + 1).copied()).flatten(),
            ];
            self.push(character, slots, font);
        }
        text.bytes.len().div_ceil(step)
    }

    /// Adds a text string (ISO 32000-1 §7.9.2.2) as a field of its own.
    pub fn string(&mut self, text: &Text) {
        self.text.push_str("\n\u{1f}\nx\n");
        let wide = text.bytes.starts_with(&[0xfe, 0xff]);
        let (skip, step) = if wide { (2, 2) } else { (0, 1) };
        for (i, code) in text.bytes.get(skip..).unwrap_or_default().chunks(step).enumerate() {
            let value = code.iter().fold(0, |acc, byte| acc << 8 | u32::from(*byte));
            let character = char::from_u32(value).unwrap_or('\u{fffd}');
            let slot = skip + i * step;
            let slots =
                [text.slots.get(slot).copied(), (code.len() == 2).then(|| text.slots.get(slot + 1).copied()).flatten()];
            // Its own font: wide where the string is.
            self.push(character, slots, if wide { usize::MAX } else { 0 });
        }
    }

    fn push(&mut self, character: char, slots: [Option<Slot>; 2], font: usize) {
        if character.is_numeric() {
            self.digits.push(Digit { at: self.text.len(), slots, font });
        }
        self.text.push(character);
    }

    /// The edits of the text as edits of the bytes that it was read from; `None` if one cannot be made in place.
    pub fn write(&self, bytes: &[u8], edits: &[CharEdit]) -> Option<EditSet> {
        let mut out = EditSet::new();
        for edit in edits {
            let digit = self.digits.binary_search_by_key(&edit.at.0, |digit| digit.at).ok().map(|i| &self.digits[i]);
            let Some(digit) = digit else { continue };
            let two = digit.slots[1].is_some();
            let codes = match digit.font {
                usize::MAX => vec![u32::from(b'*')],
                font => self.fonts[font].masks(),
            };
            let written = codes.into_iter().find_map(|code| {
                let values = if two { vec![(code >> 8) as u8, code as u8] } else { vec![u8::try_from(code).ok()?] };
                digit
                    .slots
                    .iter()
                    .flatten()
                    .zip(values)
                    .map(|(slot, value)| in_slot(*slot, value, bytes))
                    .collect::<Option<Vec<_>>>()
            })?;
            for (at, new) in written.into_iter().flatten() {
                out.replace(RawOffset(at)..RawOffset(at + 1), [new]);
            }
        }
        Some(out)
    }
}

/// A byte written in a slot: single bytes with their places; `None` if it cannot be written in that length.
fn in_slot(slot: Slot, value: u8, bytes: &[u8]) -> Option<Vec<(usize, u8)>> {
    match slot {
        Slot::Hex { high, low } => {
            let upper = !bytes[high as usize].is_ascii_lowercase() && !bytes[low as usize].is_ascii_lowercase();
            let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
            Some(vec![
                (high as usize, digits[usize::from(value >> 4)]),
                (low as usize, digits[usize::from(value & 15)]),
            ])
        }
        Slot::Literal { at, len } => {
            let at = at as usize;
            let special = matches!(value, b'(' | b')' | b'\\' | b'\r' | b'\n');
            let octal = |digits: u8| format!("{value:0width$o}", width = usize::from(digits));
            let written: Vec<u8> = match len {
                1 if !special => vec![value],
                2 if !special && !b"nrtbf01234567".contains(&value) => vec![b'\\', value],
                3 | 4 => [vec![b'\\'], octal(len - 1).into_bytes()].concat(),
                _ => return None,
            };
            (written.len() == usize::from(len))
                .then(|| written.into_iter().enumerate().map(|(i, byte)| (at + i, byte)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: &str) -> String {
        content(stream.as_bytes(), &HashMap::new(), &Font::plain()).text
    }

    #[test]
    fn what_stands_between_glyphs_follows_from_where_they_are() {
        assert_eq!(read("BT /F 10 Tf (41) Tj (11) Tj ET"), "4111");
        // Without widths of the font two glyphs leave a doubt of a fifth of a size: a gap must be wider to be a space.
        assert_eq!(read("BT /F 10 Tf [(41) -20 (11) -600 (22)] TJ ET"), "4111 22");
        assert_eq!(read("BT /F 10 Tf 1 0 0 1 50 700 Tm (4111) Tj 0 -12 Td (5) Tj ET"), "4111\n5");
        assert_eq!(
            read("BT /F 10 Tf 1 0 0 1 50 700 Tm (4) Tj 1 0 0 1 55.6 700 Tm (1) Tj 1 0 0 1 70 700 Tm (1) Tj ET"),
            "41 1"
        );
        assert_eq!(
            read("q 1 0 0 1 0 9 cm BT /F 10 Tf <3431> Tj ET Q BI /W 1 ID (99) EI BT (\\061) Tj ET"),
            "41\u{1f}1"[..2].to_owned() + "\n1"
        );
    }
}
