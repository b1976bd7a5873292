//! TLS towards other servers: TLS 1.2 and 1.3 by rustls with aws-lc-rs, passed explicitly.
//!
//! Promises: one configuration and one store of sessions for each [`Proof`], so that a session that was begun
//! without proof is never resumed where proof is needed. Where any certificate will do, the handshake's signatures
//! are still checked: whoever answers holds the key of the certificate that is written down as evidence.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::outcome::TlsFacts;
use super::tls_policy::Proof;
use crate::sign::TlsLevel;

/// Sessions that are kept for resumption, a policy.
const SESSIONS: usize = 4_096;

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

/// The client's side of TLS for every kind of proof.
pub struct TlsClients {
    any: Arc<ClientConfig>,
    extra: Vec<CertificateDer<'static>>,
    /// Made when first needed: reading the system's trust anchors takes tens of milliseconds, and a machine
    /// without any must still be able to deliver opportunistically.
    web_pki: OnceLock<Result<Arc<ClientConfig>, TlsSetupError>>,
}

impl TlsClients {
    /// Reads `ca_file`, whose anchors are trusted beside the system's.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsSetupError> {
        let extra = match ca_file {
            None => Vec::new(),
            Some(file) => read_anchors(file)?,
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let any = configuration(&provider, Arc::new(AnyCertificate(Arc::clone(&provider))))?;
        Ok(Self { any, extra, web_pki: OnceLock::new() })
    }

    /// The configuration for a kind of proof.
    pub fn client(&self, proof: Proof) -> Result<Arc<ClientConfig>, TlsSetupError> {
        match proof {
            Proof::AnyCertificate => Ok(Arc::clone(&self.any)),
            Proof::WebPki => self.web_pki.get_or_init(|| self.verifying()).clone(),
        }
    }

    fn verifying(&self) -> Result<Arc<ClientConfig>, TlsSetupError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier =
            rustls_platform_verifier::Verifier::new_with_extra_roots(self.extra.iter().cloned(), Arc::clone(&provider))
                .map_err(|error| TlsSetupError::Provider(error.to_string()))?;
        configuration(&provider, Arc::new(verifier))
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
) -> Result<Arc<ClientConfig>, TlsSetupError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsSetupError::Provider(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(Arc::new(config))
}

/// What a finished handshake agreed on.
pub fn facts(connection: &rustls::ClientConnection, proof: Proof, policy: TlsLevel) -> TlsFacts {
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
    TlsFacts { version: version.to_owned(), cipher, verified: proof == Proof::WebPki, policy }
}

/// Takes any certificate, but not a handshake that its key did not sign.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
