//! The usual accidents between a page that shows a record and the zone that should have it.

use super::Scene;
use super::finding::{Finding, Status};
use crate::answers::Reply;
use crate::records::RecordType;

/// Names where a record lands by mistake, with the word for the mistake.
pub(super) fn strays(owner: &str, domain: &str) -> Vec<(String, &'static str)> {
    let mut strays = vec![(format!("{owner}.{domain}"), "doubled-suffix")];
    let bare = owner.replace('_', "");
    if bare != owner {
        strays.push((bare, "lost-underscore"));
    }
    strays
}

/// The record is missing: looks where it may have landed instead, and says what is the case.
pub(super) fn missing(scene: &Scene, finding: &mut Finding, ours: impl Fn(&str) -> bool) {
    let domain = scene.expectations.domain.as_str();
    let name = finding.name.clone();
    let word = finding.record_type.map_or("record", RecordType::as_str);
    for (stray, reason) in strays(&name, domain) {
        let Some(record_type) = finding.record_type else { break };
        let Some(answer) = scene.heard.one(&stray, record_type) else { continue };
        let Reply::Records { records } = &answer.reply else { continue };
        if !records.iter().any(|record| ours(&record.value)) {
            continue;
        }
        let label = name.strip_suffix(domain).map_or("@", |label| label.trim_end_matches('.'));
        let (message, remedy) = if reason == "doubled-suffix" {
            (
                format!("The record stands at {stray}: the DNS host added the domain to a name that had it already."),
                format!("Enter the name as {label}, without {domain} at its end."),
            )
        } else {
            (
                format!("The record stands at {stray}: the underscore was lost."),
                format!("Enter the name as {label}, with its underscore."),
            )
        };
        finding.fail(Status::Missing, reason, message, remedy);
        return;
    }
    let message = format!("{name} has no such {word} record.");
    let remedy = format!("Publish the {word} record at {name}.");
    finding.fail(Status::Missing, "missing", message, remedy);
}

/// What became of a value on its way: the word for it, what to say, and what to do.
pub(super) fn damage(expected: &str, found: &str) -> Option<(&'static str, String, String)> {
    let again = |how: &str| format!("Copy the value again{how}.");
    let smart =
        |c: char| matches!(c, '\u{2018}'..='\u{201f}' | '\u{2032}'..='\u{2036}' | '\u{ab}' | '\u{bb}' | '\u{ff02}');
    if found.contains(smart) {
        let message = "The value has typographic quotation marks: it went through a word processor or a mail program.";
        return Some(("smart-quotes", message.to_owned(), again(" as plain text")));
    }
    if found.starts_with('"') || found.ends_with('"') {
        let message =
            "Quotation marks are part of the value: the DNS host adds its own, and these are one pair too many.";
        return Some(("quotes", message.to_owned(), again(" without quotation marks")));
    }
    if found.contains("\\;") || found.contains("\\\"") {
        let message = "Backslashes are part of the value: it was escaped once too often on its way.";
        return Some(("backslashes", message.to_owned(), again(" without backslashes")));
    }
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_ascii_whitespace()).collect::<String>();
    let (whole, part) = (squeezed(expected), squeezed(found));
    if part.len() < whole.len() && part.len() >= 16 && whole.starts_with(&part) {
        let length = found.chars().count();
        let message = format!("The value is cut off after {length} characters.");
        let remedy = "Enter the whole value; where the DNS host takes 255 characters at most, enter it in several quoted strings.";
        return Some(("truncated", message, remedy.to_owned()));
    }
    None
}
