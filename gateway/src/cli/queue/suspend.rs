//! `waxseal queue suspend|resume|suspensions`.

use std::time::Duration;

use clap::Args;

use super::super::control::{ConsentArgs, duration};
use super::super::{CliError, Exit, print};
use crate::admin::client::ControlClient;
use crate::admin::suspensions::{SuspensionRequest, SuspensionView};

/// What; all given parts must hold.
#[derive(Debug, Args)]
struct ScopeArgs {
    /// Letters of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Recipients at this domain; *.domain for all below it.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// A site by its name in `route explain`, or an MX host; *.domain for all below it.
    #[arg(long, value_name = "SITE")]
    site: Option<String>,
}

impl ScopeArgs {
    fn request(&self) -> SuspensionRequest {
        SuspensionRequest {
            tenant: self.tenant.clone(),
            domain: self.domain.clone(),
            site: self.site.clone(),
            ..SuspensionRequest::default()
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct SuspendArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// For how long; without it until somebody resumes.
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    span: Option<Duration>,
    /// Why, for whoever wonders.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Every suspension.
    #[arg(long)]
    all: bool,
    /// For the record.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn suspend(client: &ControlClient, args: &SuspendArgs) -> Result<(), CliError> {
    let request = SuspensionRequest {
        for_seconds: args.span.map(|span| span.as_secs()),
        reason: args.reason.clone(),
        ..args.scope.request()
    };
    let made: SuspensionView = client.post("/v1/queue:suspend", &request).await?;
    if args.json { print::json(&made) } else { print::line(&format!("suspended: {}", print::clean(&made.words()))) }
}

pub(super) async fn resume(client: &ControlClient, args: &ResumeArgs) -> Result<(), CliError> {
    let request = SuspensionRequest { reason: args.reason.clone(), dry_run: true, ..args.scope.request() };
    if args.scope.request() == SuspensionRequest::default() && !args.all {
        return Err(CliError::new(Exit::Usage, "resume what? Give --tenant, --domain, --site, or --all"));
    }
    let plan: Vec<SuspensionView> = client.post("/v1/queue:resume", &request).await?;
    if plan.is_empty() {
        return Err(CliError::new(Exit::NotFound, "nothing of this is suspended"));
    }
    let what = format!("resume {}", print::count(plan.len(), "suspension"));
    if args.consent.only_looking() && args.json {
        return print::json(&plan);
    }
    // One that is named is ended at once; all of them only with consent.
    if (args.all || args.consent.only_looking()) && !args.consent.given(&what)? {
        return Ok(());
    }
    let ended: Vec<SuspensionView> =
        client.post("/v1/queue:resume", &SuspensionRequest { dry_run: false, ..request }).await?;
    if args.json {
        return print::json(&ended);
    }
    ended.iter().try_for_each(|one| print::line(&format!("resumed: {}", print::clean(&one.words()))))
}

pub(super) async fn list(client: &ControlClient, as_json: bool) -> Result<(), CliError> {
    let all: Vec<SuspensionView> = client.get("/v1/queue/suspensions").await?;
    if as_json {
        return print::json(&all);
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let rows = all.iter().map(|one| {
        let until = one.until.clone().unwrap_or_else(|| "resumed".to_owned());
        [text(&one.tenant), text(&one.domain), text(&one.site), until, one.by.clone(), one.reason.clone()]
    });
    print::text(&print::table(["TENANT", "DOMAIN", "SITE", "UNTIL", "BY", "REASON"], rows))
}

/// Above a list: what is suspended.
pub(super) async fn tell(client: &ControlClient) -> Result<(), CliError> {
    let all: Vec<SuspensionView> = client.get("/v1/queue/suspensions").await?;
    all.iter().try_for_each(|one| print::line(&format!("suspended: {}", print::clean(&one.words()))))
}
