//! What is known of large providers, as data: what they bear, and how they ask for less.
//!
//! Both files are read once. A mistake in them is ours and a test finds it; at run time an entry that cannot be read
//! is left out.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::outcome::{Evidence, Outcome};
use crate::config::{DomainPattern, Site};
use crate::message::DomainName;

/// A site's own words when it asked for less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowDown {
    /// The rule that recognised them: a provider's name, or `any`.
    pub by: String,
    /// The reply, code first, shortened.
    pub text: String,
}

/// The longest reply that is kept, in characters.
const MOST_TEXT: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteFile {
    site: Vec<SiteEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteEntry {
    name: String,
    #[serde(default)]
    match_mx: Vec<String>,
    #[serde(default)]
    match_domain: Vec<String>,
    connections: usize,
    messages_per_connection: usize,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    not: Vec<RuleEntry>,
    rule: Vec<RuleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleEntry {
    #[serde(default)]
    by: String,
    #[serde(default)]
    match_mx: Vec<String>,
    #[serde(default)]
    codes: Vec<u16>,
    texts: Vec<String>,
}

fn patterns(texts: &[String]) -> Vec<DomainPattern> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The sites that are known without configuration.
pub fn built_in_sites() -> Vec<Site> {
    let file: Result<SiteFile, _> = toml::from_str(include_str!("sites.toml"));
    let entries = file.map(|file| file.site).unwrap_or_default();
    let site = |entry: SiteEntry| Site {
        match_mx: patterns(&entry.match_mx),
        match_domain: patterns(&entry.match_domain),
        name: entry.name,
        together: true,
        connections: Some(entry.connections),
        messages_per_connection: Some(entry.messages_per_connection),
        rate: None,
        tls: None,
    };
    entries.into_iter().map(site).collect()
}

struct Rule {
    by: String,
    hosts: Vec<DomainPattern>,
    codes: Vec<u16>,
    texts: Vec<String>,
}

impl Rule {
    fn of(entry: RuleEntry) -> Self {
        let texts = entry.texts.iter().map(|text| text.to_lowercase()).collect();
        Self { by: entry.by, hosts: patterns(&entry.match_mx), codes: entry.codes, texts }
    }

    fn holds(&self, host: Option<&DomainName>, code: u16, text: &str) -> bool {
        (self.hosts.is_empty() || host.is_some_and(|host| self.hosts.iter().any(|pattern| pattern.matches(host))))
            && (self.codes.is_empty() || self.codes.contains(&code))
            && self.texts.iter().any(|wanted| text.contains(wanted))
    }
}

/// Those that say no, and those that say yes.
fn rules() -> &'static (Vec<Rule>, Vec<Rule>) {
    static RULES: OnceLock<(Vec<Rule>, Vec<Rule>)> = OnceLock::new();
    RULES.get_or_init(|| {
        let file: RuleFile = toml::from_str(include_str!("slow_down.toml")).unwrap_or_default();
        (file.not.into_iter().map(Rule::of).collect(), file.rule.into_iter().map(Rule::of).collect())
    })
}

/// Does the reply that decided an attempt ask for less mail? Only 4xx replies do; a 5xx ends the letter and says nothing
/// about the next one.
pub fn slow_down(evidence: &Evidence) -> Option<SlowDown> {
    let reply = evidence.reply.as_ref().filter(|reply| reply.code / 100 == 4)?;
    let text = reply.text.to_lowercase();
    let host: Option<DomainName> = evidence.host.as_ref().and_then(|host| host.parse().ok());
    let (not, yes) = rules();
    if not.iter().any(|rule| rule.holds(host.as_ref(), reply.code, &text)) {
        return None;
    }
    let rule = yes.iter().find(|rule| rule.holds(host.as_ref(), reply.code, &text))?;
    let status = reply.status.map(|(a, b, c)| format!(" {a}.{b}.{c}")).unwrap_or_default();
    let words: Vec<&str> = reply.text.split_ascii_whitespace().collect();
    let text = format!("{}{status} {}", reply.code, words.join(" "));
    Some(SlowDown { by: rule.by.clone(), text: text.chars().take(MOST_TEXT).collect() })
}

/// The same of all outcomes of a transaction, with the time at which the attempt began.
pub fn asks_for_less(outcomes: &[(u32, Outcome)]) -> Option<(crate::clock::Timestamp, SlowDown)> {
    outcomes.iter().find_map(|(_, outcome)| match outcome {
        Outcome::TryLater(evidence) => slow_down(evidence).map(|said| (evidence.at, said)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::deliver::outcome::{DialogueStage, RemoteReply, Scene};

    fn said(host: &str, code: u16, text: &str) -> Option<String> {
        let scene = Scene { host: Some(host.to_owned()), ..Scene::nowhere(Timestamp::from_millis(0)) };
        let reply = RemoteReply { code, status: None, text: text.to_owned() };
        slow_down(scene.by_reply(DialogueStage::Mail, reply).evidence()).map(|said| said.by)
    }

    /// Replies as providers publish them or as their senders quote them.
    #[test]
    fn providers_are_understood() {
        let google = "gmail-smtp-in.l.google.com";
        let outlook = "hotmail-com.olc.protection.outlook.com";
        let yahoo = "mta7.am0.yahoodns.net";
        for (host, code, text, expected) in [
            (
                google,
                421,
                "Our system has detected an unusual rate of unsolicited mail originating from your IP",
                Some("google"),
            ),
            (google, 421, "Try again later, closing connection. (EHLO) gsmtp", Some("google")),
            (
                google,
                450,
                "The user you are trying to contact is receiving mail at a rate that prevents additional",
                None,
            ),
            (google, 452, "The recipient's inbox is out of storage space", None),
            (google, 550, "Our system has detected an unusual rate of unsolicited mail", None),
            (outlook, 451, "Server busy. Please try again later from [192.0.2.1]. (S77719)", Some("microsoft")),
            (
                outlook,
                451,
                "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation.",
                Some("microsoft"),
            ),
            (outlook, 421, "RP-001 (BAY) Unfortunately, some messages weren't sent", Some("microsoft")),
            (
                yahoo,
                421,
                "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume",
                Some("yahoo"),
            ),
            (yahoo, 451, "mailbox is busy", None),
            ("mx.example.net", 421, "Too many concurrent SMTP connections; please try again later", Some("any")),
            ("mx.example.net", 450, "4.7.1 Error: too much mail from 192.0.2.1", Some("any")),
            ("mx.example.net", 451, "Greylisted, try again; slow down", None),
            ("mx.example.net", 451, "Temporary local problem - please try later", None),
            ("mx.orange.fr", 421, "OFR004_104 Too many connections, slow down. LPN004_104", Some("orange.fr")),
        ] {
            assert_eq!(said(host, code, text).as_deref(), expected, "{host} {code} {text}");
        }
    }

    #[test]
    fn the_files_are_whole() {
        let sites: SiteFile = toml::from_str(include_str!("sites.toml")).unwrap();
        for (entry, site) in sites.site.iter().zip(built_in_sites()) {
            assert_eq!(entry.match_mx.len() + entry.match_domain.len(), site.match_mx.len() + site.match_domain.len());
        }
        let rules: RuleFile = toml::from_str(include_str!("slow_down.toml")).unwrap();
        assert!(rules.rule.iter().all(|rule| patterns(&rule.match_mx).len() == rule.match_mx.len()));
        assert!(rules.rule.iter().all(|rule| !rule.by.is_empty() && !rule.texts.is_empty()));
    }
}
