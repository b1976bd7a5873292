//! Certificates against records, and look-ups in every state that DNS can be in.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;

use super::*;
use crate::resolver::StaticResolver;

fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> TlsaRecord {
    let data = match matching {
        1 => digest(&SHA256, data).as_ref().to_vec(),
        2 => digest(&SHA512, data).as_ref().to_vec(),
        _ => data.to_vec(),
    };
    TlsaRecord { usage, selector, matching, data }
}

/// An authority, and a certificate of it for `name` with its key's description.
struct Chain {
    authority: CertificateDer<'static>,
    authority_key: Vec<u8>,
    end: CertificateDer<'static>,
    end_key: Vec<u8>,
}

fn key_of(certificate: &CertificateDer<'_>) -> Vec<u8> {
    ParsedCertificate::try_from(certificate).unwrap().subject_public_key_info().to_vec()
}

fn chain(name: &str, expired: bool) -> Chain {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    }
    let end = params.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
    let (authority, end) = (CertificateDer::from(issuer.der().to_vec()), CertificateDer::from(end.der().to_vec()));
    Chain { authority_key: key_of(&authority), end_key: key_of(&end), authority, end }
}

fn check(records: Vec<TlsaRecord>, chain: &Chain, shows_authority: bool) -> Result<(), rustls::Error> {
    let names = vec!["real.there.example".to_owned(), "mx.there.example".into(), "there.example".into()];
    let shown = if shows_authority { vec![chain.authority.clone()] } else { Vec::new() };
    TlsaSet::new(records, names).check(&chain.end, &shown, UnixTime::now(), &aws_lc_rs::default_provider())
}

#[test]
fn dane_ee_compares_and_looks_at_nothing_else() {
    for chain in [chain("mx.there.example", false), chain("elsewhere.example", true)] {
        for matching in 0..=2 {
            assert_eq!(check(vec![record(3, 0, matching, &chain.end)], &chain, false), Ok(()));
            assert_eq!(check(vec![record(3, 1, matching, &chain.end_key)], &chain, false), Ok(()));
            assert!(check(vec![record(3, 1, matching, &chain.authority_key)], &chain, true).is_err());
            assert!(check(vec![record(3, 0, matching, &chain.end_key)], &chain, true).is_err(), "another selector");
        }
        let rollover = vec![record(3, 1, 1, b"the old key"), record(3, 1, 1, &chain.end_key)];
        assert_eq!(check(rollover, &chain, false), Ok(()));
    }
}

#[test]
fn dane_ta_wants_a_path_a_name_and_a_date() {
    for name in ["mx.there.example", "there.example", "real.there.example"] {
        let chain = chain(name, false);
        for matching in 0..=2 {
            assert_eq!(
                check(vec![record(2, 0, matching, &chain.authority)], &chain, true),
                Ok(()),
                "{name} {matching}"
            );
            assert_eq!(check(vec![record(2, 1, matching, &chain.authority_key)], &chain, true), Ok(()));
        }
        assert_eq!(check(vec![record(2, 0, 0, &chain.authority)], &chain, false), Ok(()), "the record has it whole");
        assert!(check(vec![record(2, 0, 1, &chain.authority)], &chain, false).is_err(), "the anchor is not shown");
    }
    let stranger = chain("mx.there.example", false);
    let wrong_name = chain("elsewhere.example", false);
    let expired = chain("mx.there.example", true);
    let anchor = |chain: &Chain| vec![record(2, 1, 1, &chain.authority_key)];
    assert!(check(anchor(&stranger), &wrong_name, true).is_err());
    assert_eq!(
        check(anchor(&wrong_name), &wrong_name, true),
        Err(CertificateError::NotValidForName.into()),
        "another name"
    );
    assert!(matches!(
        check(anchor(&expired), &expired, true),
        Err(rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }))
    ));
}

#[test]
fn what_cannot_be_used_is_left_out() {
    let key = b"key";
    for unusable in [
        record(0, 1, 1, key),
        record(1, 1, 1, key),
        record(4, 1, 1, key),
        record(3, 2, 1, key),
        record(3, 1, 3, key),
        record(3, 1, 0, b""),
        TlsaRecord { usage: 3, selector: 1, matching: 1, data: vec![0; 31] },
        TlsaRecord { usage: 2, selector: 0, matching: 2, data: vec![0; 32] },
    ] {
        assert!(TlsaSet::new(vec![unusable.clone()], Vec::new()).is_empty(), "{unusable:?}");
    }
    let both = TlsaSet::new(vec![record(3, 1, 1, key), record(3, 1, 2, key), record(3, 0, 1, key)], Vec::new());
    let kept: Vec<_> = both.records.iter().map(|record| (record.selector, record.matching)).collect();
    assert_eq!(kept, [(1, 2), (0, 1)], "of two digests of one thing the strongest counts");
}

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

const TLSA: &str = "_25._tcp.mx.there.example";

async fn fact(dns: &StaticResolver, proven: bool) -> DaneFact {
    find(dns, &name("there.example"), &name("mx.there.example"), 25, proven).await.fact
}

fn dns() -> StaticResolver {
    let dns = StaticResolver::new().with_address("mx.there.example", [192, 0, 2, 1].into());
    dns.set_tlsa(TLSA, Ok(vec![record(3, 1, 1, b"key")]));
    dns
}

#[tokio::test]
async fn only_proven_records_of_proven_hosts_count() {
    let signed = dns().with_proof("mx.there.example");
    assert!(matches!(fact(&signed, true).await, DaneFact::Usable(_)));
    assert_eq!(fact(&signed, false).await, DaneFact::Nothing, "the MX records are not proven");
    assert_eq!(fact(&dns(), true).await, DaneFact::Nothing, "the addresses are not proven");
    signed.set_tlsa(TLSA, Ok(vec![record(1, 1, 1, b"key")]));
    assert_eq!(fact(&signed, true).await, DaneFact::Unusable);
}

#[tokio::test]
async fn a_failed_look_up_is_not_the_lack_of_records() {
    let signed = dns().with_proof("mx.there.example");
    for failure in [DnsFailure::ServFail, DnsFailure::Timeout, DnsFailure::Bogus, DnsFailure::Other("refused".into())] {
        signed.set_tlsa(TLSA, Err(failure.clone()));
        assert_eq!(fact(&signed, true).await, DaneFact::Unknown, "{failure:?}");
    }
    for failure in [DnsFailure::NoData, DnsFailure::NoSuchName] {
        signed.set_tlsa(TLSA, Err(failure));
        assert_eq!(fact(&signed, true).await, DaneFact::Nothing);
    }
    signed.fail_addresses("mx.there.example", DnsFailure::Bogus);
    assert_eq!(fact(&signed, true).await, DaneFact::Unknown);
}

#[tokio::test]
async fn an_alias_is_asked_under_its_real_name_first() {
    let alias = || dns().with_alias("mx.there.example", "real.there.example");
    let found = async |dns: &StaticResolver| {
        let found = find(dns, &name("there.example"), &name("mx.there.example"), 25, true).await;
        found.name.map(|name| name.to_string())
    };
    let both = alias().with_proof("mx.there.example").with_proof("real.there.example");
    assert_eq!(found(&both).await.as_deref(), Some(TLSA), "nothing at the real name");
    both.set_tlsa("_25._tcp.real.there.example", Ok(vec![record(3, 1, 1, b"key")]));
    assert_eq!(found(&both).await.as_deref(), Some("_25._tcp.real.there.example"));
    let half = alias().with_proof("mx.there.example");
    half.set_tlsa("_25._tcp.real.there.example", Ok(vec![record(3, 1, 1, b"key")]));
    assert_eq!(found(&half).await.as_deref(), Some(TLSA), "the alias leads out of signed zones");
}
