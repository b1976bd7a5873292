//! TLS towards other servers: TLS 1.2 and 1.3 by rustls with aws-lc-rs, passed explicitly.
//!
//! Promises: one configuration and one store of sessions for each [`Proof`] (for DANE: for each set of records), so
//! that a session that was begun without proof is never resumed where proof is needed. Where any certificate will do, the handshake's signatures
//! are still checked: whoever answers holds the key of the certificate that is written down as evidence.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::dane::TlsaSet;
use super::outcome::TlsFacts;
use super::tls_policy::{Decision, Proof};
use super::verifier::{Accepts, CertificateVerifier};

/// Sessions that are kept for resumption, a policy.
const SESSIONS: usize = 4_096;
/// Sessions that are kept for one host under DANE.
const DANE_SESSIONS: usize = 16;
/// Hosts whose DANE configuration is kept.
const DANE_HOSTS: usize = 4_096;

/// TLS could not be set up: the operator's fault.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsSetupError {
    /// `ca_file` cannot be read or holds no certificate.
    #[error("ca_file {file}: {why}")]
    CaFile {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// No trust anchors, or rustls refuses the set-up.
    #[error("TLS: {0}")]
    Provider(String),
}

/// The configuration that proves names, and what it proves them by.
type WebPki = (Arc<ClientConfig>, Arc<dyn ServerCertVerifier>);

/// The client's side of TLS for every kind of proof.
pub struct TlsClients {
    provider: Arc<CryptoProvider>,
    any: Arc<ClientConfig>,
    dane: Mutex<HashMap<Arc<TlsaSet>, Arc<ClientConfig>>>,
    extra: Vec<CertificateDer<'static>>,
    /// Made when first needed: reading the system's trust anchors takes tens of milliseconds, and a machine
    /// without any must still be able to deliver opportunistically.
    web_pki: OnceLock<Result<WebPki, TlsSetupError>>,
}

impl TlsClients {
    /// Reads `ca_file`, whose anchors are trusted beside the system's.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsSetupError> {
        let extra = match ca_file {
            None => Vec::new(),
            Some(file) => read_anchors(file)?,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = CertificateVerifier { accepts: Accepts::Any, provider: Arc::clone(&provider) };
        let any = configuration(&provider, Arc::new(verifier), SESSIONS)?;
        Ok(Self { provider, any, dane: Mutex::default(), extra, web_pki: OnceLock::new() })
    }

    /// The configuration for a kind of proof.
    pub fn client(&self, proof: &Proof) -> Result<Arc<ClientConfig>, TlsSetupError> {
        match proof {
            Proof::AnyCertificate => Ok(Arc::clone(&self.any)),
            Proof::WebPki => self.web_pki().map(|(config, _)| config),
            Proof::Dane(set) => self.dane(set),
        }
    }

    /// Would the web's authorities have proven this chain? For policies that are only tested.
    pub fn judge(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Result<(), rustls::Error> {
        let (_, verifier) = self.web_pki().map_err(|error| rustls::Error::General(error.to_string()))?;
        let Some((end_entity, intermediates)) = chain.split_first() else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        verifier.verify_server_cert(end_entity, intermediates, name, &[], UnixTime::now()).map(|_| ())
    }

    fn dane(&self, set: &Arc<TlsaSet>) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let mut kept = self.dane.lock();
        if let Some(config) = kept.get(set) {
            return Ok(Arc::clone(config));
        }
        let accepts = Accepts::Recorded(Arc::clone(set));
        let verifier = CertificateVerifier { accepts, provider: Arc::clone(&self.provider) };
        let config = configuration(&self.provider, Arc::new(verifier), DANE_SESSIONS)?;
        if kept.len() >= DANE_HOSTS {
            kept.clear();
        }
        kept.insert(Arc::clone(set), Arc::clone(&config));
        Ok(config)
    }

    fn web_pki(&self) -> Result<WebPki, TlsSetupError> {
        self.web_pki.get_or_init(|| self.verifying()).clone()
    }

    fn verifying(&self) -> Result<WebPki, TlsSetupError> {
        let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(
            self.extra.iter().cloned(),
            Arc::clone(&self.provider),
        );
        let verifier: Arc<dyn ServerCertVerifier> =
            Arc::new(verifier.map_err(|error| TlsSetupError::Provider(error.to_string()))?);
        Ok((configuration(&self.provider, Arc::clone(&verifier), SESSIONS)?, verifier))
    }
}

fn read_anchors(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let failure = |why: String| TlsSetupError::CaFile { file: file.display().to_string(), why };
    let anchors = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failure(error.to_string()))?;
    if anchors.is_empty() { Err(failure("no certificate in it".into())) } else { Ok(anchors) }
}

fn configuration(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    sessions: usize,
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetupError::Provider(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(sessions);
    Ok(Arc::new(config))
}

/// What a finished handshake agreed on.
pub fn facts(connection: &rustls::ClientConnection, decision: &Decision) -> TlsFacts {
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "unknown",
    };
    let cipher = connection
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        // rustls writes TLS 1.3 suites as TLS13_…; IANA and everybody's logs have TLS_….
        .map_or_else(|| "unknown".to_owned(), |name| name.replace("TLS13_", "TLS_"));
    let verified = decision.proof != Proof::AnyCertificate;
    TlsFacts { version: version.to_owned(), cipher, verified, policy: decision.name() }
}
