//! Whole messages through the stage.

use super::*;

const PAN: &str = "4111111111111111";

fn run(message: &str) -> (String, Report) {
    let (out, report) = redact_bytes(message.as_bytes(), &Policy::default()).unwrap();
    let once = out.into_owned();
    let (twice, again) = redact_bytes(&once, &Policy::default()).unwrap();
    assert!(matches!(twice, Cow::Borrowed(_)) && again.hits.is_empty(), "a second run found more: {:?}", again.hits);
    (String::from_utf8(once).unwrap(), report)
}

fn body(text: &str) -> String {
    let message = format!("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n");
    let (out, _) = run(&message);
    assert_eq!(out.len(), message.len(), "{text}");
    out.split_once("\r\n\r\n").unwrap().1.trim_end_matches("\r\n").to_owned()
}

#[test]
fn numbers_in_plain_text() {
    for (text, expected) in [
        ("4111111111111111", "************1111"),
        ("4111 1111 1111 1111", "**** **** **** 1111"),
        ("4111-1111-1111-1111.", "****-****-****-1111."),
        ("pay 12 4111 1111 1111 1111 ok", "pay 12 **** **** **** 1111 ok"),
        ("2026 4111 1111 1111 1111 12/27", "2026 **** **** **** 1111 12/27"),
        ("3782 822463 10005", "**** ****** *0005"),
        ("4111 1111 1111 1111 5555 5555 5555 4444", "**** **** **** 1111 **** **** **** 4444"),
        ("4111 1111\r\n1111 1111", "**** ****\r\n**** 1111"),
        ("> 4111 1111\r\n> 1111 1111", "> **** ****\r\n> **** 1111"),
        ("4111.1111.1111.1111", "****.****.****.1111"),
        ("4111 - 1111 - 1111 - 1111", "**** - **** - **** - 1111"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "* * * * * * * * * * * * 1 1 1 1"),
        ("41 11 11 11 11 11 11 11", "** ** ** ** ** ** 11 11"),
        ("xx4111111111111111yy", "xx************1111yy"),
        ("４１１１　１１１１　１１１１　１１１１", "＊＊＊＊　＊＊＊＊　＊＊＊＊　１１１１"),
        ("٤١١١١١١١١١١١١١١١", "٭٭٭٭٭٭٭٭٭٭٭٭١١١١"),
        ("4111\u{ad}1111\u{200b}1111\u{2060}1111", "****\u{ad}****\u{200b}****\u{2060}1111"),
        ("4111\u{2013}1111\u{2013}1111\u{2013}1111", "****\u{2013}****\u{2013}****\u{2013}1111"),
        ("card 4222222222222", "card *********2222"),
        ("CVV: 123 of 4111111111111111", "CVV: *** of ************1111"),
        (";4111111111111111=25121010000012345678?", ";************1111=********************?"),
        ("%B4111111111111111^DOE/JOHN^2512101?", "%B************1111^***/****^*******?"),
        ("41111111111111115555555555554444", "************1111************4444"),
        ("call https://x.example/?cardnumber=4111111111111111", "call https://x.example/?cardnumber=************1111"),
        ("%34%31%31%31111111111111", "%2a%2a%2a%2a********1111"),
        ("4111111111111111 4111111111111111", "************1111 ************1111"),
        ("**4111 1111 1111 1111**", "****** **** **** 1111**"),
        ("a,4111111111111111,12/27", "a,************1111,12/27"),
    ] {
        assert_eq!(body(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_card_number_stays() {
    for text in [
        "4111111111111112",
        "4222222222222",
        "+49 4111 1111 1111 1",
        "12345678-1234-4111-1111-111111111111",
        "https://shop.example/o/4111111111111111",
        "4111111111111111@mail.example",
        "DE89 3704 0044 0532 0130 00",
        "0.4111111111111111",
        "411111111111111111111111",
        "IMEI: 4111111111111111",
        "1,234,567,890,123,456",
        "9400 1111 1111 1111 1111 11",
        "deadbeef4111111111111111deadbeef01",
        "2024-11-23 10:15:30.123456",
        "1234 4111 1111 1111 1111 1111 1111",
        "<cid:4111111111111111@x>",
    ] {
        assert_eq!(body(text), text);
    }
}

#[test]
fn every_transfer_encoding_keeps_its_lines() {
    let quoted = "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncard =34111 11=\r\n11=20=31111 1111 ok=3D\r\n";
    let (out, report) = run(quoted);
    assert_eq!(out, quoted.replace("=34111 11=\r\n11=20=31111 1111", "=2A*** **=\r\n**=20=2A*** 1111"));
    assert_eq!(
        (report.hits.len(), report.hits[0].part.as_str(), report.hits[0].masked.as_str()),
        (1, "1", "************1111")
    );
    // "card 4111111111111111 ok" with a line end inside the number.
    let (out, _) = run("Content-Transfer-Encoding: base64\r\n\r\nY2FyZCA0MTEx\r\nMTExMTExMTExMTExIG9r\r\n");
    assert_eq!(out, "Content-Transfer-Encoding: base64\r\n\r\nY2FyZCAqKioq\r\nKioqKioqKioxMTExIG9r\r\n");
}

#[test]
fn header_fields() {
    for (field, expected) in [
        ("Subject: card 4111 1111\r\n 1111 1111", "Subject: card **** ****\r\n **** 1111"),
        (
            "Subject: =?utf-8?Q?4111=201111_?=\r\n =?utf-8?Q?11111111?=",
            "Subject: =?utf-8?Q?****=20****_?=\r\n =?utf-8?Q?****1111?=",
        ),
        ("Subject: =?utf-8?B?NDExMTExMTExMTExMTExMQ==?=", "Subject: =?utf-8?B?KioqKioqKioqKioqMTExMQ==?="),
        ("From: \"4111111111111111\" <a@b.example>", "From: \"************1111\" <a@b.example>"),
        ("X-Card: 4222222222222", "X-Card: *********2222"),
        (
            "Content-Disposition: attachment; filename=\"4111111111111111.txt\"",
            "Content-Disposition: attachment; filename=\"xxxxxxxxxxxx1111.txt\"",
        ),
        (
            "Content-Disposition: attachment;\r\n filename*0*=utf-8''4111%31111;\r\n filename*1=11111111",
            "Content-Disposition: attachment;\r\n filename*0*=utf-8''xxxx%78xxx;\r\n filename*1=xxxx1111",
        ),
        ("Message-ID: <4111111111111111@b.example>", "Message-ID: <4111111111111111@b.example>"),
        ("Content-Type: text/plain; x=\"4111111111111111\"", "Content-Type: text/plain; x=\"xxxxxxxxxxxx1111\""),
    ] {
        assert_eq!(run(&format!("{field}\r\n\r\nbody\r\n")).0, format!("{expected}\r\n\r\nbody\r\n"));
    }
}

#[test]
fn html_as_a_person_and_as_a_program_sees_it() {
    for (html, expected) in [
        ("<p>4111<b>1111</b> 1111&nbsp;1111</p>", None),
        ("<p>4111&#49;11111111111</p>", Some("<p>****&#88;*******1111</p>")),
        ("<img alt=\"4111111111111111\">", Some("<img alt=\"************1111\">")),
        ("<a href=\"/o/4111111111111111\">x</a>", Some("<a href=\"/o/4111111111111111\">x</a>")),
        ("<p class=\"c4111111111111111\">x</p>", Some("<p class=\"c4111111111111111\">x</p>")),
        ("<!-- 4111111111111111 -->", Some("<!-- ************1111 -->")),
        (
            "<td>4111</td><td>1111</td><td>1111</td><td>1111</td>",
            Some("<td>4111</td><td>1111</td><td>1111</td><td>1111</td>"),
        ),
        (
            "<script>{\"n\":\"\\u0034111111111111111\"}</script>",
            Some("<script>{\"n\":\"\\u002a***********1111\"}</script>"),
        ),
    ] {
        let message = format!("Content-Type: text/html\r\n\r\n{html}\r\n");
        let (out, _) = run(&message);
        if let Some(expected) = expected {
            assert_eq!(out, format!("Content-Type: text/html\r\n\r\n{expected}\r\n"));
        } else {
            assert_ne!(out, message);
        }
    }
}

#[test]
fn parts_within_parts() {
    let message = format!(
        "Content-Type: multipart/mixed; boundary=\"4111111111111111\"\r\n\r\n--4111111111111111\r\nContent-Type: text/plain\r\n\r\na {PAN}\r\n\
         --4111111111111111\r\nContent-Type: message/rfc822\r\n\r\nSubject: {PAN}\r\n\r\nb {PAN}\r\n--4111111111111111--\r\nend {PAN}\r\n"
    );
    let (out, report) = run(&message);
    assert!(out.starts_with(&message[..80]));
    let places: Vec<_> = report.hits.iter().map(|hit| (hit.part.as_str(), hit.place.as_str())).collect();
    assert_eq!(places, [("1", "body"), ("1", "body"), ("2", "Subject"), ("2.1", "body")]);
    assert_eq!(out.matches("************1111").count(), 4);
}

#[test]
fn json_stays_json() {
    let (out, _) =
        run("Content-Type: application/json\r\n\r\n{\"a\": 4111111111111111, \"b\": \"4111111111111111\"}\r\n");
    assert!(out.ends_with("{\"a\": \"**********1111\", \"b\": \"************1111\"}\r\n"), "{out}");
}

#[test]
fn policies() {
    let message = format!("Subject: x\r\n\r\none\r\n{PAN}\r\n");
    let with =
        |policy: Policy| redact_bytes(message.as_bytes(), &policy).map(|(out, report)| (out.into_owned(), report));
    let reject = with(Policy { mode: Mode::Reject, ..Policy::default() }).unwrap_err();
    assert_eq!(reject, Refusal::CardNumber { place: "part 1 (text/plain) line 2".into() });
    let (out, report) = with(Policy { mode: Mode::Report, ..Policy::default() }).unwrap();
    assert_eq!((out, report.hits.len()), (message.clone().into_bytes(), 1));
    assert_eq!(with(Policy { mode: Mode::Off, ..Policy::default() }).unwrap().1, Report::default());
    let keep = Policy { keep: Keep { first: 6, last: 4 }, ..Policy::default() };
    assert!(String::from_utf8(with(keep).unwrap().0).unwrap().contains("411111******1111"));
    let allow = Policy { allow: vec!["4111\\d{12}".into()], ..Policy::default() };
    assert_eq!(with(allow).unwrap().0, message.as_bytes());
}

#[test]
fn a_signed_part_is_refused_or_unwrapped() {
    let message = format!(
        "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; micalg=pgp-sha256; boundary=b\r\n\r\n--b\r\n\r\n{PAN}\r\n--b\r\n\
         Content-Type: application/pgp-signature\r\n\r\nsig\r\n--b--\r\n"
    );
    let refused = redact_bytes(message.as_bytes(), &Policy::default()).unwrap_err();
    assert_eq!(refused, Refusal::SignedPart { part: "1".into() });
    let policy = Policy { signed_parts: SignedParts::Redact, ..Policy::default() };
    let (out, _) = redact_bytes(message.as_bytes(), &policy).unwrap();
    let out = String::from_utf8(out.into_owned()).unwrap();
    assert_eq!(out, "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\r\n************1111\r\n--b--\r\n");
    let clean = message.replace(PAN, "nothing");
    assert!(matches!(redact_bytes(clean.as_bytes(), &Policy::default()).unwrap().0, Cow::Borrowed(_)));
}

#[test]
fn limits_refuse() {
    let mut deep = String::new();
    for i in 0..100 {
        deep.push_str(&format!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"));
    }
    assert!(matches!(redact_bytes(deep.as_bytes(), &Policy::default()), Err(Refusal::Limit(_))));
    let wide = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(2000));
    assert!(matches!(redact_bytes(wide.as_bytes(), &Policy::default()), Err(Refusal::Limit(_))));
}
