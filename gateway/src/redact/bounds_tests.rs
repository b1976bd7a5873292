//! Bounds of the stage: memory, and time that grows with the message and no faster.
//!
//! The runner gives each test a process of its own, so that the highest memory of the process is the test's.

use super::*;

/// Peak and present memory of this process in bytes; `None` where the system does not say.
fn memory() -> Option<(usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.split_whitespace().next()?.parse::<usize>().ok()? * 1024)
    };
    Some((field("VmHWM:")?, field("VmRSS:")?))
}

/// Bytes that reading this message takes at the most, beside the message.
fn cost(message: &[u8]) -> Option<usize> {
    // Other tests in the same process would count too.
    std::env::var_os("NEXTEST")?;
    let (_, before) = memory()?;
    let (out, _) = redact_bytes(message, &Policy::default()).unwrap();
    assert_eq!(out.len(), message.len());
    Some(memory()?.0.saturating_sub(before))
}

fn message(media: &str, transfer: &str, body: &str) -> Vec<u8> {
    format!("Content-Type: {media}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n{body}").into_bytes()
}

fn bounded(media: &str, piece: &str) {
    const SIZE: usize = 2 << 20;
    let message = message(media, "8bit", &piece.repeat(SIZE / piece.len()));
    if let Some(cost) = cost(&message) {
        assert!(cost <= message.len() * MEMORY_FACTOR, "{cost} bytes for {}", message.len());
    }
}

#[test]
fn a_text_of_numbers_stays_within_the_factor() {
    bounded("text/plain", "card 4111 1111 1111 1111 ok\r\n");
}

#[test]
fn a_page_of_numbers_stays_within_the_factor() {
    bounded("text/html", "<p>4111&nbsp;1111 <b>1111</b>&#49;111</p>\r\n");
}

#[test]
fn numbers_glued_together_stay_within_the_factor() {
    bounded("text/plain", "4111111111111111,");
}

/// No clock is asked: with a square in any of these the test would not end before the runner ends it.
#[test]
fn junk_of_every_kind_is_done() {
    const SIZE: usize = 200_000;
    let noise: Vec<u8> = (0..SIZE as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let digits: Vec<u8> = noise.iter().map(|byte| if byte % 3 == 0 { byte % 10 + b'0' } else { *byte }).collect();
    for charset in
        ["iso-8859-1", "iso-8859-5", "utf-16", "utf-16le", "utf-32", "utf-7", "iso-2022-jp", "gb18030", "x-unknown"]
    {
        for content in [&noise, &digits] {
            let mut message = message(&format!("text/plain; charset={charset}"), "binary", "");
            message.extend_from_slice(content);
            assert!(redact_bytes(&message, &Policy::default()).is_ok());
        }
    }
    for (media, piece) in [
        ("text/plain; charset=utf-7", "+ADQAMQ"),
        ("text/csv", "5105105105105100,"),
        ("text/plain", "4222222222222 "),
        ("text/plain", "42-42-42-42-"),
        ("text/html", "<input value=4111111111111111 "),
        ("text/html", "<td>1</td>"),
        ("application/pdf", "%PDF-1.4 1 0 obj<<>>stream\n"),
        ("application/pdf", "%PDF-1.4 1 0 obj<<"),
        ("application/ms-tnef", "xLZFu\0\0\0"),
        ("application/xml", "<v>411111111111</v>"),
    ] {
        let message = message(media, "8bit", &piece.repeat(SIZE / piece.len()));
        redact_bytes(&message, &Policy::default()).ok();
    }
    let words = format!("Subject: {}\r\n\r\nx\r\n", "=?a?q?x ".repeat(SIZE / 16));
    assert!(redact_bytes(words.as_bytes(), &Policy::default()).is_ok());
}
