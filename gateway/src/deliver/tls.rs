//! TLS towards receiving servers: one client configuration for each level, sessions resumed.
//!
//! Without a proven name the handshake's signatures are checked all the same: who answers holds the key of the
//! certificate shown, so that what is recorded of a connection is true.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use rustls_platform_verifier::Verifier;

use crate::sign::TlsLevel;

/// Why the configurations cannot be made; the operator's (a bad `ca_file`, no trust store).
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `delivery.ca_file`.
    #[error("delivery.ca_file: {0}")]
    CaFile(String),
    /// rustls refused.
    #[error("TLS for delivery: {0}")]
    Rustls(#[from] Error),
}

/// The two configurations.
#[derive(Clone)]
pub struct ClientTls {
    unproven: Arc<ClientConfig>,
    proven: Arc<ClientConfig>,
}

impl ClientTls {
    /// Trusts what the machine trusts, and the certificates in `extra` (PEM).
    pub fn new(extra: Option<&[u8]>) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots: Vec<CertificateDer<'static>> = match extra {
            Some(pem) => {
                let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
                read.map_err(|e| TlsError::CaFile(e.to_string()))?
            }
            None => vec![],
        };
        let platform = Verifier::new_with_extra_roots(roots, provider.clone())?;
        let config = |verifier: Arc<dyn ServerCertVerifier>| -> Result<Arc<ClientConfig>, TlsError> {
            let config = ClientConfig::builder_with_provider(provider.clone())
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(verifier)
                .with_no_client_auth();
            Ok(Arc::new(config))
        };
        let unproven = config(Arc::new(AnyName(provider.clone())))?;
        Ok(Self { unproven, proven: config(Arc::new(platform))? })
    }

    /// The configuration for a level.
    pub fn config(&self, level: TlsLevel) -> Arc<ClientConfig> {
        match level {
            TlsLevel::Opportunistic | TlsLevel::Require => self.unproven.clone(),
            TlsLevel::Verify => self.proven.clone(),
        }
    }
}

/// Takes any certificate, but only from who holds its key.
#[derive(Debug)]
struct AnyName(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
