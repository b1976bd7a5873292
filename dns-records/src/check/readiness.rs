//! The rules of the large mailbox providers for bulk senders, from what was found and no more.
//!
//! Promises: a rule that cannot be seen in DNS is `not_checked`, never passed.

use super::Expectations;
use super::finding::{Finding, Group, Severity, Status};
use crate::records::RecordType;

/// How it stands with a part of authentication.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Good,
    Bad,
    Unknown,
}

fn standing<'f>(findings: impl Iterator<Item = &'f Finding>, one_is_enough: bool) -> Standing {
    let mut standings = findings.map(|finding| match finding.status {
        Status::Ok | Status::Stale => Standing::Good,
        Status::NotChecked => Standing::Unknown,
        Status::DnsError if finding.error != Some(super::DnsErrorKind::Bogus) => Standing::Unknown,
        // Reports that go nowhere do not touch the policy.
        _ if finding.severity == Severity::Info => Standing::Good,
        _ => Standing::Bad,
    });
    let all: Vec<Standing> = standings.by_ref().collect();
    let has = |wanted| all.contains(&wanted);
    match (all.is_empty(), one_is_enough) {
        (true, _) => Standing::Unknown,
        (false, true) if has(Standing::Good) => Standing::Good,
        (false, false) if !has(Standing::Bad) && !has(Standing::Unknown) => Standing::Good,
        _ if has(Standing::Unknown) && (one_is_enough || !has(Standing::Bad)) => Standing::Unknown,
        _ => Standing::Bad,
    }
}

fn both(one: Standing, other: Standing) -> Standing {
    match (one, other) {
        (Standing::Bad, _) | (_, Standing::Bad) => Standing::Bad,
        (Standing::Unknown, _) | (_, Standing::Unknown) => Standing::Unknown,
        (Standing::Good, Standing::Good) => Standing::Good,
    }
}

/// What is known of the domain.
struct Known {
    spf: Standing,
    dkim: Standing,
    dmarc: Standing,
    names: Standing,
    aligned: bool,
}

/// The rules of all providers.
pub(super) fn rules(findings: &[Finding], expectations: &Expectations) -> Vec<Finding> {
    let with = |prefix: &'static str| findings.iter().filter(move |finding| finding.id.starts_with(prefix));
    let alias = || findings.iter().filter(|finding| finding.id == "return-path");
    let spf = || with("spf").chain(with("return-path-spf")).chain(alias()).chain(with("operator-spf:"));
    let known = Known {
        spf: standing(spf(), false),
        dkim: match with("delegated-key:").next() {
            // An alias is worth what stands at its end.
            Some(_) => both(standing(with("dkim:"), true), standing(with("delegated-key:"), true)),
            None => standing(with("dkim:"), true),
        },
        dmarc: standing(with("dmarc"), false),
        names: standing(with("ptr:").chain(with("address:")), false),
        aligned: crate::records::is_within(expectations.mail_from(), &expectations.domain),
    };
    let mut rules = Vec::new();
    for group in [Group::Google, Group::Yahoo, Group::Microsoft] {
        rules.extend(provider(group, &known));
    }
    rules
}

fn provider(group: Group, known: &Known) -> Vec<Finding> {
    let name = match group {
        Group::Google => "google",
        Group::Yahoo => "yahoo",
        _ => "microsoft",
    };
    let rule = |key: &str, standing: Standing, good: &str, bad: &str, remedy: &str| {
        let mut finding = Finding::new(format!("{name}:{key}"), group, "", None::<RecordType>);
        "Bulk mail of the domain is refused or goes to the spam folder.".clone_into(&mut finding.breaks);
        match standing {
            Standing::Good => finding.pass(good),
            Standing::Bad => finding.fail(Status::Missing, "rule-not-met", bad, remedy),
            Standing::Unknown => {
                finding.fail(Status::NotChecked, "not-visible", "It could not be seen in this check.", "");
            }
        }
        finding
    };
    let hidden = |key: &str, message: &str, remedy: &str| {
        let mut finding = Finding::new(format!("{name}:{key}"), group, "", None::<RecordType>);
        finding.fail(Status::NotChecked, "not-visible", message, remedy);
        finding
    };
    let aligned = match (known.dkim, known.spf, known.dmarc) {
        (_, _, Standing::Bad) => Standing::Bad,
        (Standing::Good, _, Standing::Good) => Standing::Good,
        (_, Standing::Good, Standing::Good) if known.aligned => Standing::Good,
        (Standing::Bad, Standing::Bad, _) => Standing::Bad,
        (Standing::Bad, _, _) if !known.aligned => Standing::Bad,
        _ => Standing::Unknown,
    };
    let fix_spf = "Mend the SPF record above.";
    let fix_dkim = "Mend the DKIM records above.";
    let fix_dmarc = "Mend the DMARC record above.";
    let mut rules = vec![
        rule("spf", known.spf, "SPF passes for our addresses.", "SPF does not pass.", fix_spf),
        rule("dkim", known.dkim, "A DKIM key is published.", "No DKIM key is published.", fix_dkim),
        rule("dmarc", known.dmarc, "The domain has a DMARC policy.", "The domain has no DMARC policy.", fix_dmarc),
        rule(
            "alignment",
            aligned,
            "SPF or DKIM aligns with the From domain.",
            "Neither SPF nor DKIM aligns.",
            fix_dkim,
        ),
        rule(
            "names",
            known.names,
            "Sending addresses have names that lead back.",
            "A sending address has no matching name.",
            "The operator must mend the PTR and address records above.",
        ),
    ];
    if group == Group::Microsoft {
        rules.push(hidden(
            "unsubscribe",
            "Whether bulk mail has a working unsubscribe link cannot be seen in DNS.",
            "Add one to bulk mail.",
        ));
    } else {
        rules.push(hidden(
            "spam-rate",
            "The rate of complaints is known to the provider only.",
            "Look at the provider's own page for senders; stay under 0.1 %.",
        ));
        let text = "Whether bulk mail has List-Unsubscribe-Post (RFC 8058) cannot be seen in DNS.";
        rules.push(hidden("one-click-unsubscribe", text, "Add both List-Unsubscribe fields to bulk mail."));
    }
    rules
}
