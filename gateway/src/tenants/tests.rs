//! Every operation of the registry, the walls between tenants, and a plain model to compare with.

mod crashes;
mod model;
mod months;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordVerifier as _, phc::PasswordHash};
use waxseal_keys::Algorithm;
use waxseal_keys::sealing::KeyEncryptionKey;

use waxseal_dns::{Operator, Purpose};

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::observe::Event;
use crate::sign::Signers as _;
use crate::store::control::ControlError;

fn kek(octet: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::parse(&format!("{octet:02x}").repeat(32)).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-11-23T12:00:00Z").unwrap()))
}

fn open(folder: &Path) -> Registry {
    let registry = Registry::open(folder, &kek(1), clock()).unwrap();
    registry.set_domain_rules(DomainRules { algorithms: vec![Algorithm::Ed25519], ..DomainRules::default() });
    registry
}

fn domain(name: &str) -> DomainName {
    name.parse().unwrap()
}

fn with_two_tenants() -> (tempfile::TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = open(folder.path());
    registry.add_tenant("acme", "root").unwrap();
    registry.add_tenant("beta", "root").unwrap();
    registry.add_domain(&domain("acme.example"), "acme", "root").unwrap();
    registry.add_domain(&domain("mail.beta.example"), "beta", "root").unwrap();
    (folder, registry)
}

#[test]
fn what_was_added_is_there_after_a_restart() {
    let (folder, registry) = with_two_tenants();
    let policy = TenantPolicy { subdomains: true, ..TenantPolicy::default() };
    registry.set_policy("acme", policy.clone(), "root").unwrap();
    let made = registry.new_credential("acme", &["10.1.2.3/8".parse().unwrap()], None, "root").unwrap();
    drop(registry);
    let registry = open(folder.path());
    assert!(registry.opening_events().is_empty());
    let directory = registry.snapshot();
    let acme = directory.tenant_by_name("acme").unwrap();
    assert_eq!(acme.policy, policy);
    assert_eq!(directory.tenant(acme.id), Some(acme));
    assert_eq!(directory.domains_of(acme.id), [domain("acme.example")]);
    assert_eq!(directory.owner(&domain("acme.example")), Some(acme.id));
    assert_eq!(directory.owner(&domain("sub.acme.example")), None, "exactly this domain");
    assert_eq!((directory.tenants().count(), directory.domains().count()), (2, 2));
    let credential = directory.credential(&made.user).unwrap();
    assert!(made.user.starts_with("acme-") && credential.tenant == acme.id);
    assert_eq!(credential.networks[0].to_string(), "10.0.0.0/8");
    let phc = PasswordHash::new(&credential.argon2id).unwrap();
    assert!(argon2::Argon2::default().verify_password(made.secret.as_bytes(), &phc).is_ok());
}

#[test]
fn names_and_policies_that_cannot_be_are_refused() {
    let (_folder, registry) = with_two_tenants();
    for bad in ["", "Acme", "a b", "-a", "é", &"a".repeat(64)] {
        assert!(matches!(registry.add_tenant(bad, "root"), Err(RegistryError::TenantName(_))), "{bad:?}");
    }
    let error = registry.add_tenant("acme", "root").unwrap_err();
    assert_eq!((error.refusal(), error), (Refusal::Forbidden, RegistryError::TenantExists("acme".to_owned())));
    let error = registry.set_policy("nobody", TenantPolicy::default(), "root").unwrap_err();
    assert_eq!(error.refusal(), Refusal::NotFound);
    let keep = redact::Keep { first: 7, last: 4 };
    let redaction = Some(redact::Policy { keep, ..redact::Policy::default() });
    let policy = TenantPolicy { redaction, ..TenantPolicy::default() };
    assert_eq!(registry.set_policy("acme", policy, "root").unwrap_err().refusal(), Refusal::Invalid);
    assert!(registry.set_policy("acme", TenantPolicy::default(), "root").unwrap().changes.is_empty());
}

#[test]
fn a_domain_and_all_around_it_has_one_tenant() {
    let (_folder, registry) = with_two_tenants();
    let crossing = |name: &str, tenant: &str| registry.add_domain(&domain(name), tenant, "root").unwrap_err();
    assert!(matches!(crossing("acme.example", "beta"), RegistryError::DomainTaken { tenant, .. } if tenant == "acme"));
    assert!(matches!(crossing("acme.example", "acme"), RegistryError::DomainTaken { .. }));
    for (name, tenant) in [("a.b.acme.example", "beta"), ("beta.example", "acme"), ("x.mail.beta.example", "acme")] {
        assert!(matches!(crossing(name, tenant), RegistryError::DomainCrosses { .. }), "{name}");
    }
    assert!(matches!(crossing("example", "acme"), RegistryError::TopLevel(_)));
    // Not below, only alike; and above or below within one tenant.
    registry.add_domain(&domain("notacme.example"), "beta", "root").unwrap();
    registry.add_domain(&domain("beta.example"), "beta", "root").unwrap();
    registry.add_domain(&domain("deep.mail.beta.example"), "beta", "root").unwrap();
    registry.remove_domain(&domain("acme.example"), false, "root").unwrap();
    registry.add_domain(&domain("acme.example"), "beta", "root").unwrap();
}

#[test]
fn a_return_path_is_never_another_tenants() {
    let (_folder, registry) = with_two_tenants();
    let policy = |path: &str| TenantPolicy { return_path: Some(domain(path)), ..TenantPolicy::default() };
    let error = registry.set_policy("acme", policy("b.mail.beta.example"), "root").unwrap_err();
    assert!(matches!(error, RegistryError::Policy(_)));
    registry.set_policy("acme", policy("bounce.acme.example"), "root").unwrap();
    registry.set_policy("beta", policy("bounce.shared.example"), "root").unwrap();
    let error = registry.add_domain(&domain("shared.example"), "acme", "root").unwrap_err();
    assert!(matches!(error, RegistryError::DomainCrosses { tenant, .. } if tenant == "beta"));
    registry.add_domain(&domain("shared.example"), "beta", "root").unwrap();
}

#[test]
fn a_credential_ends_with_its_time_its_revocation_or_its_tenant() {
    let (folder, registry) = with_two_tenants();
    let now = clock().now();
    let end = now + Duration::from_hours(1);
    let made = registry.new_credential("acme", &[], Some(end), "root").unwrap();
    let other = registry.new_credential("beta", &[], None, "root").unwrap();
    assert!(registry.new_credential("acme", &[], Some(now), "root").is_err());
    assert!(matches!(registry.new_credential("nobody", &[], None, "root"), Err(RegistryError::NoTenant(_))));
    let credential = registry.snapshot().credential(&made.user).unwrap();
    let from = "192.0.2.1".parse().unwrap();
    assert!(credential.usable(from, now) && !credential.usable(from, end));
    let listed = |tenant| registry.credentials(tenant).unwrap().len();
    assert_eq!((listed(Some("acme")), listed(Some("beta")), listed(None)), (1, 1, 2));
    registry.revoke_credential(&made.user, "root").unwrap();
    assert!(registry.snapshot().credential(&made.user).is_none());
    assert_eq!(registry.revoke_credential(&made.user, "root").unwrap_err().refusal(), Refusal::NotFound);
    registry.remove_tenant("beta", false, "root").unwrap();
    assert!(registry.snapshot().credential(&other.user).is_none());
    drop(registry);
    assert_eq!(open(folder.path()).snapshot().credentials().count(), 0);
}

#[test]
fn a_removed_tenant_leaves_its_data_key_and_nothing_else() {
    let (folder, registry) = with_two_tenants();
    let acme = registry.snapshot().tenant_by_name("acme").unwrap().id;
    let key = registry.data_key(acme).unwrap().id();
    assert_ne!(Some(key), registry.data_key(TenantId(acme.0 + 1)).map(|key| key.id()), "one key a tenant");
    let plan = registry.remove_tenant("acme", true, "root").unwrap();
    assert!(plan.dry_run && plan.changes.iter().any(|line| line.contains("acme.example")), "{:?}", plan.changes);
    assert!(registry.snapshot().tenant(acme).is_some());
    let done = registry.remove_tenant("acme", false, "root").unwrap();
    assert_eq!(done.changes, plan.changes);
    let again = registry.add_tenant("acme", "root").unwrap();
    assert_eq!(again.changes, ["added tenant acme"]);
    drop(registry);
    let registry = open(folder.path());
    let directory = registry.snapshot();
    assert!(directory.tenant(acme).is_none() && directory.owner(&domain("acme.example")).is_none());
    assert_eq!(directory.tenant_name(acme), Some("acme"));
    assert_eq!(registry.data_key(acme).unwrap().id(), key);
    let new = directory.tenant_by_name("acme").unwrap().id;
    assert!(new != acme && registry.data_key(new).unwrap().id() != key && directory.domains_of(new).is_empty());
}

#[test]
fn a_key_goes_its_way_from_generated_to_retired() {
    let (folder, registry) = with_two_tenants();
    let name = domain("acme.example");
    let key = |selector: &str| registry.snapshot().dkim_key(&name, selector).unwrap().clone();
    let signing = |registry: &Registry| -> Vec<String> {
        registry.snapshot().active(&name).iter().map(|signer| signer.selector().to_owned()).collect()
    };
    assert_eq!(key("wax202611a").state(), DkimState::Generated);
    assert!(signing(&registry).is_empty(), "a new key signs nothing");
    let told = registry.activate_dkim_key(&name, "wax202611a", false, "root").unwrap_err().to_string();
    assert!(told.contains("was not seen in DNS; publish it (waxseal domain records"), "{told}");
    registry.mark_dkim_published(&name, "wax202611a", "checker").unwrap();
    let change = registry.activate_dkim_key(&name, "WAX202611A", false, "ann").unwrap();
    assert!(matches!(&change.events[..], [Event::DkimKey { state: "active", by, .. }] if by == "ann"));
    assert!(registry.activate_dkim_key(&name, "wax202611a", false, "ann").unwrap().changes.is_empty());
    let (second, _) = registry.generate_dkim_key(&name, Algorithm::Rsa2048, None, "root").unwrap();
    assert_eq!(second, "wax202611b");
    registry.activate_dkim_key(&name, &second, true, "root").unwrap();
    assert_eq!(signing(&registry), ["wax202611a", "wax202611b"], "RSA last");
    let before = registry.snapshot().active(&name);
    registry.retire_dkim_key(&name, &second, false, "root").unwrap();
    assert_eq!(key(&second).state(), DkimState::Retiring);
    let error = registry.retire_dkim_key(&name, "wax202611a", false, "root").unwrap_err();
    assert!(matches!(error, RegistryError::LastActiveKey { .. }));
    assert!(Arc::ptr_eq(&before[0], &registry.snapshot().active(&name)[0]), "not parsed again");
    drop(registry);
    let registry = open(folder.path());
    assert_eq!(signing(&registry), ["wax202611a"]);
    let error = registry.retire_dkim_key(&name, &second, false, "root").unwrap_err();
    assert!(matches!(error, RegistryError::Overlap { .. }), "its letters are on their way: {error}");
    registry.retire_dkim_key(&name, &second, true, "root").unwrap();
    let error = registry.activate_dkim_key(&name, &second, true, "root").unwrap_err();
    assert!(matches!(error, RegistryError::KeyState { state: "retired", .. }));
    registry.retire_dkim_key(&name, "wax202611a", true, "root").unwrap();
    assert!(signing(&registry).is_empty());
}

#[test]
fn a_revoked_key_signs_nothing_and_its_record_says_so() {
    let (_folder, registry) = with_two_tenants();
    let name = domain("acme.example");
    registry.activate_dkim_key(&name, "wax202611a", true, "root").unwrap();
    let change = registry.revoke_dkim_key(&name, "wax202611a", "root").unwrap();
    assert!(change.changes[1].contains("no active DKIM key"), "{:?}", change.changes);
    let directory = registry.snapshot();
    assert!(directory.active(&name).is_empty());
    assert_eq!(directory.dkim_key(&name, "wax202611a").unwrap().record_value(), "v=DKIM1; k=ed25519; p=");
    assert!(registry.activate_dkim_key(&name, "wax202611a", true, "root").is_err());
    assert!(registry.retire_dkim_key(&name, "wax202611a", true, "root").is_err());
    assert!(registry.revoke_dkim_key(&name, "nothing", "root").is_err());
}

/// The secret key of RFC 8032 §7.1, test 1, as PKCS#8.
const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

#[test]
fn an_imported_key_keeps_its_selector_and_no_selector_comes_twice() {
    let (_folder, registry) = with_two_tenants();
    let name = domain("acme.example");
    let import = |selector: &str| registry.import_dkim_key(&name, selector, ED25519_PEM.as_bytes(), "root");
    // The public key that RFC 8032 gives for it.
    import("S1.East").unwrap();
    let key = registry.snapshot().dkim_key(&name, "s1.east").unwrap().clone();
    assert_eq!(
        (key.public_key.as_str(), key.state()),
        ("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", DkimState::Generated)
    );
    assert!(matches!(import("s1.east"), Err(RegistryError::SelectorSpent { .. })));
    for bad in ["", "a_b", "a..b", "-a", "a b", &"a".repeat(64), "a\0b"] {
        assert!(matches!(import(bad), Err(RegistryError::Selector(_))), "{bad:?}");
    }
    let garbage = registry.import_dkim_key(&name, "s2", b"garbage", "root").unwrap_err();
    assert_eq!(garbage.refusal(), Refusal::Invalid);
    // Deleted with its domain, remembered all the same.
    registry.remove_domain(&name, false, "root").unwrap();
    assert!(matches!(import("s2"), Err(RegistryError::NoDomain(_))));
    registry.add_domain(&name, "beta", "root").unwrap();
    assert!(matches!(import("s1.east"), Err(RegistryError::SelectorSpent { .. })));
    let selectors: Vec<_> = registry.snapshot().dkim_keys(&name).map(|key| key.selector.clone()).collect();
    assert_eq!(selectors, ["wax202611b"]);
}

#[test]
fn a_sealed_key_opens_only_in_its_place() {
    let (_folder, registry) = with_two_tenants();
    let directory = registry.snapshot();
    let entry = directory.key_entry(&domain("acme.example"), "wax202611a").unwrap();
    assert!(entry.open().is_ok());
    let beta = directory.tenant_by_name("beta").unwrap().id;
    let stolen = dkim_key::KeyEntry::read(entry.stored.clone(), directory.data_key(beta).unwrap());
    assert!(stolen.open().is_err() && stolen.signer().is_none(), "another tenant's key does not open it");
    let mut moved = entry.stored.clone();
    moved.key.domain = domain("other.example");
    let acme = directory.tenant_by_name("acme").unwrap().id;
    let moved = dkim_key::KeyEntry::read(moved, directory.data_key(acme).unwrap());
    assert!(moved.open().is_err(), "nor in another domain's place");
    let shown = serde_json::to_string(directory.dkim_key(&domain("acme.example"), "wax202611a").unwrap()).unwrap();
    assert!(!shown.contains("sealed"), "{shown}");
}

#[test]
fn a_file_is_applied_once_and_then_changes_nothing() {
    let (folder, registry) = with_two_tenants();
    let file = TenantFile::parse(
        "[[tenants]]\nname = \"acme\"\ndomains = [\"acme.example\", \"acme.test\", \"moved.example\"]\n\
         policy = { subdomains = true, return_path = \"bounce.acme.example\" }\n\
         [[tenants]]\nname = \"gamma\"\ndomains = [\"gamma.example\"]\n",
    )
    .unwrap();
    registry.add_domain(&domain("moved.example"), "beta", "root").unwrap();
    let error = registry.apply(&file, false, false, "root").unwrap_err();
    assert!(matches!(error, RegistryError::DomainTaken { .. }), "moving takes prune");
    assert!(registry.snapshot().tenant_by_name("gamma").is_none(), "all or nothing");
    let plan = registry.apply(&file, true, true, "root").unwrap();
    assert!(plan.dry_run && registry.snapshot().tenant_by_name("beta").is_some());
    let done = registry.apply(&file, true, false, "root").unwrap();
    assert_eq!(done.changes, plan.changes);
    assert!(done.changes.contains(&"generated DKIM key wax202611a (ed25519) of gamma.example".to_owned()));
    for _ in 0..2 {
        assert!(registry.apply(&file, true, false, "root").unwrap().changes.is_empty());
        assert!(registry.apply(&file, false, true, "root").unwrap().changes.is_empty());
    }
    drop(registry);
    let directory = open(folder.path()).snapshot();
    assert!(directory.tenant_by_name("beta").is_none());
    let acme = directory.tenant_by_name("acme").unwrap();
    assert!(acme.policy.subdomains && directory.domains_of(acme.id).len() == 3);
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let (_folder, registry) = with_two_tenants();
    for (text, told) in [
        ("[[tenants]]\nname='x'\n[[tenants]]\nname='x'\n", "twice"),
        ("{\"tenants\":[{\"name\":\"x\",\"domains\":[\"a.example\",\"A.example\"]}]}", "twice"),
        (
            "{\"tenants\":[{\"name\":\"x\",\"domains\":[\"a.example\"]},{\"name\":\"y\",\"domains\":[\"b.a.example\"]}]}",
            "one below",
        ),
    ] {
        let error = registry.apply(&TenantFile::parse(text).unwrap(), false, true, "root").unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
    }
    for text in ["[[tenants]]\nnome='x'\n", "{\"tenants\":[{\"name\":\"x\",\"domains\":[\"a b\"]}]}", "{", "[["] {
        assert!(matches!(TenantFile::parse(text), Err(RegistryError::File(_))), "{text}");
    }
}

#[test]
fn the_wrong_kek_is_refused_and_the_right_one_still_works() {
    let (folder, registry) = with_two_tenants();
    drop(registry);
    let error = Registry::open(folder.path(), &kek(2), clock()).err().unwrap();
    assert!(matches!(&error, RegistryError::Control(ControlError::WrongKek { .. })), "{error}");
    assert_eq!(open(folder.path()).snapshot().tenants().count(), 2);
}

#[test]
fn after_a_rotation_of_the_kek_only_the_new_one_opens_and_every_key_signs() {
    let (folder, registry) = with_two_tenants();
    let name = domain("acme.example");
    registry.activate_dkim_key(&name, "wax202611a", true, "root").unwrap();
    registry.rotate_kek(&kek(2), "file:second", "root").unwrap();
    registry.add_tenant("gamma", "root").unwrap();
    drop(registry);
    assert!(Registry::open(folder.path(), &kek(1), clock()).is_err());
    let registry = Registry::open(folder.path(), &kek(2), clock()).unwrap();
    assert_eq!(registry.snapshot().active(&name).len(), 1);
    let gamma = registry.snapshot().tenant_by_name("gamma").unwrap().id;
    assert!(registry.data_key(gamma).is_some());
}

#[test]
fn every_change_stands_in_the_audit_in_order() {
    let (folder, registry) = with_two_tenants();
    registry.remove_domain(&domain("acme.example"), true, "root").unwrap();
    registry.remove_domain(&domain("acme.example"), false, "ann").unwrap();
    drop(registry);
    let registry = open(folder.path());
    registry.add_tenant("gamma", "joe").unwrap();
    let audit = registry.audit(None, 100).unwrap();
    let lines: Vec<_> = audit.iter().map(|(_, record)| (record.by.as_str(), record.what.as_str())).collect();
    assert_eq!(lines[0], ("root", "added tenant acme"));
    let last = &lines[lines.len() - 2..];
    assert_eq!(last[0], ("ann", "removed domain acme.example and its DKIM keys wax202611a from tenant acme"));
    assert_eq!(last[1], ("joe", "added tenant gamma"));
    assert!(audit.iter().map(|(number, _)| *number).eq(1..=audit.len() as u64));
    assert_eq!(registry.audit(Some(2), 1).unwrap(), [audit[2].clone()]);
}

#[test]
fn a_domain_has_the_records_of_its_living_keys() {
    let (_folder, registry) = with_two_tenants();
    let name = domain("acme.example");
    let policy = TenantPolicy { return_path: Some(domain("b.acme.example")), ..TenantPolicy::default() };
    registry.set_policy("acme", policy, "root").unwrap();
    registry.generate_dkim_key(&name, Algorithm::Ed25519, Some("old"), "root").unwrap();
    registry.retire_dkim_key(&name, "old", false, "root").unwrap();
    let operator = Operator { hostname: "mx1.relay.example".into(), ..Operator::default() };
    let records = registry.domain_records(&name, &operator).unwrap().records;
    let named = |purpose| records.iter().filter(|record| record.purpose == purpose).collect::<Vec<_>>();
    let [dkim] = named(Purpose::DkimKey)[..] else { panic!("{records:?}") };
    assert_eq!(dkim.owner, "wax202611a._domainkey.acme.example");
    let key = registry.snapshot().dkim_key(&name, "wax202611a").unwrap().public_key.clone();
    assert!(dkim.value.contains("k=ed25519") && dkim.value.ends_with(&format!("p={key}")), "{}", dkim.value);
    assert_eq!(named(Purpose::ReturnPathMx)[0].value, "10 mx1.relay.example");
    assert_eq!(named(Purpose::ReturnPathSpf)[0].owner, "b.acme.example");
    assert!(!named(Purpose::Dmarc)[0].required);
    assert!(registry.domain_records(&domain("no.example"), &operator).is_err());
}

#[test]
fn keys_of_the_first_versions_are_understood() {
    let written = |state: &str| {
        format!(
            r#"{{"domain":"acme.example","selector":"s1","tenant":1,"state":"{state}","algorithm":"ed25519",
            "key_type":"ed25519","public_key":"11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=","created":1000,"changed":2000}}"#
        )
    };
    for (state, expected) in [
        ("generated", DkimState::Generated),
        ("published", DkimState::Published),
        ("active", DkimState::Active),
        ("retiring", DkimState::Retiring),
        ("retired", DkimState::Destroyed),
        ("revoked", DkimState::Revoked),
    ] {
        let key: DkimKey = serde_json::from_str(&written(state)).unwrap();
        assert_eq!((key.state(), key.changed()), (expected, Timestamp::from_millis(2000)));
        let again: DkimKey = serde_json::from_str(&serde_json::to_string(&key).unwrap()).unwrap();
        assert_eq!(again, key, "and written as today's");
    }
}
