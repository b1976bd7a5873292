//! Pretend rooms behind the control socket, for tests here and of the command line.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use ipnet::IpNet;

use super::ports::*;
use super::server::{AdminState, bind, serve};
use super::*;
use crate::deliver::outcome::{DialogueStage, Evidence, RemoteReply};
use crate::message::{DomainName, Envelope, Mailbox, Recipient, ReversePath};
use crate::sign::SendOptions;
use crate::store::RecipientState;
use crate::tenants::TenantFile;
use crate::tenants::TenantPolicy;
use crate::zones::ZonePrimary;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_442_709_123);

/// One tenant (acme, 1), one domain, one credential, one key, a few letters; remembers what was asked.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) letters: Vec<LetterRecord>,
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) suspensions: Mutex<Vec<Suspension>>,
    pub(crate) sick: Option<String>,
    pub(crate) damaged: bool,
}

pub(crate) fn letter(number: u8, to: &str, state: RecipientState) -> LetterRecord {
    let recipient = Recipient::new(to.parse().unwrap());
    let from: Mailbox = "news@acme.example".parse().unwrap();
    LetterRecord {
        id: LetterId::from_bytes([number; 16]),
        tenant: TenantId(1),
        accepted: NOW,
        expires: NOW + Duration::from_hours(120),
        envelope: Envelope::new(ReversePath::Mailbox(from), vec![recipient]),
        states: vec![state],
        options: SendOptions::default(),
        return_path: None,
        subject: "Your receipt".into(),
        from_domain: "acme.example".into(),
        size: 4000,
        eight_bit: false,
        delay_notified: false,
        notice: false,
    }
}

pub(crate) fn evidence() -> Evidence {
    Evidence {
        at: NOW,
        stage: DialogueStage::Rcpt,
        host: Some("mx.example.com".into()),
        address: Some([192, 0, 2, 1].into()),
        reply: Some(RemoteReply { code: 451, status: Some((4, 7, 1)), text: "4.7.1 come back".into() }),
        tls: None,
        note: String::new(),
        status: (4, 7, 1),
    }
}

pub(crate) fn deferred() -> RecipientState {
    RecipientState::Waiting { next: NOW + Duration::from_mins(1), attempts: 1, last: Some(Box::new(evidence())) }
}

impl Fake {
    pub(crate) fn with_letters(count: u8) -> Self {
        Self {
            letters: (1..=count).map(|number| letter(number, "jane@example.com", deferred())).collect(),
            ..Self::default()
        }
    }

    fn ask(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().push(what.into());
    }

    pub(crate) fn state(self: &Arc<Self>) -> AdminState {
        AdminState {
            queue: self.clone(),
            tenants: self.clone(),
            routes: self.clone(),
            gateway: self.clone(),
            store: self.clone(),
            history: Arc::new(crate::history::NoHistory),
        }
    }

    /// Serves on a socket in `dir` from a thread of its own until the returned sender is dropped.
    pub(crate) fn serve_in(self: &Arc<Self>, dir: &Path) -> tokio::sync::oneshot::Sender<()> {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, bound) = std::sync::mpsc::channel();
        let (state, dir) = (self.state(), dir.to_owned());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = bind(&dir).await.unwrap();
                ready.send(()).unwrap();
                serve(listener, state, axum::Router::new(), async { drop(stopped.await) }).await.unwrap();
            });
        });
        bound.recv().unwrap();
        stop
    }
}

fn matches(filter: &QueueFilter, record: &LetterRecord) -> bool {
    let recipient = &record.envelope.recipients[0].address;
    filter.id.is_none_or(|id| id == record.id)
        && filter.tenant.is_none_or(|tenant| tenant == record.tenant)
        && filter.domain.as_ref().is_none_or(|domain| domain == recipient.domain().as_str())
}

#[async_trait]
impl QueueControl for Fake {
    fn list(&self, filter: &QueueFilter, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord> {
        let later = self.letters.iter().filter(|record| after.is_none_or(|after| record.id > after));
        later.filter(|record| matches(filter, record)).take(limit).cloned().collect()
    }
    fn find(&self, id: LetterId) -> Option<LetterRecord> {
        self.letters.iter().find(|record| record.id == id).cloned()
    }
    fn why(&self, id: LetterId) -> Option<Vec<Why>> {
        self.find(id).map(|record| {
            vec![Why {
                recipient: "jane@example.com".into(),
                state: "deferred".into(),
                in_flight: false,
                next_attempt: Some(NOW),
                attempts: 1,
                reason: "the retry policy".into(),
                limit: Some(crate::schedule::limit::Limit::Time),
                last: Some(evidence()),
                expires: record.expires,
            }]
        })
    }
    fn shape(&self) -> Vec<ShapeRow> {
        vec![ShapeRow { domain: "example.com".into(), total: 3, by_age: [1, 2, 0, 0, 0, 0, 0, 0, 0, 0] }]
    }
    async fn act(
        &self,
        action: QueueAction,
        filter: &QueueFilter,
        by: &str,
        reason: &str,
        dry_run: bool,
    ) -> Result<QueueActionReport, StoreError> {
        if !dry_run {
            self.ask(format!("{action:?} by {by}: {reason}"));
        }
        let ids: Vec<LetterId> =
            self.letters.iter().filter(|record| matches(filter, record)).map(|record| record.id).collect();
        Ok(QueueActionReport { letters: ids.len(), recipients: ids.len(), dry_run, ids })
    }
    async fn drain(&self, _: Duration) -> bool {
        true
    }
    fn suspended(&self, record: &LetterRecord, _: usize) -> Option<Suspension> {
        let domain = record.envelope.recipients[0].address.domain();
        self.suspensions().into_iter().find(|one| one.scope.covers(record.tenant, domain, None))
    }
    fn suspensions(&self) -> Vec<Suspension> {
        self.suspensions.lock().unwrap().clone()
    }
    async fn suspend(
        &self,
        scope: Scope,
        span: Option<Duration>,
        by: &str,
        reason: &str,
    ) -> Result<Suspension, StoreError> {
        let until = span.map(|span| NOW + span);
        let new = Suspension { scope, since: NOW, until, by: by.into(), reason: reason.into() };
        self.suspensions.lock().unwrap().push(new.clone());
        Ok(new)
    }
    async fn resume(&self, _: &Scope, _: &str, dry_run: bool) -> Result<Vec<Suspension>, StoreError> {
        let mut all = self.suspensions.lock().unwrap();
        Ok(if dry_run { all.clone() } else { std::mem::take(&mut *all) })
    }
}

fn tenant(name: &str) -> AdminResult<TenantSummary> {
    if name == "acme" {
        Ok(TenantSummary { id: 1, name: "acme".into(), domains: 1, credentials: 1, created: NOW.to_rfc3339() })
    } else {
        Err(AdminError::NotFound(format!("there is no tenant \"{name}\"")))
    }
}

fn credential() -> CredentialSummary {
    CredentialSummary {
        user: "acme-1".into(),
        tenant: "acme".into(),
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        expires: None,
        created: NOW.to_rfc3339(),
    }
}

fn domain(name: &DomainName) -> DomainSummary {
    DomainSummary {
        name: name.clone(),
        tenant: "acme".into(),
        active_keys: 1,
        proof: "vouched".into(),
        challenge: None,
        created: NOW.to_rfc3339(),
    }
}

fn key(domain: &DomainName, selector: &str, state: &str) -> KeySummary {
    KeySummary {
        domain: domain.clone(),
        selector: selector.into(),
        algorithm: "ed25519".into(),
        state: state.into(),
        since: NOW.to_rfc3339(),
        next: Some(KeyStep { to: Some("retiring".into()), at: Some(NOW.to_rfc3339()), why: "its turn".into() }),
        record_lost: None,
        history: vec![KeyMove { at: NOW.to_rfc3339(), to: state.into(), by: "steward".into(), why: "seen".into() }],
        record_name: format!("{selector}._domainkey.{domain}"),
        record_value: "v=DKIM1; k=ed25519; p=abc".into(),
        created: NOW.to_rfc3339(),
    }
}

fn report(change: &str, dry_run: bool) -> ApplyReport {
    ApplyReport { changes: vec![change.into()], dry_run }
}

impl TenantAdmin for Fake {
    fn list_tenants(&self) -> AdminResult<Vec<TenantSummary>> {
        Ok(vec![tenant("acme")?])
    }
    fn show_tenant(&self, name: &str) -> AdminResult<TenantDetail> {
        let summary = tenant(name)?;
        Ok(TenantDetail {
            id: summary.id,
            name: summary.name,
            created: summary.created,
            policy: TenantPolicy::default(),
            domains: vec![domain(&"acme.example".parse().unwrap())],
            credentials: vec![credential()],
        })
    }
    fn add_tenant(&self, name: &str, by: &str) -> AdminResult<TenantSummary> {
        self.ask(format!("add tenant {name} by {by}"));
        match name {
            "acme" => Err(AdminError::Conflict("there is a tenant \"acme\" already".into())),
            "ACME" => Err(AdminError::Invalid("\"ACME\" cannot be a tenant's name".into())),
            _ => Ok(TenantSummary { name: name.into(), ..tenant("acme")? }),
        }
    }
    fn remove_tenant(&self, name: &str, dry_run: bool, by: &str) -> AdminResult<ApplyReport> {
        tenant(name)?;
        if !dry_run {
            self.ask(format!("remove tenant {name} by {by}"));
        }
        Ok(report("remove tenant acme", dry_run))
    }
    fn apply(&self, file: &TenantFile, prune: bool, dry_run: bool, _: &str) -> AdminResult<ApplyReport> {
        if !dry_run {
            self.ask(format!("apply {} prune={prune}", file.tenant.len()));
        }
        Ok(report("add tenant two", dry_run))
    }
    fn new_credential(
        &self,
        name: &str,
        networks: &[IpNet],
        expires: Option<Duration>,
        _: &str,
    ) -> AdminResult<NewCredential> {
        tenant(name)?;
        self.ask(format!("credential {networks:?} {expires:?}"));
        Ok(NewCredential { user: "acme-2".into(), secret: "s3cret".into() })
    }
    fn list_credentials(&self, _: Option<&str>) -> AdminResult<Vec<CredentialSummary>> {
        Ok(vec![credential()])
    }
    fn revoke_credential(&self, user: &str, _: &str) -> AdminResult<()> {
        self.ask(format!("revoke {user}"));
        Ok(())
    }
    fn add_domain(&self, name: &DomainName, _: &str, _: &str) -> AdminResult<DomainSummary> {
        Ok(domain(name))
    }
    fn vouch_for_domain(&self, name: &DomainName, _: &str, _: &str) -> AdminResult<DomainSummary> {
        self.ask(format!("vouch for {name}"));
        Ok(domain(name))
    }
    fn list_domains(&self, _: Option<&str>) -> AdminResult<Vec<DomainSummary>> {
        Ok(vec![domain(&"acme.example".parse().unwrap())])
    }
    fn remove_domain(&self, name: &DomainName, dry_run: bool, _: &str) -> AdminResult<ApplyReport> {
        Ok(report(&format!("remove {name}"), dry_run))
    }
    fn operator_records(&self, name: &DomainName, format: &str) -> AdminResult<String> {
        self.domain_records(name, format)
    }

    fn domain_records(&self, name: &DomainName, format: &str) -> AdminResult<String> {
        Ok(format!("{name} in {format}\n"))
    }
    fn list_keys(&self, domain: &DomainName) -> AdminResult<Vec<KeySummary>> {
        Ok(vec![key(domain, "s1", "active")])
    }
    fn generate_key(&self, domain: &DomainName, _: &str, selector: Option<&str>, _: &str) -> AdminResult<KeySummary> {
        Ok(key(domain, selector.unwrap_or("s2"), "generated"))
    }
    fn import_key(&self, domain: &DomainName, selector: &str, pem: &str, _: &str) -> AdminResult<KeySummary> {
        self.ask(format!("import {} octets", pem.len()));
        Ok(key(domain, selector, "generated"))
    }
    fn activate_key(&self, domain: &DomainName, selector: &str, anyway: bool, _: &str) -> AdminResult<KeySummary> {
        if anyway {
            Ok(key(domain, selector, "active"))
        } else {
            Err(AdminError::Conflict("the record was not seen in DNS".into()))
        }
    }
    fn retire_key(&self, domain: &DomainName, selector: &str, force: bool, _: &str) -> AdminResult<KeySummary> {
        self.ask(format!("retire {selector}{}", if force { " by force" } else { "" }));
        Ok(key(domain, selector, "retiring"))
    }
    fn revoke_key(&self, domain: &DomainName, selector: &str, _: &str) -> AdminResult<KeySummary> {
        self.ask(format!("revoke {selector}"));
        Ok(key(domain, selector, "revoked"))
    }
    fn rotate_keys(
        &self,
        domain: &DomainName,
        at_once: Option<&str>,
        dry_run: bool,
        _: &str,
    ) -> AdminResult<ApplyReport> {
        if !dry_run {
            self.ask(format!("rotate {domain} {at_once:?}"));
        }
        Ok(report("generated DKIM key s2", dry_run))
    }
}

#[async_trait]
impl RouteExplainer for Fake {
    async fn explain(&self, address: &Mailbox) -> serde_json::Value {
        serde_json::json!({ "domain": address.domain().as_str(), "tls": "opportunistic" })
    }
}

#[async_trait]
impl GatewayControl for Fake {
    async fn drain(&self, at_most: Duration) -> bool {
        self.ask(format!("drain {at_most:?}"));
        self.sick.is_none()
    }
    async fn reload(&self) -> Result<Vec<String>, String> {
        self.sick.clone().map_or_else(|| Ok(vec!["certificates read again".into()]), Err)
    }
    async fn check_domain_answers(&self, domain: &DomainName) -> AdminResult<waxseal_dns::check::Fixture> {
        let expectations = waxseal_dns::check::Expectations {
            domain: domain.to_string(),
            records: Vec::new(),
            return_path: None,
            egress: Vec::new(),
            hostname: "mx1.relay.example".to_owned(),
        };
        let at = "2026-11-23T14:05:09Z".parse().unwrap_or_default();
        Ok(waxseal_dns::check::Fixture { expectations, answers: Vec::new(), at })
    }

    async fn zone_of(&self, domain: &DomainName) -> AdminResult<ZonePrimary> {
        Ok(ZonePrimary { zone: domain.to_string(), name: format!("ns1.{domain}"), address: None })
    }

    async fn check_domain(&self, domain: &DomainName) -> AdminResult<waxseal_dns::check::Report> {
        self.ask(format!("check {domain}"));
        let checked = "2026-11-23T14:05:09Z".to_owned();
        Ok(waxseal_dns::check::Report { domain: domain.to_string(), checked, ok: true, findings: Vec::new() })
    }
    fn rotate_kek(&self, reference: &str, by: &str) -> AdminResult<KekReport> {
        self.ask(format!("rotate the KEK to {reference} by {by}"));
        Ok(KekReport { before: "01".into(), now: "02".into(), changed: true, configured: false })
    }

    async fn health(&self) -> Health {
        Health { ok: self.sick.is_none(), reasons: self.sick.iter().cloned().collect() }
    }
}

#[async_trait]
impl StoreCheck for Fake {
    fn is_whole(&self) -> bool {
        true
    }
    async fn check(&self) -> Result<StoreCheckReport, StoreError> {
        let damaged = DamagedRecord { place: "segment 1 at 64".into(), why: "checksum".into() };
        Ok(StoreCheckReport { records: 10, damaged: if self.damaged { vec![damaged] } else { Vec::new() } })
    }
    async fn backup(&self, folder: std::path::PathBuf) -> AdminResult<BackupReport> {
        self.ask(format!("backup {}", folder.display()));
        Ok(BackupReport {
            folder,
            taken: "2026-11-23T14:05:09.123Z".into(),
            letters: 3,
            files: 4,
            octets: 5000,
            kek: "0011223344556677".into(),
            millis: 12,
        })
    }
}
