//! `waxseal dkim list|generate|import|activate|retire|revoke`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::control::{ConsentArgs, GatewayArgs, ListArgs};
use super::{CliError, Exit, print};
use crate::admin::client::{ControlClient, segment};
use crate::admin::ports::KeySummary;
use crate::admin::tenant_routes::{ActivateRequest, NewKeyRequest};

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
    /// Make a key; it signs once its record is published and it is activated.
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
    /// Let a key sign no more; its record stays until its last letters have arrived.
    #[command(after_help = "Example:\n  waxseal dkim retire acme.example s1 --yes")]
    Retire {
        /// The domain.
        domain: String,
        /// The selector.
        selector: String,
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
            print::list(&keys, list.json, ["SELECTOR", "ALGORITHM", "STATE", "CREATED"], |key| {
                [key.selector.clone(), key.algorithm.clone(), key.state.clone(), key.created.clone()]
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
        Verb::Retire { domain, selector, consent } => {
            gateway.run(async |client| end(&client, &domain, &selector, "retire", &consent).await)
        }
        Verb::Revoke { domain, selector, consent } => {
            gateway.run(async |client| end(&client, &domain, &selector, "revoke", &consent).await)
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
        ("then", format!("waxseal dkim activate {} {}", key.domain, key.selector)),
    ]))
}

async fn end(
    client: &ControlClient,
    domain: &str,
    selector: &str,
    verb: &str,
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
    let key: KeySummary = client.post(&verb_path(domain, selector, verb), &serde_json::json!({})).await?;
    print::line(&format!("key {} of {} is {}", key.selector, key.domain, key.state))
}
