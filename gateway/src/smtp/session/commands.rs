//! What each command does in each state.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Awaited, Channel, Draft, Next, Peer, Service, Session, State};
use crate::clock::Timestamp;
use crate::message::{BodyKind, Envelope, Mailbox, Recipient, ReversePath};
use crate::smtp::command::{Command, Path, SyntaxError};
use crate::smtp::content::ContentFault;
use crate::smtp::parameters::{MailParameters, RcptParameters};
use crate::smtp::reply::{Reply, octets};

impl Session {
    /// Carries a command out. `state` was taken from `self.state`, which this puts in place again. `more`: there
    /// are octets behind the command.
    pub(super) fn command(
        &mut self,
        state: State,
        command: Command<'_>,
        more: bool,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Next> {
        match command {
            Command::Ehlo(name) => self.hello(state, name, true, out),
            Command::Helo(name) => self.hello(state, name, false, out),
            Command::StartTls => return self.start_tls(state, more, out),
            Command::Auth { .. } if self.rules.service != Service::Submission => {
                self.state = state;
                let text = "AUTH is not served here: this listener takes mail for its own addresses only";
                self.fault(&Reply::refusal(502, "5.5.1", "not-served", text), out);
            }
            Command::Auth { mechanism, initial } => return self.auth(state, mechanism, initial, out),
            Command::Mail { path, parameters } => return self.mail(state, path, parameters, now, out),
            Command::Rcpt { path, parameters, ascii } => self.rcpt(state, path, (parameters, ascii), now, out),
            Command::Data => self.data(state, out),
            Command::Bdat { size, last } => self.bdat(state, size, last),
            Command::Rset => {
                self.state = match state {
                    State::Mail(peer, _) | State::Chunks(peer, ..) => State::Ready(peer),
                    state => state,
                };
                self.say(&Reply::good(250, "2.0.0", "forgotten"), out);
            }
            Command::Quit => {
                self.state = State::Closed;
                self.say(&Reply::good(221, "2.0.0", "bye"), out);
            }
            other => {
                self.state = state;
                self.aside(&other, out);
            }
        }
        None
    }

    /// Commands that change nothing.
    fn aside(&mut self, command: &Command<'_>, out: &mut Vec<u8>) {
        match command {
            Command::Noop => self.say(&Reply::good(250, "2.0.0", "ok"), out),
            // RFC 5321 §3.5.3: 252 where an address is not verified but mail for it may be taken.
            Command::Vrfy => self.say(&Reply::good(252, "2.5.2", "addresses are not verified - send the mail"), out),
            Command::Help => {
                let text = "EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, BDAT, RSET, NOOP, QUIT - RFC 5321 and RFC 6409";
                self.say(&Reply::good(214, "2.0.0", text), out);
            }
            Command::Web(verb) => {
                let text = format!("{verb} is HTTP, and this is SMTP - closing");
                self.end(&Reply::refusal(421, "4.7.0", "web", text), out);
            }
            Command::NotServed(verb) => {
                self.fault(&Reply::refusal(502, "5.5.1", "not-served", format!("{verb} is not served here")), out);
            }
            Command::Unknown(verb) => {
                let shown: String = verb.chars().take(20).collect();
                let text = format!("command \"{shown}\" is not known here - see HELP");
                self.fault(&Reply::refusal(500, "5.5.1", "unknown-command", text), out);
            }
            _ => {}
        }
    }

    fn hello(&mut self, state: State, name: &str, extended: bool, out: &mut Vec<u8>) {
        // RFC 5321 §4.1.4: EHLO in the middle of a session is a RSET too. Who signed in stays signed in.
        let credential = match state {
            State::Ready(peer) | State::Mail(peer, _) | State::Chunks(peer, ..) => peer.credential,
            _ => None,
        };
        self.state = State::Ready(Peer { helo: name.to_owned(), extended, credential });
        if extended {
            let list = self.extensions();
            out.extend_from_slice(list.as_bytes());
        } else {
            out.extend_from_slice(format!("250 {}\r\n", self.rules.hostname).as_bytes());
        }
    }

    fn extensions(&self) -> String {
        let limits = &self.rules.limits;
        let mut list = format!(
            "250-{}\r\n250-SIZE {}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250-CHUNKING\r\n\
             250-BINARYMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n",
            self.rules.hostname, limits.message_size
        );
        list.push_str(match self.channel {
            Channel::BeforeTls => "250-STARTTLS\r\n",
            _ if self.rules.service != Service::Submission => "",
            Channel::Loopback => "250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n",
            // RFC 8689 §2: REQUIRETLS is offered under TLS only.
            Channel::Tls(_) => "250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-REQUIRETLS\r\n",
        });
        let (recipients, messages) = (limits.recipients, limits.messages_per_session);
        // Writing to a String does not fail.
        let _ = write!(list, "250 LIMITS RCPTMAX={recipients} MAILMAX={messages}\r\n");
        list
    }

    fn start_tls(&mut self, state: State, more: bool, out: &mut Vec<u8>) -> Option<Next> {
        if self.channel != Channel::BeforeTls {
            self.state = state;
            let text = match self.channel {
                Channel::Tls(_) => "this session is under TLS already",
                _ => "this listener has no TLS",
            };
            self.fault(&Reply::refusal(503, "5.5.1", "sequence", text), out);
            return None;
        }
        if matches!(state, State::Unknown) {
            self.state = state;
            self.fault(&ehlo_first(), out);
            return None;
        }
        if more {
            // Octets in the clear behind STARTTLS are a mistake or an injection; nobody honest sends them.
            let text = "nothing may follow STARTTLS before the handshake - closing";
            self.end(&Reply::refusal(421, "4.7.0", "starttls-injection", text), out);
            return None;
        }
        self.say(&Reply::good(220, "2.0.0", "go ahead"), out);
        self.state = State::Waiting(Awaited::Tls);
        Some(Next::StartTls)
    }

    /// What every step on the way to mail needs first: TLS where the listener has it, EHLO, a credential.
    fn authority(&self, state: &State) -> Result<(), Reply> {
        match state {
            State::Unknown => Err(ehlo_first()),
            _ if self.channel == Channel::BeforeTls && self.rules.service.needs_tls() => Err(tls_first()),
            State::Ready(Peer { credential: None, .. }) if self.rules.service == Service::Submission => {
                Err(Reply::refusal(530, "5.7.0", "auth-required", "authentication required - sign in with AUTH first"))
            }
            _ => Ok(()),
        }
    }

    fn mail(
        &mut self,
        state: State,
        path: Path,
        parameters: MailParameters,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) -> Option<Next> {
        let refused = self.authority(&state).err();
        let (peer, credential) = match (refused, state) {
            (None, State::Ready(peer)) => {
                let credential = peer.credential.clone();
                (peer, credential)
            }
            (refused, state) => {
                self.state = state;
                let nested = || sequence("a transaction is open already - RSET ends it");
                self.fault(&refused.unwrap_or_else(nested), out);
                return None;
            }
        };
        if credential.as_ref().is_some_and(|credential| !credential.usable(self.client, now)) {
            self.credential_gone(peer, out);
            return None;
        }
        let limits = &self.rules.limits;
        if self.tally.messages >= limits.messages_per_session {
            let text = format!("{} messages in one session are enough - open a new one", limits.messages_per_session);
            self.end(&Reply::refusal(421, "4.7.0", "messages", text), out);
            return None;
        }
        match self.draft(&peer, credential, path, parameters) {
            Ok(draft) => {
                let next = Next::Admit { credential: draft.credential.clone(), size: draft.announced };
                self.state = State::Waiting(Awaited::Admission(peer, Box::new(draft)));
                Some(next)
            }
            Err(reply) => {
                self.say(&reply, out);
                self.state = State::Ready(peer);
                None
            }
        }
    }

    fn draft(
        &self,
        peer: &Peer,
        credential: Option<Arc<crate::tenants::Credential>>,
        path: Path,
        parameters: MailParameters,
    ) -> Result<Draft, Reply> {
        if parameters.any && !peer.extended {
            return Err(Reply::refusal(555, "5.5.4", "parameter", "parameters need EHLO, not HELO"));
        }
        if parameters.require_tls && !matches!(self.channel, Channel::Tls(_)) {
            return Err(Reply::refusal(555, "5.5.4", "parameter", "REQUIRETLS is served under TLS only"));
        }
        let limit = self.rules.limits.message_size;
        let announced = parameters.size.unwrap_or(0);
        if announced > limit as u64 {
            let text = format!("message {} exceeds {}", octets(announced), octets(limit as u64));
            return Err(Reply::refusal(552, "5.3.4", "size", text));
        }
        let announced = announced as usize;
        let mut share = self.rules.budget.share();
        if !share.grow_to(announced) {
            return Err(ContentFault::NoMemory.into());
        }
        let reverse_path = match path {
            Path::Mailbox(mailbox) => ReversePath::Mailbox(mailbox),
            Path::Null | Path::Postmaster => ReversePath::Null,
        };
        let envelope = Envelope {
            body: parameters.body,
            smtputf8: parameters.smtputf8,
            require_tls: parameters.require_tls,
            return_content: parameters.return_content,
            envelope_id: parameters.envelope_id,
            ..Envelope::new(reverse_path, Vec::new())
        };
        Ok(Draft { credential, envelope, announced, share })
    }

    fn rcpt(
        &mut self,
        state: State,
        path: Path,
        (parameters, ascii): (RcptParameters, bool),
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let refused = self.authority(&state).err();
        let (peer, mut draft) = match (refused, state) {
            (None, State::Mail(peer, draft)) => (peer, draft),
            (refused, state) => {
                self.state = state;
                return self.fault(&refused.unwrap_or_else(|| sequence("MAIL first, and RCPT before any BDAT")), out);
            }
        };
        let most = self.rules.limits.recipients;
        let outcome = if draft.envelope.recipients.len() >= most {
            // 452, not 550: clients then send the message again to the others (RFC 5321 §4.5.3.1.10).
            let text = format!("{most} recipients are the limit of one message - send it again to the others");
            Err(Reply::refusal(452, "4.5.3", "recipients", text))
        } else if !ascii && !draft.envelope.smtputf8 {
            Err(SyntaxError::NeedsSmtpUtf8.into())
        } else if parameters.any && !peer.extended {
            Err(Reply::refusal(555, "5.5.4", "parameter", "parameters need EHLO, not HELO"))
        } else {
            self.forward_path(path).and_then(|address| {
                self.rules.addressees.wanted(draft.credential.as_deref(), &address, now)?;
                let RcptParameters { notify, original, .. } = parameters;
                draft.envelope.recipients.push(Recipient { address, original, notify });
                Ok(Reply::good(250, "2.1.5", "recipient ok"))
            })
        };
        self.state = State::Mail(peer, draft);
        self.say(&outcome.unwrap_or_else(|reply| reply), out);
    }

    fn forward_path(&self, path: Path) -> Result<Mailbox, Reply> {
        match path {
            Path::Mailbox(mailbox) => Ok(mailbox),
            Path::Null | Path::Postmaster => {
                Mailbox::new("postmaster", self.rules.hostname.clone()).map_err(Reply::from)
            }
        }
    }

    fn data(&mut self, state: State, out: &mut Vec<u8>) {
        let refused = self.authority(&state).err();
        match (refused, state) {
            (None, State::Mail(peer, draft)) if draft.envelope.recipients.is_empty() => {
                self.state = State::Mail(peer, draft);
                self.fault(&sequence("no recipient was accepted - RCPT first"), out);
            }
            (None, State::Mail(peer, draft)) if draft.envelope.body == BodyKind::BinaryMime => {
                self.state = State::Mail(peer, draft);
                self.fault(&sequence("BODY=BINARYMIME cannot go by DATA - use BDAT (RFC 3030)"), out);
            }
            (None, State::Mail(peer, draft)) => self.begin_data(peer, draft, out),
            (refused, state) => {
                self.state = state;
                self.fault(&refused.unwrap_or_else(|| sequence("MAIL and RCPT first, and not DATA after BDAT")), out);
            }
        }
    }

    pub(super) fn credential_gone(&mut self, peer: Peer, out: &mut Vec<u8>) {
        let text = "the credential has ended or may not be used from here - sign in again";
        self.state = State::Ready(Peer { credential: None, ..peer });
        self.fault(&Reply::refusal(530, "5.7.0", "credential-ended", text), out);
    }

    fn bdat(&mut self, state: State, size: u64, last: bool) {
        let refused = self.authority(&state).err();
        match (refused, state) {
            (None, State::Mail(peer, draft)) if peer.extended && !draft.envelope.recipients.is_empty() => {
                self.begin_chunks(peer, draft, size, last);
            }
            (None, State::Chunks(peer, draft, reader)) => self.next_chunk(peer, draft, reader, size, last),
            (refused, state) => {
                // The octets are on their way whatever we think of the command: they must not be read as commands.
                let reply = refused.unwrap_or_else(|| sequence("MAIL and an accepted RCPT first"));
                self.state = State::Discard(Box::new(state), size, reply);
            }
        }
    }
}

pub(super) fn sequence(text: &'static str) -> Reply {
    Reply::refusal(503, "5.5.1", "sequence", text)
}

pub(super) fn ehlo_first() -> Reply {
    sequence("EHLO first")
}

pub(super) fn tls_first() -> Reply {
    Reply::refusal(530, "5.7.0", "tls-required", "STARTTLS first - nothing is served in the clear here")
}
