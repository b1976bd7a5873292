//! TXT values as anybody can publish them: read without a panic; what is read is written and read back the same; a
//! check of a domain that has them ends.

#![no_main]

use std::fmt::Display;
use std::str::FromStr;

use libfuzzer_sys::fuzz_target;
use waxseal_dns::check::{Difference, Expectations, check};
use waxseal_dns::{
    Answer, BimiRecord, DkimRecord, DmarcRecord, Lookup, MtaStsRecord, Operator, RecordType, Reply, SeenRecord, SpfQuery,
    SpfRecord, TlsReportRecord, TlsaRecord, Vantage, VantageKind, evaluate, merge, records_for,
};

fn round_trip<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(record) = text.parse::<T>() {
        assert!(record.to_string().parse::<T>().is_ok_and(|again| again == record), "{text}");
    }
}

fuzz_target!(|text: &str| {
    round_trip::<TlsaRecord>(text);
    round_trip::<MtaStsRecord>(text);
    let _ = (text.parse::<DkimRecord>(), text.parse::<DmarcRecord>());
    let _ = (text.parse::<TlsReportRecord>(), text.parse::<BimiRecord>());
    if let Ok(record) = text.parse::<SpfRecord>() {
        let _ = merge(&[record.clone(), record]);
    }
    // Every name has this record: includes and redirects lead back to it, and the limits must end the evaluation.
    let everywhere = |_: &str, _: RecordType| Lookup::Values(vec![text.to_owned()]);
    let ip = std::net::IpAddr::from([192, 0, 2, 1]);
    let _ = evaluate(SpfQuery { ip, domain: "example.com", sender: "a@example.com", helo: "mx" }, &everywhere);

    let operator = Operator { egress: vec![ip], hostname: "mx".to_owned(), ..Operator::default() };
    let records = records_for("example.com", &[], None, &operator);
    let answers: Vec<Answer> = records
        .iter()
        .map(|record| Answer {
            name: record.owner.clone(),
            record_type: record.record_type,
            vantage: Vantage { kind: VantageKind::Authoritative, name: "ns".to_owned(), address: ([192, 0, 2, 2], 53).into() },
            aliases: Vec::new(),
            reply: Reply::Records { records: vec![SeenRecord { value: text.to_owned(), ttl: u32::MAX }] },
        })
        .collect();
    let expectations = Expectations {
        domain: "example.com".to_owned(),
        records,
        return_path: None,
        egress: operator.egress,
        hostname: operator.hostname,
    };
    let _ = check(&expectations, &answers, "2026-11-23T14:05:00Z".parse().unwrap_or_default());
    let _ = Difference::between("v=DKIM1; k=rsa; p=AAAA", text);
});
