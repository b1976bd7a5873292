use super::*;
use crate::message::{BodyKind, Notify, ReturnContent};
use proptest::prelude::*;

fn parse(line: &str) -> Result<Command<'_>, SyntaxError> {
    Command::parse(line.as_bytes())
}

#[test]
fn mail_takes_every_parameter_that_is_advertised() {
    let line = "mail from:<a@b.example> size=1000 body=8bitmime smtputf8 ret=hdrs envid=Q+2B1 requiretls auth=<>";
    let Ok(Command::Mail { path: Path::Mailbox(mailbox), parameters }) = parse(line) else { panic!() };
    assert_eq!(mailbox.to_string(), "a@b.example");
    assert_eq!(
        parameters,
        MailParameters {
            size: Some(1000),
            body: BodyKind::EightBitMime,
            smtputf8: true,
            return_content: Some(ReturnContent::Headers),
            envelope_id: Some("Q+2B1".into()),
            require_tls: true,
            any: true,
        }
    );
    let line = "RCPT TO:<a@b.example> NOTIFY=success,DELAY ORCPT=rfc822;a+2Bb@c.example";
    let Ok(Command::Rcpt { parameters, ascii: true, .. }) = parse(line) else { panic!() };
    assert_eq!(parameters.notify, Notify::On { success: true, failure: false, delay: true });
    assert_eq!(parameters.original.as_deref(), Some("rfc822;a+2Bb@c.example"));
}

#[test]
fn paths_are_strict_and_source_routes_are_dropped() {
    let mailbox = |line| match parse(line) {
        Ok(Command::Mail { path, .. } | Command::Rcpt { path, .. }) => path.to_string(),
        other => format!("{other:?}"),
    };
    assert_eq!(mailbox("MAIL FROM:<>"), "<>");
    assert_eq!(mailbox("RCPT TO:<Postmaster>"), "<postmaster>");
    assert_eq!(mailbox("RCPT TO:<@a.example,@b.example:u@c.example>"), "<u@c.example>");
    assert_eq!(mailbox("MAIL FROM:<\"a>b\"@c.example> SIZE=1"), "<\"a>b\"@c.example>");
    for (line, expected) in [
        ("MAIL FROM: <a@b.example>", SyntaxError::Space("MAIL FROM")),
        ("MAIL FROM:a@b.example", SyntaxError::Brackets("MAIL FROM")),
        ("MAIL FROM:<a@b.example", SyntaxError::Brackets("MAIL FROM")),
        ("MAIL FROM:<a@b.example>SIZE=1", SyntaxError::Brackets("MAIL FROM")),
        ("MAIL", SyntaxError::Brackets("MAIL FROM")),
        ("MAIL FROM:<a@b.example> SIZE=x", SyntaxError::Value("SIZE")),
        ("MAIL FROM:<a@b.example> SIZE=1 SIZE=2", SyntaxError::Twice("SIZE")),
        ("MAIL FROM:<a@b.example> FOO=1", SyntaxError::Parameter("FOO".into())),
        ("MAIL FROM:<a@b.example> NOTIFY=NEVER", SyntaxError::Misplaced("NOTIFY", "RCPT")),
        ("MAIL FROM:<a@b.example> ENVID=a+2b", SyntaxError::Value("ENVID")),
        ("MAIL FROM:<日本@b.example>", SyntaxError::NeedsSmtpUtf8),
        ("RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY", SyntaxError::Value("NOTIFY")),
        ("RCPT TO:<a@b.example> ORCPT=rfc822;a+b@c", SyntaxError::Value("ORCPT")),
        ("RCPT TO:<a@b.example> SIZE=1", SyntaxError::Misplaced("SIZE", "MAIL")),
        ("DATA now", SyntaxError::Superfluous("DATA")),
        ("EHLO", SyntaxError::Missing("EHLO", "your host name")),
        ("EHLO a b", SyntaxError::Name("EHLO")),
        ("BDAT", SyntaxError::Chunk),
        ("BDAT -1", SyntaxError::Chunk),
        ("BDAT 1 FIRST", SyntaxError::Chunk),
        ("NOOP \u{7}", SyntaxError::NotText),
    ] {
        assert_eq!(parse(line), Err(expected), "{line}");
    }
    assert!(matches!(parse("RCPT TO:<>"), Err(SyntaxError::Address(_))));
    assert!(matches!(parse("RCPT TO:<a@[192.0.2.1]>"), Err(SyntaxError::Address(AddressError::Literal(_)))));
}

#[test]
fn foreign_verbs_are_data() {
    assert_eq!(parse("GET / HTTP/1.1"), Ok(Command::Web("GET")));
    assert_eq!(parse("etrn x"), Ok(Command::NotServed("ETRN")));
    assert_eq!(parse("FROBNICATE x"), Ok(Command::Unknown("FROBNICATE")));
    assert_eq!(parse(""), Ok(Command::Unknown("")));
    assert_eq!(parse("quit  "), Ok(Command::Quit));
}

fn xtext() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["[!-*,-<>-~]".boxed(), Just("+2B".to_owned()).boxed()], 1..20)
        .prop_map(|parts| parts.concat())
}

fn mail_line() -> impl Strategy<Value = String> {
    let address = prop_oneof![Just(String::new()), "[a-z0-9]{1,9}(\\.[a-z]{1,5})?@[a-z]{1,9}\\.example"];
    let body = prop_oneof![Just(""), Just(" BODY=8BITMIME"), Just(" BODY=BINARYMIME")];
    let size = proptest::option::of(any::<u64>());
    let ret = prop_oneof![Just(""), Just(" RET=FULL"), Just(" RET=HDRS")];
    (address, size, body, ret, proptest::option::of(xtext()), any::<(bool, bool)>()).prop_map(
        |(address, size, body, ret, envid, (utf8, tls))| {
            let size = size.map_or(String::new(), |n| format!(" SIZE={n}"));
            let envid = envid.map_or(String::new(), |id| format!(" ENVID={id}"));
            let utf8 = if utf8 { " SMTPUTF8" } else { "" };
            let tls = if tls { " REQUIRETLS" } else { "" };
            format!("MAIL FROM:<{address}>{size}{body}{ret}{envid}{utf8}{tls}")
        },
    )
}

proptest! {
    #[test]
    fn printing_is_the_inverse_of_reading(line in mail_line()) {
        let command = parse(&line).unwrap();
        prop_assert_eq!(&command.to_string(), &line);
    }

    #[test]
    fn printing_what_was_read_reads_the_same(line in "(?i)(rcpt to:<[ -~]{0,30}> (notify|orcpt)=[ -~]{0,20}|bdat [0-9]{1,20}( last)?|[ -~]{0,60})") {
        if let Ok(command) = parse(&line) {
            let printed = command.to_string();
            let Ok(again) = parse(&printed) else { panic!("{printed:?} from {line:?}") };
            prop_assert_eq!(again.to_string(), printed);
        }
    }

    #[test]
    fn no_line_makes_it_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::parse(&line);
    }
}
