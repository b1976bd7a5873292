//! Changes of the operator's zone for delegated keys, by RFC 2136 with TSIG (RFC 8945).

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dns_update::providers::rfc2136::DnsAddress;
use dns_update::{DnsRecord, DnsRecordType, DnsUpdater, TsigAlgorithm};

use super::RunError;
use crate::config::DkimDelegation;
use crate::tenants::delegation::{PublishError, SLOT_TTL, SlotPublisher};

/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The zone's server.
pub(super) struct ZoneSlots {
    updater: DnsUpdater,
    zone: String,
}

impl ZoneSlots {
    /// With the configured key.
    pub(super) fn new(delegation: &DkimDelegation) -> Result<Self, RunError> {
        let wrong = |why: &str| RunError::Dns(format!("delegation_key: {why}"));
        let secret = delegation.key.read().map_err(|e| wrong(&e.to_string()))?;
        let text = std::str::from_utf8(&secret).map_err(|_| wrong("not text"))?.trim();
        let mut parts = text.splitn(3, ':');
        let (Some(algorithm), Some(name), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("write algorithm:name:secret, as nsupdate -y takes it"));
        };
        let algorithm = match algorithm.to_ascii_lowercase().as_str() {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => return Err(wrong("the algorithm is hmac-sha256, hmac-sha384 or hmac-sha512")),
        };
        let secret = STANDARD.decode(secret).map_err(|_| wrong("the secret is not base64"))?;
        let updater = DnsUpdater::new_rfc2136_tsig(DnsAddress::Tcp(delegation.server), name, secret, algorithm);
        let updater = updater.map_err(|e| wrong(&e.to_string()))?;
        Ok(Self { updater, zone: delegation.zone.to_string() })
    }
}

#[async_trait]
impl SlotPublisher for ZoneSlots {
    async fn set(&self, name: &str, value: Option<&str>) -> Result<(), PublishError> {
        let records = value.map(|value| DnsRecord::TXT(value.to_owned())).into_iter().collect();
        let change = self.updater.set_rrset(name, DnsRecordType::TXT, SLOT_TTL, records, self.zone.as_str());
        let done = tokio::time::timeout(PATIENCE, change).await;
        let done = done.map_err(|_| PublishError("the zone's server did not answer in time".to_owned()))?;
        done.map_err(|error| PublishError(error.to_string()))
    }
}
