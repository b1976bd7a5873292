//! The pages as people use them: Chromium drives the real binary, from the first owner on the command line to every
//! page in both languages and themes, with and without scripts.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use waxseal_tests::dns::Dns;
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers;
use waxseal_tests::setup::{Setup, free_port};

const OWNER: &str = "owner@example.com";

/// A process that ends with the test.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn provider(port: u16, back: &str) -> Ending {
    let mut command = Command::new("node");
    command.arg(peers::script("oidc_provider.js")).args([&port.to_string(), back]);
    command.env("NODE_MODULES", need::peers().join("node/node_modules"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // It may warn about its development settings before.
    while !line.contains("ready") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0, "the provider did not start");
    }
    // It goes on warning; a closed pipe would end it.
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    Ending(child)
}

#[test]
fn people_enter_and_work_by_every_way_that_a_browser_has() {
    if !need::all(&[Need::Chromium, Need::OidcProvider]) {
        return;
    }
    let (web, sso, nobody) = (free_port(), free_port(), free_port());
    let base = format!("http://127.0.0.1:{web}");
    let issuer = format!("http://127.0.0.1:{sso}");
    let _provider = provider(sso, &format!("{base}/login/oidc/return"));
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "a secret of the test").unwrap();

    let mut setup = Setup::new();
    let dns = Dns::start().unwrap();
    setup.set("dns", "servers", format!("[\"{}\"]", dns.address()));
    setup.route_all(([127, 0, 0, 1], nobody).into());
    setup.tables(&format!("\n[[listen]]\nname = \"web\"\naddr = [\"127.0.0.1:{web}\"]\nkind = \"http\"\n"));
    setup.set("web", "sso_issuer", format!("\"{issuer}\""));
    setup.set("web", "sso_client_id", "\"waxseal\"");
    setup.set("web", "sso_client_secret", format!("\"file:{}\"", secret.path().display()));
    setup.set("web", "mail_from", "\"security@example.com\"");
    let gateway = setup.start();
    let tenant = gateway.tenant("acme", &["example.com"]);
    let message = b"From: support@example.com\r\nTo: jane@customer.test\r\nSubject: Your receipt\r\n\r\nThank you.\r\n";
    let id = gateway.submit(&tenant, "support@example.com", &["jane@customer.test"], message);
    gateway.wait_event("message.deferred", Duration::from_secs(30), |event| event["id"] == id.as_str());

    // One key's record was cut off on its way, the other is right: the domain's page shows both and where they differ.
    let records = gateway.cli(&["domain", "records", "example.com", "--format", "json"]).ok().json();
    for record in records["records"].as_array().unwrap().iter().filter(|record| record["purpose"] == "dkim-key") {
        let (owner, value) = (record["owner"].as_str().unwrap(), record["value"].as_str().unwrap());
        dns.txt(owner, &value[..value.len().min(255)]);
    }
    assert_eq!(gateway.cli(&["domain", "check", "example.com"]).code, 3);

    let made = gateway.cli(&["user", "add", OWNER, "--role", "owner", "--json"]).ok().json();
    let told = json!({
        "base": base,
        "email": OWNER,
        "password": made["initial_password"],
        "domain": "example.com",
        "messages": [id],
        "oidc": { "issuer": issuer, "subject": OWNER },
        "shots": std::env::var("WAXSEAL_SHOTS").ok(),
    });
    let script = peers::script("pages.js");
    let modules = need::peers().join("node/node_modules");
    peers::run(Command::new("node").arg(script).arg(told.to_string()).env("NODE_MODULES", modules)).unwrap();

    // A new browser was told of by mail, through the queue, and what was done stands in the audit, whole.
    let mail = gateway.wait_event("message.accepted", Duration::from_secs(30), |event| event["to"][0] == OWNER);
    assert_eq!(mail["from"], "security@example.com");
    let report = gateway.cli(&["audit", "verify", "--json"]).ok().json();
    assert!(report["lines"].as_u64().unwrap() > 20, "{report}");
    let lines = gateway.cli(&["audit", "show", "--limit", "1000", "--json"]).ok().json().to_string();
    for told in [
        "turned the second factor on",
        "changed the password",
        "added domain noscript.example",
        "bound owner@example.com",
    ] {
        assert!(lines.contains(told), "the audit does not say: {told}");
    }
    let events = gateway.events();
    let failures = events.iter().filter(|event| event["event"] == "authn.failure").count();
    assert_eq!(failures, 0, "no sign-in of the story was wrong");
}

#[test]
fn a_token_sees_its_own_tenant_and_what_its_role_may() {
    let web = free_port();
    let mut setup = Setup::new();
    setup.tables(&format!("\n[[listen]]\nname = \"web\"\naddr = [\"127.0.0.1:{web}\"]\nkind = \"http\"\n"));
    let gateway = setup.start();
    for (tenant, domain) in [("acme", "acme.example"), ("bravo", "bravo.example")] {
        gateway.cli(&["tenant", "add", tenant]).ok();
        gateway.cli(&["domain", "add", domain, "--tenant", tenant]).ok();
    }
    let token = |role: &str, tenant: &str| {
        let made = gateway.cli(&["token", "new", "--role", role, "--tenant", tenant, "--json"]).ok().json();
        made["secret"].as_str().unwrap().to_owned()
    };
    let ask = |token: &str, method: &str, path: &str| {
        let mut socket = TcpStream::connect(("127.0.0.1", web)).unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        socket.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse::<u16>().unwrap(), body.to_owned())
    };
    let admin = token("admin", "acme");
    let (status, body) = ask(&admin, "GET", "/v1/domains");
    assert!(status == 200 && body.contains("acme.example") && !body.contains("bravo"), "{body}");
    assert_eq!(ask(&admin, "GET", "/v1/domains/bravo.example").0, 404);
    let (status, body) = ask(&admin, "GET", "/v1/domains/acme.example/records?format=bind");
    assert!(status == 200 && body.contains("_domainkey"), "{body}");
    let moderator = token("moderator", "acme");
    assert_eq!(ask(&moderator, "GET", "/v1/domains").0, 403);
    assert_eq!(ask(&token("auditor", "acme"), "POST", "/v1/domains/acme.example:check").0, 403);
    let (status, body) = ask("wxtnonsense", "GET", "/v1/queue");
    assert!(status == 401 && body.contains("\"title\":\"Unauthorized\""), "{body}");

    let id = gateway.cli(&["token", "list", "--json"]).ok().json()[0]["id"].as_str().unwrap().to_owned();
    gateway.cli(&["token", "revoke", &id, "--yes"]).ok();
    let left = gateway.cli(&["token", "list", "--json"]).ok().json();
    assert_eq!(left.as_array().map(Vec::len), Some(2));
}
