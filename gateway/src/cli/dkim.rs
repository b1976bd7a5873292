//! `waxseal dkim list|generate|import|activate|rotate|retire|revoke`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::control::{ConsentArgs, GatewayArgs, ListArgs, print_changes};
use super::{CliError, Exit, print};
use crate::admin::client::{ControlClient, segment};
use crate::admin::ports::{ApplyReport, KeySummary};
use crate::admin::tenant_routes::{ActivateRequest, NewKeyRequest, RetireRequest, RotateRequest};

/// `waxseal dkim`.
#[derive(Debug, Args)]
pub(super) struct DkimArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List a domain's keys.
    #[command(after_help = "Example:\n  waxseal dkim list acme.example")]
    List {
        /// The domain.
        domain: String,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Make a key; it takes over by itself once its record is published and its turn has come.
    #[command(after_help = "Example:\n  waxseal dkim generate acme.example --algorithm ed25519")]
    Generate {
        /// The domain.
        domain: String,
        /// The algorithm.
        #[arg(long, value_parser = ["rsa2048", "rsa3072", "rsa4096", "ed25519"])]
        algorithm: String,
        /// The selector [default: a new one].
        #[arg(long)]
        selector: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Bring a private key along (PKCS#8 or PKCS#1 in PEM).
    #[command(after_help = "Example:\n  waxseal dkim import acme.example --selector s1 --file s1.pem")]
    Import {
        /// The domain.
        domain: String,
        /// Its selector.
        #[arg(long)]
        selector: String,
        /// The file; "-" is standard input.
        #[arg(long, value_name = "PEM")]
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a key sign.
    #[command(after_help = "Example:\n  waxseal dkim activate acme.example s1")]
    Activate {
        /// The domain.
        domain: String,
        /// The selector.
        selector: String,
        /// Although its record was not seen in DNS: receivers will not verify until it is there.
        #[arg(long)]
        even_if_unpublished: bool,
    },
    /// Make new keys that take over as soon as their records are everywhere; or, with --now, at once.
    #[command(after_help = "Examples:\n  waxseal dkim rotate acme.example\n  \
        waxseal dkim rotate acme.example --now --reason \"laptop stolen\"")]
    Rotate {
        /// The domain.
        domain: String,
        /// An emergency: new keys sign at once, whether their records are published or not, and the old ones are
        /// revoked.
        #[arg(long, requires = "reason")]
        now: bool,
        /// Why, for the record.
        #[arg(long, requires = "now")]
        reason: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Accepted as everywhere; the reason is consent enough in an emergency.
        #[arg(long, conflicts_with = "dry_run", hide = true)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let a key sign no more; its record stays until its last letters have arrived.
    #[command(after_help = "Example:\n  waxseal dkim retire acme.example s1 --yes")]
    Retire {
        /// The domain.
        domain: String,
        /// The selector.
        selector: String,
        /// Although it is the last key that signs, or letters that it signed may still be on their way.
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Declare a key stolen: it signs no more, and its record says so.
    #[command(after_help = "Example:\n  waxseal dkim revoke acme.example s1 --yes")]
    Revoke {
        /// The domain.
        domain: String,
        /// The selector.
        selector: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

pub(super) fn run(args: DkimArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::List { domain, list } => {
            let mut keys: Vec<KeySummary> = gateway.run(async |client| client.get(&keys_path(&domain)).await)?;
            keys.truncate(list.limit);
            print::list(&keys, list.json, ["SELECTOR", "ALGORITHM", "STATE", "SINCE", "NEXT AUTOMATIC STEP"], |key| {
                [key.selector.clone(), key.algorithm.clone(), key.state.clone(), key.since.clone(), next_step(key)]
            })
        }
        Verb::Generate { domain, algorithm, selector, json } => {
            let request = NewKeyRequest { algorithm: Some(algorithm), selector, pem: None };
            add(&gateway, &domain, &request, json)
        }
        Verb::Import { domain, selector, file, json } => {
            let unreadable = |error: std::io::Error| CliError::new(Exit::Usage, format!("{}: {error}", file.display()));
            let pem = if file.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin())
            } else {
                std::fs::read_to_string(&file)
            };
            let pem = Zeroizing::new(pem.map_err(unreadable)?);
            let request = NewKeyRequest { algorithm: None, selector: Some(selector), pem: Some(pem.to_string()) };
            let added = add(&gateway, &domain, &request, json);
            drop(request.pem.map(Zeroizing::new));
            added
        }
        Verb::Activate { domain, selector, even_if_unpublished } => gateway.run(async |client| {
            let request = ActivateRequest { even_if_unpublished };
            let key: KeySummary = client.post(&verb_path(&domain, &selector, "activate"), &request).await?;
            print::line(&format!("key {} of {} is {}", key.selector, key.domain, key.state))
        }),
        Verb::Rotate { domain, now, reason, dry_run, yes: _, json } => {
            let request = RotateRequest { now, reason: reason.unwrap_or_default(), dry_run };
            rotate(&gateway, &domain, &request, json)
        }
        Verb::Retire { domain, selector, force, consent } => {
            let body = serde_json::json!(RetireRequest { force });
            gateway.run(async |client| end(&client, &domain, &selector, "retire", &body, &consent).await)
        }
        Verb::Revoke { domain, selector, consent } => {
            let body = serde_json::json!({});
            gateway.run(async |client| end(&client, &domain, &selector, "revoke", &body, &consent).await)
        }
    }
}

fn keys_path(domain: &str) -> String {
    format!("/v1/domains/{}/keys", segment(domain))
}

fn verb_path(domain: &str, selector: &str, verb: &str) -> String {
    format!("{}/{}:{verb}", keys_path(domain), segment(selector))
}

fn add(gateway: &GatewayArgs, domain: &str, request: &NewKeyRequest, as_json: bool) -> Result<(), CliError> {
    let key: KeySummary = gateway.run(async |client| client.post(&keys_path(domain), request).await)?;
    if as_json {
        return print::json(&key);
    }
    print::text(&print::fields(&[
        ("selector", key.selector.clone()),
        ("algorithm", key.algorithm.clone()),
        ("state", key.state.clone()),
        ("publish", format!("{} TXT \"{}\"", key.record_name, key.record_value)),
        ("then", next_step(&key)),
    ]))
}

/// `2027-05-23T… retiring: its successor takes over, …`.
fn next_step(key: &KeySummary) -> String {
    if let Some(lost) = &key.record_lost {
        return format!("its record has been missing at some authoritative server since {lost}: publish it again");
    }
    let Some(next) = &key.next else { return "none".to_owned() };
    let when = next.at.as_deref().unwrap_or("when it can");
    format!("{when}: {} ({})", next.to.as_deref().unwrap_or("successor made"), next.why)
}

fn rotate(gateway: &GatewayArgs, domain: &str, request: &RotateRequest, as_json: bool) -> Result<(), CliError> {
    let path = format!("/v1/domains/{}:rotate", segment(domain));
    let report: ApplyReport = gateway.run(async |client| client.post(&path, request).await)?;
    print_changes(&report, as_json)?;
    if as_json || report.dry_run {
        return Ok(());
    }
    print::line(&format!("publish what is new: waxseal domain records {domain}; then see waxseal dkim list {domain}"))
}

async fn end(
    client: &ControlClient,
    domain: &str,
    selector: &str,
    verb: &str,
    body: &serde_json::Value,
    consent: &ConsentArgs,
) -> Result<(), CliError> {
    let keys: Vec<KeySummary> = client.get(&keys_path(domain)).await?;
    let Some(key) = keys.iter().find(|key| key.selector == selector) else {
        let text = format!("{domain} has no DKIM key with the selector \"{selector}\"");
        return Err(CliError::new(Exit::NotFound, text));
    };
    if !consent.given(&format!("{verb} 1 key, {selector} of {domain} ({}, {})", key.algorithm, key.state))? {
        return Ok(());
    }
    let key: KeySummary = client.post(&verb_path(domain, selector, verb), body).await?;
    print::line(&format!("key {} of {} is {}", key.selector, key.domain, key.state))
}
