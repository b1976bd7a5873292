//! One transaction on a connection: MAIL, RCPT for everybody, the message, and an outcome for each recipient.
//!
//! Promises: with PIPELINING and CHUNKING all of it is one write and one read; what the server said about one
//! recipient decides about that recipient only; a connection that breaks leaves everybody undecided as "try later",
//! never as refused, and says so if the final dot was out. Nothing is added to the message and nothing is missing:
//! BDAT carries it as it is, DATA dot-stuffs after CRLF only (RFC 5321 §4.5.2).

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;

use super::link::{Broken, Link, Outgoing};
use super::outcome::{DialogueStage, Outcome, RemoteReply, Scene};
use super::transaction::Transaction;
use crate::clock::Clock;
use crate::config::DialogueTimeouts;
use crate::message::{Notify, Recipient, ReturnContent};

/// A message up to this size goes out with its envelope in one write; a larger one waits for the recipients'
/// replies, so that nothing large is sent for nobody.
const IN_ONE_WRITE: usize = 128 * 1024;

/// What a transaction came to.
pub enum Transacted {
    /// An outcome for each recipient.
    Done(Vec<Outcome>),
    /// The connection had gone stale before the server said anything about this mail: try a fresh one.
    Stale,
}

/// What a server lacks for this message, found before anything is sent.
fn unable(link: &Link, transaction: &Transaction, scene: &Scene) -> Option<Outcome> {
    let extensions = &link.extensions;
    let refused = |status, note: &str| Some(Outcome::Refused(scene.note(DialogueStage::Policy, status, note)));
    if needs_smtputf8(transaction) && !extensions.smtputf8 {
        return refused((5, 6, 7), "the message needs SMTPUTF8, and the server does not offer it");
    }
    if transaction.eight_bit && !extensions.eight_bit_mime {
        return refused((5, 6, 3), "the message needs 8BITMIME, and the server does not offer it");
    }
    match extensions.size {
        Some(limit) if limit > 0 && transaction.message.len() as u64 > limit => {
            let note = format!("the message has {} octets, the server takes {limit}", transaction.message.len());
            refused((5, 3, 4), &note)
        }
        _ => None,
    }
}

/// RFC 6531 §3.4: asked for is not needed; a message all in ASCII goes to any server.
fn needs_smtputf8(transaction: &Transaction) -> bool {
    let message = &transaction.message;
    let header = memchr::memmem::find(message, b"\r\n\r\n").map_or(&message[..], |end| &message[..end]);
    transaction.recipients.iter().any(|recipient| recipient.address.needs_smtputf8())
        || transaction.reverse_path.mailbox().is_some_and(crate::message::Mailbox::needs_smtputf8)
        || (transaction.smtputf8 && !header.is_ascii())
}

fn mail_command(link: &Link, transaction: &Transaction) -> String {
    let extensions = &link.extensions;
    let mut command = format!("MAIL FROM:{}", transaction.reverse_path);
    if extensions.size.is_some() {
        // Writing to a string cannot fail.
        let _ = write!(command, " SIZE={}", transaction.message.len());
    }
    if transaction.eight_bit && extensions.eight_bit_mime {
        command.push_str(" BODY=8BITMIME");
    }
    if needs_smtputf8(transaction) {
        command.push_str(" SMTPUTF8");
    }
    if extensions.dsn {
        match transaction.return_content {
            Some(ReturnContent::Full) => command.push_str(" RET=FULL"),
            Some(ReturnContent::Headers) => command.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(id) = &transaction.envelope_id {
            let _ = write!(command, " ENVID={id}");
        }
    }
    if transaction.require_tls {
        command.push_str(" REQUIRETLS");
    }
    command.push_str("\r\n");
    command
}

fn rcpt_command(link: &Link, recipient: &Recipient, command: &mut String) {
    let _ = write!(command, "RCPT TO:<{}>", recipient.address);
    if link.extensions.dsn {
        match recipient.notify {
            Notify::Unspecified => {}
            Notify::Never => command.push_str(" NOTIFY=NEVER"),
            Notify::On { success, failure, delay } => {
                let wanted = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let names: Vec<&str> = wanted.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
                let _ = write!(command, " NOTIFY={}", names.join(","));
            }
        }
        if let Some(original) = &recipient.original {
            let _ = write!(command, " ORCPT={original}");
        }
    }
    command.push_str("\r\n");
}

/// Dot-stuffing, without a copy where no line begins with a dot.
pub fn stuffed(message: &Bytes) -> Bytes {
    let finder = memchr::memmem::Finder::new(b"\r\n.");
    if !message.starts_with(b".") && finder.find(message).is_none() {
        return message.clone();
    }
    let mut out = Vec::with_capacity(message.len() + 64);
    let mut from = 0;
    if message.starts_with(b".") {
        out.push(b'.');
    }
    for at in finder.find_iter(message) {
        out.extend_from_slice(&message[from..at + 2]);
        out.push(b'.');
        from = at + 2;
    }
    out.extend_from_slice(&message[from..]);
    Bytes::from(out)
}

/// A transaction under way.
struct Dialogue<'d> {
    link: &'d mut Link,
    transaction: &'d Transaction,
    timeouts: &'d DialogueTimeouts,
    scene: Scene,
    /// Decided recipients.
    outcomes: Vec<Option<Outcome>>,
    /// Was the server asked for a RSET first?
    reset: bool,
    /// Was this connection used before?
    reused: bool,
}

/// Runs a transaction. On return the link says whether it can be used again ([`Link::unclean`], or it is broken:
/// the flag in the pair).
pub async fn transact(
    link: &mut Link,
    transaction: &Transaction,
    timeouts: &DialogueTimeouts,
    clock: &dyn Clock,
) -> (Transacted, bool) {
    let scene = link.scene(clock);
    if let Some(outcome) = unable(link, transaction, &scene) {
        return (Transacted::Done(vec![outcome; transaction.recipients.len()]), true);
    }
    let (reset, reused) = (link.unclean, link.served > 0);
    let outcomes = vec![None; transaction.recipients.len()];
    let mut dialogue = Dialogue { link, transaction, timeouts, scene, outcomes, reset, reused };
    let usable = dialogue.run().await;
    let Dialogue { outcomes, link, scene, .. } = dialogue;
    match usable {
        Ok(usable) => {
            link.served += 1;
            let lost = || Outcome::TryLater(scene.note(DialogueStage::Rcpt, (4, 3, 0), "no reply for this recipient"));
            (Transacted::Done(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect()), usable)
        }
        Err(StaleLink) => (Transacted::Stale, false),
    }
}

/// The reused connection was no longer good.
struct StaleLink;

impl Dialogue<'_> {
    async fn run(&mut self) -> Result<bool, StaleLink> {
        let extensions = self.link.extensions;
        let in_one = extensions.pipelining && extensions.chunking && self.transaction.message.len() <= IN_ONE_WRITE;
        if in_one { self.in_one_write().await } else { self.in_steps().await }
    }

    /// RSET (if due), MAIL and all RCPT, as one string and their number of replies.
    fn envelope(&self) -> (String, usize) {
        let mut commands = String::with_capacity(256);
        if self.reset {
            commands.push_str("RSET\r\n");
        }
        commands.push_str(&mail_command(self.link, self.transaction));
        for recipient in &self.transaction.recipients {
            rcpt_command(self.link, recipient, &mut commands);
        }
        (commands, usize::from(self.reset) + 1 + self.transaction.recipients.len())
    }

    async fn in_one_write(&mut self) -> Result<bool, StaleLink> {
        let message = &self.transaction.message;
        let (mut commands, count) = self.envelope();
        let _ = write!(commands, "BDAT {} LAST\r\n", message.len());
        let mut out = Outgoing::one(Bytes::from(commands));
        out.push(message.clone());
        let mut replies = Vec::with_capacity(count + 1);
        let patience = self.timeouts.final_reply;
        let end = self.link.converse_into(&mut out, count + 1, patience, &mut replies).await;
        self.read_envelope(&replies, end.as_ref().err())?;
        if let Some(last) = replies.get(count) {
            return Ok(self.conclude(last));
        }
        let stage = if replies.len() == count { DialogueStage::FinalReply } else { DialogueStage::Rcpt };
        Ok(self.broken(stage, &end.err().unwrap_or(Broken::Closed), out.is_sent()))
    }

    async fn in_steps(&mut self) -> Result<bool, StaleLink> {
        let extensions = self.link.extensions;
        let (commands, count) = self.envelope();
        let mut replies = Vec::with_capacity(count);
        let mut end = Ok(());
        if extensions.pipelining {
            let mut out = Outgoing::one(Bytes::from(commands));
            end = self.link.converse_into(&mut out, count, self.timeouts.command, &mut replies).await;
        } else {
            for command in commands.split_inclusive("\r\n") {
                let mut out = Outgoing::one(Bytes::copy_from_slice(command.as_bytes()));
                let wanted = replies.len() + 1;
                end = self.link.converse_into(&mut out, wanted, self.timeouts.command, &mut replies).await;
                // After a refused MAIL every RCPT would only be answered with 503.
                let mail_refused = replies.len() == usize::from(self.reset) + 1
                    && replies.last().is_some_and(|reply| reply.code >= 400);
                if end.is_err() || mail_refused {
                    break;
                }
            }
        }
        self.read_envelope(&replies, end.as_ref().err())?;
        if let Err(broken) = end {
            return Ok(self.broken(DialogueStage::Rcpt, &broken, false));
        }
        if self.outcomes.iter().all(Option::is_some) {
            self.link.unclean = true;
            return Ok(!closes(&replies));
        }
        Ok(if extensions.chunking { self.chunk().await } else { self.data().await })
    }

    async fn chunk(&mut self) -> bool {
        let message = self.transaction.message.clone();
        let mut out = Outgoing::one(Bytes::from(format!("BDAT {} LAST\r\n", message.len())));
        out.push(message);
        self.content(out, DialogueStage::FinalReply).await
    }

    async fn data(&mut self) -> bool {
        let mut out = Outgoing::one(Bytes::from_static(b"DATA\r\n"));
        let replies = self.link.converse(&mut out, 1, self.timeouts.command).await;
        match replies {
            Ok(replies) if replies[0].code == 354 => {}
            Ok(replies) => {
                let verdict = self.scene.judge(DialogueStage::Data, &replies[0]);
                self.decide_rest(&verdict);
                self.link.unclean = true;
                return !closes(&replies);
            }
            Err(broken) => return self.broken(DialogueStage::Data, &broken, false),
        }
        let mut out = Outgoing::one(stuffed(&self.transaction.message));
        let end: &'static [u8] = if self.transaction.message.ends_with(b"\r\n") { b".\r\n" } else { b"\r\n.\r\n" };
        out.push(Bytes::from_static(end));
        self.content(out, DialogueStage::FinalReply).await
    }

    /// Sends the content and reads the final reply.
    async fn content(&mut self, mut out: Outgoing, stage: DialogueStage) -> bool {
        let mut replies = Vec::with_capacity(1);
        let patience = self.timeouts.final_reply.max(self.timeouts.data_block);
        let end = self.link.converse_into(&mut out, 1, patience, &mut replies).await;
        match (replies.first(), end) {
            (Some(reply), end) => self.conclude(reply) && end.is_ok(),
            (None, end) => self.broken(stage, &end.err().unwrap_or(Broken::Closed), out.is_sent()),
        }
    }

    /// Reads the replies to RSET, MAIL and RCPT; decides about recipients that were refused.
    fn read_envelope(&mut self, replies: &[RemoteReply], broken: Option<&Broken>) -> Result<(), StaleLink> {
        let first = usize::from(self.reset);
        let stale = |reply: Option<&RemoteReply>| match reply {
            Some(reply) => matches!(reply.code, 421 | 503),
            None => broken.is_some(),
        };
        // RFC 5321 §3.8: a server may close or lose its patience between transactions; that says nothing of this one.
        if self.reused && (stale(replies.first()) || stale(replies.get(first))) {
            return Err(StaleLink);
        }
        let Some(mail) = replies.get(first) else { return Ok(()) };
        if mail.code / 100 != 2 {
            let verdict = self.scene.judge(DialogueStage::Mail, mail);
            self.decide_rest(&verdict);
            return Ok(());
        }
        for (outcome, reply) in self.outcomes.iter_mut().zip(replies.iter().skip(first + 1)) {
            if reply.code / 100 != 2 {
                *outcome = Some(self.scene.judge(DialogueStage::Rcpt, reply));
            }
        }
        Ok(())
    }

    /// The reply to the last octet decides about everybody who is still undecided.
    fn conclude(&mut self, reply: &RemoteReply) -> bool {
        if self.outcomes.iter().any(Option::is_none) {
            let verdict = self.scene.judge(DialogueStage::FinalReply, reply);
            self.decide_rest(&verdict);
        }
        self.link.unclean = reply.code / 100 != 2;
        !matches!(reply.code, 421 | 521)
    }

    fn decide_rest(&mut self, verdict: &Outcome) {
        for outcome in self.outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(verdict.clone());
        }
    }

    fn broken(&mut self, stage: DialogueStage, broken: &Broken, sent: bool) -> bool {
        let stage = if sent { DialogueStage::FinalReply } else { stage };
        let note = if sent {
            format!("{broken} after the whole message was sent; it may have been delivered")
        } else {
            broken.to_string()
        };
        let verdict = Outcome::TryLater(self.scene.note(stage, (4, 4, 2), note));
        self.decide_rest(&verdict);
        false
    }
}

/// Did the server say that it closes?
fn closes(replies: &[RemoteReply]) -> bool {
    replies.last().is_some_and(|reply| matches!(reply.code, 421 | 521))
}

/// How long a whole transaction may take at most, for those who wait for its end.
pub fn longest(timeouts: &DialogueTimeouts) -> Duration {
    timeouts.connect + timeouts.greeting + timeouts.command * 6 + timeouts.final_reply * 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unstuffed(octets: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at_start = true;
        let mut at = 0;
        while at < octets.len() {
            if at_start && octets[at] == b'.' {
                at += 1;
                at_start = false;
                continue;
            }
            out.push(octets[at]);
            at_start = octets[at] == b'\n' && at > 0 && octets[at - 1] == b'\r';
            at += 1;
        }
        out
    }

    proptest! {
        #[test]
        fn stuffing_is_undone_by_any_receiver(text in "(\\.|\r\n|\r|\n|[a-c]){0,40}") {
            let message = Bytes::from(text.into_bytes());
            let sent = stuffed(&message);
            prop_assert_eq!(unstuffed(&sent), message.to_vec());
            prop_assert!(!sent.windows(5).any(|w| w == b"\r\n.\r\n") && !sent.starts_with(b".\r\n"));
        }
    }
}
