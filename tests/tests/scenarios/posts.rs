//! Posts for help centers, through the real binary: clients that nobody here wrote, the API, the command line, a crash.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use waxseal_tests::gateway::Gateway;
use waxseal_tests::need::{self, Need};
use waxseal_tests::setup::{Setup, free_port};
use waxseal_tests::tidy::root;

struct Center {
    gateway: Gateway,
    web: SocketAddr,
    token: String,
}

impl Center {
    fn new() -> Self {
        let web = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut setup = Setup::new();
        setup.tables(&format!("\n[[listen]]\nname = \"web\"\naddr = [\"{web}\"]\nkind = \"http\"\n"));
        let gateway = setup.start();
        gateway.cli(&["tenant", "add", "acme"]).ok();
        let token = gateway.cli(&["token", "new", "--role", "moderator", "--tenant", "acme", "--json"]).ok().json();
        let token = token["secret"].as_str().unwrap().to_owned();
        Self { gateway, web, token }
    }

    /// One request of the API; status and JSON.
    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        use std::io::{Read, Write};
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut socket = std::net::TcpStream::connect(self.web).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.web,
            self.token,
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

#[test]
fn akismets_clients_of_pypi_and_npm_work_unchanged() {
    if !need::all(&[Need::AkismetClients]) {
        return;
    }
    let center = Center::new();
    let url = format!("http://{}", center.web);
    let script = |name: &str| root().join("tests/peers").join(name);
    let python = Command::new(need::peers().join("venv/bin/python"))
        .arg(script("akismet_client.py"))
        .args([&url, &center.token])
        .output()
        .unwrap();
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    let answers: Value = serde_json::from_slice(&python.stdout).unwrap();
    assert_eq!(
        answers,
        json!({"verify": true, "wrong_key": false, "good": "HAM", "test": "SPAM", "spam": true, "ham": true, "limit": "none"})
    );
    let node = Command::new("node")
        .arg(script("akismet_client.mjs"))
        .args([&url, &center.token])
        .arg(need::peers().join("node"))
        .output()
        .unwrap();
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    let answers: Value = serde_json::from_slice(&node.stdout).unwrap();
    assert_eq!(answers, json!({"verify": true, "good": "ham", "test": "spam", "submitted": true}));
    let (_, page) = center.ask("GET", "/v1/posts?state=spam", &Value::Null);
    assert!(page["posts"].as_array().unwrap().len() >= 2, "what was reported is decided: {page}");
}

#[test]
fn a_post_is_screened_decided_undone_and_outlives_a_crash() {
    let mut center = Center::new();
    let good = json!({"id": "good", "text": "How do I change the address on my invoice?", "author": "ann"});
    let (status, answer) = center.ask("POST", "/v1/posts", &good);
    assert_eq!((status, answer["verdict"].as_str()), (201, Some("published")), "{answer}");
    let card = json!({"id": "card", "text": "please refund to 4111 1111 1111 1111", "author": "bob"});
    let (status, answer) = center.ask("POST", "/v1/posts", &card);
    assert_eq!((status, answer["card_numbers"].as_u64()), (201, Some(1)), "{answer}");
    center.gateway.cli(&["post", "spam", "card", "--json"]).ok();
    center.gateway.kill();
    center.gateway.start();
    let shown = center.gateway.cli(&["post", "show", "card", "--json"]).ok().json();
    assert_eq!(
        (shown["state"].as_str(), shown["text"].as_str()),
        (Some("spam"), Some("please refund to **** **** **** 1111"))
    );
    center.gateway.cli(&["post", "undo", "card"]).ok();
    center.gateway.wait_event("post.undone", Duration::from_secs(10), |event| event["id"] == "card");
    assert_eq!(center.gateway.cli(&["post", "show", "none"]).code, 4);
    let banned =
        center.gateway.cli(&["author", "ban", "bob", "--hide-posts-since", "2020-01-01T00:00:00Z", "--yes"]).ok();
    assert!(banned.stdout.contains("banned"), "{banned:?}");
    let (_, answer) =
        center.ask("POST", "/v1/posts", &json!({"id": "b2", "text": "a good question?", "author": "bob"}));
    assert_eq!(answer["verdict"], "spam");
    center.gateway.cli(&["author", "unban", "bob"]).ok();
    assert_eq!(center.gateway.places_with(b"4111 1111"), Vec::<String>::new());
    assert_eq!(center.gateway.places_with(b"4111111111111111"), Vec::<String>::new());
    let metrics = center.gateway.metrics_text().unwrap();
    assert!(metrics.contains("waxseal_post_verdicts_total"), "{metrics}");
}

#[test]
fn a_moderator_works_through_the_queue_in_a_real_browser() {
    if !need::all(&[Need::Chromium]) {
        return;
    }
    let center = Center::new();
    let password = center.gateway.folder().join("password");
    std::fs::write(&password, "three wet herons fly").unwrap();
    let password = password.display().to_string();
    for email in ["kim@acme.example", "lee@acme.example"] {
        let words = ["user", "add", email, "--role", "moderator", "--tenant", "acme", "--password-file", &password];
        center.gateway.cli(&words).ok();
    }
    let stories = Command::new("node")
        .arg(root().join("tests/peers/moderation.js"))
        .args([&format!("http://{}", center.web), &center.token, "three wet herons fly"])
        .arg(need::peers().join("node"))
        .args(std::env::var("WAXSEAL_SHOTS").ok())
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&stories.stdout), String::from_utf8_lossy(&stories.stderr));
    assert!(stories.status.success(), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("ok ")).count(), 10, "{told}");
}
