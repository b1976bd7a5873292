//! The sealing stage on any header and body: refused with a reason, or sealed with lines that every hop can carry.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use waxseal::clock::Timestamp;
use waxseal::ids::LetterId;
use waxseal::message::{DomainName, Envelope, Letter, Mailbox, Recipient, ReversePath};
use waxseal::redact::{Policy, redact};
use waxseal::sign::{SealRequest, Signers, read_options, seal};
use waxseal_keys::{Algorithm, DomainSigner, SigningKey};

struct OneKey(Arc<DomainSigner>);

impl Signers for OneKey {
    fn active(&self, _domain: &DomainName) -> Vec<Arc<DomainSigner>> {
        vec![self.0.clone()]
    }
}

// Ed25519 only: RSA would spend the fuzzer's time on arithmetic.
static KEY: LazyLock<OneKey> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::Ed25519).expect("the provider makes keys");
    OneKey(Arc::new(DomainSigner::new(key, "example.com", "s1").expect("valid names")))
});

fuzz_target!(|parts: (Vec<u8>, Vec<u8>)| {
    let _ = read_options(&parts.0);
    // Most inputs would fail for want of From; with one, the rest of the header is read as well.
    let message = [b"From: a@example.com\r\n".as_slice(), &parts.0, b"\r\n\r\n", &parts.1].concat();
    let to: Mailbox = "rcpt@example.org".parse().expect("an address");
    let envelope = Envelope::new(ReversePath::Null, vec![Recipient::new(to)]);
    let Ok(redacted) = redact(Letter::new(envelope, message), &Policy::default()) else { return };
    let domain: DomainName = "example.com".parse().expect("a name");
    let request = SealRequest {
        id: LetterId::from_bytes([7; 16]),
        now: Timestamp::from_millis(1_795_442_709_123),
        hostname: &domain,
        trace: None,
        tenant: "acme",
        domains: std::slice::from_ref(&domain),
        subdomains: false,
        signers: &*KEY,
    };
    let Ok(sealed) = seal(redacted, &request) else { return };
    assert_eq!(sealed.stage().signatures().len(), 1, "unsigned");
    for line in sealed.message().split(|octet| *octet == b'\n') {
        assert!(line.len() <= 999, "a line of {} octets", line.len());
    }
    let end = sealed.message().windows(4).position(|window| window == b"\r\n\r\n").expect("a header ends");
    let head = String::from_utf8_lossy(&sealed.message()[..end]).to_ascii_lowercase();
    assert!(!head.contains("\r\nbcc:"), "Bcc left the house");
});
