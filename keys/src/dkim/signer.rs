//! A key bound to its domain and selector, and the writing of `DKIM-Signature` fields.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::canonical::{BodyForm, HeaderField, body_hash, has_blank_tail, relax_field, split};
use crate::key::{KeyError, KeyKind, SigningKey};

/// The fields that a signature covers (RFC 6376 §5.4.1, RFC 8058 §4), each named once more than it occurs, so
/// that adding one breaks the signature. Content-Transfer-Encoding is among them because changing it changes
/// what the reader sees.
pub const OVERSIGNED_FIELDS: [&str; 12] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// Fields that are signed where they stand and may be added where they do not: mailing lists add Sender, and an
/// archive may thread what it keeps.
pub const SIGNED_IF_PRESENT: [&str; 3] = ["Sender", "In-Reply-To", "References"];

/// Columns after which `h=` and `b=` are folded.
const FOLD_AT: usize = 74;

/// A key bound to the domain (`d=`) and the selector (`s=`) under which its record stands.
pub struct DomainSigner {
    key: SigningKey,
    domain: Box<str>,
    selector: Box<str>,
}

/// One signature: the whole field, and what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The `DKIM-Signature` field with its final CRLF.
    pub field: String,
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `a=`.
    pub algorithm: &'static str,
}

fn valid_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

impl DomainSigner {
    /// Binds a key. `domain` is in A-labels; both names may have dots (RFC 6376 §3.1).
    pub fn new(key: SigningKey, domain: &str, selector: &str) -> Result<Self, KeyError> {
        for name in [domain, selector] {
            if !valid_name(name) {
                return Err(KeyError::Name(name.chars().take(80).collect()));
            }
        }
        let (domain, selector) = (domain.to_ascii_lowercase().into(), selector.to_ascii_lowercase().into());
        Ok(Self { key, domain, selector })
    }

    /// `d=`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// `s=`.
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// RSA with its bits, or Ed25519.
    pub fn kind(&self) -> KeyKind {
        self.key.kind()
    }

    /// The key, for its public half.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Signs one message at `now` (seconds since 1970): the whole field with its CRLF.
    pub fn sign(&self, message: &[u8], now: u64) -> Result<String, KeyError> {
        let (fields, body) = split(message);
        Ok(Draft::new(&fields, body)?.sign(self, now)?.field)
    }
}

/// What all signatures over one message share.
struct Draft {
    form: BodyForm,
    body_hash: String,
    /// `h=`, every name as often as it is signed.
    names: Vec<&'static str>,
    header: digest::Context,
}

impl Draft {
    fn new(fields: &[HeaderField<'_>], body: &[u8]) -> Result<Self, KeyError> {
        let form = if has_blank_tail(body) { BodyForm::Simple } else { BodyForm::Relaxed };
        let body_hash = STANDARD.encode(body_hash(body, form));
        let mut names = Vec::with_capacity(OVERSIGNED_FIELDS.len() * 2);
        let mut canonical = Vec::with_capacity(2048);
        let over_signed = OVERSIGNED_FIELDS.into_iter().map(|name| (name, true));
        for (name, once_more) in over_signed.chain(SIGNED_IF_PRESENT.into_iter().map(|name| (name, false))) {
            // Instances are signed from the bottom of the header up (RFC 6376 §5.4.2).
            for field in fields.iter().rev().filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes())) {
                relax_field(&mut canonical, field.name, field.value);
                names.push(name);
            }
            if name == "From" && names.is_empty() {
                return Err(KeyError::NoFrom);
            }
            if once_more {
                names.push(name);
            }
        }
        let mut header = digest::Context::new(&digest::SHA256);
        header.update(&canonical);
        Ok(Self { form, body_hash, names, header })
    }

    fn sign(&self, signer: &DomainSigner, now: u64) -> Result<Signature, KeyError> {
        let algorithm = signer.kind().signature_tag();
        let mut field = format!(
            "DKIM-Signature: v=1; a={algorithm}; c={};\r\n\td={}; s={};\r\n\tt={now}; h=",
            self.form.tag(),
            signer.domain,
            signer.selector
        );
        let mut column = 6 + now.to_string().len();
        for (at, name) in self.names.iter().enumerate() {
            if at > 0 {
                field.push(':');
                column += 1;
                if column + name.len() >= FOLD_AT {
                    field.push_str("\r\n\t");
                    column = 1;
                }
            }
            field.push_str(name);
            column += name.len();
        }
        field.push_str(";\r\n\tbh=");
        field.push_str(&self.body_hash);
        field.push_str(";\r\n\tb=");

        // The field signs itself with an empty b= and without its CRLF (RFC 6376 §3.7).
        let mut canonical = Vec::with_capacity(field.len());
        let (name, value) = field.split_at("DKIM-Signature".len());
        relax_field(&mut canonical, name.as_bytes(), &value.as_bytes()[1..]);
        canonical.truncate(canonical.len() - 2);
        let mut header = self.header.clone();
        header.update(&canonical);
        let signature = STANDARD.encode(signer.key.sign_digest(&header.finish())?);

        let (first, rest) = signature.split_at(signature.len().min(FOLD_AT - 3));
        field.push_str(first);
        for chunk in rest.as_bytes().chunks(FOLD_AT - 1) {
            field.push_str("\r\n\t");
            field.extend(chunk.iter().map(|&octet| octet as char));
        }
        field.push_str("\r\n");
        Ok(Signature { field, domain: signer.domain.to_string(), selector: signer.selector.to_string(), algorithm })
    }
}

/// Signs a message that is already split, by every signer in order, with one hash of the body.
///
/// The caller puts the signatures above `fields`; they do not cover each other, so their order is free.
pub fn sign_fields(
    signers: &[Arc<DomainSigner>],
    fields: &[HeaderField<'_>],
    body: &[u8],
    now: u64,
) -> Result<Vec<Signature>, KeyError> {
    if signers.is_empty() {
        return Ok(Vec::new());
    }
    let draft = Draft::new(fields, body)?;
    signers.iter().map(|signer| draft.sign(signer, now)).collect()
}

/// [`sign_fields`] for a whole message.
pub fn sign_all(signers: &[Arc<DomainSigner>], message: &[u8], now: u64) -> Result<Vec<Signature>, KeyError> {
    let (fields, body) = split(message);
    sign_fields(signers, &fields, body, now)
}
