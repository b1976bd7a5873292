//! A certificate authority for one test, and the two ends of TLS that trust it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::wire::Stream;

/// A certificate authority; its certificate goes where the program under test looks for trust anchors.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, as PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
    /// A TLSA record's data that names the key whole (DANE-EE, SPKI, no digest).
    pub tlsa: String,
    config: Arc<ServerConfig>,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "Waxseal test authority");
        let key = KeyPair::generate().expect("the provider makes keys");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("the parameters are constant");
        Self { issuer }
    }

    /// Its certificate, as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A TLSA record's data that names the authority's certificate whole (DANE-TA).
    pub fn tlsa(&self) -> String {
        format!("2 0 0 {}", hex(self.issuer.der()))
    }

    /// A certificate for these names and addresses.
    pub fn certify(&self, names: &[&str]) -> Certified {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("the names of tests are valid");
        let key = KeyPair::generate().expect("the provider makes keys");
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority may sign");
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .expect("the key belongs to the certificate");
        let tlsa = format!("3 1 0 {}", hex(&key.subject_public_key_info()));
        Certified { certificate: certificate.pem(), key: key.serialize_pem(), tlsa, config: Arc::new(config) }
    }

    /// A client's end over `stream`, to a host that must prove `name` by this authority.
    pub fn connect<S: Stream>(&self, stream: S, name: &str) -> io::Result<StreamOwned<ClientConnection, S>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.issuer.der().to_vec())).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut tls =
            StreamOwned::new(ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?, stream);
        tls.conn.complete_io(&mut tls.sock)?;
        Ok(tls)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().concat()
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Certified {
    /// A server's end over `stream`; returns when the handshake is done.
    pub fn accept<S: Stream>(&self, stream: S) -> io::Result<StreamOwned<ServerConnection, S>> {
        let connection = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(connection, stream);
        tls.conn.complete_io(&mut tls.sock)?;
        Ok(tls)
    }

    /// Writes `certificate.pem` and `key.pem` into `folder`.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::write(folder.join("certificate.pem"), &self.certificate)?;
        std::fs::write(folder.join("key.pem"), &self.key)
    }
}
