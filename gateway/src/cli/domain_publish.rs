//! `waxseal domain publish`: shows what would change at a DNS host, and changes it.
//!
//! The DNS host is driven from here and not by the gateway: a program that faces the network needs no key to a zone.
//! Secrets are given by reference only (`file:`, `env:`, `cred:`), so that they stand in no history and no list of
//! processes. Values are added and removed one by one; a whole set is never replaced.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use dns_update::{DnsRecord as HostRecord, DnsRecordType, DnsUpdater, MXRecord};
use serde::Deserialize;
use waxseal_dns::plan::{Action, BESIDE_ALIAS, Change, Plan, plan};
use waxseal_dns::{DnsRecord, RecordType};
use zeroize::Zeroizing;

use super::control::{ConsentArgs, GatewayArgs};
use super::dns_hosts::{Provider, SignIn, updater};
use super::{CliError, Exit, print};
use crate::admin::client::{query, segment};
use crate::config::SecretRef;
use crate::zones::ZonePrimary;

/// `waxseal domain publish`.
#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// The domain.
    domain: String,
    /// The DNS host.
    #[arg(long, value_name = "NAME")]
    provider: Provider,
    /// The zone that holds the domain [default: found by its SOA record].
    #[arg(long, value_name = "NAME")]
    zone: Option<String>,
    /// The name server, for rfc2136: ADDRESS:PORT [default: the primary server that the SOA record names].
    #[arg(long, value_name = "ADDRESS")]
    server: Option<SocketAddr>,
    /// The name of the TSIG key, for rfc2136.
    #[arg(long, value_name = "NAME", required_if_eq("provider", "rfc2136"), conflicts_with = "account")]
    key_name: Option<String>,
    /// Whose the secret is, where the DNS host asks for it: user name, account or key ID.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// The URL of the DNS host's API, where it is not one for everybody.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The TSIG secret (base64, hmac-sha256) or the DNS host's token, as file:PATH, env:NAME or cred:NAME.
    #[arg(long, value_name = "REFERENCE")]
    secret: String,
    /// Only show the plan.
    #[arg(long)]
    plan: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    consent: ConsentArgs,
}

#[derive(Deserialize)]
struct Document {
    records: Vec<DnsRecord>,
}

/// Runs it.
pub(super) fn run(gateway: &GatewayArgs, args: &PublishArgs) -> Result<(), CliError> {
    let path =
        format!("/v1/domains/{}/records{}", segment(&args.domain), query(&[("format", Some("json".to_owned()))]));
    gateway.run(async |client| {
        let document: Document = client.get(&path).await?;
        let found = if args.zone.is_some() && (args.server.is_some() || args.provider != Provider::Rfc2136) {
            None
        } else {
            Some(client.get::<ZonePrimary>(&format!("/v1/domains/{}/zone", segment(&args.domain))).await?)
        };
        let host = Host::new(args, found)?;
        host.check_names(&document.records)?;
        let live = host.live(&document.records).await?;
        let there = |name: &str, record_type: RecordType| {
            live.get(&(name.to_owned(), record_type)).cloned().unwrap_or_default()
        };
        let plan = plan(&args.domain, &document.records, &there);
        show(&plan, args.json)?;
        let count = plan.work().count();
        if args.plan || args.consent.only_looking() || count == 0 {
            return Ok(());
        }
        if let Some(danger) = plan.danger()
            && !args.consent.given(&format!("change {}: {danger}", args.domain))?
        {
            return Ok(());
        }
        for change in plan.work() {
            host.apply(change).await?;
        }
        if args.json { Ok(()) } else { print::line(&format!("{} published", print::count(count, "record"))) }
    })
}

fn show(plan: &Plan, json: bool) -> Result<(), CliError> {
    if json {
        return print::json(plan);
    }
    for change in &plan.changes {
        let word = match change.action {
            Action::Keep => "keep   ",
            Action::Add => "add    ",
            Action::Replace => "replace",
            Action::Skip => "skip   ",
        };
        print::line(&print::clean(&format!(
            "{word} {} {}: {}",
            change.record_type.as_str(),
            change.name,
            change.reason
        )))?;
        if matches!(change.action, Action::Add | Action::Replace) {
            for old in &change.remove {
                print::line(&print::clean(&format!("        - {old}")))?;
            }
            print::line(&print::clean(&format!("        + {}", change.value)))?;
        }
    }
    Ok(())
}

/// The secret without the line's end that editors leave.
fn secret(reference: &str) -> Result<Zeroizing<String>, CliError> {
    let usage = |why: &dyn std::fmt::Display| CliError::new(Exit::Usage, format!("--secret {why}"));
    let reference: SecretRef = reference.parse().map_err(|error: crate::config::SecretError| usage(&error))?;
    let octets = reference.read().map_err(|error| usage(&error))?;
    let text = std::str::from_utf8(&octets).map_err(|_| usage(&"is not text"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn failed(what: &str, error: &dns_update::Error) -> CliError {
    CliError::new(Exit::RunTime, format!("{what}: {error}"))
}

/// A DNS host and the zone there.
struct Host {
    updater: DnsUpdater,
    zone: String,
}

/// Values by name and type.
type LiveValues = BTreeMap<(String, RecordType), Vec<String>>;

impl Host {
    /// Where the zone is, by the command line or else by what DNS says.
    fn new(args: &PublishArgs, found: Option<ZonePrimary>) -> Result<Self, CliError> {
        let secret = secret(&args.secret)?;
        let rfc2136 = args.provider == Provider::Rfc2136;
        let key = if rfc2136 { STANDARD.decode(secret.as_str()) } else { Ok(Vec::new()) };
        let key = Zeroizing::new(key.map_err(|_| CliError::new(Exit::Usage, "--secret is not base64"))?);
        let sign_in = SignIn {
            secret: &secret,
            account: args.key_name.as_deref().or(args.account.as_deref()),
            endpoint: args.endpoint.as_deref(),
            server: args.server.or_else(|| found.as_ref().and_then(|found| found.address)),
            key: &key,
        };
        let updater = updater(args.provider, &sign_in)?;
        let zone = args.zone.clone().or_else(|| found.map(|found| found.zone));
        Ok(Self { updater, zone: zone.unwrap_or_else(|| args.domain.clone()) })
    }

    /// A name of another zone would be written where nobody looks for it.
    fn check_names(&self, records: &[DnsRecord]) -> Result<(), CliError> {
        let zone = self.zone.trim_end_matches('.').to_ascii_lowercase();
        let inside = |name: &str| name.strip_suffix(&zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        match records.iter().find(|record| !inside(&record.owner)) {
            None => Ok(()),
            Some(record) => {
                let why = format!("{} is not in the zone {zone}: give the right --zone", record.owner);
                Err(CliError::new(Exit::Usage, why))
            }
        }
    }

    /// What stands at the names of `records` now.
    async fn live(&self, records: &[DnsRecord]) -> Result<LiveValues, CliError> {
        let mut live = LiveValues::new();
        for record in records {
            let alias = record.record_type == RecordType::Cname;
            let beside: &[RecordType] = if alias { &BESIDE_ALIAS } else { &[RecordType::Cname] };
            for record_type in [&[record.record_type], beside].concat() {
                let key = (record.owner.clone(), record_type);
                if live.contains_key(&key) {
                    continue;
                }
                let listed = self.updater.list_rrset(&record.owner, host_type(record_type)?, &self.zone).await;
                let values = match listed {
                    Ok(values) => values.iter().filter_map(value).collect(),
                    Err(dns_update::Error::NotFound) => Vec::new(),
                    Err(error) => return Err(failed(&format!("reading {}", record.owner), &error)),
                };
                live.insert(key, values);
            }
        }
        Ok(live)
    }

    async fn apply(&self, change: &Change) -> Result<(), CliError> {
        let kind = || host_type(change.record_type);
        let records = |values: &[String]| values.iter().map(|value| host_record(change.record_type, value)).collect();
        // The old value goes first: for a moment no record is better than two, of which receivers take neither.
        if !change.remove.is_empty() {
            let old: Vec<HostRecord> = records(&change.remove);
            let removed = self.updater.remove_from_rrset(&change.name, kind()?, old, &self.zone).await;
            removed.map_err(|error| failed(&format!("removing from {}", change.name), &error))?;
        }
        let new: Vec<HostRecord> = records(std::slice::from_ref(&change.value));
        let added = self.updater.add_to_rrset(&change.name, kind()?, change.ttl, new, &self.zone).await;
        added.map_err(|error| failed(&format!("adding {}", change.name), &error))
    }
}

fn host_type(record_type: RecordType) -> Result<DnsRecordType, CliError> {
    match record_type {
        RecordType::Txt => Ok(DnsRecordType::TXT),
        RecordType::Mx => Ok(DnsRecordType::MX),
        RecordType::Cname => Ok(DnsRecordType::CNAME),
        RecordType::A => Ok(DnsRecordType::A),
        RecordType::Aaaa => Ok(DnsRecordType::AAAA),
        other => Err(CliError::new(Exit::RunTime, format!("{} records are not published from here", other.as_str()))),
    }
}

fn host_record(record_type: RecordType, value: &str) -> HostRecord {
    match record_type {
        RecordType::Mx => {
            let (priority, exchange) = value.split_once(' ').unwrap_or(("10", value));
            HostRecord::MX(MXRecord { exchange: exchange.to_owned(), priority: priority.parse().unwrap_or(10) })
        }
        RecordType::Cname => HostRecord::CNAME(value.to_owned()),
        _ => HostRecord::TXT(value.to_owned()),
    }
}

fn value(record: &HostRecord) -> Option<String> {
    match record {
        HostRecord::TXT(text) => Some(text.clone()),
        HostRecord::CNAME(target) => Some(target.trim_end_matches('.').to_owned()),
        HostRecord::A(address) => Some(address.to_string()),
        HostRecord::AAAA(address) => Some(address.to_string()),
        HostRecord::MX(mx) => Some(format!("{} {}", mx.priority, mx.exchange.trim_end_matches('.'))),
        _ => None,
    }
}
