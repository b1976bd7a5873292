//! Is this the certificate that was asked for? rustls' question, where no certificate authority answers it.
//!
//! Promises: whatever is asked of the certificate, the handshake is signed by its key, so whoever answers holds that
//! key. With [`Accepts::Recorded`] the certificate is one that the host's TLSA records name (RFC 7672 §3).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::dane::TlsaSet;

/// Which certificates will do.
#[derive(Debug)]
pub enum Accepts {
    /// Any: encryption without proof of who answers.
    Any,
    /// Those that these records name.
    Recorded(Arc<TlsaSet>),
}

/// See the module.
#[derive(Debug)]
pub struct CertificateVerifier {
    /// Which certificates will do.
    pub accepts: Accepts,
    /// Whose signature algorithms are used.
    pub provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for CertificateVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.accepts {
            Accepts::Any => Ok(()),
            Accepts::Recorded(set) => set.check(end_entity, intermediates, now, &self.provider),
        }
        .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
