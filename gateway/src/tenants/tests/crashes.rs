//! The key store killed at each write of everything that is done to keys: no key is lost, every key opens, and something
//! signs.

use waxseal_keys::life::{Observation, Policy, Sighting};

use super::*;
use crate::store::control::tests::{PretendDisk, at_every_cut};

const DOMAIN: &str = "acme.example";

fn open_with(disk: &PretendDisk, octet: u8) -> Result<Registry, RegistryError> {
    let registry = Registry::open_on(Box::new(disk.clone()), &kek(octet), clock())?;
    // A record that is everywhere is enough: a turn is one look.
    let policy = Policy { prepublish: Duration::ZERO, ..Policy::default() };
    registry.set_domain_rules(DomainRules { algorithms: vec![Algorithm::Ed25519], policy, ..DomainRules::default() });
    Ok(registry)
}

/// A domain with a key that signs.
fn signing(disk: &PretendDisk) {
    let registry = open_with(disk, 1).unwrap();
    registry.add_tenant("acme", "root").unwrap();
    registry.add_domain(&domain(DOMAIN), "acme", "root").unwrap();
    registry.activate_dkim_key(&domain(DOMAIN), "wax202611a", true, "root").unwrap();
}

/// The same, with a successor beside it whose record was seen for long enough.
fn about_to_turn(disk: &PretendDisk) {
    signing(disk);
    let registry = open_with(disk, 1).unwrap();
    registry.rotate_dkim_keys(&domain(DOMAIN), false, "root").unwrap();
}

fn seen_everywhere(registry: &Registry) -> Observation {
    let (directory, name) = (registry.snapshot(), domain(DOMAIN));
    let records =
        directory.dkim_keys(&name).map(|key| (key.selector.clone(), Sighting::Everywhere { ttl: 0 })).collect();
    Observation { records, ..Observation::default() }
}

/// Every key that should have a private half has one that opens and fits its record.
#[track_caller]
fn assert_whole(registry: &Registry, case: &str) {
    let directory = registry.snapshot();
    let mut active = 0;
    for key in directory.dkim_keys(&domain(DOMAIN)) {
        active += usize::from(key.state() == DkimState::Active);
        let entry = directory.key_entry(&domain(DOMAIN), &key.selector).unwrap();
        if key.state().has_private_half() {
            let signer = entry.open().unwrap_or_else(|error| panic!("{case}: {}: {error}", key.selector));
            assert_eq!(signer.key().public_record_value(), key.public_key, "{case}");
        } else {
            assert!(entry.open().is_err(), "{case}: {} is {}", key.selector, key.state());
        }
    }
    assert!(active > 0, "{case}: nothing signs");
    assert!(registry.audit(None, 100).is_ok(), "{case}");
}

/// Does `act` with a kill at each write; afterwards all keys are whole, there are `before` or `after` of them, and the same
/// can be done again.
fn killed_at_each_write(
    prepare: fn(&PretendDisk),
    (before, after): (usize, usize),
    act: impl Fn(&Registry) -> Result<(), RegistryError>,
) {
    at_every_cut(
        prepare,
        |disk| act(&open_with(disk, 1).unwrap()).is_ok(),
        |disk, answered, case| {
            let registry = open_with(disk, 1).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_whole(&registry, case);
            let keys = registry.snapshot().dkim_keys(&domain(DOMAIN)).count();
            assert!(keys == after || !answered && keys == before, "{case}: {keys} keys");
            // The gateway goes on from there.
            act(&registry).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_whole(&registry, case);
        },
    );
}

#[test]
fn a_kill_at_any_write_of_a_new_key_loses_none() {
    killed_at_each_write(signing, (1, 2), |registry| {
        registry.generate_dkim_key(&domain(DOMAIN), Algorithm::Ed25519, None, "root").map(drop)
    });
}

#[test]
fn a_kill_at_any_write_of_a_rotation_loses_no_key() {
    killed_at_each_write(signing, (1, 2), |registry| {
        registry.rotate_dkim_keys(&domain(DOMAIN), false, "root").map(drop)
    });
    // The turn itself: the successor begins to sign and the other retires, in one write.
    killed_at_each_write(about_to_turn, (2, 2), |registry| {
        let seen = seen_everywhere(registry);
        registry.observe_dkim_keys(&domain(DOMAIN), &seen, "steward").map(drop)
    });
}

#[test]
fn a_kill_at_any_write_of_an_emergency_leaves_the_old_key_or_the_new_one() {
    killed_at_each_write(signing, (1, 2), |registry| {
        registry.rotate_dkim_keys_now(&domain(DOMAIN), "stolen", false, "root").map(drop)
    });
}

#[test]
fn a_kill_at_any_write_of_a_new_key_encryption_key_leaves_every_key_readable() {
    at_every_cut(
        about_to_turn,
        |disk| open_with(disk, 1).unwrap().rotate_kek(&kek(2), "file:second", "root").is_ok(),
        |disk, answered, case| {
            let registry = open_with(disk, 2).or_else(|error| {
                assert!(!answered, "{case}: {error}");
                open_with(disk, 1)
            });
            let registry = registry.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_whole(&registry, case);
            registry.rotate_kek(&kek(2), "file:second", "root").unwrap_or_else(|error| panic!("{case}: {error}"));
            drop(registry);
            assert_whole(&open_with(disk, 2).unwrap(), case);
        },
    );
}
