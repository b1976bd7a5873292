//! AUTH (RFC 4954): the exchanges of PLAIN (RFC 4616), LOGIN and SCRAM-SHA-256.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::sync::Arc;
use zeroize::Zeroizing;

use super::commands::{ehlo_first, sequence, tls_first};
use super::{Awaited, Channel, Exchange, Next, Peer, Session, State};
use crate::smtp::auth::{Attempt, AuthRefusal, Mechanism, Verdict};
use crate::smtp::reply::Reply;
use crate::smtp::scram::ClientFirst;
use crate::tenants::Credential;

/// Longer names are nobody's.
const USER: usize = 255;
/// Longer secrets are nobody's.
const SECRET: usize = 1_024;

impl Session {
    pub(super) fn auth(
        &mut self,
        state: State,
        mechanism: &str,
        initial: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Option<Next> {
        let peer = match state {
            State::Ready(peer @ Peer { extended: true, credential: None, .. })
                if self.channel != Channel::BeforeTls =>
            {
                peer
            }
            state => {
                let reply = match &state {
                    State::Unknown | State::Ready(Peer { extended: false, .. }) => ehlo_first(),
                    _ if self.channel == Channel::BeforeTls => tls_first(),
                    _ => sequence("signed in already"),
                };
                self.state = state;
                self.fault(&reply, out);
                return None;
            }
        };
        let (exchange, prompt) = match Mechanism::named(mechanism) {
            Some(Mechanism::Plain) => (Exchange::Plain, ""),
            Some(Mechanism::Login) => (Exchange::LoginUser, "Username:"),
            Some(Mechanism::ScramSha256) => (Exchange::ScramFirst, ""),
            None => {
                self.state = State::Ready(peer);
                let text = "that mechanism is not offered - use PLAIN, LOGIN or SCRAM-SHA-256";
                self.fault(&Reply::refusal(504, "5.5.4", "mechanism", text), out);
                return None;
            }
        };
        match initial {
            None => {
                Self::prompt(prompt.as_bytes(), out);
                self.state = State::Sasl(peer, exchange);
                None
            }
            // RFC 4954 §4: an empty initial response is written as "=".
            Some("=") => self.exchange(peer, exchange, &[], out),
            Some(text) => self.decoded(peer, exchange, text.as_bytes(), out),
        }
    }

    /// A line of the client inside an exchange.
    pub(super) fn sasl_line(&mut self, peer: Peer, exchange: Exchange, line: &[u8], out: &mut Vec<u8>) -> Option<Next> {
        if line == b"*" {
            self.state = State::Ready(peer);
            self.fault(&Reply::refusal(501, "5.7.0", "auth-cancelled", "AUTH cancelled as you asked"), out);
            return None;
        }
        self.decoded(peer, exchange, line, out)
    }

    fn decoded(&mut self, peer: Peer, exchange: Exchange, text: &[u8], out: &mut Vec<u8>) -> Option<Next> {
        if let Ok(message) = BASE64.decode(text) {
            return self.exchange(peer, exchange, &Zeroizing::new(message), out);
        }
        self.malformed(peer, "the AUTH response is not base64", out)
    }

    fn malformed(&mut self, peer: Peer, text: &'static str, out: &mut Vec<u8>) -> Option<Next> {
        self.state = State::Ready(peer);
        self.fault(&Reply::refusal(501, "5.5.2", "auth-syntax", text), out);
        None
    }

    fn exchange(&mut self, peer: Peer, exchange: Exchange, message: &[u8], out: &mut Vec<u8>) -> Option<Next> {
        match exchange {
            Exchange::Plain => match plain(message) {
                Some((user, secret)) => self.attempt(peer, Mechanism::Plain, user, secret, out),
                None => self.malformed(peer, "the PLAIN response is not \"NUL user NUL secret\" (RFC 4616)", out),
            },
            Exchange::LoginUser => match text(message) {
                Some(user) => {
                    Self::prompt(b"Password:", out);
                    self.state = State::Sasl(peer, Exchange::LoginSecret { user });
                    None
                }
                None => self.malformed(peer, "the user name is not text", out),
            },
            Exchange::LoginSecret { user } => match text(message) {
                Some(secret) => self.attempt(peer, Mechanism::Login, user, Zeroizing::new(secret), out),
                None => self.malformed(peer, "the secret is not text", out),
            },
            Exchange::ScramFirst => match ClientFirst::parse(message) {
                Ok(first) if first.user().len() <= USER => {
                    let user = first.user().to_owned();
                    self.state = State::Waiting(Awaited::ScramKeys(peer, first));
                    Some(Next::LookupCredential { user })
                }
                Ok(_) => self.malformed(peer, "the user name is too long", out),
                Err(error) => self.scram_fault(peer, error, out),
            },
            Exchange::ScramFinal(challenge) => match challenge.check(message) {
                Ok(proof) => {
                    self.state = State::Waiting(Awaited::Verdict(peer, Some(proof.server_final.clone())));
                    Some(Next::Authenticate(Attempt::Proof(Box::new(proof))))
                }
                Err(error) => self.scram_fault(peer, error, out),
            },
            Exchange::ScramDone(credential) if message.is_empty() => {
                self.welcome(peer, credential, out);
                None
            }
            Exchange::ScramDone(_) => self.malformed(peer, "the last answer of SCRAM has to be empty", out),
        }
    }

    fn scram_fault(&mut self, peer: Peer, error: crate::smtp::scram::ScramError, out: &mut Vec<u8>) -> Option<Next> {
        self.state = State::Ready(peer);
        self.fault(&Reply::refusal(501, "5.5.2", "auth-syntax", format!("SCRAM: {error}")), out);
        None
    }

    fn attempt(
        &mut self,
        peer: Peer,
        mechanism: Mechanism,
        user: String,
        secret: Zeroizing<String>,
        out: &mut Vec<u8>,
    ) -> Option<Next> {
        if user.len() > USER || secret.len() > SECRET {
            return self.malformed(peer, "the user name or the secret is too long", out);
        }
        self.state = State::Waiting(Awaited::Verdict(peer, None));
        Some(Next::Authenticate(Attempt::Secret { mechanism, user, secret }))
    }

    /// What the check of an attempt leads to.
    pub(super) fn judged(&mut self, peer: Peer, server_final: Option<String>, verdict: Verdict, out: &mut Vec<u8>) {
        let reply = match verdict {
            Verdict::Accepted(credential) => {
                match server_final {
                    None => self.welcome(peer, credential, out),
                    Some(message) => {
                        Self::prompt(message.as_bytes(), out);
                        self.state = State::Sasl(peer, Exchange::ScramDone(credential));
                    }
                }
                return;
            }
            Verdict::Refused(why) => Reply::refusal(
                535,
                "5.7.8",
                "auth-failed",
                match why {
                    AuthRefusal::Wrong => {
                        "authentication failed: unknown user or wrong secret - use a credential that is not revoked"
                    }
                    AuthRefusal::Expired => "authentication failed: the credential has expired - make a new one",
                    AuthRefusal::Network => "authentication failed: the credential may not be used from your address",
                },
            ),
            Verdict::Busy => {
                Reply::refusal(454, "4.7.0", "auth-busy", "too many sign-ins at once - try again in a minute")
            }
            Verdict::Throttled if self.tally.throttled => {
                let reply = Reply::refusal(421, "4.7.0", "auth-throttled", "too many failed sign-ins - closing");
                return self.end(&reply, out);
            }
            Verdict::Throttled => {
                self.tally.throttled = true;
                Reply::refusal(454, "4.7.0", "auth-throttled", "too many failed sign-ins - try again later")
            }
        };
        self.state = State::Ready(peer);
        self.fault(&reply, out);
    }

    fn welcome(&mut self, peer: Peer, credential: Arc<Credential>, out: &mut Vec<u8>) {
        self.state = State::Ready(Peer { credential: Some(credential), ..peer });
        self.say(&Reply::good(235, "2.7.0", "signed in"), out);
    }

    /// A challenge in base64 behind 334.
    pub(super) fn prompt(message: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(format!("334 {}\r\n", BASE64.encode(message)).as_bytes());
    }
}

/// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`; acting for another user is not served.
fn plain(message: &[u8]) -> Option<(String, Zeroizing<String>)> {
    let mut parts = message.split(|octet| *octet == 0);
    let (identity, user, secret) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !(identity.is_empty() || identity == user) {
        return None;
    }
    Some((text(user)?, Zeroizing::new(text(secret)?)))
}

fn text(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(octets).ok()?;
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}
