//! `waxseal post list|show|approve|spam|reject|undo` and `waxseal author show|ban|unban|trust`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::control::{ConsentArgs, GatewayArgs, ListArgs};
use super::{CliError, Exit, print};
use crate::admin::client::{ControlClient, query, segment};
use crate::posts::{Action, Band, Order, PostState};
use crate::web::posts::view::{AuthorView, DoneView, FullPostView, PostPage, PostView};

/// `waxseal post`.
#[derive(Debug, Args)]
pub(super) struct PostArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: PostVerb,
}

#[derive(Debug, Subcommand)]
enum PostVerb {
    /// List posts, those that wait longest first; with --json one object a line.
    #[command(after_help = "Example:\n  waxseal post list --state held --band likely-spam --limit 20")]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Where they are: held, published, approved, spam, rejected, expired, or all.
        #[arg(long, default_value = "held", value_name = "STATE")]
        state: String,
        /// likely-fine, unsure or likely-spam.
        #[arg(long, value_name = "BAND", value_parser = band)]
        band: Option<Band>,
        /// Only this author's.
        #[arg(long, value_name = "ID")]
        author: Option<String>,
        /// Words in title, beginning, author or id.
        #[arg(long, value_name = "WORDS")]
        search: Option<String>,
        /// oldest, newest, spam (most likely spam first) or fine.
        #[arg(long, default_value = "oldest", value_name = "ORDER", value_parser = order)]
        order: Order,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Show a post: text, links with their real targets, why it is where it is, what was decided.
    #[command(after_help = "Example:\n  waxseal post show comment-4711")]
    Show {
        /// The post's id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Publish posts.
    #[command(after_help = "Example:\n  waxseal post approve comment-4711 comment-4712")]
    Approve(DecideArgs),
    /// Take posts for spam; the filter learns from it.
    #[command(after_help = "Example:\n  waxseal post spam comment-4711")]
    Spam(DecideArgs),
    /// Refuse posts for another reason than spam.
    #[command(after_help = "Example:\n  waxseal post reject comment-4711 --reason \"holds a telephone number\"")]
    Reject(DecideArgs),
    /// Take the last decision back; the filter forgets it.
    #[command(after_help = "Example:\n  waxseal post undo comment-4711")]
    Undo(DecideArgs),
}

/// Which posts to decide on.
#[derive(Debug, Args)]
struct DecideArgs {
    /// The posts' ids.
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why; stands in the post's history.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The tenant, where there are several.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do it to more than 20 posts at once; without this, their number is told.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// `waxseal author`.
#[derive(Debug, Args)]
pub(super) struct AuthorArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: AuthorVerb,
}

#[derive(Debug, Subcommand)]
enum AuthorVerb {
    /// Show an author: standing, figures, history.
    #[command(after_help = "Example:\n  waxseal author show ann@mail.example --json")]
    Show {
        /// The author's id.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Stop everything that an author posts; may take back what is there.
    #[command(after_help = "Example:\n  waxseal author ban u-4711 --hide-posts-since 2026-11-01T00:00:00Z --yes")]
    Ban {
        /// The author's id.
        id: String,
        /// Hide the posts received since then (RFC 3339).
        #[arg(long, value_name = "TIME")]
        hide_posts_since: Option<String>,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Treat an author as usual again.
    #[command(after_help = "Example:\n  waxseal author unban u-4711")]
    Unban {
        /// The author's id.
        id: String,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Publish an author's posts unless the filter is sure of spam.
    #[command(after_help = "Example:\n  waxseal author trust u-4711")]
    Trust {
        /// The author's id.
        id: String,
        /// The tenant, where there are several.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
}

fn band(text: &str) -> Result<Band, String> {
    let all = [Band::LikelyFine, Band::Unsure, Band::LikelySpam];
    all.into_iter().find(|band| band.name() == text).ok_or_else(|| "likely-fine, unsure or likely-spam".to_owned())
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "oldest" => Ok(Order::Oldest),
        "newest" => Ok(Order::Newest),
        "spam" => Ok(Order::Spam),
        "fine" => Ok(Order::Fine),
        _ => Err("oldest, newest, spam or fine".to_owned()),
    }
}

pub(super) fn run(args: PostArgs) -> Result<(), CliError> {
    match args.verb {
        PostVerb::List { list, state, band, author, search, order, tenant } => {
            let state = match state.as_str() {
                "all" => None,
                text => Some(text.parse::<PostState>().map_err(|e| CliError::new(Exit::Usage, e.to_string()))?),
            };
            let name = serde_json::to_value(order).ok().and_then(|name| name.as_str().map(str::to_owned));
            let asked = |skip: usize, limit: usize| {
                let pairs = [
                    ("tenant", tenant.clone()),
                    ("state", state.map(|state| state.name().to_owned())),
                    ("band", band.map(|band| band.name().to_owned())),
                    ("author", author.clone()),
                    ("search", search.clone()),
                    ("order", name.clone()),
                    ("skip", Some(skip.to_string())),
                    ("limit", Some(limit.to_string())),
                ];
                format!("/v1/posts{}", query(&pairs))
            };
            let posts: Vec<PostView> = args.gateway.run(async |client| pages(&client, list.limit, asked).await)?;
            show_list(&posts, list.json)
        }
        PostVerb::Show { id, json, tenant } => {
            let path = format!("/v1/posts/{}{}", segment(&id), query(&[("tenant", tenant)]));
            let post: FullPostView = args.gateway.run(async |client| client.get(&path).await)?;
            if json { print::json(&post) } else { show_post(&post) }
        }
        PostVerb::Approve(decide) => act(&args.gateway, Action::Approve, decide),
        PostVerb::Spam(decide) => act(&args.gateway, Action::Spam, decide),
        PostVerb::Reject(decide) => act(&args.gateway, Action::Reject, decide),
        PostVerb::Undo(decide) => act(&args.gateway, Action::Undo, decide),
    }
}

async fn pages(
    client: &ControlClient,
    limit: usize,
    asked: impl Fn(usize, usize) -> String,
) -> Result<Vec<PostView>, CliError> {
    let mut posts = Vec::new();
    while posts.len() < limit {
        let page: PostPage = client.get(&asked(posts.len(), (limit - posts.len()).min(500))).await?;
        if page.posts.is_empty() {
            break;
        }
        posts.extend(page.posts);
    }
    Ok(posts)
}

fn show_list(posts: &[PostView], as_json: bool) -> Result<(), CliError> {
    if as_json {
        return print::json_lines(posts);
    }
    let rows = posts.iter().map(|post| {
        let number = post.probability.map_or_else(|| "-".to_owned(), |number| format!("{number:.3}"));
        let text = if post.title.is_empty() { post.excerpt.clone() } else { post.title.clone() };
        let text: String = text.chars().take(60).collect();
        [post.id.clone(), post.state.name().to_owned(), number, post.received.clone(), post.author.clone(), text]
    });
    print::text(&print::table(["ID", "STATE", "SPAM", "RECEIVED", "AUTHOR", "TEXT"], rows))
}

fn show_post(full: &FullPostView) -> Result<(), CliError> {
    let post = &full.post;
    let number = post.probability.map_or_else(|| "none: the filter failed".to_owned(), |number| format!("{number:.4}"));
    print::text(&print::fields(&[
        ("id", post.id.clone()),
        ("state", post.state.name().to_owned()),
        ("spam", number),
        ("why", post.causes.join("; ")),
        ("author", post.author.clone()),
        ("received", post.received.clone()),
        ("version", post.version.to_string()),
        ("title", post.title.clone()),
    ]))?;
    for reason in &post.reasons {
        print::line(&format!("  {:+.2}  {}", reason.weight, print::clean(&reason.signal)))?;
    }
    for link in &full.links {
        let shown = link.shown.as_deref().map(|shown| format!(" (shown as \"{shown}\")")).unwrap_or_default();
        print::line(&print::clean(&format!("  link to {} at {}{shown}", link.target, link.host)))?;
    }
    print::line("")?;
    full.text.lines().try_for_each(|line| print::line(&print::clean(line)))?;
    print::line("")?;
    full.history.iter().try_for_each(|line| {
        let undone = if line.undone { " (taken back)" } else { "" };
        let text = format!("{}  {} by {}: {} -> {}{undone}", line.at, line.action, line.by, line.from, line.to);
        print::line(&print::clean(&text))
    })
}

fn act(gateway: &GatewayArgs, action: Action, decide: DecideArgs) -> Result<(), CliError> {
    let path = format!("/v1/posts/@bulk{}", query(&[("tenant", decide.tenant)]));
    let request = json!({
        "action": action,
        "ids": decide.ids,
        "reason": decide.reason,
        "dry_run": decide.dry_run,
        "confirm": decide.yes.then_some(decide.ids.len()),
    });
    let done: DoneView = gateway.run(async |client| client.post(&path, &request).await)?;
    if decide.json {
        return print::json(&done);
    }
    let verb = if done.dry_run { "would" } else { "did" };
    let count = print::count(if done.dry_run { done.matched } else { done.posts.len() }, "post");
    print::line(&format!("{verb} {} {count} of {}", action.name(), print::count(done.authors, "author")))?;
    done.skipped.iter().try_for_each(|id| print::line(&format!("left alone: {} was decided already", print::clean(id))))
}

pub(super) fn run_author(args: AuthorArgs) -> Result<(), CliError> {
    let path = |id: &str, verb: &str, tenant: &Option<String>| {
        format!("/v1/authors/{}{verb}{}", segment(id), query(&[("tenant", tenant.clone())]))
    };
    let simple = |id: &str, verb: &str, tenant: &Option<String>| {
        let path = path(id, verb, tenant);
        let author: AuthorView = args.gateway.run(async |client| client.post(&path, &json!({})).await)?;
        print::line(&format!("{} is {}", print::clean(&author.id), author.standing))
    };
    match args.verb {
        AuthorVerb::Show { id, json, tenant } => {
            let path = path(&id, "", &tenant);
            let author: AuthorView = args.gateway.run(async |client| client.get(&path).await)?;
            if json { print::json(&author) } else { show_author(&author) }
        }
        AuthorVerb::Unban { id, tenant } => simple(&id, "/@unban", &tenant),
        AuthorVerb::Trust { id, tenant } => simple(&id, "/@trust", &tenant),
        AuthorVerb::Ban { id, hide_posts_since, reason, tenant, consent } => args.gateway.run(async |client| {
            let path = path(&id, "/@ban", &tenant);
            let mut request = json!({ "hide_posts_since": hide_posts_since, "reason": reason, "dry_run": true });
            // Somebody who has not posted yet has nothing to hide.
            let matched = match client.post::<Value>(&path, &request).await {
                Ok(preview) => preview["matched"].as_u64().unwrap_or(0),
                Err(error) if error.exit == Exit::NotFound => 0,
                Err(error) => return Err(error),
            };
            let matched = if hide_posts_since.is_some() { matched } else { 0 };
            let what = format!("ban {} and hide {}", print::clean(&id), print::count(matched as usize, "post"));
            if !consent.given(&what)? {
                return Ok(());
            }
            request["dry_run"] = false.into();
            request["confirm"] = matched.into();
            let author: AuthorView = client.post(&path, &request).await?;
            let hidden = print::count(matched as usize, "post");
            print::line(&format!("{} is {}; {hidden} hidden", print::clean(&author.id), author.standing))
        }),
    }
}

fn show_author(author: &AuthorView) -> Result<(), CliError> {
    let counts = author.counts;
    print::text(&print::fields(&[
        ("id", author.id.clone()),
        ("name", author.name.clone().unwrap_or_default()),
        ("standing", author.standing.clone()),
        ("first seen", author.first_seen.clone()),
        ("public", (counts.published + counts.approved).to_string()),
        ("held", counts.held.to_string()),
        ("spam", counts.spam.to_string()),
        ("rejected", counts.rejected.to_string()),
    ]))
}
