//! Posts by mail: swaks brings a signed mail to a tenant's address, and one whose signature does not hold any more.

use waxseal_tests::dns::Dns;
use waxseal_tests::gateway::Gateway;
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers;
use waxseal_tests::receiver::Receiver;
use waxseal_tests::setup::{Setup, free_port};

use crate::world::SOON;

const ADDRESS: &str = "questions@help.example";

fn swaks(gateway: &Gateway, door: u16, to: &str, message: &[u8]) -> std::io::Result<String> {
    let file = gateway.folder().join("post.eml");
    std::fs::write(&file, message)?;
    let (server, data) = (format!("127.0.0.1:{door}"), format!("@{}", file.display()));
    peers::swaks(&["--server", &server, "--from", "ann@example.com", "--to", to, "--data", &data])
}

#[test]
fn a_mail_becomes_a_post_and_one_that_is_not_proven_waits_for_a_person() {
    if !need::all(&[Need::Swaks]) {
        return;
    }
    let (receiver, dns, door) = (Receiver::start().unwrap(), Dns::start().unwrap(), free_port());
    let mut setup = Setup::new();
    setup.set("dns", "servers", format!("[\"{}\"]", dns.address())).tables(&format!(
        "\n[[listen]]\nname = \"posts\"\naddr = [\"127.0.0.1:{door}\"]\nkind = \"posts\"\ntls = \"none\"\n"
    ));
    setup.route_all(receiver.address());
    let mut gateway = setup.start();
    let writer = gateway.tenant("writers", &["example.com"]);
    for (name, text) in &writer.records {
        dns.txt(name, text);
    }
    dns.txt("_dmarc.example.com", "v=DMARC1; p=reject");
    let file = gateway.folder().join("tenants.toml");
    std::fs::write(&file, format!("[[tenant]]\nname = \"helpers\"\npolicy = {{ posts_address = \"{ADDRESS}\" }}\n"))
        .unwrap();
    gateway.cli(&["tenant", "apply", "-f", &file.display().to_string(), "--yes"]).ok();

    // A mail that bears real signatures: what the gateway itself sends for another tenant.
    let mail = "From: Ann <ann@example.com>\r\nTo: <questions@help.example>\r\nSubject: My invoice\r\n\
                Date: Mon, 23 Nov 2026 14:05:09 +0000\r\nMessage-ID: <1@example.com>\r\n\r\n\
                How do I change the address on my invoice?\r\n";
    gateway.submit(&writer, "ann@example.com", &["someone@rcpt.test"], mail.as_bytes());
    let signed = receiver.wait_for(1, SOON).remove(0).message;

    let refused = swaks(&gateway, door, "nobody@help.example", &signed).unwrap_err().to_string();
    assert!(refused.contains("550 5.1.1"), "{refused}");
    swaks(&gateway, door, ADDRESS, &signed).unwrap();
    let checked = gateway.wait_event("post.checked", SOON, |event| event["tenant"] == "helpers");
    assert_eq!(checked["verdict"], "published", "{checked}");
    let shown =
        gateway.cli(&["post", "show", checked["id"].as_str().unwrap(), "--tenant", "helpers", "--json"]).ok().json();
    assert_eq!((shown["author"].as_str(), shown["title"].as_str()), (Some("ann@example.com"), Some("My invoice")));
    assert!(shown["context"].as_str().unwrap().contains("dkim=pass dmarc=pass"), "{shown}");

    let altered = String::from_utf8(signed).unwrap().replace("on my invoice?", "on my last invoice?");
    swaks(&gateway, door, ADDRESS, altered.as_bytes()).unwrap();
    let other = |event: &serde_json::Value| event["tenant"] == "helpers" && event["id"] != checked["id"];
    let checked = gateway.wait_event("post.checked", SOON, other);
    assert_eq!(checked["verdict"], "held", "{checked}");
    let shown =
        gateway.cli(&["post", "show", checked["id"].as_str().unwrap(), "--tenant", "helpers", "--json"]).ok().json();
    assert!(shown["context"].as_str().unwrap().contains("dkim=fail dmarc=fail"), "{shown}");
    assert!(shown["causes"].to_string().contains("could not be verified"), "{shown}");

    // Held posts and suppression lists come back with a backup, too.
    gateway.cli(&["suppression", "add", "gone@rcpt.test", "--tenant", "writers"]).ok();
    let backups = tempfile::tempdir().unwrap();
    let backup = backups.path().join("monday").display().to_string();
    gateway.cli(&["backup", "create", &backup]).ok();
    gateway.kill();
    std::fs::remove_dir_all(gateway.data_dir()).unwrap();
    gateway.cli(&["backup", "restore", &backup]).ok();
    gateway.start();
    let held = gateway.cli(&["post", "list", "--state", "held", "--tenant", "helpers"]).ok();
    assert!(held.stdout.contains("My invoice"), "{held:?}");
    let list = gateway.cli(&["suppression", "list", "--tenant", "writers", "--json"]).ok();
    assert!(list.stdout.contains("gone@rcpt.test"), "{list:?}");
}
