//! The certificate of the TLS listeners: read from PEM, TLS 1.2 and 1.3, one crypto provider.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::RunError;
use crate::config::Config;
use crate::smtp::TlsSlot;

/// A slot with the configured certificate, or an empty one.
pub fn slot(config: &Config) -> Result<TlsSlot, RunError> {
    Ok(server_config(config)?.map_or_else(TlsSlot::default, TlsSlot::new))
}

/// The TLS configuration of the listeners; none without a `[tls]` section.
pub fn server_config(config: &Config) -> Result<Option<Arc<ServerConfig>>, RunError> {
    let Some(files) = &config.tls else { return Ok(None) };
    let bad = |what: &str, e: &dyn std::fmt::Display| RunError::Tls(format!("{what}: {e}"));
    let chain = files.certificate.read().map_err(|e| bad("certificate", &e))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|e| bad("certificate", &e))?;
    if chain.is_empty() {
        return Err(bad("certificate", &"no certificate in the file; PEM with the chain, the leaf first, is wanted"));
    }
    let key = files.key.read().map_err(|e| bad("key", &e))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|e| bad("key", &e))?;
    let server = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| bad("versions", &e))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| bad("certificate and key", &e))?;
    Ok(Some(Arc::new(server)))
}
