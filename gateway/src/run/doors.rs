//! The doors for mail.

use std::sync::Arc;

use super::RunError;
use crate::clock::Clock;
use crate::config::Config;
use crate::pipeline::Pipeline;
use crate::smtp::addressees::{Addressees, Desk};
use crate::smtp::{SmtpParts, SmtpServer, TlsSlot};
use crate::tenants::Registry;

/// Who answers at RCPT, and takes what comes in.
pub(super) struct Desks {
    pub(super) addressees: Arc<dyn Addressees>,
    pub(super) bounces: Desk,
    pub(super) posts: Desk,
}

/// Binds them.
pub(super) async fn bind(
    config: &Config,
    registry: &Arc<Registry>,
    pipeline: &Arc<Pipeline>,
    desks: Desks,
    tls: &TlsSlot,
    clock: &Arc<dyn Clock>,
) -> Result<SmtpServer, RunError> {
    let parts = SmtpParts {
        hostname: config.hostname.clone(),
        limits: config.limits.clone(),
        listeners: config.listeners.clone(),
        tls: tls.clone(),
        acceptor: pipeline.clone(),
        addressees: desks.addressees,
        bounces: Some(desks.bounces),
        posts: Some(desks.posts),
        credentials: registry.clone(),
        clock: clock.clone(),
        decoy_key: registry.decoy_key(),
    };
    SmtpServer::bind(parts).await.map_err(|e| RunError::Listen(e.to_string()))
}
