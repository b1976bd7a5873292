//! Header fields, parameters and multipart bodies as ranges of the bytes they stand in (RFC 5322 §2.2, RFC 2045 §5,
//! RFC 2046 §5.1, RFC 2231).
//!
//! Reads leniently what other mail programs read leniently, never copies and never fails: what is no header is body,
//! a part without an end ends with its parent.

use std::ops::Range;

use memchr::{memchr, memmem};

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The name, without the colon; empty for a line that is no field.
    pub name: Range<usize>,
    /// What follows the colon, folds included, the last line end not.
    pub value: Range<usize>,
    /// The whole of it, line end included.
    pub whole: Range<usize>,
}

impl Field {
    /// The name in lower case.
    pub fn key(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(&bytes[self.name.clone()]).trim().to_ascii_lowercase()
    }
}

/// The fields of the header that begins at `range.start`, and where its body begins.
pub fn header(bytes: &[u8], range: Range<usize>) -> (Vec<Field>, usize) {
    let mut fields: Vec<Field> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = memchr(b'\n', &bytes[at..range.end]).map_or(range.end, |end| at + end + 1);
        let line = &bytes[at..end];
        let text_end = at + line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(line).len();
        if text_end == at {
            return (fields, end);
        }
        let folded = matches!(bytes[at], b' ' | b'\t');
        match fields.last_mut() {
            Some(last) if folded => {
                last.value.end = text_end;
                last.whole.end = end;
            }
            _ => {
                let colon = memchr(b':', &bytes[at..text_end]).map(|colon| at + colon);
                let is_name = |range: Range<usize>| bytes[range].trim_ascii_end().iter().all(u8::is_ascii_graphic);
                let (name, value) = match colon {
                    Some(colon) if colon > at && is_name(at..colon) => (at..colon, colon + 1..text_end),
                    _ => (at..at, at..text_end),
                };
                fields.push(Field { name, value, whole: at..end });
            }
        }
        at = end;
    }
    (fields, range.end)
}

/// One parameter of a structured field, or one section of it (RFC 2231 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name in lower case, without section and asterisk.
    pub name: String,
    /// The number of the section, 0 where there is only one.
    pub section: usize,
    /// `%41` stands for a byte, and a first section begins with a charset.
    pub extended: bool,
    /// The value without its quotes.
    pub value: Range<usize>,
}

/// The parameters in a field's value.
pub fn parameters(bytes: &[u8], value: Range<usize>) -> Vec<Parameter> {
    let mut out = Vec::new();
    let mut at = skip_to_semicolon(bytes, value.start, value.end);
    while at < value.end {
        at += 1;
        while at < value.end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let start = at;
        while at < value.end && !matches!(bytes[at], b'=' | b';') {
            at += 1;
        }
        if at >= value.end || bytes[at] == b';' {
            continue;
        }
        let mut name = String::from_utf8_lossy(bytes[start..at].trim_ascii()).to_ascii_lowercase();
        at += 1;
        while at < value.end && bytes[at].is_ascii_whitespace() {
            at += 1;
        }
        let extended = name.ends_with('*');
        name.truncate(name.trim_end_matches('*').len());
        let mut section = 0;
        if let Some((base, number)) = name.clone().rsplit_once('*')
            && let Ok(number) = number.parse()
        {
            section = number;
            name.truncate(base.len());
        }
        let end;
        let range = if bytes.get(at) == Some(&b'"') && at < value.end {
            let close = closing_quote(bytes, at + 1, value.end);
            end = skip_to_semicolon(bytes, close, value.end);
            at + 1..close
        } else {
            end = skip_to_semicolon(bytes, at, value.end);
            at..at + bytes[at..end].trim_ascii_end().len()
        };
        out.push(Parameter { name, section, extended, value: range });
        at = end;
    }
    out
}

fn closing_quote(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(end)
}

/// The next semicolon outside quotes and comments, or the end.
fn skip_to_semicolon(bytes: &[u8], mut at: usize, end: usize) -> usize {
    // A closing quote stands at `at` after a quoted value.
    if bytes.get(at) == Some(&b'"') && at < end {
        at += 1;
    }
    let mut depth = 0usize;
    while at < end {
        match bytes[at] {
            b';' if depth == 0 => return at,
            b'"' => at = closing_quote(bytes, at + 1, end),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    end
}

/// What the Content-Type field says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentType {
    /// `type/subtype` in lower case.
    pub media: String,
    /// Of a multipart.
    pub boundary: Option<Vec<u8>>,
    /// Of a text.
    pub charset: Option<Vec<u8>>,
    /// A file's name, where it stands here.
    pub name: Option<String>,
    /// `smime-type`.
    pub smime: Option<String>,
}

impl ContentType {
    /// What a part without the field is (RFC 2045 §5.2).
    pub fn plain() -> Self {
        Self { media: "text/plain".into(), boundary: None, charset: None, name: None, smime: None }
    }

    /// The file's name in a Content-Disposition field, roughly: enough to tell the kind of a file.
    pub fn file_name(bytes: &[u8], value: Range<usize>) -> Option<String> {
        let mut sections: Vec<Parameter> =
            parameters(bytes, value).into_iter().filter(|p| p.name == "filename").collect();
        sections.sort_by_key(|parameter| parameter.section);
        let joined: Vec<u8> = sections.into_iter().flat_map(|parameter| bytes[parameter.value].to_vec()).collect();
        (!joined.is_empty()).then(|| String::from_utf8_lossy(&joined).into_owned())
    }

    /// Reads the field's value.
    pub fn parse(bytes: &[u8], value: Range<usize>) -> Self {
        let end = skip_to_semicolon(bytes, value.start, value.end);
        let media: String = String::from_utf8_lossy(&bytes[value.start..end])
            .chars()
            .take_while(|c| *c != '(')
            .filter(|c| !c.is_whitespace())
            .collect::<String>()
            .to_ascii_lowercase();
        let mut out = Self::plain();
        if media.contains('/') {
            out.media = media;
        }
        for parameter in parameters(bytes, value) {
            let raw = &bytes[parameter.value];
            let text = || String::from_utf8_lossy(raw).into_owned();
            match parameter.name.as_str() {
                "boundary" => out.boundary.get_or_insert_default().extend_from_slice(raw),
                "charset" => {
                    let plain =
                        if parameter.extended { raw.rsplit(|b| *b == b'\'').next().unwrap_or(raw) } else { raw };
                    out.charset.get_or_insert_with(|| plain.to_vec());
                }
                "name" if out.name.is_none() => out.name = Some(text()),
                "smime-type" => out.smime = Some(text().to_ascii_lowercase()),
                _ => {}
            }
        }
        out
    }
}

/// A multipart body, cut up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// Before the first delimiter.
    pub preamble: Range<usize>,
    /// The parts, headers included.
    pub parts: Vec<Range<usize>>,
    /// After the last delimiter.
    pub epilogue: Range<usize>,
}

/// Cuts the body in `range` at its delimiters; `None` if there is none. Stops after `most` parts.
pub fn parts(bytes: &[u8], range: Range<usize>, boundary: &[u8], most: usize) -> Option<Multipart> {
    let body = &bytes[range.clone()];
    let mut delimiter = b"--".to_vec();
    delimiter.extend_from_slice(boundary.trim_ascii_end());
    let mut starts: Vec<(usize, usize, bool)> = Vec::new();
    for at in memmem::find_iter(body, &delimiter) {
        if at > 0 && body[at - 1] != b'\n' {
            continue;
        }
        let after = at + delimiter.len();
        let line = memchr(b'\n', &body[after..]).map_or(body.len(), |end| after + end + 1);
        let rest = body[after..line].trim_ascii();
        let closes = rest.starts_with(b"--");
        if !rest.is_empty() && !closes {
            continue;
        }
        let text_end = if at >= 2 && body[at - 2] == b'\r' { at - 2 } else { at.saturating_sub(1) };
        starts.push((text_end, line, closes));
        if closes || starts.len() > most {
            break;
        }
    }
    let (first, ..) = *starts.first()?;
    let at = |offset: usize| range.start + offset;
    let mut out = Multipart { preamble: at(0)..at(first), parts: Vec::new(), epilogue: range.end..range.end };
    for (i, &(_, line, closes)) in starts.iter().enumerate() {
        if closes {
            out.epilogue = at(line)..range.end;
        } else {
            let end = starts.get(i + 1).map_or(body.len(), |next| next.0);
            out.parts.push(at(line)..at(end.max(line)));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_folds_and_the_body() {
        let bytes = b"Subject: a\r\n b\r\nnonsense\r\nX-Y :z\r\n\r\nbody\r\n";
        let (fields, body) = header(bytes, 0..bytes.len());
        let values: Vec<_> = fields.iter().map(|f| (f.key(bytes), &bytes[f.value.clone()])).collect();
        assert_eq!(values[0], ("subject".into(), &b" a\r\n b"[..]));
        assert_eq!(values[1], (String::new(), &b"nonsense"[..]));
        assert_eq!(values[2], ("x-y".into(), &b"z"[..]));
        assert_eq!(&bytes[body..], b"body\r\n");
    }

    #[test]
    fn parameters_in_all_their_spellings() {
        let bytes: &[u8] =
            b"attachment; filename=\"a;\\\"b\"; x=1 (c;d) ; filename*1*=%41; filename*0*=utf-8''x\r\n\t; y=\"z\" ; n";
        let found: Vec<_> = parameters(bytes, 0..bytes.len())
            .into_iter()
            .map(|p| (p.name, p.section, p.extended, String::from_utf8_lossy(&bytes[p.value]).into_owned()))
            .collect();
        let expected = [
            ("filename", 0, false, "a;\\\"b"),
            ("x", 0, false, "1 (c;d)"),
            ("filename", 1, true, "%41"),
            ("filename", 0, true, "utf-8''x"),
            ("y", 0, false, "z"),
        ];
        assert_eq!(found, expected.map(|(n, s, e, v)| (n.to_owned(), s, e, v.to_owned())));
    }

    #[test]
    fn a_multipart_is_cut_at_whole_delimiters_only() {
        let bytes = b"pre\r\n--b\r\n\r\none\r\n--bb\r\n--b \r\nX: y\r\n\r\ntwo\r\n--b--\r\npost";
        let cut = parts(bytes, 0..bytes.len(), b"b", 10).unwrap();
        let text = |r: &Range<usize>| String::from_utf8_lossy(&bytes[r.clone()]).into_owned();
        assert_eq!(text(&cut.preamble), "pre");
        assert_eq!(cut.parts.iter().map(text).collect::<Vec<_>>(), ["\r\none\r\n--bb", "X: y\r\n\r\ntwo"]);
        assert_eq!(text(&cut.epilogue), "post");
        assert_eq!(parts(b"nothing", 0..7, b"b", 10), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), text in "[-;=\"*a-c\r\n :()]{0,80}") {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                let (fields, body) = header(bytes, 0..bytes.len());
                for field in fields {
                    ContentType::parse(bytes, field.value);
                }
                parts(bytes, body..bytes.len(), b"a", 10);
            }
        }
    }
}
