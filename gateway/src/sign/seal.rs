//! The order of sealing: header checked and mended, author aligned, body made safe, header completed, then
//! Received and the signatures over bytes that nothing changes any more (invariant 3).

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use waxseal_keys::{DomainSigner, HeaderField, sign_fields};

use super::align::author_domains;
use super::header::{Field, find, split, write};
use super::transfer::{self, Flaws};
use super::{SealError, SealRequest, Sealed, SignatureFact, fields, received};
use crate::message::{BodyKind, DomainName, Letter};
use crate::redact::Redacted;

/// Seals a letter. CPU-bound (a millisecond): call it on the blocking pool.
pub fn seal(letter: Letter<Redacted>, request: &SealRequest<'_>) -> Result<Letter<Sealed>, SealError> {
    let message = letter.message().clone();
    let redacted = !letter.stage().report().hits.is_empty();
    let envelope = letter.envelope();
    let parsed = split(&message);
    let mut header = parsed.fields;

    let mut altered = fields::remove(&mut header) | redacted;
    // Alignment first: its refusals are the ones that a sender can act on.
    let authors = author_domains(&header, request)?;
    altered |= fields::mend(&mut header, envelope.smtputf8)?;
    for field in &mut header {
        field.end_line();
    }
    let binary = envelope.body == BodyKind::BinaryMime;
    let safe = transfer::make_safe(&mut header, parsed.body, envelope.smtputf8, binary)?;
    altered |= binary || matches!(safe.body, Cow::Owned(_));
    altered |= fields::complete(&mut header, &authors[0], request);
    if altered {
        // A signature of somebody else's, over bytes that are no more. Whether it covered just what was changed
        // is not asked: a broken signature is worth nothing, and one that still verifies little beside ours.
        header.retain(|field| !field.is("DKIM-Signature"));
    }

    let mut body = safe.body;
    if !body.is_empty() && !body.ends_with(b"\r\n") {
        body.to_mut().extend_from_slice(b"\r\n");
    }
    let signatures = sign(&header, &body, &authors, request)?;
    let sealed = Sealed {
        signatures: signatures.iter().map(|(_, fact)| fact.clone()).collect(),
        eight_bit: safe.eight_bit || header.iter().any(|field| !field.raw().is_ascii()),
        from_domain: authors.into_iter().next().ok_or_else(|| SealError::Internal("no author".to_owned()))?,
        subject: subject(&header),
    };

    let mut out = Vec::with_capacity(message.len() + 4096);
    received::write(&mut out, envelope, request);
    for (field, _) in &signatures {
        out.extend_from_slice(field.as_bytes());
    }
    write(&header, &mut out);
    out.extend_from_slice(b"\r\n");
    check(&out, sealed.eight_bit)?;
    if !safe.seen_clean {
        check(&body, sealed.eight_bit)?;
    }
    out.extend_from_slice(&body);
    Ok(letter.advance(Bytes::from(out), sealed))
}

/// The last look: whatever a stage above missed is refused here rather than sent.
fn check(out: &[u8], eight_bit: bool) -> Result<(), SealError> {
    let flaws = Flaws::of(out);
    let refused = |what: &str| Err(SealError::BadHeader(format!("the message has {what}")));
    if flaws.nul {
        return refused("NUL octets");
    }
    if flaws.bare {
        return refused("a CR or LF that is not part of a CRLF");
    }
    if flaws.long {
        return refused("a line over 998 octets");
    }
    if flaws.eight_bit && !eight_bit {
        return Err(SealError::Internal("octets outside ASCII were left in a 7-bit message".to_owned()));
    }
    Ok(())
}

/// Who signs for an author's domain: its own keys, or those of the closest parent that is the tenant's too. Keys
/// of domains that are not the tenant's are never asked for, even if such a domain lies below one that is.
fn signers_for(author: &DomainName, request: &SealRequest<'_>) -> Result<Vec<Arc<DomainSigner>>, SealError> {
    let mut own: Vec<&DomainName> = request.domains.iter().filter(|domain| author.is_within(domain)).collect();
    own.sort_by_key(|domain| std::cmp::Reverse(domain.as_str().len()));
    own.into_iter()
        .map(|domain| request.signers.active(domain))
        .find(|signers| !signers.is_empty())
        .ok_or_else(|| SealError::NoActiveKey(author.to_string()))
}

/// The signature fields from the top down. Signers come with RSA last, and each signature is put above the one
/// before it, so that a verifier that looks at the first only finds RSA.
fn sign(
    header: &[Field<'_>],
    body: &[u8],
    authors: &[DomainName],
    request: &SealRequest<'_>,
) -> Result<Vec<(String, SignatureFact)>, SealError> {
    let mut signers: Vec<Arc<DomainSigner>> = Vec::with_capacity(2);
    for author in authors {
        for signer in signers_for(author, request)? {
            if !signers.iter().any(|known| Arc::ptr_eq(known, &signer)) {
                signers.push(signer);
            }
        }
    }
    let fields: Vec<HeaderField<'_>> =
        header.iter().map(|field| HeaderField { name: field.name(), value: field.value() }).collect();
    let signatures = sign_fields(&signers, &fields, body, request.now.seconds())
        .map_err(|error| SealError::Internal(error.to_string()))?;
    let fact = |signature: waxseal_keys::Signature| {
        let waxseal_keys::Signature { field, domain, selector, algorithm } = signature;
        (field, SignatureFact { domain, selector, algorithm: algorithm.to_owned() })
    };
    Ok(signatures.into_iter().rev().map(fact).collect())
}

/// Characters of the subject that records keep.
const SUBJECT: usize = 120;

fn subject(header: &[Field<'_>]) -> String {
    let Some(field) = find(header, "Subject") else { return String::new() };
    let raw = field.unfolded();
    let decoded = if raw.windows(2).any(|pair| pair == b"=?") {
        let parsed =
            mail_parser::MessageParser::new().header_text(mail_parser::HeaderName::Subject).parse_headers(field.raw());
        parsed.and_then(|message| message.subject().map(str::to_owned))
    } else {
        None
    };
    let text = decoded.unwrap_or_else(|| String::from_utf8_lossy(&raw).into_owned());
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT).collect()
}
