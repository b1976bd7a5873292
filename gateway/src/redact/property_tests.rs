//! Laws of the stage that hold for any text.

use proptest::prelude::*;

use super::issuers::luhn;
use super::*;

fn message(media: &str, body: &str) -> Vec<u8> {
    format!("Content-Type: {media}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}").into_bytes()
}

fn run(message: &[u8]) -> Vec<u8> {
    redact_bytes(message, &Policy::default()).map_or_else(|_| message.to_vec(), |(out, _)| out.into_owned())
}

/// A number with the check digit that makes it right, or one beside it.
fn number(head: &str, body: u64, wrong: u8) -> String {
    let start = format!("{head}{body:014}");
    let digits = |last: u8| format!("{}{last}", &start[..15]);
    let values = |text: &str| text.bytes().map(|byte| byte - b'0').collect::<Vec<_>>();
    let right = (0..10).find(|last| luhn(&values(&digits(*last)))).unwrap_or(0);
    digits((right + wrong) % 10)
}

proptest! {
    #[test]
    fn twice_is_once_and_only_digits_change(body in "[0-9 .\\-/a-zA-Z\r\n<>&#;=*x４٤\u{ad}]{0,200}", html in any::<bool>()) {
        let before = message(if html { "text/html" } else { "text/plain" }, &body);
        let once = run(&before);
        prop_assert_eq!(once.len(), before.len());
        for (old, new) in before.iter().zip(&once) {
            // Track data and escapes hold letters; all else that changes is a digit, or a byte of a wider one.
            prop_assert!(old == new || old.is_ascii_alphanumeric() || *old >= 0x80, "{old} became {new}");
        }
        prop_assert_eq!(run(&once), once);
    }

    #[test]
    fn a_number_goes_in_any_usual_writing(
        head in prop::sample::select(vec!["41", "51", "55", "35"]),
        body in 0u64..99_999_999_999_999,
        separator in prop::sample::select(vec!["", " ", "-", "\u{a0}", "\u{2013}", ".", "\u{200b}"]),
        around in prop::sample::select(vec![("", ""), ("card ", " ok"), ("(", ")"), ("x", "y"), ("12/27 ", ""), ("\n", "\n")]),
    ) {
        let head = if head == "35" { "353" } else { head };
        let digits = number(head, body, 0);
        let groups: Vec<&str> = (0..4).map(|i| &digits[i * 4..i * 4 + 4]).collect();
        let text = format!("{}{}{}", around.0, groups.join(separator), around.1);
        let out = String::from_utf8(run(&message("text/plain", &text))).unwrap();
        let left: String = out.chars().filter(char::is_ascii_digit).collect();
        prop_assert!(!left.contains(&digits[..8]), "{text:?} became {out:?}");
        prop_assert!(left.contains(&digits[12..]), "{text:?} became {out:?}");
    }

    #[test]
    fn a_wrong_check_digit_is_no_number(body in 0u64..99_999_999_999_999, wrong in 1u8..10, separator in "[ -]?") {
        let digits = number("41", body, wrong);
        let groups: Vec<&str> = (0..4).map(|i| &digits[i * 4..i * 4 + 4]).collect();
        let before = message("text/plain", &format!("card {} thanks\r\n", groups.join(&separator)));
        // A shorter number inside of it may be right by chance; whole it is not.
        let (out, report) = redact_bytes(&before, &Policy::default()).unwrap();
        prop_assert!(report.hits.iter().all(|hit| hit.masked.len() != 16));
        prop_assert!(report.hits.is_empty() == (out.as_ref() == before.as_slice()));
    }
}

/// No clock is asked: with a square in it this would not end before the runner ends it.
#[test]
fn a_megabyte_of_numbers_is_done() {
    for (media, piece) in [
        ("text/plain", "card 4111 1111 1111 1111 of today\r\n"),
        ("text/html", "<p>card 4111 1111 &#49;111 1111</p>\r\n"),
        ("text/plain", "1 2 3 4 5 6 7 8 9 0 "),
    ] {
        let before = message(media, &piece.repeat(1_000_000 / piece.len()));
        assert_eq!(run(&before).len(), before.len(), "{piece}");
    }
}
