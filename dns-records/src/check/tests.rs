//! The rules of the check, each by answers as servers give them. The world below answers what is asked, so that these
//! tests also show that the questions lead to a complete report.

mod kept;

use std::collections::HashMap;

use super::*;
use crate::answers::{Reply, SeenRecord, Vantage, VantageKind};
use crate::records::RecordType::{self, A, Cname, Mx, Ptr, Txt};
use crate::{DkimRecord, KeyType, Operator, PublishedKey, operator_records, records_for};

const AT: &str = "2026-11-23T14:05:00Z";

/// What servers answer: two of the zone's and one resolver.
#[derive(Default)]
struct World {
    zone: HashMap<(String, RecordType), Reply>,
    second: HashMap<(String, RecordType), Reply>,
    resolver: HashMap<(String, RecordType), Reply>,
    aliases: HashMap<String, String>,
}

fn records(values: &[&str]) -> Reply {
    Reply::Records { records: values.iter().map(|value| SeenRecord { value: (*value).to_owned(), ttl: 300 }).collect() }
}

fn gone() -> Reply {
    Reply::NoSuchName { negative_ttl: Some(1_620) }
}

impl World {
    fn set(&mut self, name: &str, record_type: RecordType, values: &[&str]) -> &mut Self {
        self.zone.insert((name.to_owned(), record_type), records(values));
        self
    }

    fn remove(&mut self, name: &str, record_type: RecordType) -> &mut Self {
        self.zone.remove(&(name.to_owned(), record_type));
        self
    }

    fn everywhere(&mut self, name: &str, record_type: RecordType, reply: &Reply) -> &mut Self {
        self.zone.insert((name.to_owned(), record_type), reply.clone());
        self
    }

    fn answer(&self, question: &Question) -> Vec<Answer> {
        let key = (question.name.clone(), question.record_type);
        let alias = self.aliases.get(&question.name).filter(|_| question.record_type != Cname);
        let truth = self.zone.get(&key).cloned().unwrap_or_else(gone);
        let answer = |kind, name: &str, address: &str, aliases: Vec<String>, reply| Answer {
            name: question.name.clone(),
            record_type: question.record_type,
            vantage: Vantage { kind, name: name.to_owned(), address: address.parse().unwrap() },
            aliases,
            reply,
        };
        let mut answers = Vec::new();
        if question.everywhere {
            let own = |name, address, table: Option<&HashMap<_, Reply>>| {
                let reply = table.and_then(|table| table.get(&key)).cloned().unwrap_or_else(|| truth.clone());
                let (aliases, reply) = match alias {
                    Some(target) => (vec![target.clone()], Reply::Elsewhere),
                    None => (Vec::new(), reply),
                };
                answer(VantageKind::Authoritative, name, address, aliases, reply)
            };
            answers.push(own("ns1.example.net", "192.0.2.53:53", None));
            answers.push(own("ns2.example.net", "192.0.2.54:53", Some(&self.second)));
        }
        let (aliases, followed) = match alias {
            Some(target) => {
                let reply = self.zone.get(&(target.clone(), question.record_type)).cloned().unwrap_or_else(gone);
                (vec![target.clone()], reply)
            }
            None => (Vec::new(), truth),
        };
        let reply = self.resolver.get(&key).cloned().unwrap_or(followed);
        answers.push(answer(VantageKind::Resolver, "", "198.51.100.1:53", aliases, reply));
        answers
    }

    /// Checks until nothing is left to ask.
    fn fixture(&self, expectations: Expectations) -> Fixture {
        let mut fixture = Fixture { expectations, answers: Vec::new(), at: AT.parse().unwrap() };
        for _ in 0..30 {
            let checked = check(&fixture.expectations, &fixture.answers, fixture.at);
            if checked.wanted.is_empty() {
                return fixture;
            }
            fixture.answers.extend(checked.wanted.iter().flat_map(|question| self.answer(question)));
        }
        panic!("the questions have no end");
    }

    fn report(&self) -> Report {
        let fixture = self.fixture(expectations());
        check(&fixture.expectations, &fixture.answers, fixture.at).report
    }

    fn finding(&self, id: &str) -> Finding {
        let report = self.report();
        report.findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id}: {report:?}")).clone()
    }
}

fn key_value() -> String {
    DkimRecord::new(KeyType::Rsa, (0..294_u32).map(|n| (n * 7 % 251) as u8).collect()).to_string()
}

fn expectations() -> Expectations {
    let operator = Operator {
        hostname: "mx1.relay.example".to_owned(),
        egress: vec!["192.0.2.10".parse().unwrap()],
        aggregate_reports: Some("mailto:dmarc@relay.example".to_owned()),
        ownership_token: Some("waxseal-proof=abc".to_owned()),
        ..Operator::default()
    };
    let keys = [PublishedKey { selector: "wax1".into(), record: key_value().parse().unwrap(), delegated_to: None }];
    let mut all = records_for("example.com", &keys, Some("bounce.example.com"), &operator);
    all.extend(operator_records("example.com", &operator));
    Expectations {
        domain: "example.com".to_owned(),
        records: all,
        return_path: Some("bounce.example.com".to_owned()),
        egress: operator.egress,
        hostname: operator.hostname,
    }
}

const KEY: &str = "wax1._domainkey.example.com";

/// Everything as it should be.
fn good() -> World {
    let mut world = World::default();
    world
        .set("_waxseal-challenge.example.com", Txt, &["waxseal-proof=abc"])
        .set(KEY, Txt, &[&key_value()])
        .set("bounce.example.com", Mx, &["10 mx1.relay.example"])
        .set("bounce.example.com", Txt, &["v=spf1 ip4:192.0.2.10 -all"])
        .set("_dmarc.example.com", Txt, &["v=DMARC1; p=none; rua=mailto:dmarc@relay.example"])
        .set("example.com._report._dmarc.relay.example", Txt, &["v=DMARC1"])
        .set("10.2.0.192.in-addr.arpa", Ptr, &["mx1.relay.example"])
        .set("mx1.relay.example", A, &["192.0.2.10"]);
    world
}

#[test]
fn a_domain_in_order_has_nothing_to_do() {
    let report = good().report();
    assert!(report.ok, "{:#?}", report.problems().collect::<Vec<_>>());
    assert!(report.findings.iter().all(|finding| matches!(finding.status, Status::Ok | Status::NotChecked)));
    let hidden: Vec<&str> =
        report.findings.iter().filter(|f| f.status == Status::NotChecked).map(|f| f.id.as_str()).collect();
    assert!(hidden.contains(&"google:spam-rate") && hidden.contains(&"microsoft:unsubscribe"), "{hidden:?}");
    assert!(report.findings.iter().all(|finding| finding.id.contains(':') || !finding.breaks.is_empty()));
}

#[test]
fn rule_1_all_servers_are_seen_and_must_agree() {
    let mut world = good();
    assert_eq!(world.finding("dkim:wax1").found.len(), 3);
    world.second.insert((KEY.to_owned(), Txt), gone());
    let finding = world.finding("dkim:wax1");
    assert_eq!((finding.status, finding.reason.as_str()), (Status::Conflict, "servers-disagree"));
    assert!(finding.message.contains("ns2.example.net"), "{}", finding.message);
}

#[test]
fn rule_2_an_alias_is_followed_to_the_key() {
    let mut world = good();
    world.remove(KEY, Txt).set("wax1.d1.dkim.relay.example", Txt, &[&key_value()]);
    world.aliases.insert(KEY.to_owned(), "wax1.d1.dkim.relay.example".to_owned());
    let finding = world.finding("dkim:wax1");
    assert_eq!(finding.status, Status::Ok, "{finding:#?}");
    assert!(finding.message.contains("by way of wax1.d1.dkim.relay.example"));
}

#[test]
fn rule_3_keys_are_compared_by_their_octets() {
    let value = key_value();
    let other = value.replace("v=DKIM1; k=rsa; h=sha256; p=", "v=DKIM1 ;p=").replace('A', "A ") + " ;";
    assert_eq!(good().set(KEY, Txt, &[&other]).finding("dkim:wax1").status, Status::Ok);
    let changed = value.replace("p=AA", "p=BA");
    let finding = good().set(KEY, Txt, &[&changed]).finding("dkim:wax1");
    assert_eq!((finding.status, finding.reason.as_str()), (Status::Mismatch, "other-key"));
    let difference = finding.difference.unwrap();
    let differing: Vec<&str> = difference.found.iter().filter(|p| !p.same).map(|p| p.text.as_str()).collect();
    assert_eq!(differing, ["B"]);
    let revoked = good().set(KEY, Txt, &["v=DKIM1; p="]).finding("dkim:wax1");
    assert_eq!(revoked.reason, "revoked");
}

#[test]
fn rule_4_two_keys_at_one_name_are_a_duplicate() {
    let finding = good().set(KEY, Txt, &[&key_value(), "v=DKIM1; p=AAAA"]).finding("dkim:wax1");
    assert_eq!(finding.status, Status::Duplicate);
    assert!(finding.remedy.contains("v=DKIM1; p=AAAA"));
    let beside = good().set(KEY, Txt, &[&key_value(), "some-site-verification=1"]).finding("dkim:wax1");
    assert_eq!(beside.status, Status::Ok);
}

#[test]
fn rule_5_spf_is_evaluated_and_its_look_ups_counted() {
    let spf = |text: &str| good().set("bounce.example.com", Txt, &[text]).finding("return-path-spf");
    let mut world = good();
    world.set("bounce.example.com", Txt, &["v=spf1 include:%{d2}.inc.example ~all"]);
    world.set("example.com.inc.example", Txt, &["v=spf1 redirect=r.inc.example"]);
    world.set("r.inc.example", Txt, &["v=spf1 ip4:192.0.2.0/24 -all"]);
    assert_eq!(world.finding("return-path-spf").status, Status::Ok);

    // Our address stands in the text, and yet it does not pass.
    let shadowed = spf("v=spf1 -ip4:192.0.2.0/24 ip4:192.0.2.10 -all");
    assert_eq!((shadowed.status, shadowed.reason.as_str()), (Status::Mismatch, "not-ours"));
    let others = spf("v=spf1 ip4:198.51.100.7 ~all");
    assert!(others.message.contains("softfail"), "{}", others.message);
    assert!(others.remedy.contains("v=spf1 ip4:198.51.100.7 ip4:192.0.2.10 ~all"), "{}", others.remedy);

    let mut world = good();
    let heavy: Vec<String> = (0..9).map(|n| format!("a:h{n}.example")).collect();
    world.set("bounce.example.com", Txt, &["v=spf1 ip4:192.0.2.10 a include:heavy.example -all"]);
    world.set("heavy.example", Txt, &[&format!("v=spf1 {} -all", heavy.join(" "))]);
    let finding = world.finding("return-path-spf");
    assert_eq!((finding.status, finding.reason.as_str()), (Status::Conflict, "too-many-lookups"));
    assert!(
        finding.message.contains("11 DNS look-ups; the heaviest is include:heavy.example with 10"),
        "{}",
        finding.message
    );
}

#[test]
fn rule_6_two_spf_records_are_merged() {
    let mut world = good();
    world.set("bounce.example.com", Txt, &["v=spf1 include:_spf.host.example ~all", "v=spf1 mx -all", "other"]);
    let finding = world.finding("return-path-spf");
    assert_eq!(finding.status, Status::Duplicate);
    assert_eq!(finding.expected, "v=spf1 include:_spf.host.example mx ip4:192.0.2.10 ~all");
    assert!(finding.remedy.ends_with(&finding.expected));
}

#[test]
fn rule_7_each_accident_has_its_own_message() {
    let value = key_value();
    let quoted = format!("\"{value}\"");
    let escaped = value.replace(';', "\\;");
    for (found, reason) in [
        (value.replace("v=DKIM1", "\u{201c}v=DKIM1\u{201d}").as_str(), "smart-quotes"),
        (quoted.as_str(), "quotes"),
        (escaped.as_str(), "backslashes"),
        (&value[..255], "truncated"),
    ] {
        let finding = good().set(KEY, Txt, &[found]).finding("dkim:wax1");
        assert_eq!((finding.status, finding.reason.as_str()), (Status::Mismatch, reason), "{found}");
        assert!(finding.difference.is_some() && !finding.remedy.is_empty());
    }
    let mut world = good();
    world.remove(KEY, Txt).set(&format!("{KEY}.example.com"), Txt, &[&value]);
    let finding = world.finding("dkim:wax1");
    assert_eq!((finding.status, finding.reason.as_str()), (Status::Missing, "doubled-suffix"));
    let mut world = good();
    world.remove("_dmarc.example.com", Txt).set("dmarc.example.com", Txt, &["v=DMARC1; p=none"]);
    assert_eq!(world.finding("dmarc").reason, "lost-underscore");
}

#[test]
fn rule_8_a_proxied_alias_is_named() {
    let mut expected = expectations();
    let keys = [PublishedKey {
        selector: "wax1".into(),
        record: key_value().parse().unwrap(),
        delegated_to: Some("wax1.d1.dkim.relay.example".to_owned()),
    }];
    expected.records = records_for("example.com", &keys, None, &Operator::default());
    let of = |world: &World| {
        let fixture = world.fixture(expected.clone());
        check(&fixture.expectations, &fixture.answers, fixture.at).report.findings[0].clone()
    };
    let mut world = World::default();
    world.set(KEY, A, &["104.21.7.7"]).everywhere(KEY, Cname, &Reply::NoData { negative_ttl: None });
    let finding = of(&world);
    assert_eq!((finding.status, finding.reason.as_str()), (Status::Conflict, "flattened"));
    assert!(finding.remedy.contains("DNS only"));
    assert_eq!(of(world.set(KEY, Cname, &["wax1.d1.dkim.relay.example"])).status, Status::Ok);
    assert_eq!(of(world.set(KEY, Cname, &["else.example"])).reason, "other-target");
}

#[test]
fn rule_9_only_an_answer_makes_a_record_missing() {
    let mut world = good();
    world.remove(KEY, Txt);
    let missing = world.finding("dkim:wax1");
    assert_eq!((missing.status, missing.error), (Status::Missing, Some(DnsErrorKind::Nxdomain)));
    for (reply, kind) in [
        (Reply::ServFail, DnsErrorKind::Servfail),
        (Reply::Timeout, DnsErrorKind::Timeout),
        (Reply::Refused, DnsErrorKind::Refused),
        (Reply::Bogus, DnsErrorKind::Bogus),
        (Reply::Failed { reason: "no route".to_owned() }, DnsErrorKind::Other),
    ] {
        let finding = good().everywhere(KEY, Txt, &reply).finding("dkim:wax1");
        assert_eq!((finding.status, finding.error), (Status::DnsError, Some(kind)));
    }
    // One failing server of several hides nothing.
    let mut world = good();
    world.second.insert((KEY.to_owned(), Txt), Reply::Timeout);
    assert_eq!(world.finding("dkim:wax1").status, Status::Ok);
    // Published, and yet invalid for receivers that validate.
    let mut world = good();
    world.resolver.insert((KEY.to_owned(), Txt), Reply::Bogus);
    let finding = world.finding("dkim:wax1");
    assert_eq!((finding.status, finding.error), (Status::DnsError, Some(DnsErrorKind::Bogus)));
}

#[test]
fn rule_10_what_did_not_come_in_time_is_not_checked() {
    let checked = check(&expectations(), &[], AT.parse().unwrap());
    assert!(!checked.wanted.is_empty());
    assert!(checked.report.findings.iter().all(|finding| finding.status == Status::NotChecked));
}

#[test]
fn rule_11_a_resolver_behind_is_stale_with_its_time() {
    let mut world = good();
    world.resolver.insert((KEY.to_owned(), Txt), gone());
    let finding = world.finding("dkim:wax1");
    assert_eq!((finding.status, finding.severity), (Status::Stale, Severity::Info));
    assert_eq!(finding.stale_until.as_deref(), Some("2026-11-23T14:32:00Z"));
    assert!(finding.message.contains("until 14:32 UTC"), "{}", finding.message);
    world.resolver.insert((KEY.to_owned(), Txt), records(&["v=DKIM1; p=AAAA"]));
    assert!(world.finding("dkim:wax1").message.contains("old value"));
}

#[test]
fn rule_12_dmarc_is_found_by_the_tree_walk() {
    let mut expected = expectations();
    expected.domain = "news.mail.example.com".to_owned();
    expected.records = records_for(&expected.domain, &[], None, &Operator::default());
    let of = |world: &World| {
        let fixture = world.fixture(expected.clone());
        let report = check(&fixture.expectations, &fixture.answers, fixture.at).report;
        report.findings.into_iter().find(|finding| finding.id == "dmarc").unwrap()
    };
    let mut world = World::default();
    world.set("_dmarc.example.com", Txt, &["v=DMARC1; p=none; sp=reject"]);
    let finding = of(&world);
    assert_eq!(finding.status, Status::Ok);
    assert!(
        finding.message.contains("reject") && finding.message.contains("_dmarc.example.com"),
        "{}",
        finding.message
    );
    assert_eq!(of(&World::default()).status, Status::Missing);
    world.set("_dmarc.news.mail.example.com", Txt, &["v=DMARC1; p=none", "v=DMARC1; p=reject"]);
    assert_eq!(of(&world).status, Status::Duplicate);
    world.set("_dmarc.news.mail.example.com", Txt, &["v=DMARC1; p=none; rua=dmarc@example.com"]);
    let broken = of(&world);
    assert_eq!((broken.status, broken.reason.as_str()), (Status::Mismatch, "broken"));

    let mut world = good();
    world.set("_dmarc.example.com", Txt, &["v=DMARC1; p=none; rua=mailto:x@other.example"]);
    let finding = world.finding("dmarc");
    assert_eq!((finding.reason.as_str(), finding.severity), ("no-report-consent", Severity::Info));
    assert!(finding.remedy.contains("example.com._report._dmarc.other.example"));
}

#[test]
fn a_delegated_key_is_checked_at_the_end_of_its_alias() {
    let mut expected = expectations();
    let end = "wax1.d1.dkim.relay.example";
    let key = DnsRecord {
        owner: end.to_owned(),
        record_type: Txt,
        value: key_value(),
        ttl: 300,
        purpose: Purpose::DelegatedKey,
        required: true,
    };
    let alias = DnsRecord {
        owner: KEY.to_owned(),
        record_type: Cname,
        value: end.to_owned(),
        purpose: Purpose::DkimDelegation,
        ..key.clone()
    };
    expected.records = vec![alias, key];
    let mut world = World::default();
    world.set(KEY, Cname, &[end]).set(end, Txt, &[&key_value()]);
    let of = |world: &World, id: &str| {
        let fixture = world.fixture(expected.clone());
        let report = check(&fixture.expectations, &fixture.answers, fixture.at).report;
        report.findings.into_iter().find(|finding| finding.id == id).unwrap().status
    };
    assert_eq!(of(&world, "google:dkim"), Status::Ok);
    world.remove(end, Txt);
    assert_eq!(of(&world, "dkim:wax1"), Status::Ok);
    assert_eq!(of(&world, &format!("delegated-key:{end}")), Status::Missing);
    assert_eq!(of(&world, "google:dkim"), Status::Missing, "an alias to nothing is no key");
}

#[test]
fn the_operators_names_are_checked_like_the_domains_own() {
    let mut operator = Operator {
        hostname: "mx1.relay.example".to_owned(),
        egress: vec!["192.0.2.10".parse().unwrap(), "192.0.2.11".parse().unwrap()],
        spf_include: Some("_spf.relay.example".to_owned()),
        return_path_host: Some("bounce.relay.example".to_owned()),
        aggregate_reports: Some("mailto:dmarc@relay.example".to_owned()),
        failure_reports: Some("mailto:failures@reports.example".to_owned()),
        mta_sts_id: Some("20261124".to_owned()),
        mta_sts_host: Some("mta-sts.relay.example".to_owned()),
        tls_reports: Some("mailto:tls@relay.example".to_owned()),
        tlsa: vec![format!("3 1 1 {}", "ab".repeat(32))],
        logo: Some("https://example.com/logo.svg".to_owned()),
        ..Operator::default()
    };
    operator.names.insert("192.0.2.11".parse().unwrap(), "mx2.relay.example".to_owned());
    let mut all = records_for("example.com", &[], Some("bounce.example.com"), &operator);
    all.extend(operator_records("example.com", &operator));
    let expected = Expectations {
        domain: "example.com".to_owned(),
        records: all.clone(),
        return_path: Some("bounce.example.com".to_owned()),
        egress: operator.egress.clone(),
        hostname: operator.hostname.clone(),
    };
    let report = |world: &World| {
        let fixture = world.fixture(expected.clone());
        check(&fixture.expectations, &fixture.answers, fixture.at).report
    };
    let mut world = World::default();
    for record in &all {
        let mut values: Vec<&str> = vec![&record.value];
        // A name with two records of a type has both.
        let others = all.iter().filter(|other| other.owner == record.owner && other.record_type == record.record_type);
        values.extend(others.map(|other| other.value.as_str()).filter(|value| *value != record.value));
        world.set(&record.owner, record.record_type, &values);
    }
    let good = report(&world);
    assert!(good.ok, "{:#?}", good.problems().collect::<Vec<_>>());
    let ids: Vec<&str> = good.findings.iter().map(|finding| finding.id.as_str()).collect();
    for id in [
        "return-path",
        "mta-sts",
        "mta-sts-host",
        "tls-reports",
        "bimi",
        "operator-mx",
        "operator-spf:bounce.relay.example",
        "operator-spf:_spf.relay.example",
        "ptr:11.2.0.192.in-addr.arpa",
        "report-consent:example.com._report._dmarc.reports.example",
    ] {
        assert!(ids.contains(&id), "{id} in {ids:?}");
    }
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
    // Each that is missing is the operator's or the owner's to publish, and says so.
    for record in &all {
        let mut without = World::default();
        for other in all.iter().filter(|other| (&other.owner, other.record_type) != (&record.owner, record.record_type))
        {
            without.set(&other.owner, other.record_type, &[&other.value]);
        }
        let report = report(&without);
        let finding =
            report.findings.iter().find(|finding| finding.name == record.owner && finding.expected == record.value);
        let finding = finding.unwrap_or_else(|| panic!("{record:?}"));
        assert_eq!(finding.status, Status::Missing, "{finding:#?}");
        assert_eq!(finding.group == Group::Operator, record.purpose.is_operators());
    }
}

#[test]
fn rule_14_a_check_replays_from_its_fixture() {
    let mut world = good();
    world.remove(KEY, Txt);
    let fixture = world.fixture(expectations());
    let text = serde_json::to_string(&fixture).unwrap();
    let again: Fixture = serde_json::from_str(&text).unwrap();
    let report = |fixture: &Fixture| check(&fixture.expectations, &fixture.answers, fixture.at);
    assert_eq!(report(&again), report(&fixture));
    let read: Report = serde_json::from_str(&serde_json::to_string(&report(&again).report).unwrap()).unwrap();
    assert_eq!(read, report(&fixture).report);
}

#[test]
fn providers_are_judged_by_what_was_found() {
    let status = |world: &World, id: &str| world.finding(id).status;
    let mut world = good();
    world.remove("_dmarc.example.com", Txt);
    for id in ["google:dmarc", "yahoo:dmarc", "microsoft:dmarc", "google:alignment"] {
        assert_eq!(status(&world, id), Status::Missing, "{id}");
    }
    let mut world = good();
    world.remove(KEY, Txt);
    assert_eq!(status(&world, "microsoft:dkim"), Status::Missing);
    // SPF still aligns: the return path is below the domain.
    assert_eq!(status(&world, "google:alignment"), Status::Ok);
    let mut world = good();
    world.everywhere(KEY, Txt, &Reply::Timeout);
    assert_eq!(status(&world, "google:dkim"), Status::NotChecked);
    let mut world = good();
    world.set("10.2.0.192.in-addr.arpa", Ptr, &["host.isp.example"]);
    assert_eq!(status(&world, "google:names"), Status::Missing);
}

#[test]
fn the_return_path_must_lead_to_us_alone() {
    let reason = |values: &[&str]| good().set("bounce.example.com", Mx, values).finding("return-path-mx").reason;
    assert_eq!(reason(&["10 mx1.relay.example", "20 other.example"]), "ok");
    assert_eq!(reason(&["10 mx1.relay.example", "10 other.example"]), "second-host");
    assert_eq!(reason(&["10 other.example"]), "other-host");
}
