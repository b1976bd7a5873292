//! `waxseal token new|list|revoke`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::control::{ConsentArgs, GatewayArgs, ListArgs, duration};
use super::{CliError, Exit, print};
use crate::admin::client::{query, segment};
use crate::web::people::view::{Done, NewTokenAnswer, NewTokenRequest, TokenView};

/// `waxseal token`.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a token for programs; its secret is shown this once.
    #[command(
        after_help = "Examples:\n  waxseal token new --role moderator --tenant acme --expires 90d --name \"help center\"\n  \
                            curl -H \"Authorization: Bearer wxt…\" https://mail.example/v1/queue"
    )]
    New {
        /// owner, admin, moderator or auditor.
        #[arg(long)]
        role: String,
        /// For this tenant only [default: for all].
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// How long it lives [default: until it is revoked].
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
        /// What it is for.
        #[arg(long, default_value = "")]
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List tokens; never with secrets.
    #[command(after_help = "Example:\n  waxseal token list --tenant acme")]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only this tenant's.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// End a token at once.
    #[command(after_help = "Example:\n  waxseal token revoke 7f3a0c1d2e4b --yes")]
    Revoke {
        /// Its id, as the list shows it.
        id: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

pub(super) fn run(args: TokenArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::New { role, tenant, expires, name, json } => {
            let expires_after_seconds = expires.map(|span| span.as_secs());
            let request = NewTokenRequest { name, role, tenant, expires_after_seconds };
            let made: NewTokenAnswer = gateway.run(async |client| client.post("/v1/tokens", &request).await)?;
            if json {
                print::json(&made)
            } else {
                print::text(&print::fields(&[("id", made.token.id.clone()), ("secret", made.secret.clone())]))
            }
        }
        Verb::List { list, tenant } => {
            let path = format!("/v1/tokens{}", query(&[("tenant", tenant), ("limit", Some(list.limit.to_string()))]));
            let tokens: Vec<TokenView> = gateway.run(async |client| client.get(&path).await)?;
            print::list(&tokens, list.json, ["ID", "NAME", "ROLE", "TENANT", "EXPIRES", "USED"], |token| {
                [
                    token.id.clone(),
                    token.name.clone(),
                    token.role.clone(),
                    token.tenant.clone().unwrap_or_else(|| "all".into()),
                    token.expires.clone().unwrap_or_else(|| "never".into()),
                    token.used.clone().unwrap_or_else(|| "never".into()),
                ]
            })
        }
        Verb::Revoke { id, consent } => gateway.run(async |client| {
            let tokens: Vec<TokenView> = client.get("/v1/tokens?limit=1000").await?;
            let Some(found) = tokens.iter().find(|token| token.id == id) else {
                return Err(CliError::new(Exit::NotFound, format!("there is no token {id}")));
            };
            if !consent.given(&format!("revoke 1 token, {id} ({})", print::clean(&found.name)))? {
                return Ok(());
            }
            let done: Done =
                client.post(&format!("/v1/tokens/{}/@revoke", segment(&id)), &serde_json::json!({})).await?;
            print::line(&done.done)
        }),
    }
}
