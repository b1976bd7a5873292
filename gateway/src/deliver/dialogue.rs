//! One transaction on a link: MAIL, RCPT for each recipient, the message, and an outcome for each recipient.
//!
//! With PIPELINING and CHUNKING everything goes in one write and comes back in one read; with PIPELINING alone up to
//! DATA (RFC 2920 §3.1: a lone dot after 354 with no recipient left); else one by one. Every reply is read, so that
//! the next transaction never meets one of this one's. BDAT needs no dots (RFC 3030 §2), DATA doubles those after
//! CRLF and no others (RFC 5321 §4.5.2), and adds nothing to a message that ends in CRLF.

use std::borrow::Cow;
use std::io::Write as _;
use std::time::Duration;

use super::Transaction;
use super::link::{Link, LinkError};
use super::outcome::{DialogueStage, NO_DSN_BEYOND, Outcome, RemoteReply, Scene};
use crate::config::DialogueTimeouts;
use crate::message::{Notify, Recipient, ReturnContent, ReversePath};

/// Messages over this go only after the envelope was accepted: the round trip saved is worth less than the octets.
const EAGER_LIMIT: usize = 256 * 1024;

/// What a letter needs of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Addresses or header fields in UTF-8 (RFC 6531).
    pub smtputf8: bool,
    /// Octets over 127 (RFC 6152).
    pub eight_bit: bool,
    /// REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// Its octets.
    pub size: u64,
}

impl Needs {
    /// What the transaction needs. SMTPUTF8 is needed by its content, not because the sender declared it: declared
    /// for safety by many clients, it would bounce plain mail at every older server.
    pub fn of(transaction: &Transaction) -> Self {
        let reverse_path = transaction.reverse_path.mailbox().is_some_and(crate::message::Mailbox::needs_smtputf8);
        let addresses =
            reverse_path || transaction.recipients.iter().any(|recipient| recipient.address.needs_smtputf8());
        let fields = || {
            let end = memchr::memmem::find(&transaction.message, b"\r\n\r\n").unwrap_or(transaction.message.len());
            !transaction.message[..end].is_ascii()
        };
        Self {
            smtputf8: addresses || (transaction.smtputf8 && fields()),
            eight_bit: transaction.eight_bit,
            require_tls: transaction.require_tls,
            size: transaction.message.len() as u64,
        }
    }

    /// What the server lacks: a sentence for people and the status of the refusal, should no other server do better.
    pub fn missing(&self, link: &Link) -> Option<(String, (u8, u16, u16))> {
        let offered = &link.extensions;
        if self.require_tls && !offered.require_tls {
            return Some(("the server does not support REQUIRETLS".into(), super::connect::REQUIRETLS_STATUS));
        }
        if self.smtputf8 && !offered.smtputf8 {
            let what = "the server does not support SMTPUTF8, which the letter's addresses or header need";
            return Some((what.into(), (5, 6, 7)));
        }
        // An 8-bit body is made 7-bit before signing; what is left is signed by its author and must not be touched.
        if self.eight_bit && !offered.eight_bit {
            return Some(("the server does not support 8BITMIME, which the letter needs".into(), (5, 6, 3)));
        }
        match offered.size {
            Some(Some(limit)) if self.size > limit => {
                Some((format!("the letter has {} octets, the server takes {limit}", self.size), (5, 3, 4)))
            }
            _ => None,
        }
    }
}

/// How a transaction ended. Recipients without an outcome were not decided.
#[derive(Debug)]
pub enum Ending {
    /// Every recipient has its outcome.
    Done,
    /// A reused link turned out dead before anything began; a fresh one is to be tried at once.
    Stale,
    /// The server sent us away before it took anything: another host may be tried.
    TurnedAway(Box<Outcome>),
}

/// Where and when a transaction happens.
pub struct Setting<'a> {
    /// The letter.
    pub transaction: &'a Transaction,
    /// What it needs.
    pub needs: Needs,
    /// Time limits.
    pub timeouts: &'a DialogueTimeouts,
    /// Which of its recipients.
    pub recipients: &'a [usize],
}

/// Runs one transaction; writes outcomes into `outcomes` at the recipients' places.
pub async fn transact(
    link: &mut Link,
    setting: &Setting<'_>,
    scene: &Scene,
    outcomes: &mut [Option<Outcome>],
) -> Ending {
    let reused = link.transactions > 0;
    link.transactions += 1;
    let reset = std::mem::replace(&mut link.must_reset, true);
    let run = Run { link, setting, scene, outcomes, accepted: Vec::new(), reused, reset };
    match run.envelope_and_data().await {
        Ok(()) => Ending::Done,
        Err(ending) => ending,
    }
}

struct Run<'a> {
    link: &'a mut Link,
    setting: &'a Setting<'a>,
    scene: &'a Scene,
    outcomes: &'a mut [Option<Outcome>],
    accepted: Vec<usize>,
    reused: bool,
    reset: bool,
}

/// What goes out together with the envelope.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ride {
    Chunk,
    Data,
    Nothing,
}

impl Run<'_> {
    async fn envelope_and_data(mut self) -> Result<(), Ending> {
        let offered = self.link.extensions;
        let eager = self.setting.transaction.message.len() <= EAGER_LIMIT;
        let ride = match (offered.pipelining, offered.chunking) {
            (true, true) if eager => Ride::Chunk,
            (true, false) if eager => Ride::Data,
            _ => Ride::Nothing,
        };
        if offered.pipelining {
            self.pipelined_envelope(ride).await?;
        } else {
            self.stepwise_envelope().await?;
        }
        match ride {
            Ride::Chunk => self.chunk_reply().await,
            Ride::Data => self.data_reply().await,
            Ride::Nothing if self.accepted.is_empty() => Ok(()),
            Ride::Nothing if offered.chunking => {
                let command = format!("BDAT {} LAST\r\n", self.setting.transaction.message.len());
                let limit = self.setting.timeouts.data_block;
                self.link.send([command.as_bytes(), &self.setting.transaction.message, b""], limit).await;
                self.chunk_reply().await
            }
            Ride::Nothing => {
                self.link.send([b"DATA\r\n", b"", b""], self.setting.timeouts.command).await;
                self.data_reply().await
            }
        }
    }

    async fn pipelined_envelope(&mut self, ride: Ride) -> Result<(), Ending> {
        let mut commands = std::mem::take(&mut self.link.scratch);
        commands.clear();
        if self.reset {
            commands.extend_from_slice(b"RSET\r\n");
        }
        self.write_mail(&mut commands);
        for place in self.setting.recipients {
            self.write_rcpt(&mut commands, *place);
        }
        let message: &[u8] = match ride {
            Ride::Chunk => {
                let _ = write!(commands, "BDAT {} LAST\r\n", self.setting.transaction.message.len());
                &self.setting.transaction.message
            }
            Ride::Data => {
                commands.extend_from_slice(b"DATA\r\n");
                b""
            }
            Ride::Nothing => b"",
        };
        self.link.send([&commands, message, b""], self.setting.timeouts.data_block).await;
        self.link.scratch = commands;
        if self.reset {
            self.first_reply(DialogueStage::Mail).await?;
        }
        let mail = self.first_reply(DialogueStage::Mail).await?;
        let refused = (mail.code / 100 != 2).then_some(mail);
        for place in self.setting.recipients {
            let reply = self.reply(DialogueStage::Rcpt, self.setting.timeouts.command).await?;
            match &refused {
                // Without a sender the replies to RCPT are about the order of commands.
                Some(mail) => self.outcomes[*place] = Some(self.scene.by_reply(DialogueStage::Mail, mail.clone())),
                None => self.take_rcpt(*place, reply),
            }
        }
        Ok(())
    }

    async fn stepwise_envelope(&mut self) -> Result<(), Ending> {
        let limit = self.setting.timeouts.command;
        if self.reset {
            self.link.send([b"RSET\r\n", b"", b""], limit).await;
            self.first_reply(DialogueStage::Mail).await?;
        }
        let mut command = Vec::with_capacity(256);
        self.write_mail(&mut command);
        self.link.send([&command, b"", b""], limit).await;
        let mail = self.first_reply(DialogueStage::Mail).await?;
        for place in self.setting.recipients {
            if mail.code / 100 != 2 {
                self.outcomes[*place] = Some(self.scene.by_reply(DialogueStage::Mail, mail.clone()));
                continue;
            }
            command.clear();
            self.write_rcpt(&mut command, *place);
            self.link.send([&command, b"", b""], limit).await;
            let reply = self.reply(DialogueStage::Rcpt, limit).await?;
            self.take_rcpt(*place, reply);
        }
        Ok(())
    }

    /// The replies to RSET and MAIL. A reused link that fails here was dead or full all along (RFC 5321 §3.8 lets
    /// a server hang up on an idle client): no attempt, no outcome. 421 on a fresh one: nothing was taken.
    async fn first_reply(&mut self, stage: DialogueStage) -> Result<RemoteReply, Ending> {
        match self.link.reply(self.setting.timeouts.command).await {
            Ok(reply) if matches!(reply.code, 421 | 503) => {
                self.link.doomed |= self.reused || reply.code == 421;
                match (self.reused, reply.code) {
                    (true, _) => Err(Ending::Stale),
                    (false, 421) => Err(Ending::TurnedAway(Box::new(self.scene.by_reply(stage, reply)))),
                    (false, _) => Ok(reply),
                }
            }
            Ok(reply) => Ok(reply),
            Err(_) if self.reused => Err(Ending::Stale),
            Err(error) => Err(Ending::TurnedAway(Box::new(self.scene.broken(stage, &error.to_string())))),
        }
    }

    /// Any later reply; without one, everybody still undecided is deferred.
    async fn reply(&mut self, stage: DialogueStage, limit: Duration) -> Result<RemoteReply, Ending> {
        match self.link.reply(limit).await {
            Ok(reply) if reply.code == 421 && stage != DialogueStage::FinalReply => {
                self.link.doomed = true;
                Err(self.defer_undecided(&self.scene.by_reply(stage, reply)))
            }
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.defer_undecided(&self.break_off(stage, &error))),
        }
    }

    fn break_off(&self, stage: DialogueStage, error: &LinkError) -> Outcome {
        if stage == DialogueStage::FinalReply && self.link.all_sent() {
            return self.scene.broken(stage, &format!("{error} after the whole letter was sent; it may have arrived"));
        }
        let stage = if stage == DialogueStage::FinalReply { DialogueStage::Data } else { stage };
        self.scene.broken(stage, &error.to_string())
    }

    fn defer_undecided(&mut self, outcome: &Outcome) -> Ending {
        for place in self.setting.recipients {
            self.outcomes[*place].get_or_insert_with(|| outcome.clone());
        }
        Ending::Done
    }

    fn take_rcpt(&mut self, place: usize, reply: RemoteReply) {
        if reply.code / 100 == 2 {
            self.accepted.push(place);
        } else {
            self.outcomes[place] = Some(self.scene.by_reply(DialogueStage::Rcpt, reply));
        }
    }

    /// The reply to BDAT. With nobody accepted it is 503 or 554 and decides nothing.
    async fn chunk_reply(&mut self) -> Result<(), Ending> {
        let reply = self.reply(DialogueStage::FinalReply, self.setting.timeouts.final_reply).await?;
        if reply.code / 100 != 2 || self.accepted.is_empty() {
            // A server that refuses a chunk must still swallow it (RFC 3030 §2); one that does not would read the
            // letter as commands. Not worth finding out on this link.
            self.link.doomed = true;
        }
        self.settle(&reply);
        Ok(())
    }

    async fn data_reply(&mut self) -> Result<(), Ending> {
        let limit = self.setting.timeouts.command;
        let reply = self.reply(DialogueStage::Data, limit).await?;
        if reply.code != 354 {
            if reply.code / 100 < 4 {
                self.link.doomed = true;
            }
            for place in std::mem::take(&mut self.accepted) {
                self.outcomes[place] = Some(self.scene.by_reply(DialogueStage::Data, reply.clone()));
            }
            return Ok(());
        }
        let block = self.setting.timeouts.data_block;
        if self.accepted.is_empty() {
            self.link.send([b".\r\n", b"", b""], block).await;
        } else {
            let message = stuff_dots(&self.setting.transaction.message);
            self.link.send([&message, terminator(&message), b""], block).await;
        }
        let reply = self.reply(DialogueStage::FinalReply, self.setting.timeouts.final_reply).await?;
        self.settle(&reply);
        Ok(())
    }

    /// The final reply decides for everybody who was accepted.
    fn settle(&mut self, reply: &RemoteReply) {
        let taken = reply.code / 100 == 2;
        let believed = !taken || self.link.all_sent();
        for place in std::mem::take(&mut self.accepted) {
            let outcome = if believed {
                self.scene.by_reply(DialogueStage::FinalReply, reply.clone())
            } else {
                let note = "the server said yes before it had the whole letter";
                self.scene.deferred(DialogueStage::Data, Some(reply.clone()), note)
            };
            self.outcomes[place] = Some(self.annotate(outcome));
        }
        if taken && believed {
            self.link.must_reset = false;
        }
        if reply.code == 421 {
            self.link.doomed = true;
        }
    }

    fn annotate(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Delivered(mut evidence) if !self.link.extensions.dsn => {
                if !evidence.note.is_empty() {
                    evidence.note.push_str("; ");
                }
                evidence.note.push_str(NO_DSN_BEYOND);
                Outcome::Delivered(evidence)
            }
            other => other,
        }
    }

    fn write_mail(&self, commands: &mut Vec<u8>) {
        let (transaction, offered) = (self.setting.transaction, &self.link.extensions);
        commands.extend_from_slice(b"MAIL FROM:");
        match &transaction.reverse_path {
            ReversePath::Null => commands.extend_from_slice(b"<>"),
            ReversePath::Mailbox(mailbox) => write_path(commands, mailbox),
        }
        if offered.size.is_some() {
            let _ = write!(commands, " SIZE={}", transaction.message.len());
        }
        if self.setting.needs.eight_bit {
            commands.extend_from_slice(b" BODY=8BITMIME");
        }
        if self.setting.needs.smtputf8 {
            commands.extend_from_slice(b" SMTPUTF8");
        }
        if self.setting.needs.require_tls {
            commands.extend_from_slice(b" REQUIRETLS");
        }
        if offered.dsn {
            match transaction.return_content {
                // RFC 8689 §5: nobody down the line is asked to return the body of such a letter.
                Some(_) if transaction.require_tls => commands.extend_from_slice(b" RET=HDRS"),
                Some(ReturnContent::Full) => commands.extend_from_slice(b" RET=FULL"),
                Some(ReturnContent::Headers) => commands.extend_from_slice(b" RET=HDRS"),
                None => {}
            }
            if let Some(id) = transaction.envelope_id.as_deref().filter(|id| is_parameter(id, 100)) {
                let _ = write!(commands, " ENVID={id}");
            }
        }
        commands.extend_from_slice(b"\r\n");
    }

    fn write_rcpt(&self, commands: &mut Vec<u8>, place: usize) {
        let recipient = &self.setting.transaction.recipients[place];
        commands.extend_from_slice(b"RCPT TO:");
        write_path(commands, &recipient.address);
        if self.link.extensions.dsn {
            write_notify(commands, recipient);
            if let Some(original) = recipient.original.as_deref().filter(|text| is_parameter(text, 500)) {
                let _ = write!(commands, " ORCPT={original}");
            }
        }
        commands.extend_from_slice(b"\r\n");
    }
}

fn write_path(commands: &mut Vec<u8>, mailbox: &crate::message::Mailbox) {
    let _ = write!(commands, "<{}@{}>", mailbox.local_part(), mailbox.domain().as_str());
}

fn write_notify(commands: &mut Vec<u8>, recipient: &Recipient) {
    match recipient.notify {
        Notify::Unspecified => {}
        Notify::Never => commands.extend_from_slice(b" NOTIFY=NEVER"),
        Notify::On { success, failure, delay } => {
            let mut separator = b" NOTIFY=".as_slice();
            for (wanted, word) in [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")] {
                if wanted {
                    commands.extend_from_slice(separator);
                    commands.extend_from_slice(word.as_bytes());
                    separator = b",";
                }
            }
        }
    }
}

/// An `esmtp-value` that can stand in a command (RFC 5321 §4.1.2): printable ASCII, no space, no second `=`.
fn is_parameter(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.bytes().all(|b| b.is_ascii_graphic() && b != b'=')
}

/// Doubles each dot that begins a line, where a line begins after CRLF and nothing else. Borrowed if there is none.
pub fn stuff_dots(message: &[u8]) -> Cow<'_, [u8]> {
    let finder = memchr::memmem::Finder::new(b"\r\n.");
    if !message.starts_with(b".") && finder.find(message).is_none() {
        return Cow::Borrowed(message);
    }
    let mut stuffed = Vec::with_capacity(message.len() + 64);
    if message.starts_with(b".") {
        stuffed.push(b'.');
    }
    let mut done = 0;
    for at in finder.find_iter(message) {
        stuffed.extend_from_slice(&message[done..at + 3]);
        stuffed.push(b'.');
        done = at + 3;
    }
    stuffed.extend_from_slice(&message[done..]);
    Cow::Owned(stuffed)
}

/// What ends the data: the message's own last CRLF is part of `CRLF.CRLF`.
pub fn terminator(message: &[u8]) -> &'static [u8] {
    if message.ends_with(b"\r\n") || message.is_empty() { b".\r\n" } else { b"\r\n.\r\n" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a receiving server does (RFC 5321 §4.5.2), written the slow way.
    fn unstuff(data: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        let mut at = 0;
        loop {
            let line_end = data[at..].windows(2).position(|pair| pair == b"\r\n").map(|found| at + found + 2);
            let line = &data[at..line_end.expect("the data ends in CRLF.CRLF")];
            if line == b".\r\n" {
                assert_eq!(at + 3, data.len(), "an early end of data");
                return message;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            at += line.len();
        }
    }

    fn on_the_wire(message: &[u8]) -> Vec<u8> {
        let stuffed = stuff_dots(message);
        let end = terminator(&stuffed);
        [&stuffed, end].concat()
    }

    #[test]
    fn only_a_dot_after_crlf_is_doubled() {
        assert_eq!(on_the_wire(b"a\n.b\r.c\r\n.d\r\n"), b"a\n.b\r.c\r\n..d\r\n.\r\n");
        assert_eq!(on_the_wire(b".\r\n.\r\n"), b"..\r\n..\r\n.\r\n");
        assert_eq!(on_the_wire(b"no end"), b"no end\r\n.\r\n");
        assert!(matches!(stuff_dots(b"nothing.to.do\r\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn unstuffing_undoes_stuffing(
            parts in prop::collection::vec(prop::sample::select(vec!["\r\n", ".", "a", "\n", "\r", "..", "x.y"]), 0..40)
        ) {
            let message = format!("{}\r\n", parts.concat());
            prop_assert_eq!(unstuff(&on_the_wire(message.as_bytes())), message.as_bytes());
        }

        #[test]
        fn parameters_never_carry_a_line_end(text: String) {
            prop_assert!(!is_parameter(&text, 100) || !text.chars().any(|c| c.is_control() || c == ' '));
        }
    }
}
