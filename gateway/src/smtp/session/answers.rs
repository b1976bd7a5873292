//! The answers that a session waits for. One that was not asked for changes nothing.

use super::{Awaited, Channel, Exchange, Inadmissible, Session, State};
use crate::ids::LetterId;
use crate::pipeline::AcceptError;
use crate::smtp::addressees::ReceiveError;
use crate::smtp::auth::Verdict;
use crate::smtp::line::LineReader;
use crate::smtp::reply::Reply;
use crate::tenants::ScramKeys;

impl Session {
    /// The TLS handshake is done; everything said before is forgotten (RFC 3207 §4.2).
    pub fn tls_established(&mut self, facts: String) {
        if matches!(self.state, State::Waiting(Awaited::Tls)) {
            self.channel = Channel::Tls(facts);
            self.lines = LineReader::default();
            self.state = State::Unknown;
        }
    }

    /// The answer to `Next::LookupCredential`, with a fresh printable nonce.
    pub fn challenged(&mut self, keys: ScramKeys, nonce: &str, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Waiting(Awaited::ScramKeys(peer, first)) => {
                let challenge = first.challenge(keys, nonce);
                Self::prompt(challenge.message().as_bytes(), out);
                self.state = State::Sasl(peer, Exchange::ScramFinal(Box::new(challenge)));
            }
            state => self.state = state,
        }
    }

    /// The answer to `Next::Authenticate`.
    pub fn authenticated(&mut self, verdict: Verdict, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Waiting(Awaited::Verdict(peer, server_final)) => self.judged(peer, server_final, verdict, out),
            state => self.state = state,
        }
    }

    /// The answer to `Next::Admit`.
    pub fn admitted(&mut self, answer: Result<(), Inadmissible>, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Waiting(Awaited::Admission(peer, draft)) => match answer {
                Ok(()) => {
                    self.say(&Reply::good(250, "2.1.0", "sender ok"), out);
                    self.state = State::Mail(peer, draft);
                }
                Err(Inadmissible::Credential) => self.credential_gone(peer, out),
                Err(Inadmissible::Store(error)) => {
                    self.say(&Reply::from(&error), out);
                    self.state = State::Ready(peer);
                }
            },
            state => self.state = state,
        }
    }

    /// The answer to `Next::Receive`.
    pub fn received(&mut self, answer: &Result<(), ReceiveError>, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Waiting(Awaited::Acceptance(peer, _share)) => {
                let taken = || Reply::good(250, "2.0.0", "taken");
                self.say(&answer.as_ref().map_or_else(Reply::from, |()| taken()), out);
                self.state = State::Ready(peer);
            }
            state => self.state = state,
        }
    }

    /// The answer to `Next::Submit`.
    pub fn submitted(&mut self, answer: &Result<LetterId, AcceptError>, out: &mut Vec<u8>) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Waiting(Awaited::Acceptance(peer, _share)) => {
                let reply = match answer {
                    Ok(id) => Reply::queued(*id),
                    Err(error) => error.into(),
                };
                self.say(&reply, out);
                // 421 is a reply that closes (RFC 5321 §3.8).
                self.state = match answer {
                    Err(AcceptError::ShuttingDown) => State::Closed,
                    _ => State::Ready(peer),
                };
            }
            state => self.state = state,
        }
    }
}
