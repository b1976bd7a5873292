//! `waxseal verify`: what a receiver would say of a message's DKIM signatures, DMARC and ARC (by mail-auth).
//!
//! With a DNS fixture no network is touched: a name that it lacks does not exist. Without one the system's
//! resolver is asked. SPF is not judged: a file has no client address.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;

use mail_auth::common::crypto::Algorithm;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::dmarc::{Dmarc, Policy};
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcOutput, DmarcResult, DnsError, DnssecStatus,
    MessageAuthenticator, Parameters, RecordSet, ResolverCache, SpfOutput, Txt,
};
use serde::Serialize;

use super::letter_file::read_message;
use super::{CliError, Exit};

/// Check a message's DKIM signatures, DMARC and ARC
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  waxseal verify --dns-fixture dns.json letter.eml\n\nExit status 0: all passed; 3: \
                        something did not."
)]
pub struct VerifyArgs {
    /// The message; standard input without it
    pub file: Option<PathBuf>,
    /// JSON object: name -> list of TXT values; no network is touched
    #[arg(long, value_name = "FILE")]
    pub dns_fixture: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// One DKIM signature's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DkimVerdict {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `a=`.
    pub algorithm: String,
    /// `pass`, `fail`, `neutral`, `permerror`, `temperror`, `none`.
    pub result: &'static str,
    /// Why it is not a pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// DMARC's verdict, by DKIM alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DmarcVerdict {
    /// The From domain.
    pub domain: String,
    /// As for DKIM; `none` where no record is published.
    pub result: &'static str,
    /// The policy that applies: `none`, `quarantine`, `reject`, `unspecified`.
    pub policy: &'static str,
}

/// All verdicts on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    /// Each signature, from the top of the header down.
    pub dkim: Vec<DkimVerdict>,
    /// DMARC.
    pub dmarc: DmarcVerdict,
    /// ARC; `none` without a chain.
    pub arc: &'static str,
}

impl Verdicts {
    /// Did everything pass? At least one signature, all of them valid, DMARC and ARC not failed.
    pub fn passed(&self) -> bool {
        !self.dkim.is_empty()
            && self.dkim.iter().all(|verdict| verdict.result == "pass")
            && matches!(self.dmarc.result, "pass" | "none")
            && matches!(self.arc, "pass" | "none")
    }
}

/// TXT records to answer from instead of the network.
#[derive(Debug, Clone, Default)]
pub struct DnsFixture(HashMap<String, Vec<String>>);

impl DnsFixture {
    /// Reads a JSON object: name to list of TXT values. Names have no case and may end in a dot.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let given: HashMap<String, Vec<String>> = serde_json::from_slice(json)?;
        Ok(Self(given.into_iter().map(|(name, values)| (canonical(&name), values)).collect()))
    }

    /// A fixture of these records.
    pub fn new(records: impl IntoIterator<Item = (String, Vec<String>)>) -> Self {
        Self(records.into_iter().map(|(name, values)| (canonical(&name), values)).collect())
    }

    /// The answer to a query, as mail-auth caches it. mail-auth stores what it parsed, so the kind of a record
    /// follows from its name.
    fn answer(name: &str, values: &[String]) -> Txt {
        let parsed = |value: &String| -> Txt {
            if name.contains("._domainkey.") {
                DomainKey::parse(value.as_bytes()).into()
            } else {
                Dmarc::parse(value.as_bytes()).into()
            }
        };
        let mut answers: Vec<Txt> = values.iter().map(parsed).collect();
        let good = answers.iter().position(|answer| !matches!(answer, Txt::Error(_)));
        if answers.is_empty() { missing() } else { answers.swap_remove(good.unwrap_or(0)) }
    }

    fn answers(&self) -> Answers {
        let answer = |(name, values): (&String, &Vec<String>)| (format!("{name}.").into(), Self::answer(name, values));
        Answers::Fixture(self.0.iter().map(answer).collect())
    }
}

fn missing() -> Txt {
    Txt::Error(mail_auth::Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)))
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// What mail-auth is given as its caches: all answers of a fixture, or nothing, so that it asks the network.
enum Answers {
    Fixture(HashMap<Box<str>, Txt>),
    Network,
}

impl ResolverCache<Box<str>, Txt> for Answers {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self {
            Self::Fixture(answers) => Some(answers.get(name).cloned().unwrap_or_else(missing)),
            Self::Network => None,
        }
    }
    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

/// In a fixture every name has an empty set of addresses. DMARC asks only whether a subdomain exists, and one
/// that sends mail does.
impl<K: Hash + Eq, V> ResolverCache<K, RecordSet<V>> for Answers {
    fn get<Q>(&self, _: &Q) -> Option<RecordSet<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        matches!(self, Self::Fixture(_))
            .then(|| RecordSet { rrset: Arc::from(Vec::new()), dnssec_status: DnssecStatus::Indeterminate })
    }
    fn remove<Q>(&self, _: &Q) -> Option<RecordSet<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: K, _: RecordSet<V>, _: std::time::Instant) {}
}

/// Verifies a message (CRLF line ends) against a fixture, or against the DNS that the system knows.
pub async fn verify_message(message: &[u8], fixture: Option<&DnsFixture>) -> Result<Verdicts, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(Exit::RunTime, format!("the resolver: {error}"));
    let (resolver, answers) = match fixture {
        // Never asked, since the fixture answers everything; it only has to exist.
        Some(fixture) => {
            let nobody = ResolverConfig::from_name_servers(Vec::new());
            (MessageAuthenticator::new(nobody, ResolverOpts::default()), fixture.answers())
        }
        None => (MessageAuthenticator::new_system_conf(), Answers::Network),
    };
    let resolver = resolver.map_err(|error| failed(&error))?;
    let parsed = AuthenticatedMessage::parse(message)
        .ok_or_else(|| CliError::new(Exit::Problems, "this is no message: no header field can be read"))?;

    macro_rules! asking {
        ($what:expr) => {
            Parameters::new($what)
                .with_txt_cache(&answers)
                .with_mx_cache(&answers)
                .with_ipv4_cache(&answers)
                .with_ipv6_cache(&answers)
                .with_ptr_cache(&answers)
        };
    }
    let dkim = resolver.verify_dkim(asking!(&parsed)).await;
    let arc = resolver.verify_arc(asking!(&parsed)).await;
    let domain = parsed.from.first().and_then(|from| from.rsplit_once('@')).map_or("", |(_, domain)| domain);
    let no_spf = SpfOutput::new(domain.to_owned());
    let dmarc = resolver.verify_dmarc(asking!(DmarcParameters::new(&parsed, &dkim, domain, &no_spf))).await;
    Ok(Verdicts {
        dkim: dkim.iter().map(dkim_verdict).collect(),
        dmarc: dmarc_verdict(&dmarc),
        arc: dkim_result(arc.result()).0,
    })
}

fn dkim_result(result: &DkimResult) -> (&'static str, Option<String>) {
    match result {
        DkimResult::Pass => ("pass", None),
        DkimResult::None => ("none", None),
        DkimResult::Neutral(why) => ("neutral", Some(why.to_string())),
        DkimResult::Fail(why) => ("fail", Some(why.to_string())),
        DkimResult::PermError(why) => ("permerror", Some(why.to_string())),
        DkimResult::TempError(why) => ("temperror", Some(why.to_string())),
    }
}

fn dkim_verdict(output: &DkimOutput<'_>) -> DkimVerdict {
    let (result, reason) = dkim_result(output.result());
    let (domain, selector, algorithm) = output.signature().map_or_else(Default::default, |signature| {
        let algorithm = match signature.a {
            Algorithm::RsaSha1 => "rsa-sha1",
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
        };
        (signature.d.clone(), signature.s.clone(), algorithm.to_owned())
    });
    DkimVerdict { domain, selector, algorithm, result, reason }
}

fn dmarc_verdict(output: &DmarcOutput) -> DmarcVerdict {
    let result = match output.result() {
        DmarcResult::Pass => "pass",
        DmarcResult::None => "none",
        DmarcResult::Fail(_) => "fail",
        DmarcResult::PermError(_) => "permerror",
        DmarcResult::TempError(_) => "temperror",
    };
    let policy = match output.policy() {
        Policy::None => "none",
        Policy::Quarantine => "quarantine",
        Policy::Reject => "reject",
        Policy::Unspecified => "unspecified",
    };
    DmarcVerdict { domain: output.domain().to_owned(), result, policy }
}

/// Runs the command; the process' standard output gets the verdicts.
pub async fn run(args: &VerifyArgs) -> Result<(), CliError> {
    let fixture = match &args.dns_fixture {
        None => None,
        Some(path) => {
            let usage =
                |error: &dyn std::fmt::Display| CliError::new(Exit::Usage, format!("{}: {error}", path.display()));
            let json = std::fs::read(path).map_err(|error| usage(&error))?;
            Some(DnsFixture::parse(&json).map_err(|error| usage(&error))?)
        }
    };
    let message = read_message(args.file.as_deref())?;
    let verdicts = verify_message(&message, fixture.as_ref()).await?;
    print!("{}", if args.json { shown_as_json(&verdicts) } else { shown_as_text(&verdicts) });
    if verdicts.passed() { Ok(()) } else { Err(CliError::new(Exit::Problems, "not everything passed")) }
}

fn shown_as_json(verdicts: &Verdicts) -> String {
    // Strings and lists of them always serialize.
    serde_json::to_string_pretty(verdicts).unwrap_or_default() + "\n"
}

fn shown_as_text(verdicts: &Verdicts) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    // Writing to a string cannot fail.
    for verdict in &verdicts.dkim {
        let DkimVerdict { domain, selector, algorithm, result, reason } = verdict;
        let reason = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _ = writeln!(text, "DKIM   {result}  d={domain} s={selector} a={algorithm}{reason}");
    }
    if verdicts.dkim.is_empty() {
        text.push_str("DKIM   none  the message bears no signature\n");
    }
    let DmarcVerdict { domain, result, policy } = &verdicts.dmarc;
    let _ = writeln!(text, "DMARC  {result}  From domain {domain}, policy {policy}");
    let _ = writeln!(text, "ARC    {}", verdicts.arc);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unsigned_message_does_not_pass_and_needs_no_network() {
        let fixture =
            DnsFixture::parse(br#"{"_DMARC.example.com.": ["v=DMARC1; p=reject; rua=mailto:a@example.com"]}"#);
        let message = b"From: a@news.example.com\r\nSubject: x\r\n\r\nx\r\n";
        let verdicts = verify_message(message, Some(&fixture.unwrap())).await.unwrap();
        assert!(!verdicts.passed());
        assert_eq!((verdicts.dmarc.result, verdicts.dmarc.policy), ("fail", "reject"));
        assert_eq!(verdicts.arc, "none");
        assert!(shown_as_text(&verdicts).contains("bears no signature"));
    }
}
