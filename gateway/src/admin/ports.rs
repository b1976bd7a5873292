//! What the control surface asks of the rest of the gateway: traits whose implementations the wiring gives, and
//! the shapes that come back (stable JSON, times in RFC 3339).
//!
//! The methods of [`TenantAdmin`] and [`TenantAdmin`]'s errors are plain and blocking: each change waits for the
//! disk, and a key or a password hash takes a core for a while. Routes call them on the blocking pool.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::message::{DomainName, Mailbox};
use crate::store::StoreError;
use crate::tenants::{TenantFile, TenantPolicy};
use crate::zones::ZonePrimary;

/// Why an administrative request is not done. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// There is no such thing; the client's mistake.
    #[error("{0}")]
    NotFound(String),
    /// A rule or another's right stands in the way; the client's mistake.
    #[error("{0}")]
    Conflict(String),
    /// The request is wrong in itself; the client's mistake.
    #[error("{0}")]
    Invalid(String),
    /// The gateway failed; try again.
    #[error("{0}")]
    Store(String),
}

/// The result of an administrative request.
pub type AdminResult<T> = Result<T, AdminError>;

/// A tenant in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantSummary {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How many domains it has.
    pub domains: usize,
    /// How many credentials it has.
    pub credentials: usize,
    /// When it was made, in RFC 3339.
    pub created: String,
}

/// A tenant with everything that is its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDetail {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// Its policy.
    pub policy: TenantPolicy,
    /// Its domains.
    pub domains: Vec<DomainSummary>,
    /// Its credentials, without secrets.
    pub credentials: Vec<CredentialSummary>,
}

/// A submission credential without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialSummary {
    /// The user name.
    pub user: String,
    /// Its tenant's name.
    pub tenant: String,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// When it ends, in RFC 3339.
    pub expires: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: String,
}

/// A credential as it is shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewCredential {
    /// The user name.
    pub user: String,
    /// The secret. It cannot be had again.
    pub secret: String,
}

impl std::fmt::Debug for NewCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewCredential").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A domain in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSummary {
    /// The name.
    pub name: DomainName,
    /// Its tenant's name.
    pub tenant: String,
    /// Keys that sign for it.
    pub active_keys: usize,
    /// Why it is the tenant's: `vouched` by an operator, or `shown` in DNS; `claimed` while it is not yet.
    pub proof: String,
    /// The TXT record that a claim waits for.
    pub challenge: Option<Challenge>,
    /// When it was added, in RFC 3339.
    pub created: String,
}

/// A TXT record that only the tenant was told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A DKIM key without its private half.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySummary {
    /// The domain that it signs for.
    pub domain: DomainName,
    /// The selector.
    pub selector: String,
    /// `rsa2048`, `ed25519`…
    pub algorithm: String,
    /// `generated`, `published`, `verified`, `active`, `retiring`, `retired`, `destroyed`, `revoked`.
    pub state: String,
    /// Since when it is so, in RFC 3339.
    pub since: String,
    /// What happens next by itself; `null` where nothing does.
    pub next: Option<KeyStep>,
    /// Since when a signing key's record has been missing at some authoritative server, in RFC 3339.
    pub record_lost: Option<String>,
    /// Its moves so far, oldest first.
    pub history: Vec<KeyMove>,
    /// The name of its TXT record.
    pub record_name: String,
    /// The value of its TXT record.
    pub record_value: String,
    /// When it was made, in RFC 3339.
    pub created: String,
}

/// A key's next step by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStep {
    /// The state that it comes into; `null` where the key stays and its successor is made.
    pub to: Option<String>,
    /// Not before, in RFC 3339; `null` where only the world decides.
    pub at: Option<String>,
    /// What it waits for: one sentence.
    pub why: String,
}

/// A move in a key's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMove {
    /// When, in RFC 3339.
    pub at: String,
    /// Where to.
    pub to: String,
    /// By whom.
    pub by: String,
    /// Why: one sentence.
    pub why: String,
}

/// What was changed, or would be, one sentence a change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ApplyReport {
    /// The changes in their order; empty: everything is so already.
    pub changes: Vec<String>,
    /// Was it only tried?
    #[serde(default)]
    pub dry_run: bool,
}

/// Tenants, domains, credentials and keys. `by` is who asks, for the audit trail.
#[allow(missing_docs)] // the names of the methods are those of the verbs
pub trait TenantAdmin: Send + Sync + 'static {
    fn list_tenants(&self) -> AdminResult<Vec<TenantSummary>>;
    fn show_tenant(&self, name: &str) -> AdminResult<TenantDetail>;
    fn add_tenant(&self, name: &str, by: &str) -> AdminResult<TenantSummary>;
    /// Removes a tenant with everything that is its own.
    fn remove_tenant(&self, name: &str, dry_run: bool, by: &str) -> AdminResult<ApplyReport>;
    /// Makes tenants, domains and policies as the file says; with `prune` also removes what it does not name.
    fn apply(&self, file: &TenantFile, prune: bool, dry_run: bool, by: &str) -> AdminResult<ApplyReport>;
    /// `expires` counts from now.
    fn new_credential(
        &self,
        tenant: &str,
        networks: &[IpNet],
        expires: Option<Duration>,
        by: &str,
    ) -> AdminResult<NewCredential>;
    fn list_credentials(&self, tenant: Option<&str>) -> AdminResult<Vec<CredentialSummary>>;
    fn revoke_credential(&self, user: &str, by: &str) -> AdminResult<()>;
    fn add_domain(&self, domain: &DomainName, tenant: &str, by: &str) -> AdminResult<DomainSummary>;
    /// The same on the operator's word, where proof is required.
    fn vouch_for_domain(&self, domain: &DomainName, tenant: &str, by: &str) -> AdminResult<DomainSummary>;
    fn list_domains(&self, tenant: Option<&str>) -> AdminResult<Vec<DomainSummary>>;
    fn remove_domain(&self, domain: &DomainName, dry_run: bool, by: &str) -> AdminResult<ApplyReport>;
    /// The records to publish, in one of the formats of `domain records`.
    fn domain_records(&self, domain: &DomainName, format: &str) -> AdminResult<String>;
    /// The records that the operator publishes for a domain, as `json`, `text`, `csv` or `bind`: they lie in several
    /// zones, which the other formats are not made for.
    fn operator_records(&self, domain: &DomainName, format: &str) -> AdminResult<String>;
    fn list_keys(&self, domain: &DomainName) -> AdminResult<Vec<KeySummary>>;
    fn generate_key(
        &self,
        domain: &DomainName,
        algorithm: &str,
        selector: Option<&str>,
        by: &str,
    ) -> AdminResult<KeySummary>;
    fn import_key(&self, domain: &DomainName, selector: &str, pem: &str, by: &str) -> AdminResult<KeySummary>;
    fn activate_key(
        &self,
        domain: &DomainName,
        selector: &str,
        even_if_unpublished: bool,
        by: &str,
    ) -> AdminResult<KeySummary>;
    /// With `force` the last key that signs too, and one whose letters may still be on their way.
    fn retire_key(&self, domain: &DomainName, selector: &str, force: bool, by: &str) -> AdminResult<KeySummary>;
    fn revoke_key(&self, domain: &DomainName, selector: &str, by: &str) -> AdminResult<KeySummary>;
    /// New keys as soon as they may sign; with a reason for an emergency: at once, and the old ones are revoked.
    fn rotate_keys(
        &self,
        domain: &DomainName,
        at_once: Option<&str>,
        dry_run: bool,
        by: &str,
    ) -> AdminResult<ApplyReport>;
}

/// Tells how mail for an address would go: MX, addresses, TLS decision, source address, limits.
#[async_trait]
pub trait RouteExplainer: Send + Sync + 'static {
    /// The explanation as JSON; its shape is the delivery room's.
    async fn explain(&self, address: &Mailbox) -> serde_json::Value;
}

/// Whether the gateway can do its work.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Health {
    /// Does it take mail?
    pub ok: bool,
    /// What stands in the way, or should be looked at.
    pub reasons: Vec<String>,
}

/// The body of `POST /v1/kek:rotate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KekRequest {
    /// Where the new key is: `file:PATH` or `cred:NAME`.
    pub new: String,
}

/// What a rotation of the key-encryption key did. Keys by their names, which give nothing of them away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekReport {
    /// The key before.
    pub before: String,
    /// The key that every data key is wrapped under now.
    pub now: String,
    /// Was there anything to do?
    pub changed: bool,
    /// Does the configuration name the new key?
    pub configured: bool,
}

/// The gateway as a whole.
#[async_trait]
pub trait GatewayControl: Send + Sync + 'static {
    /// Stops taking mail and waits for what runs, at most this long, then ends the process; true if all ended.
    async fn drain(&self, at_most: Duration) -> bool;

    /// Reads configuration and certificates again. On an error everything stays as it was.
    async fn reload(&self) -> Result<Vec<String>, String>;

    /// Checks a domain's records in DNS, within a deadline of its own.
    async fn check_domain(&self, domain: &DomainName) -> AdminResult<waxseal_dns::check::Report>;

    /// The same check with everything that it went by; see [`waxseal_dns::check::check`].
    async fn check_domain_answers(&self, domain: &DomainName) -> AdminResult<waxseal_dns::check::Fixture>;

    /// The zone that holds a domain, and the server that takes its changes, as DNS says.
    async fn zone_of(&self, domain: &DomainName) -> AdminResult<ZonePrimary>;

    /// Wraps every data key under the key that `reference` names. Blocks on the disk.
    fn rotate_kek(&self, reference: &str, by: &str) -> AdminResult<KekReport>;

    /// Whether it can do its work, right now.
    async fn health(&self) -> Health;
}

/// A record that does not pass its checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedRecord {
    /// Segment and position.
    pub place: String,
    /// Why it does not pass.
    pub why: String,
}

/// What a check of the store found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoreCheckReport {
    /// Records that were read.
    pub records: u64,
    /// Those that are damaged.
    pub damaged: Vec<DamagedRecord>,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// Where it is.
    pub folder: PathBuf,
    /// From when it is, in RFC 3339: what was acknowledged before is in it.
    pub taken: String,
    /// Letters in it.
    pub letters: u64,
    /// Files.
    pub files: usize,
    /// Their octets.
    pub octets: u64,
    /// The name of the key-encryption key that it needs, which is not in it.
    pub kek: String,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// Reads every record of the store.
#[async_trait]
pub trait StoreCheck: Send + Sync + 'static {
    /// Has everything been read that the last run left? Until then the queue shows new letters only.
    fn is_whole(&self) -> bool;

    /// Checks every record's checksum and seal; changes nothing.
    async fn check(&self) -> Result<StoreCheckReport, StoreError>;

    /// Copies control data and queue into the new folder `folder`, by a name that does not depend on where who
    /// asks is.
    async fn backup(&self, folder: PathBuf) -> AdminResult<BackupReport>;
}
