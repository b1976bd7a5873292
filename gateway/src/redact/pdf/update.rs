//! Objects that grew, written behind the file's end as an incremental update (ISO 32000-1 §7.5.6).
//!
//! Nothing in the file moves: the new object stands behind it with a table of its own that points back to the old one.
//! Refuses a file whose own table cannot be found, because readers would not find the new object either.

use super::lex::{Lexer, Value};
use super::objects::Object;

/// An object with a new stream.
pub(super) struct Grown<'o> {
    pub(super) object: &'o Object,
    /// The stream, packed by the object's own filters.
    pub(super) packed: Vec<u8>,
}

/// The keys of the dictionary at `at` with the bytes of their values.
fn entries(content: &[u8], at: usize) -> Option<Vec<(String, &[u8])>> {
    let mut lexer = Lexer::new(content, at);
    let Some(Value::Dict(_)) = lexer.value() else { return None };
    let end = lexer.at;
    let open = at + memchr::memmem::find(content.get(at..end)?, b"<<")? + 2;
    let mut lexer = Lexer::new(content.get(..end - 2)?, open);
    let mut out = Vec::new();
    while let Some(Value::Name(key)) = lexer.value() {
        let start = lexer.at;
        lexer.value()?;
        out.push((key, content.get(start..lexer.at)?.trim_ascii()));
    }
    Some(out)
}

/// A dictionary of the entries that are not in `without`, and of `more`.
fn dictionary(entries: &[(String, &[u8])], without: &[&str], more: &str) -> Vec<u8> {
    let mut out = b"<<".to_vec();
    for (key, value) in entries.iter().filter(|(key, _)| !without.contains(&key.as_str())) {
        out.extend_from_slice(format!("/{} ", escaped(key)).as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out.extend_from_slice(more.as_bytes());
    out.extend_from_slice(b">>");
    out
}

/// A name as it is written (ISO 32000-1 §7.3.5).
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+*:".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("#{byte:02X}") }).collect()
}

/// Where the table of the last revision stands.
fn last_table(content: &[u8]) -> Option<usize> {
    let found = memchr::memmem::rfind(content, b"startxref")?;
    Lexer::new(content, found + 9).value()?.index().filter(|at| *at < content.len())
}

/// What is to be written behind the file, which ends at `content.len()`.
pub(super) fn update(content: &[u8], grown: &[Grown<'_>]) -> Option<Vec<u8>> {
    let table = last_table(content)?;
    let mut out = if content.ends_with(b"\n") { Vec::new() } else { b"\n".to_vec() };
    let mut places: Vec<(u32, u32, usize)> = Vec::new();
    for one in grown {
        places.push((one.object.number, one.object.generation, content.len() + out.len()));
        let length = format!("/Length {}", one.packed.len());
        out.extend_from_slice(format!("{} {} obj\n", one.object.number, one.object.generation).as_bytes());
        out.extend_from_slice(&dictionary(&entries(content, one.object.body)?, &["Length"], &length));
        out.extend_from_slice(b"\nstream\n");
        out.extend_from_slice(&one.packed);
        out.extend_from_slice(b"\nendstream\nendobj\n");
    }
    places.sort_unstable();
    let start = content.len() + out.len();
    if content[table..].trim_ascii_start().starts_with(b"xref") {
        let trailer = table + memchr::memmem::find(&content[table..], b"trailer")? + 7;
        out.extend_from_slice(b"xref\n");
        for (number, generation, at) in &places {
            out.extend_from_slice(format!("{number} 1\n{at:010} {generation:05} n \n").as_bytes());
        }
        out.extend_from_slice(b"trailer\n");
        let more = format!("/Prev {table}");
        out.extend_from_slice(&dictionary(&entries(content, trailer)?, &["Prev", "XRefStm"], &more));
    } else {
        out.extend_from_slice(&stream(content, table, &mut places, start)?);
    }
    out.extend_from_slice(format!("\nstartxref\n{start}\n%%EOF\n").as_bytes());
    Some(out)
}

/// The table as a stream (ISO 32000-1 §7.5.8), which is an object of its own and names itself.
fn stream(content: &[u8], table: usize, places: &mut Vec<(u32, u32, usize)>, start: usize) -> Option<Vec<u8>> {
    let body = table + memchr::memmem::find(content.get(table..)?.get(..64)?, b"obj")? + 3;
    let dict = entries(content, body)?;
    let is = |key: &str, wanted: &[u8]| dict.iter().any(|(name, value)| name == key && *value == wanted);
    let size =
        dict.iter().find(|(key, _)| key == "Size").and_then(|(_, value)| Lexer::new(value, 0).value()?.index())?;
    if !is("Type", b"/XRef") {
        return None;
    }
    let own = u32::try_from(size).ok()?;
    places.push((own, 0, start));
    let (mut index, mut rows) = (Vec::new(), Vec::new());
    for (number, generation, at) in places.iter() {
        index.push(format!("{number} 1"));
        rows.push(1);
        rows.extend_from_slice(&u32::try_from(*at).ok()?.to_be_bytes());
        rows.extend_from_slice(&(*generation as u16).to_be_bytes());
    }
    let without = ["Size", "W", "Index", "Prev", "Length", "Filter", "DecodeParms", "DP", "XRefStm"];
    let more = format!("/Size {}/W [1 4 2]/Index [{}]/Prev {table}/Length {}", own + 1, index.join(" "), rows.len());
    let mut out = format!("{own} 0 obj\n").into_bytes();
    out.extend_from_slice(&dictionary(&dict, &without, &more));
    out.extend_from_slice(b"\nstream\n");
    out.extend_from_slice(&rows);
    out.extend_from_slice(b"\nendstream\nendobj");
    Some(out)
}
