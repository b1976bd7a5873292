//! The load generator and the sink as a program, for the benches and for trying a relay by hand.
//!
//! `waxseal-load sink LISTEN CONTROL [EXTENSION]…` counts mails; each connection to CONTROL gets one line of JSON.
//! `waxseal-load generate --server ADDRESS …` sends, then prints one object of JSON.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use waxseal_tests::load::{self, Load, quantile};
use waxseal_tests::sink::Sink;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "\
waxseal-load sink LISTEN CONTROL [EXTENSION]...
waxseal-load generate --server ADDRESS [--messages N] [--sessions N] [--size OCTETS] [--user U --secret S]
    [--sender ADDRESS] [--recipient ADDRESS] [--per-connection N] [--prefix TEXT] [--seconds N]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("sink") => sink(&arguments[1..]),
        Some("generate") => generate(&arguments[1..]),
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("waxseal-load: {failure}");
            ExitCode::from(2)
        }
    }
}

fn sink(arguments: &[String]) -> Result<(), Failure> {
    let [listen, control, extensions @ ..] = arguments else { return Err(USAGE.into()) };
    let extensions: Vec<&str> = extensions.iter().map(String::as_str).collect();
    let sink = Sink::start(listen.parse()?, &extensions)?;
    let control = TcpListener::bind(control.parse::<SocketAddr>()?)?;
    println!("{}", json!({ "listen": sink.address().to_string(), "control": control.local_addr()?.to_string() }));
    for socket in control.incoming() {
        let counts = sink.counts();
        let doubled: usize = counts.ids.values().map(|times| times - 1).sum();
        let line = json!({
            "mails": counts.mails, "signed": counts.signed, "signatures": counts.signatures, "octets": counts.octets,
            "connections": counts.connections, "first": counts.first, "last": counts.last,
            "ids": counts.ids.len(), "doubled": doubled,
        });
        // Who asked may have gone; the next one is served all the same.
        let _ = writeln!(socket?, "{line}");
    }
    Ok(())
}

fn generate(arguments: &[String]) -> Result<(), Failure> {
    let mut options: HashMap<&str, &str> = HashMap::new();
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} needs a value\n{USAGE}", pair[0]).into()) };
        options.insert(name.strip_prefix("--").ok_or(USAGE)?, value);
    }
    let mut take = |name: &str| options.remove(name);
    let mut load = Load::to(take("server").ok_or("--server is missing")?.parse()?);
    if let Some(count) = take("messages") {
        load.messages = count.parse()?;
    }
    if let Some(count) = take("sessions") {
        load.sessions = count.parse()?;
    }
    if let Some(octets) = take("size") {
        load.size = octets.parse()?;
    }
    if let Some(count) = take("per-connection") {
        load.per_connection = count.parse()?;
    }
    if let Some(seconds) = take("seconds") {
        load.at_most = Duration::from_secs(seconds.parse()?);
    }
    if let (Some(user), Some(secret)) = (take("user"), take("secret")) {
        load.credential = Some((user.to_owned(), secret.to_owned()));
    }
    for (name, field) in
        [("sender", &mut load.sender), ("recipient", &mut load.recipient), ("prefix", &mut load.prefix)]
    {
        if let Some(text) = take(name) {
            text.clone_into(field);
        }
    }
    if let Some(unknown) = options.keys().next() {
        return Err(format!("unknown option --{unknown}\n{USAGE}").into());
    }
    report(&load::run(load));
    Ok(())
}

fn report(outcome: &load::Outcome) {
    let times = |sorted: &[f64]| json!({ "p50": quantile(sorted, 0.5), "p99": quantile(sorted, 0.99) });
    println!(
        "{}",
        json!({
            "acknowledged": outcome.acknowledged.len(), "began": outcome.began, "seconds": outcome.seconds,
            "final_reply_ms": times(&outcome.final_reply), "transaction_ms": times(&outcome.transaction),
            "temporary": outcome.temporary, "permanent": outcome.permanent, "broken": outcome.broken,
            "trouble": outcome.last_trouble,
        })
    );
}
