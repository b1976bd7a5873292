//! Header fields made fit for every hop: UTF-8 into encoded words (RFC 2047) and parameters (RFC 2231), lines of
//! at most 998 octets (RFC 5322 §2.1.1), before signing and never after.
//!
//! Refuses what has no such form: bytes that are not UTF-8, UTF-8 in a local part or in a machine's field, a line
//! too long with no place to fold it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::SealError;
use super::addresses::{self, Item, ListedMailbox};
use super::align::ascii;
use super::header::Field;
use super::mime::{self, Parameters};
use crate::message::DomainName;

/// The longest line, without its CRLF.
pub(super) const MAX_LINE: usize = 998;
const COLUMNS: usize = 76;
/// Octets of text in one encoded word: 60 characters of base64, 72 with what stands around them.
const WORD_OCTETS: usize = 45;
/// Octets of an encoded word around its text.
const AROUND: usize = "=?utf-8?B??=".len();

const ADDRESS_FIELDS: [&str; 12] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Reply-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
];

/// Fields that programs read, where an encoded word would be a wrong value.
const MACHINE_FIELDS: [&str; 16] = [
    "Message-ID",
    "In-Reply-To",
    "References",
    "Resent-Message-ID",
    "Date",
    "Resent-Date",
    "Received",
    "MIME-Version",
    "Content-Transfer-Encoding",
    "Content-ID",
    "DKIM-Signature",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Auto-Submitted",
    "Precedence",
    "ARC-Seal",
];

/// Makes one field safe; tells whether it had to be changed. With `smtputf8` UTF-8 stays (RFC 6532).
pub(super) fn make_safe(field: &mut Field<'_>, smtputf8: bool) -> Result<bool, SealError> {
    let name = ascii(&field.shown_name());
    let bad = |problem: &str| SealError::BadHeader(format!("the {name} field {problem}"));
    let mut changed = false;
    if !field.raw().is_ascii() {
        if field.name().is_empty() || std::str::from_utf8(field.raw()).is_err() {
            return Err(bad("has bytes that are not UTF-8: encode it by RFC 2047"));
        }
        if !smtputf8 {
            let value = encode(field).map_err(|problem| bad(&problem))?;
            field.replace_value(&value);
            changed = true;
        }
    }
    if too_long(field.raw()) {
        let folded = fold(field).ok_or_else(|| bad("has a line over 998 octets and no place to fold it"))?;
        field.replace_raw_value(&folded);
        changed = true;
    }
    Ok(changed)
}

fn too_long(raw: &[u8]) -> bool {
    raw.len() > MAX_LINE && raw.split(|&octet| octet == b'\n').any(|line| line.trim_ascii_end().len() > MAX_LINE)
}

fn encode(field: &Field<'_>) -> Result<Vec<u8>, String> {
    let value = field.unfolded();
    let is_any = |names: &[&str]| names.iter().any(|name| field.is(name));
    if is_any(&MACHINE_FIELDS) {
        return Err("has bytes outside ASCII".to_owned());
    }
    let mut line = Line::new(field.name().len() + 1);
    if is_any(&ADDRESS_FIELDS) {
        write_addresses(&mut line, &addresses::parse(&value)?)?;
    } else if is_any(&["Content-Type", "Content-Disposition"]) {
        write_parameters(&mut line, &mime::parameters(&value))?;
    } else {
        write_text(&mut line, &String::from_utf8_lossy(&value));
    }
    Ok(line.out)
}

/// A value that is written word by word and folded between words.
struct Line {
    out: Vec<u8>,
    column: usize,
}

impl Line {
    fn new(column: usize) -> Self {
        Self { out: Vec::new(), column }
    }

    /// One word, on a new line if this one is full.
    fn word(&mut self, word: &str) {
        if !self.out.is_empty() || self.column + 1 + word.len() > COLUMNS + 2 {
            let full = self.column + 1 + word.len() > COLUMNS;
            self.out.extend_from_slice(if full { b"\r\n " } else { b" " });
            self.column = if full { 1 } else { self.column + 1 };
        }
        self.glue(word);
    }

    fn glue(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.column += text.len();
    }

    /// Text as encoded words, each with whole characters, on lines of at most 76 (RFC 2047 §2, §5).
    fn encoded(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let room = COLUMNS.saturating_sub(self.column + 1 + AROUND) / 4 * 3;
            // A few letters at the end of a line are not worth a word; the first word may have no line before it.
            let room = if room < 12 { WORD_OCTETS } else { room.min(WORD_OCTETS) };
            let mut end = rest.len().min(room);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (chunk, after) = rest.split_at(end);
            self.word(&format!("=?utf-8?B?{}?=", STANDARD.encode(chunk)));
            rest = after;
        }
    }
}

/// Unstructured text: from the first word outside ASCII to the last one all is encoded, white space between two
/// encoded words being no part of the text.
fn write_text(line: &mut Line, text: &str) {
    let mut first = text.find(|c: char| !c.is_ascii()).unwrap_or(text.len());
    let mut last = text.rfind(|c: char| !c.is_ascii()).unwrap_or(0);
    first = text[..first].rfind([' ', '\t']).map_or(0, |at| at + 1);
    last = text[last..].find([' ', '\t']).map_or(text.len(), |at| last + at);
    text[..first].split_ascii_whitespace().for_each(|word| line.word(word));
    line.encoded(&text[first..last]);
    text[last..].split_ascii_whitespace().for_each(|word| line.word(word));
}

fn write_phrase(line: &mut Line, phrase: &str) {
    if !phrase.is_ascii() {
        line.encoded(phrase);
        return;
    }
    let plain = |word: &str| word.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b));
    if phrase.split_ascii_whitespace().all(plain) {
        phrase.split_ascii_whitespace().for_each(|word| line.word(word));
    } else {
        line.word(&format!("\"{}\"", phrase.replace('\\', "\\\\").replace('"', "\\\"")));
    }
}

fn write_addresses(line: &mut Line, items: &[Item]) -> Result<(), String> {
    let mut comma = false;
    for item in items {
        if comma && *item != Item::GroupEnd {
            line.glue(",");
        }
        comma = true;
        match item {
            Item::GroupStart(name) => {
                write_phrase(line, name);
                line.glue(":");
                comma = false;
            }
            Item::GroupEnd => line.glue(";"),
            Item::Mailbox(mailbox) => write_mailbox(line, mailbox)?,
        }
    }
    Ok(())
}

fn write_mailbox(line: &mut Line, mailbox: &ListedMailbox) -> Result<(), String> {
    if !mailbox.local.is_ascii() {
        return Err("has an address outside ASCII: send it with SMTPUTF8".to_owned());
    }
    let domain = if mailbox.domain.is_ascii() {
        mailbox.domain.clone()
    } else {
        let domain: Result<DomainName, _> = mailbox.domain.parse();
        domain.map_err(|_| "has a domain that is not valid".to_owned())?.to_string()
    };
    match &mailbox.display {
        Some(display) => {
            write_phrase(line, display);
            line.word(&format!("<{}@{domain}>", mailbox.local));
        }
        None => line.word(&format!("{}@{domain}", mailbox.local)),
    }
    Ok(())
}

fn write_parameters(line: &mut Line, parsed: &Parameters) -> Result<(), String> {
    if !parsed.value.is_ascii() {
        return Err("has bytes outside ASCII".to_owned());
    }
    line.word(&parsed.value);
    for (name, value) in &parsed.list {
        let value = String::from_utf8_lossy(value);
        line.glue(";");
        if value.is_ascii() {
            line.word(&format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        } else if name.is_ascii() {
            line.word(&format!("{}*=utf-8''{}", name.trim_end_matches('*'), percent(&value)));
        } else {
            return Err("has a parameter name outside ASCII".to_owned());
        }
    }
    Ok(())
}

/// RFC 2231 §7 `attribute-char` stay, all else becomes `%XX`.
fn percent(value: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(value.len() * 3);
    for octet in value.bytes() {
        if octet.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&octet) {
            out.push(octet as char);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{octet:02X}");
        }
    }
    out
}

/// Folds lines over the limit at white space, and in address fields behind commas, outside quotes where that is
/// possible. The value, from the colon to the CRLF; nothing if a line stays too long.
fn fold(field: &Field<'_>) -> Option<Vec<u8>> {
    let commas = ADDRESS_FIELDS.iter().any(|name| field.is(name));
    let mut out: Vec<u8> = Vec::with_capacity(field.value().len() + 64);
    for line in field.value().split_inclusive(|&octet| octet == b'\n') {
        let mut rest = line;
        let mut used = if out.is_empty() { field.raw().len() - field.value().len() } else { 0 };
        while used + rest.trim_ascii_end().len() > MAX_LINE {
            let window = &rest[..(MAX_LINE - used).min(rest.len())];
            let at = break_before(window, commas)?;
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(b"\r\n");
            rest = &rest[at..];
            used = 0;
            if !matches!(rest.first(), Some(b' ' | b'\t')) {
                out.push(b' ');
                used = 1;
            }
        }
        out.extend_from_slice(rest);
    }
    Some(out)
}

/// The last place in `window` where a fold changes nothing, preferring one outside a quoted string. What stands
/// before it is never white space alone: a line of white space would end nothing but puzzle much (RFC 5322 §3.2.2).
fn break_before(window: &[u8], commas: bool) -> Option<usize> {
    let (mut outside, mut inside) = (None, None);
    let mut quoted = false;
    let mut visible = false;
    let mut at = 0;
    while at < window.len() {
        match window[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b' ' | b'\t' if visible => *(if quoted { &mut inside } else { &mut outside }) = Some(at),
            b',' if commas && !quoted && at + 1 < window.len() => outside = Some(at + 1),
            _ => {}
        }
        visible |= !matches!(window[at.min(window.len() - 1)], b' ' | b'\t');
        at += 1;
    }
    outside.or(inside)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn safe(name: &str, value: &str) -> Result<String, SealError> {
        let mut field = Field::new(name, value.as_bytes());
        make_safe(&mut field, false)?;
        Ok(String::from_utf8(field.raw().to_vec()).unwrap())
    }

    #[test]
    fn text_addresses_and_parameters_are_encoded_each_in_its_way() {
        assert_eq!(safe("Subject", "Re: Größe [12]").unwrap(), "Subject: Re: =?utf-8?B?R3LDtsOfZQ==?= [12]\r\n");
        assert_eq!(
            safe("To", "Jörg <a@bücher.example>, \"B, C\" <c@d.example>").unwrap(),
            "To: =?utf-8?B?SsO2cmc=?= <a@xn--bcher-kva.example>, \"B, C\" <c@d.example>\r\n"
        );
        assert_eq!(
            safe("Content-Type", "text/plain; charset=utf-8; name=\"Größe.txt\"").unwrap(),
            "Content-Type: text/plain; charset=\"utf-8\"; name*=utf-8''Gr%C3%B6%C3%9Fe.txt\r\n"
        );
        assert!(safe("To", "jörg@example.com").is_err());
        assert!(safe("Message-ID", "<ö@x>").is_err());
        assert!(make_safe(&mut Field::new("Subject", b"\xff"), true).is_err());
    }

    #[test]
    fn long_lines_are_folded_where_nothing_changes() {
        let words = "word ".repeat(500);
        let folded = safe("X-Long", words.trim()).unwrap();
        assert!(folded.lines().all(|line| line.len() <= MAX_LINE));
        assert_eq!(folded.replace("\r\n ", " "), format!("X-Long: {}\r\n", words.trim()));
        let list = (0..200).map(|n| format!("a{n}@b.example")).collect::<Vec<_>>().join(",");
        let folded = safe("To", &list).unwrap();
        assert!(folded.lines().all(|line| line.len() <= MAX_LINE));
        assert_eq!(folded.replace("\r\n ", ""), format!("To: {list}\r\n"));
        assert!(safe("X-Long", &"x".repeat(999)).is_err());
    }

    proptest! {
        #[test]
        fn a_subject_reads_the_same_after_encoding(text in "[a-z]{0,9}( ?[a-zäß漢字😀]{1,30}){1,12}") {
            let written = safe("Subject", &text).unwrap();
            prop_assert!(written.lines().all(|line| line.len() <= 78));
            let message = mail_parser::MessageParser::default().parse(written.as_bytes()).unwrap();
            prop_assert_eq!(message.subject().unwrap(), text.trim());
        }

        #[test]
        fn no_value_makes_it_panic(value in prop::collection::vec(any::<u8>(), 0..1500), which in 0..4_usize, utf8: bool) {
            let value: Vec<u8> = value.into_iter().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
            let name = ["Subject", "To", "Content-Type", "X-Other"][which];
            let mut field = Field::new(name, &value);
            if make_safe(&mut field, utf8).is_ok() {
                prop_assert!(field.raw().split(|&b| b == b'\n').all(|line| line.trim_ascii_end().len() <= MAX_LINE));
            }
        }
    }
}
