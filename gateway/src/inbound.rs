//! Who really sent a message that came in: SPF, DKIM, DMARC and ARC, by mail-auth over the gateway's own DNS servers.
//!
//! Promises: a verdict for everything, in bounded time; what could not be asked is `temperror`, never a pass. A pass of
//! SPF is the client's, so it counts only for what the client itself says (RFC 7208 §2.6).

use std::time::Duration;

use async_trait::async_trait;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{AuthenticatedMessage, DkimResult, DmarcResult, MessageAuthenticator, SpfResult};
use serde::{Deserialize, Serialize};

use crate::message::{DomainName, ReversePath};
use crate::sign::TraceFacts;

/// Everything together: a message with a hundred signatures may not hold a session.
const AT_MOST: Duration = Duration::from_secs(20);

/// One method's verdict (RFC 8601 §2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is who it says.
    Pass,
    /// It is not.
    Fail,
    /// Said to be uncertain.
    SoftFail,
    /// Nothing is claimed.
    Neutral,
    /// Nothing is published, or no signature is there.
    None,
    /// The records or the signature cannot be read.
    PermError,
    /// DNS did not answer.
    TempError,
}

impl Verdict {
    /// The word of RFC 8601.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::PermError => "permerror",
            Self::TempError => "temperror",
        }
    }
}

impl From<&DkimResult> for Verdict {
    fn from(result: &DkimResult) -> Self {
        match result {
            DkimResult::Pass => Self::Pass,
            DkimResult::None => Self::None,
            // mail-auth calls a body that does not fit its hash neutral; RFC 6376 §6.1.3 makes it a failure.
            DkimResult::Neutral(_) | DkimResult::Fail(_) => Self::Fail,
            DkimResult::PermError(_) => Self::PermError,
            DkimResult::TempError(_) => Self::TempError,
        }
    }
}

impl From<SpfResult> for Verdict {
    fn from(result: SpfResult) -> Self {
        match result {
            SpfResult::Pass => Self::Pass,
            SpfResult::Fail => Self::Fail,
            SpfResult::SoftFail => Self::SoftFail,
            SpfResult::Neutral => Self::Neutral,
            SpfResult::TempError => Self::TempError,
            SpfResult::PermError => Self::PermError,
            SpfResult::None => Self::None,
        }
    }
}

impl From<DmarcResult> for Verdict {
    fn from(result: DmarcResult) -> Self {
        match result {
            DmarcResult::Pass => Self::Pass,
            DmarcResult::None => Self::None,
            DmarcResult::Fail(_) => Self::Fail,
            DmarcResult::PermError(_) => Self::PermError,
            DmarcResult::TempError(_) => Self::TempError,
        }
    }
}

/// All verdicts on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// SPF of MAIL FROM, of EHLO where that is `<>`.
    pub spf: Verdict,
    /// The best of its signatures' verdicts.
    pub dkim: Verdict,
    /// DMARC of the From domain.
    pub dmarc: Verdict,
    /// ARC.
    pub arc: Verdict,
    /// Is the From domain proven: by DMARC, or where it publishes none, by a signature or SPF of the domain itself?
    pub from_proven: bool,
}

impl Verdicts {
    /// Nothing could be found out.
    pub const UNKNOWN: Self = Self {
        spf: Verdict::TempError,
        dkim: Verdict::TempError,
        dmarc: Verdict::TempError,
        arc: Verdict::TempError,
        from_proven: false,
    };

    /// Does anything show that it is forged?
    pub fn contradicted(&self) -> bool {
        let proven = [self.dkim, self.arc, self.dmarc].contains(&Verdict::Pass);
        !proven && (self.spf == Verdict::Fail || self.dmarc == Verdict::Fail || self.dkim == Verdict::Fail)
    }

    /// Does anything show that it is real?
    pub fn proven(&self) -> bool {
        [self.spf, self.dkim, self.arc].contains(&Verdict::Pass) && self.dmarc != Verdict::Fail
    }
}

impl std::fmt::Display for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { spf, dkim, dmarc, arc, .. } = self;
        write!(f, "spf={} dkim={} dmarc={} arc={}", spf.name(), dkim.name(), dmarc.name(), arc.name())
    }
}

/// Who judges. Implemented with mail-auth; a pretend one serves tests.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// Judges a message that `trace` brought with this reverse-path.
    async fn judge(&self, message: &[u8], reverse_path: &ReversePath, trace: &TraceFacts) -> Verdicts;
}

/// By mail-auth.
pub struct MailAuth {
    resolver: MessageAuthenticator,
    hostname: DomainName,
}

impl MailAuth {
    /// With the DNS servers of `resolver`.
    pub const fn new(resolver: MessageAuthenticator, hostname: DomainName) -> Self {
        Self { resolver, hostname }
    }

    async fn ask(&self, message: &[u8], reverse_path: &ReversePath, trace: &TraceFacts) -> Verdicts {
        let sender = reverse_path.mailbox().map(ToString::to_string).unwrap_or_default();
        let asked = SpfParameters::verify(trace.client, &trace.helo, self.hostname.as_str(), &sender);
        let spf = self.resolver.verify_spf(asked).await;
        let Some(parsed) = AuthenticatedMessage::parse(message) else {
            let none = Verdict::None;
            return Verdicts { spf: spf.result().into(), dkim: none, dmarc: none, arc: none, from_proven: false };
        };
        let dkim = self.resolver.verify_dkim(&parsed).await;
        let arc = self.resolver.verify_arc(&parsed).await;
        let from = reverse_path.mailbox().map_or(trace.helo.as_str(), |from| from.domain().as_str());
        let dmarc = self.resolver.verify_dmarc(DmarcParameters::new(&parsed, &dkim, from, &spf)).await;
        let of = |wanted| dkim.iter().any(|output| Verdict::from(output.result()) == wanted).then_some(wanted);
        let author = match parsed.from.as_slice() {
            [only] => only.rsplit_once('@').map_or("", |(_, domain)| domain),
            _ => "",
        };
        let signed = dkim.iter().any(|output| {
            let domain = output.signature().map_or("", |signature| signature.d.as_str());
            *output.result() == DkimResult::Pass && !author.is_empty() && domain.eq_ignore_ascii_case(author)
        });
        let sent = spf.result() == SpfResult::Pass && !author.is_empty() && from.eq_ignore_ascii_case(author);
        let by_dmarc = Verdict::from(dmarc.result());
        let order = [Verdict::Pass, Verdict::TempError, Verdict::Fail, Verdict::PermError, Verdict::Neutral];
        Verdicts {
            spf: spf.result().into(),
            dkim: order.into_iter().find_map(of).unwrap_or(Verdict::None),
            dmarc: by_dmarc,
            from_proven: by_dmarc == Verdict::Pass || (by_dmarc == Verdict::None && (signed || sent)),
            arc: arc.result().into(),
        }
    }
}

#[async_trait]
impl Authenticate for MailAuth {
    async fn judge(&self, message: &[u8], reverse_path: &ReversePath, trace: &TraceFacts) -> Verdicts {
        tokio::time::timeout(AT_MOST, self.ask(message, reverse_path, trace)).await.unwrap_or(Verdicts::UNKNOWN)
    }
}

/// One that always says the same, for tests.
#[derive(Debug, Clone, Copy)]
pub struct Always(pub Verdicts);

#[async_trait]
impl Authenticate for Always {
    async fn judge(&self, _: &[u8], _: &ReversePath, _: &TraceFacts) -> Verdicts {
        self.0
    }
}
