//! The redaction stage: strikes card numbers (PANs) out of a letter in memory, before anything of it is stored.
//!
//! Fails closed: what cannot be read, or may not be changed, follows the policy; an internal failure refuses the
//! letter while its sender waits. The original never goes on.

mod allow;
mod archive;
#[cfg(test)]
mod bounds_tests;
mod chars;
mod context;
mod escapes;
mod explain;
mod extras;
mod header;
mod html;
mod issuers;
mod judge;
mod kind;
mod office;
mod pdf;
mod prefilter;
#[cfg(test)]
mod property_tests;
mod rtf;
mod runs;
mod scan;
mod stage;
mod surroundings;
#[cfg(test)]
mod tests;
mod tnef;
mod zip;

pub use explain::{Explanation, explain};

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::message::{Letter, Received, Stage, wipe};

/// What happens to a letter that holds a card number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Strike the digits out and go on.
    Redact,
    /// Refuse the letter (554 5.7.1).
    Reject,
    /// Let it through unchanged and report; only with the operator's `allow_unredacted`.
    Report,
    /// Do not look; only with the operator's `allow_unredacted`.
    Off,
}

/// How many digits of a number stay readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// From the start, at most 6.
    pub first: u8,
    /// From the end, at most 4.
    pub last: u8,
}

/// What happens to a part that cannot be read (encrypted, unknown).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unscannable {
    /// Deliver it and say so in the report.
    Deliver,
    /// Refuse the letter.
    Reject,
}

/// What happens to a part under somebody's S/MIME or PGP signature that holds a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignedParts {
    /// Refuse the letter.
    Reject,
    /// Redact and drop the signature.
    Redact,
}

/// A tenant's redaction policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What happens to a letter with a number in it.
    pub mode: Mode,
    /// What stays readable.
    pub keep: Keep,
    /// Parts that cannot be read.
    pub unscannable: Unscannable,
    /// Parts under a signature.
    pub signed_parts: SignedParts,
    /// Patterns of a tenant's own numbers that are never struck out.
    #[serde(default)]
    pub allow: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Redact,
            keep: Keep { first: 0, last: 4 },
            unscannable: Unscannable::Deliver,
            signed_parts: SignedParts::Reject,
            allow: Vec::new(),
        }
    }
}

/// One number that was found. Never holds the digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    /// The MIME part by its path (`1.2`), `header` for the message's own header, `envelope`.
    pub part: String,
    /// Where in the part: `body`, a field name, `attribute href`, a file inside an archive.
    pub place: String,
    /// The issuer's name.
    pub brand: String,
    /// The number as it is now, for instance `************1111`.
    pub masked: String,
}

/// A part that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unscanned {
    /// The MIME part by its path.
    pub part: String,
    /// Why.
    pub reason: String,
}

/// What the stage found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Numbers that were struck out (or, in mode report, seen).
    pub hits: Vec<Hit>,
    /// Parts that could not be read.
    pub unscanned: Vec<Unscanned>,
}

/// The stage that only this module can give.
#[derive(Debug, Clone)]
pub struct Redacted {
    report: Report,
}

impl Stage for Redacted {}

impl Redacted {
    /// What was found.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Why a letter is refused. The texts name parts and lines, never digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Mode reject, and a number is there.
    #[error("message contains a payment card number in {place} - policy \"reject\"")]
    CardNumber {
        /// Part and line.
        place: String,
    },
    /// A signed part holds a number and may not be changed.
    #[error("signed part {part} contains a payment card number - policy signed_parts \"reject\"")]
    SignedPart {
        /// The MIME part.
        part: String,
    },
    /// A part cannot be read and the policy wants that refused.
    #[error("part {part} cannot be read ({reason}) - policy unscannable \"reject\"")]
    Unscannable {
        /// The MIME part.
        part: String,
        /// Why.
        reason: String,
    },
    /// The message's structure goes over a limit (depth, parts, expansion of an archive).
    #[error("message structure over the limit: {0}")]
    Limit(String),
    /// The stage itself failed; the sender may try again.
    #[error("redaction failed: {0}")]
    Internal(String),
}

/// Bounds on what one message may make the stage do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nesting of multiparts and messages.
    pub mime_depth: usize,
    /// Parts in all.
    pub mime_parts: usize,
    /// Bytes that all archives and compressed streams together may unpack to.
    pub expansion: usize,
    /// How many times larger than itself one compressed stream may become.
    pub ratio: usize,
    /// Archives in archives.
    pub archive_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { mime_depth: 60, mime_parts: 1000, expansion: 64 << 20, ratio: 100, archive_depth: 3 }
    }
}

/// Times its own size that reading a message takes in memory at the most, beside what its archives unpack to
/// ([`Limits::expansion`]): the decoded part, one reading of it, and for a part full of numbers the edits and the
/// report. Mails without numbers take a third of it.
pub const MEMORY_FACTOR: usize = 32;

/// Passes over one message: striking a number out may leave digits that stand like another number beside what
/// follows, and a second run must find nothing.
const PASSES: usize = 4;

/// Redacts a letter: the message, and the values of ENVID and ORCPT. CPU-bound: call it on the blocking pool.
pub fn redact(letter: Letter<Received>, policy: &Policy) -> Result<Letter<Redacted>, Refusal> {
    redact_within(letter, policy, &Limits::default())
}

/// [`redact`] with bounds of the caller's.
pub fn redact_within(
    mut letter: Letter<Received>,
    policy: &Policy,
    limits: &Limits,
) -> Result<Letter<Redacted>, Refusal> {
    let (changed, mut report) = redact_bytes_within(letter.message(), policy, limits)?;
    let changed = match changed {
        Cow::Borrowed(_) => None,
        Cow::Owned(message) => Some(message),
    };
    let mut hits = Vec::new();
    if policy.mode != Mode::Off {
        let envelope = letter.envelope_mut();
        let values =
            envelope.envelope_id.iter_mut().map(|value| ("ENVID", value)).chain(
                envelope.recipients.iter_mut().filter_map(|r| r.original.as_mut()).map(|value| ("ORCPT", value)),
            );
        for (place, value) in values {
            stage::xtext(place, value, policy, &mut hits)?;
        }
    }
    report.hits.extend(hits);
    let message = changed.map_or_else(|| letter.message().clone(), bytes::Bytes::from);
    Ok(letter.advance(message, Redacted { report }))
}

/// Redacts a message: borrowed where nothing changes. In mode report it is never changed.
pub fn redact_bytes<'m>(message: &'m [u8], policy: &Policy) -> Result<(Cow<'m, [u8]>, Report), Refusal> {
    redact_bytes_within(message, policy, &Limits::default())
}

/// [`redact_bytes`] with bounds of the caller's.
pub fn redact_bytes_within<'m>(
    message: &'m [u8],
    policy: &Policy,
    limits: &Limits,
) -> Result<(Cow<'m, [u8]>, Report), Refusal> {
    let mut report = Report::default();
    if policy.mode == Mode::Off {
        return Ok((Cow::Borrowed(message), report));
    }
    if u32::try_from(message.len()).is_err() {
        return Err(Refusal::Limit("message larger than 4 GB".into()));
    }
    let mut current = Cow::Borrowed(message);
    for pass in 0..PASSES {
        let mut stage = stage::Stage::new(policy, limits);
        let edits = stage.message(&current)?;
        let found = stage.finish();
        if pass == 0 {
            report.unscanned = found.unscanned;
        }
        report.hits.extend(found.hits);
        if edits.is_empty() || policy.mode == Mode::Report {
            break;
        }
        let next = edits.apply(&current);
        if let Cow::Owned(old) = std::mem::replace(&mut current, Cow::Owned(next)) {
            wipe(old);
        }
    }
    Ok((current, report))
}
