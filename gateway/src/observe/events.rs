//! Events: fixed names (INTERFACES §5), typed fields.

use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::EvidenceView;
use crate::clock::Timestamp;
use crate::deliver::outcome::Evidence;
use crate::ids::{LetterId, SessionId};
use crate::message::{Mailbox, ReversePath};
use crate::posts::{Action, AuthorId, PostId};
use crate::sign::SignatureFact;

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event")]
#[allow(missing_docs)] // the names of the fields are the documentation; INTERFACES §5 lists the events
pub enum Event {
    #[serde(rename = "smtp.connect")]
    SmtpConnect { session: SessionText, listener: String, client: IpAddr },
    #[serde(rename = "smtp.auth")]
    SmtpAuth { session: SessionText, client: IpAddr, user: String, mechanism: &'static str, ok: bool },
    #[serde(rename = "smtp.reject")]
    SmtpReject { session: SessionText, client: IpAddr, reason: &'static str, reply: String },
    #[serde(rename = "message.accepted")]
    Accepted {
        id: LetterId,
        tenant: String,
        session: Option<String>,
        #[serde(serialize_with = "reverse_path")]
        from: ReversePath,
        to: Vec<Mailbox>,
        size: usize,
        signatures: Vec<SignatureFact>,
    },
    #[serde(rename = "message.redacted")]
    Redacted { id: LetterId, tenant: String, hits: Vec<crate::redact::Hit>, unscanned: Vec<crate::redact::Unscanned> },
    #[serde(rename = "message.held")]
    Held { id: LetterId, tenant: String, to: Mailbox, by: String, reason: String },
    #[serde(rename = "message.deferred")]
    Deferred {
        id: LetterId,
        tenant: String,
        to: Mailbox,
        attempt: u16,
        #[serde(serialize_with = "moment")]
        next: Timestamp,
        #[serde(serialize_with = "evidence_view")]
        evidence: Evidence,
    },
    #[serde(rename = "message.delivered")]
    Delivered {
        id: LetterId,
        tenant: String,
        to: Mailbox,
        attempt: u16,
        #[serde(serialize_with = "evidence_view")]
        evidence: Evidence,
    },
    #[serde(rename = "message.bounced")]
    Bounced {
        id: LetterId,
        tenant: String,
        to: Mailbox,
        notice: Option<LetterId>,
        #[serde(serialize_with = "evidence_view")]
        evidence: Evidence,
    },
    #[serde(rename = "message.expired")]
    Expired {
        id: LetterId,
        tenant: String,
        to: Mailbox,
        notice: Option<LetterId>,
        #[serde(serialize_with = "evidence_view")]
        evidence: Evidence,
    },
    #[serde(rename = "message.dropped")]
    Dropped { id: LetterId, tenant: String, to: Mailbox, by: String, reason: String },
    #[serde(rename = "site.slowed")]
    SiteSlowed { site: String, by: String, said: String, connections: usize, rate: Option<f64> },
    #[serde(rename = "message.returned")]
    Returned {
        id: LetterId,
        tenant: String,
        to: Option<Mailbox>,
        kind: &'static str,
        class: Option<&'static str>,
        status: Option<String>,
        diagnostic: String,
        reporter: Option<String>,
        checks: String,
        believed: bool,
        suppressed: bool,
        notice: Option<LetterId>,
    },
    #[serde(rename = "suppression")]
    Suppression { tenant: String, action: &'static str, addresses: usize, by: String },
    #[serde(rename = "post.checked")]
    PostChecked { id: PostId, tenant: String, verdict: &'static str, millis: u64 },
    #[serde(rename = "post.queued")]
    PostQueued { id: PostId, tenant: String },
    #[serde(rename = "post.approved")]
    PostApproved { id: PostId, tenant: String, by: String },
    #[serde(rename = "post.spam")]
    PostSpam { id: PostId, tenant: String, by: String },
    #[serde(rename = "post.rejected")]
    PostRejected { id: PostId, tenant: String, by: String },
    #[serde(rename = "post.undone")]
    PostUndone { id: PostId, tenant: String, by: String },
    #[serde(rename = "post.redacted")]
    PostRedacted { id: PostId, tenant: String, by: String },
    #[serde(rename = "post.author")]
    PostAuthor { author: AuthorId, tenant: String, action: &'static str, by: String },
    #[serde(rename = "dkim.key")]
    DkimKey { state: &'static str, domain: String, selector: String, by: String, why: String },
    #[serde(rename = "dns.check")]
    DnsCheck {
        tenant: String,
        domain: String,
        record: String,
        name: String,
        before: waxseal_dns::check::Status,
        status: waxseal_dns::check::Status,
        regression: bool,
        detail: String,
    },
    #[serde(rename = "authn.success")]
    AuthnSuccess { user: String, client: IpAddr, method: &'static str },
    #[serde(rename = "authn.failure")]
    AuthnFailure { user: String, client: IpAddr, reason: &'static str },
    #[serde(rename = "authz.failure")]
    AuthzFailure { user: String, client: IpAddr, method: String, path: String },
    #[serde(rename = "audit.checkpoint")]
    AuditCheckpoint { number: u64, head: String, signature: String },
    #[serde(rename = "config.loaded")]
    ConfigLoaded { path: String, reload: bool },
    #[serde(rename = "store.recovered")]
    StoreRecovered { letters: usize, damaged: usize, rebuilt: bool, torn_octets: u64, millis: u64 },
    #[serde(rename = "gateway.state")]
    Gateway { state: &'static str, detail: String },
}

/// A session's name, as text.
pub type SessionText = String;

/// The text of a session's name.
pub fn session(id: SessionId) -> SessionText {
    id.to_string()
}

/// How much an event matters to who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The usual course.
    Info,
    /// Somebody may want to look.
    Warn,
    /// Somebody must look.
    Error,
}

impl Level {
    /// `info`, `warn`, `error`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Event {
    /// The event of a decision on a post; `None` for what is not a person's.
    pub fn post_decided(action: Action, id: PostId, tenant: String, by: String) -> Option<Self> {
        match action {
            Action::Approve => Some(Self::PostApproved { id, tenant, by }),
            Action::Spam => Some(Self::PostSpam { id, tenant, by }),
            Action::Reject => Some(Self::PostRejected { id, tenant, by }),
            Action::Undo => Some(Self::PostUndone { id, tenant, by }),
            Action::Redact => Some(Self::PostRedacted { id, tenant, by }),
            Action::Trust | Action::Silence | Action::Ban | Action::Unban | Action::Expire | Action::Edit => None,
        }
    }

    /// The event's level.
    pub fn level(&self) -> Level {
        match self {
            Self::StoreRecovered { damaged, .. } if *damaged > 0 => Level::Error,
            Self::StoreRecovered { rebuilt: true, .. }
            | Self::DnsCheck { regression: true, .. }
            | Self::SmtpAuth { ok: false, .. }
            | Self::SmtpReject { .. }
            | Self::AuthnFailure { .. }
            | Self::AuthzFailure { .. }
            | Self::SiteSlowed { .. }
            | Self::Deferred { .. }
            | Self::Bounced { .. }
            | Self::Expired { .. } => Level::Warn,
            _ => Level::Info,
        }
    }
}

// serde hands the field over by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn moment<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

fn reverse_path<S: Serializer>(path: &ReversePath, serializer: S) -> Result<S::Ok, S::Error> {
    match path {
        ReversePath::Null => serializer.serialize_str("<>"),
        ReversePath::Mailbox(mailbox) => serializer.collect_str(mailbox),
    }
}

fn evidence_view<S: Serializer>(evidence: &Evidence, serializer: S) -> Result<S::Ok, S::Error> {
    EvidenceView::from(evidence).serialize(serializer)
}
