//! The data of a message: DATA, BDAT, and the hand-over to the pipeline.

use super::{Awaited, Channel, Draft, Next, Peer, Session, State};
use crate::message::Letter;
use crate::pipeline::Submission;
use crate::sign::TraceFacts;
use crate::smtp::addressees::Incoming;
use crate::smtp::chunk::ChunkReader;
use crate::smtp::content::{Content, ContentFault};
use crate::smtp::data::DataReader;
use crate::smtp::reply::Reply;

type Step = Option<(usize, Option<Next>)>;

/// With less memory than this free a message is not even begun.
const LEAST: usize = 8 * 1024;

impl Session {
    /// The buffer of a message, with the share of memory that the draft has taken.
    fn content(&self, draft: &mut Draft) -> Result<Content, ContentFault> {
        let limit = self.rules.limits.message_size;
        let mut share = std::mem::replace(&mut draft.share, self.rules.budget.share());
        if share.grow_to(draft.announced.max(LEAST)) {
            Ok(Content::new(share, limit, draft.announced))
        } else {
            Err(ContentFault::NoMemory)
        }
    }

    pub(super) fn begin_data(&mut self, peer: Peer, mut draft: Box<Draft>, out: &mut Vec<u8>) {
        match self.content(&mut draft) {
            Ok(content) => {
                out.extend_from_slice(b"354 end the message with <CRLF>.<CRLF>\r\n");
                self.state = State::Data(peer, draft, DataReader::new(content));
            }
            Err(fault) => {
                self.state = State::Ready(peer);
                self.say(&fault.into(), out);
            }
        }
    }

    pub(super) fn begin_chunks(&mut self, peer: Peer, mut draft: Box<Draft>, size: u64, last: bool) {
        match self.content(&mut draft) {
            Ok(content) => {
                let reader = ChunkReader::new(content, draft.envelope.body);
                self.next_chunk(peer, draft, reader, size, last);
            }
            Err(fault) => {
                // Said when the chunk is through: RFC 3030 §2 answers a chunk, not a command.
                self.state = State::Discard(Box::new(State::Ready(peer)), size, fault.into());
            }
        }
    }

    pub(super) fn next_chunk(&mut self, peer: Peer, draft: Box<Draft>, mut reader: ChunkReader, size: u64, last: bool) {
        reader.begin(size, last, self.rules.limits.chunks, self.rules.limits.message_size);
        self.state = State::Chunk(peer, draft, reader);
    }

    pub(super) fn data_step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        let State::Data(_, _, reader) = &mut self.state else { return None };
        if input.is_empty() {
            return None;
        }
        let (taken, done) = reader.read(input);
        if !done {
            return Some((taken, None));
        }
        let State::Data(peer, draft, reader) = std::mem::replace(&mut self.state, State::Closed) else { return None };
        Some((taken, self.complete(peer, *draft, reader.finish(), out)))
    }

    pub(super) fn chunk_step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        let State::Chunk(_, _, reader) = &mut self.state else { return None };
        let taken = reader.read(input);
        if reader.remaining() > 0 {
            return (taken > 0).then_some((taken, None));
        }
        let State::Chunk(peer, draft, reader) = std::mem::replace(&mut self.state, State::Closed) else { return None };
        if let Some(fault) = reader.fault() {
            // The error ends the transaction: a chunk that follows meets 503 and is thrown away.
            self.state = State::Ready(peer);
            self.say(&fault.into(), out);
        } else if reader.last() {
            return Some((taken, self.complete(peer, *draft, reader.finish(), out)));
        } else {
            self.state = State::Chunks(peer, draft, reader);
            self.say(&Reply::good(250, "2.0.0", "chunk received"), out);
        }
        Some((taken, None))
    }

    pub(super) fn discard_step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Step {
        let State::Discard(_, remaining, _) = &mut self.state else { return None };
        let taken = input.len().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
        *remaining -= taken as u64;
        if *remaining > 0 {
            return (taken > 0).then_some((taken, None));
        }
        let State::Discard(state, _, reply) = std::mem::replace(&mut self.state, State::Closed) else { return None };
        self.state = *state;
        // Chunks pipelined behind a refused one are no errors of their own while somebody is signed in.
        if matches!(&self.state, State::Ready(Peer { credential: Some(_), .. })) {
            self.say(&reply, out);
        } else {
            self.fault(&reply, out);
        }
        Some((taken, None))
    }

    /// The end of a message: to the pipeline, or refused.
    fn complete(&mut self, peer: Peer, draft: Draft, content: Content, out: &mut Vec<u8>) -> Option<Next> {
        let (octets, share) = match content.finish() {
            Ok(whole) => whole,
            Err(fault) => {
                self.state = State::Ready(peer);
                self.say(&fault.into(), out);
                return None;
            }
        };
        self.tally.messages += 1;
        let trace = TraceFacts {
            helo: peer.helo.clone(),
            client: self.client,
            protocol: self.protocol(&peer, draft.envelope.smtputf8),
            tls: match &self.channel {
                Channel::Tls(facts) => Some(facts.clone()),
                Channel::Loopback | Channel::BeforeTls => None,
            },
            session: self.id,
        };
        let Draft { credential, envelope, .. } = draft;
        self.state = State::Waiting(Awaited::Acceptance(peer, share));
        let letter = Letter::new(envelope, octets);
        Some(match credential {
            Some(credential) => Next::Submit(Box::new(Submission { credential, letter, trace })),
            None => Next::Receive(Box::new(Incoming { letter, trace })),
        })
    }

    /// The word behind `with` in `Received` (RFC 3848, RFC 6531 §4.3).
    fn protocol(&self, peer: &Peer, smtputf8: bool) -> &'static str {
        match (&self.channel, peer.extended, smtputf8) {
            (_, false, _) => "SMTP",
            (Channel::Tls(_), true, false) if peer.credential.is_none() => "ESMTPS",
            (Channel::Tls(_), true, true) if peer.credential.is_none() => "UTF8SMTPS",
            (_, true, false) if peer.credential.is_none() => "ESMTP",
            (_, true, true) if peer.credential.is_none() => "UTF8SMTP",
            (Channel::Tls(_), true, false) => "ESMTPSA",
            (Channel::Tls(_), true, true) => "UTF8SMTPSA",
            (_, true, false) => "ESMTPA",
            (_, true, true) => "UTF8SMTPA",
        }
    }
}
