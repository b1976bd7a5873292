//! `waxseal tenant add|list|show|remove|apply`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::control::{ConsentArgs, GatewayArgs, ListArgs, print_changes};
use super::{CliError, Exit, print};
use crate::admin::client::{query, segment};
use crate::admin::ports::{ApplyReport, TenantDetail, TenantSummary};
use crate::admin::tenant_routes::{ApplyRequest, NewTenantRequest};
use crate::tenants::TenantFile;

/// `waxseal tenant`.
#[derive(Debug, Args)]
pub(super) struct TenantArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a tenant.
    #[command(after_help = "Example:\n  waxseal tenant add acme")]
    Add {
        /// Its name: lower-case letters, digits, "-", "_" and ".".
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List tenants.
    #[command(after_help = "Example:\n  waxseal tenant list --json")]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only this one.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Show a tenant with its policy, domains and credentials.
    #[command(after_help = "Example:\n  waxseal tenant show acme")]
    Show {
        /// Its name.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a tenant with its domains, keys and credentials.
    #[command(after_help = "Example:\n  waxseal tenant remove acme --dry-run\n  waxseal tenant remove acme --yes")]
    Remove {
        /// Its name.
        name: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Make tenants, domains and policies as a file says (TOML with tables named `tenant`, or JSON).
    #[command(after_help = "Example:\n  waxseal tenant apply -f tenants.toml --dry-run\n\n  \
        [[tenant]]\n  name = \"acme\"\n  domains = [\"acme.example\"]\n  policy = { subdomains = true, return_path = \"bounce.acme.example\", recipients_per_day = 50000 }")]
    Apply {
        /// The file; "-" is standard input.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Also remove tenants and domains that the file does not name.
        #[arg(long)]
        prune: bool,
        #[command(flatten)]
        consent: ConsentArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: TenantArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::Add { name, json } => {
            let request = NewTenantRequest { name };
            let made: TenantSummary = gateway.run(async |client| client.post("/v1/tenants", &request).await)?;
            if json { print::json(&made) } else { print::line(&format!("tenant {} added", made.name)) }
        }
        Verb::List { list, tenant } => {
            let mut tenants: Vec<TenantSummary> = gateway.run(async |client| client.get("/v1/tenants").await)?;
            tenants.retain(|summary| tenant.as_ref().is_none_or(|name| summary.name == *name));
            tenants.truncate(list.limit);
            print::list(&tenants, list.json, ["NAME", "DOMAINS", "CREDENTIALS", "CREATED"], |tenant| {
                [
                    tenant.name.clone(),
                    tenant.domains.to_string(),
                    tenant.credentials.to_string(),
                    tenant.created.clone(),
                ]
            })
        }
        Verb::Show { name, json } => {
            let path = format!("/v1/tenants/{}", segment(&name));
            let detail: TenantDetail = gateway.run(async |client| client.get(&path).await)?;
            if json { print::json(&detail) } else { show(&detail) }
        }
        Verb::Remove { name, consent } => gateway.run(async |client| {
            let path = |dry_run: bool| {
                format!("/v1/tenants/{}{}", segment(&name), query(&[("dry_run", Some(dry_run.to_string()))]))
            };
            let plan: ApplyReport = client.delete(&path(true)).await?;
            if !consent.given_for(&plan)? {
                return Ok(());
            }
            print_changes(&client.delete(&path(false)).await?, false)
        }),
        Verb::Apply { file, prune, consent, json } => apply(&gateway, &file, prune, &consent, json),
    }
}

fn show(detail: &TenantDetail) -> Result<(), CliError> {
    let policy = &detail.policy;
    let inherited = || "as configured".to_owned();
    print::text(&print::fields(&[
        ("name", detail.name.clone()),
        ("created", detail.created.clone()),
        ("subdomains", if policy.subdomains { "may send" } else { "may not send" }.to_owned()),
        ("logo", policy.logo.clone().unwrap_or_else(|| "none".to_owned())),
        ("return path", policy.return_path.as_ref().map_or_else(|| "as sent".to_owned(), ToString::to_string)),
        ("posts by mail", policy.posts_address.as_ref().map_or_else(|| "not taken".to_owned(), ToString::to_string)),
        ("egress pool", policy.egress_pool.clone().unwrap_or_else(|| "default".to_owned())),
        ("recipients an hour", policy.recipients_per_hour.map_or_else(|| "any".to_owned(), |limit| limit.to_string())),
        ("recipients a day", policy.recipients_per_day.map_or_else(|| "any".to_owned(), |limit| limit.to_string())),
        ("tls", policy.tls.map_or_else(inherited, |level| format!("{level:?}").to_lowercase())),
        ("redaction", policy.redaction.as_ref().map_or_else(inherited, |own| format!("{:?}", own.mode).to_lowercase())),
    ]))?;
    print::line("")?;
    print::text(&print::table(
        ["DOMAIN", "ACTIVE KEYS", "CREATED"],
        detail
            .domains
            .iter()
            .map(|domain| [domain.name.to_string(), domain.active_keys.to_string(), domain.created.clone()]),
    ))?;
    print::line("")?;
    print::text(&print::table(
        ["CREDENTIAL", "EXPIRES", "CREATED"],
        detail.credentials.iter().map(|credential| {
            let expires = credential.expires.clone().unwrap_or_else(|| "never".into());
            [credential.user.clone(), expires, credential.created.clone()]
        }),
    ))
}

fn apply(
    gateway: &GatewayArgs,
    file: &std::path::Path,
    prune: bool,
    consent: &ConsentArgs,
    as_json: bool,
) -> Result<(), CliError> {
    let unreadable = |error: std::io::Error| CliError::new(Exit::Usage, format!("{}: {error}", file.display()));
    let text = if file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin()).map_err(unreadable)?
    } else {
        std::fs::read_to_string(file).map_err(unreadable)?
    };
    let parsed =
        TenantFile::parse(&text).map_err(|error| CliError::new(Exit::Usage, format!("{}: {error}", file.display())))?;
    gateway.run(async |client| {
        let mut request = ApplyRequest { file: parsed, prune, dry_run: true };
        let plan: ApplyReport = client.post("/v1/tenants:apply", &request).await?;
        if plan.changes.is_empty() || (consent.only_looking() && as_json) {
            return print_changes(&plan, as_json);
        }
        // Without --prune nothing is taken away, so consent is the command itself.
        if (prune || consent.only_looking()) && !consent.given_for(&plan)? {
            return Ok(());
        }
        request.dry_run = false;
        print_changes(&client.post("/v1/tenants:apply", &request).await?, as_json)
    })
}
