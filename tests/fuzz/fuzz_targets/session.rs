//! Whole conversations: octets in pieces of any size, every answer that a driver can give. Never a panic, never a
//! reply with a bare line end, never more taken than was given.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use waxseal::clock::Timestamp;
use waxseal::config::{Config, SecretRef};
use waxseal::ids::{LetterId, SessionId, TenantId};
use waxseal::message::DomainName;
use waxseal::smtp::addressees::Anybody;
use waxseal::smtp::auth::{AuthRefusal, Verdict};
use waxseal::smtp::budget::Budget;
use waxseal::smtp::session::{Channel, Inadmissible, Next, Rules, Service, Session, Timeout};
use waxseal::tenants::{Credential, ScramKeys};

fn rules(service: Service) -> Arc<Rules> {
    let hostname: DomainName = "mx1.relay.example".parse().expect("a name");
    let kek = SecretRef::Env("KEK".to_owned());
    let mut limits = Config::with_defaults(hostname.clone(), PathBuf::from("data"), kek).limits;
    limits.message_size = 64 * 1024;
    let addressees = Arc::new(Anybody);
    Arc::new(Rules { service, addressees, hostname, limits, budget: Budget::new(1 << 20) })
}

static SUBMISSION: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(Service::Submission));
static RECEPTION: LazyLock<Arc<Rules>> = LazyLock::new(|| rules(Service::Reception { tls_required: false }));

fn keys() -> ScramKeys {
    ScramKeys { salt: b"salt".to_vec(), iterations: 4096, stored_key: [1; 32], server_key: [2; 32] }
}

fn credential() -> Arc<Credential> {
    Arc::new(Credential {
        user: "user".to_owned(),
        tenant: TenantId(1),
        argon2id: String::new(),
        scram: keys(),
        networks: Vec::new(),
        expires: None,
        created: Timestamp::from_millis(0),
    })
}

fn assert_lines(out: &[u8]) {
    for (at, octet) in out.iter().enumerate() {
        if *octet == b'\n' {
            assert!(at > 0 && out[at - 1] == b'\r', "a bare LF in a reply");
        }
    }
    assert!(out.is_empty() || out.ends_with(b"\r\n"), "half a line in a reply");
}

fuzz_target!(|input: (u64, Vec<u8>)| {
    // The bits choose how the input is cut and how each question is answered.
    let (choices, octets) = input;
    let mut bits = choices;
    let mut choose = |of: u64| {
        bits = bits.rotate_left(7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits % of
    };
    let channel = match choose(3) {
        0 => Channel::Loopback,
        1 => Channel::BeforeTls,
        _ => Channel::Tls("TLSv1.3 with AES".to_owned()),
    };
    let mut out = Vec::new();
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let rules = if choose(4) == 0 { &*RECEPTION } else { &*SUBMISSION };
    let mut session = Session::new(rules.clone(), SessionId::default(), client, channel, &mut out);
    let now = Timestamp::from_millis(1_000_000);
    let (mut start, mut end) = (0, 0);
    for _ in 0..10_000 {
        assert_lines(&out);
        out.clear();
        let (taken, next) = session.advance(&octets[start..end], now, &mut out);
        assert!(taken <= end - start);
        start += taken;
        match next {
            Next::Read if end == octets.len() => {
                session.timed_out(Timeout::Idle, &mut out);
                break;
            }
            Next::Read => {
                let piece = 1 + usize::try_from(choose(64)).unwrap_or_default();
                end = octets.len().min(end + piece * piece);
            }
            Next::Write => {}
            Next::Wait => unreachable!("every question is answered at once"),
            Next::StartTls => session.tls_established("TLSv1.3 with AES".to_owned()),
            Next::Authenticate(_) => {
                let verdict = match choose(4) {
                    0 => Verdict::Refused(AuthRefusal::Wrong),
                    1 => Verdict::Throttled,
                    _ => Verdict::Accepted(credential()),
                };
                session.authenticated(verdict, &mut out);
            }
            Next::LookupCredential { .. } => session.challenged(keys(), "nonce", &mut out),
            Next::Admit { .. } => {
                let answer = if choose(8) == 0 { Err(Inadmissible::Credential) } else { Ok(()) };
                session.admitted(answer, &mut out);
            }
            Next::Submit(submission) => {
                let message = submission.letter.message();
                assert!(message.len() <= rules.limits.message_size);
                for (at, octet) in message.iter().enumerate() {
                    let paired = match octet {
                        b'\n' => at > 0 && message[at - 1] == b'\r',
                        b'\r' => message.get(at + 1) == Some(&b'\n'),
                        _ => true,
                    };
                    assert!(paired, "a bare line end went through");
                }
                session.submitted(&Ok(LetterId::new(now)), &mut out);
            }
            Next::Receive(incoming) => {
                assert!(incoming.letter.message().len() <= rules.limits.message_size);
                session.received(&Ok(()), &mut out);
            }
            Next::Close => break,
        }
    }
    assert_lines(&out);
    drop(session);
    assert_eq!(rules.budget.used(), 0, "a session keeps memory after its end");
});
