//! `waxseal domain add|list|records|check|publish|remove`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use waxseal_dns::Format;

use super::control::{ConsentArgs, GatewayArgs, ListArgs, print_changes};
use super::{CliError, domain_check, domain_publish, print};
use crate::admin::client::{query, segment};
use crate::admin::ports::{ApplyReport, DomainSummary};
use crate::admin::tenant_routes::NewDomainRequest;

/// `waxseal domain`.
#[derive(Debug, Args)]
pub(super) struct DomainArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Let a tenant send as a domain.
    #[command(after_help = "Example:\n  waxseal domain add acme.example --tenant acme")]
    Add {
        /// The domain.
        domain: String,
        /// The tenant.
        #[arg(long, value_name = "NAME")]
        tenant: String,
        /// Answer for it yourself, where the configuration requires proof of domains.
        #[arg(long)]
        vouch: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List domains.
    #[command(after_help = "Example:\n  waxseal domain list --tenant acme --json")]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only this tenant's.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Print the DNS records to publish.
    #[command(after_help = "Examples:\n  waxseal domain records acme.example --format bind\n  \
                            waxseal domain records acme.example --operators")]
    Records {
        /// The domain.
        domain: String,
        /// The form.
        #[arg(long, default_value = "text", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::as_str)))]
        format: String,
        /// What you publish for the domain as the gateway's operator, as json, text, csv or bind.
        #[arg(long)]
        operators: bool,
    },
    /// Check the records in DNS; exit status 3 if there is something to do.
    #[command(
        after_help = "Examples:\n  waxseal domain check acme.example\n  waxseal domain check acme.example --watch\n  \
                            waxseal domain check acme.example --save saved-check.json\n  \
                            waxseal domain check --fixture saved-check.json --json"
    )]
    Check {
        /// The domain.
        #[arg(required_unless_present = "fixture")]
        domain: Option<String>,
        /// Check again and again, ever less often, until there is nothing left to do.
        #[arg(long)]
        watch: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// Replay a saved check: expectations, answers and time in one JSON file. Asks nobody.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["domain", "watch"])]
        fixture: Option<PathBuf>,
        /// Save the check, so that --fixture can replay it: expectations, answers and time. There is no secret in it.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["fixture", "watch"])]
        save: Option<PathBuf>,
    },
    /// Publish the records at a DNS host: shows the plan, then adds what is missing. What removes something needs --yes.
    #[command(after_help = "Examples:\n  waxseal domain publish acme.example --provider cloudflare \
                            --secret file:/etc/waxseal/dns-token --plan\n  waxseal domain publish acme.example \
                            --provider rfc2136 --key-name waxseal --secret cred:tsig\n  waxseal domain publish \
                            acme.example --provider route53 --account AKIA… --secret cred:aws")]
    Publish(Box<domain_publish::PublishArgs>),
    /// Remove a domain with its keys.
    #[command(after_help = "Example:\n  waxseal domain remove acme.example --yes")]
    Remove {
        /// The domain.
        domain: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

pub(super) fn run(args: DomainArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::Add { domain, tenant, vouch, json } => {
            let request = NewDomainRequest { name: domain, tenant, vouch };
            let made: DomainSummary = gateway.run(async |client| client.post("/v1/domains", &request).await)?;
            if json {
                return print::json(&made);
            }
            if let Some(challenge) = made.challenge {
                print::line(&format!("tenant {} claims {}; publish this to prove it:", made.tenant, made.name))?;
                print::line(&format!("{} TXT \"{}\"", challenge.name, challenge.value))?;
                return print::line("it is looked for again and again; see waxseal domain list");
            }
            print::line(&format!("domain {} added to tenant {}", made.name, made.tenant))?;
            print::line(&format!("publish its records: waxseal domain records {}", made.name))
        }
        Verb::List { list, tenant } => {
            let path = format!("/v1/domains{}", query(&[("tenant", tenant)]));
            let mut domains: Vec<DomainSummary> = gateway.run(async |client| client.get(&path).await)?;
            domains.truncate(list.limit);
            print::list(&domains, list.json, ["DOMAIN", "TENANT", "ACTIVE KEYS", "PROOF", "CREATED"], |domain| {
                let proof = match &domain.challenge {
                    Some(challenge) => format!("waits for {} TXT \"{}\"", challenge.name, challenge.value),
                    None => domain.proof.clone(),
                };
                let keys = domain.active_keys.to_string();
                [domain.name.to_string(), domain.tenant.clone(), keys, proof, domain.created.clone()]
            })
        }
        Verb::Records { domain, format, operators } => {
            let whose = operators.then(|| "true".to_owned());
            let wanted = query(&[("format", Some(format)), ("operators", whose)]);
            let path = format!("/v1/domains/{}/records{wanted}", segment(&domain));
            let text = gateway.run(async |client| client.text(&path).await)?;
            if text.ends_with('\n') { print::text(&text) } else { print::line(&text) }
        }
        Verb::Check { fixture: Some(file), json, .. } => domain_check::by_fixture(&file, json),
        Verb::Check { domain, json, save: Some(file), .. } => {
            domain_check::saved(&gateway, &domain.unwrap_or_default(), &file, json)
        }
        Verb::Check { domain, watch, json, .. } => {
            domain_check::by_gateway(&gateway, &domain.unwrap_or_default(), watch, json)
        }
        Verb::Publish(args) => domain_publish::run(&gateway, &args),
        Verb::Remove { domain, consent } => gateway.run(async |client| {
            let path = |dry_run: bool| {
                format!("/v1/domains/{}{}", segment(&domain), query(&[("dry_run", Some(dry_run.to_string()))]))
            };
            let plan: ApplyReport = client.delete(&path(true)).await?;
            if !consent.given_for(&plan)? {
                return Ok(());
            }
            print_changes(&client.delete(&path(false)).await?, false)
        }),
    }
}
