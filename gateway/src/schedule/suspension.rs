//! Deliveries that a person suspended: of a tenant, to a domain, to a site, or where all that is given holds.
//!
//! Promises: a suspension is durable before it is answered and holds from then on, also after a restart, until its end or
//! until somebody resumes; what was under way ends as it would. Letters wait where they are: no attempt is counted, their
//! expiry and their delay notices come all the same. Unlike `queue hold` it covers what comes later, too.

use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::DomainPattern;
use crate::ids::TenantId;
use crate::message::DomainName;

/// What is suspended; all given parts must hold, and at least one is given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// A tenant's letters.
    pub tenant: Option<TenantId>,
    /// A recipient domain, `*.domain` or `*`.
    pub domain: Option<String>,
    /// A site by its name, or an MX host, `*.domain` for all below.
    pub site: Option<String>,
}

/// Why a scope is none: the person's mistake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// Nothing is given.
    #[error("suspend what? Give a tenant, a domain or a site")]
    Empty,
    /// The domain is no domain.
    #[error("\"{0}\" is no domain, *.domain or *")]
    Domain(String),
}

impl Scope {
    /// The same with names as they are compared.
    pub fn checked(self) -> Result<Self, ScopeError> {
        let domain = self.domain.map(|text| {
            let pattern: Result<DomainPattern, _> = text.trim().parse();
            pattern.map(|pattern| pattern.to_string()).map_err(|_| ScopeError::Domain(text))
        });
        let site = self.site.map(|site| site.trim().to_lowercase()).filter(|site| !site.is_empty());
        let scope = Self { tenant: self.tenant, domain: domain.transpose()?, site };
        if scope == Self::default() { Err(ScopeError::Empty) } else { Ok(scope) }
    }

    /// Does it cover a tenant's recipient? `site` is the name of the destination's site, `None` while it is not known.
    pub fn covers(&self, tenant: TenantId, domain: &DomainName, site: Option<&str>) -> bool {
        let domain_fits = |text: &String| text.parse::<DomainPattern>().is_ok_and(|pattern| pattern.matches(domain));
        self.tenant.is_none_or(|wanted| wanted == tenant)
            && self.domain.as_ref().is_none_or(domain_fits)
            && self.site.as_ref().is_none_or(|wanted| site.is_some_and(|site| is_site(wanted, site)))
    }

    /// Is every part that `asked` gives the same here?
    fn has(&self, asked: &Self) -> bool {
        (asked.tenant.is_none() || asked.tenant == self.tenant)
            && (asked.domain.is_none() || asked.domain == self.domain)
            && (asked.site.is_none() || asked.site == self.site)
    }
}

/// `google` and `group/google` name the group; `mx1.example.net` and `*.example.net` every site with such a host.
fn is_site(wanted: &str, site: &str) -> bool {
    let (kind, name) = site.split_once('/').unwrap_or(("", site));
    if wanted == site || wanted == name {
        return true;
    }
    let Ok(pattern) = wanted.parse::<DomainPattern>() else { return false };
    let hosts = name.split([',', ' ', ':', '/']);
    kind != "group" && hosts.filter_map(|host| host.parse().ok()).any(|host: DomainName| pattern.matches(&host))
}

/// A suspension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// What.
    pub scope: Scope,
    /// Since when.
    pub since: Timestamp,
    /// Until when; `None` is until somebody resumes.
    pub until: Option<Timestamp>,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl Suspension {
    /// For people: who suspended until when, and why.
    pub fn words(&self) -> String {
        let until = self.until.map_or_else(|| "until somebody resumes".to_owned(), |until| format!("until {until}"));
        format!("suspended by {} {until}: {}", self.by, self.reason)
    }

    /// Does it hold now?
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// Where suspensions are kept: the control store.
pub trait SuspensionKeeper: Send + Sync + 'static {
    /// All that are kept.
    fn load(&self) -> Result<Vec<Suspension>, String>;
    /// Writes these in the place of all that are kept; durable when it returns. `words` go into the audit.
    fn save(&self, all: &[Suspension], by: &str, words: String) -> Result<(), String>;
}

/// The suspensions of a scheduler.
#[derive(Default)]
pub(super) struct Suspensions {
    all: RwLock<Arc<[Suspension]>>,
    keeper: OnceLock<Arc<dyn SuspensionKeeper>>,
}

impl Suspensions {
    /// Takes what is kept, and keeps there what comes.
    pub(super) fn keep_in(&self, keeper: Arc<dyn SuspensionKeeper>) -> Result<(), String> {
        *self.all.write() = keeper.load()?.into();
        // A second keeper would be a mistake of the wiring; the first one stays.
        let _ = self.keeper.set(keeper);
        Ok(())
    }

    /// Is nothing suspended, whatever the time?
    pub(super) fn is_empty(&self) -> bool {
        self.all.read().is_empty()
    }

    /// Those that hold now.
    pub(super) fn now(&self, now: Timestamp) -> Vec<Suspension> {
        self.all.read().iter().filter(|suspension| suspension.holds(now)).cloned().collect()
    }

    /// The one that covers a recipient, the longest one if there are several.
    pub(super) fn of(
        &self,
        tenant: TenantId,
        domain: &DomainName,
        site: Option<&str>,
        now: Timestamp,
    ) -> Option<Suspension> {
        let all = self.all.read();
        let found = all.iter().filter(|one| one.holds(now) && one.scope.covers(tenant, domain, site));
        found.max_by_key(|one| one.until.unwrap_or(Timestamp::from_millis(u64::MAX))).cloned()
    }

    /// Adds one; one with the same scope goes.
    pub(super) fn add(&self, new: &Suspension) -> Result<(), String> {
        let mut all = self.all.write();
        let others = all.iter().filter(|one| one.scope != new.scope && one.holds(new.since));
        let next: Vec<Suspension> = others.cloned().chain([new.clone()]).collect();
        self.save(&next, &new.by, format!("suspended {}: {}", scope_words(&new.scope), new.reason))?;
        *all = next.into();
        Ok(())
    }

    /// Ends those that have every part of `asked`; which ones.
    pub(super) fn end(&self, asked: &Scope, by: &str, now: Timestamp) -> Result<Vec<Suspension>, String> {
        let mut all = self.all.write();
        let (ended, left): (Vec<_>, Vec<_>) =
            all.iter().filter(|one| one.holds(now)).cloned().partition(|one| one.scope.has(asked));
        if !ended.is_empty() {
            let words: Vec<String> = ended.iter().map(|one| scope_words(&one.scope)).collect();
            self.save(&left, by, format!("resumed {}", words.join("; ")))?;
            *all = left.into();
        }
        Ok(ended)
    }

    /// Those that [`Suspensions::end`] would end.
    pub(super) fn matching(&self, asked: &Scope, now: Timestamp) -> Vec<Suspension> {
        self.now(now).into_iter().filter(|one| one.scope.has(asked)).collect()
    }

    fn save(&self, all: &[Suspension], by: &str, words: String) -> Result<(), String> {
        self.keeper.get().map_or(Ok(()), |keeper| keeper.save(all, by, words))
    }
}

/// `tenant 3, domain example.net`.
pub fn scope_words(scope: &Scope) -> String {
    let tenant = scope.tenant.map(|tenant| format!("tenant {}", tenant.0));
    let domain = scope.domain.as_ref().map(|domain| format!("domain {domain}"));
    let site = scope.site.as_ref().map(|site| format!("site {site}"));
    [tenant, domain, site].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn scope(tenant: Option<u32>, domain: &str, site: &str) -> Scope {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Scope { tenant: tenant.map(TenantId), domain: text(domain), site: text(site) }.checked().unwrap()
    }

    fn suspension(scope: Scope, until: Option<u64>) -> Suspension {
        Suspension { scope, since: at(0), until: until.map(at), by: "uid 0".into(), reason: "their outage".into() }
    }

    #[test]
    fn a_scope_covers_what_all_its_parts_cover() {
        let domain: DomainName = "mail.example.net".parse().unwrap();
        let covers = |scope: Scope, site: Option<&str>| scope.covers(TenantId(1), &domain, site);
        assert!(covers(scope(Some(1), "", ""), None) && !covers(scope(Some(2), "", ""), None));
        assert!(covers(scope(None, "MAIL.example.NET", ""), None) && covers(scope(None, "*.example.net", ""), None));
        assert!(!covers(scope(None, "example.net", ""), None) && !covers(scope(Some(2), "mail.example.net", ""), None));
        for site in ["google", "group/google"] {
            assert!(covers(scope(None, "", site), Some("group/google")), "{site}");
        }
        for site in ["mx1.example.net", "*.example.net", "mx/mx1.example.net,mx2.example.net"] {
            assert!(covers(scope(None, "", site), Some("mx/mx1.example.net,mx2.example.net")), "{site}");
        }
        assert!(covers(scope(None, "", "relay.example"), Some("route/relay.example:25//")));
        assert!(!covers(scope(None, "", "google"), None), "a site that is not known yet");
        assert_eq!(Scope::default().checked(), Err(ScopeError::Empty));
        let wrong = Scope { domain: Some("two words".into()), ..Scope::default() };
        assert_eq!(wrong.checked(), Err(ScopeError::Domain("two words".into())));
    }

    #[test]
    fn suspensions_end_by_time_or_by_a_person() {
        let all = Suspensions::default();
        let domain: DomainName = "a.example".parse().unwrap();
        let until = |now| all.of(TenantId(1), &domain, None, at(now)).map(|one| one.until);
        all.add(&suspension(scope(None, "a.example", ""), Some(100))).unwrap();
        all.add(&suspension(scope(Some(1), "", ""), Some(50))).unwrap();
        assert_eq!((until(10), until(99), until(100)), (Some(Some(at(100))), Some(Some(at(100))), None));
        all.add(&suspension(scope(Some(1), "", ""), None)).unwrap();
        assert_eq!(all.now(at(10)).len(), 2, "the same scope anew");
        assert_eq!(until(500), Some(None));
        assert_eq!(all.end(&scope(Some(2), "", ""), "me", at(10)).unwrap().len(), 0);
        assert_eq!(all.end(&scope(Some(1), "", ""), "me", at(10)).unwrap().len(), 1);
        assert_eq!(all.end(&Scope::default(), "me", at(10)).unwrap().len(), 1, "without a part: all");
    }

    /// A disk that fails changes nothing.
    #[test]
    fn what_is_not_durable_does_not_hold() {
        struct Broken;
        impl SuspensionKeeper for Broken {
            fn load(&self) -> Result<Vec<Suspension>, String> {
                Ok(vec![suspension(scope(None, "a.example", ""), None)])
            }
            fn save(&self, _: &[Suspension], _: &str, _: String) -> Result<(), String> {
                Err("disk".into())
            }
        }
        let all = Suspensions::default();
        all.keep_in(Arc::new(Broken)).unwrap();
        assert!(all.add(&suspension(scope(None, "b.example", ""), None)).is_err());
        assert!(all.end(&Scope::default(), "me", at(0)).is_err());
        let kept: Vec<_> = all.now(at(0)).into_iter().map(|one| one.scope.domain.unwrap()).collect();
        assert_eq!(kept, ["a.example"]);
    }
}
