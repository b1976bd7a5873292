//! How fast the redaction stage reads mail, beside a plain copy of the same bytes and the usual regular expression with
//! a Luhn check: `cargo bench -p waxseal --bench redact`, or `ops/bench/redact/run`.
//!
//! Every figure is the best of several passes over one whole message, on one thread. No number in the texts is a card
//! number, so that nothing is written: what is measured is the cost of looking.

use std::hint::black_box;
use std::time::{Duration, Instant};

use waxseal::redact::{Policy, redact_bytes};

/// Bytes of each text before it is encoded.
const SIZE: usize = 4 << 20;
/// How long one measurement takes at least.
const LEAST: Duration = Duration::from_millis(400);

/// A small generator (xorshift64*): the same texts on every machine.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 33) % most
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + self.below(10) as u8)).collect()
    }
}

const WORDS: &[&str] = &[
    "Your", "order", "has", "been", "shipped", "and", "will", "reach", "you", "soon", "thank", "for", "shopping",
    "with", "us", "please", "contact", "support", "if", "anything", "is", "missing", "the", "team", "greets", "warmly",
    "refund", "invoice",
];

fn prose(numbers: &mut Numbers, size: usize) -> String {
    let mut out = String::with_capacity(size + 16);
    let mut column = 0;
    while out.len() < size {
        let word = WORDS[numbers.below(WORDS.len() as u64) as usize];
        out.push_str(word);
        column += word.len() + 1;
        if column > 72 {
            out.push_str("\r\n");
            column = 0;
        } else {
            out.push(' ');
        }
    }
    out
}

/// Lines of a log: times, identifiers, durations, addresses; four bytes in ten are digits.
fn log(numbers: &mut Numbers, size: usize) -> String {
    let mut out = String::with_capacity(size + 200);
    while out.len() < size {
        let (second, micro, id) = (numbers.below(60), numbers.below(1_000_000), numbers.digits(10));
        let (span, bytes, order) = (numbers.next() >> 16, numbers.below(100_000_000), numbers.digits(11));
        let ip = [0; 4].map(|_| numbers.below(256));
        let line = format!(
            "2026-11-23T14:05:{second:02}.{micro:06}Z INFO order={order} id={id} span={span:012x} bytes={bytes} from {}.{}.{}.{} took 0.{micro:06}s\r\n",
            ip[0], ip[1], ip[2], ip[3],
        );
        out.push_str(&line);
    }
    out
}

fn html(numbers: &mut Numbers, size: usize) -> String {
    let mut out = String::from("<html><body><table>\r\n");
    while out.len() < size {
        let (order, amount, width) = (numbers.digits(9), numbers.below(100_000), numbers.below(900));
        let line = format!(
            "<tr style=\"width:{width}px;color:#1{width:03}33\"><td class=\"c{width}\">{order}</td><td>{}.{:02}&nbsp;EUR</td><td>2026-11-{:02} 14:{:02}</td></tr>\r\n",
            amount / 100,
            amount % 100,
            numbers.below(28) + 1,
            numbers.below(60),
        );
        out.push_str(&line);
    }
    out.push_str("</table></body></html>\r\n");
    out
}

fn base64_lines(content: &[u8]) -> String {
    let encoded = base64_simd::STANDARD.encode_to_string(content);
    let mut out = String::with_capacity(encoded.len() / 76 * 78 + 80);
    for line in encoded.as_bytes().chunks(76) {
        out.push_str(std::str::from_utf8(line).unwrap_or_default());
        out.push_str("\r\n");
    }
    out
}

fn quoted_printable(text: &str) -> String {
    text.replace("soon", "s=C3=B6on")
}

fn mail(media: &str, transfer: &str, body: &str) -> Vec<u8> {
    format!("From: a@shop.example\r\nSubject: x\r\nContent-Type: {media}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n{body}")
        .into_bytes()
}

/// Bytes a second of the best pass.
fn rate(bytes: usize, mut pass: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), Duration::MAX);
    while start.elapsed() < LEAST {
        let began = Instant::now();
        pass();
        best = best.min(began.elapsed());
    }
    bytes as f64 / best.as_secs_f64()
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |d: u8| if d > 4 { d * 2 - 9 } else { d * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, d)| u32::from(if i % 2 == 1 { doubled(d - b'0') } else { d - b'0' }))
        .sum();
    sum.is_multiple_of(10)
}

/// The rule that most products use.
fn by_regex(pattern: &regex::bytes::Regex, text: &[u8]) -> usize {
    let card = |found: regex::bytes::Match<'_>| {
        let digits: Vec<u8> = found.as_bytes().iter().copied().filter(u8::is_ascii_digit).collect();
        luhn(&digits)
    };
    pattern.find_iter(text).filter(|found| card(*found)).count()
}

fn main() {
    let mut numbers = Numbers(20_261_124);
    let (words, lines, page) = (prose(&mut numbers, SIZE), log(&mut numbers, SIZE), html(&mut numbers, SIZE));
    let binary: Vec<u8> = (0..SIZE / 8).flat_map(|_| numbers.next().to_le_bytes()).collect();
    let inputs = [
        ("text without digits", mail("text/plain", "8bit", &words)),
        (
            "the same, quoted-printable",
            mail("text/plain; charset=utf-8", "quoted-printable", &quoted_printable(&words)),
        ),
        ("the same, base64", mail("text/plain; charset=utf-8", "base64", &base64_lines(words.as_bytes()))),
        ("binary, base64", mail("application/octet-stream", "base64", &base64_lines(&binary))),
        ("html table", mail("text/html; charset=utf-8", "8bit", &page)),
        ("html table, base64", mail("text/html; charset=utf-8", "base64", &base64_lines(page.as_bytes()))),
        ("digit-heavy log", mail("text/plain", "8bit", &lines)),
    ];
    let policy = Policy::default();
    #[allow(clippy::expect_used)] // the pattern is a constant
    let pattern = regex::bytes::Regex::new(r"\b(?:\d[ -]?){13,19}\b").expect("a valid pattern");
    println!("{:28} {:>10} {:>10} {:>10}   MB/s, one thread", "", "waxseal", "copy", "regex");
    for (name, message) in &inputs {
        let ours = rate(message.len(), || {
            black_box(redact_bytes(black_box(message), &policy).is_ok());
        });
        let mut target = vec![0u8; message.len()];
        let copy = rate(message.len(), || {
            target.copy_from_slice(black_box(message));
            black_box(&target);
        });
        let regex = rate(message.len(), || {
            black_box(by_regex(&pattern, black_box(message)));
        });
        println!("{name:28} {:>10.0} {:>10.0} {:>10.0}", ours / 1e6, copy / 1e6, regex / 1e6);
    }
    latency(&mut numbers, &policy);
}

/// What one mail of 75 KB waits for this stage.
fn latency(numbers: &mut Numbers, policy: &Policy) {
    let (text, page) = (prose(numbers, 20_000), html(numbers, 10_000));
    let picture: Vec<u8> = (0..4_000).flat_map(|_| numbers.next().to_le_bytes()).collect();
    let body = format!(
        "--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n--b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{}--b--\r\n",
        base64_lines(&picture)
    );
    let message = mail("multipart/mixed; boundary=b", "7bit", &body);
    let mut times: Vec<Duration> = (0..3000)
        .map(|_| {
            let began = Instant::now();
            black_box(redact_bytes(black_box(&message), policy).is_ok());
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 1000].as_secs_f64() * 1e3;
    println!("one mail of {} KB: median {:.3} ms, p99 {:.3} ms", message.len() / 1000, at(500), at(990));
}
