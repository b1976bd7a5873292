use super::*;
use crate::smtp::budget::Budget;
use proptest::prelude::*;

const LIMIT: usize = 1000;

type Outcome = Result<Vec<u8>, ContentFault>;
/// Input, and the message or its fault.
type Case = (&'static [u8], Result<&'static [u8], ContentFault>);

/// Reads `input` in pieces of `step`: the message or its fault, and how many octets were taken; `None` without an end.
fn read(input: &[u8], step: usize) -> Option<(Outcome, usize)> {
    let mut reader = DataReader::new(Content::new(Budget::new(10 * LIMIT, LIMIT).share(), LIMIT, 0));
    let mut total = 0;
    for piece in input.chunks(step) {
        let (taken, done) = reader.read(piece);
        total += taken;
        if done {
            return Some((reader.finish().finish().map(|(octets, _)| octets), total));
        }
        assert_eq!(taken, piece.len());
    }
    None
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_a_message() {
    use ContentFault::{BareCr, BareLf, Nul};
    let cases: [Case; 14] = [
        (b".\r\n", Ok(b"")),
        (b"a\r\n.\r\n", Ok(b"a\r\n")),
        (b"a\r\n..\r\n.\r\n", Ok(b"a\r\n.\r\n")),
        (b"a\r\n.b\r\n.\r\n", Ok(b"a\r\nb\r\n")),
        (b"..a.b\r\n.\r\n", Ok(b".a.b\r\n")),
        (b"a\r\n.\n\r\n.\r\n", Err(BareLf(3))),
        (b"a\n.\n\r\n.\r\n", Err(BareLf(1))),
        (b"a\n.\r\n\r\n.\r\n", Err(BareLf(1))),
        (b"a\r.\r\r\n.\r\n", Err(BareCr(1))),
        (b"a\r\n.\rX\r\n.\r\n", Err(BareCr(3))),
        (b"a\r\n.\r\r\n\r\n.\r\n", Err(BareCr(3))),
        (b"a\r\r\n.\r\n", Err(BareCr(1))),
        (b"a\0\r\n.\r\n", Err(Nul(1))),
        (b"\n.\r\n\r\n.\r\n", Err(BareLf(0))),
    ];
    for (input, expected) in cases {
        for step in 1..=input.len() {
            let expected = expected.map(<[u8]>::to_vec);
            assert_eq!(read(input, step), Some((expected, input.len())), "{:?} by {step}", input.escape_ascii());
        }
    }
}

#[test]
fn an_oversized_message_is_drained_to_its_end_and_not_kept() {
    let mut input = vec![b'x'; 5 * LIMIT];
    input.extend_from_slice(b"\r\n.\r\nQUIT\r\n");
    let (result, taken) = read(&input, 333).unwrap();
    assert_eq!((result, taken), (Err(ContentFault::TooLarge(LIMIT)), 5 * LIMIT + 5));
}

#[test]
fn short_of_memory_is_a_fault_of_its_own_and_gives_everything_back() {
    let budget = Budget::new(100, 100);
    let mut reader = DataReader::new(Content::new(budget.share(), LIMIT, 0));
    let (_, done) = reader.read(&[b'x'; 200]);
    assert!(!done);
    assert_eq!(reader.finish().finish().map(|_| ()), Err(ContentFault::NoMemory));
    assert_eq!(budget.used(), 0);
}

/// What a client does (RFC 5321 §4.5.2).
fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in message.split_inclusive(|b| *b == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// The same machine written octet by octet, as slow and plain as possible.
fn reference(input: &[u8]) -> Option<(Option<Vec<u8>>, usize)> {
    let end =
        if input.starts_with(b".\r\n") { 0 } else { input.windows(5).position(|window| window == b"\r\n.\r\n")? + 2 };
    let body = &input[..end];
    let bare = body.iter().enumerate().any(|(at, octet)| match octet {
        b'\r' => body.get(at + 1) != Some(&b'\n'),
        b'\n' => at == 0 || body[at - 1] != b'\r',
        octet => *octet == 0,
    });
    let mut message = Vec::new();
    for line in body.split_inclusive(|b| *b == b'\n') {
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    Some(((!bare).then_some(message), end + 3))
}

proptest! {
    #[test]
    fn reading_is_the_inverse_of_stuffing(lines in proptest::collection::vec("[.a-c]{0,6}", 0..12), step in 1_usize..40) {
        let message: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\r\n").into_bytes()).collect();
        let input = stuffed(&message);
        prop_assert_eq!(read(&input, step), Some((Ok(message), input.len())));
    }

    #[test]
    fn it_agrees_with_a_plain_reference_at_any_split(input in "[.a\r\n\0]{0,24}(\r\n\\.\r\n)?", step in 1_usize..9) {
        let got = read(input.as_bytes(), step).map(|(result, taken)| (result.ok(), taken));
        prop_assert_eq!(got, reference(input.as_bytes()));
    }
}
