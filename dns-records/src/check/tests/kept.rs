//! Checks that are kept as files in `dns-records/fixtures/`, one or more for each rule: as `waxseal domain check --save`
//! writes them, so that one which a user sent in replays in every later version.
//!
//! `WAXSEAL_WRITE_FIXTURES=1` writes them anew, after a change of their form that is meant.

use super::*;

/// File, the finding to look at, its status and its reason.
type Row = (&'static str, Fixture, &'static str, Status, &'static str);

const DELEGATED: &str = "wax1.d1.dkim.relay.example";

fn delegated() -> Expectations {
    let record = key_value().parse().unwrap();
    let keys = [PublishedKey { selector: "wax1".into(), record, delegated_to: Some(DELEGATED.to_owned()) }];
    let records = records_for("example.com", &keys, None, &Operator::default());
    Expectations { records, return_path: None, egress: Vec::new(), ..expectations() }
}

fn below() -> Expectations {
    let domain = "news.mail.example.com";
    let records = records_for(domain, &[], None, &Operator::default());
    Expectations { domain: domain.to_owned(), records, return_path: None, ..expectations() }
}

/// A world where the key's record is this.
fn key_is(value: &str) -> World {
    let mut world = good();
    world.set(KEY, Txt, &[value]);
    world
}

fn spf_is(values: &[&str]) -> World {
    let mut world = good();
    world.set("bounce.example.com", Txt, values);
    world
}

fn key_answers(reply: &Reply) -> World {
    let mut world = good();
    world.everywhere(KEY, Txt, reply);
    world
}

fn changed(change: impl FnOnce(&mut World)) -> World {
    let mut world = good();
    change(&mut world);
    world
}

fn heavy() -> World {
    let mut world = spf_is(&["v=spf1 ip4:192.0.2.10 a include:heavy.example -all"]);
    let terms: Vec<String> = (0..9).map(|n| format!("a:h{n}.example")).collect();
    world.set("heavy.example", Txt, &[&format!("v=spf1 {} -all", terms.join(" "))]);
    world
}

fn rows() -> Vec<Row> {
    use Status::{Conflict, DnsError, Duplicate, Mismatch, Missing, NotChecked, Ok, Stale};
    let value = key_value();
    let of = |world: World| world.fixture(expectations());
    let spaced = value.replace("v=DKIM1; k=rsa; h=sha256; p=", "v=DKIM1 ;p=").replace('A', "A ") + " ;";
    let behind = changed(|world| drop(world.second.insert((KEY.to_owned(), Txt), gone())));
    let twice = changed(|world| {
        world.set(KEY, Txt, &[&value, "v=DKIM1; p=AAAA"]);
    });
    let without = changed(|world| {
        world.remove(KEY, Txt);
    });
    let followed = changed(|world| {
        world.remove(KEY, Txt).set(DELEGATED, Txt, &[&key_value()]);
        world.aliases.insert(KEY.to_owned(), DELEGATED.to_owned());
    });
    let doubled = changed(|world| {
        world.remove(KEY, Txt).set(&format!("{KEY}.example.com"), Txt, &[&key_value()]);
    });
    let lost = changed(|world| {
        world.remove("_dmarc.example.com", Txt).set("dmarc.example.com", Txt, &["v=DMARC1; p=none"]);
    });
    let proxied = changed(|world| {
        world.set(KEY, A, &["104.21.7.7"]).everywhere(KEY, Cname, &Reply::NoData { negative_ttl: None });
    });
    let remembered = changed(|world| drop(world.resolver.insert((KEY.to_owned(), Txt), gone())));
    let above = changed(|world| {
        world.set("_dmarc.example.com", Txt, &["v=DMARC1; p=none; sp=reject"]);
    });
    let unheard = Fixture { expectations: expectations(), answers: Vec::new(), at: AT.parse().unwrap() };
    vec![
        ("01-all-servers", of(good()), "dkim:wax1", Ok, "ok"),
        ("01-servers-disagree", of(behind), "dkim:wax1", Conflict, "servers-disagree"),
        ("02-alias-followed", of(followed), "dkim:wax1", Ok, "ok"),
        ("03-spacing-and-order", of(key_is(&spaced)), "dkim:wax1", Ok, "ok"),
        ("03-other-octets", of(key_is(&value.replace("p=AA", "p=BA"))), "dkim:wax1", Mismatch, "other-key"),
        ("04-two-keys", of(twice), "dkim:wax1", Duplicate, "duplicate"),
        (
            "05-spf-evaluated",
            of(spf_is(&["v=spf1 -ip4:192.0.2.0/24 ip4:192.0.2.10 -all"])),
            "return-path-spf",
            Mismatch,
            "not-ours",
        ),
        ("05-spf-too-many-lookups", of(heavy()), "return-path-spf", Conflict, "too-many-lookups"),
        (
            "06-two-spf",
            of(spf_is(&["v=spf1 include:_spf.host.example ~all", "v=spf1 mx -all"])),
            "return-path-spf",
            Duplicate,
            "duplicate",
        ),
        ("07-smart-quotes", of(key_is(&format!("\u{201c}{value}\u{201d}"))), "dkim:wax1", Mismatch, "smart-quotes"),
        ("07-quotes", of(key_is(&format!("\"{value}\""))), "dkim:wax1", Mismatch, "quotes"),
        ("07-truncated", of(key_is(&value[..255])), "dkim:wax1", Mismatch, "truncated"),
        ("07-doubled-suffix", of(doubled), "dkim:wax1", Missing, "doubled-suffix"),
        ("07-lost-underscore", of(lost), "dmarc", Missing, "lost-underscore"),
        ("08-proxied-alias", proxied.fixture(delegated()), "dkim:wax1", Conflict, "flattened"),
        ("09-nxdomain", of(without), "dkim:wax1", Missing, "missing"),
        ("09-servfail", of(key_answers(&Reply::ServFail)), "dkim:wax1", DnsError, "dns-error"),
        ("09-timeout", of(key_answers(&Reply::Timeout)), "dkim:wax1", DnsError, "dns-error"),
        ("09-bogus", of(key_answers(&Reply::Bogus)), "dkim:wax1", DnsError, "dns-error"),
        ("10-no-answer-in-time", unheard, "dkim:wax1", NotChecked, "not-answered"),
        ("11-negative-cache", of(remembered), "dkim:wax1", Stale, "negative-cache"),
        ("12-policy-from-above", above.fixture(below()), "dmarc", Ok, "ok"),
    ]
}

#[test]
fn every_kept_check_replays_to_the_finding_of_its_rule() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let rows = rows();
    for (name, fixture, id, status, reason) in &rows {
        let file = folder.join(format!("{name}.json"));
        if std::env::var_os("WAXSEAL_WRITE_FIXTURES").is_some() {
            std::fs::write(&file, serde_json::to_string(fixture).unwrap() + "\n").unwrap();
        }
        let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let kept: Fixture = serde_json::from_slice(&text).unwrap();
        let checked = check(&kept.expectations, &kept.answers, kept.at);
        let finding = checked.report.findings.iter().find(|finding| finding.id == *id).unwrap();
        assert_eq!((finding.status, finding.reason.as_str()), (*status, *reason), "{name}: {finding:#?}");
        assert_eq!(
            checked,
            check(&fixture.expectations, &fixture.answers, fixture.at),
            "{name}: as it would be saved now"
        );
    }
    let files = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(files, rows.len(), "a file without a row is replayed by nobody");
}
