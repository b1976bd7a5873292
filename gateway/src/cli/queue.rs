//! `waxseal queue list|show|why|shape|retry|hold|release|bounce|drop|suspend|resume|suspensions`.

mod suspend;

use std::time::Duration;

use clap::{Args, Subcommand};

use super::control::{ConsentArgs, GatewayArgs, ListArgs, duration};
use super::{CliError, Exit, print};
use crate::admin::client::{ControlClient, query};
use crate::admin::view::{ActRequest, FilterRequest, LetterView, QueuePage, WhyView};
use crate::admin::{QueueActionReport, ShapeRow};
use crate::config::format_size;
use crate::ids::LetterId;
use crate::observe::EvidenceView;
use crate::returns::Again;

/// `waxseal queue`.
#[derive(Debug, Args)]
pub(super) struct QueueArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List queued letters, oldest first; with --json one object a line.
    #[command(after_help = "Example:\n  waxseal queue list --domain example.com --state deferred --older-than 4h")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        list: ListArgs,
        /// Only letters after this one.
        #[arg(long, value_name = "ID")]
        after: Option<LetterId>,
    },
    /// Show a letter and its recipients.
    #[command(after_help = "Example:\n  waxseal queue show 01JDB7Q2RZ8W1Y5M3T9K6N4P0A")]
    Show {
        /// The letter's id.
        id: LetterId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tell why a letter is not there yet: next attempt and why, what stands in the way, the last reply.
    #[command(after_help = "Example:\n  waxseal queue why 01JDB7Q2RZ8W1Y5M3T9K6N4P0A")]
    Why {
        /// The letter's id.
        id: LetterId,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show recipient domains by the age of what waits for them.
    #[command(after_help = "Example:\n  waxseal queue shape --limit 20")]
    Shape {
        #[command(flatten)]
        list: ListArgs,
    },
    /// Attempt now.
    #[command(after_help = "Example:\n  waxseal queue retry --domain example.com")]
    Retry(ActArgs),
    /// Attempt no more until released; expires all the same.
    #[command(after_help = "Example:\n  waxseal queue hold --tenant acme --reason \"asked by acme\"")]
    Hold(ActArgs),
    /// Attempt held letters again.
    #[command(after_help = "Example:\n  waxseal queue release --tenant acme")]
    Release(ActArgs),
    /// Give up, with a notice to the sender.
    #[command(after_help = "Example:\n  waxseal queue bounce --domain old.example --reason \"domain gone\" --yes")]
    Bounce(ActArgs),
    /// Give up without a notice.
    #[command(after_help = "Example:\n  waxseal queue drop 01JDB7Q2RZ8W1Y5M3T9K6N4P0A --reason \"test mail\" --yes")]
    Drop(ActArgs),
    /// Start no attempt for a tenant, a domain or a site, also for what comes later; expiry goes on.
    #[command(
        after_help = "Example:\n  waxseal queue suspend --site google --for 30m --reason \"their outage\"\n  waxseal queue suspend --tenant acme --domain example.net --reason \"asked by acme\""
    )]
    Suspend(suspend::SuspendArgs),
    /// End suspensions; what waited for them is attempted when it is due.
    #[command(after_help = "Example:\n  waxseal queue resume --site google\n  waxseal queue resume --all --yes")]
    Resume(suspend::ResumeArgs),
    /// List suspensions.
    #[command(after_help = "Example:\n  waxseal queue suspensions --json")]
    Suspensions {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Which recipients; all given parts must hold.
#[derive(Debug, Args)]
struct FilterArgs {
    /// Letters of this tenant.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Recipients at this domain.
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// This recipient.
    #[arg(long, value_name = "ADDRESS")]
    recipient: Option<String>,
    /// Letters from this reverse-path.
    #[arg(long, value_name = "ADDRESS")]
    sender: Option<String>,
    /// Recipients in this state.
    #[arg(long, value_parser = ["queued", "deferred", "held"])]
    state: Option<String>,
    /// Letters accepted longer ago than this.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    older_than: Option<Duration>,
}

impl FilterArgs {
    fn request(&self, id: Option<LetterId>) -> FilterRequest {
        FilterRequest {
            id: id.map(|id| id.to_string()),
            tenant: self.tenant.clone(),
            domain: self.domain.clone(),
            recipient: self.recipient.clone(),
            sender: self.sender.clone(),
            state: self.state.clone(),
            older_than_seconds: self.older_than.map(|span| span.as_secs()),
        }
    }
}

#[derive(Debug, Args)]
struct ActArgs {
    /// The letters' ids.
    #[arg(value_name = "ID")]
    ids: Vec<LetterId>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Everything in the queue.
    #[arg(long)]
    all: bool,
    /// Why, for the record.
    #[arg(long, default_value = "", value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: QueueArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::List { filter, list, after } => gateway.run(async |client| {
            let letters = fetch(&client, &filter, after, list.limit).await?;
            if !list.json {
                suspend::tell(&client).await?;
            }
            print_list(&letters, list.json)
        }),
        Verb::Show { id, json } => {
            let letter: LetterView = gateway.run(async |client| client.get(&format!("/v1/messages/{id}")).await)?;
            if json { print::json(&letter) } else { show(&letter) }
        }
        Verb::Why { id, json } => {
            let path = format!("/v1/messages/{id}/why");
            let reasons: Vec<WhyView> = gateway.run(async |client| client.get(&path).await)?;
            if json { print::json(&reasons) } else { reasons.iter().try_for_each(why) }
        }
        Verb::Shape { list } => {
            let mut rows: Vec<ShapeRow> = gateway.run(async |client| client.get("/v1/queue/shape").await)?;
            rows.truncate(list.limit);
            if list.json { print::json(&rows) } else { shape(&rows) }
        }
        Verb::Retry(act) => gateway.run(async |client| perform(&client, "retry", &act, false).await),
        Verb::Hold(act) => gateway.run(async |client| perform(&client, "hold", &act, false).await),
        Verb::Release(act) => gateway.run(async |client| perform(&client, "release", &act, false).await),
        Verb::Bounce(act) => gateway.run(async |client| perform(&client, "bounce", &act, true).await),
        Verb::Drop(act) => gateway.run(async |client| perform(&client, "drop", &act, true).await),
        Verb::Suspend(args) => gateway.run(async |client| suspend::suspend(&client, &args).await),
        Verb::Resume(args) => gateway.run(async |client| suspend::resume(&client, &args).await),
        Verb::Suspensions { json } => gateway.run(async |client| suspend::list(&client, json).await),
    }
}

async fn fetch(
    client: &ControlClient,
    filter: &FilterArgs,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Vec<LetterView>, CliError> {
    let mut letters = Vec::new();
    let mut after = after.map(|id| id.to_string());
    while letters.len() < limit {
        let path = format!(
            "/v1/queue{}",
            query(&[
                ("tenant", filter.tenant.clone()),
                ("domain", filter.domain.clone()),
                ("recipient", filter.recipient.clone()),
                ("sender", filter.sender.clone()),
                ("state", filter.state.clone()),
                ("older_than_seconds", filter.older_than.map(|span| span.as_secs().to_string())),
                ("limit", Some((limit - letters.len()).min(500).to_string())),
                ("after", after.clone()),
            ])
        );
        let page: QueuePage = client.get(&path).await?;
        letters.extend(page.messages);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(letters)
}

fn print_list(letters: &[LetterView], as_json: bool) -> Result<(), CliError> {
    if as_json {
        return print::json_lines(letters);
    }
    let rows = letters.iter().flat_map(|letter| {
        letter.recipients.iter().map(|recipient| {
            [
                letter.id.clone(),
                letter.tenant.clone(),
                recipient.suspended.as_ref().map_or_else(|| recipient.state.clone(), |_| "suspended".to_owned()),
                recipient.attempts.map_or_else(String::new, |attempts| attempts.to_string()),
                recipient.next_attempt.clone().unwrap_or_default(),
                recipient.address.clone(),
                letter.subject.chars().take(40).collect(),
            ]
        })
    });
    print::text(&print::table(["ID", "TENANT", "STATE", "TRIES", "NEXT", "RECIPIENT", "SUBJECT"], rows))
}

fn show(letter: &LetterView) -> Result<(), CliError> {
    print::text(&print::fields(&[
        ("id", letter.id.clone()),
        ("tenant", letter.tenant.clone()),
        ("from", letter.from.clone()),
        ("subject", letter.subject.clone()),
        ("size", format_size(letter.size)),
        ("accepted", letter.accepted.clone()),
        ("expires", letter.expires.clone()),
        ("tags", letter.tags.join(", ")),
    ]))?;
    print::line("")?;
    let rows = letter.recipients.iter().map(|recipient| {
        let last = recipient.last.as_ref().map(said);
        [
            recipient.address.clone(),
            recipient.state.clone(),
            recipient.next_attempt.clone().unwrap_or_default(),
            recipient.suspended.clone().or(last).or_else(|| recipient.reason.clone()).unwrap_or_default(),
        ]
    });
    print::text(&print::table(["RECIPIENT", "STATE", "NEXT", "LAST"], rows))
}

fn why(why: &WhyView) -> Result<(), CliError> {
    let next = match (&why.next_attempt, why.in_flight) {
        (_, true) => "running now".to_owned(),
        (Some(at), false) => at.clone(),
        (None, false) => "none".to_owned(),
    };
    print::text(&print::fields(&[
        ("recipient", why.recipient.clone()),
        ("state", why.state.clone()),
        ("next attempt", next),
        ("because", why.reason.clone()),
        ("attempts", why.attempts.to_string()),
        ("last", why.last.as_ref().map(said).unwrap_or_default()),
        ("tls", why.last.as_ref().map(tls).unwrap_or_default()),
        ("given up", why.expires.clone()),
    ]))?;
    if why.timeline.is_empty() {
        return Ok(());
    }
    print::line("")?;
    let rows = why.timeline.iter().map(|step| {
        let class = step.class.as_ref().map(|class| {
            let again = match class.again {
                Again::Yes => "trying again helps",
                Again::AfterRepair => "trying again helps after a repair",
                Again::Never => "trying again does not help",
            };
            format!("{}, {again}", class.category.name())
        });
        let parts = [Some(step.text.clone()), class, step.set_by.clone()];
        let event = if step.ahead { format!("({})", step.event) } else { step.event.clone() };
        [step.at.clone(), event, parts.into_iter().flatten().collect::<Vec<_>>().join(" - ")]
    });
    print::text(&print::table(["WHEN", "WHAT", "HOW"], rows))
}

/// What the other side said, or what we saw, on one line.
fn said(evidence: &EvidenceView) -> String {
    let host = evidence.host.as_deref().map_or_else(String::new, |host| format!("{host}: "));
    match (&evidence.reply, evidence.code) {
        (Some(reply), Some(code)) => format!("{host}{code} {reply}"),
        _ => format!("{host}{}", evidence.note),
    }
}

fn tls(evidence: &EvidenceView) -> String {
    evidence.tls.as_ref().map_or_else(String::new, |tls| {
        format!("{} {}, {}", tls.version, tls.cipher, if tls.verified { "verified" } else { "not verified" })
    })
}

fn shape(rows: &[ShapeRow]) -> Result<(), CliError> {
    let headings = ["DOMAIN", "ALL", "<5m", "10m", "20m", "40m", "80m", "160m", "320m", "640m", "1280m", ">1280m"];
    let rows = rows.iter().map(|row| {
        let mut cells: [String; 12] = std::array::from_fn(|at| {
            let ages = at.checked_sub(2).and_then(|age| row.by_age.get(age));
            ages.filter(|count| **count > 0).map_or_else(String::new, ToString::to_string)
        });
        cells[0].clone_from(&row.domain);
        cells[1] = row.total.to_string();
        cells
    });
    print::text(&print::table(headings, rows))
}

async fn perform(client: &ControlClient, verb: &str, args: &ActArgs, destructive: bool) -> Result<(), CliError> {
    let everything = args.filter.request(None) == FilterRequest::default();
    if args.ids.is_empty() && everything && !args.all {
        return Err(CliError::new(
            Exit::Usage,
            format!("{verb} what? Give an ID, a filter such as --domain, or --all"),
        ));
    }
    let ids: Vec<Option<LetterId>> =
        if args.ids.is_empty() { vec![None] } else { args.ids.iter().copied().map(Some).collect() };
    let requests: Vec<ActRequest> = ids
        .into_iter()
        .map(|id| ActRequest {
            action: verb.to_owned(),
            filter: args.filter.request(id),
            reason: args.reason.clone(),
            dry_run: true,
        })
        .collect();
    let plan = send(client, &requests, true).await?;
    let matched = format!("{} of {}", print::count(plan.recipients, "recipient"), print::count(plan.letters, "letter"));
    if args.consent.only_looking() && args.json {
        return print::json(&plan);
    }
    if (destructive || args.consent.only_looking()) && !args.consent.given(&format!("{verb} {matched}"))? {
        return Ok(());
    }
    let done = send(client, &requests, false).await?;
    if args.json {
        return print::json(&done);
    }
    let matched = format!("{} of {}", print::count(done.recipients, "recipient"), print::count(done.letters, "letter"));
    print::line(&format!("{verb}: {matched}"))
}

/// Sends the requests in turn and adds their reports up. An id that is not there is an error before anything is done.
async fn send(client: &ControlClient, requests: &[ActRequest], dry_run: bool) -> Result<QueueActionReport, CliError> {
    let mut sum = QueueActionReport { dry_run, ..QueueActionReport::default() };
    for request in requests {
        if let (Some(id), true) = (&request.filter.id, dry_run) {
            let _: LetterView = client.get(&format!("/v1/messages/{id}")).await?;
        }
        let report: QueueActionReport =
            client.post("/v1/queue:act", &ActRequest { dry_run, ..request.clone() }).await?;
        sum.letters += report.letters;
        sum.recipients += report.recipients;
        sum.ids.extend(report.ids);
    }
    sum.ids.truncate(100);
    Ok(sum)
}
