//! The demo's notifications, composed with lettre as a service would.

use lettre::Message;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, MultiPart, SinglePart};

use super::DemoError;

/// Who sends.
pub const SENDER: &str = "Acme Orders <orders@acme.example>";
/// A number that every payment provider hands out for tests; it passes all checks of a real one.
const CARD: &str = "4111 1111 1111 1111";

/// One notification of the demo.
pub struct Notification {
    /// What it is, for the story.
    pub what: &'static str,
    /// Its only recipient.
    pub to: &'static str,
    /// What is expected of it.
    pub expect: Expect,
    /// The message.
    pub message: Message,
}

/// What is expected of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// Numbers that are struck out: at least one, or none.
    pub redacted: bool,
    /// Put off once, then delivered.
    pub put_off: bool,
    /// Refused, and its sender told.
    pub bounced: bool,
}

const PLAIN: Expect = Expect { redacted: false, put_off: false, bounced: false };

fn to(address: &str, subject: &str) -> Result<lettre::message::MessageBuilder, DemoError> {
    let bad = |e: lettre::address::AddressError| DemoError::Inside(format!("{address}: {e}"));
    Ok(Message::builder().from(SENDER.parse().map_err(bad)?).to(address.parse().map_err(bad)?).subject(subject))
}

fn compose(what: &str) -> impl Fn(lettre::error::Error) -> DemoError {
    let what = what.to_owned();
    move |e| DemoError::Inside(format!("{what}: {e}"))
}

fn receipt() -> Result<Notification, DemoError> {
    let text = format!("Thank you for your order.\r\n\r\nPaid with card {CARD}, total 42.00 EUR.\r\n");
    let html = "<p>Thank you for your order.</p><p>Paid with card <b>4111</b> 1111&nbsp;1111 <i>1111</i>, \
                total 42.00 EUR.</p>";
    let table = "order,card,total\r\n10-2291,4111111111111111,42.00\r\n";
    let csv = ContentType::parse("text/csv; charset=utf-8").map_err(|e| DemoError::Inside(e.to_string()))?;
    let message = to("Mia <mia@customer.example>", "Your receipt for order 10-2291")?
        .multipart(
            MultiPart::mixed()
                .multipart(MultiPart::alternative_plain_html(text, html.to_owned()))
                .singlepart(Attachment::new("receipt.csv".to_owned()).body(table.to_owned(), csv)),
        )
        .map_err(compose("the receipt"))?;
    let expect = Expect { redacted: true, ..PLAIN };
    Ok(Notification { what: "a receipt (text, HTML, CSV attachment)", to: "mia@customer.example", expect, message })
}

fn japanese() -> Result<Notification, DemoError> {
    let text = "ご注文ありがとうございます。\r\nカード番号：５５５５　５５５５　５５５５　４４４４ でお支払いいただきました。\r\n";
    let message = to("高橋 <takahashi@customer.example>", "ご注文の確認")?
        .singlepart(SinglePart::plain(text.to_owned()))
        .map_err(compose("the Japanese message"))?;
    let expect = Expect { redacted: true, ..PLAIN };
    Ok(Notification {
        what: "a Japanese message, full-width digits",
        to: "takahashi@customer.example",
        expect,
        message,
    })
}

fn plain(
    what: &'static str,
    address: &'static str,
    subject: &str,
    text: &str,
    expect: Expect,
) -> Result<Notification, DemoError> {
    let message = to(address, subject)?.body(text.to_owned()).map_err(compose(what))?;
    Ok(Notification { what, to: address, expect, message })
}

/// All of them, in the order in which they are sent.
pub fn all() -> Result<Vec<Notification>, DemoError> {
    Ok(vec![
        receipt()?,
        japanese()?,
        plain(
            "a password reset",
            "noor@customer.example",
            "Reset your password",
            "Use the code 731 924 within ten minutes to set a new password.\r\n",
            PLAIN,
        )?,
        plain(
            "to a server that first answers 451",
            "lee@slow.example",
            "Your ticket was updated",
            "An agent has answered your ticket 55120.\r\n",
            Expect { put_off: true, ..PLAIN },
        )?,
        plain(
            "to an unknown user",
            "nobody@customer.example",
            "Welcome",
            "Welcome to Acme.\r\n",
            Expect { bounced: true, ..PLAIN },
        )?,
    ])
}
