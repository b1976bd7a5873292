//! The stage of the demo: folder, keys, DNS, receiver, gateway, client.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, Tokio1Executor};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use waxseal_keys::sealing::KeyEncryptionKey;

use super::DemoError;
use super::dns::DnsServer;
use super::receiver::{Receiver, SLOW_DOMAIN};
use crate::message::DomainName;
use crate::run::Gateway;

/// The demo's tenant.
pub const TENANT: &str = "acme";
/// The tenant's domain.
pub const DOMAIN: &str = "acme.example";
const HOSTNAME: &str = "mx1.relay.example";
const RECEIVER: &str = "mx.customer.example";
const BY: &str = "demo";

/// Everything that runs.
pub struct Stage {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The DNS server.
    pub dns: DnsServer,
    /// The receiving server.
    pub receiver: Receiver,
    /// The service's client, signed in.
    pub client: AsyncSmtpTransport<Tokio1Executor>,
    submission: SocketAddr,
    web: Option<SocketAddr>,
    user: String,
    folder: Folder,
}

/// A folder that goes when the demo ends.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind in the temporary folder if it cannot be removed; nothing secret is in it unsealed but the
        // demo's own keys.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Stage {
    /// Builds it.
    pub async fn build() -> Result<Self, DemoError> {
        let folder = make_folder()?;
        let authority = write_certificates(&folder.0)?;
        let receiver = Receiver::start(RECEIVER).await?;
        let dns = DnsServer::start().await?;
        for domain in ["customer.example", SLOW_DOMAIN, DOMAIN] {
            dns.publish_mail_host(domain, RECEIVER).await?;
        }
        let kek = KeyEncryptionKey::generate().map_err(DemoError::start("the key-encryption key"))?;
        write_private(&folder.0.join("kek"), kek.danger_to_hex().as_bytes())?;
        let path = folder.0.join("waxseal.toml");
        let text = configuration(&folder.0, dns.address(), receiver.address().port());
        write_private(&path, text.as_bytes())?;
        let config = crate::config::load(&path).map_err(DemoError::start("the configuration"))?;
        let gateway = Gateway::start(config, Some(path)).await.map_err(DemoError::start("the gateway"))?;
        let (user, secret) = furnish(&gateway, &dns).await?;
        let address = |name: &str| gateway.addresses().iter().find(|(listener, _)| listener == name).map(|(_, a)| *a);
        let submission = address("submission").ok_or_else(|| DemoError::Inside("no submission listener".into()))?;
        let web = address("web");
        let client = client(submission, &authority, user.clone(), secret)?;
        Ok(Self { gateway, dns, receiver, client, submission, web, user, folder })
    }

    /// What listens where, for the story.
    pub fn places(&self) -> Vec<(String, String)> {
        let mut places = vec![
            ("SMTP with STARTTLS and AUTH".to_owned(), self.submission.to_string()),
            ("the tenant's DNS records".to_owned(), self.dns.address().to_string()),
            ("the receiving server".to_owned(), self.receiver.address().to_string()),
        ];
        if let Some(web) = self.web {
            places.push(("health".to_owned(), format!("http://{web}/readyz")));
        }
        places
    }

    /// How to send to it oneself.
    pub fn connection_help(&self) -> String {
        let config = self.folder.0.join("waxseal.toml");
        format!(
            "Submission on {}, user {}; a credential of your own:\n  waxseal credential new --tenant {TENANT} --config {}\n",
            self.submission,
            self.user,
            config.display()
        )
    }
}

fn make_folder() -> Result<Folder, DemoError> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = std::env::temp_dir().join(format!("waxseal-demo-{:016x}", rand::random::<u64>()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(DemoError::start("the temporary folder"))?;
    Ok(Folder(folder))
}

fn write_private(path: &std::path::Path, content: &[u8]) -> Result<(), DemoError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content)).map_err(DemoError::start("the temporary folder"))
}

/// An authority of the demo's own and a certificate by it for the gateway; returns the authority's, PEM.
fn write_certificates(folder: &std::path::Path) -> Result<String, DemoError> {
    let failed = |e: rcgen::Error| DemoError::Start { what: "the certificate", why: e.to_string() };
    let authority_key = KeyPair::generate().map_err(failed)?;
    let mut authority = CertificateParams::new(vec![]).map_err(failed)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).map_err(failed)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).map_err(failed)?;
    let certificate = certificate.signed_by(&key, &issuer).map_err(failed)?;
    write_private(&folder.join("certificate.pem"), certificate.pem().as_bytes())?;
    write_private(&folder.join("key.pem"), key.serialize_pem().as_bytes())?;
    Ok(authority_certificate.pem())
}

fn configuration(folder: &std::path::Path, dns: SocketAddr, receiver_port: u16) -> String {
    let folder = folder.display();
    format!(
        r#"version  = 1
hostname = "{HOSTNAME}"
data_dir = "{folder}/data"

[[listen]]
name = "submission"
addr = ["127.0.0.1:0"]
kind = "submission"
tls  = "starttls-required"
[[listen]]
name = "web"
addr = ["127.0.0.1:0"]
kind = "http"

[tls]
certificate = "file:{folder}/certificate.pem"
key         = "file:{folder}/key.pem"
[crypto]
kek = "file:{folder}/kek"
[queue]
retry = ["1s", "2s"]
reserve_free = "1MB"
[dns]
servers   = ["{dns}"]
smtp_port = {receiver_port}
"#
    )
}

/// Makes the tenant, its domain, its keys with their records, and a credential.
async fn furnish(gateway: &Arc<Gateway>, dns: &DnsServer) -> Result<(String, String), DemoError> {
    let inside = |e: &dyn std::fmt::Display| DemoError::Inside(e.to_string());
    let domain: DomainName = DOMAIN.parse().map_err(|e| inside(&e))?;
    let registry = gateway.registry().clone();
    let name = domain.clone();
    let made = tokio::task::spawn_blocking(move || {
        registry.add_tenant(TENANT, BY)?;
        registry.add_domain(&name, TENANT, BY)?;
        registry.new_credential(TENANT, &[], None, BY)
    });
    let made = made.await.map_err(|e| inside(&e))?.map_err(|e| inside(&e))?;
    let operator = waxseal_dns::Operator { hostname: HOSTNAME.to_owned(), ..waxseal_dns::Operator::default() };
    let records = gateway.registry().domain_records(&domain, &operator).map_err(|e| inside(&e))?;
    for record in records.records {
        if record.record_type == waxseal_dns::RecordType::Txt {
            dns.publish_text(&record.owner, &record.value).await?;
        }
    }
    let directory = gateway.registry().snapshot();
    for key in directory.dkim_keys(&domain) {
        let (registry, domain, selector) = (gateway.registry().clone(), domain.clone(), key.selector.clone());
        let activated = tokio::task::spawn_blocking(move || {
            registry.mark_dkim_published(&domain, &selector, BY)?;
            registry.activate_dkim_key(&domain, &selector, false, BY)
        });
        activated.await.map_err(|e| inside(&e))?.map_err(|e| inside(&e))?;
    }
    Ok((made.user.clone(), made.secret.to_string()))
}

fn client(
    submission: SocketAddr,
    authority: &str,
    user: String,
    secret: String,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, DemoError> {
    let failed = |e: lettre::transport::smtp::Error| DemoError::Start { what: "the client", why: e.to_string() };
    let authority = Certificate::from_pem(authority.as_bytes()).map_err(failed)?;
    let tls = TlsParameters::builder("localhost".to_owned()).add_root_certificate(authority).build().map_err(failed)?;
    Ok(AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(submission.ip().to_string())
        .port(submission.port())
        .tls(Tls::Required(tls))
        .authentication(vec![Mechanism::Plain])
        .credentials(Credentials::new(user, secret))
        .build())
}
