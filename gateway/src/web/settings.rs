//! What the operator configures of the pages: section `[web]`.

use std::time::Duration;

use super::accounts::{Lifetimes, PasswordRules};
use crate::config::SecretRef;
use crate::message::Mailbox;

/// Section `[web]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebSettings {
    /// What a password may be.
    pub password_rules: PasswordRules,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// The sender of mail to accounts; its domain must be a tenant's.
    pub mail_from: Option<Mailbox>,
    /// Single sign-on.
    pub single_sign_on: Option<SingleSignOn>,
}

/// An OpenID provider.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleSignOn {
    /// Its issuer.
    pub issuer: String,
    /// What it knows us as.
    pub client_id: String,
    /// The secret that it gave us.
    pub client_secret: SecretRef,
    /// Its name on the button.
    pub name: String,
}

impl WebSettings {
    /// How long a password lives.
    pub fn password_lives(&self) -> Option<Duration> {
        self.password_rules.days().map(|days| Duration::from_secs(days * 86_400))
    }
}
