//! The parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152, RFC 3030), SMTPUTF8 (RFC 6531), RET, ENVID,
//! NOTIFY, ORCPT (RFC 3461), REQUIRETLS (RFC 8689), AUTH (RFC 4954 §5, read and ignored).
//!
//! An unknown parameter is refused with its name (555 5.5.4), a known one with a bad value too (501 5.5.4), and
//! a parameter given twice as well: two values for one thing is how two programs come to read one line differently.

use std::fmt::{self, Write as _};

use super::command::SyntaxError;
use crate::message::{BodyKind, Notify, ReturnContent};

/// The parameters of `MAIL FROM`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MailParameters {
    /// `SIZE`, in octets.
    pub size: Option<u64>,
    /// `BODY`.
    pub body: BodyKind,
    /// `SMTPUTF8`.
    pub smtputf8: bool,
    /// `RET`.
    pub return_content: Option<ReturnContent>,
    /// `ENVID`, as given: xtext, at most 100 octets.
    pub envelope_id: Option<String>,
    /// `REQUIRETLS`.
    pub require_tls: bool,
    /// Was any parameter given? After HELO none may be.
    pub any: bool,
}

/// The parameters of `RCPT TO`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RcptParameters {
    /// `NOTIFY`.
    pub notify: Notify,
    /// `ORCPT`, as given: `type;xtext`, at most 500 octets.
    pub original: Option<String>,
    /// Was any parameter given?
    pub any: bool,
}

impl MailParameters {
    /// Reads what stands behind the path.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut found = Self::default();
        for (name, value) in pairs(text)? {
            found.any = true;
            let bad = || SyntaxError::Value(name);
            match (name, value) {
                ("SIZE", Some(value)) if value.len() <= 20 && value.bytes().all(|b| b.is_ascii_digit()) => {
                    // Twenty digits can go over a u64; such a size is over every limit all the same.
                    found.size = Some(value.parse().unwrap_or(u64::MAX));
                }
                ("BODY", Some(value)) => found.body = body_kind(value).ok_or_else(bad)?,
                ("SMTPUTF8", None) => found.smtputf8 = true,
                ("REQUIRETLS", None) => found.require_tls = true,
                ("RET", Some(value)) if value.eq_ignore_ascii_case("FULL") => {
                    found.return_content = Some(ReturnContent::Full);
                }
                ("RET", Some(value)) if value.eq_ignore_ascii_case("HDRS") => {
                    found.return_content = Some(ReturnContent::Headers);
                }
                ("ENVID", Some(value)) if value.len() <= 100 && is_xtext(value) => {
                    found.envelope_id = Some(value.to_owned());
                }
                // RFC 4954 §5: one who does not trust the client's claim reads it as `<>`; nobody here asks for it.
                ("AUTH", Some(_)) => {}
                ("NOTIFY" | "ORCPT", _) => return Err(SyntaxError::Misplaced(name, "RCPT")),
                _ => return Err(bad()),
            }
        }
        Ok(found)
    }
}

impl RcptParameters {
    /// Reads what stands behind the path.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut found = Self::default();
        for (name, value) in pairs(text)? {
            found.any = true;
            match (name, value) {
                ("NOTIFY", Some(value)) => found.notify = notify(value).ok_or(SyntaxError::Value(name))?,
                ("ORCPT", Some(value)) if is_original(value) => found.original = Some(value.to_owned()),
                ("NOTIFY" | "ORCPT", _) => return Err(SyntaxError::Value(name)),
                _ => return Err(SyntaxError::Misplaced(name, "MAIL")),
            }
        }
        Ok(found)
    }
}

impl fmt::Display for MailParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(size) = self.size {
            write!(f, " SIZE={size}")?;
        }
        match self.body {
            BodyKind::SevenBit => {}
            BodyKind::EightBitMime => f.write_str(" BODY=8BITMIME")?,
            BodyKind::BinaryMime => f.write_str(" BODY=BINARYMIME")?,
        }
        match self.return_content {
            None => {}
            Some(ReturnContent::Full) => f.write_str(" RET=FULL")?,
            Some(ReturnContent::Headers) => f.write_str(" RET=HDRS")?,
        }
        if let Some(id) = &self.envelope_id {
            write!(f, " ENVID={id}")?;
        }
        f.write_str(if self.smtputf8 { " SMTPUTF8" } else { "" })?;
        f.write_str(if self.require_tls { " REQUIRETLS" } else { "" })
    }
}

impl fmt::Display for RcptParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.notify {
            Notify::Unspecified => {}
            Notify::Never => f.write_str(" NOTIFY=NEVER")?,
            Notify::On { success, failure, delay } => {
                let wanted = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let mut separator = " NOTIFY=";
                for (_, word) in wanted.iter().filter(|(on, _)| *on) {
                    f.write_str(separator)?;
                    f.write_str(word)?;
                    separator = ",";
                }
            }
        }
        if let Some(original) = &self.original {
            f.write_char(' ')?;
            write!(f, "ORCPT={original}")?;
        }
        Ok(())
    }
}

/// The names that are known, in the one spelling that the rest of this file matches.
const NAMES: [&str; 9] = ["SIZE", "BODY", "SMTPUTF8", "REQUIRETLS", "RET", "ENVID", "AUTH", "NOTIFY", "ORCPT"];

/// `keyword[=value]` words (RFC 5321 §4.1.2 `esmtp-param`), the keyword as [`NAMES`] spells it.
fn pairs(text: &str) -> Result<Vec<(&'static str, Option<&str>)>, SyntaxError> {
    let mut found: Vec<(&'static str, Option<&str>)> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let Some(name) = NAMES.iter().find(|name| name.eq_ignore_ascii_case(keyword)) else {
            return Err(SyntaxError::Parameter(keyword.chars().take(40).collect()));
        };
        if found.iter().any(|(earlier, _)| earlier == name) {
            return Err(SyntaxError::Twice(name));
        }
        found.push((name, value));
    }
    Ok(found)
}

fn body_kind(value: &str) -> Option<BodyKind> {
    [("7BIT", BodyKind::SevenBit), ("8BITMIME", BodyKind::EightBitMime), ("BINARYMIME", BodyKind::BinaryMime)]
        .into_iter()
        .find_map(|(name, kind)| name.eq_ignore_ascii_case(value).then_some(kind))
}

/// `NEVER`, or one or more of the three, each once (RFC 3461 §4.1).
fn notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in value.split(',') {
        let flag = match word {
            _ if word.eq_ignore_ascii_case("SUCCESS") => &mut success,
            _ if word.eq_ignore_ascii_case("FAILURE") => &mut failure,
            _ if word.eq_ignore_ascii_case("DELAY") => &mut delay,
            _ => return None,
        };
        if std::mem::replace(flag, true) {
            return None;
        }
    }
    Some(Notify::On { success, failure, delay })
}

/// RFC 3461 §4.2: `addr-type ";" xtext`; RFC 6533 §3 lets the `utf-8` type carry UTF-8 itself.
fn is_original(value: &str) -> bool {
    let Some((kind, address)) = value.split_once(';') else { return false };
    let atom = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    let good = if kind.eq_ignore_ascii_case("utf-8") {
        !address.bytes().any(|b| b <= b' ' || b == 0x7f)
    } else {
        is_xtext(address)
    };
    value.len() <= 500 && !kind.is_empty() && kind.bytes().all(atom) && !address.is_empty() && good
}

/// RFC 3461 §4: printable ASCII without `+` and `=`, or `+` and two upper-case hexadecimal digits.
pub fn is_xtext(text: &str) -> bool {
    let hex = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let good = match byte {
            b'+' => hex(bytes.next()) && hex(bytes.next()),
            b'=' => false,
            _ => byte.is_ascii_graphic(),
        };
        if !good {
            return false;
        }
    }
    true
}
