//! Section `[web]`: keys, what goes together, and what comes of it.

use super::complaint::Complaint;
use super::cross::{complain, good};
use super::keys::{key, section};
use super::kind::Absent::{Is, Nothing};
use super::kind::Kind::{Choice, Secret, Span, Text, Url};
use super::kind::{Occurs, Section};
use super::value::{Value, Values};
use crate::message::Mailbox;
use crate::web::accounts::{Lifetimes, PasswordRules};
use crate::web::settings::{SingleSignOn, WebSettings};

pub(super) const SECTION: Section = section(
    "web",
    Occurs::Once,
    "Who may enter the pages, and how. People are made on the command line: waxseal user add.",
    &[
        key(
            "password_rules",
            Choice(&["asvs", "low", "medium", "high"]),
            Is("\"asvs\""),
            "asvs (at least 12 characters, nothing common, no expiry) | low | medium | high (levels that older platforms had).",
        ),
        key("session_idle", Span(60, 31 * 86_400), Is("\"2h\""), "A session ends when it is not used for so long."),
        key("session_lifetime", Span(60, 366 * 86_400), Is("\"12h\""), "A session ends after this in any case."),
        key(
            "mail_from",
            Text,
            Nothing("\"security@mail.example\""),
            "The sender of mail to accounts (a new browser has signed in); its domain must be a tenant's, with an active key.",
        ),
        key("sso_issuer", Url, Nothing("\"https://login.example\""), "The OpenID provider of single sign-on."),
        key("sso_client_id", Text, Nothing("\"waxseal\""), "What the provider knows this gateway as."),
        key("sso_client_secret", Secret, Nothing("\"cred:sso-secret\""), "The secret that it gave."),
        key("sso_name", Text, Is("\"single sign-on\""), "What the button of the sign-in page names."),
    ],
);

/// The keys of single sign-on stand together; an address is one.
pub(super) fn check(values: &Values, found: &mut Vec<Complaint>) {
    let web = values.one("web");
    if !good(web, &["mail_from", "sso_issuer", "sso_client_id", "sso_client_secret"]) {
        return;
    }
    if web.maybe_text("mail_from").is_some_and(|text| text.parse::<Mailbox>().is_err()) {
        complain(found, web, "mail_from", "this is not a mail address", "write one such as \"security@mail.example\"");
    }
    let keys = ["sso_issuer", "sso_client_id", "sso_client_secret"];
    let written = keys.map(|key| web.value(key).is_some());
    if written.contains(&true) && written.contains(&false) {
        let missing: Vec<&str> =
            keys.into_iter().zip(written).filter(|(_, there)| !there).map(|(key, _)| key).collect();
        let problem = format!("single sign-on lacks {}", missing.join(" and "));
        complain(
            found,
            web,
            "sso_issuer",
            problem,
            "write all three of sso_issuer, sso_client_id and sso_client_secret",
        );
    }
}

pub(super) fn web(values: &Values) -> WebSettings {
    let section = values.one("web");
    let single_sign_on = match (
        section.maybe_text("sso_issuer"),
        section.maybe_text("sso_client_id"),
        section.value("sso_client_secret"),
    ) {
        (Some(issuer), Some(client_id), Some(Value::Secret(secret))) => Some(SingleSignOn {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: secret.clone(),
            name: section.text("sso_name").to_owned(),
        }),
        _ => None,
    };
    WebSettings {
        password_rules: match section.text("password_rules") {
            "low" => PasswordRules::Low,
            "medium" => PasswordRules::Medium,
            "high" => PasswordRules::High,
            _ => PasswordRules::Asvs,
        },
        lifetimes: Lifetimes { idle: section.span("session_idle"), total: section.span("session_lifetime") },
        mail_from: section.maybe_text("mail_from").and_then(|text| text.parse().ok()),
        single_sign_on,
    }
}
