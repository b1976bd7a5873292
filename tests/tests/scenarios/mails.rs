//! The kinds of mail that break relays: each goes through unchanged in meaning and signed.

/// Name and content; the sender is `sender@example.com`, the recipient `someone@rcpt.test`.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let long_line = format!("{}\r\n", "0123456789 ".repeat(200));
    vec![
        ("plain", with("", "Hello.\r\n.leading dot\r\n..two\r\n")),
        ("empty-body", with("", "")),
        ("no-final-newline", with("", "no line end at the end")),
        ("only-blank-lines", with("", "\r\n\r\n\r\n")),
        ("ends-in-white-space", with("", "text\r\n \t \r\n  \r\n")),
        (
            "eight-bit",
            with(
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
                "Größe, 注文\r\n",
            ),
        ),
        ("utf8-header", with("X-Shop: =?utf-8?B?5rOo5paH?=\r\n", "see the header\r\n")),
        (
            "base64",
            with(
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n",
                "R3LDvMOfZSBhdXMgZGVtIExhZGVuLg0K\r\n",
            ),
        ),
        ("long-line", with("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n", &long_line)),
        (
            "folded",
            with(
                "References: <one@example.com>\r\n <two@example.com>\r\n\t<three@example.com>\r\nX-Folded:\r\n value\r\n",
                "folded fields\r\n",
            ),
        ),
        (
            "multipart",
            with(
                "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=\"=_b\"\r\n",
                "preamble\r\n--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\
                 \r\nGr=C3=B6=C3=9Fe\r\n--=_b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Size</p>\r\n--=_b--\r\nepilogue\r\n",
            ),
        ),
    ]
}

fn with(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "From: Acme <sender@example.com>\r\nTo: <someone@rcpt.test>\r\nSubject: One of many kinds\r\n\
         Date: Mon, 23 Nov 2026 14:05:09 +0000\r\nMessage-ID: <kind@example.com>\r\n{fields}\r\n{body}"
    )
    .into_bytes()
}
