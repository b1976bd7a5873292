use std::process::{Command, Stdio};

use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::deliver::outcome::{DialogueStage, NO_DSN_BEYOND, RemoteReply};
use crate::ids::TenantId;
use crate::message::Notify;
use crate::sign::SendOptions;

const ORIGINAL: &[u8] = b"From: Shop <shop@acme.example>\r\nTo: ann@there.example\r\nMessage-ID: <m1@acme.example>\r\n\
    Subject: Your receipt\r\n\r\nsecret body line\r\n";

fn record(envelope: Envelope) -> LetterRecord {
    let accepted = Timestamp::from_millis(1_795_442_709_000);
    LetterRecord {
        id: LetterId::new(accepted),
        tenant: TenantId(1),
        accepted,
        expires: accepted + std::time::Duration::from_hours(120),
        states: Vec::new(),
        envelope,
        options: SendOptions::default(),
        return_path: None,
        subject: "Your receipt".into(),
        from_domain: "acme.example".into(),
        size: 100,
        eight_bit: false,
        delay_notified: false,
        notice: false,
    }
}

fn envelope(to: &[&str]) -> Envelope {
    let recipients = to.iter().map(|address| Recipient::new(address.parse().unwrap())).collect();
    Envelope::new(ReversePath::Mailbox("shop@acme.example".parse().unwrap()), recipients)
}

fn evidence(code: u16, text: &str) -> Evidence {
    Evidence {
        at: Timestamp::from_millis(1_795_442_710_000),
        stage: DialogueStage::Rcpt,
        host: Some("mx1.there.example".into()),
        address: Some("192.0.2.7".parse().unwrap()),
        reply: Some(RemoteReply { code, status: Some((5, 1, 1)), text: text.into() }),
        tls: None,
        note: String::new(),
        status: (5, 1, 1),
    }
}

fn notice(kind: NoticeKind, record: &LetterRecord, facts: &[(usize, Evidence)], original: &[u8]) -> Composed {
    compose(&Request {
        kind,
        id: LetterId::new(Timestamp::from_millis(1_795_442_711_000)),
        record,
        recipients: facts,
        original: &Bytes::copy_from_slice(original),
        hostname: &"mx1.relay.example".parse().unwrap(),
        now: Timestamp::from_millis(1_795_442_711_000),
        from_domain: &"acme.example".parse().unwrap(),
    })
    .expect("there is a reverse-path")
}

/// The types of the parts as Python's email package sees them, and every field of the status groups.
fn read_by_python(message: &[u8]) -> serde_json::Value {
    use std::io::Write;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/deliver/tests/read_notice.py");
    let mut child = Command::new("python3")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is part of the development environment");
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_failure_notice_reads_the_same_in_two_parsers() {
    let mut envelope = envelope(&["ann@there.example", "bob@there.example"]);
    envelope.envelope_id = Some("order+2B17".into());
    envelope.recipients[0].original = Some("rfc822;ann+2Bx@there.example".into());
    let record = record(envelope);
    let facts = [(0, evidence(550, "5.1.1 no such user\nask elsewhere")), (1, evidence(550, &"long ".repeat(190)))];
    let composed = notice(NoticeKind::Failure, &record, &facts, ORIGINAL);

    assert_eq!(composed.envelope.reverse_path, ReversePath::Null);
    assert_eq!(composed.envelope.recipients[0].address.to_string(), "shop@acme.example");
    assert!(composed.message.is_ascii());
    let text = String::from_utf8(composed.message.clone()).unwrap();
    assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    assert!(!text.contains("message/delivery-status; charset"));

    let parsed = MessageParser::new().parse(&composed.message).unwrap();
    let root = parsed.root_part().content_type().unwrap();
    assert_eq!((root.ctype(), root.subtype()), ("multipart", Some("report")));
    assert_eq!(root.attribute("report-type"), Some("delivery-status"));
    assert_eq!(parsed.parts.len(), 4);
    assert!(matches!(parsed.parts[3].body, PartType::Message(_)));

    let seen = read_by_python(&composed.message);
    assert_eq!(seen["defects"], serde_json::json!([]));
    assert_eq!(seen["types"], serde_json::json!(["text/plain", "message/delivery-status", "message/rfc822"]));
    assert_eq!(seen["auto_submitted"], "auto-replied");
    let groups = seen["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0]["Reporting-MTA"], "dns; mx1.relay.example");
    assert_eq!(groups[0]["Original-Envelope-Id"], "order+17");
    assert_eq!(groups[0]["Arrival-Date"], "Mon, 23 Nov 2026 14:05:09 +0000");
    assert_eq!(groups[1]["Original-Recipient"], "rfc822;ann+x@there.example");
    assert_eq!(groups[1]["Final-Recipient"], "rfc822; ann@there.example");
    assert_eq!(groups[1]["Action"], "failed");
    assert_eq!(groups[1]["Status"], "5.1.1");
    assert_eq!(groups[1]["Remote-MTA"], "dns; mx1.there.example");
    assert_eq!(groups[1]["Diagnostic-Code"], "smtp; 550 5.1.1 no such user ask elsewhere");
    assert_eq!(groups[2]["Final-Recipient"], "rfc822; bob@there.example");
    let body = seen["text"].as_str().unwrap();
    assert!(body.contains("550 5.1.1 no such user") && body.contains("What to do: check the address"), "{body}");
    assert!(seen["returned"].as_str().unwrap().contains("secret body line"));
}

#[test]
fn the_body_is_returned_only_where_it_may_be() {
    let facts = [(0, evidence(550, "no"))];
    let plain = envelope(&["ann@there.example"]);
    let secret = b"secret body line";
    let holds = |composed: &Composed| memchr::memmem::find(&composed.message, secret).is_some();
    let with = |change: fn(&mut Envelope), kind| {
        let mut envelope = plain.clone();
        change(&mut envelope);
        notice(kind, &record(envelope), &facts, ORIGINAL)
    };
    assert!(holds(&with(|_| {}, NoticeKind::Failure)));
    assert!(holds(&with(|e| e.return_content = Some(ReturnContent::Full), NoticeKind::Expired)));
    assert!(!holds(&with(|e| e.return_content = Some(ReturnContent::Headers), NoticeKind::Failure)));
    assert!(!holds(&with(|_| {}, NoticeKind::Delay)));
    assert!(!holds(&with(|_| {}, NoticeKind::Relayed)));
    let hidden = with(
        |e| {
            e.require_tls = true;
            e.return_content = Some(ReturnContent::Full);
        },
        NoticeKind::Failure,
    );
    assert!(!holds(&hidden) && hidden.envelope.require_tls);
    let big = [ORIGINAL, &b"x".repeat(WHOLE_LIMIT)].concat();
    assert!(!holds(&notice(NoticeKind::Failure, &record(plain.clone()), &facts, &big)));
    let seen = read_by_python(&with(|_| {}, NoticeKind::Delay).message);
    assert_eq!(seen["types"][2], "text/rfc822-headers");
    assert_eq!(seen["groups"][1]["Action"], "delayed");
    assert_eq!(seen["groups"][1]["Will-Retry-Until"], "Sat, 28 Nov 2026 14:05:09 +0000");
}

#[test]
fn utf8_rides_in_message_global_and_the_rest_stays_seven_bit() {
    let record = record(envelope(&["用户@there.example"]));
    let original = "From: s@acme.example\r\nSubject: 領収書\r\n\r\nbody\r\n".as_bytes();
    let composed = notice(NoticeKind::Failure, &record, &[(0, evidence(550, "нет"))], original);
    assert!(composed.message.is_ascii());
    let seen = read_by_python(&composed.message);
    assert_eq!(seen["types"][2], "message/global");
    assert_eq!(seen["groups"][1]["Final-Recipient"], "utf-8; \\x{7528}\\x{6237}@there.example");
    assert_eq!(seen["groups"][1]["Diagnostic-Code"], "smtp; 550 ???");
    let headers = notice(NoticeKind::Delay, &record, &[(0, evidence(450, "later"))], original);
    assert_eq!(read_by_python(&headers.message)["types"][2], "message/global-headers");
}

#[test]
fn without_the_original_the_notice_has_two_parts() {
    let record = record(envelope(&["ann@there.example"]));
    let composed = notice(NoticeKind::Expired, &record, &[(0, evidence(451, "4.7.1 later"))], b"");
    let seen = read_by_python(&composed.message);
    assert_eq!(seen["types"], serde_json::json!(["text/plain", "message/delivery-status"]));
    assert_eq!(
        (seen["groups"][1]["Action"].as_str(), seen["groups"][1]["Status"].as_str()),
        (Some("failed"), Some("4.4.7"))
    );
    assert!(seen["text"].as_str().unwrap().contains("in the time allowed"));
    assert_eq!(seen["defects"], serde_json::json!([]));
}

#[test]
fn notices_are_wanted_by_the_rules() {
    use NoticeKind::{Delay, Expired, Failure, Relayed};
    let facts = evidence(550, "no");
    let no_dsn = Evidence { note: NO_DSN_BEYOND.into(), ..facts.clone() };
    let plain = record(envelope(&["a@b.example"]));
    let asks = |kind, record: &LetterRecord| wanted(kind, record, 0, &no_dsn);
    assert!(asks(Failure, &plain) && asks(Expired, &plain) && asks(Delay, &plain) && !asks(Relayed, &plain));
    assert!(!wanted(Failure, &plain, 9, &facts), "nobody is there");
    let mut changed = plain.clone();
    changed.notice = true;
    assert!(!asks(Failure, &changed));
    changed = plain.clone();
    changed.envelope.reverse_path = ReversePath::Null;
    assert!(!asks(Failure, &changed) && !asks(Delay, &changed));
    changed = plain.clone();
    changed.delay_notified = true;
    assert!(!asks(Delay, &changed) && asks(Failure, &changed));
    changed = plain.clone();
    changed.envelope.recipients[0].notify = Notify::Never;
    assert!([Failure, Expired, Delay, Relayed].iter().all(|kind| !asks(*kind, &changed)));
    changed.envelope.recipients[0].notify = Notify::On { success: true, failure: false, delay: false };
    assert!(asks(Relayed, &changed) && !asks(Failure, &changed));
    assert!(!wanted(Relayed, &changed, 0, &facts), "the next server reports success itself");
}

proptest! {
    #[test]
    fn no_reply_breaks_the_structure(text in "\\PC{0,1200}|[\\x00-\\x7f]{0,300}", note: String) {
        let record = record(envelope(&["a@there.example"]));
        let facts = Evidence { note, ..evidence(550, &text) };
        let composed = notice(NoticeKind::Failure, &record, &[(0, facts)], ORIGINAL);
        prop_assert!(composed.message.is_ascii());
        let parsed = MessageParser::new().parse(&composed.message).unwrap();
        prop_assert_eq!(parsed.parts.len(), 4);
        let status = String::from_utf8_lossy(parsed.parts[2].contents()).into_owned();
        prop_assert_eq!(status.matches("\r\nAction: failed\r\n").count(), 1);
        prop_assert_eq!(status.matches("\r\n\r\n").count(), 1, "one empty line: two groups");
        let text = String::from_utf8(composed.message).unwrap();
        prop_assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
    }

    #[test]
    fn xtext_decodes_without_panic(text: String) {
        let _ = decode_xtext(&text);
        prop_assert!(unitext(&text).is_ascii());
    }
}
