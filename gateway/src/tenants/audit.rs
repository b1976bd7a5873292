//! The audit: who changed what and when, each line bound to the one before it, and signed checkpoints.
//!
//! Promises: a line that is changed, taken out or put in between is found, and so is a tail that is cut off at a
//! checkpoint or before it ([`verify`]). A checkpoint is also an event, so that whoever keeps the events elsewhere holds
//! the operator of this machine to it too: the key that signs lies in the control store, and one who owns the machine
//! could sign a whole new history, but not one that fits what was already seen.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What was changed, in words.
    pub what: String,
    /// The hash of the line before, in hexadecimal; of the first line, zeros.
    #[serde(default)]
    pub previous: String,
}

/// A signature under everything up to a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCheckpoint {
    /// The number of the last line that it covers.
    pub number: u64,
    /// That line's hash, in hexadecimal.
    pub head: String,
    /// When it was made.
    pub at: Timestamp,
    /// Ed25519 over the three above, in hexadecimal.
    pub signature: String,
}

/// The hash before the first line.
pub(super) const NOTHING: [u8; 32] = [0; 32];

/// A line's hash: over its number and all its fields, each with its length, so that no two lines have one encoding.
pub fn hash_of(number: u64, record: &AuditRecord) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"waxseal audit line v1\0");
    context.update(&number.to_be_bytes());
    context.update(&record.at.millis().to_be_bytes());
    for field in [&record.by, &record.what, &record.previous] {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field.as_bytes());
    }
    let mut hash = NOTHING;
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Octets in hexadecimal.
pub fn hex(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut out, octet| {
        let _ = write!(out, "{octet:02x}");
        out
    })
}

/// The inverse of [`hex`].
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|octet| octet.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn signed_text(number: u64, head: &str, at: Timestamp) -> String {
    format!("waxseal audit checkpoint v1\n{number}\n{head}\n{at}\n")
}

/// The key that signs checkpoints.
pub struct AuditKey(Ed25519KeyPair);

impl AuditKey {
    /// From a seed of 32 octets.
    pub fn from_seed(seed: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// Its public half, in hexadecimal.
    pub fn public(&self) -> String {
        hex(self.0.public_key().as_ref())
    }

    /// Signs.
    pub fn checkpoint(&self, number: u64, head: &[u8; 32], at: Timestamp) -> AuditCheckpoint {
        let head = hex(head);
        let signature = hex(self.0.sign(signed_text(number, &head, at).as_bytes()).as_ref());
        AuditCheckpoint { number, head, at, signature }
    }
}

/// What a check of the audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditReport {
    /// Lines that were read.
    pub lines: u64,
    /// The number of the last one.
    pub last: u64,
    /// Its hash.
    pub head: String,
    /// Checkpoints that fit.
    pub checkpoints: usize,
    /// The number of the last line under a checkpoint.
    pub signed_up_to: u64,
    /// The key that signs, in hexadecimal.
    pub public_key: String,
    /// What does not fit, one sentence each; empty: all fits.
    pub problems: Vec<String>,
}

/// Checks lines in their order, and checkpoints against them, under a public key in hexadecimal.
pub fn verify(
    lines: impl Iterator<Item = (u64, AuditRecord)>,
    checkpoints: &[AuditCheckpoint],
    public_key: &str,
) -> AuditReport {
    let mut report = AuditReport { public_key: public_key.to_owned(), head: hex(&NOTHING), ..AuditReport::default() };
    let mut waiting = checkpoints.iter().peekable();
    let mut expected = None;
    for (number, record) in lines {
        if expected.is_some_and(|expected| expected != number) {
            report.problems.push(format!("lines are missing before {number}"));
        }
        if record.previous != report.head {
            report.problems.push(format!("line {number} does not follow the line before it: one of them was changed"));
        }
        report.head = hex(&hash_of(number, &record));
        report.lines += 1;
        report.last = number;
        expected = Some(number + 1);
        while let Some(checkpoint) = waiting.next_if(|checkpoint| checkpoint.number <= number) {
            check(checkpoint, number, public_key, &mut report);
        }
    }
    for lost in waiting {
        report
            .problems
            .push(format!("the checkpoint of line {} stands, and the line is gone: the end was cut off", lost.number));
    }
    report
}

fn check(checkpoint: &AuditCheckpoint, number: u64, public_key: &str, report: &mut AuditReport) {
    let key = unhex(public_key).unwrap_or_default();
    let signature = unhex(&checkpoint.signature).unwrap_or_default();
    let text = signed_text(checkpoint.number, &checkpoint.head, checkpoint.at);
    if UnparsedPublicKey::new(&ED25519, &key).verify(text.as_bytes(), &signature).is_err() {
        report.problems.push(format!("the checkpoint of line {} is not signed by this key", checkpoint.number));
    } else if checkpoint.number != number || checkpoint.head != report.head {
        report.problems.push(format!("line {} is not what its checkpoint signed", checkpoint.number));
    } else {
        report.checkpoints += 1;
        report.signed_up_to = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(count: u64) -> Vec<(u64, AuditRecord)> {
        let mut previous = NOTHING;
        (1..=count)
            .map(|number| {
                let at = Timestamp::from_millis(number * 1000);
                let record =
                    AuditRecord { at, by: "anna".into(), what: format!("change {number}"), previous: hex(&previous) };
                previous = hash_of(number, &record);
                (number, record)
            })
            .collect()
    }

    #[test]
    fn every_change_of_a_chain_is_found() {
        let key = AuditKey::from_seed(&[7; 32]).unwrap();
        let whole = chain(10);
        let head = hash_of(7, &whole[6].1);
        let checkpoints = [key.checkpoint(7, &head, Timestamp::from_millis(9))];
        let problems = |lines: Vec<(u64, AuditRecord)>, checkpoints: &[AuditCheckpoint]| {
            verify(lines.into_iter(), checkpoints, &key.public()).problems
        };
        let good = verify(whole.clone().into_iter(), &checkpoints, &key.public());
        assert_eq!((good.lines, good.checkpoints, good.signed_up_to), (10, 1, 7));
        assert_eq!(good.problems, Vec::<String>::new());
        for at in 0..10 {
            let mut changed = whole.clone();
            changed[at].1.what = "nothing".into();
            // The last line has none after it; only a checkpoint could tell.
            assert_eq!(problems(changed, &checkpoints).is_empty(), at == 9, "line {at} changed");
            let mut taken = whole.clone();
            taken.remove(at);
            assert_eq!(problems(taken, &checkpoints).is_empty(), at == 9, "line {at} taken out");
        }
        assert_eq!(problems(whole[..6].to_vec(), &checkpoints).len(), 1);
        let mut forged = checkpoints[0].clone();
        forged.number = 6;
        assert!(!problems(whole.clone(), &[forged]).is_empty());
        let other = AuditKey::from_seed(&[8; 32]).unwrap();
        assert!(!problems(whole, &[other.checkpoint(7, &head, Timestamp::from_millis(9))]).is_empty());
    }
}
