//! What DNS says of a key's record, in the words of the keys' own life.
//!
//! Promises: every authoritative server of every zone on the way counts, and the configured resolvers are a second
//! vantage point: what they do not see, receivers may not see either. Refuses: to conclude anything from a failure.

use waxseal_dns::{Answer, DkimRecord, RecordType, Reply, VantageKind};
use waxseal_keys::life::Sighting;

use super::DkimKey;
use crate::zones::{Survey, ZoneReader};

/// What the answers say of a key's record.
pub(super) fn sighting(key: &DkimKey, answers: &[Answer]) -> Sighting {
    let Ok(expected) = key.record_value().parse::<DkimRecord>() else { return Sighting::Unknown };
    let (mut with, mut without, mut longest) = (0, 0, 0);
    for answer in answers {
        let records = match &answer.reply {
            Reply::Records { records } => records.as_slice(),
            reply if reply.is_denial() => &[],
            // One server that does not answer may have anything.
            _ => return Sighting::Unknown,
        };
        // Texts that are no DKIM record mean nothing to a verifier; two that are leave it to chance (RFC 6376
        // §3.6.2.2).
        let keys = records.iter().filter_map(|record| Some((record.value.parse::<DkimRecord>().ok()?, record.ttl)));
        match keys.collect::<Vec<_>>().as_slice() {
            [] => without += 1,
            [(found, ttl)] if found.key_type == expected.key_type && found.public_key == expected.public_key => {
                with += 1;
                longest = longest.max(*ttl);
            }
            _ => return Sighting::Different,
        }
    }
    match (with, without) {
        (0, 0) => Sighting::Unknown,
        (0, _) => Sighting::Absent,
        (_, 0) => Sighting::Everywhere { ttl: longest },
        _ => Sighting::Partly,
    }
}

/// Aliases that are followed from zone to zone.
const ALIASES: usize = 8;

/// What every authoritative server has at `name`, aliases into other zones followed to all servers there. Where no
/// zone holds the name at all (a private name space, a test), the configured resolvers are the authority.
pub(super) async fn ask_everywhere(zones: &dyn ZoneReader, name: &str) -> Vec<Answer> {
    let (mut open, mut answers) = (vec![name.to_owned()], Vec::new());
    for _ in 0..=ALIASES {
        let mut further = Vec::new();
        for name in std::mem::take(&mut open) {
            for answer in believed(zones.survey(&name, RecordType::Txt).await) {
                match (&answer.reply, answer.aliases.last()) {
                    (Reply::Elsewhere, Some(target)) if !further.contains(target) => further.push(target.clone()),
                    (Reply::Elsewhere, Some(_)) => {}
                    _ => answers.push(answer),
                }
            }
        }
        if further.is_empty() {
            return answers;
        }
        open = further;
    }
    // An alias without an end: no verifier finds a key there.
    answers
}

pub(super) fn believed(survey: Survey) -> Vec<Answer> {
    let nobody_has_it = survey.zone.is_empty() && matches!(survey.problem, Some(Reply::Failed { .. }));
    let kind = if nobody_has_it { VantageKind::Resolver } else { VantageKind::Authoritative };
    survey.answers.into_iter().filter(|answer| answer.vantage.kind == kind).collect()
}

/// The same sighting, where the configured resolvers see the record too. A server may answer us and nobody else, and a
/// zone whose signatures are broken is no zone to a receiver that validates.
pub(super) async fn confirmed(zones: &dyn ZoneReader, key: &DkimKey, seen: Sighting) -> Sighting {
    if !matches!(seen, Sighting::Everywhere { .. }) {
        return seen;
    }
    let answers = zones.resolve(&key.record_name(), RecordType::Txt).await;
    second_sight(key, seen, &answers)
}

fn second_sight(key: &DkimKey, seen: Sighting, resolvers: &[Answer]) -> Sighting {
    let one = |answer: &Answer| match answer.reply {
        Reply::Bogus => Sighting::Absent,
        _ => sighting(key, std::slice::from_ref(answer)),
    };
    let sightings: Vec<Sighting> = resolvers.iter().map(one).collect();
    if sightings.iter().any(|seen| matches!(seen, Sighting::Absent | Sighting::Different)) {
        return Sighting::Partly;
    }
    // A resolver that does not answer says nothing; if none does, there was no second look.
    if sightings.iter().any(|seen| matches!(seen, Sighting::Everywhere { .. })) { seen } else { Sighting::Unknown }
}
