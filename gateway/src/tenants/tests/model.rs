//! Random operations on the registry and on a plain model of it, with restarts in between: both always agree.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const TENANTS: [&str; 3] = ["a", "b", "c"];
const DOMAINS: [&str; 5] = ["one.example", "x.one.example", "two.example", "y.two.example", "three.example"];

#[derive(Debug, Clone)]
enum Step {
    AddTenant(usize),
    RemoveTenant(usize, bool),
    AddDomain(usize, usize),
    RemoveDomain(usize),
    Subdomains(usize, bool),
    Generate(usize),
    Activate(usize, usize, bool),
    Retire(usize, usize, bool),
    Revoke(usize, usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let (tenant, domain, key) = (0..TENANTS.len(), 0..DOMAINS.len(), 0usize..3);
    prop_oneof![
        3 => tenant.clone().prop_map(Step::AddTenant),
        1 => (tenant.clone(), any::<bool>()).prop_map(|(t, dry)| Step::RemoveTenant(t, dry)),
        6 => (domain.clone(), tenant.clone()).prop_map(|(d, t)| Step::AddDomain(d, t)),
        2 => domain.clone().prop_map(Step::RemoveDomain),
        1 => (tenant, any::<bool>()).prop_map(|(t, on)| Step::Subdomains(t, on)),
        3 => domain.clone().prop_map(Step::Generate),
        5 => (domain.clone(), key.clone(), any::<bool>()).prop_map(|(d, k, even)| Step::Activate(d, k, even)),
        3 => (domain.clone(), key.clone(), any::<bool>()).prop_map(|(d, k, force)| Step::Retire(d, k, force)),
        1 => (domain, key).prop_map(|(d, k)| Step::Revoke(d, k)),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    tenants: BTreeMap<String, bool>,
    domains: BTreeMap<String, String>,
    /// By domain and selector; a selector is noted in `selectors` for good.
    keys: BTreeMap<(String, String), DkimState>,
    selectors: BTreeSet<(String, String)>,
}

impl Model {
    fn drop_domain(&mut self, domain: &str) {
        self.domains.remove(domain);
        self.keys.retain(|(of, _), _| of != domain);
    }

    fn may_add(&self, domain: &str, tenant: &str) -> bool {
        let related = |a: &str, b: &str| a == b || a.ends_with(&format!(".{b}"));
        self.tenants.contains_key(tenant)
            && !self.domains.contains_key(domain)
            && self
                .domains
                .iter()
                .all(|(other, owner)| owner == tenant || !related(other, domain) && !related(domain, other))
    }

    fn nth_key(&self, domain: &str, number: usize) -> Option<(String, DkimState)> {
        let mut keys = self.keys.iter().filter(|((of, _), _)| of == domain);
        keys.nth(number).map(|((_, selector), state)| (selector.clone(), *state))
    }

    fn active(&self, domain: &str) -> BTreeSet<String> {
        let of = |((of, _), state): &(&(String, String), &DkimState)| of == domain && **state == DkimState::Active;
        self.keys.iter().filter(of).map(|((_, selector), _)| selector.clone()).collect()
    }

    fn set(&mut self, domain: &str, selector: &str, state: DkimState) {
        self.keys.insert((domain.to_owned(), selector.to_owned()), state);
    }
}

fn seen(registry: &Registry) -> Model {
    let directory = registry.snapshot();
    let mut model = Model::default();
    for tenant in directory.tenants() {
        model.tenants.insert(tenant.name.clone(), tenant.policy.subdomains);
        for name in directory.domains_of(tenant.id) {
            assert_eq!(directory.owner(name), Some(tenant.id));
        }
    }
    for domain in directory.domains() {
        let owner = directory.tenant(domain.tenant).expect("a domain has a tenant");
        assert!(directory.domains_of(owner.id).contains(&domain.name));
        model.domains.insert(domain.name.to_string(), owner.name.clone());
        for key in directory.dkim_keys(&domain.name) {
            assert_eq!(key.tenant, domain.tenant);
            model.keys.insert((key.domain.to_string(), key.selector.clone()), key.state());
        }
        let signing: BTreeSet<String> =
            directory.active(&domain.name).iter().map(|signer| signer.selector().to_owned()).collect();
        let mut active = directory.dkim_keys(&domain.name).filter(|key| key.state() == DkimState::Active);
        assert!(active.all(|key| signing.contains(&key.selector)));
        assert_eq!(signing, model.active(domain.name.as_str()));
    }
    model
}

/// Notes the keys that the registry made; each must be new.
fn note_new_keys(registry: &Registry, model: &mut Model, name: &str) {
    let directory = registry.snapshot();
    for key in directory.dkim_keys(&domain(name)) {
        let at = (name.to_owned(), key.selector.clone());
        if !model.keys.contains_key(&at) {
            assert!(model.selectors.insert(at.clone()), "selector {at:?} came twice");
            assert_eq!(key.state(), DkimState::Generated);
            model.keys.insert(at, key.state());
        }
    }
}

/// Does a step on both; the model says whether it must succeed.
fn both(registry: &Registry, model: &mut Model, step: &Step) -> bool {
    let (expected, result) = match *step {
        Step::AddTenant(t) => {
            let name = TENANTS[t];
            let expected = !model.tenants.contains_key(name);
            model.tenants.entry(name.to_owned()).or_default();
            (expected, registry.add_tenant(name, "test").is_ok())
        }
        Step::RemoveTenant(t, dry_run) => {
            let name = TENANTS[t];
            let expected = model.tenants.contains_key(name);
            if !dry_run {
                model.tenants.remove(name);
                let of = model.domains.iter().filter(|(_, owner)| *owner == name);
                of.map(|(domain, _)| domain.clone()).collect::<Vec<_>>().iter().for_each(|d| model.drop_domain(d));
            }
            (expected, registry.remove_tenant(name, dry_run, "test").is_ok())
        }
        Step::AddDomain(d, t) => {
            let expected = model.may_add(DOMAINS[d], TENANTS[t]);
            let result = registry.add_domain(&domain(DOMAINS[d]), TENANTS[t], "test").is_ok();
            if expected {
                model.domains.insert(DOMAINS[d].to_owned(), TENANTS[t].to_owned());
                note_new_keys(registry, model, DOMAINS[d]);
            }
            (expected, result)
        }
        Step::RemoveDomain(d) => {
            let expected = model.domains.contains_key(DOMAINS[d]);
            model.drop_domain(DOMAINS[d]);
            (expected, registry.remove_domain(&domain(DOMAINS[d]), false, "test").is_ok())
        }
        Step::Subdomains(t, subdomains) => {
            let found = model.tenants.get_mut(TENANTS[t]).map(|policy| *policy = subdomains);
            let policy = TenantPolicy { subdomains, ..TenantPolicy::default() };
            (found.is_some(), registry.set_policy(TENANTS[t], policy, "test").is_ok())
        }
        Step::Generate(d) => {
            let expected = model.domains.contains_key(DOMAINS[d]);
            let result = registry.generate_dkim_key(&domain(DOMAINS[d]), Algorithm::Ed25519, None, "test").is_ok();
            note_new_keys(registry, model, DOMAINS[d]);
            (expected, result)
        }
        Step::Activate(..) | Step::Retire(..) | Step::Revoke(..) => return both_on_a_key(registry, model, step),
        Step::Reopen => (true, true),
    };
    assert_eq!(result, expected, "{step:?}");
    expected
}

fn both_on_a_key(registry: &Registry, model: &mut Model, step: &Step) -> bool {
    use DkimState::{Active, Destroyed, Generated, Published, Retired, Retiring, Revoked, Verified};
    let (Step::Activate(d, k, _) | Step::Retire(d, k, _) | Step::Revoke(d, k)) = *step else { return false };
    let name = DOMAINS[d];
    let Some((selector, state)) = model.nth_key(name, k) else { return false };
    let alone = model.active(name).len() == 1;
    let (next, result) = match *step {
        Step::Activate(_, _, even) => {
            let next = match state {
                Active | Published | Verified | Retiring => Some(Active),
                Generated => even.then_some(Active),
                Retired | Destroyed | Revoked => None,
            };
            (next, registry.activate_dkim_key(&domain(name), &selector, even, "test"))
        }
        Step::Retire(_, _, force) => {
            let next = match state {
                Active => (force || !alone).then_some(Retiring),
                Retiring => force.then_some(Retired),
                Generated | Published | Verified | Retired => Some(Retired),
                Destroyed => Some(Destroyed),
                Revoked => None,
            };
            (next, registry.retire_dkim_key(&domain(name), &selector, force, "test"))
        }
        _ => (Some(Revoked), registry.revoke_dkim_key(&domain(name), &selector, "test")),
    };
    assert_eq!(result.is_ok(), next.is_some(), "{step:?} from {state:?}: {result:?}");
    if let Some(next) = next {
        model.set(name, &selector, next);
    }
    next.is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_registry_agrees_with_a_plain_model_through_restarts(steps in proptest::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut registry = open(folder.path());
        let mut model = Model::default();
        for step in &steps {
            if matches!(step, Step::Reopen) {
                drop(registry);
                registry = open(folder.path());
                prop_assert!(registry.opening_events().is_empty());
            }
            let before = registry.snapshot();
            if !both(&registry, &mut model, step) {
                prop_assert!(Arc::ptr_eq(&before, &registry.snapshot()), "a refusal changes nothing: {:?}", step);
            }
            let expected = Model { selectors: BTreeSet::new(), ..model.clone() };
            prop_assert_eq!(seen(&registry), expected, "after {:?}", step);
        }
    }
}
