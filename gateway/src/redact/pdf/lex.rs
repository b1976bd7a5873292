//! Tokens and values of PDF syntax (ISO 32000-1 §7.2, §7.3), with the place of every byte of every string.
//!
//! Reads leniently, never recurses deeper than [`DEEPEST`], and never fails: what is no value ends the value.

/// Nesting of arrays and dictionaries.
const DEEPEST: usize = 64;

/// Where one byte of a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// In a literal string: itself, or an escape of two to four bytes.
    Literal { at: u32, len: u8 },
    /// In a hexadecimal string: two digits, not always side by side.
    Hex { high: u32, low: u32 },
}

/// A string: its bytes and where they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Text {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// A slot for each.
    pub slots: Vec<Slot>,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Null, true, false, or an operator.
    Keyword(Vec<u8>),
    /// A number.
    Number(f64),
    /// A name without its slash.
    Name(String),
    /// A string.
    Text(Text),
    /// An array.
    Array(Vec<Value>),
    /// A dictionary.
    Dict(Vec<(String, Value)>),
    /// An indirect reference by object number.
    Reference(u32),
}

impl Value {
    /// An entry of a dictionary.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// As a name.
    pub fn name(&self) -> Option<&str> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    /// As a number.
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// As a count or an offset.
    pub fn index(&self) -> Option<usize> {
        self.number().filter(|number| (0.0..1e10).contains(number)).map(|number| number as usize)
    }
}

/// Reads values from bytes.
pub struct Lexer<'b> {
    bytes: &'b [u8],
    /// Where it reads on.
    pub at: usize,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

impl<'b> Lexer<'b> {
    /// Reads from `at` on.
    pub fn new(bytes: &'b [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                    self.at += 1;
                }
            } else if is_space(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next value; `None` at the end or at a closing bracket.
    pub fn value(&mut self) -> Option<Value> {
        self.nested(0)
    }

    fn nested(&mut self, depth: usize) -> Option<Value> {
        self.skip_space();
        let byte = self.peek()?;
        match byte {
            b'/' => Some(Value::Name(self.name())),
            b'(' => Some(Value::Text(self.literal())),
            b'<' if self.bytes.get(self.at + 1) == Some(&b'<') => {
                self.at += 2;
                Some(self.dict(depth))
            }
            b'<' => Some(Value::Text(self.hex())),
            b'[' => {
                self.at += 1;
                Some(self.array(depth))
            }
            b'+' | b'-' | b'.' | b'0'..=b'9' => Some(self.number_or_reference()),
            b')' | b']' | b'>' | b'}' | b'{' => None,
            _ => {
                let start = self.at;
                while self.peek().is_some_and(|byte| !is_space(byte) && !is_delimiter(byte)) {
                    self.at += 1;
                }
                Some(Value::Keyword(self.bytes[start..self.at].to_vec()))
            }
        }
    }

    /// Steps over a byte that begins no value; used to go on after damage.
    pub fn skip(&mut self) -> bool {
        self.skip_space();
        self.at += 1;
        self.at < self.bytes.len()
    }

    fn array(&mut self, depth: usize) -> Value {
        let mut items = Vec::new();
        // Too deep a value stays empty; the caller goes on behind its first bracket.
        if depth >= DEEPEST {
            return Value::Array(items);
        }
        loop {
            self.skip_space();
            match self.peek() {
                None => break,
                Some(b']') => {
                    self.at += 1;
                    break;
                }
                Some(_) => match self.nested(depth + 1) {
                    Some(value) => items.push(value),
                    None => {
                        self.at += 1;
                    }
                },
            }
        }
        Value::Array(items)
    }

    fn dict(&mut self, depth: usize) -> Value {
        let mut entries = Vec::new();
        if depth >= DEEPEST {
            return Value::Dict(entries);
        }
        loop {
            self.skip_space();
            match self.peek() {
                None => break,
                Some(b'>') => {
                    self.at += if self.bytes.get(self.at + 1) == Some(&b'>') { 2 } else { 1 };
                    break;
                }
                Some(b'/') => {
                    let key = self.name();
                    self.skip_space();
                    if self.peek() == Some(b'>') && self.bytes.get(self.at + 1) == Some(&b'>') {
                        continue;
                    }
                    match self.nested(depth + 1) {
                        Some(Value::Keyword(word)) if matches!(word.as_slice(), b"endobj" | b"stream") => break,
                        Some(value) => entries.push((key, value)),
                        None => self.at += 1,
                    }
                }
                Some(_) => {
                    if self.nested(depth + 1).is_none() {
                        self.at += 1;
                    }
                }
            }
        }
        Value::Dict(entries)
    }

    fn name(&mut self) -> String {
        self.at += 1;
        let mut name = Vec::new();
        while let Some(byte) = self.peek() {
            if is_space(byte) || is_delimiter(byte) {
                break;
            }
            let escaped = (byte == b'#')
                .then(|| Some(nibble(*self.bytes.get(self.at + 1)?)? << 4 | nibble(*self.bytes.get(self.at + 2)?)?))
                .flatten();
            name.push(escaped.unwrap_or(byte));
            self.at += if escaped.is_some() { 3 } else { 1 };
        }
        String::from_utf8_lossy(&name).into_owned()
    }

    fn number(&mut self) -> f64 {
        let start = self.at;
        while self.peek().is_some_and(|byte| matches!(byte, b'+' | b'-' | b'.' | b'0'..=b'9')) {
            self.at += 1;
        }
        std::str::from_utf8(&self.bytes[start..self.at]).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0)
    }

    fn number_or_reference(&mut self) -> Value {
        let first = self.number();
        let after = self.at;
        if first >= 0.0 && first.fract() == 0.0 && first < 1e9 {
            self.skip_space();
            let start = self.at;
            while self.peek().is_some_and(|byte| byte.is_ascii_digit()) && self.at - start < 6 {
                self.at += 1;
            }
            if self.at > start {
                self.skip_space();
                let ends = self.bytes.get(self.at + 1).is_none_or(|byte| is_space(*byte) || is_delimiter(*byte));
                if self.peek() == Some(b'R') && ends {
                    self.at += 1;
                    return Value::Reference(first as u32);
                }
            }
        }
        self.at = after;
        Value::Number(first)
    }

    fn literal(&mut self) -> Text {
        self.at += 1;
        let mut text = Text::default();
        let mut depth = 0usize;
        while let Some(byte) = self.peek() {
            let start = self.at;
            let mut value = Some(byte);
            let mut len = 1;
            match byte {
                b')' if depth == 0 => {
                    self.at += 1;
                    return text;
                }
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => (value, len) = self.escape(),
                _ => {}
            }
            if let Some(value) = value {
                text.bytes.push(value);
                text.slots.push(Slot::Literal { at: start as u32, len });
            }
            self.at = start + usize::from(len);
        }
        text
    }

    /// The escape at the backslash: its byte, if it has one, and its length.
    fn escape(&self) -> (Option<u8>, u8) {
        let rest = &self.bytes[self.at + 1..];
        let digits = rest.iter().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
        if digits > 0 {
            let value = rest[..digits].iter().fold(0u32, |acc, byte| acc * 8 + u32::from(byte - b'0'));
            return (Some(value as u8), digits as u8 + 1);
        }
        match rest.first() {
            None => (None, 1),
            Some(b'\r') if rest.get(1) == Some(&b'\n') => (None, 3),
            Some(b'\r' | b'\n') => (None, 2),
            Some(b'n') => (Some(b'\n'), 2),
            Some(b'r') => (Some(b'\r'), 2),
            Some(b't') => (Some(b'\t'), 2),
            Some(b'b') => (Some(8), 2),
            Some(b'f') => (Some(12), 2),
            Some(other) => (Some(*other), 2),
        }
    }

    fn hex(&mut self) -> Text {
        self.at += 1;
        let mut text = Text::default();
        let mut high: Option<(u8, usize)> = None;
        while let Some(byte) = self.peek() {
            let at = self.at;
            self.at += 1;
            if byte == b'>' {
                break;
            }
            let Some(value) = nibble(byte) else { continue };
            match high.take() {
                None => high = Some((value, at)),
                Some((first, place)) => {
                    text.bytes.push(first << 4 | value);
                    text.slots.push(Slot::Hex { high: place as u32, low: at as u32 });
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind() {
        let bytes = b"<< /A#42 [1 -2.5 (a\\(b\\051\\n) <4 1 42>] /R 12 0 R /N null >> Tj";
        let mut lexer = Lexer::new(bytes, 0);
        let value = lexer.value().unwrap();
        let Some(Value::Array(items)) = value.get("AB") else { panic!() };
        assert_eq!(items[1], Value::Number(-2.5));
        let Value::Text(text) = &items[2] else { panic!() };
        assert_eq!(text.bytes, b"a(b)\n");
        let Value::Text(text) = &items[3] else { panic!() };
        assert_eq!(text.bytes, b"AB");
        assert_eq!(value.get("R"), Some(&Value::Reference(12)));
        assert_eq!(lexer.value(), Some(Value::Keyword(b"Tj".to_vec())));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(bytes in "[<>\\[\\]()/{}% a-fR0-9\\\\.\n]{0,200}", depth in 0usize..300) {
            let deep = format!("{}{bytes}", "[<<".repeat(depth));
            let mut lexer = Lexer::new(deep.as_bytes(), 0);
            let mut rounds = 0;
            while lexer.value().is_some() || lexer.skip() {
                rounds += 1;
                proptest::prop_assert!(rounds < 5000);
            }
        }
    }
}
