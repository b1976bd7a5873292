use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use mail_auth::common::crypto::{HashContext, HashImpl, Sha256};
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};
use proptest::prelude::*;

use super::canonical::{BodyForm, body_hash, relax_value, split};
use super::*;
use crate::{Algorithm, SigningKey};

/// Records that mail-auth finds without asking anybody.
struct Fixture(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Fixture {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(self.0.get(name).cloned().unwrap_or(Txt::Error(mail_auth::Error::ParseError)))
    }
    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }
    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}

fn signers() -> Vec<Arc<DomainSigner>> {
    [(Algorithm::Ed25519, "e1"), (Algorithm::Rsa2048, "r1")]
        .map(|(algorithm, selector)| {
            let key = SigningKey::generate(algorithm).unwrap();
            Arc::new(DomainSigner::new(key, "example.com", selector).unwrap())
        })
        .into()
}

fn fixture(signers: &[Arc<DomainSigner>]) -> Fixture {
    let record = |signer: &Arc<DomainSigner>| {
        let name = format!("{}._domainkey.{}.", signer.selector(), signer.domain());
        let text = format!("v=DKIM1; k={}; p={}", signer.kind().record_tag(), signer.key().public_record_value());
        (name.into(), Txt::DomainKey(Arc::new(DomainKey::parse(text.as_bytes()).unwrap())))
    };
    Fixture(signers.iter().map(record).collect())
}

async fn verdicts(message: &[u8], fixture: &Fixture) -> Vec<bool> {
    let authenticator = MessageAuthenticator::new_system_conf().unwrap();
    let message = AuthenticatedMessage::parse(message).unwrap();
    let verified = authenticator.verify_dkim(Parameters::new(&message).with_txt_cache(fixture)).await;
    verified.iter().map(|output| output.result() == &DkimResult::Pass).collect()
}

const HEADER: &str = "From: A  <a@example.com>\r\nSUBJECT: folded\r\n  twice\r\n\t over\r\nTo: b@example.net\r\n\
                      Received: from x\r\nDate: Mon, 23 Nov 2026 14:05:09 +0000\r\n\r\n";

#[tokio::test]
async fn mail_auth_verifies_both_signatures_over_every_kind_of_body() {
    let signers = signers();
    let fixture = fixture(&signers);
    for body in [
        "",
        "\r\n",
        "\r\n\r\n",
        "hello\r\n",
        "hello  \t\r\n\r\n\r\n",
        "  indented\t\ttabs \r\n\r\nagain\r\n",
        " \t\r\n",
        "hello\r\n \r\n\t\r\n\r\n",
        "no end",
    ] {
        let message = format!("{HEADER}{body}");
        let signatures = sign_all(&signers, message.as_bytes(), 1_795_442_709).unwrap();
        let mut sealed: String = signatures.iter().map(|signature| signature.field.as_str()).collect();
        assert!(sealed.lines().all(|line| line.len() <= 78), "{sealed}");
        sealed.push_str(&message);
        assert_eq!(verdicts(sealed.as_bytes(), &fixture).await, [true, true], "{body:?}");
        // Over-signing: one more of a signed field, present or not, breaks both.
        for added in ["From: c@example.org\r\n", "Cc: c@example.org\r\n", "Content-Type: text/html\r\n"] {
            let forged = format!("{added}{sealed}");
            assert_eq!(verdicts(forged.as_bytes(), &fixture).await, [false, false], "{added}");
        }
        let relayed = format!("Received: from y\r\nX-Other: z\r\n{sealed}");
        assert_eq!(verdicts(relayed.as_bytes(), &fixture).await, [true, true]);
    }
}

#[test]
fn the_names_are_folded_at_colons_only() {
    let signatures = sign_all(&signers(), format!("{HEADER}x\r\n").as_bytes(), 7).unwrap();
    for signature in signatures {
        let names = signature.field.split("h=").nth(1).unwrap().split(';').next().unwrap();
        assert!(names.matches("\r\n\t").count() >= 2);
        assert_eq!(names.matches(":\r\n\t").count(), names.matches("\r\n").count(), "{names}");
        let names: Vec<_> = names.split(':').map(str::trim).collect();
        for (name, count) in [("From", 2), ("Subject", 2), ("Cc", 1), ("List-Unsubscribe-Post", 1), ("Sender", 0)] {
            assert_eq!(names.iter().filter(|listed| **listed == name).count(), count, "{name}");
        }
        assert!(!signature.field.contains("l="), "{}", signature.field);
    }
}

#[test]
fn a_message_without_from_is_not_signed() {
    assert_eq!(sign_all(&signers(), b"To: a@b.example\r\n\r\nx\r\n", 7), Err(crate::KeyError::NoFrom));
}

#[test]
fn names_that_would_break_the_field_are_refused() {
    for bad in ["", "a b", "a;b", "a\r\nb", "a..b", "ä.example"] {
        let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
        assert!(DomainSigner::new(key, bad, "s").is_err(), "{bad:?}");
    }
}

#[test]
fn the_vectors_of_rfc_6376_section_3_4_5() {
    let mut out = Vec::new();
    super::canonical::relax_field(&mut out, b"A", b" X\r\n");
    super::canonical::relax_field(&mut out, b"B", b" Y\t\r\n\tZ  \r\n");
    assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
    let body = b" C \r\nD \t E\r\n\r\n\r\n";
    let sha256 = |text: &[u8]| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text).as_ref().to_vec();
    assert_eq!(body_hash(body, BodyForm::Relaxed).as_ref(), sha256(b" C\r\nD E\r\n"));
    assert_eq!(body_hash(body, BodyForm::Simple).as_ref(), sha256(b" C \r\nD \t E\r\n"));
    assert_eq!(body_hash(b"", BodyForm::Relaxed).as_ref(), sha256(b""));
    assert_eq!(body_hash(b"", BodyForm::Simple).as_ref(), sha256(b"\r\n"));
}

fn hash_of_mail_auth(body: &[u8], form: Canonicalization) -> Vec<u8> {
    let mut hasher = BodyHasher::new(Sha256::hasher(), form, 0);
    hasher.write(body);
    hasher.finish().0.complete().as_ref().to_vec()
}

/// When this fails, mail-auth is mended: bodies with a blank tail may be signed `relaxed/relaxed` again as soon
/// as the verifiers out there have caught up.
#[test]
fn mail_auth_still_canonicalizes_a_blank_tail_wrongly() {
    let body = b"hello\r\n \r\n";
    assert!(has_blank_tail(body));
    assert_ne!(hash_of_mail_auth(body, Canonicalization::Relaxed), body_hash(body, BodyForm::Relaxed).as_ref());
}

#[test]
fn a_blank_tail_is_a_last_line_of_white_space() {
    for (body, expected) in [
        ("", false),
        ("\r\n", false),
        ("a", false),
        ("a \r\n", false),
        (" ", true),
        (" \r\n\r\n", true),
        ("a\r\n\t\r\n", true),
        ("a\r\n \r\nb\r\n", false),
        ("a\n \r\n", false),
    ] {
        assert_eq!(has_blank_tail(body.as_bytes()), expected, "{body:?}");
    }
}

proptest! {
    #[test]
    fn bodies_hash_as_mail_auth_hashes_them(body in "([a-c]|[ \t]{1,3}|\r\n|[a-z ]{1,90}|\u{e9}|=){0,40}") {
        let body = format!("{body}\r\n");
        let body = body.as_bytes();
        let ours = |form| body_hash(body, form).as_ref().to_vec();
        prop_assert_eq!(hash_of_mail_auth(body, Canonicalization::Simple), ours(BodyForm::Simple));
        if !has_blank_tail(body) {
            prop_assert_eq!(hash_of_mail_auth(body, Canonicalization::Relaxed), ours(BodyForm::Relaxed));
        }
    }

    #[test]
    fn splitting_loses_nothing_but_lines_that_are_no_fields(message in "([A-c]{1,4}: [a-z ]{0,9}(\r\n [a-z]{0,5})?\r\n){0,5}\r\n[a-z\r\n]{0,20}") {
        let (fields, body) = split(message.as_bytes());
        let mut joined = Vec::new();
        for field in &fields {
            joined.extend_from_slice(field.name);
            joined.push(b':');
            joined.extend_from_slice(field.value);
        }
        joined.extend_from_slice(b"\r\n");
        joined.extend_from_slice(body);
        prop_assert_eq!(joined, message.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let (fields, _) = split(&message);
        for field in fields {
            relax_value(&mut Vec::new(), field.value);
        }
        has_blank_tail(&message);
        body_hash(&message, BodyForm::Relaxed);
    }
}
