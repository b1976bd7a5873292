//! From an address to a greeted connection with the TLS that the policy wants.
//!
//! Each step has its own time limit. HELO where EHLO is refused (RFC 5321 §3.2). After the handshake everything that
//! was said before is forgotten and EHLO is said anew (RFC 3207 §4.2). A handshake that fails is followed by one
//! connection in plain text only where [`Decision::plain_text`] says so, and that is counted and written into the
//! evidence. A refused STARTTLS says nothing about recipients. Nothing here ends a recipient by itself.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::dialer::{Dialer, Stream};
use super::link::{Extensions, Link, LinkError};
use super::outcome::{DialogueStage, HostVerdict, RemoteReply, TlsFacts, greeting_verdict};
use super::targets::Target;
use super::tls::{TlsClients, facts};
use super::tls_policy::Decision;
use super::tls_report::{FailureKind, TlsFailure};
use crate::config::DialogueTimeouts;
use crate::message::DomainName;
use crate::observe;

/// RFC 8689 §4.2.1: the status of a letter that no host can take under REQUIRETLS.
pub const REQUIRETLS_STATUS: (u8, u16, u16) = (5, 7, 30);

/// What connecting needs beside the target.
pub struct Approach<'a> {
    /// Who opens connections.
    pub dialer: &'a dyn Dialer,
    /// TLS configurations.
    pub tls: &'a TlsClients,
    /// What TLS is wanted.
    pub decision: Decision,
    /// Is a certificate that need prove nothing judged all the same, for the report (MTA-STS mode `testing`)?
    pub judged: bool,
    /// Our name.
    pub ehlo: &'a DomainName,
    /// Our address.
    pub source: Option<IpAddr>,
    /// Time limits.
    pub timeouts: &'a DialogueTimeouts,
}

/// Why a host could not be used.
#[derive(Debug, Clone)]
pub struct HostFailure {
    /// Where it went wrong.
    pub stage: DialogueStage,
    /// The host.
    pub host: String,
    /// Its address; `None` if it was not even dialled.
    pub address: Option<IpAddr>,
    /// Its reply, if that is what decided.
    pub reply: Option<Box<RemoteReply>>,
    /// In our words.
    pub note: String,
    /// What it means for the destination.
    pub verdict: HostVerdict,
    /// What was wrong with TLS, if that is why.
    pub tls: Option<Box<TlsFailure>>,
}

/// How the attempt at TLS ended.
enum Secured {
    /// With TLS, or without where that is allowed and the server agreed to talk on.
    Ready(Box<Link>),
    /// The connection is lost over it; plain text may be tried on a new one.
    Broken(HostFailure),
    /// Not to be tried in plain text.
    Failed(HostFailure),
}

impl Approach<'_> {
    /// A link to the target, ready for a transaction.
    pub async fn connect(&self, target: &Target) -> Result<Link, HostFailure> {
        let link = self.greeted(target).await?;
        if !link.extensions.starttls {
            return self.without_tls(link, target, "the server does not offer STARTTLS");
        }
        match self.secure(link, target).await {
            Secured::Ready(link) => Ok(*link),
            Secured::Broken(failure) if self.decision.plain_text => {
                let mut link = self.greeted(target).await?;
                link.note = format!("TLS failed and the letter went in plain text: {}", failure.note);
                link.tls_failure = failure.tls.map(|failure| *failure);
                Ok(link)
            }
            Secured::Broken(failure) | Secured::Failed(failure) => Err(failure),
        }
    }

    fn count_tls(&self, version: &str, result: &str) {
        observe::metrics::delivery_tls(version, self.decision.name().text(), result);
    }

    fn without_tls(&self, mut link: Link, target: &Target, why: &str) -> Result<Link, HostFailure> {
        let lack = TlsFailure::new(FailureKind::StarttlsNotSupported, "no-starttls");
        if self.decision.plain_text {
            link.tls_failure = Some(lack);
            return Ok(link);
        }
        let note = format!("{why}, but {} wants TLS", self.decision.decided_by.words());
        let verdict = if self.decision.require_tls {
            HostVerdict::Unsuitable(REQUIRETLS_STATUS)
        } else {
            HostVerdict::Unavailable
        };
        Err(HostFailure { verdict, tls: Some(Box::new(lack)), ..failure(target, DialogueStage::Tls, note) })
    }

    /// TCP, greeting, EHLO.
    async fn greeted(&self, target: &Target) -> Result<Link, HostFailure> {
        let limit = self.timeouts.connect;
        let dialled = timeout(limit, self.dialer.dial(target.address, self.source)).await;
        let stream = match dialled {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failure(target, DialogueStage::Connect, plain_words(&error))),
            Err(_) => {
                let note = format!("no connection within {} s", limit.as_secs());
                return Err(failure(target, DialogueStage::Connect, note));
            }
        };
        let mut link = Link::new(stream, &target.host, target.address.ip());
        let greeting = link.reply(self.timeouts.greeting).await;
        let reply = greeting.map_err(|error| failure(target, DialogueStage::Greeting, error.to_string()))?;
        if reply.code != 220 {
            let verdict = greeting_verdict(reply.code);
            tokio::spawn(link.quit());
            return Err(HostFailure {
                verdict,
                reply: Some(Box::new(reply)),
                ..failure(target, DialogueStage::Greeting, "the server does not want to talk".into())
            });
        }
        self.introduce(link, target).await
    }

    /// EHLO, else HELO.
    async fn introduce(&self, mut link: Link, target: &Target) -> Result<Link, HostFailure> {
        let limit = self.timeouts.command;
        let broken = |error: LinkError| failure(target, DialogueStage::Ehlo, error.to_string());
        let reply = link.ask_ehlo(format!("EHLO {}\r\n", self.ehlo).as_bytes(), limit).await.map_err(broken)?;
        let reply = match reply.code / 100 {
            2 => {
                link.extensions = Extensions::read(&reply);
                return Ok(link);
            }
            5 => link.ask(format!("HELO {}\r\n", self.ehlo).as_bytes(), limit).await.map_err(broken)?,
            _ => reply,
        };
        if reply.code / 100 == 2 {
            link.extensions = Extensions::default();
            return Ok(link);
        }
        tokio::spawn(link.quit());
        let reply = RemoteReply { text: reply.text.chars().take(1_000).collect(), ..reply };
        let refusal = failure(target, DialogueStage::Ehlo, "the server refuses our name".into());
        Err(HostFailure { reply: Some(Box::new(reply)), ..refusal })
    }

    /// STARTTLS, the handshake, and EHLO again.
    async fn secure(&self, mut link: Link, target: &Target) -> Secured {
        let reply = match link.ask(b"STARTTLS\r\n", self.timeouts.command).await {
            Ok(reply) => reply,
            Err(error) => {
                self.count_tls("none", "failed");
                return Secured::Broken(broken_tls(target, format!("STARTTLS: {error}")));
            }
        };
        if reply.code != 220 {
            self.count_tls("none", "failed");
            let why = format!("STARTTLS was refused ({} {})", reply.code, reply.text);
            return match self.without_tls(link, target, &why) {
                Ok(mut link) => {
                    link.note = format!("{why} and the letter went in plain text");
                    Secured::Ready(Box::new(link))
                }
                // The refusal may be a passing one (454): it is not the lack of the extension.
                Err(lost) => Secured::Failed(HostFailure {
                    verdict: HostVerdict::Unavailable,
                    reply: Some(Box::new(reply)),
                    ..lost
                }),
            };
        }
        let stream = match link.into_stream() {
            Ok(stream) => stream,
            Err(error) => {
                // Somebody is in the middle; to go on in plain text would be to give in.
                self.count_tls("none", "failed");
                return Secured::Failed(broken_tls(target, error.to_string()));
            }
        };
        match self.handshake(stream, target).await {
            Ok((stream, agreed, judgement)) => {
                self.count_tls(&agreed.version, if agreed.verified { "verified" } else { "unverified" });
                let mut link = Link::new(stream, &target.host, target.address.ip());
                link.tls = Some(agreed);
                link.tls_failure = judgement;
                match self.introduce(link, target).await {
                    Ok(link) => Secured::Ready(Box::new(link)),
                    Err(lost) => Secured::Failed(lost),
                }
            }
            Err(lost) => {
                self.count_tls("none", "failed");
                Secured::Broken(lost)
            }
        }
    }

    async fn handshake(
        &self,
        stream: Box<dyn Stream>,
        target: &Target,
    ) -> Result<(Box<dyn Stream>, TlsFacts, Option<TlsFailure>), HostFailure> {
        let lost = |note: String| broken_tls(target, note);
        let config = self.tls.client(&self.decision.proof).map_err(|error| lost(error.to_string()))?;
        let limit = self.timeouts.command;
        let name = server_name(target);
        match timeout(limit, TlsConnector::from(config).connect(name.clone(), stream)).await {
            Ok(Ok(stream)) => {
                let connection = stream.get_ref().1;
                let agreed = facts(connection, &self.decision);
                let chain = connection.peer_certificates().filter(|_| self.judged).unwrap_or_default();
                let judged = if self.judged { self.tls.judge(chain, &name) } else { Ok(()) };
                Ok((Box::new(stream), agreed, judged.err().map(|error| TlsFailure::of_certificate(&error))))
            }
            Ok(Err(error)) => Err(self.failed_handshake(&error, target)),
            Err(_) => Err(lost(format!("no TLS handshake within {} s", limit.as_secs()))),
        }
    }

    fn failed_handshake(&self, error: &std::io::Error, target: &Target) -> HostFailure {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let certificate = matches!(inner, Some(rustls::Error::InvalidCertificate(_)));
        let unnamed = || TlsFailure::new(FailureKind::ValidationFailure, error.to_string());
        let tls = inner.map_or_else(unnamed, TlsFailure::of_certificate);
        // Under REQUIRETLS a certificate that proves nothing is a definite lack; a handshake that breaks is not.
        let verdict = if certificate && self.decision.require_tls {
            HostVerdict::Unsuitable(REQUIRETLS_STATUS)
        } else {
            HostVerdict::Unavailable
        };
        let note = if certificate {
            format!("the certificate does not prove the name {}: {error}", target.host)
        } else {
            format!("TLS handshake: {error}")
        };
        HostFailure { verdict, tls: Some(Box::new(tls)), ..failure(target, DialogueStage::Tls, note) }
    }
}

fn server_name(target: &Target) -> ServerName<'static> {
    // An MX host whose name is no DNS name for rustls is asked for by address: without SNI, and without proof.
    ServerName::try_from(target.host.clone()).unwrap_or_else(|_| ServerName::from(SocketAddr::ip(&target.address)))
}

fn failure(target: &Target, stage: DialogueStage, note: String) -> HostFailure {
    HostFailure {
        stage,
        host: target.host.clone(),
        address: Some(target.address.ip()),
        reply: None,
        note,
        verdict: HostVerdict::Unavailable,
        tls: None,
    }
}

/// A connection that broke over TLS.
fn broken_tls(target: &Target, note: String) -> HostFailure {
    let tls = TlsFailure::new(FailureKind::ValidationFailure, note.clone());
    HostFailure { tls: Some(Box::new(tls)), ..failure(target, DialogueStage::Tls, note) }
}

/// `connection refused`, without the number of the operating system.
fn plain_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_ascii_lowercase()
}

/// The defaults of RFC 5321 §4.5.3.2, for tests and explanations.
pub fn default_timeouts() -> DialogueTimeouts {
    let minutes = |n: u64| Duration::from_secs(n * 60);
    DialogueTimeouts {
        connect: Duration::from_secs(30),
        greeting: minutes(5),
        command: minutes(5),
        data_block: minutes(3),
        final_reply: minutes(10),
    }
}
