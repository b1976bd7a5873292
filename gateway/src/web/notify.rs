//! Mail to a person about their account, through the same stages and queue as everybody's.

use std::sync::Arc;

use axum::http::HeaderMap;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox as LettreMailbox, Message};

use super::accounts::Account;
use super::language::{Language, fill};
use super::state::WebState;
use crate::message::{Envelope, Letter, Mailbox, Recipient, ReversePath};
use crate::observe::{Event, emit};
use crate::pipeline::AcceptError;
use crate::words;

/// Takes a letter of the gateway's own into the queue. Implemented by the pipeline.
#[async_trait::async_trait]
pub trait OwnMail: Send + Sync + 'static {
    /// Seals and stores; the tenant is the one that the From address's domain belongs to.
    async fn send(&self, from: &Mailbox, letter: Letter<crate::message::Received>) -> Result<(), AcceptError>;
}

words! {
    /// Texts of mail to accounts.
    MailTexts {
        subject: "A new browser has signed in to your Waxseal account" | "Waxsealアカウントに新しい端末からログインがありました",
        body: "{} has signed in to the account {}.\n\nFrom: {}\nAt: {}\nBy: {}\n\nIf it was you, there is nothing to do.\nIf it was not, change the password and sign out everywhere else:\n{}\n" | "{} からアカウント {} へのログインがありました。\n\n接続元: {}\n日時: {}\n方法: {}\n\nご自身によるものであれば、何もする必要はありません。\n心当たりがない場合は、パスワードを変更し、ほかの端末をすべてログアウトしてください。\n{}\n",
    }
}

/// Tells a person that a browser that was never seen has signed in. A failure is an event and holds nobody up.
pub(super) fn new_device(
    state: &WebState,
    account: &Account,
    headers: &HeaderMap,
    address: std::net::IpAddr,
    method: &'static str,
) {
    let Some(from) = state.rooms.settings.mail_from.clone() else {
        let detail = "a new browser has signed in, and nobody was told: [web] mail_from is not set".to_owned();
        emit(&Event::Gateway { state: "account-mail-unset", detail });
        return;
    };
    let language = account.language.unwrap_or_else(|| Language::of(headers));
    let texts = MailTexts::of(language);
    let at = state.rooms.clock.now().to_rfc3339();
    let device = super::device::in_words(headers);
    let method = super::words::Words::of(language).method(method);
    let link = state.site.absolute("/account", headers);
    let body = fill(texts.body, &[&device, &account.email, &address, &at, &method, &link]);
    let (mail, to) = (state.rooms.mail.clone(), account.email.clone());
    // The person waits for the page, not for the disk.
    tokio::spawn(async move {
        if let Err(why) = send(&mail, &from, &to, texts.subject, body).await {
            emit(&Event::Gateway { state: "account-mail-failed", detail: format!("mail to {to}: {why}") });
        }
    });
}

async fn send(mail: &Arc<dyn OwnMail>, from: &Mailbox, to: &str, subject: &str, body: String) -> Result<(), String> {
    let address = |text: &str| text.parse::<LettreMailbox>().map_err(|error| error.to_string());
    let message = Message::builder()
        .from(address(&from.to_string())?)
        .to(address(to)?)
        .subject(subject)
        .header(ContentType::TEXT_PLAIN)
        .body(body)
        .map_err(|error| error.to_string())?;
    let recipient: Mailbox = to.parse().map_err(|error| format!("{error}"))?;
    let envelope = Envelope::new(ReversePath::Mailbox(from.clone()), vec![Recipient::new(recipient)]);
    let letter = Letter::new(envelope, message.formatted());
    mail.send(from, letter).await.map_err(|error| error.to_string())
}
