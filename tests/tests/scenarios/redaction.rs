//! Card numbers are gone on arrival, and stand nowhere on disk or in a log.

use waxseal_tests::receiver::Act;

use crate::world::{SOON, mail, world, world_with};

/// A number that passes Luhn in an issuer's range, and the ways a mail writes it.
const DIGITS: &str = "4929123412341232";

fn message() -> Vec<u8> {
    let base64 = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(format!("In base64: {DIGITS}\r\n"))
    };
    format!(
        "From: \"Card 4929 1234 1234 1232\" <sender@example.com>\r\nTo: <someone@rcpt.test>\r\n\
         Subject: Paid with 4929-1234-1234-1232\r\nDate: Mon, 23 Nov 2026 14:05:09 +0000\r\n\
         Message-ID: <card@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nplain {DIGITS} and 4929 1234 1234 1232 end\r\n\
         --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         <p>html <b>4929</b>&nbsp;1234 1=\r\n234 1232 end</p>\r\n\
         --b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{base64}\r\n--b--\r\n"
    )
    .into_bytes()
}

/// The text of a MIME part in base64; `None` for any other.
fn from_base64(part: &str) -> Option<String> {
    use base64::Engine;
    let (fields, body) = part.split_once("\r\n\r\n")?;
    let encoded: String = body.split_whitespace().collect();
    let octets = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    fields.to_ascii_lowercase().contains("base64").then(|| String::from_utf8_lossy(&octets).into_owned())
}

#[test]
fn numbers_in_text_html_subject_and_names_are_gone_everywhere() {
    let world = world();
    // Held back once, so that the letter rests on disk while we look.
    world.receiver.script(|step| {
        let first = step.times == 0 && step.stage == waxseal_tests::receiver::Stage::Mail;
        if first { Act::Reply("451 4.3.0 later".into()) } else { Act::GoOn }
    });
    let id = world.submit(&["someone@rcpt.test"], &message());
    world.gateway.wait_for("message.deferred", &id);
    let event = world.gateway.wait_for("message.redacted", &id);
    assert!(event["hits"].as_array().is_some_and(|hits| hits.len() >= 5), "{event}");
    let text = world.arrived(1).remove(0).text();
    // The gateway may encode a part anew; a base64 part is read as its reader would.
    let decoded: String = text.split("--b").filter_map(from_base64).collect();
    assert!(text.contains("In base64: ************1232") || decoded.contains("In base64: ************1232"), "{text}");
    for form in [DIGITS, "4929 1234", "4929-1234", "49291234", "1234 1234"] {
        assert!(!text.contains(form) && !decoded.contains(form), "{form} arrived:\n{text}\n{decoded}");
    }
    for kept in ["plain ", " end", "1232"] {
        assert!(text.contains(kept), "{kept:?} is gone:\n{text}");
    }
    for form in [DIGITS, "4929 1234 1234 1232", "4929-1234-1234-1232"] {
        assert_eq!(world.gateway.places_with(form.as_bytes()), Vec::<String>::new(), "{form} was stored or logged");
    }
}

#[test]
fn a_mail_without_numbers_keeps_its_body_to_the_octet() {
    let world = world();
    let body = "Order 1234567812345671, phone +44 20 7946 0000, total 4,929.12\r\n";
    let message = [mail("no number"), body.as_bytes().to_vec()].concat();
    world.submit(&["someone@rcpt.test"], &message);
    let arrived = world.arrived(1).remove(0).text();
    assert!(arrived.ends_with(&format!("\r\n\r\nHello.\r\n{body}")), "{arrived}");
}

#[test]
fn in_mode_reject_the_sender_is_told_and_nothing_is_kept() {
    let world = world_with(|setup| {
        setup.set("redaction", "mode", "\"reject\"");
    });
    let mut client = world.gateway.client(&world.tenant);
    let reply = client.send("sender@example.com", &["someone@rcpt.test"], &message()).unwrap();
    assert_eq!(reply.code, 554, "{}", reply.text());
    assert!(reply.text().contains("5.7.1") && !reply.text().contains("1234"), "{}", reply.text());
    world
        .gateway
        .wait_event("smtp.reject", SOON, |event| event["reply"].as_str().is_some_and(|text| text.starts_with("554")));
    assert_eq!(world.gateway.places_with(b"4929"), Vec::<String>::new());
    // The session goes on with the next mail.
    assert_eq!(client.send("sender@example.com", &["someone@rcpt.test"], &mail("next")).unwrap().code, 250);
}
