//! What would have to change at a DNS host: the records that are wanted minus those that are there, with reasons.
//!
//! Promises: only records of the kind that is wanted are ever removed, value by value; what else stands at a name, a
//! domain's other TXT records above all, is never touched. A DMARC policy that is there stays: it is its owner's
//! decision. A plan that removes something or is large is marked, so that nobody applies it without having seen it.

use serde::Serialize;

use crate::RecordError;
use crate::dkim::DkimRecord;
use crate::dmarc::DmarcRecord;
use crate::records::{DnsRecord, Purpose, RecordType};
use crate::spf::{SpfRecord, merge};

/// More changes than this want consent even if all of them add.
const LARGE: usize = 20;

/// The types that are looked for where an alias is to stand.
pub const BESIDE_ALIAS: [RecordType; 4] = [RecordType::Txt, RecordType::Mx, RecordType::A, RecordType::Aaaa];

/// What happens to one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is there.
    Keep,
    /// It is added.
    Add,
    /// It takes the place of values that are removed.
    Replace,
    /// A person must decide: the reason says why.
    Skip,
}

/// One record of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// The name.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// The value that will be there.
    pub value: String,
    /// Seconds.
    pub ttl: u32,
    /// The values that go, exactly as they are there.
    pub remove: Vec<String>,
    /// Why.
    pub reason: String,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The domain.
    pub domain: String,
    /// Its records in order.
    pub changes: Vec<Change>,
}

impl Plan {
    /// What would be done.
    pub fn work(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| matches!(change.action, Action::Add | Action::Replace))
    }

    /// Why the plan wants a person's consent; `None` if it only adds a little.
    pub fn danger(&self) -> Option<String> {
        let removed: usize = self.work().map(|change| change.remove.len()).sum();
        let count = self.work().count();
        if removed > 0 {
            return Some(format!("it removes {removed} of the values that are there"));
        }
        (count > LARGE).then(|| format!("it makes {count} changes"))
    }
}

/// Values that are there at a name, by type.
pub type Live<'l> = dyn Fn(&str, RecordType) -> Vec<String> + 'l;

/// Plans `records` over what is there. The operator's records are left out: they are in another zone.
pub fn plan(domain: &str, records: &[DnsRecord], live: &Live) -> Plan {
    let own = records.iter().filter(|record| !record.purpose.is_operators());
    Plan { domain: domain.to_owned(), changes: own.map(|record| change(record, live)).collect() }
}

fn change(record: &DnsRecord, live: &Live) -> Change {
    let make = |action, value: &str, remove: Vec<String>, reason: &str| Change {
        action,
        name: record.owner.clone(),
        record_type: record.record_type,
        value: value.to_owned(),
        ttl: record.ttl,
        remove,
        reason: reason.to_owned(),
    };
    let value = record.value.as_str();
    let there = live(&record.owner, record.record_type);
    let aliases =
        if record.record_type == RecordType::Cname { Vec::new() } else { live(&record.owner, RecordType::Cname) };
    if let Some(alias) = aliases.first() {
        let reason = format!("an alias to {alias} stands at the name: nothing else can");
        return make(Action::Skip, value, Vec::new(), &reason);
    }
    // An alias stands alone (RFC 1034 §3.6.2): what is there would be lost with it, or the zone refused.
    let beside = BESIDE_ALIAS.into_iter().find(|other| !live(&record.owner, *other).is_empty());
    if let Some(other) = beside.filter(|_| record.record_type == RecordType::Cname) {
        let reason = format!(
            "{} records stand at the name, and an alias stands alone: decide which of them goes",
            other.as_str()
        );
        return make(Action::Skip, value, Vec::new(), &reason);
    }
    let of_kind: Vec<String> = there.iter().filter(|found| claims(record.purpose, found)).cloned().collect();
    match record.purpose {
        Purpose::Dmarc if of_kind.len() == 1 => {
            make(Action::Keep, &of_kind[0], Vec::new(), "the domain has a policy, which is its owner's")
        }
        Purpose::Dmarc if of_kind.len() > 1 => {
            make(Action::Skip, value, Vec::new(), "several policies stand there: keep one and delete the others")
        }
        Purpose::Spf | Purpose::ReturnPathSpf if !of_kind.is_empty() => {
            let mut all: Vec<SpfRecord> = of_kind.iter().filter_map(|found| found.parse().ok()).collect();
            if all.len() < of_kind.len() {
                return make(
                    Action::Skip,
                    value,
                    Vec::new(),
                    "the SPF record that is there is broken: correct it first",
                );
            }
            all.push(value.parse().unwrap_or_default());
            let merged = merge(&all);
            if of_kind.len() == 1 && merged == all[0] {
                return make(Action::Keep, &of_kind[0], Vec::new(), "our servers are in it");
            }
            make(
                Action::Replace,
                &merged.to_string(),
                of_kind,
                "a domain may have one SPF record: ours is merged into it",
            )
        }
        Purpose::ReturnPathMx if !there.is_empty() && !there.iter().any(|found| same(record, found)) => {
            let reason =
                format!("mail for the name goes to {}: decide which of the two takes notices", there.join(", "));
            make(Action::Skip, value, Vec::new(), &reason)
        }
        _ if there.iter().any(|found| same(record, found)) && of_kind.len() <= 1 => {
            make(Action::Keep, value, Vec::new(), "it is there")
        }
        _ if of_kind.is_empty() => make(Action::Add, value, Vec::new(), "it is missing"),
        _ => {
            let others: Vec<String> = of_kind.into_iter().filter(|found| found != value).collect();
            make(Action::Replace, value, others, "another value of the kind stands there")
        }
    }
}

/// Is the value of the kind of which one only may stand at the name?
fn claims(purpose: Purpose, value: &str) -> bool {
    let other = |error: Option<RecordError>| matches!(error, Some(RecordError::OtherKind(_)));
    match purpose {
        Purpose::DkimKey => !other(value.parse::<DkimRecord>().err()),
        Purpose::Dmarc => !other(value.parse::<DmarcRecord>().err()),
        Purpose::Spf | Purpose::ReturnPathSpf => !other(value.parse::<SpfRecord>().err()),
        Purpose::DkimDelegation | Purpose::ReturnPathAlias | Purpose::MtaStsHost => true,
        Purpose::MtaSts => !other(value.parse::<crate::MtaStsRecord>().err()),
        Purpose::TlsReports => !other(value.parse::<crate::TlsReportRecord>().err()),
        Purpose::Bimi => !other(value.parse::<crate::BimiRecord>().err()),
        _ => false,
    }
}

fn same(record: &DnsRecord, found: &str) -> bool {
    let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
    match record.purpose {
        Purpose::DkimKey => match (record.value.parse::<DkimRecord>(), found.parse::<DkimRecord>()) {
            (Ok(wanted), Ok(found)) => wanted.public_key == found.public_key && wanted.key_type == found.key_type,
            _ => false,
        },
        Purpose::ReturnPathMx => {
            let host = |text: &str| plain(text.split_once(' ').map_or(text, |(_, host)| host));
            host(&record.value) == host(found)
        }
        _ if record.record_type == RecordType::Txt => record.value == found,
        _ => plain(&record.value) == plain(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Operator, PublishedKey, records_for};

    fn records() -> Vec<DnsRecord> {
        let operator = Operator {
            hostname: "mx1.relay.example".to_owned(),
            egress: vec!["192.0.2.10".parse().unwrap()],
            ..Operator::default()
        };
        let key = "v=DKIM1; k=rsa; h=sha256; p=AAAA".parse().unwrap();
        records_for(
            "example.com",
            &[PublishedKey { selector: "wax1".into(), record: key, delegated_to: None }],
            None,
            &operator,
        )
    }

    fn actions(live: &[(&str, RecordType, &str)]) -> Plan {
        let at = |name: &str, record_type: RecordType| {
            let here = live.iter().filter(|(owner, kind, _)| *owner == name && *kind == record_type);
            here.map(|(_, _, value)| (*value).to_owned()).collect()
        };
        plan("example.com", &records(), &at)
    }

    #[test]
    fn an_empty_zone_gets_everything_and_a_full_one_nothing() {
        let empty = actions(&[]);
        assert!(empty.changes.iter().all(|change| change.action == Action::Add));
        assert_eq!((empty.work().count(), empty.danger()), (3, None));
        let full = actions(&[
            ("wax1._domainkey.example.com", RecordType::Txt, "v=DKIM1; p=AAAA"),
            ("example.com", RecordType::Txt, "v=spf1 ip4:192.0.2.10 ~all"),
            ("_dmarc.example.com", RecordType::Txt, "v=DMARC1; p=reject"),
        ]);
        assert_eq!(full.work().count(), 0, "{full:#?}");
    }

    #[test]
    fn the_other_txt_records_of_a_domain_are_not_touched() {
        let plan = actions(&[
            ("example.com", RecordType::Txt, "some-site-verification=1"),
            ("example.com", RecordType::Txt, "v=spf1 include:_spf.host.example -all"),
        ]);
        let spf = plan.changes.iter().find(|change| change.name == "example.com").unwrap();
        assert_eq!(spf.action, Action::Replace);
        assert_eq!(spf.value, "v=spf1 include:_spf.host.example ip4:192.0.2.10 -all");
        assert_eq!(spf.remove, ["v=spf1 include:_spf.host.example -all"]);
        assert!(plan.danger().is_some());
    }

    #[test]
    fn an_alias_never_takes_the_place_of_other_records() {
        let mut wanted = records();
        wanted.truncate(1);
        wanted[0].record_type = RecordType::Cname;
        wanted[0].purpose = Purpose::DkimDelegation;
        wanted[0].value = "wax1.d1.dkim.relay.example".to_owned();
        let live = |found: Option<RecordType>| {
            move |_: &str, kind: RecordType| if Some(kind) == found { vec!["something".to_owned()] } else { Vec::new() }
        };
        for beside in BESIDE_ALIAS {
            let plan = plan("example.com", &wanted, &live(Some(beside)));
            assert_eq!((plan.changes[0].action, plan.work().count()), (Action::Skip, 0), "{beside:?}");
        }
        assert_eq!(plan("example.com", &wanted, &live(None)).changes[0].action, Action::Add);
        // Another alias is replaced, with consent.
        let plan = plan("example.com", &wanted, &live(Some(RecordType::Cname)));
        assert_eq!((plan.changes[0].action, plan.danger().is_some()), (Action::Replace, true));
    }

    #[test]
    fn what_a_person_must_decide_is_skipped_with_its_reason() {
        let plan = actions(&[
            ("wax1._domainkey.example.com", RecordType::Cname, "elsewhere.example"),
            ("_dmarc.example.com", RecordType::Txt, "v=DMARC1; p=none"),
            ("_dmarc.example.com", RecordType::Txt, "v=DMARC1; p=reject"),
        ]);
        let skipped: Vec<&str> =
            plan.changes.iter().filter(|c| c.action == Action::Skip).map(|c| c.name.as_str()).collect();
        assert_eq!(skipped, ["wax1._domainkey.example.com", "_dmarc.example.com"]);
    }
}
