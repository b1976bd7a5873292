//! Posts that come in by mail: a message to a tenant's address becomes a post of whom its From names.
//!
//! Promises: nothing is published whose From is not proven (DMARC, or without its record a signature or SPF of the From
//! domain itself): it is held, with the verdicts beside it, however good it reads. The same message again is the same
//! post. Refuses what no person wrote (RFC 3834), messages without one author, and messages without text.

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest::{SHA256, digest};
use mail_parser::{Message, MessageParser};

use super::{MAX_TEXT, PostError, Posts, Source, Submission};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::inbound::Authenticate;
use crate::message::{Mailbox, ReversePath};
use crate::returns::{Kind, read};
use crate::smtp::addressees::{Addressees, Incoming, ReceiveError, Receiver, Unwanted};
use crate::tenants::{Credential, Registry};

/// Why a message is no post; the sender's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAPost {
    /// It cannot be read.
    #[error("the message cannot be read")]
    Unreadable,
    /// From names nobody, or several.
    #[error("From must name one address: it is the post's author")]
    Author,
    /// There is no text in it.
    #[error("the message has no text")]
    NoText,
    /// A machine sent it.
    #[error("automatic mail is not taken as a post")]
    Automatic,
}

/// What a message submits.
pub fn submission(octets: &[u8], reverse_path: &ReversePath) -> Result<Submission, NotAPost> {
    if *reverse_path == ReversePath::Null || read(octets).kind != Kind::Other {
        return Err(NotAPost::Automatic);
    }
    let message = MessageParser::default().parse(octets).ok_or(NotAPost::Unreadable)?;
    let (address, name) = author(&message)?;
    let text = message.body_text(0).map(|text| cut(text.trim(), MAX_TEXT).to_owned()).unwrap_or_default();
    if text.is_empty() {
        return Err(NotAPost::NoText);
    }
    let title = message.subject().map(str::to_owned);
    Ok(Submission {
        // Of the words and not of the Message-ID alone, which anybody may repeat to change another's post.
        id: Some(id(&[
            address.as_str(),
            message.message_id().unwrap_or_default(),
            title.as_deref().unwrap_or_default(),
            &text,
        ])),
        text,
        title,
        author_email: Some(address),
        author_name: name,
        kind: Some("mail".to_owned()),
        ..Submission::default()
    })
}

fn author(message: &Message<'_>) -> Result<(String, Option<String>), NotAPost> {
    let mut all = message.from().into_iter().flat_map(|from| from.iter());
    let (Some(only), None) = (all.next(), all.next()) else { return Err(NotAPost::Author) };
    let address: Mailbox = only.address().unwrap_or_default().parse().map_err(|_| NotAPost::Author)?;
    Ok((address.to_string().to_lowercase(), only.name().map(str::to_owned)))
}

fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

fn id(parts: &[&str]) -> String {
    let whole = digest(&SHA256, parts.join("\0").as_bytes());
    // Letters, so that no run of digits can look like a card number.
    whole.as_ref().iter().take(16).fold("mail-".to_owned(), |mut id, octet| {
        let letter = |nibble: u8| char::from(b'a' + nibble);
        // Writing to a string cannot fail.
        let _ = write!(id, "{}{}", letter(octet >> 4), letter(octet & 15));
        id
    })
}

/// Takes mail for tenants' post addresses.
pub struct MailDesk {
    posts: Arc<Posts>,
    registry: Arc<Registry>,
    checks: Arc<dyn Authenticate>,
}

impl MailDesk {
    /// For these posts and tenants.
    pub const fn new(posts: Arc<Posts>, registry: Arc<Registry>, checks: Arc<dyn Authenticate>) -> Self {
        Self { posts, registry, checks }
    }

    fn tenant(&self, address: &Mailbox) -> Option<TenantId> {
        let directory = self.registry.snapshot();
        let same = |known: &Mailbox| {
            known.domain() == address.domain() && known.local_part().eq_ignore_ascii_case(address.local_part())
        };
        directory
            .tenants()
            .find(|tenant| tenant.policy.posts_address.as_ref().is_some_and(same))
            .map(|tenant| tenant.id)
    }

    async fn submit(&self, tenant: TenantId, submission: Submission, proven: bool) -> Result<(), ReceiveError> {
        let directory = self.registry.snapshot();
        let found = directory.tenant(tenant).ok_or_else(|| ReceiveError::Later("the tenant was removed".to_owned()))?;
        let policy = found.policy.redaction.clone().unwrap_or_else(|| self.posts.settings().redaction);
        let (posts, name) = (self.posts.clone(), found.name.clone());
        let check = move || submission.check(Source::Mail, &policy, posts.now());
        let checked = self.posts.on_processor(check).await.and_then(|checked| checked);
        let answer = match checked {
            Ok(mut checked) => {
                checked.unauthenticated = !proven;
                self.posts.submit_checked(tenant, &name, checked).await
            }
            Err(error) => Err(error),
        };
        answer.map(drop).map_err(|error| match error {
            PostError::Invalid(_) | PostError::TooLong { .. } => ReceiveError::NotTaken(error.to_string()),
            error => ReceiveError::Later(error.to_string()),
        })
    }
}

impl Addressees for MailDesk {
    fn wanted(&self, _: Option<&Credential>, recipient: &Mailbox, _: Timestamp) -> Result<(), Unwanted> {
        self.tenant(recipient)
            .map(drop)
            .ok_or(Unwanted::NotOurs("no such address here: posts go to a tenant's address"))
    }
}

#[async_trait]
impl Receiver for MailDesk {
    async fn receive(&self, incoming: Incoming) -> Result<(), ReceiveError> {
        let Incoming { letter, trace } = incoming;
        let (envelope, message, _) = letter.into_parts();
        let (octets, from) = (message.clone(), envelope.reverse_path.clone());
        let read = self.posts.on_processor(move || submission(&octets, &from)).await;
        let read = read.map_err(|error| ReceiveError::Later(error.to_string()))?;
        let mut submission = read.map_err(|problem| ReceiveError::NotTaken(problem.to_string()))?;
        let verdicts = self.checks.judge(&message, &envelope.reverse_path, &trace).await;
        submission.context = Some(format!("by mail: {verdicts}"));
        for recipient in &envelope.recipients {
            if let Some(tenant) = self.tenant(&recipient.address) {
                self.submit(tenant, submission.clone(), verdicts.from_proven).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sender() -> ReversePath {
        ReversePath::Mailbox("ann@mail.example".parse().unwrap())
    }

    fn mail(fields: &str, body: &str) -> Result<Submission, NotAPost> {
        submission(format!("{fields}\r\n\r\n{body}\r\n").as_bytes(), &sender())
    }

    #[test]
    fn a_mail_is_a_post_of_its_author_and_the_same_one_again_is_the_same() {
        let fields = "From: Ann <Ann@Mail.example>\r\nSubject: =?utf-8?Q?Caf=C3=A9?=\r\nMessage-ID: <1@mail.example>";
        let post = mail(fields, "Where do I find the invoice?").unwrap();
        assert_eq!(post.author_email.as_deref(), Some("ann@mail.example"));
        assert_eq!((post.author_name.as_deref(), post.title.as_deref()), (Some("Ann"), Some("Café")));
        assert_eq!(post.text, "Where do I find the invoice?");
        let again = mail(&format!("Received: by x\r\n{fields}"), "Where do I find the invoice?").unwrap();
        assert_eq!(again.id, post.id);
        assert_ne!(mail(fields, "Something else").unwrap().id, post.id, "a repeated Message-ID changes no post");
    }

    #[test]
    fn html_is_read_as_text() {
        let post = mail("From: a@b.example\r\nContent-Type: text/html", "<p>Hello <b>there</b></p>").unwrap();
        assert!(post.text.contains("Hello there") && !post.text.contains('<'), "{}", post.text);
    }

    #[test]
    fn what_no_person_wrote_is_refused() {
        assert_eq!(mail("From: a@b.example\r\nAuto-Submitted: auto-replied", "away"), Err(NotAPost::Automatic));
        assert_eq!(submission(b"From: a@b.example\r\n\r\nx\r\n", &ReversePath::Null), Err(NotAPost::Automatic));
        assert_eq!(mail("From: a@b.example, c@d.example", "x"), Err(NotAPost::Author));
        assert_eq!(mail("Subject: nobody", "x"), Err(NotAPost::Author));
        assert_eq!(mail("From: a@b.example", " "), Err(NotAPost::NoText));
    }

    proptest! {
        #[test]
        fn any_octets_are_a_post_or_not(octets: Vec<u8>) {
            if let Ok(post) = submission(&octets, &sender()) {
                prop_assert!(post.text.len() <= MAX_TEXT && post.id.is_some());
            }
        }
    }
}
