//! `waxseal sign`: one message sealed with the keys on disk, while no gateway runs on them.

use std::sync::Arc;

use super::kek::open_registry;
use super::lock_data_dir;
use crate::cli::sign::{SignArgs, SignContext};
use crate::cli::{CliError, Exit};
use crate::clock::{Clock, SystemClock};
use crate::message::DomainName;

/// Opens the registry of the configuration that the arguments name and signs as the tenant of the From domain.
pub fn sign_file(args: &SignArgs) -> Result<(), CliError> {
    let config = crate::config::load(&args.config).map_err(|e| CliError::new(Exit::Usage, e.to_string()))?;
    let failed = |e: &dyn std::fmt::Display| CliError::new(Exit::RunTime, e.to_string());
    let _lock = lock_data_dir(&config.data_dir).map_err(|e| failed(&e))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry = open_registry(&config, clock.clone()).map_err(|e| failed(&e))?;
    let directory = registry.snapshot();
    let message = crate::cli::letter_file::read_message(args.file.as_deref())?;
    let tenant = owner(&directory, &message).ok_or_else(|| {
        CliError::new(Exit::Refused, "the From domain belongs to no tenant: waxseal domain add D --tenant T")
    })?;
    let context = SignContext {
        hostname: &config.hostname,
        now: clock.now(),
        tenant: &tenant.name,
        domains: directory.domains_of(tenant.id),
        subdomains: tenant.policy.subdomains,
        redaction: &crate::pipeline::redaction_policy(&config, tenant),
        signers: &*directory,
    };
    crate::cli::sign::run(args, message, &context)
}

/// The tenant of the first From mailbox's domain or of the closest domain above it.
fn owner<'d>(directory: &'d crate::tenants::Directory, message: &[u8]) -> Option<&'d Arc<crate::tenants::Tenant>> {
    let parsed = mail_parser::MessageParser::new().parse_headers(message)?;
    let address = parsed.from()?.first()?.address()?.to_owned();
    let mut domain = address.rsplit_once('@')?.1;
    loop {
        let name: DomainName = domain.parse().ok()?;
        if let Some(id) = directory.owner(&name) {
            return directory.tenant(id);
        }
        domain = domain.split_once('.')?.1;
    }
}
