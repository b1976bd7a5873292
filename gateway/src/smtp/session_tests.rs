//! Whole conversations, without a socket.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use std::time::Duration;

use super::*;
use crate::ids::{LetterId, TenantId};
use crate::message::{BodyKind, Mailbox, Notify, ReturnContent};
use crate::smtp::addressees::Unwanted;
use crate::smtp::auth::{AuthRefusal, Verdict};
use crate::tenants::secret::scram_keys;

pub(in crate::smtp) fn limits() -> Limits {
    Limits {
        message_size: 1_000,
        recipients: 3,
        connections: 100,
        connections_per_ip: 50,
        mime_depth: 10,
        mime_parts: 100,
        memory_for_messages: 100_000,
        commands: 60,
        errors: 5,
        messages_per_session: 3,
        chunks: 4,
        idle: Duration::from_secs(10),
        session: Duration::from_mins(1),
        data: Duration::from_secs(10),
        authentication_failures: 3,
        authentication_window: Duration::from_mins(1),
    }
}

pub(in crate::smtp) fn credential(user: &str, secret: &str) -> Arc<Credential> {
    Arc::new(Credential {
        user: user.into(),
        tenant: TenantId(1),
        argon2id: String::new(),
        scram: scram_keys(secret, b"0123456789abcdef", 4096),
        networks: Vec::new(),
        expires: Some(Timestamp::from_millis(2_000_000)),
        created: Timestamp::from_millis(0),
    })
}

/// What a pretend driver was asked for and what came of it.
struct Talk {
    session: Session,
    out: Vec<u8>,
    pending: Vec<u8>,
    letters: Vec<(Envelope, Vec<u8>, &'static str)>,
    now: Timestamp,
    admit: Result<(), Inadmissible>,
    accept: Result<LetterId, AcceptError>,
    verdict: Option<Verdict>,
    closed: bool,
    budget: Arc<Budget>,
}

impl Talk {
    fn new(channel: Channel) -> Self {
        Self::with(channel, limits())
    }

    fn with(channel: Channel, limits: Limits) -> Self {
        Self::serving(Service::Submission, Arc::new(crate::smtp::addressees::Anybody), channel, limits)
    }

    fn serving(service: Service, addressees: Arc<dyn Addressees>, channel: Channel, limits: Limits) -> Self {
        let budget = Budget::new(limits.memory_for_messages);
        let hostname = "mx.example".parse().unwrap();
        let rules = Arc::new(Rules { service, addressees, hostname, limits, budget: Arc::clone(&budget) });
        let mut out = Vec::new();
        let id = SessionId::default();
        let session = Session::new(rules, id, "192.0.2.1".parse().unwrap(), channel, &mut out);
        Self {
            session,
            out,
            pending: Vec::new(),
            letters: Vec::new(),
            now: Timestamp::from_millis(1_000_000),
            admit: Ok(()),
            accept: Ok(LetterId::from_bytes([1; 16])),
            verdict: None,
            closed: false,
            budget,
        }
    }

    /// A session that has signed in over TLS and whose replies so far are read.
    fn signed_in() -> Self {
        Self::signed_in_with(limits())
    }

    fn signed_in_with(limits: Limits) -> Self {
        let mut talk = Self::with(Channel::Tls("TLSv1.3 with cipher X".into()), limits);
        talk.send(b"EHLO client.example\r\nAUTH PLAIN AHUAcA==\r\n");
        assert!(talk.replies().ends_with("235 2.7.0 signed in\r\n"));
        talk
    }

    fn send(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
        self.run();
    }

    fn run(&mut self) {
        for _ in 0..100_000 {
            let (taken, next) = self.session.advance(&self.pending, self.now, &mut self.out);
            self.pending.drain(..taken);
            let out = &mut self.out;
            match next {
                Next::Read | Next::Wait => return,
                Next::Write => self.out = std::mem::take(out),
                Next::Close => {
                    self.closed = true;
                    self.pending.clear();
                    return;
                }
                Next::StartTls => {
                    assert!(self.pending.is_empty(), "nothing is left behind STARTTLS");
                    self.session.tls_established("TLSv1.3 with cipher X".into());
                }
                Next::Authenticate(attempt) => {
                    let right = match &attempt {
                        Attempt::Secret { user, secret, .. } => user == "u" && secret.as_str() == "p",
                        Attempt::Proof(proof) => proof.proven,
                    };
                    let judged = if right {
                        Verdict::Accepted(credential("u", "p"))
                    } else {
                        Verdict::Refused(AuthRefusal::Wrong)
                    };
                    self.session.authenticated(self.verdict.clone().unwrap_or(judged), out);
                }
                Next::LookupCredential { user } => {
                    self.session.challenged(credential(&user, "p").scram.clone(), "servernonce", out);
                }
                Next::Admit { .. } => {
                    let answer = std::mem::replace(&mut self.admit, Ok(()));
                    self.session.admitted(answer, out);
                }
                Next::Submit(submission) => {
                    let (envelope, message, _) = submission.letter.into_parts();
                    self.letters.push((envelope, message.to_vec(), submission.trace.protocol));
                    self.session.submitted(&self.accept, out);
                }
                Next::Receive(incoming) => {
                    let (envelope, message, _) = incoming.letter.into_parts();
                    self.letters.push((envelope, message.to_vec(), incoming.trace.protocol));
                    self.session.received(&Ok(()), out);
                }
            }
        }
        panic!("the session does not come to rest");
    }

    /// The replies since the last call, the session's name left out.
    fn replies(&mut self) -> String {
        let text = String::from_utf8(std::mem::take(&mut self.out)).unwrap();
        text.replace(&format!(" [{}]", self.session.id), "")
    }

    /// Sends and expects exactly these replies.
    fn check(&mut self, octets: &str, expected: &str) {
        self.send(octets.as_bytes());
        assert_eq!(self.replies(), expected, "to {octets:?}");
    }

    /// Sends and expects replies with these codes.
    fn codes(&mut self, octets: &str, expected: &[&str]) {
        self.send(octets.as_bytes());
        let replies = self.replies();
        let codes: Vec<&str> = replies.lines().map(|line| &line[..line.len().min(9)]).collect();
        assert_eq!(codes.len(), expected.len(), "{octets:?}: {replies}");
        for (code, expected) in codes.iter().zip(expected) {
            assert!(code.starts_with(expected), "{octets:?}: {replies}");
        }
    }
}

const OPEN: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

#[test]
fn ehlo_lists_exactly_what_is_served() {
    let base = "250-mx.example\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250-CHUNKING\r\n\
                250-BINARYMIME\r\n250-DSN\r\n250-ENHANCEDSTATUSCODES\r\n";
    let auth = "250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n";
    let end = "250 LIMITS RCPTMAX=3 MAILMAX=3\r\n";
    for (channel, expected) in [
        (Channel::BeforeTls, format!("{base}250-STARTTLS\r\n{end}")),
        (Channel::Loopback, format!("{base}{auth}{end}")),
        (Channel::Tls("x".into()), format!("{base}{auth}250-REQUIRETLS\r\n{end}")),
    ] {
        let mut talk = Talk::new(channel);
        assert_eq!(talk.replies(), "220 mx.example ESMTP ready\r\n");
        talk.check("EHLO client.example\r\n", &expected);
        talk.check("HELO client.example\r\n", "250 mx.example\r\n");
    }
}

#[test]
fn a_letter_goes_through_in_one_flight_per_turn() {
    let mut talk = Talk::signed_in();
    talk.codes(&format!("{OPEN}DATA\r\n"), &["250 2.1.0", "250 2.1.5", "354"]);
    let id = LetterId::from_bytes([1; 16]);
    talk.check("Subject: x\r\n\r\n..\r\n.\r\nQUIT\r\n", &format!("250 2.0.0 queued as {id}\r\n221 2.0.0 bye\r\n"));
    assert!(talk.closed);
    let (envelope, message, protocol) = &talk.letters[0];
    assert_eq!(message, b"Subject: x\r\n\r\n.\r\n");
    assert_eq!((*protocol, envelope.recipients.len()), ("ESMTPSA", 1));
    assert_eq!(talk.budget.used(), 0);
}

#[test]
fn the_envelope_keeps_what_the_extensions_say() {
    let mut talk = Talk::signed_in();
    talk.send(b"MAIL FROM:<a@b.example> SMTPUTF8 BODY=8BITMIME RET=HDRS ENVID=e1 REQUIRETLS SIZE=10\r\n");
    talk.send(
        "RCPT TO:<用@d.example> NOTIFY=NEVER ORCPT=rfc822;x@y\r\nRCPT TO:<postmaster>\r\nBDAT 3 LAST\r\na\r\n"
            .as_bytes(),
    );
    let (envelope, message, protocol) = &talk.letters[0];
    assert_eq!((message.as_slice(), *protocol), (b"a\r\n".as_slice(), "UTF8SMTPSA"));
    assert!(envelope.smtputf8 && envelope.require_tls);
    assert_eq!((envelope.body, envelope.return_content), (BodyKind::EightBitMime, Some(ReturnContent::Headers)));
    assert_eq!(envelope.envelope_id.as_deref(), Some("e1"));
    assert_eq!(envelope.recipients[0].notify, Notify::Never);
    assert_eq!(envelope.recipients[0].original.as_deref(), Some("rfc822;x@y"));
    assert_eq!(envelope.recipients[1].address.to_string(), "postmaster@mx.example");
}

#[test]
fn commands_out_of_turn_are_told_what_comes_first() {
    let mut talk = Talk::with(Channel::BeforeTls, Limits { errors: 50, ..limits() });
    talk.replies();
    talk.codes("MAIL FROM:<a@b.example>\r\nSTARTTLS\r\n", &["503 5.5.1", "503 5.5.1"]);
    talk.codes(
        "EHLO c\r\nAUTH PLAIN AHUAcA==\r\n",
        &["250", "250", "250", "250", "250", "250", "250", "250", "250", "250", "250", "530 5.7.0"],
    );
    talk.codes(
        "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n",
        &["530 5.7.0", "530 5.7.0", "530 5.7.0"],
    );
    talk.codes("STARTTLS\r\n", &["220 2.0.0"]);
    talk.codes("MAIL FROM:<a@b.example>\r\nAUTH PLAIN AHUAcA==\r\n", &["503 5.5.1", "503 5.5.1"]);
    talk.send(b"EHLO c\r\n");
    assert!(talk.replies().contains("250-AUTH"));
    talk.check("MAIL FROM:<a@b.example>\r\n", "530 5.7.0 authentication required - sign in with AUTH first\r\n");
    talk.codes("STARTTLS\r\nRCPT TO:<a@b.example>\r\nDATA\r\n", &["503 5.5.1", "530 5.7.0", "530 5.7.0"]);
    talk.codes("AUTH PLAIN AHUAcA==\r\nAUTH PLAIN AHUAcA==\r\n", &["235 2.7.0", "503 5.5.1"]);
    talk.codes(
        "RCPT TO:<a@b.example>\r\nDATA\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\n",
        &["503", "503", "250", "503", "503"],
    );
    talk.codes(
        "VRFY x\r\nEXPN x\r\nHELP\r\nNOOP x\r\nETRN x\r\nFOO\r\nRSET\r\n",
        &["252", "502", "214", "250", "502", "500", "250"],
    );
}

#[test]
fn octets_behind_starttls_end_the_session() {
    let mut talk = Talk::new(Channel::BeforeTls);
    talk.send(b"EHLO c\r\n");
    talk.replies();
    talk.check("STARTTLS\r\nRSET\r\n", "421 4.7.0 nothing may follow STARTTLS before the handshake - closing\r\n");
    assert!(talk.closed);
}

#[test]
fn browsers_and_clients_that_make_only_errors_are_sent_away() {
    let mut talk = Talk::new(Channel::BeforeTls);
    talk.replies();
    talk.check("POST / HTTP/1.1\r\nHost: x\r\n", "421 4.7.0 POST is HTTP, and this is SMTP - closing\r\n");
    assert!(talk.closed);
    let mut talk = Talk::new(Channel::BeforeTls);
    talk.replies();
    talk.codes(&"FOO\r\n".repeat(20), &["500", "500", "500", "500", "500", "500", "421 4.7.0"]);
    assert!(talk.closed);
    let mut talk = Talk::new(Channel::BeforeTls);
    talk.replies();
    talk.send("NOOP\r\n".repeat(100).as_bytes());
    assert!(talk.closed && talk.replies().ends_with("421 4.7.0 more than 60 commands in one session\r\n"));
}

#[test]
fn plain_login_and_scram_sign_in() {
    let fresh = || {
        let mut talk = Talk::new(Channel::Loopback);
        talk.send(b"EHLO c\r\n");
        talk.replies();
        talk
    };
    let encode = |text: &str| BASE64.encode(text);
    fresh().codes("AUTH PLAIN\r\nAHUAcA==\r\n", &["334 ", "235 2.7.0"]);
    fresh().codes("auth plain dQB1AHA=\r\n", &["235 2.7.0"]);
    fresh().codes("AUTH PLAIN dgB1AHA=\r\n", &["501 5.5.2"]);
    fresh().codes("AUTH LOGIN\r\ndQ==\r\ncA==\r\n", &["334 VXNlc", "334 UGFzc", "235"]);
    fresh().codes("AUTH LOGIN dQ==\r\ncA==\r\n", &["334 UGFzc", "235"]);
    fresh().codes("AUTH PLAIN AHUAcQ==\r\nAUTH PLAIN AHUAcA==\r\n", &["535 5.7.8", "235"]);
    fresh().codes("AUTH PLAIN\r\n*\r\nNOOP\r\n", &["334", "501 5.7.0", "250"]);
    fresh().codes("AUTH PLAIN not base64\r\nAUTH PLAIN =\r\nAUTH CRAM-MD5\r\n", &["501", "501", "504 5.5.4"]);
    let long = format!("AUTH PLAIN {}\r\nNOOP\r\n", "A".repeat(13_000));
    fresh().codes(&long, &["500 5.5.2", "250"]);

    let mut talk = fresh();
    let first = "n=u,r=clientnonce";
    talk.send(format!("AUTH SCRAM-SHA-256 {}\r\n", encode(&format!("n,,{first}"))).as_bytes());
    let challenge = BASE64.decode(talk.replies().trim().strip_prefix("334 ").unwrap()).unwrap();
    let challenge = String::from_utf8(challenge).unwrap();
    let without_proof = "c=biws,r=clientnonceservernonce";
    let proof = client_proof("p", &format!("{first},{challenge},{without_proof}"));
    talk.send(format!("{}\r\n", encode(&format!("{without_proof},p={proof}"))).as_bytes());
    assert!(talk.replies().starts_with("334 dj"), "the server proves itself, too");
    talk.codes("\r\nMAIL FROM:<>\r\n", &["235 2.7.0", "250"]);
}

/// The client's side of RFC 5802 §3, written from the standard.
fn client_proof(secret: &str, exchange: &str) -> String {
    use crate::smtp::scram::{mac, sha256};
    let mut salted = [0; 32];
    aws_lc_rs::pbkdf2::derive(
        aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
        std::num::NonZeroU32::new(4096).unwrap(),
        b"0123456789abcdef",
        secret.as_bytes(),
        &mut salted,
    );
    let client_key = mac(&salted, b"Client Key");
    let signature = mac(&sha256(&client_key), exchange.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    BASE64.encode(proof)
}

#[test]
fn a_throttled_client_is_told_once_and_then_sent_away() {
    let mut talk = Talk::new(Channel::Loopback);
    talk.send(b"EHLO c\r\n");
    talk.replies();
    talk.verdict = Some(Verdict::Throttled);
    talk.codes("AUTH PLAIN AHUAcA==\r\nAUTH PLAIN AHUAcA==\r\nNOOP\r\n", &["454 4.7.0", "421 4.7.0"]);
    assert!(talk.closed);
}

#[test]
fn a_credential_that_ends_in_mid_session_sends_no_more() {
    let mut talk = Talk::signed_in();
    talk.now = Timestamp::from_millis(2_000_000);
    talk.codes("MAIL FROM:<>\r\nMAIL FROM:<>\r\n", &["530 5.7.0", "530 5.7.0"]);
    let mut talk = Talk::signed_in();
    talk.admit = Err(Inadmissible::Credential);
    talk.codes("MAIL FROM:<>\r\nMAIL FROM:<>\r\n", &["530 5.7.0", "530 5.7.0"]);
}

#[test]
fn limits_on_size_recipients_messages_room_and_memory() {
    let mut talk = Talk::signed_in();
    talk.check("MAIL FROM:<> SIZE=31200000\r\n", "552 5.3.4 message 31.2 MB exceeds 1.0 kB\r\n");
    talk.admit = Err(StoreError::DiskShort { free: 1, reserve: 2 }.into());
    talk.codes("MAIL FROM:<>\r\n", &["452 4.3.1"]);
    talk.codes(
        &format!("MAIL FROM:<>\r\n{}DATA\r\n", "RCPT TO:<a@b.example>\r\n".repeat(5)),
        &["250", "250", "250", "250", "452 4.5.3", "452 4.5.3", "354"],
    );
    talk.codes(&format!("{}\r\n.\r\n", "x".repeat(2_000)), &["552 5.3.4"]);
    for _ in 0..3 {
        talk.codes(&format!("{OPEN}DATA\r\n.\r\n"), &["250", "250", "354", "250 2.0.0"]);
    }
    talk.codes("MAIL FROM:<>\r\n", &["421 4.7.0"]);
    assert_eq!((talk.letters.len(), talk.budget.used()), (3, 0));

    let mut talk = Talk::signed_in_with(Limits { memory_for_messages: 500, ..limits() });
    talk.codes("MAIL FROM:<> SIZE=600\r\n", &["452 4.3.1"]);
    talk.codes(&format!("{OPEN}DATA\r\nNOOP\r\n"), &["250", "250", "452 4.3.1", "250"]);
    talk.codes(&format!("{OPEN}BDAT 2 LAST\r\n\r\nNOOP\r\n"), &["250", "250", "452 4.3.1", "250"]);
    assert_eq!(talk.budget.used(), 0);
}

#[test]
fn refusals_of_the_pipeline_leave_the_session_ready() {
    let mut talk = Talk::signed_in();
    talk.accept = Err(crate::sign::SealError::NoActiveKey("b.example".into()).into());
    talk.codes(&format!("{OPEN}DATA\r\n.\r\nNOOP\r\n"), &["250", "250", "354", "451 4.7.5", "250"]);
    talk.accept = Err(AcceptError::ShuttingDown);
    talk.codes(&format!("{OPEN}DATA\r\n.\r\nNOOP\r\n"), &["250", "250", "354", "421 4.3.2"]);
    assert!(talk.closed);
}

#[test]
fn chunks_are_counted_not_parsed() {
    let mut talk = Talk::signed_in();
    talk.codes(
        &format!("{OPEN}BDAT 5\r\nA: b\rBDAT 1\r\n\nBDAT 0 LAST\r\n"),
        &["250", "250", "250", "250", "250 2.0.0"],
    );
    assert_eq!(talk.letters[0].1, b"A: b\r\n");
    // No transaction, no recipient: the chunk is thrown away, and not read as commands.
    talk.codes("BDAT 6\r\nQUIT\r\nNOOP\r\n", &["503 5.5.1", "250"]);
    talk.codes("MAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nRSET\r\n", &["250", "503 5.5.1", "250"]);
    // Dots stay, a lone dot ends nothing, and RCPT or DATA between chunks are out of turn.
    talk.codes(
        &format!("{OPEN}BDAT 5\r\n\r\n.\r\nRCPT TO:<a@b.example>\r\nDATA\r\nBDAT 4 LAST\r\n..\r\n"),
        &["250", "250", "250", "503", "503", "250"],
    );
    assert_eq!(talk.letters[1].1, b"\r\n.\r\n..\r\n");
}

#[test]
fn an_error_in_a_chunk_ends_the_transaction_behind_the_chunk() {
    let cases = [
        ("BDAT 4\r\na\nb\nBDAT 2 LAST\r\n\r\n", ["550 5.5.2", "503 5.5.1"]),
        ("BDAT 2\r\na\rBDAT 2 LAST\r\nb\n", ["250 2.0.0", "550 5.5.2"]),
        ("BDAT 2\r\na\0BDAT 2 LAST\r\nb\n", ["550 5.6.0", "503 5.5.1"]),
        ("BDAT 0\r\nBDAT 1 LAST\r\n\r", ["250 2.0.0", "550 5.5.2"]),
    ];
    for (chunks, [first, second]) in cases {
        let mut talk = Talk::signed_in();
        talk.codes(&format!("{OPEN}{chunks}NOOP\r\n"), &["250", "250", first, second, "250"]);
        assert!(talk.letters.is_empty(), "{chunks:?}");
    }
    let mut talk = Talk::signed_in();
    let huge = format!("{OPEN}BDAT 2000\r\n{}BDAT 0 LAST\r\nNOOP\r\n", "x".repeat(2000));
    talk.codes(&huge, &["250", "250", "552 5.3.4", "503", "250"]);
    talk.codes(&format!("{OPEN}{}", "BDAT 0\r\n".repeat(5)), &["250", "250", "250", "250", "250", "250", "552 5.3.4"]);
    talk.codes("BDAT x\r\nNOOP\r\n", &["501 5.5.4"]);
    assert!(talk.closed, "what follows a chunk without a size cannot be told from commands");
}

#[test]
fn a_binary_body_may_hold_anything_and_its_header_may_not() {
    let open = "MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n";
    let mut talk = Talk::signed_in();
    talk.codes(
        &format!("{open}DATA\r\nBDAT 12 LAST\r\nA: b\r\n\r\n\n\r\0.NOOP\r\n"),
        &["250", "250", "503 5.5.1", "250 2.0.0", "250"],
    );
    assert_eq!(talk.letters[0].1, b"A: b\r\n\r\n\n\r\0.");
    talk.codes(&format!("{open}BDAT 6 LAST\r\nA: b\n\nNOOP\r\n"), &["250", "250", "550 5.5.2", "250"]);
}

#[test]
fn ehlo_forgets_a_transaction_and_keeps_the_user() {
    let mut talk = Talk::signed_in();
    talk.send(format!("{OPEN}EHLO again\r\nDATA\r\n").as_bytes());
    assert!(talk.replies().ends_with("503 5.5.1 MAIL and RCPT first, and not DATA after BDAT\r\n"));
    talk.codes("HELO again\r\nMAIL FROM:<> SIZE=1\r\nMAIL FROM:<>\r\n", &["250", "555 5.5.4", "250"]);
}

#[test]
fn winding_down_waits_for_a_transaction() {
    let mut talk = Talk::signed_in();
    talk.send(OPEN.as_bytes());
    talk.session.wind_down();
    talk.replies();
    talk.codes("DATA\r\n.\r\nNOOP\r\n", &["354", "250 2.0.0", "421 4.3.2"]);
    assert!(talk.closed);
    let mut talk = Talk::new(Channel::BeforeTls);
    talk.replies();
    talk.session.wind_down();
    talk.codes("", &["421 4.3.2"]);
}

#[test]
fn time_limits_say_goodbye() {
    for what in [Timeout::Idle, Timeout::Data, Timeout::Session] {
        let mut talk = Talk::signed_in();
        talk.session.timed_out(what, &mut talk.out);
        talk.codes("NOOP\r\n", &["421 4.4.2"]);
        assert!(talk.closed);
    }
}

/// The endings that have been used to smuggle a second message into the first, each followed by an attempt.
const SMUGGLED: [&str; 7] = ["\r\n.\n", "\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r\n.\r\r\n", "\r\n\0.\r\n"];

#[test]
fn no_false_ending_smuggles_a_message() {
    for ending in SMUGGLED {
        let text = format!(
            "{OPEN}DATA\r\nSubject: a\r\n\r\nbody{ending}MAIL FROM:<evil@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nevil\r\n.\r\nNOOP\r\n"
        );
        for step in [1, 2, 3, text.len()] {
            let mut talk = Talk::signed_in();
            text.as_bytes().chunks(step).for_each(|piece| talk.send(piece));
            let replies = talk.replies();
            let codes: Vec<&str> = replies.lines().map(|line| &line[..9]).collect();
            let expected = if ending.contains('\0') { "550 5.6.0" } else { "550 5.5.2" };
            assert_eq!(codes, ["250 2.1.0", "250 2.1.5", "354 end t", expected, "250 2.0.0"], "{ending:?} by {step}");
            assert!(talk.letters.is_empty());
        }
    }
    let mut talk = Talk::signed_in();
    talk.send(format!("{OPEN}DATA\r\n").as_bytes());
    talk.replies();
    talk.check("Subject: a\n\r\n.\r\n", "550 5.5.2 bare LF at byte 10 - end each line of the message with CRLF\r\n");
}

/// Pieces of conversations, right and wrong.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let words: [&'static [u8]; 26] = [
        b"EHLO c\r\n",
        b"HELO c\r\n",
        b"AUTH PLAIN AHUAcA==\r\n",
        b"AUTH LOGIN\r\n",
        b"dQ==\r\n",
        b"cA==\r\n",
        b"*\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<> SIZE=100 BODY=BINARYMIME\r\n",
        b"RCPT TO:<c@d.example>\r\n",
        b"DATA\r\n",
        b"BDAT 5\r\nab\r\ncBDAT 3 LAST\r\nd\r\n",
        b"BDAT 3\r\n\r\n\0",
        b"BDAT 2000\r\n",
        b".\r\n",
        b"\r\n.\r\n",
        b"\n.\n",
        b"\r",
        b"\n",
        b"\0",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"FOO\r\n",
        b"x\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj11LHI9eA==\r\n",
        b"\xff\r\n",
    ];
    prop_oneof![
        12 => proptest::sample::select(words.to_vec()).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
        1 => (1..3_000_usize).prop_map(|n| vec![b'x'; n]),
    ]
}

type Outcome = (String, Vec<(Envelope, Vec<u8>, &'static str)>, bool);

fn converse(input: &[u8], step: usize) -> Outcome {
    let mut talk = Talk::signed_in();
    for piece in input.chunks(step) {
        talk.send(piece);
        assert!(talk.pending.len() < AUTH_LINE, "an unfinished line stays bounded");
        if talk.closed {
            break;
        }
    }
    let held = talk.budget.used();
    assert!(held <= 100_000 && (held == 0 || !talk.closed));
    (talk.replies(), talk.letters, talk.closed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_of_the_input_gives_the_same_replies_and_letters(fragments in proptest::collection::vec(fragment(), 0..24), step in 1_usize..40) {
        let input = fragments.concat();
        prop_assert_eq!(converse(&input, step), converse(&input, input.len().max(1)));
    }

    #[test]
    fn no_input_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..600), tls: bool) {
        let mut talk = Talk::new(if tls { Channel::Tls("x".into()) } else { Channel::Loopback });
        talk.send(&input);
    }
}

/// Takes mail for one address.
struct OnlyTheDoor;

impl Addressees for OnlyTheDoor {
    fn wanted(&self, sender: Option<&Credential>, recipient: &Mailbox, _: Timestamp) -> Result<(), Unwanted> {
        assert!(sender.is_none());
        if recipient.local_part() == "door" { Ok(()) } else { Err(Unwanted::NotOurs("no such address here")) }
    }
}

#[test]
fn a_reception_takes_mail_of_anybody_for_its_own_addresses_only() {
    let service = Service::Reception { tls_required: false };
    let mut talk = Talk::serving(service, Arc::new(OnlyTheDoor), Channel::BeforeTls, limits());
    talk.send(b"EHLO mx.b.example\r\n");
    let hello = talk.replies();
    assert!(hello.contains("250-STARTTLS") && !hello.contains("AUTH"), "{hello}");
    talk.send(b"AUTH PLAIN AHUAcA==\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@mx.example>\r\nRCPT TO:<door@mx.example>\r\n");
    let replies = talk.replies();
    let codes: Vec<&str> = replies.lines().map(|line| &line[..9]).collect();
    assert_eq!(codes, ["502 5.5.1", "250 2.1.0", "550 5.1.1", "250 2.1.5"], "{replies}");
    talk.send(b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nMAIL FROM:<a@b.example>\r\n");
    assert!(talk.replies().ends_with("250 2.0.0 taken\r\n250 2.1.0 sender ok\r\n"));
    let (envelope, _, protocol) = &talk.letters[0];
    assert_eq!((envelope.recipients.len(), *protocol), (1, "ESMTP"));

    let service = Service::Reception { tls_required: true };
    let mut talk = Talk::serving(service, Arc::new(OnlyTheDoor), Channel::BeforeTls, limits());
    talk.send(b"EHLO mx.b.example\r\nMAIL FROM:<>\r\n");
    assert!(talk.replies().contains("530 5.7.0 STARTTLS first"));
}

#[test]
fn a_suppressed_recipient_costs_nobody_else_the_letter() {
    struct NotMia;
    impl Addressees for NotMia {
        fn wanted(&self, sender: Option<&Credential>, recipient: &Mailbox, since: Timestamp) -> Result<(), Unwanted> {
            assert_eq!(sender.unwrap().user, "u");
            match recipient.local_part() {
                "mia" => Err(Unwanted::Suppressed { tenant: "acme".into(), since, reason: "hard-bounce".into() }),
                _ => Ok(()),
            }
        }
    }
    let channel = Channel::Tls("TLSv1.3 with cipher X".into());
    let mut talk = Talk::serving(Service::Submission, Arc::new(NotMia), channel, limits());
    talk.send(b"EHLO c.example\r\nAUTH PLAIN AHUAcA==\r\nMAIL FROM:<a@b.example>\r\n");
    talk.replies();
    talk.send(b"RCPT TO:<mia@c.example>\r\nRCPT TO:<noah@c.example>\r\nDATA\r\n\r\nx\r\n.\r\n");
    let replies = talk.replies();
    assert!(
        replies.starts_with("550 5.7.1 the recipient is on the suppression list of tenant acme since "),
        "{replies}"
    );
    assert!(replies.contains("(hard-bounce)") && replies.contains("queued as"), "{replies}");
    assert_eq!(talk.letters[0].0.recipients.len(), 1);
}
