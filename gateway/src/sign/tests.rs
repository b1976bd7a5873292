use std::sync::{Arc, OnceLock};

use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;
use waxseal_keys::{Algorithm, DomainSigner, SigningKey};

use super::*;
use crate::cli::verify::{DnsFixture, Verdicts, verify_message};
use crate::clock::Timestamp;
use crate::message::{BodyKind, Envelope, Letter, Recipient, ReversePath};
use crate::redact::{self, Mode, Policy};

const NOW: Timestamp = Timestamp::from_millis(1_795_442_709_123);

/// Keys made once: an RSA key takes longer than all else here.
struct Keys(Vec<Arc<DomainSigner>>);

impl Signers for Keys {
    fn active(&self, domain: &DomainName) -> Vec<Arc<DomainSigner>> {
        self.0.iter().filter(|signer| signer.domain() == domain.as_str()).cloned().collect()
    }
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |algorithm, domain: &str, selector: &str| {
            Arc::new(DomainSigner::new(SigningKey::generate(algorithm).unwrap(), domain, selector).unwrap())
        };
        Keys(vec![
            key(Algorithm::Ed25519, "example.com", "e1"),
            key(Algorithm::Rsa2048, "example.com", "r1"),
            key(Algorithm::Ed25519, "news.example.com", "n1"),
            key(Algorithm::Ed25519, "other.example", "o1"),
        ])
    })
}

fn fixture() -> DnsFixture {
    let record = |signer: &Arc<DomainSigner>| {
        let name = format!("{}._domainkey.{}", signer.selector(), signer.domain());
        (name, vec![format!("v=DKIM1; k={}; p={}", signer.kind().record_tag(), signer.key().public_record_value())])
    };
    let dmarc = ("_dmarc.example.com".to_owned(), vec!["v=DMARC1; p=reject; adkim=r".to_owned()]);
    DnsFixture::new(keys().0.iter().map(record).chain([dmarc]))
}

fn names(names: &[&str]) -> Vec<DomainName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn envelope() -> Envelope {
    let recipient = Recipient::new("b@example.net".parse().unwrap());
    Envelope::new(ReversePath::Mailbox("bounce@example.com".parse().unwrap()), vec![recipient])
}

fn redacted(envelope: Envelope, message: &[u8]) -> Letter<redact::Redacted> {
    let policy = Policy { mode: Mode::Off, ..Policy::default() };
    redact::redact(Letter::new(envelope, message.to_vec()), &policy).unwrap()
}

fn seal_as(
    envelope: Envelope,
    message: &[u8],
    own: &[DomainName],
    subdomains: bool,
) -> Result<Letter<Sealed>, SealError> {
    let hostname = "mx1.relay.example".parse().unwrap();
    let trace = TraceFacts {
        helo: "app 1 (x".to_owned(),
        client: "192.0.2.7".parse().unwrap(),
        protocol: "ESMTPSA",
        tls: Some("TLSv1.3 with cipher TLS_AES_256_GCM_SHA384".to_owned()),
        session: crate::ids::SessionId::new(),
    };
    let request = SealRequest {
        id: crate::ids::LetterId::new(NOW),
        now: NOW,
        hostname: &hostname,
        trace: Some(&trace),
        tenant: "acme",
        domains: own,
        subdomains,
        signers: keys(),
    };
    seal(redacted(envelope, message), &request)
}

fn seal_plain(message: &[u8]) -> Result<Letter<Sealed>, SealError> {
    seal_as(envelope(), message, &names(&["example.com"]), false)
}

/// The sealed bytes without what sealing puts on top.
fn below_the_seal(letter: &Letter<Sealed>) -> Vec<u8> {
    let split = header::split(letter.message());
    let first = split.fields.iter().position(|field| !field.is("Received") && !field.is("DKIM-Signature")).unwrap();
    let mut out = Vec::new();
    header::write(&split.fields[first..], &mut out);
    out.extend_from_slice(split.separator);
    out.extend_from_slice(split.body);
    out
}

async fn verdicts(letter: &Letter<Sealed>) -> Verdicts {
    verify_message(letter.message(), Some(&fixture())).await.unwrap()
}

const COMPLETE: &str = "From: A <a@example.com>\r\nTo: b@example.net\r\nSubject: Hi\r\nDate: Mon, 23 Nov 2026 14:05:09 \
                        +0000\r\nMessage-ID: <1@example.com>\r\n\r\n";

#[tokio::test]
async fn a_complete_letter_is_sealed_without_changing_a_byte_and_passes() {
    for body in ["", "hello\r\n", "\r\n\r\n", " \r\n", "a\r\n \t\r\n\r\n", "x  y \r\n\r\n\r\n"] {
        let message = format!("{COMPLETE}{body}");
        let letter = seal_plain(message.as_bytes()).unwrap();
        assert_eq!(below_the_seal(&letter), message.as_bytes());
        let verdicts = verdicts(&letter).await;
        assert!(verdicts.passed() && verdicts.dmarc.result == "pass", "{body:?}: {verdicts:?}");
        let algorithms: Vec<_> = verdicts.dkim.iter().map(|verdict| verdict.algorithm.as_str()).collect();
        assert_eq!(algorithms, ["rsa-sha256", "ed25519-sha256"]);
        let facts: Vec<_> = letter.stage().signatures().iter().map(|fact| fact.algorithm.as_str()).collect();
        assert_eq!(facts, algorithms);
        assert!(!letter.stage().eight_bit());
        assert_eq!((letter.stage().from_domain().as_str(), letter.stage().subject()), ("example.com", "Hi"));
    }
}

#[test]
fn the_received_field_says_how_the_letter_came() {
    let letter = seal_plain(COMPLETE.as_bytes()).unwrap();
    let split = header::split(letter.message());
    let received = String::from_utf8(split.fields[0].raw().to_vec()).unwrap();
    assert!(received.starts_with("Received: from unknown ([192.0.2.7])\r\n\tby mx1.relay.example with ESMTPSA id 01"));
    assert!(received.contains("(TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)"), "{received}");
    assert!(received.contains("for <b@example.net>;\r\n\tMon, 23 Nov 2026 14:05:09 +0000\r\n"), "{received}");
    let mut many = envelope();
    many.recipients.push(Recipient::new("c@example.net".parse().unwrap()));
    let letter = seal_as(many, COMPLETE.as_bytes(), &names(&["example.com"]), false).unwrap();
    assert!(!String::from_utf8_lossy(letter.message()).contains("for <"));
}

#[tokio::test]
async fn what_is_missing_comes_and_what_may_not_leave_goes() {
    let message = "Return-Path: <x@y.example>\r\nBcc : hidden@example.net\r\nX-WAXSEAL-Tag: t\r\nx-waxseal-new: u\r\n\
                   FROM: a@example.com\r\nsubject : Hi\r\nDate: yesterday\r\nContent-Type: text/plain\r\nResent-Bcc: h@b.example\r\n\
                   DKIM-Signature: v=1; d=old.example\r\n\r\nhello\r\n";
    let letter = seal_plain(message.as_bytes()).unwrap();
    let sealed = String::from_utf8(below_the_seal(&letter)).unwrap();
    let id = String::from_utf8_lossy(letter.message()).split(" id ").nth(1).unwrap()[..26].to_owned();
    assert_eq!(
        sealed,
        format!(
            "FROM: a@example.com\r\nsubject: Hi\r\nDate: Mon, 23 Nov 2026 14:05:09 +0000\r\nContent-Type: text/plain\r\n\
             Message-ID: <{id}@example.com>\r\nMIME-Version: 1.0\r\n\r\nhello\r\n"
        )
    );
    assert!(verdicts(&letter).await.passed());
}

#[test]
fn a_foreign_signature_stays_only_over_untouched_bytes() {
    let signed = format!("DKIM-Signature: v=1; d=old.example; b=x\r\n{COMPLETE}hello\r\n");
    let count = |letter: &Letter<Sealed>| {
        let split = header::split(letter.message());
        split.fields.iter().filter(|field| field.is("DKIM-Signature")).count()
    };
    assert_eq!(count(&seal_plain(signed.as_bytes()).unwrap()), 3);
    assert_eq!(count(&seal_plain(signed.replace("hello", "héllo").as_bytes()).unwrap()), 2);
    assert_eq!(count(&seal_plain(format!("Bcc: x@y.example\r\n{signed}").as_bytes()).unwrap()), 2);
}

#[test]
fn the_author_has_to_be_the_tenants() {
    let own = names(&["example.com", "mail.example.com"]);
    let refusal = |header: &str, subdomains| {
        let message = format!("{header}\r\nSubject: x\r\n\r\nx\r\n");
        seal_as(envelope(), message.as_bytes(), &own, subdomains).err().map(|error| error.to_string())
    };
    assert_eq!(
        refusal("From: a@examp1e.com", false).unwrap(),
        "From domain \"examp1e.com\" is not one of tenant acme (example.com, mail.example.com)"
    );
    assert!(refusal("From: a@other.example", true).unwrap().contains("not one of tenant"));
    assert!(refusal("From: a@sub.example.com", false).unwrap().contains("not one of tenant"));
    assert_eq!(refusal("From: a@sub.example.com", true), None);
    assert_eq!(refusal("From: a@EXAMPLE.com", false), None);
    assert!(refusal("From: a@example.com\r\nSender: b@evil.example", false).unwrap().starts_with("Sender domain"));
    assert!(refusal("From: a@example.com\r\nSender: b@example.com, c@example.com", false).is_some());
    assert!(refusal("From: a@example.com, b@evil.example\r\nSender: a@example.com", false).unwrap().contains("evil"));
    assert!(refusal("From: a@example.com, b@example.com", false).unwrap().contains("several"));
    assert_eq!(refusal("From: a@example.com, b@example.com\r\nSender: a@example.com", false), None);
    assert_eq!(refusal("From: Team: a@example.com;", false), None);
    assert!(refusal("From: Team: a@evil.example;", false).is_some());
    assert!(refusal("From: nobody:;", false).unwrap().contains("nobody"));
    assert!(refusal("X: y", false).unwrap().contains("is missing"));
    assert!(refusal("From: a@example.com\r\nFrom: a@example.com", false).unwrap().contains("more than once"));
    assert!(refusal("From: a@example.com\r\nfrom : b@evil.example", false).unwrap().contains("more than once"));
    assert!(refusal("From: \"x@evil.example\" <a@example.com>", false).is_none());
    for error in ["From: ä@ä.example", "From: \u{202e}<<", "\u{e4}: x"].map(|header| refusal(header, false).unwrap())
    {
        assert!(error.is_ascii(), "{error}");
    }
}

#[test]
fn a_subdomain_is_signed_by_its_own_key_or_its_closest_parents() {
    let domain = |from: &str, own: &[&str]| {
        let message = format!("From: {from}\r\n\r\nx\r\n");
        let letter = seal_as(envelope(), message.as_bytes(), &names(own), true)?;
        Ok::<_, SealError>(letter.stage().signatures()[0].domain.clone())
    };
    assert_eq!(domain("a@news.example.com", &["example.com", "news.example.com"]).unwrap(), "news.example.com");
    assert_eq!(domain("a@x.news.example.com", &["example.com", "news.example.com"]).unwrap(), "news.example.com");
    // The key of news.example.com is somebody else's here.
    assert_eq!(domain("a@news.example.com", &["example.com"]).unwrap(), "example.com");
    assert_eq!(
        domain("a@keyless.example", &["keyless.example"]),
        Err(SealError::NoActiveKey("keyless.example".into()))
    );
}

#[test]
fn a_header_that_cannot_be_mended_is_refused() {
    for bad in [
        format!("From me\r\n{COMPLETE}"),
        format!(" folded\r\n{COMPLETE}"),
        format!("Subject: other\r\n{COMPLETE}"),
        format!("X-Long: {}\r\n{COMPLETE}", "x".repeat(1000)),
        format!("X-Nul: \0\r\n{COMPLETE}"),
        format!("X-Cr: a\rb\r\n{COMPLETE}"),
        format!("To: jörg@example.net\r\n{}", COMPLETE.replace("To: b@example.net\r\n", "")),
        format!("{COMPLETE}nul \0 here\r\n"),
        format!("Content-Type: multipart/mixed; boundary=b\r\n{COMPLETE}no böundary\r\n"),
        format!("Content-Transfer-Encoding: x-secret\r\n{COMPLETE}é\r\n"),
        format!("Content-Type: multipart/signed; boundary=b\r\n{COMPLETE}--b\r\n\r\n{}\r\n--b--\r\n", "x".repeat(999)),
    ] {
        assert!(matches!(seal_plain(bad.as_bytes()), Err(SealError::BadHeader(text)) if text.is_ascii()), "{bad}");
    }
    let loops = format!("{}{COMPLETE}", "Received: x\r\n".repeat(51));
    assert_eq!(seal_plain(loops.as_bytes()).err(), Some(SealError::Loop(51)));
    let twice = format!("Subject: Hi\r\n{COMPLETE}");
    assert_eq!(below_the_seal(&seal_plain(twice.as_bytes()).unwrap()).len(), COMPLETE.len());
}

/// The decoded text of each part, as a reader sees it.
fn texts(message: &[u8]) -> Vec<Vec<u8>> {
    let parsed = MessageParser::default().parse(message).unwrap();
    parsed
        .parts
        .iter()
        .filter(|part| !part.is_multipart() && !part.is_message())
        .map(|part| part.contents().to_vec())
        .collect()
}

#[tokio::test]
async fn unsafe_parts_are_encoded_anew_and_read_the_same() {
    let long = "word ".repeat(400);
    let top = |fields: &str, body: &str| format!("{fields}MIME-Version: 1.0\r\n{COMPLETE}{body}");
    for message in [
        top(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
            "Grüße aus Köln. All in plain words here.\r\n",
        ),
        top("Content-Type: text/plain; charset=utf-8\r\n", "ご注文ありがとうございます。\r\n"),
        top("Content-Type: text/plain; charset=us-ascii\r\n", &format!("{long}\r\nnext\r\n")),
        top(
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n",
            &format!("a=3D{}=\r\n=C3=BC {long}\r\n", "b".repeat(1200)),
        ),
        top(
            "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n",
            &format!("{}\r\n", "QUJD".repeat(400)),
        ),
        top(
            "Content-Type: multipart/mixed; boundary=\"a b\"\r\nContent-Transfer-Encoding: 8bit\r\n",
            "pré\r\n--a b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nünter\r\n\
             --a b\r\nContent-Type: text/plain\r\n\r\nuntouched  \r\n\r\n--a b\r\nContent-Type: message/rfc822\r\n\r\n\
             From: x@y.example\r\nSubject: Größe\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nßß\r\n--a b--\r\népi\r\n",
        ),
    ] {
        let letter = seal_plain(message.as_bytes()).unwrap();
        let sealed = letter.message();
        assert!(sealed.is_ascii() && !letter.stage().eight_bit());
        assert!(sealed.split(|&b| b == b'\n').all(|line| line.len() <= 999));
        assert!(verdicts(&letter).await.passed());
        let trimmed = |message: &[u8]| -> Vec<Vec<u8>> {
            texts(message).into_iter().map(|text| text.trim_ascii_end().to_vec()).collect()
        };
        assert_eq!(trimmed(sealed), trimmed(message.as_bytes()), "{message}");
        // Sealing what is sealed changes nothing more.
        let below = below_the_seal(&letter);
        assert_eq!(below_the_seal(&seal_plain(&below).unwrap()), below);
    }
}

#[test]
fn an_untouched_part_keeps_its_bytes_beside_one_that_is_encoded() {
    let part = "Content-Type: text/plain\r\nX-Odd:   spaced\r\n\r\nuntouched  \r\n\r\n";
    let message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n{COMPLETE}--b \r\n{part}\r\n--b\r\n\r\né\r\n--b--\r\n"
    );
    let sealed = below_the_seal(&seal_plain(message.as_bytes()).unwrap());
    let sealed = String::from_utf8(sealed).unwrap();
    assert!(sealed.contains(&format!("--b \r\n{part}\r\n--b\r\n")), "{sealed}");
    assert!(
        sealed.contains("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\n")
    );
}

#[tokio::test]
async fn a_signed_multipart_is_never_touched() {
    let message = format!(
        "Content-Type: multipart/signed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n{COMPLETE}\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nünter\r\n--b\r\n\
         Content-Type: application/pgp-signature\r\n\r\nsig\r\n--b--\r\n"
    );
    let letter = seal_plain(message.as_bytes()).unwrap();
    assert_eq!(below_the_seal(&letter), message.as_bytes());
    assert!(letter.stage().eight_bit());
    assert!(verdicts(&letter).await.passed());
}

#[test]
fn binary_parts_become_base64_and_come_back_whole() {
    let binary: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let mut message = format!(
        "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\nMIME-Version: 1.0\r\n{COMPLETE}--b\r\n\
         Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    )
    .into_bytes();
    message.extend_from_slice(&binary);
    message.extend_from_slice(b"\r\n--b\r\nContent-Transfer-Encoding: binary\r\n\r\nplain\r\n--b--");
    let mut envelope = envelope();
    envelope.body = BodyKind::BinaryMime;
    let letter = seal_as(envelope, &message, &names(&["example.com"]), false).unwrap();
    let sealed = String::from_utf8(letter.message().to_vec()).unwrap();
    assert!(!sealed.contains("binary"), "{sealed}");
    assert!(sealed.ends_with("--b--\r\n"));
    let parsed = MessageParser::default().parse(letter.message()).unwrap();
    let image = parsed.parts.iter().find(|part| part.content_type().is_some_and(|kind| kind.ctype() == "image"));
    assert_eq!(image.unwrap().contents(), binary);
}

#[tokio::test]
async fn header_text_outside_ascii_is_encoded_unless_smtputf8_was_asked_for() {
    let message = "From: Jörg <a@example.com>\r\nTo: b@bücher.example\r\nSubject: Ihre Bestellung ist da: Größe 漢字\r\n\r\nx\r\n";
    let letter = seal_plain(message.as_bytes()).unwrap();
    assert!(letter.message().is_ascii());
    assert_eq!(letter.stage().subject(), "Ihre Bestellung ist da: Größe 漢字");
    assert!(verdicts(&letter).await.passed());
    let mut utf8 = envelope();
    utf8.smtputf8 = true;
    let letter = seal_as(utf8, message.as_bytes(), &names(&["example.com"]), false).unwrap();
    assert!(below_the_seal(&letter).starts_with(message.trim_end_matches("\r\n\r\nx\r\n").as_bytes()));
    assert!(letter.stage().eight_bit());
    assert!(verdicts(&letter).await.passed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn sealing_never_panics_and_keeps_its_promises(
        noise in prop::collection::vec(any::<u8>(), 0..200),
        tail in "([A-Za-z-]{1,9}: [ -~é]{0,30}\r\n|Content-Type: multipart/(mixed|signed|digest); boundary=b\r\n|Content-Type: message/rfc822\r\n|Content-Transfer-Encoding: (binary|base64|quoted-printable|8bit)\r\n){0,5}\r\n(--b\r\n|--b--\r\n|\r\n|[ -~é]{0,40}\r\n|Content-Transfer-Encoding: binary\r\n|\n|\0){0,14}",
        binary: bool,
        smtputf8: bool,
    ) {
        let mut envelope = envelope();
        envelope.smtputf8 = smtputf8;
        envelope.body = if binary { BodyKind::BinaryMime } else { BodyKind::EightBitMime };
        let mut message = b"From: a@example.com\r\n".to_vec();
        message.extend_from_slice(tail.as_bytes());
        let own = names(&["example.com"]);
        let _ = seal_as(envelope.clone(), &noise, &own, true);
        if let Ok(letter) = seal_as(envelope.clone(), &message, &own, true) {
            let sealed = letter.message();
            prop_assert!(sealed.ends_with(b"\r\n"));
            prop_assert!(letter.stage().eight_bit() || sealed.is_ascii());
            prop_assert!(!transfer::Flaws::of(sealed).not_8bit());
            let below = below_the_seal(&letter);
            let again = seal_as(envelope, &below, &own, true);
            prop_assert!(again.is_ok(), "{:?}", again.err());
            prop_assert_eq!(below_the_seal(&again.unwrap()), below);
        }
    }

    #[test]
    fn a_letter_that_needs_no_change_keeps_its_bytes(body in "([ -~]{0,80}\r\n){0,20}", subject in "[!-~]{1,40}( [!-~]{1,40}){0,3}") {
        let message = format!(
            "From: a@example.com\r\nSubject: {subject}\r\nDate: 23 Nov 2026 14:05 GMT\r\nMessage-ID: <x>\r\n\r\n{body}"
        );
        prop_assert_eq!(below_the_seal(&seal_plain(message.as_bytes()).unwrap()), message.as_bytes());
    }
}
