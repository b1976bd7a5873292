//! How much of a mail address an event shows: applied to the finished line, so that no field can be forgotten.
//!
//! Remote replies and reasons repeat addresses as well, so every text of the event is searched, not only the
//! fields that are addresses by type.

use std::borrow::Cow;

use aws_lc_rs::hmac;

use crate::config::AddressDetail;

/// Hides local parts.
#[derive(Debug)]
pub(super) struct Veil {
    key: hmac::Key,
}

impl Veil {
    /// The same secret gives the same hashes, so that lines of several runs can be brought together.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret) }
    }

    /// Replaces the local part of every address in every string of a line of JSON.
    pub(super) fn over_json<'a>(&self, line: &'a str, detail: AddressDetail) -> Cow<'a, str> {
        if detail == AddressDetail::Full || !line.contains('@') {
            return Cow::Borrowed(line);
        }
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        while let Some(open) = rest.find('"') {
            let end = open + 1 + string_end(&rest[open + 1..]);
            let literal = &rest[open..end];
            out.push_str(&rest[..open]);
            match serde_json::from_str::<String>(literal) {
                Ok(text) if text.contains('@') => {
                    let veiled = serde_json::Value::String(self.over_text(&text, detail));
                    out.push_str(&veiled.to_string());
                }
                _ => out.push_str(literal),
            }
            rest = &rest[end..];
        }
        out.push_str(rest);
        Cow::Owned(out)
    }

    /// Replaces the local part of every address in a text.
    fn over_text(&self, text: &str, detail: AddressDetail) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('@') {
            let (before, after) = (&rest[..at], &rest[at + 1..]);
            let local = &before[local_start(before)..];
            let domain = &after[..domain_end(after)];
            if local.is_empty() || domain.is_empty() {
                out.push_str(&rest[..=at]);
                rest = after;
                continue;
            }
            out.push_str(&before[..before.len() - local.len()]);
            out.push_str(&self.name_of(local, domain, detail));
            out.push('@');
            out.push_str(domain);
            rest = &after[domain.len()..];
        }
        out.push_str(rest);
        out
    }

    fn name_of(&self, local: &str, domain: &str, detail: AddressDetail) -> String {
        if detail == AddressDetail::None {
            return "*".into();
        }
        let tag = hmac::sign(&self.key, format!("{local}@{}", domain.to_lowercase()).as_bytes());
        let short: [u8; 8] = std::array::from_fn(|at| tag.as_ref()[at]);
        format!("{:016x}", u64::from_be_bytes(short))
    }
}

/// Octets up to and including the quote that ends a JSON string whose opening quote was taken.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// Where a local part that ends here begins: a quoted string, or the characters of a dot-string.
fn local_start(before: &str) -> usize {
    if let Some(inside) = before.strip_suffix('"') {
        return inside.rfind('"').unwrap_or(0);
    }
    let part = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    before.char_indices().rev().take_while(|(_, c)| part(*c)).last().map_or(before.len(), |(at, _)| at)
}

fn domain_end(after: &str) -> usize {
    let part = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "-._".contains(c);
    let end = after.find(|c| !part(c)).unwrap_or(after.len());
    after[..end].trim_end_matches('.').len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn local_parts_go_wherever_they_stand_and_domains_stay() {
        let veil = Veil::new(b"k");
        let line = r#"{"to":"jane.doe@example.com","reply":"550 <jane.doe@example.com>: no \"jane doe\"@x.example here","n":1}"#;
        let none = veil.over_json(line, AddressDetail::None);
        assert_eq!(none, r#"{"to":"*@example.com","reply":"550 <*@example.com>: no *@x.example here","n":1}"#);
        let hashed = veil.over_json(line, AddressDetail::Hashed);
        assert!(!hashed.contains("jane") && hashed.contains("@example.com"), "{hashed}");
        let value: serde_json::Value = serde_json::from_str(&hashed).unwrap();
        let name = value["to"].as_str().unwrap().split('@').next().unwrap();
        assert!(value["reply"].as_str().unwrap().contains(name), "the same address has the same hash");
        assert_ne!(Veil::new(b"other").over_json(line, AddressDetail::Hashed), hashed);
        assert_eq!(veil.over_json(line, AddressDetail::Full), line);
    }

    proptest! {
        #[test]
        fn json_stays_json_and_no_local_part_stays(text in "\\PC*", local in "[a-z]{3,9}", more in "\\PC*") {
            let line = serde_json::json!({ "a": text, "b": format!("{more} <{local}@zz.example>") }).to_string();
            for detail in [AddressDetail::Hashed, AddressDetail::None] {
                let veiled = Veil::new(b"k").over_json(&line, detail).into_owned();
                let value: serde_json::Value = serde_json::from_str(&veiled).unwrap();
                let needle = format!("{local}@zz.example");
                prop_assert!(!value["b"].as_str().unwrap().contains(&needle));
            }
        }
    }
}
