//! Does the letter speak as one of the tenant's domains? (RFC 5322 §3.6.2, RFC 9989 §4.4.)
//!
//! Every mailbox of From, groups included, and the Sender have to be within the tenant's domains: invariant 6.
//! Resent-From is not looked at: no verifier aligns with it.

use super::addresses::{ListedMailbox, mailboxes};
use super::header::Field;
use super::{SealError, SealRequest};
use crate::message::DomainName;

/// The distinct domains of From, the first mailbox's first.
pub(super) fn author_domains(fields: &[Field<'_>], request: &SealRequest<'_>) -> Result<Vec<DomainName>, SealError> {
    let authors = the_only(fields, "From")?.ok_or_else(|| SealError::BadFrom("is missing".to_owned()))?;
    let sender = the_only(fields, "Sender")?;
    if authors.is_empty() {
        return Err(SealError::BadFrom("names nobody: a group without a mailbox cannot be aligned".to_owned()));
    }
    if authors.len() > 1 && sender.is_none() {
        let text = "names several mailboxes, and then a Sender field is needed (RFC 5322 section 3.6.2)";
        return Err(SealError::BadFrom(text.to_owned()));
    }
    let mut domains: Vec<DomainName> = Vec::with_capacity(1);
    for author in &authors {
        let domain = allowed("From", author, request)?;
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    match sender.as_deref() {
        None => {}
        Some([sender]) => {
            allowed("Sender", sender, request)?;
        }
        Some(_) => return Err(SealError::BadHeader("the Sender field must name exactly one mailbox".to_owned())),
    }
    Ok(domains)
}

fn the_only(fields: &[Field<'_>], name: &'static str) -> Result<Option<Vec<ListedMailbox>>, SealError> {
    let bad = |problem: String| match name {
        "From" => SealError::BadFrom(ascii(&problem)),
        _ => SealError::BadHeader(ascii(&format!("the {name} field {problem}"))),
    };
    let mut found = fields.iter().filter(|field| field.is(name));
    let Some(field) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(bad("stands more than once".to_owned()));
    }
    mailboxes(&field.unfolded()).map(Some).map_err(bad)
}

/// Replies are ASCII; what a text quotes of the message need not be.
pub(super) fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect()
}

fn allowed(field: &'static str, mailbox: &ListedMailbox, request: &SealRequest<'_>) -> Result<DomainName, SealError> {
    let refused = |domain: String| SealError::NotYourDomain {
        field,
        domain,
        tenant: request.tenant.to_owned(),
        allowed: request.domains.iter().map(DomainName::as_str).collect::<Vec<_>>().join(", "),
    };
    let domain: DomainName =
        mailbox.domain.parse().map_err(|_| refused(ascii(&mailbox.domain.chars().take(80).collect::<String>())))?;
    let ours = |own: &DomainName| domain == *own || (request.subdomains && domain.is_within(own));
    if request.domains.iter().any(ours) { Ok(domain) } else { Err(refused(domain.to_string())) }
}
