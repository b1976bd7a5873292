//! The truth table: each published policy × each fault × each wish, worked out by other means than `decide`.

use super::*;
use crate::resolver::TlsaRecord;

const LEVELS: [TlsLevel; 4] = [TlsLevel::Opportunistic, TlsLevel::Require, TlsLevel::Verify, TlsLevel::DaneOnly];

fn set() -> Arc<TlsaSet> {
    Arc::new(TlsaSet::new(vec![TlsaRecord { usage: 3, selector: 1, matching: 1, data: vec![7; 32] }], Vec::new()))
}

/// One row: what is published, and what becomes of a host at each level without it, weakest first.
///
/// `-` plain text is allowed, `t` TLS with any certificate, `w` a certificate for the name, `d` a certificate that
/// TLSA names, and the reasons for leaving the host alone: `D` TLSA unknown, `O` dane-only without records, `S`
/// policy unknown, `N` not named.
const TABLE: [(&str, &str, &str); 20] = [
    // DANE       MTA-STS              opportunistic, require, verify, dane-only
    ("nothing", "nothing", "-twO"),
    ("nothing", "unknown", "SSSO"),
    ("nothing", "testing", "-twO"),
    ("nothing", "names the host", "wwwO"),
    ("nothing", "names another", "NNNO"),
    ("unknown", "nothing", "DDDD"),
    ("unknown", "unknown", "DDDD"),
    ("unknown", "testing", "DDDD"),
    ("unknown", "names the host", "DDDD"),
    ("unknown", "names another", "DDDD"),
    ("unusable", "nothing", "ttwO"),
    ("unusable", "unknown", "SSSO"),
    ("unusable", "testing", "ttwO"),
    ("unusable", "names the host", "wwwO"),
    ("unusable", "names another", "NNNO"),
    ("usable", "nothing", "dddd"),
    ("usable", "unknown", "dddd"),
    ("usable", "testing", "dddd"),
    ("usable", "names the host", "dddd"),
    ("usable", "names another", "NNNN"),
];

fn letter(ruling: &Ruling) -> char {
    match ruling {
        Ruling::Avoid(Avoidance::DaneUnknown) => 'D',
        Ruling::Avoid(Avoidance::NoDane) => 'O',
        Ruling::Avoid(Avoidance::StsUnknown) => 'S',
        Ruling::Avoid(Avoidance::NotNamed) => 'N',
        Ruling::Connect(decision) => match (&decision.proof, decision.plain_text) {
            (Proof::AnyCertificate, true) => '-',
            (Proof::AnyCertificate, false) => 't',
            (Proof::WebPki, false) => 'w',
            (Proof::Dane(_), false) => 'd',
            (_, true) => panic!("plain text where a proof is wanted: {decision:?}"),
        },
    }
}

fn facts(dane: &str, sts: &str) -> (DaneFact, StsFact) {
    let dane = match dane {
        "nothing" => DaneFact::Nothing,
        "unknown" => DaneFact::Unknown,
        "unusable" => DaneFact::Unusable,
        _ => DaneFact::Usable(set()),
    };
    let sts = match sts {
        "nothing" => StsFact::Nothing,
        "unknown" => StsFact::Unknown,
        "testing" => StsFact::Testing,
        other => StsFact::Enforced { names_host: other == "names the host" },
    };
    (dane, sts)
}

#[test]
fn every_policy_meets_every_fault_as_the_table_says() {
    for (dane, sts, expected) in TABLE {
        let (dane_fact, sts_fact) = facts(dane, sts);
        for (level, expected) in LEVELS.into_iter().zip(expected.chars()) {
            let wishes = Wishes { sender: level, ..Wishes::default() };
            let ruling = decide(&wishes, sts_fact, &dane_fact);
            assert_eq!(letter(&ruling), expected, "DANE {dane}, MTA-STS {sts}, {level:?}: {ruling:?}");
        }
    }
}

#[test]
fn tls_required_no_leaves_the_operators_wish_and_yields_to_requiretls() {
    for (dane, sts, _) in TABLE {
        let (dane, sts) = facts(dane, sts);
        for (level, expected) in LEVELS.into_iter().zip("-twO".chars()) {
            let wishes = Wishes { site: Some(level), tls_optional: true, ..Wishes::default() };
            assert_eq!(letter(&decide(&wishes, sts, &dane)), expected);
            let strict = Wishes { require_tls: true, ..wishes };
            let without = Wishes { tls_optional: false, ..strict };
            assert_eq!(decide(&strict, sts, &dane), decide(&without, sts, &dane));
        }
    }
}

#[test]
fn the_strongest_wish_wins_in_every_combination() {
    let maybe = [None, Some(LEVELS[0]), Some(LEVELS[1]), Some(LEVELS[2])];
    for default in &LEVELS[..3] {
        for sender in &LEVELS[..3] {
            for site in maybe {
                for route in maybe {
                    for require_tls in [false, true] {
                        let (default, sender) = (*default, *sender);
                        let wishes = Wishes { default, sender, site, route, require_tls, tls_optional: false };
                        let Ruling::Connect(decision) = decide(&wishes, StsFact::Nothing, &DaneFact::Nothing) else {
                            panic!("{wishes:?}")
                        };
                        let strongest = [Some(default), Some(sender), site, route].into_iter().flatten().max();
                        let expected = if require_tls { Some(TlsLevel::Verify) } else { strongest };
                        assert_eq!(Some(decision.level), expected);
                        assert_eq!(decision.plain_text, decision.level == TlsLevel::Opportunistic);
                        assert_eq!(decision.proof == Proof::WebPki, decision.level == TlsLevel::Verify);
                        assert_eq!(decision.require_tls, require_tls);
                    }
                }
            }
        }
    }
}

#[test]
fn the_name_of_the_policy_says_who_raised_it() {
    let name = |level, sts, dane: &DaneFact| match decide(&Wishes { sender: level, ..Wishes::default() }, sts, dane) {
        Ruling::Connect(decision) => decision.name().text(),
        Ruling::Avoid(_) => "avoid",
    };
    let named = StsFact::Enforced { names_host: true };
    assert_eq!(name(TlsLevel::Opportunistic, named, &DaneFact::Nothing), "mta-sts");
    assert_eq!(name(TlsLevel::Opportunistic, named, &DaneFact::Usable(set())), "dane");
    assert_eq!(name(TlsLevel::Opportunistic, StsFact::Nothing, &DaneFact::Unusable), "dane");
    assert_eq!(name(TlsLevel::Verify, named, &DaneFact::Nothing), "verify");
    assert_eq!(name(TlsLevel::DaneOnly, named, &DaneFact::Usable(set())), "dane-only");
}
