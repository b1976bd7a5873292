//! Quoted-printable and base64 (RFC 2045 §6.7, §6.8): strict in what is written, tolerant in what is read.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};

const LINE: usize = 76;

/// Is it text with CRLF line ends of which few octets need an escape?
pub(super) fn reads_better_as_quoted_printable(content: &[u8]) -> bool {
    let flaws = super::transfer::Flaws::of(content);
    let escaped = content.iter().filter(|&&octet| !octet.is_ascii() || octet == b'=').count();
    !flaws.nul && !flaws.bare && escaped * 6 <= content.len()
}

/// Writes text whose lines end in CRLF; line ends stay, everything else is folded by soft breaks.
pub(super) fn quoted_printable(content: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = Vec::with_capacity(content.len() + content.len() / 8);
    let mut column = 0;
    for (at, &octet) in content.iter().enumerate() {
        let rest = &content[at..];
        if rest.starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            column = 0;
            continue;
        }
        if octet == b'\n' && at > 0 && content[at - 1] == b'\r' {
            continue;
        }
        let at_line_end = rest.len() == 1 || rest[1..].starts_with(b"\r\n");
        let plain = match octet {
            b' ' | b'\t' => !at_line_end,
            b'=' => false,
            33..=126 => true,
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        // The last character of a line needs no room for the "=" of a soft break.
        if column + width > if at_line_end { LINE } else { LINE - 1 } {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        // A line "From …" is changed by mailbox formats, and a lone "." by careless clients.
        let risky = column == 0 && (rest.starts_with(b"From ") || (octet == b'.' && at_line_end));
        if plain && !risky {
            out.push(octet);
            column += 1;
        } else {
            out.extend_from_slice(&[b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]);
            column += 3;
        }
    }
    out
}

/// Reads quoted-printable as readers do: an `=` that starts no escape stands for itself.
pub(super) fn decode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&octet| octet == b'\n') {
        let content = without_end(line);
        let mut at = 0;
        let mut soft = false;
        while at < content.len() {
            let hex = |octet: Option<&u8>| octet.and_then(|&o| (o as char).to_digit(16)).map(|digit| digit as u8);
            match (content[at], hex(content.get(at + 1)), hex(content.get(at + 2))) {
                (b'=', Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    at += 3;
                }
                (b'=', ..) if at + 1 == content.len() => {
                    soft = true;
                    at += 1;
                }
                (octet, ..) => {
                    out.push(octet);
                    at += 1;
                }
            }
        }
        if line.ends_with(b"\n") && !soft {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// A line without its end and the white space before it, which RFC 2045 §6.7 rule 3 calls padding of transport.
fn without_end(line: &[u8]) -> &[u8] {
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    &line[..line.len() - line.iter().rev().take_while(|octet| blank(octet)).count()]
}

/// Lines of 76 characters with CRLF between them and after the last.
pub(super) fn base64(content: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(content);
    let mut out = Vec::with_capacity(text.len() + text.len() / LINE * 2 + 2);
    for line in text.as_bytes().chunks(LINE) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Reads base64 as readers do: what is not of the alphabet is passed over, and the text ends at its padding.
pub(super) fn decode_base64(text: &[u8]) -> Vec<u8> {
    let lenient = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let alphabet = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/');
    let mut digits: Vec<u8> =
        text.iter().copied().take_while(|&octet| octet != b'=').filter(|octet| alphabet(octet)).collect();
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    // Only letters of the alphabet are left, in a number that decodes.
    lenient.decode(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_readers_forgive_is_forgiven() {
        assert_eq!(decode_quoted_printable(b"a=zz=3D=\r\nb  \r\nc="), b"a=zz=b\r\nc");
        assert_eq!(decode_base64(b"aGVs\r\n bG8!=\r\nrest"), b"hello");
        assert_eq!(quoted_printable("From é\r\n.\r\nx \r\n".as_bytes()), b"=46rom =C3=A9\r\n=2E\r\nx=20\r\n");
    }

    proptest! {
        #[test]
        fn quoted_printable_reads_back(content in "([a-zé=. \t]|From |[!-~]{60,90}|\r\n){0,40}") {
            let written = quoted_printable(content.as_bytes());
            prop_assert!(written.is_ascii());
            prop_assert!(written.split(|&b| b == b'\n').all(|line| line.len() <= 77));
            prop_assert!(written.split(|&b| b == b'\n').all(|line| !line.ends_with(b" \r") && !line.starts_with(b"From ")));
            prop_assert_eq!(decode_quoted_printable(&written), content.as_bytes());
        }

        #[test]
        fn base64_reads_back(content in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert_eq!(decode_base64(&base64(&content)), content);
        }

        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            decode_base64(&text);
            decode_quoted_printable(&text);
            quoted_printable(&text);
        }
    }
}
