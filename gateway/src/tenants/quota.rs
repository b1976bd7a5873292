//! Quotas: how many recipients a tenant may submit in an hour and in a day.
//!
//! The hour and the day are sliding windows, counted in [`PIECES`] pieces: at no moment were more than the quota accepted
//! in the span before it, also not around midnight. What was refused does not count. Counts outlive a restart through
//! the ledger, but for the last seconds before a crash: no promise rests on them.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::TenantPolicy;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::store::ledger::{Ledger, LedgerError, Shelf};

/// Pieces of a window; the oldest one is counted whole, so a window is at most so much too strict.
const PIECES: u64 = 60;
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Recipients in a sliding span, by the piece of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Window {
    pieces: BTreeMap<u64, u64>,
    sum: u64,
}

impl Window {
    fn piece(span: Duration, at: Timestamp) -> u64 {
        at.millis() / (span.as_millis() as u64 / PIECES)
    }

    fn forget(&mut self, span: Duration, now: Timestamp) {
        let present = Self::piece(span, now);
        // Also what lies ahead: a clock that jumped back must not lock a tenant out until it has caught up.
        self.pieces.retain(|piece, _| piece + PIECES >= present && *piece <= present + PIECES);
        self.sum = self.pieces.values().sum();
    }

    /// When `wanted` more fit, if they do not now; the end of the span if they never do.
    fn fits(&mut self, span: Duration, limit: u64, wanted: u64, now: Timestamp) -> Result<(), Timestamp> {
        self.forget(span, now);
        let mut sum = self.sum;
        if sum + wanted <= limit {
            return Ok(());
        }
        let width = span.as_millis() as u64 / PIECES;
        for (piece, count) in &self.pieces {
            sum -= count;
            if sum + wanted <= limit {
                return Err(Timestamp::from_millis((piece + PIECES + 1) * width));
            }
        }
        Err(now + span)
    }

    fn add(&mut self, span: Duration, count: u64, now: Timestamp) {
        *self.pieces.entry(Self::piece(span, now)).or_default() += count;
        self.sum += count;
    }

    fn take_back(&mut self, span: Duration, count: u64, at: Timestamp) {
        if let Some(counted) = self.pieces.get_mut(&Self::piece(span, at)) {
            let less = count.min(*counted);
            *counted -= less;
            self.sum -= less.min(self.sum);
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Usage {
    hour: Window,
    day: Window,
}

/// A tenant has used its quota up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("tenant {tenant} may submit {limit} recipients in {span} and has used {used}")]
pub struct OverQuota {
    /// The tenant's name.
    pub tenant: String,
    /// The quota.
    pub limit: u64,
    /// `an hour` or `a day`.
    pub span: &'static str,
    /// Recipients in the span.
    pub used: u64,
    /// When this submission fits, if nothing else comes.
    pub free: Timestamp,
}

/// What was taken from a tenant's quota for a submission; given back unless it is kept.
#[must_use]
pub struct Taken {
    quotas: Arc<Quotas>,
    tenant: TenantId,
    count: u64,
    at: Timestamp,
    kept: bool,
}

impl Taken {
    /// The submission was accepted.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.kept
            && let Some((usage, _)) = self.quotas.used.lock().get_mut(&self.tenant)
        {
            usage.hour.take_back(HOUR, self.count, self.at);
            usage.day.take_back(DAY, self.count, self.at);
        }
    }
}

/// The quotas of all tenants.
#[derive(Default)]
pub struct Quotas {
    /// With whether the ledger knows it.
    used: Mutex<HashMap<TenantId, (Usage, bool)>>,
    ledger: OnceLock<Arc<dyn Ledger>>,
}

impl Quotas {
    /// Takes the counts of the last run from the ledger, and keeps there what comes. Blocks on the disk.
    pub fn keep_in(&self, ledger: Arc<dyn Ledger>) -> Result<(), LedgerError> {
        let facts = ledger.all(Shelf::Quotas)?;
        let read = facts.into_iter().filter_map(|(key, value)| {
            let tenant = TenantId(u32::from_be_bytes(key.try_into().ok()?));
            Some((tenant, (serde_json::from_slice(&value).ok()?, true)))
        });
        self.used.lock().extend(read);
        // A second ledger would be a mistake of the wiring; the first one stays.
        let _ = self.ledger.set(ledger);
        Ok(())
    }

    /// Writes what changed into the ledger. Blocks on the disk.
    pub fn save(&self, now: Timestamp) -> Result<(), LedgerError> {
        let Some(ledger) = self.ledger.get() else { return Ok(()) };
        let mut facts = Vec::new();
        for (tenant, (usage, known)) in self.used.lock().iter_mut().filter(|(_, (_, known))| !*known) {
            usage.hour.forget(HOUR, now);
            usage.day.forget(DAY, now);
            // Numbers and maps of numbers always serialize.
            facts.push((tenant.0.to_be_bytes().to_vec(), serde_json::to_vec(usage).ok()));
            *known = true;
        }
        if facts.is_empty() { Ok(()) } else { ledger.put(Shelf::Quotas, &facts) }
    }

    /// Takes a submission's recipients from its tenant's quota.
    pub fn take(
        self: &Arc<Self>,
        (tenant, name): (TenantId, &str),
        policy: &TenantPolicy,
        recipients: usize,
        now: Timestamp,
    ) -> Result<Option<Taken>, OverQuota> {
        if policy.recipients_per_hour.is_none() && policy.recipients_per_day.is_none() {
            return Ok(None);
        }
        let count = recipients as u64;
        let mut used = self.used.lock();
        let (usage, known) = used.entry(tenant).or_default();
        let over = |limit, span, used, free| OverQuota { tenant: name.to_owned(), limit, span, used, free };
        if let Some(limit) = policy.recipients_per_hour {
            let fits = usage.hour.fits(HOUR, limit, count, now);
            fits.map_err(|free| over(limit, "an hour", usage.hour.sum, free))?;
        }
        if let Some(limit) = policy.recipients_per_day {
            let fits = usage.day.fits(DAY, limit, count, now);
            fits.map_err(|free| over(limit, "a day", usage.day.sum, free))?;
        }
        usage.hour.add(HOUR, count, now);
        usage.day.add(DAY, count, now);
        *known = false;
        Ok(Some(Taken { quotas: self.clone(), tenant, count, at: now, kept: false }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::ledger::MemoryLedger;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_795_000_000_000 + seconds * 1000)
    }

    fn policy(hour: Option<u64>, day: Option<u64>) -> TenantPolicy {
        TenantPolicy { recipients_per_hour: hour, recipients_per_day: day, ..TenantPolicy::default() }
    }

    const ACME: (TenantId, &str) = (TenantId(1), "acme");

    #[test]
    fn an_hour_and_a_day_slide() {
        let quotas = Arc::new(Quotas::default());
        let policy = policy(Some(10), Some(15));
        let take = |count, now| quotas.take(ACME, &policy, count, at(now)).map(|taken| taken.unwrap().keep());
        take(10, 0).unwrap();
        let over = take(1, 60).unwrap_err();
        assert_eq!((over.limit, over.span, over.used), (10, "an hour", 10));
        assert_eq!(over.to_string(), "tenant acme may submit 10 recipients in an hour and has used 10");
        assert!(over.free > at(3600) && over.free <= at(3720), "{}", over.free);
        take(5, 3720).unwrap();
        assert_eq!(take(1, 3720).unwrap_err().span, "a day");
        assert!(take(16, 200_000).is_err(), "more than the quota never fits");
        take(10, 200_000).unwrap();
        assert_eq!(quotas.take((TenantId(2), "b"), &self::policy(None, None), 1000, at(0)).unwrap().map(|_| ()), None);
    }

    #[test]
    fn what_was_not_accepted_is_given_back_and_counts_outlive_a_restart() {
        let (quotas, policy) = (Arc::new(Quotas::default()), policy(Some(3), None));
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
        quotas.keep_in(ledger.clone()).unwrap();
        drop(quotas.take(ACME, &policy, 3, at(0)).unwrap());
        quotas.take(ACME, &policy, 2, at(1)).unwrap().unwrap().keep();
        quotas.save(at(2)).unwrap();
        let next = Arc::new(Quotas::default());
        next.keep_in(ledger).unwrap();
        assert_eq!(next.take(ACME, &policy, 2, at(3)).map(|_| ()).unwrap_err().used, 2);
        next.take(ACME, &policy, 1, at(3)).unwrap().unwrap().keep();
    }

    proptest! {
        /// At no moment were more accepted in the hour before it than the quota says, and what is refused fits when it is
        /// said to.
        #[test]
        fn never_more_than_the_quota(wishes in prop::collection::vec((1usize..8, 0u64..900), 1..200)) {
            let (quotas, policy) = (Arc::new(Quotas::default()), policy(Some(20), None));
            let (mut now, mut accepted): (u64, Vec<(u64, usize)>) = (0, Vec::new());
            for (count, later) in wishes {
                now += later;
                match quotas.take(ACME, &policy, count, at(now)) {
                    Ok(taken) => {
                        taken.unwrap().keep();
                        accepted.push((now, count));
                    }
                    Err(over) => {
                        now += over.free.since(at(now)).as_secs() + 1;
                        quotas.take(ACME, &policy, count, at(now)).unwrap().unwrap().keep();
                        accepted.push((now, count));
                    }
                }
                let inside = accepted.iter().filter(|(at, _)| at + 3600 > now).map(|(_, count)| count);
                prop_assert!(inside.sum::<usize>() <= 20);
            }
        }
    }
}
