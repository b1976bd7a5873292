//! `waxseal credential new|list|revoke`.

use std::time::Duration;

use clap::{Args, Subcommand};
use ipnet::IpNet;

use super::control::{ConsentArgs, GatewayArgs, ListArgs, duration, print_changes};
use super::{CliError, Exit, print};
use crate::admin::client::{query, segment};
use crate::admin::ports::{ApplyReport, CredentialSummary, NewCredential};
use crate::admin::tenant_routes::NewCredentialRequest;

/// `waxseal credential`.
#[derive(Debug, Args)]
pub(super) struct CredentialArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a credential; its user and secret are shown this once.
    #[command(after_help = "Example:\n  waxseal credential new --tenant acme --cidr 192.0.2.0/24 --expires 90d")]
    New {
        /// Its tenant.
        #[arg(long, value_name = "NAME")]
        tenant: String,
        /// A network that it may be used from; may be given several times [default: anywhere].
        #[arg(long, value_name = "NETWORK", value_parser = network)]
        cidr: Vec<IpNet>,
        /// How long it lives [default: until it is revoked].
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List credentials; never with secrets.
    #[command(after_help = "Example:\n  waxseal credential list --tenant acme")]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only this tenant's.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// End a credential at once.
    #[command(after_help = "Example:\n  waxseal credential revoke acme-7f3a --yes")]
    Revoke {
        /// The user name.
        user: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

fn network(text: &str) -> Result<IpNet, String> {
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| "write a network such as 192.0.2.0/24".to_owned())
}

pub(super) fn run(args: CredentialArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::New { tenant, cidr, expires, json } => {
            let expires_after_seconds = expires.map(|span| span.as_secs());
            let request = NewCredentialRequest { tenant, networks: cidr, expires_after_seconds };
            let made: NewCredential = gateway.run(async |client| client.post("/v1/credentials", &request).await)?;
            if json {
                print::json(&made)
            } else {
                print::text(&print::fields(&[("user", made.user.clone()), ("secret", made.secret.clone())]))
            }
        }
        Verb::List { list, tenant } => {
            let path = format!("/v1/credentials{}", query(&[("tenant", tenant)]));
            let mut credentials: Vec<CredentialSummary> = gateway.run(async |client| client.get(&path).await)?;
            credentials.truncate(list.limit);
            print::list(&credentials, list.json, ["USER", "TENANT", "FROM", "EXPIRES", "CREATED"], |credential| {
                let networks: Vec<String> = credential.networks.iter().map(ToString::to_string).collect();
                [
                    credential.user.clone(),
                    credential.tenant.clone(),
                    if networks.is_empty() { "anywhere".into() } else { networks.join(",") },
                    credential.expires.clone().unwrap_or_else(|| "never".into()),
                    credential.created.clone(),
                ]
            })
        }
        Verb::Revoke { user, consent } => gateway.run(async |client| {
            let credentials: Vec<CredentialSummary> = client.get("/v1/credentials").await?;
            let Some(found) = credentials.iter().find(|credential| credential.user == user) else {
                return Err(CliError::new(Exit::NotFound, format!("there is no credential \"{user}\"")));
            };
            if !consent.given(&format!("revoke 1 credential, {user} of tenant {}", found.tenant))? {
                return Ok(());
            }
            let report: ApplyReport = client.delete(&format!("/v1/credentials/{}", segment(&user))).await?;
            print_changes(&report, false)
        }),
    }
}
