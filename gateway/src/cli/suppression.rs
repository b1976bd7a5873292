//! `waxseal suppression list|add|remove|import`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};

use super::control::{ConsentArgs, GatewayArgs, ListArgs, duration};
use super::{CliError, Exit, print};
use crate::admin::client::{ControlClient, query};
use crate::clock::{Clock as _, SystemClock};
use crate::web::suppressions::{AddRequest, Changed, NewSuppression, RemoveRequest, SuppressionPage, SuppressionView};

/// Entries of one request of an import.
const AT_ONCE: usize = 1000;

/// `waxseal suppression`.
#[derive(Debug, Args)]
pub(super) struct SuppressionArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List addresses that get no mail, by address; with --json one object a line, which import reads again.
    #[command(
        after_help = "Example:\n  waxseal suppression list --tenant acme --search @example.com --reason complaint"
    )]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Only addresses with this in them.
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Only those with this reason.
        #[arg(long, value_parser = ["hard-bounce", "complaint", "unsubscribed", "manual"])]
        reason: Option<String>,
    },
    /// Send no more mail to these addresses.
    #[command(
        after_help = "Example:\n  waxseal suppression add mia@example.com --tenant acme --source \"asked by phone\""
    )]
    Add {
        /// The addresses.
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Why.
        #[arg(long, default_value = "manual", value_parser = ["hard-bounce", "complaint", "unsubscribed", "manual"])]
        reason: String,
        /// Who says so.
        #[arg(long, value_name = "TEXT")]
        source: Option<String>,
        /// Only for so long.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// Send mail to these addresses again.
    #[command(after_help = "Example:\n  waxseal suppression remove mia@example.com --tenant acme --yes")]
    Remove {
        /// The addresses.
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Add the addresses of a file: one a line, as `ADDRESS,REASON,EXPIRES` (the address alone will do) or as objects of `list --json`.
    #[command(after_help = "Example:\n  waxseal suppression import suppressed.csv --tenant acme --dry-run")]
    Import {
        /// The file.
        file: PathBuf,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Only read the file.
        #[arg(long)]
        dry_run: bool,
    },
}

fn path(verb: &str, tenant: Option<&str>) -> String {
    format!("/v1/suppressions{verb}{}", query(&[("tenant", tenant.map(str::to_owned))]))
}

pub(super) fn run(args: SuppressionArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::List { list, tenant, search, reason } => {
            let found = gateway.run(async |client| {
                let pairs = [("tenant", tenant.clone()), ("search", search.clone()), ("reason", reason.clone())];
                pages(&client, &pairs, list.limit).await
            });
            show(&found?, list.json)
        }
        Verb::Add { addresses, tenant, reason, source, expires } => {
            let expires = expires.map(|span| (SystemClock.now() + span).to_rfc3339());
            let new = |address: String| NewSuppression {
                address,
                reason: Some(reason.clone()),
                source: source.clone(),
                expires: expires.clone(),
            };
            let entries = addresses.into_iter().map(new).collect();
            let request = AddRequest { entries };
            let done: Changed =
                gateway.run(async |client| client.post(&path("", tenant.as_deref()), &request).await)?;
            print::line(&format!("{} added", print::count(done.changed, "suppression")))
        }
        Verb::Remove { addresses, tenant, consent } => {
            let what = format!("remove {}", print::count(addresses.len(), "suppression"));
            if !consent.given(&what)? {
                return Ok(());
            }
            let request = RemoveRequest { addresses };
            let done: Changed =
                gateway.run(async |client| client.post(&path("/@remove", tenant.as_deref()), &request).await)?;
            if done.changed == 0 {
                return Err(CliError::new(Exit::NotFound, "none of these addresses is on the list"));
            }
            print::line(&format!("{} removed", done.changed))
        }
        Verb::Import { file, tenant, dry_run } => {
            let entries = read(&file)?;
            if dry_run {
                return print::line(&format!("would add up to {} addresses", entries.len()));
            }
            let added = gateway.run(async |client| {
                let mut added = 0;
                for some in entries.chunks(AT_ONCE) {
                    let request = AddRequest { entries: some.to_vec() };
                    added += client.post::<Changed>(&path("", tenant.as_deref()), &request).await?.changed;
                }
                Ok(added)
            });
            print::line(&format!("{} of {} addresses added", added?, entries.len()))
        }
    }
}

async fn pages(
    client: &ControlClient,
    pairs: &[(&str, Option<String>)],
    limit: usize,
) -> Result<Vec<SuppressionView>, CliError> {
    let mut found = Vec::new();
    let mut after = None;
    while found.len() < limit {
        let more = [("after", after.clone()), ("limit", Some((limit - found.len()).min(1000).to_string()))];
        let asked = format!("/v1/suppressions{}", query(&[pairs, &more].concat()));
        let page: SuppressionPage = client.get(&asked).await?;
        found.extend(page.suppressions);
        if page.next.is_none() {
            break;
        }
        after = page.next;
    }
    Ok(found)
}

fn show(found: &[SuppressionView], as_json: bool) -> Result<(), CliError> {
    if as_json {
        return print::json_lines(found);
    }
    let rows = found.iter().map(|entry| {
        let until = entry.expires.clone().unwrap_or_else(|| "for good".to_owned());
        [entry.address.clone(), entry.reason.clone(), entry.since.clone(), until, entry.source.clone()]
    });
    print::text(&print::table(["ADDRESS", "REASON", "SINCE", "UNTIL", "SOURCE"], rows))
}

/// Reads a file of addresses; all mistakes of it are found before anything is added.
fn read(file: &Path) -> Result<Vec<NewSuppression>, CliError> {
    let usage = |problem: &dyn std::fmt::Display| CliError::new(Exit::Usage, format!("{}: {problem}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| usage(&error))?;
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() || line.starts_with('#') || (number == 0 && line.to_lowercase().starts_with("address")) {
            continue;
        }
        entries.push(read_line(line).map_err(|problem| usage(&format!("line {}: {problem}", number + 1)))?);
    }
    Ok(entries)
}

fn read_line(line: &str) -> Result<NewSuppression, String> {
    if line.starts_with('{') {
        let found: SuppressionView = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let SuppressionView { address, reason, source, expires, .. } = found;
        return Ok(NewSuppression { address, reason: Some(reason), source: Some(source), expires });
    }
    let mut fields = line.split(',').map(|field| field.trim().trim_matches('"'));
    let address = fields.next().unwrap_or_default();
    address.parse::<crate::message::Mailbox>().map_err(|error| error.to_string())?;
    let mut some = || fields.next().filter(|field| !field.is_empty()).map(str::to_owned);
    Ok(NewSuppression { address: address.to_owned(), reason: some(), expires: some(), source: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_kinds_are_read_and_mistakes_are_named_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.csv");
        let object =
            r#"{"address":"b@x.example","reason":"complaint","source":"s","since":"t","expires":null,"letter":null}"#;
        std::fs::write(
            &file,
            format!(
                "address,reason\n# a comment\na@x.example,hard-bounce,2027-01-01T00:00:00Z\n{object}\n\"c@x.example\"\n"
            ),
        )
        .unwrap();
        let found = read(&file).unwrap();
        let reasons: Vec<_> = found.iter().map(|entry| entry.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("hard-bounce"), Some("complaint"), None]);
        assert_eq!(found[0].expires.as_deref(), Some("2027-01-01T00:00:00Z"));
        std::fs::write(&file, "a@x.example\nnobody\n").unwrap();
        assert!(read(&file).unwrap_err().message.contains("line 2"));
    }
}
