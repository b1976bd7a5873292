//! One name and type as all servers see it: what is published, who failed, and which resolver is behind.

use jiff::{SignedDuration, Timestamp};

use super::finding::{DnsErrorKind, Finding, Sighting, Status};
use super::heard::Heard;
use crate::answers::{Answer, Reply, SeenRecord, VantageKind};
use crate::records::RecordType;

/// What the servers say about one name and type.
pub(super) struct View {
    /// Every sighting, the zone's servers first.
    pub sightings: Vec<Sighting>,
    /// What is published; `None` if nobody could tell.
    pub published: Option<Vec<SeenRecord>>,
    /// The aliases on the way to it.
    pub aliases: Vec<String>,
    /// The name itself does not exist.
    pub no_such_name: bool,
    /// The zone's servers do not agree: the values of each.
    pub split: bool,
    /// Servers that failed, and how.
    pub failures: Vec<(String, Reply)>,
    /// A resolver says that the answer fails validation.
    pub bogus: bool,
    resolvers: Vec<(String, Reply)>,
}

/// Looks at a name; `None` while answers are missing.
pub(super) fn look(heard: &Heard, name: &str, record_type: RecordType) -> Option<View> {
    let answers = heard.all(name, record_type, true)?;
    // An alias out of the zone is followed to the servers of its target; the resolvers followed it by themselves.
    let target =
        answers.iter().find(|answer| answer.reply == Reply::Elsewhere).and_then(|answer| answer.aliases.last());
    let beyond: &[&Answer] = match target {
        Some(target) => heard.all(target, record_type, true)?,
        None => &[],
    };
    let own = |answer: &&&Answer| answer.vantage.kind == VantageKind::Authoritative;
    let zone: Vec<&Answer> = answers
        .iter()
        .filter(own)
        .filter(|a| a.reply != Reply::Elsewhere)
        .chain(beyond.iter().filter(own))
        .copied()
        .collect();
    let resolvers: Vec<&Answer> = answers.iter().filter(|answer| !own(answer)).copied().collect();

    let all = || zone.iter().chain(&resolvers);
    let truth: Vec<&Answer> = zone.iter().filter(|answer| answer.reply.is_answer()).copied().collect();
    let truth = if truth.is_empty() {
        resolvers.iter().filter(|answer| answer.reply.is_answer()).copied().collect()
    } else {
        truth
    };
    let records = |answer: &Answer| match &answer.reply {
        Reply::Records { records } => records.clone(),
        _ => Vec::new(),
    };
    let sorted = |answer: &Answer| {
        let mut values: Vec<String> = answer.values().map(str::to_owned).collect();
        values.sort();
        values
    };
    let first = truth.first();
    let mut aliases: Vec<String> = first.map(|answer| answer.aliases.clone()).unwrap_or_default();
    if let Some(target) = target
        && !aliases.contains(target)
    {
        aliases.insert(0, target.clone());
    }
    Some(View {
        sightings: all().map(|answer| sighting(answer)).collect(),
        published: first.map(|answer| records(answer)),
        aliases,
        no_such_name: first.is_some_and(|answer| matches!(answer.reply, Reply::NoSuchName { .. })),
        split: truth.iter().any(|answer| sorted(answer) != sorted(truth[0])),
        failures: all()
            .filter(|answer| !answer.reply.is_answer())
            .map(|answer| (answer.vantage.to_string(), answer.reply.clone()))
            .collect(),
        bogus: resolvers.iter().any(|answer| answer.reply == Reply::Bogus),
        resolvers: resolvers.iter().map(|answer| (answer.vantage.to_string(), answer.reply.clone())).collect(),
    })
}

fn sighting(answer: &Answer) -> Sighting {
    let values: Vec<String> = answer.values().map(str::to_owned).collect();
    let outcome = if values.is_empty() { answer.reply.describe() } else { String::new() };
    Sighting { vantage: answer.vantage.clone(), values, aliases: answer.aliases.clone(), outcome }
}

impl View {
    /// The published values; empty if there are none.
    pub fn values(&self) -> Vec<&str> {
        self.published.iter().flatten().map(|record| record.value.as_str()).collect()
    }

    /// Notes the sightings in the finding, and the failure if nobody could tell what is published. True if the check
    /// may go on.
    pub fn enter(&self, finding: &mut Finding) -> bool {
        finding.found.clone_from(&self.sightings);
        if self.published.is_some() {
            return true;
        }
        let (server, reply) = match self.failures.first() {
            Some((server, reply)) => (server.as_str(), reply.clone()),
            None => ("nobody", Reply::Failed { reason: "no server could be asked".to_owned() }),
        };
        let name = finding.name.clone();
        let message = format!("{name} could not be looked up: {server}: {}.", reply.describe());
        let kind = DnsErrorKind::of(&reply);
        let remedy = match kind {
            Some(DnsErrorKind::Bogus) => {
                "Mend the zone's DNSSEC: its signatures or the DS record at the registrar are wrong."
            }
            Some(DnsErrorKind::Servfail) => "Look at the zone at your DNS host: its servers fail for this name.",
            Some(DnsErrorKind::Refused) => "Correct the NS records: the servers that they name do not serve the zone.",
            Some(DnsErrorKind::Timeout) => {
                "Check again; if it goes on, ask your DNS host why its servers do not answer."
            }
            _ => "Check again; if it goes on, look at the zone's NS records and at this gateway's [dns] servers.",
        };
        finding.fail(Status::DnsError, "dns-error", message, remedy);
        finding.error = kind;
        false
    }

    /// The last word on a record whose published value is right: servers that disagree, resolvers that are behind.
    pub fn settle(&self, finding: &mut Finding, at: Timestamp, right: impl Fn(&[SeenRecord]) -> bool) {
        if self.bogus {
            let message =
                format!("{} is published, but fails DNSSEC validation: many receivers will not see it.", finding.name);
            let remedy = "Mend the zone's DNSSEC: its signatures or the DS record at the registrar are wrong.";
            finding.fail(Status::DnsError, "bogus", message, remedy);
            finding.error = Some(DnsErrorKind::Bogus);
            return;
        }
        if self.split {
            let wrong = self.sightings.iter().find(|seen| {
                let records: Vec<SeenRecord> =
                    seen.values.iter().map(|value| SeenRecord { value: value.clone(), ttl: 0 }).collect();
                seen.vantage.kind == VantageKind::Authoritative && !right(&records)
            });
            if let Some(wrong) = wrong {
                let message = format!("Not all of the zone's servers have it: {} does not.", wrong.vantage);
                let remedy =
                    "Wait some minutes and check again; if it goes on, the servers of your DNS host are out of step.";
                finding.fail(Status::Conflict, "servers-disagree", message, remedy);
                return;
            }
        }
        let behind = self.resolvers.iter().filter_map(|(resolver, reply)| match reply {
            Reply::NoData { negative_ttl } | Reply::NoSuchName { negative_ttl } => {
                Some((resolver, negative_ttl.unwrap_or(0), "is missing"))
            }
            Reply::Records { records } if !right(records) => {
                Some((resolver, records.iter().map(|record| record.ttl).max().unwrap_or(0), "has its old value"))
            }
            _ => None,
        });
        if let Some((resolver, ttl, what)) = behind.max_by_key(|(_, ttl, _)| *ttl) {
            let until = at.saturating_add(SignedDuration::from_secs(i64::from(ttl))).unwrap_or(at);
            let clock = until.strftime("%H:%M UTC");
            let message = format!("It is published; {resolver} may answer that it {what} until {clock}.");
            finding.fail(Status::Stale, "negative-cache", message, format!("Nothing: wait until {clock}."));
            finding.stale_until = Some(until.to_string());
            return;
        }
        if let Some((server, reply)) = self.failures.first() {
            use std::fmt::Write as _;
            let _ = write!(finding.message, " {server} did not answer: {}.", reply.describe());
        }
    }
}
