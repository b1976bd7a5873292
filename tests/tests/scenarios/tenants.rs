//! Tenants are walls.

use waxseal_tests::client::Client;

use crate::world::{mail, world};

fn from(domain: &str) -> Vec<u8> {
    String::from_utf8(mail("who am I")).unwrap().replace("sender@example.com", &format!("sender@{domain}")).into_bytes()
}

#[test]
fn a_credential_sends_only_as_its_tenants_domains_and_the_refusal_names_them() {
    let world = world();
    world.gateway.tenant("globex", &["globex.test"]);
    let mut client = world.gateway.client(&world.tenant);
    for foreign in ["examp1e.com", "globex.test", "sub.example.com"] {
        let reply = client.send("sender@example.com", &["someone@rcpt.test"], &from(foreign)).unwrap();
        assert_eq!(
            (reply.code, reply.text().split(" [s-").next().unwrap().to_owned()),
            (550, format!("5.7.1 From domain \"{foreign}\" is not one of tenant acme (example.com, mail.example.com)"))
        );
    }
    assert_eq!(client.send("sender@example.com", &["someone@rcpt.test"], &from("mail.example.com")).unwrap().code, 250);
    world.arrived(1);
}

#[test]
fn a_removed_credential_ends_at_once_and_a_secret_is_shown_once() {
    let world = world();
    let listed = world.gateway.cli(&["credential", "list", "--json"]).ok().stdout;
    assert!(listed.contains(&world.tenant.user) && !listed.contains(&world.tenant.secret), "{listed}");
    assert_eq!(world.gateway.places_with(world.tenant.secret.as_bytes()), Vec::<String>::new());
    world.gateway.cli(&["credential", "revoke", &world.tenant.user, "--yes"]).ok();
    let mut client = Client::connect(world.gateway.clear()).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    let refusal = client.auth_plain(&world.tenant.user, &world.tenant.secret).unwrap_err().to_string();
    assert!(refusal.contains("535"), "{refusal}");
}

#[test]
fn a_domain_without_an_active_key_is_told_to_wait() {
    let world = world();
    world.gateway.cli(&["domain", "add", "new.example.org", "--tenant", "acme"]).ok();
    let keys = world.gateway.cli(&["dkim", "list", "new.example.org", "--json"]).ok().json();
    assert!(keys.as_array().unwrap().iter().all(|key| key["state"] != "active"), "{keys}");
    let mut client = world.gateway.client(&world.tenant);
    let reply = client.send("sender@example.com", &["someone@rcpt.test"], &from("new.example.org")).unwrap();
    assert_eq!(reply.code, 451, "{}", reply.text());
    assert!(reply.text().starts_with("4.7.5 new.example.org has no active DKIM key"), "{}", reply.text());
}
