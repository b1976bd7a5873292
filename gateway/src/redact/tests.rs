//! Whole messages through the stage.

use super::*;
use crate::message::Transfer;

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
        ("order,card,total\r\n10-2291,4111111111111111,42.00", "order,card,total\r\n10-2291,************1111,42.00"),
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
        std::fmt::Write::write_fmt(
            &mut deep,
            format_args!("Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n"),
        )
        .unwrap();
    }
    assert!(matches!(redact_bytes(deep.as_bytes(), &Policy::default()), Err(Refusal::Limit(_))));
    let wide = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(2000));
    assert!(matches!(redact_bytes(wide.as_bytes(), &Policy::default()), Err(Refusal::Limit(_))));
}

/// A ZIP archive with these members, deflated, with a data descriptor behind every second one.
fn zip_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut central) = (Vec::new(), Vec::new());
    for (i, (name, data)) in members.iter().enumerate() {
        let offset = out.len() as u32;
        let packed = archive::deflate(data, 6);
        let numbers = [
            crc32fast::hash(data).to_le_bytes(),
            (packed.len() as u32).to_le_bytes(),
            (data.len() as u32).to_le_bytes(),
        ]
        .concat();
        let streamed = i % 2 == 1;
        let flags = if streamed { 8u16 } else { 0 };
        let fields = |numbers: &[u8]| {
            [
                &20u16.to_le_bytes()[..],
                &flags.to_le_bytes(),
                &8u16.to_le_bytes(),
                &[0; 4],
                numbers,
                &(name.len() as u16).to_le_bytes(),
                &[0; 2],
            ]
            .concat()
        };
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&fields(if streamed { &[0; 12] } else { &numbers }));
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&packed);
        if streamed {
            out.extend_from_slice(b"PK\x07\x08");
            out.extend_from_slice(&numbers);
        }
        central.extend_from_slice(b"PK\x01\x02\x14\0");
        central.extend_from_slice(&fields(&numbers));
        central.extend_from_slice(&[0; 10]);
        central.extend_from_slice(&offset.to_le_bytes());
        central.extend_from_slice(name.as_bytes());
    }
    let (start, size, count) = (out.len() as u32, central.len() as u32, members.len() as u16);
    out.extend_from_slice(&central);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(
        &[&count.to_le_bytes()[..], &count.to_le_bytes(), &size.to_le_bytes(), &start.to_le_bytes(), &[0; 2]].concat(),
    );
    out
}

fn attach(content: &[u8], media: &str) -> Vec<u8> {
    let mut message = format!("Content-Type: {media}\r\nContent-Transfer-Encoding: base64\r\n\r\n").into_bytes();
    message.extend(Transfer::Base64.encode_like(b"", content));
    message.extend_from_slice(b"\r\n");
    message
}

/// The attachment after a run, and the report.
fn through(content: &[u8], media: &str) -> (Vec<u8>, Report) {
    let message = attach(content, media);
    let (out, report) = redact_bytes(&message, &Policy::default()).unwrap();
    let (again, _) = redact_bytes(&out, &Policy::default()).unwrap();
    assert_eq!(out, again);
    let body = memchr::memmem::find(&out, b"\r\n\r\n").unwrap() + 4;
    (Transfer::Base64.decode(&out[body..]).into_owned(), report)
}

/// The members of an archive, by its central directory.
fn unzip(bytes: &[u8]) -> Vec<(String, String)> {
    let (policy, limits) = (Policy::default(), Limits::default());
    let mut stage = stage::Stage::new(&policy, &limits);
    zip::members(&mut stage, bytes)
        .into_iter()
        .map(|(name, data)| (name, String::from_utf8_lossy(&data).into_owned()))
        .collect()
}

#[test]
fn archives_are_opened_and_only_changed_members_are_packed_again() {
    let inner = zip_of(&[("deep.txt", b"4111 1111 1111 1111")]);
    let outer = zip_of(&[
        ("a.txt", b"nothing"),
        ("4111111111111111.csv", b"n,4111111111111111\r\n"),
        ("b.txt", b"more"),
        ("inner.zip", &inner),
        ("z.txt", b"end"),
    ]);
    let (out, report) = through(&outer, "application/zip");
    let members = unzip(&out);
    assert_eq!(members[0], ("a.txt".into(), "nothing".into()));
    assert_eq!(members[1], ("xxxxxxxxxxxx1111.csv".into(), "n,************1111\r\n".into()));
    assert_eq!((members[2].1.as_str(), members[4].1.as_str()), ("more", "end"));
    assert_eq!(
        report.hits.iter().map(|hit| hit.place.as_str()).collect::<Vec<_>>(),
        ["file name", "file xxxxxxxxxxxxxxxx.csv", "file inner.zip/deep.txt"]
    );
    assert!(through(&zip_of(&[("a.txt", b"nothing")]), "application/zip").1.hits.is_empty());
}

#[test]
fn gzip_and_tar() {
    let mut tar = vec![0u8; 512];
    tar[..5].copy_from_slice(b"a.txt");
    tar[124..136].copy_from_slice(b"00000000023\0");
    tar[257..262].copy_from_slice(b"ustar");
    let mut content = b"4111 1111 1111 1111".to_vec();
    content.resize(512, 0);
    tar.extend(content);
    tar.extend([0; 1024]);
    let (out, report) = through(&tar, "application/x-tar");
    assert_eq!((&out[512..531], report.hits.len()), (&b"**** **** **** 1111"[..], 1));
    let mut gzip = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3];
    gzip.extend_from_slice(b"a.tar\0");
    gzip.extend(archive::deflate(&tar, 9));
    gzip.extend_from_slice(&crc32fast::hash(&tar).to_le_bytes());
    gzip.extend_from_slice(&(tar.len() as u32).to_le_bytes());
    let (out, _) = through(&gzip, "application/gzip");
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&out[..]), &mut unpacked).unwrap();
    assert_eq!(&unpacked[512..531], b"**** **** **** 1111");
}

#[test]
fn office_files_stay_what_they_are() {
    let document = "<w:document><w:body><w:p><w:r><w:t>4111 11</w:t></w:r><w:r><w:t>11 1111 1111</w:t></w:r></w:p></w:body></w:document>";
    let sheet = "<sheetData><row r=\"1\"><c r=\"A1\" s=\"1\"><v>4111111111111111</v></c><c r=\"B1\" t=\"n\"><v>3.78282246310005E14</v></c><c r=\"C1\"><v>4111</v></c><c r=\"D1\"><v>1111</v></c></row></sheetData>";
    let file = zip_of(&[
        ("[Content_Types].xml", b"<Types/>"),
        ("word/document.xml", document.as_bytes()),
        ("xl/worksheets/sheet1.xml", sheet.as_bytes()),
        ("xl/sharedStrings.xml", b"<sst><si><t>4111111111111111</t></si></sst>"),
    ]);
    let (out, report) = through(&file, "application/vnd.openxmlformats-officedocument.wordprocessingml.document");
    let members = unzip(&out);
    assert_eq!(
        members[1].1,
        document.replace("4111 11</w:t>", "**** **</w:t>").replace("11 1111 1111", "** **** 1111")
    );
    assert!(
        members[2].1.contains(
            "<c t=\"str\" r=\"A1\" s=\"1\"><v>************1111</v></c><c r=\"B1\" t=\"str\"><v>***********0005</v>"
        ),
        "{}",
        members[2].1
    );
    assert!(members[3].1.contains("************1111"));
    assert_eq!(report.hits.len(), 4);
    let content = "<table:table-cell office:value-type=\"float\" office:value=\"4111111111111111\" calcext:value-type=\"float\"><text:p>4111111111111111</text:p></table:table-cell>";
    let (out, _) =
        through(&zip_of(&[("META-INF/manifest.xml", b"<m/>"), ("content.xml", content.as_bytes())]), "application/zip");
    assert_eq!(
        unzip(&out)[1].1,
        "<table:table-cell office:value-type=\"string\" office:string-value=\"************1111\" calcext:value-type=\"string\"><text:p>************1111</text:p></table:table-cell>"
    );
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![b'0'; 70 << 20];
    let bomb = zip_of(&[("a.txt", &zeros)]);
    assert!(matches!(redact_bytes(&attach(&bomb, "application/zip"), &Policy::default()), Err(Refusal::Limit(_))));
    let mut nested = zip_of(&[("a.txt", b"x")]);
    for _ in 0..5 {
        nested = zip_of(&[("a.zip", &nested)]);
    }
    assert!(matches!(redact_bytes(&attach(&nested, "application/zip"), &Policy::default()), Err(Refusal::Limit(_))));
}
