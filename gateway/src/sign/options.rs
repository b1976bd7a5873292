//! The control fields `X-Waxseal-*` of a letter (INTERFACES §3): read here, removed by sealing.
//!
//! Refuses a value that it does not understand, a field given twice that may stand once, and more than the
//! limits; a field of an unknown name is not looked at.

use std::borrow::Cow;
use std::time::Duration;

use super::header::{Field, split};
use super::{MailStream, SealError, SendOptions, TlsLevel};
use crate::clock::Timestamp;

const PREFIX: &[u8] = b"x-waxseal-";
const MAX_TAGS: usize = 10;
const MAX_META: usize = 10;
/// Octets of all metadata together, keys and values.
const MAX_META_OCTETS: usize = 1024;
const MAX_NAME: usize = 64;
const MAX_IDEMPOTENCY_KEY: usize = 128;
/// No letter waits longer than this, whatever its sender asks for.
const MAX_EXPIRE_AFTER: Duration = Duration::from_hours(30 * 24);

/// Is this one of ours?
pub(super) fn is_control(field: &Field<'_>) -> bool {
    field.name().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Reads the control fields. They are removed by `super::seal`.
pub fn read_options(message: &[u8]) -> Result<SendOptions, SealError> {
    let mut reader = Reader::default();
    for field in split(message).fields.iter().filter(|field| is_control(field)) {
        reader.take(field)?;
    }
    Ok(reader.options)
}

#[derive(Default)]
struct Reader {
    options: SendOptions,
    meta_octets: usize,
    /// Names of fields that may stand once and did.
    seen: Vec<String>,
}

fn valid_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'.' | b'-'))
}

impl Reader {
    fn take(&mut self, field: &Field<'_>) -> Result<(), SealError> {
        let bad = |problem: String| SealError::BadControlField { field: field.shown_name(), problem };
        let name = field.shown_name().to_ascii_lowercase();
        let name = &name[PREFIX.len()..];
        let once = ["expire-after", "not-before", "tls", "idempotency-key", "stream"];
        if name != "tag" && !name.starts_with("meta-") && !once.contains(&name) {
            return Ok(());
        }
        let raw = field.unfolded();
        let value = text(&raw).map_err(bad)?;
        if once.contains(&name) {
            if self.seen.iter().any(|seen| seen == name) {
                return Err(bad("given more than once".to_owned()));
            }
            self.seen.push(name.to_owned());
        }
        let options = &mut self.options;
        match name {
            "tag" => self.take_tag(&value).map_err(bad),
            "expire-after" => {
                options.expire_after = Some(duration(&value).map_err(bad)?);
                Ok(())
            }
            "not-before" => {
                let at = Timestamp::parse_rfc3339(&value);
                let shape = "is not an RFC 3339 time like 2026-11-23T14:05:00Z";
                options.not_before = Some(at.ok_or_else(|| bad(format!("\"{}\" {shape}", shown(&value))))?);
                Ok(())
            }
            "tls" => {
                options.tls = Some(match value.to_ascii_lowercase().as_str() {
                    "opportunistic" => TlsLevel::Opportunistic,
                    "require" => TlsLevel::Require,
                    "verify" => TlsLevel::Verify,
                    "dane-only" => TlsLevel::DaneOnly,
                    _ => {
                        let shown = shown(&value);
                        return Err(bad(format!("\"{shown}\" is not opportunistic, require, verify or dane-only")));
                    }
                });
                Ok(())
            }
            "idempotency-key" => {
                if !(1..=MAX_IDEMPOTENCY_KEY).contains(&value.len()) || !value.bytes().all(|b| b.is_ascii_graphic()) {
                    return Err(bad(format!("needs 1 to {MAX_IDEMPOTENCY_KEY} visible ASCII characters")));
                }
                options.idempotency_key = Some(value.into_owned());
                Ok(())
            }
            "stream" => {
                options.stream = match value.to_ascii_lowercase().as_str() {
                    "transactional" => MailStream::Transactional,
                    "bulk" => MailStream::Bulk,
                    _ => return Err(bad(format!("\"{}\" is not transactional or bulk", shown(&value)))),
                };
                Ok(())
            }
            _ => match name.strip_prefix("meta-") {
                Some(key) => self.take_meta(key, &value).map_err(bad),
                None => Ok(()),
            },
        }
    }

    fn take_tag(&mut self, value: &str) -> Result<(), String> {
        if !valid_name(value) {
            return Err(format!("\"{}\" is not 1 to {MAX_NAME} of A-Z a-z 0-9 _ . -", shown(value)));
        }
        if self.options.tags.len() == MAX_TAGS {
            return Err(format!("more than {MAX_TAGS} tags"));
        }
        self.options.tags.push(value.to_owned());
        Ok(())
    }

    fn take_meta(&mut self, key: &str, value: &str) -> Result<(), String> {
        if !valid_name(key) {
            return Err(format!("the key after X-Waxseal-Meta- is not 1 to {MAX_NAME} of A-Z a-z 0-9 _ . -"));
        }
        if self.options.meta.iter().any(|(known, _)| known == key) {
            return Err("given more than once".to_owned());
        }
        if self.options.meta.len() == MAX_META {
            return Err(format!("more than {MAX_META} metadata fields"));
        }
        self.meta_octets += key.len() + value.len();
        if self.meta_octets > MAX_META_OCTETS {
            return Err(format!("more than {MAX_META_OCTETS} octets of metadata in all"));
        }
        self.options.meta.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
}

fn text(raw: &[u8]) -> Result<Cow<'_, str>, String> {
    let text = std::str::from_utf8(raw).map_err(|_| "is not UTF-8".to_owned())?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return Err("has control characters".to_owned());
    }
    Ok(Cow::Borrowed(text))
}

/// The start of a value for an error, in ASCII as replies want it.
fn shown(value: &str) -> String {
    value.chars().take(40).map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

fn duration(value: &str) -> Result<Duration, String> {
    let bad = || format!("\"{}\" is not a time like 30s, 10m, 2h or 3d", shown(value));
    let unit = value.chars().last().ok_or_else(bad)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(bad()),
    };
    let digits = &value[..value.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(bad());
    }
    let count: u64 = digits.parse().map_err(|_| bad())?;
    let span = Duration::from_secs(count.checked_mul(seconds).ok_or_else(bad)?);
    if span.is_zero() || span > MAX_EXPIRE_AFTER {
        return Err(format!("\"{}\" is not between 1s and 30d", shown(value)));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_field_is_read_whatever_its_case() {
        let options = read_options(
            b"x-waxseal-TAG: receipt\r\nX-Waxseal-Tag: jp\r\nX-Waxseal-Meta-Order: 12 34\r\nX-WAXSEAL-EXPIRE-AFTER:\r\n \
              10m\r\nX-Waxseal-Not-Before: 2026-11-23T14:05:00+09:00\r\nX-Waxseal-TLS: Verify\r\n\
              X-Waxseal-Idempotency-Key: k-1\r\nX-Waxseal-Stream: bulk\r\nX-Waxseal-New: \xff\r\n\r\n",
        )
        .unwrap();
        assert_eq!(options.tags, ["receipt", "jp"]);
        assert_eq!(options.meta, [("order".to_owned(), "12 34".to_owned())]);
        assert_eq!(options.expire_after, Some(Duration::from_mins(10)));
        assert_eq!(options.not_before, Timestamp::parse_rfc3339("2026-11-23T05:05:00Z"));
        assert_eq!(options.tls, Some(TlsLevel::Verify));
        assert_eq!(options.idempotency_key.as_deref(), Some("k-1"));
        assert_eq!(options.stream, MailStream::Bulk);
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let many = |line: &str| (0..11).map(|n| line.replace('#', &n.to_string())).collect::<String>();
        for bad in [
            "X-Waxseal-Tag: two words\r\n".to_owned(),
            "X-Waxseal-Tag:\r\n".to_owned(),
            many("X-Waxseal-Tag: t#\r\n"),
            many("X-Waxseal-Meta-k#: v\r\n"),
            format!("X-Waxseal-Meta-k: {}\r\n", "v".repeat(1024)),
            "X-Waxseal-Meta-k: 1\r\nX-Waxseal-meta-K: 2\r\n".to_owned(),
            "X-Waxseal-Expire-After: 10\r\n".to_owned(),
            "X-Waxseal-Expire-After: 0m\r\n".to_owned(),
            "X-Waxseal-Expire-After: -1m\r\n".to_owned(),
            "X-Waxseal-Expire-After: 99999999999999999999d\r\n".to_owned(),
            "X-Waxseal-Expire-After: 31d\r\n".to_owned(),
            "X-Waxseal-Expire-After: 1\u{e9}\r\n".to_owned(),
            "X-Waxseal-Not-Before: tomorrow\r\n".to_owned(),
            "X-Waxseal-TLS: yes\r\n".to_owned(),
            "X-Waxseal-Stream: fast\r\n".to_owned(),
            "X-Waxseal-Stream: bulk\r\nX-Waxseal-Stream: bulk\r\n".to_owned(),
            format!("X-Waxseal-Idempotency-Key: {}\r\n", "k".repeat(129)),
        ] {
            let error = read_options(bad.as_bytes()).unwrap_err();
            assert!(matches!(&error, SealError::BadControlField { .. }), "{bad}");
            assert!(error.to_string().is_ascii(), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value in prop::collection::vec(any::<u8>(), 0..60), which in 0..7_usize) {
            let name = ["Tag", "Meta-a", "Expire-After", "Not-Before", "TLS", "Stream", "Idempotency-Key"][which];
            let mut message = format!("X-Waxseal-{name}: ").into_bytes();
            message.extend_from_slice(&value);
            let _ = read_options(&message);
        }
    }
}
