//! Mail to a person about their account, through the same stages and queue as everybody's.

use std::sync::Arc;

use axum::http::HeaderMap;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox as LettreMailbox, Message};

use super::accounts::Account;
use super::language::{Language, fill};
use super::state::WebState;
use super::words::Words;
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
        device_subject: "A new browser has signed in to your Waxseal account" | "Waxsealアカウントに新しい端末からログインがありました",
        device_body: "{} has signed in to the account {}.\n\nFrom: {}\nAt: {}\nBy: {}\n\nIf it was you, there is nothing to do.\nIf it was not, change the password and sign out everywhere else:\n{}\n" | "{} からアカウント {} へのログインがありました。\n\n接続元: {}\n日時: {}\n方法: {}\n\nご自身によるものであれば、何もする必要はありません。\n心当たりがない場合は、パスワードを変更し、ほかの端末をすべてログアウトしてください。\n{}\n",
        added_subject: "You have a Waxseal account" | "Waxsealアカウントが作成されました",
        added: "{} has made the account {} for you. Ask them for your first password, which is not sent by mail; it is good for 72 hours." | "{} があなたのアカウント {} を作成しました。初期パスワードはメールでは送られません。作成者から受け取ってください(有効期限は72時間です)。",
        roles_subject: "Your roles at Waxseal have changed" | "Waxsealの権限が変更されました",
        roles: "{} has changed what the account {} may do." | "{} がアカウント {} の権限を変更しました。",
        password_subject: "Your Waxseal password was replaced" | "Waxsealのパスワードが再発行されました",
        password: "{} has replaced the password of the account {} and signed it out everywhere. Ask them for your new first password; it is good for 72 hours." | "{} がアカウント {} のパスワードを再発行し、すべての端末をログアウトしました。新しい初期パスワードを受け取ってください(有効期限は72時間です)。",
        factor_subject: "The second factor of your Waxseal account was removed" | "Waxsealアカウントの二段階認証が解除されました",
        factor: "{} has removed the second factor of the account {} and signed it out everywhere. Set a new one up when you sign in." | "{} がアカウント {} の二段階認証を解除し、すべての端末をログアウトしました。ログイン後に再設定してください。",
        own_password_subject: "Your Waxseal password was changed" | "Waxsealのパスワードが変更されました",
        own_password: "{} has changed the password of the account {} in a browser that was signed in." | "{} がログイン中の端末でアカウント {} のパスワードを変更しました。",
        own_factor_subject: "The second factor of your Waxseal account was turned off" | "Waxsealアカウントの二段階認証が無効になりました",
        own_factor: "{} has turned the second factor of the account {} off in a browser that was signed in." | "{} がログイン中の端末でアカウント {} の二段階認証を無効にしました。",
        not_you: "If you did not expect this, tell an owner." | "心当たりがない場合は、オーナーに連絡してください。",
    }
}

/// What somebody has done with an account that its person should know of (ASVS 5.0 §6.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matter {
    /// An account was made.
    Added,
    /// A role was given.
    Roles,
    /// Somebody else made a new first password.
    PasswordReplaced,
    /// Somebody else took the second factor away.
    FactorRemoved,
    /// The person changed the password.
    OwnPassword,
    /// The person turned the second factor off.
    OwnFactorOff,
}

/// Sends mail to persons about their accounts. A failure is an event and holds nobody up.
pub(super) struct Notices {
    mail: Arc<dyn OwnMail>,
    from: Option<Mailbox>,
    /// Where one signs in.
    link: String,
    language: Language,
}

impl Notices {
    /// For a request with these headers: its language counts where a person has chosen none.
    pub(super) fn new(state: &WebState, headers: &HeaderMap) -> Self {
        Self {
            mail: state.rooms.mail.clone(),
            from: state.rooms.settings.mail_from.clone(),
            link: state.site.absolute("/account", headers),
            language: Language::of(headers),
        }
    }

    /// Tells a person what `by` did.
    pub(super) fn tell(&self, account: &Account, matter: Matter, by: &str) {
        let texts = MailTexts::of(account.language.unwrap_or(self.language));
        let (subject, body) = match matter {
            Matter::Added => (texts.added_subject, texts.added),
            Matter::Roles => (texts.roles_subject, texts.roles),
            Matter::PasswordReplaced => (texts.password_subject, texts.password),
            Matter::FactorRemoved => (texts.factor_subject, texts.factor),
            Matter::OwnPassword => (texts.own_password_subject, texts.own_password),
            Matter::OwnFactorOff => (texts.own_factor_subject, texts.own_factor),
        };
        let body = format!("{}\n\n{}\n{}\n", fill(body, &[&by, &account.email]), texts.not_you, self.link);
        self.post(account, subject, body);
    }

    fn post(&self, account: &Account, subject: &'static str, body: String) {
        let Some(from) = self.from.clone() else {
            let detail = format!("nobody was told (\"{subject}\"): [web] mail_from is not set");
            emit(&Event::Gateway { state: "account-mail-unset", detail });
            return;
        };
        let (mail, to) = (self.mail.clone(), account.email.clone());
        // The person waits for the page, not for the disk.
        tokio::spawn(async move {
            if let Err(why) = send(&mail, &from, &to, subject, body).await {
                emit(&Event::Gateway { state: "account-mail-failed", detail: format!("mail to {to}: {why}") });
            }
        });
    }
}

/// Tells a person that a browser that was never seen has signed in.
pub(super) fn new_device(
    state: &WebState,
    account: &Account,
    headers: &HeaderMap,
    address: std::net::IpAddr,
    method: &'static str,
) {
    let notices = Notices::new(state, headers);
    let language = account.language.unwrap_or(notices.language);
    let texts = MailTexts::of(language);
    let at = state.rooms.clock.now().to_rfc3339();
    let device = super::device::in_words(headers);
    let method = Words::of(language).method(method);
    let body = fill(texts.device_body, &[&device, &account.email, &address, &at, &method, &notices.link]);
    notices.post(account, texts.device_subject, body);
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
