//! Seals messages of every awkward kind and writes them with their DNS records to a folder, for verifiers that
//! nobody here wrote: `tests/seal/verify.py` gives them to dkimpy and OpenDKIM.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use waxseal::clock::{Clock, SystemClock};
use waxseal::ids::LetterId;
use waxseal::message::{BodyKind, DomainName, Envelope, Letter, Recipient, ReversePath};
use waxseal::redact::{self, Mode, Policy};
use waxseal::sign::{SealRequest, Signers, seal};
use waxseal_keys::{Algorithm, DomainSigner, SigningKey};

struct Keys(Vec<Arc<DomainSigner>>);

impl Signers for Keys {
    fn active(&self, domain: &DomainName) -> Vec<Arc<DomainSigner>> {
        self.0.iter().filter(|signer| signer.domain() == domain.as_str()).cloned().collect()
    }
}

const HEADER: &str = "From: Waxseal <a@example.com>\r\nTo: b@example.net\r\nSubject: corpus\r\nMIME-Version: 1.0\r\n";

fn message(fields: &str, body: &str) -> Vec<u8> {
    format!("{HEADER}{fields}\r\n{body}").into_bytes()
}

fn corpus() -> Vec<(&'static str, Vec<u8>)> {
    let utf8 = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
    let list = (0..120).map(|n| format!("\"Person {n}\" <person{n}@example.net>")).collect::<Vec<_>>().join(", ");
    let mut binary = message("Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n", "");
    binary.extend((0..=255_u8).cycle().take(2000));
    vec![
        ("plain", message("", "hello\r\n")),
        ("8-bit", message(utf8, "Grüße aus Köln, mit freundlichen Worten.\r\n")),
        ("utf-8", message(utf8, "ご注文ありがとうございます。\r\n")),
        ("base64", message("Content-Transfer-Encoding: base64\r\n", "aGVsbG8gd29ybGQ=\r\n")),
        ("long-line", message("", &format!("{}\r\n", "long line ".repeat(300)))),
        ("empty-body", message("", "")),
        ("only-crlf", message("", "\r\n")),
        ("no-separator", HEADER.as_bytes().to_vec()),
        ("folded", message("X-Folded: a\r\n\tb\r\n  c\r\nReferences: <a@b>\r\n <c@d>\r\n", "hello\r\n")),
        ("long-field", message(&format!("Cc: {list}\r\n"), "hello\r\n")),
        (
            "multipart",
            message(
                "Content-Type: multipart/alternative; boundary=\"=_b\"\r\n",
                "--=_b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\né \r\n--=_b\r\nContent-Type: text/html; \
                 charset=utf-8\r\n\r\n<p>é</p>\r\n--=_b--\r\n",
            ),
        ),
        (
            "signed-8-bit",
            message(
                "Content-Type: multipart/signed; boundary=s\r\nContent-Transfer-Encoding: 8bit\r\n",
                "--s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\né\r\n--s\r\n\r\nx\r\n--s--\r\n",
            ),
        ),
        ("trailing-blank-lines", message("", "hello\r\n\r\n\r\n")),
        ("blank-tail", message("", "hello\r\n \t\r\n\r\n")),
        ("white-space-only", message("", " \r\n\t\r\n")),
        ("spaces", message("", "  a  b\t\tc \r\n\r\n  d\r\n")),
        ("no-final-line-end", message("", "hello")),
        ("utf-8-header", "From: Jörg <a@example.com>\r\nSubject: Größe 漢字\r\n\r\nhello\r\n".as_bytes().to_vec()),
        (
            "list",
            message(
                "List-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
                "x\r\n",
            ),
        ),
        ("binary", binary),
        ("dots", message("", ".\r\n..\r\n.hidden\r\n")),
        ("subdomain", b"From: a@news.example.com\r\n\r\nhello\r\n".to_vec()),
        ("large", message("", &"A line of text, as there are many.  With two spaces.\r\n".repeat(20_000))),
    ]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: seal_corpus FOLDER")?);
    std::fs::create_dir_all(&out)?;
    let key = |algorithm, selector| -> Result<_, Box<dyn std::error::Error>> {
        Ok(Arc::new(DomainSigner::new(SigningKey::generate(algorithm)?, "example.com", selector)?))
    };
    let keys = Keys(vec![key(Algorithm::Ed25519, "e1")?, key(Algorithm::Rsa2048, "r1")?]);
    let mut records = serde_json::Map::new();
    for signer in &keys.0 {
        let (kind, public) = (signer.kind().record_tag(), signer.key().public_record_value());
        let name = format!("{}._domainkey.{}", signer.selector(), signer.domain());
        records.insert(name, json!([format!("v=DKIM1; k={kind}; h=sha256; p={public}")]));
    }
    records.insert("_dmarc.example.com".to_owned(), json!(["v=DMARC1; p=reject"]));
    std::fs::write(out.join("dns.json"), serde_json::to_vec_pretty(&records)?)?;

    let (hostname, domains) = ("mx1.relay.example".parse()?, ["example.com".parse()?]);
    let now = SystemClock.now();
    for (name, message) in corpus() {
        let mut envelope = Envelope::new(ReversePath::Null, vec![Recipient::new("b@example.net".parse()?)]);
        envelope.body = if name == "binary" { BodyKind::BinaryMime } else { BodyKind::EightBitMime };
        let letter = redact::redact(Letter::new(envelope, message), &Policy { mode: Mode::Off, ..Policy::default() })?;
        let request = SealRequest {
            id: LetterId::new(now),
            now,
            hostname: &hostname,
            trace: None,
            tenant: "corpus",
            domains: &domains,
            subdomains: true,
            signers: &keys,
        };
        let sealed = seal(letter, &request).map_err(|error| format!("{name}: {error}"))?;
        std::fs::write(out.join(format!("{name}.eml")), sealed.message())?;
    }
    Ok(())
}
