//! What the demo tells: a chapter for each message, as text for people or as one JSON object.

use std::fmt::Write;

use serde::Serialize;

use super::EventLog;
use super::letters::{Expect, Notification};
use super::receiver::Arrival;
use super::setup::{DOMAIN, Stage};
use super::verify::verify;
use crate::cli::verify::DkimVerdict;
use crate::ids::LetterId;
use crate::observe::Event;
use crate::redact::Hit;

/// One message of the demo.
#[derive(Debug, Serialize)]
pub struct Chapter {
    /// What it is.
    what: String,
    /// Its id.
    id: LetterId,
    /// Its recipient.
    to: String,
    /// What was struck out.
    redactions: Vec<Hit>,
    /// Its signatures, verified.
    dkim: Vec<DkimVerdict>,
    /// DMARC's verdict.
    dmarc: String,
    /// The TLS version of the delivery, `none` if there was none.
    tls: String,
    /// `delivered` or `bounced`.
    outcome: String,
    /// Attempts, the last one included.
    attempts: usize,
    /// Replies that put it off or refused it.
    replies: Vec<String>,
    /// The notice that its sender got.
    notice: Option<LetterId>,
    /// As it arrived; none if it did not.
    raw: Option<String>,
    /// What did not hold.
    #[serde(skip)]
    broken: Vec<String>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub struct Story {
    /// The messages.
    #[serde(rename = "messages")]
    pub chapters: Vec<Chapter>,
    /// What listens where.
    pub places: Vec<(String, String)>,
}

impl Chapter {
    /// Writes the chapter of a notification.
    pub async fn write(stage: &Stage, notification: &Notification, id: LetterId, log: &EventLog) -> Self {
        let mut chapter = Self::of(notification.what, notification.to, id, log);
        chapter.look(stage, id).await;
        chapter.check(notification.expect);
        chapter
    }

    fn of(what: &str, to: &str, id: LetterId, log: &EventLog) -> Self {
        let mut chapter = Self {
            what: what.to_owned(),
            id,
            to: to.to_owned(),
            redactions: vec![],
            dkim: vec![],
            dmarc: "none".to_owned(),
            tls: "none".to_owned(),
            outcome: "lost from sight".to_owned(),
            attempts: 0,
            replies: vec![],
            notice: None,
            raw: None,
            broken: vec![],
        };
        for event in log.get(&id).into_iter().flatten() {
            let evidence = match event {
                Event::Redacted { hits, .. } => {
                    chapter.redactions.extend(hits.iter().cloned());
                    continue;
                }
                Event::Deferred { evidence, .. } => evidence,
                Event::Delivered { evidence, .. } => {
                    "delivered".clone_into(&mut chapter.outcome);
                    if let Some(tls) = &evidence.tls {
                        chapter.tls.clone_from(&tls.version);
                    }
                    chapter.attempts += 1;
                    continue;
                }
                Event::Bounced { evidence, notice, .. } => {
                    "bounced".clone_into(&mut chapter.outcome);
                    chapter.notice = *notice;
                    evidence
                }
                _ => continue,
            };
            chapter.attempts += 1;
            chapter.replies.push(match &evidence.reply {
                Some(reply) => format!("{} {}", reply.code, reply.text),
                None => evidence.note.clone(),
            });
        }
        chapter
    }

    /// Finds the message at the receiver and verifies it as any receiver would.
    async fn look(&mut self, stage: &Stage, id: LetterId) {
        let Some(arrival) = arrived(stage, id) else { return };
        match verify(&arrival.raw, DOMAIN, stage.dns.address()).await {
            Ok(verdicts) => {
                self.dkim = verdicts.dkim;
                verdicts.dmarc.result.clone_into(&mut self.dmarc);
            }
            Err(error) => self.broken.push(error.to_string()),
        }
        if arrival.tls.is_none() {
            self.broken.push("the receiver saw no TLS".to_owned());
        }
        self.raw = Some(String::from_utf8_lossy(&arrival.raw).into_owned());
    }

    fn check(&mut self, expect: Expect) {
        let mut hold = |holds: bool, what: &str| {
            if !holds {
                self.broken.push(what.to_owned());
            }
        };
        hold(self.redactions.is_empty() != expect.redacted, "the redactions are not the expected ones");
        if expect.bounced {
            hold(self.outcome == "bounced", "it should have bounced");
            hold(self.notice.is_some(), "its sender should have got a notice");
            return;
        }
        hold(self.outcome == "delivered", "it should have been delivered");
        hold((self.attempts > 1) == expect.put_off, "the number of attempts is not the expected one");
        hold(self.dkim.len() == 2, "it should bear an RSA and an Ed25519 signature");
        hold(self.dkim.iter().all(|verdict| verdict.result == "pass"), "a signature does not verify");
        hold(self.dmarc == "pass", "DMARC does not pass");
        hold(self.tls.starts_with("TLS"), "it should have gone over TLS");
    }

    fn tell(&self, text: &mut String) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n{} -> {}", self.what, self.to);
        let _ = writeln!(text, "  accepted   250 2.0.0 queued as {}", self.id);
        for hit in &self.redactions {
            let _ = writeln!(text, "  redacted   {} {} ({}, part {})", hit.brand, hit.masked, hit.place, hit.part);
        }
        for verdict in &self.dkim {
            let DkimVerdict { domain, selector, algorithm, result, .. } = verdict;
            let _ = writeln!(text, "  signed     {algorithm} by {selector}._domainkey.{domain}: {result}");
        }
        if !self.dkim.is_empty() {
            let _ = writeln!(text, "  DMARC      {}", self.dmarc);
        }
        for reply in &self.replies {
            let word = if self.outcome == "bounced" { "refused " } else { "deferred" };
            let _ = writeln!(text, "  {word}   {reply}");
        }
        match (self.outcome.as_str(), self.notice) {
            ("delivered", _) => {
                let again = if self.attempts > 1 { format!(", attempt {}", self.attempts) } else { String::new() };
                let _ = writeln!(text, "  delivered  over {}{again}", self.tls);
            }
            ("bounced", Some(notice)) => {
                let _ = writeln!(text, "  bounced    its sender is told: notice {notice}");
            }
            (other, _) => {
                let _ = writeln!(text, "  {other}");
            }
        }
        for broken in &self.broken {
            let _ = writeln!(text, "  BROKEN     {broken}");
        }
    }
}

/// The message with this id in its `Received` field.
fn arrived(stage: &Stage, id: LetterId) -> Option<Arrival> {
    let trace = format!("id {id}");
    let bears = |arrival: &Arrival| {
        let header =
            memchr::memmem::find(&arrival.raw, b"\r\n\r\n").map_or(&arrival.raw[..], |end| &arrival.raw[..end]);
        memchr::memmem::find(header, trace.as_bytes()).is_some()
    };
    stage.receiver.arrivals().into_iter().find(bears)
}

/// The notice about the message that bounced.
pub async fn notice_chapter(stage: &Stage, log: &EventLog) -> Option<Chapter> {
    let notice = log.values().flatten().find_map(|event| match event {
        Event::Bounced { notice, .. } => *notice,
        _ => None,
    })?;
    let mut chapter = Chapter::of("the notice to its sender", "orders@acme.example", notice, log);
    chapter.look(stage, notice).await;
    chapter.check(Expect { redacted: false, put_off: false, bounced: false });
    Some(chapter)
}

impl Story {
    /// One JSON object.
    pub fn to_json(&self) -> String {
        // Strings, numbers and lists of them always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// For people.
    pub fn to_text(&self) -> String {
        let mut text =
            "Waxseal demo: a real gateway, a real client, a receiving server that asks for STARTTLS.\n".to_owned();
        for chapter in &self.chapters {
            chapter.tell(&mut text);
        }
        let delivered = self.chapters.iter().filter(|chapter| chapter.outcome == "delivered").count();
        let bounced = self.chapters.iter().filter(|chapter| chapter.outcome == "bounced").count();
        let struck: usize = self.chapters.iter().map(|chapter| chapter.redactions.len()).sum();
        let _ = writeln!(
            text,
            "\n{delivered} delivered, {bounced} bounced with a notice, {struck} card numbers struck out, nothing unsigned."
        );
        for (what, place) in &self.places {
            let _ = writeln!(text, "  {what:<28} {place}");
        }
        text
    }

    /// What did not hold, a sentence each.
    pub fn broken_expectations(&self) -> Vec<String> {
        let one = |chapter: &Chapter| {
            let what = chapter.what.clone();
            chapter.broken.iter().map(move |broken| format!("{what}: {broken}")).collect::<Vec<_>>()
        };
        self.chapters.iter().flat_map(one).collect()
    }
}
