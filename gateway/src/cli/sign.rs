//! `waxseal sign`: one message sealed as the gateway would seal it (redaction first, since nothing else may be
//! signed). The keys come from whoever runs the command: this file opens no store.

use std::path::PathBuf;

use super::{CliError, Exit};
use crate::clock::Timestamp;
use crate::ids::LetterId;
use crate::message::{DomainName, Envelope, Letter, Mailbox, Recipient, ReversePath};
use crate::redact::{self, Policy};
use crate::sign::{SealError, SealRequest, Signers, seal};

/// Seal one message with the keys of its From domain
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  waxseal sign --config waxseal.toml --from bounce@example.com letter.eml > sealed.eml"
)]
pub struct SignArgs {
    /// The configuration, which names the store with the keys
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The message; standard input without it
    pub file: Option<PathBuf>,
    /// The envelope's sender; without it the null reverse-path
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<Mailbox>,
    /// An envelope recipient; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub to: Vec<Mailbox>,
}

/// What signing needs beside the message; the caller has it from the store and the configuration.
pub struct SignContext<'a> {
    /// Our own name, for `Received`.
    pub hostname: &'a DomainName,
    /// The time.
    pub now: Timestamp,
    /// Whose domains they are, for refusals.
    pub tenant: &'a str,
    /// The domains that may be signed for.
    pub domains: &'a [DomainName],
    /// May From be a subdomain of them?
    pub subdomains: bool,
    /// The redaction policy.
    pub redaction: &'a Policy,
    /// The keys.
    pub signers: &'a dyn Signers,
}

/// Seals a message and writes it to standard output.
pub fn run(args: &SignArgs, message: Vec<u8>, context: &SignContext<'_>) -> Result<(), CliError> {
    use std::io::Write;
    let reverse_path = args.from.clone().map_or(ReversePath::Null, ReversePath::Mailbox);
    let mut envelope = Envelope::new(reverse_path, args.to.iter().cloned().map(Recipient::new).collect());
    envelope.smtputf8 = args.to.iter().chain(&args.from).any(Mailbox::needs_smtputf8);
    let sealed = sign_message(message, envelope, context)?;
    let written = std::io::stdout().lock().write_all(&sealed);
    written.map_err(|error| CliError::new(Exit::RunTime, format!("standard output: {error}")))
}

/// Redacts and seals one message (CRLF line ends).
pub fn sign_message(message: Vec<u8>, envelope: Envelope, context: &SignContext<'_>) -> Result<Vec<u8>, CliError> {
    let refused = |text: String| CliError::new(Exit::Refused, text);
    let letter = redact::redact(Letter::new(envelope, message), context.redaction)
        .map_err(|refusal| refused(refusal.to_string()))?;
    let request = SealRequest {
        id: LetterId::new(context.now),
        now: context.now,
        hostname: context.hostname,
        trace: None,
        tenant: context.tenant,
        domains: context.domains,
        subdomains: context.subdomains,
        signers: context.signers,
    };
    let sealed = seal(letter, &request).map_err(|error| match error {
        SealError::Internal(_) => CliError::new(Exit::RunTime, error.to_string()),
        _ => refused(error.to_string()),
    })?;
    Ok(sealed.message().to_vec())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use waxseal_keys::{Algorithm, DomainSigner, SigningKey};

    use super::*;
    use crate::cli::verify::{DnsFixture, verify_message};

    struct One(Arc<DomainSigner>);

    impl Signers for One {
        fn active(&self, domain: &DomainName) -> Vec<Arc<DomainSigner>> {
            if domain.as_str() == self.0.domain() { vec![Arc::clone(&self.0)] } else { Vec::new() }
        }
    }

    #[tokio::test]
    async fn what_is_signed_here_verifies_and_what_is_not_ours_is_refused() {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        let record = format!("v=DKIM1; k=ed25519; p={}", key.public_record_value());
        let signers = One(Arc::new(DomainSigner::new(key, "example.com", "e1").unwrap()));
        let context = SignContext {
            hostname: &"mx1.relay.example".parse().unwrap(),
            now: Timestamp::from_millis(1_795_442_709_123),
            tenant: "acme",
            domains: &["example.com".parse().unwrap(), "keyless.example".parse().unwrap()],
            subdomains: false,
            redaction: &Policy::default(),
            signers: &signers,
        };
        let sign = |from: &str| {
            let message = format!("From: a@{from}\r\nSubject: x\r\n\r\nhello\r\n").into_bytes();
            sign_message(message, Envelope::new(ReversePath::Null, Vec::new()), &context)
        };
        let sealed = sign("example.com").unwrap();
        let dns = DnsFixture::new([("e1._domainkey.Example.com.".to_owned(), vec!["junk".to_owned(), record])]);
        assert!(verify_message(&sealed, Some(&dns)).await.unwrap().passed());
        assert!(!verify_message(&sealed, Some(&DnsFixture::default())).await.unwrap().passed());
        assert_eq!(sign("keyless.example").unwrap_err().exit, Exit::Refused);
        assert_eq!(sign("elsewhere.example").unwrap_err().exit, Exit::Refused);
    }
}
