//! The command line: noun, then verb; one file a noun, parsing of arguments and printing only.
//!
//! Results go to standard output, errors to standard error; the exit statuses are those of [`Exit`]. A reader that
//! closes the pipe ends the program quietly. Commands about a running gateway talk to its control socket, so that
//! two processes never open the same store.

mod audit;
mod backup;
mod config;
mod control;
mod credential;
mod dkim;
mod dns_hosts;
mod domain;
mod domain_check;
mod domain_publish;
mod exit;
mod kek;
pub(crate) mod letter_file;
mod post;
mod posts;
mod print;
mod queue;
pub mod redact;
mod route;
mod service;
pub mod sign;
mod spam;
mod store;
mod suppression;
mod tenant;
mod token;
mod user;
pub mod verify;

use clap::{Parser, Subcommand};

pub use exit::{CliError, Exit};

/// The outbound mail gateway: strikes out card numbers, seals every letter, delivers over TLS.
#[derive(Debug, Parser)]
#[command(name = "waxseal", version, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(service::DemoArgs),
    Serve(service::ServeArgs),
    /// Check a configuration, or print the commented default one.
    Config(config::ConfigArgs),
    Version(service::VersionArgs),
    Health(service::HealthArgs),
    Drain(service::DrainArgs),
    Reload(service::ReloadArgs),
    /// Tenants: the platform's customers, walled off from each other.
    Tenant(tenant::TenantArgs),
    /// Submission credentials: what services sign in with.
    Credential(credential::CredentialArgs),
    /// Domains that tenants send as, and their DNS records.
    Domain(domain::DomainArgs),
    /// DKIM keys.
    Dkim(dkim::DkimArgs),
    /// The queue: look, and act on it.
    Queue(queue::QueueArgs),
    /// People who may enter the pages.
    User(user::UserArgs),
    /// Who changed what: read it, check that nothing was changed.
    Audit(audit::AuditArgs),
    /// Tokens of the API.
    Token(token::TokenArgs),
    /// Posts for help centers: look, and decide.
    Post(post::PostArgs),
    /// Posts by file: the filter without a gateway.
    Posts(posts::PostsArgs),
    /// The filter's model: train, measure, explain.
    Spam(spam::SpamArgs),
    /// Authors of posts.
    Author(post::AuthorArgs),
    /// Addresses that get no more mail of a tenant's.
    Suppression(suppression::SuppressionArgs),
    /// How mail would go.
    Route(route::RouteArgs),
    /// The store on disk.
    Store(store::StoreArgs),
    /// The key-encryption key.
    Kek(kek::KekArgs),
    /// Backups: copies of control data and queue, sealed as they are.
    Backup(backup::BackupArgs),
    Redact(redact::RedactArgs),
    Sign(sign::SignArgs),
    Verify(verify::VerifyArgs),
}

/// Runs a parsed command line.
pub fn run(cli: Cli) -> Result<(), CliError> {
    match cli.command {
        Command::Demo(args) => service::demo(&args),
        Command::Serve(args) => service::serve(&args),
        Command::Config(args) => config::run(args),
        Command::Version(args) => service::version(&args),
        Command::Health(args) => service::health(&args),
        Command::Drain(args) => service::drain(&args),
        Command::Reload(args) => service::reload(&args),
        Command::Tenant(args) => tenant::run(args),
        Command::Credential(args) => credential::run(args),
        Command::Domain(args) => domain::run(args),
        Command::Dkim(args) => dkim::run(args),
        Command::Queue(args) => queue::run(args),
        Command::Audit(args) => audit::run(&args),
        Command::User(args) => user::run(args),
        Command::Token(args) => token::run(args),
        Command::Post(args) => post::run(args),
        Command::Posts(args) => posts::run(&args),
        Command::Spam(args) => spam::run(&args),
        Command::Author(args) => post::run_author(args),
        Command::Suppression(args) => suppression::run(args),
        Command::Route(args) => route::run(&args),
        Command::Store(args) => store::run(&args),
        Command::Kek(args) => kek::run(args),
        Command::Backup(args) => backup::run(&args),
        Command::Redact(args) => redact::run(&args),
        Command::Sign(args) => crate::run::sign_file(&args),
        Command::Verify(args) => control::block_on(verify::run(&args))?,
    }
}

#[cfg(test)]
mod tests;
