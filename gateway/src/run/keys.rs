//! DKIM keys by the configuration: their rules, and the steward with its eyes.

use std::sync::Arc;
use std::time::Duration;

use waxseal_keys::life::Policy;

use super::RunError;
use super::retired::RetiredKeys;
use super::slots::ZoneSlots;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::message::DomainName;
use crate::store::{LetterRecord, LocalStore, Sought, Store as _};
use crate::tenants::delegation::Delegation;
use crate::tenants::steward::{Letters, Steward};
use crate::tenants::{DomainRules, Registry};
use crate::zones::HickoryZones;

/// Letters read at once.
const PAGE: usize = 1000;

/// `[dkim]`, with an overlap that covers the queue, and `[domains]`.
pub(super) fn rules(config: &Config) -> Result<DomainRules, RunError> {
    let algorithms: Result<Vec<_>, _> = config.dkim.algorithms.iter().map(|name| name.parse()).collect();
    let policy = Policy {
        rotate_every: config.dkim.rotate_every,
        prepublish: config.dkim.prepublish,
        overlap: config.dkim.overlap,
        keep_retired: config.dkim.keep_retired,
        disclose_retired: config.dkim.publish_retired.is_some(),
        ..Policy::default()
    };
    Ok(DomainRules {
        algorithms: algorithms.map_err(|e: waxseal_keys::UnknownAlgorithm| RunError::Control(e.to_string()))?,
        policy: policy.for_queue(config.queue.expire_after),
        proof_required: config.proof_required,
        delegation: config.dkim.delegation.as_ref().map(|delegation| Delegation {
            zone: delegation.zone.clone(),
            // Nobody has to be told in time to publish anything.
            policy: Policy { rotate_every: delegation.rotate_every, notice: Duration::from_hours(72), ..policy }
                .for_queue(config.queue.expire_after),
        }),
    })
}

/// The steward of these keys, who asks DNS as configured.
pub(super) fn open_steward(
    config: &Config,
    registry: &Arc<Registry>,
    store: &Arc<LocalStore>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Steward>, RunError> {
    let zones = Arc::new(HickoryZones::new(&config.dns).map_err(|e| RunError::Dns(e.to_string()))?);
    let mut steward = Steward::new(registry.clone(), zones, store.clone(), clock);
    if let Some(folder) = &config.dkim.publish_retired {
        steward = steward.disclosing(Arc::new(RetiredKeys(folder.clone())));
    }
    Ok(Arc::new(match &config.dkim.delegation {
        Some(delegation) => steward.publishing(Arc::new(ZoneSlots::new(delegation)?)),
        None => steward,
    }))
}

impl Letters for LocalStore {
    fn waiting(&self, domain: &DomainName, accepted_before: Timestamp) -> bool {
        // Nothing younger is read, and few are so old.
        let sought = Sought { accepted_until: Some(accepted_before), ..Sought::default() };
        let waits = |record: LetterRecord| {
            let from = record.from_domain.parse::<DomainName>();
            from.is_ok_and(|from| from.is_within(domain)) && record.states.iter().any(|state| !state.is_final())
        };
        let mut after = None;
        loop {
            let page = self.candidates(&sought, after, PAGE);
            let Some(last) = page.last() else { return false };
            after = Some(*last);
            if page.into_iter().filter_map(|id| self.find(id)).any(waits) {
                return true;
            }
        }
    }
}
