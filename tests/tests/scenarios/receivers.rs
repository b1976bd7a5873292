//! Mail servers that nobody here wrote take what the gateway delivers; what they keep still verifies.

use waxseal_tests::need::{self, Need};
use waxseal_tests::peers::{self, Exim, Postfix, SmtpSink};
use waxseal_tests::tls::Authority;

use crate::mails;
use crate::signatures::assert_both;
use crate::world::{mail, routed_to};

/// A message from a local file as it was on the wire.
fn with_crlf(message: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(message).replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

#[test]
fn postfix_takes_every_kind_of_mail_over_tls_and_the_signatures_hold() {
    if !need::all(&[Need::Postfix, Need::Dkimpy]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Authority::new().certify(&["postfix.example"]).write(folder.path()).unwrap();
    let at = folder.path().display();
    let postfix = Postfix::receiving(
        &["rcpt.test"],
        &[
            "smtpd_tls_security_level = may".to_owned(),
            format!("smtpd_tls_cert_file = {at}/certificate.pem"),
            format!("smtpd_tls_key_file = {at}/key.pem"),
            // Strict about what it takes, as a careful receiver is.
            "smtpd_forbid_bare_newline = reject".to_owned(),
            "strict_rfc821_envelopes = yes".to_owned(),
            "smtpd_forbid_unauth_pipelining = yes".to_owned(),
        ],
    );
    let (gateway, tenant) = routed_to(postfix.address(), |_| ());
    let kinds = mails::all();
    for (_, message) in &kinds {
        let id = gateway.submit(&tenant, "sender@example.com", &["someone@rcpt.test"], message);
        let event = gateway.wait_for("message.delivered", &id);
        assert_eq!(event["evidence"]["tls"]["version"], "TLSv1.3", "{event}");
    }
    for message in postfix.wait_for(kinds.len()) {
        // Postfix's local delivery adds fields of its own on top; they are not among the signed ones.
        assert_both("dkimpy", "through Postfix", &peers::dkimpy(&with_crlf(&message), &tenant.records));
    }
}

#[test]
fn exim_takes_mail_over_tls() {
    if !need::all(&[Need::Exim, Need::Dkimpy]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Authority::new().certify(&["exim.example"]).write(folder.path()).unwrap();
    let exim = Exim::receiving(folder.path());
    let (gateway, tenant) = routed_to(exim.address(), |_| ());
    let kinds = mails::all();
    for (_, message) in &kinds {
        let id = gateway.submit(&tenant, "sender@example.com", &["someone@rcpt.test"], message);
        let event = gateway.wait_for("message.delivered", &id);
        assert!(event["evidence"]["tls"].is_object(), "{event}");
    }
    for message in exim.wait_for(kinds.len()) {
        assert_both("dkimpy", "through Exim", &peers::dkimpy(&with_crlf(&message), &tenant.records));
    }
}

#[test]
fn smtp_sink_takes_mail_in_the_clear() {
    if !need::all(&[Need::SmtpTools]) {
        return;
    }
    let sink = SmtpSink::start();
    let (gateway, tenant) = routed_to(sink.address(), |_| ());
    for number in 0..20 {
        gateway.submit(&tenant, "sender@example.com", &["someone@rcpt.test"], &mail(&format!("number {number}")));
    }
    let messages = sink.wait_for(20);
    assert!(messages.iter().all(|message| String::from_utf8_lossy(message).contains("DKIM-Signature:")));
}
