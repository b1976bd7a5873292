//! `waxseal user add|list|grant|withdraw|disable|enable|sessions|end-sessions|reset-totp|reset-password|networks|remove`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::control::{ConsentArgs, GatewayArgs, ListArgs};
use super::{CliError, Exit, print};
use crate::admin::client::{query, segment};
use crate::web::accounts::parse_networks;
use crate::web::people::view::{
    AccountView, Done, GrantRequest, Networks, NewUser, NewUserRequest, SessionView, WithdrawRequest,
};

/// `waxseal user`.
#[derive(Debug, Args)]
pub(super) struct UserArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Let a person enter the pages; a first password is shown this once, unless one is given.
    #[command(after_help = "Examples:\n  waxseal user add anna@example.com --role owner\n  \
                            waxseal user add ben@example.com --role moderator --tenant acme --password-file -")]
    Add {
        /// The person's mail address.
        email: String,
        /// owner, admin, moderator or auditor.
        #[arg(long)]
        role: String,
        /// In this tenant only [default: in all].
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Take the password from this file's first line; - is standard input.
        #[arg(long, value_name = "FILE", conflicts_with = "single_sign_on")]
        password_file: Option<PathBuf>,
        /// No password: the person enters by single sign-on only.
        #[arg(long)]
        single_sign_on: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List who may enter.
    #[command(after_help = "Example:\n  waxseal user list --tenant acme")]
    List {
        #[command(flatten)]
        list: ListArgs,
        /// Only who may enter this tenant.
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Give a person another role; one that they have there is replaced.
    #[command(after_help = "Example:\n  waxseal user grant ben@example.com --role moderator --tenant acme")]
    Grant {
        /// The person's mail address.
        email: String,
        /// owner, admin, moderator or auditor.
        #[arg(long)]
        role: String,
        /// In this tenant only [default: in all].
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Take a person's role in a tenant away, or the one in all tenants.
    #[command(after_help = "Example:\n  waxseal user withdraw ben@example.com --tenant acme")]
    Withdraw {
        /// The person's mail address.
        email: String,
        /// In this tenant [default: the role in all].
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Shut an account: the person is signed out and nobody enters by it; roles and history stay.
    #[command(after_help = "Example:\n  waxseal user disable ben@example.com --yes")]
    Disable {
        /// The person's mail address.
        email: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Open a disabled account again.
    #[command(after_help = "Example:\n  waxseal user enable ben@example.com")]
    Enable {
        /// The person's mail address.
        email: String,
    },
    /// List where a person is signed in.
    #[command(after_help = "Example:\n  waxseal user sessions anna@example.com")]
    Sessions {
        /// The person's mail address.
        email: String,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Sign a person out everywhere, at once.
    #[command(after_help = "Example:\n  waxseal user end-sessions anna@example.com --yes")]
    EndSessions {
        /// The person's mail address.
        email: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Take a lost second factor away; the person is signed out and sets a new one up.
    #[command(after_help = "Example:\n  waxseal user reset-totp anna@example.com --yes")]
    ResetTotp {
        /// The person's mail address.
        email: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Give a person a new first password, shown this once; the person is signed out.
    #[command(after_help = "Example:\n  waxseal user reset-password anna@example.com --yes")]
    ResetPassword {
        /// The person's mail address.
        email: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
    /// Show or set the networks that people may enter from; the way back in for who has shut themselves out.
    #[command(
        after_help = "Examples:\n  waxseal user networks\n  waxseal user networks --set 192.0.2.0/24,2001:db8::/32\n  \
                            waxseal user networks --tenant acme --anywhere"
    )]
    Networks {
        /// Only from these, by commas.
        #[arg(long, value_name = "NETWORKS", conflicts_with = "anywhere")]
        set: Option<String>,
        /// From anywhere.
        #[arg(long)]
        anywhere: bool,
        /// For this tenant's people [default: for everybody].
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
    },
    /// Remove a person's account.
    #[command(after_help = "Example:\n  waxseal user remove anna@example.com --yes")]
    Remove {
        /// The person's mail address.
        email: String,
        #[command(flatten)]
        consent: ConsentArgs,
    },
}

fn of(email: &str, what: &str) -> String {
    format!("/v1/users/{}{what}", segment(email))
}

pub(super) fn run(args: UserArgs) -> Result<(), CliError> {
    let gateway = args.gateway;
    match args.verb {
        Verb::Add { email, role, tenant, password_file, single_sign_on, json } => {
            let password = password_file.as_deref().map(first_line).transpose()?.map(|text| text.to_string());
            let request = NewUserRequest { email, role, tenant, password, single_sign_on };
            let made: NewUser = gateway.run(async |client| client.post("/v1/users", &request).await)?;
            print_new(&made, json)
        }
        Verb::List { list, tenant } => {
            let path = format!("/v1/users{}", query(&[("tenant", tenant), ("limit", Some(list.limit.to_string()))]));
            let users: Vec<AccountView> = gateway.run(async |client| client.get(&path).await)?;
            let columns = ["EMAIL", "ROLES", "SECOND FACTOR", "SESSIONS", "DISABLED", "CREATED"];
            print::list(&users, list.json, columns, |user| {
                [
                    user.email.clone(),
                    user.roles.join(","),
                    if user.totp { "yes".into() } else { "no".into() },
                    user.sessions.map_or_else(String::new, |sessions| sessions.to_string()),
                    user.disabled.clone().unwrap_or_else(|| "no".into()),
                    user.created.clone(),
                ]
            })
        }
        Verb::Grant { email, role, tenant } => {
            let request = GrantRequest { role, tenant };
            let user: AccountView = gateway.run(async |client| client.post(&of(&email, "/@grant"), &request).await)?;
            print::line(&format!("{}: {}", user.email, user.roles.join(",")))
        }
        Verb::Withdraw { email, tenant } => {
            let request = WithdrawRequest { tenant };
            let done: Done = gateway.run(async |client| client.post(&of(&email, "/@withdraw"), &request).await)?;
            print::line(&done.done)
        }
        Verb::Disable { email, consent } => {
            act(&gateway, &email, "/@disable", &consent, &format!("shut 1 account, {email}, and sign it out"))
        }
        Verb::Enable { email } => {
            let path = of(&email, "/@enable");
            let done: Done = gateway.run(async |client| client.post(&path, &serde_json::json!({})).await)?;
            print::line(&done.done)
        }
        Verb::Sessions { email, list } => {
            let mut sessions: Vec<SessionView> =
                gateway.run(async |client| client.get(&of(&email, "/sessions")).await)?;
            sessions.truncate(list.limit);
            print::list(&sessions, list.json, ["ID", "DEVICE", "FROM", "BY", "BEGAN", "USED"], |one| {
                [&one.id, &one.device, &one.address, &one.method, &one.created, &one.seen].map(Clone::clone)
            })
        }
        Verb::EndSessions { email, consent } => {
            act(&gateway, &email, "/@end-sessions", &consent, &format!("sign {email} out everywhere"))
        }
        Verb::ResetTotp { email, consent } => {
            act(&gateway, &email, "/@reset-totp", &consent, &format!("remove the second factor of 1 account, {email}"))
        }
        Verb::Remove { email, consent } => {
            act(&gateway, &email, "/@remove", &consent, &format!("remove 1 account, {email}"))
        }
        Verb::Networks { set, anywhere, tenant } => networks(&gateway, set.as_deref(), anywhere, tenant),
        Verb::ResetPassword { email, consent } => {
            gateway.run(async |client| {
                // Asked first, so that consent is never given to nothing.
                let _: Vec<SessionView> = client.get(&of(&email, "/sessions")).await?;
                if !consent.given(&format!("replace the password of 1 account, {email}, and sign it out"))? {
                    return Ok(());
                }
                let made: NewUser = client.post(&of(&email, "/@reset-password"), &serde_json::json!({})).await?;
                print_new(&made, false)
            })
        }
    }
}

/// Shows or sets where people may enter from.
fn networks(gateway: &GatewayArgs, set: Option<&str>, anywhere: bool, tenant: Option<String>) -> Result<(), CliError> {
    let path = format!("/v1/networks{}", query(&[("tenant", tenant)]));
    let wanted = set.map(parse_networks).transpose();
    let wanted = wanted.map_err(|error| CliError::new(Exit::Usage, error))?.or(anywhere.then(Vec::new));
    let answer: Networks = gateway.run(async |client| match wanted {
        Some(networks) => client.post(&path, &Networks { networks }).await,
        None => client.get(&path).await,
    })?;
    let list: Vec<String> = answer.networks.iter().map(ToString::to_string).collect();
    print::line(&if list.is_empty() { "anywhere".to_owned() } else { list.join("\n") })
}

fn act(gateway: &GatewayArgs, email: &str, what: &str, consent: &ConsentArgs, words: &str) -> Result<(), CliError> {
    gateway.run(async |client| {
        let _: Vec<SessionView> = client.get(&of(email, "/sessions")).await?;
        if !consent.given(words)? {
            return Ok(());
        }
        let done: Done = client.post(&of(email, what), &serde_json::json!({})).await?;
        print::line(&done.done)
    })
}

fn print_new(made: &NewUser, json: bool) -> Result<(), CliError> {
    if json {
        return print::json(made);
    }
    let mut fields = vec![("email", made.user.email.clone()), ("roles", made.user.roles.join(","))];
    if let Some(password) = &made.initial_password {
        fields.push(("initial password", format!("{password} (for the first sign-in, within 72 hours)")));
    }
    print::text(&print::fields(&fields))
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, CliError> {
    let failed = |error: std::io::Error| CliError::new(Exit::Usage, format!("{}: {error}", path.display()));
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).map_err(failed)?
    } else {
        std::fs::read_to_string(path).map_err(failed)?
    };
    let text = Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(CliError::new(Exit::Usage, format!("{}: there is no password in it", path.display())));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
