//! Client software that nobody here wrote sends through the gateway.

use std::path::PathBuf;

use waxseal_tests::gateway::Gateway;
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers::{self, Postfix};

use crate::mails;
use crate::signatures::assert_both;
use crate::world::{SOON, World, mail, world};

fn authority(gateway: &Gateway) -> String {
    gateway.folder().join("authority.pem").display().to_string()
}

fn file(gateway: &Gateway, name: &str, content: &[u8]) -> PathBuf {
    let path = gateway.folder().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn swaks_sends_over_starttls_with_plain_and_login() {
    if !need::all(&[Need::Swaks]) {
        return;
    }
    let world = world();
    let server = format!("127.0.0.1:{}", world.gateway.starttls().port());
    let body = file(&world.gateway, "swaks.eml", &mail("from swaks"));
    for (count, mechanism) in ["PLAIN", "LOGIN"].into_iter().enumerate() {
        let said = peers::swaks(&[
            "--server",
            &server,
            "--tls",
            "--tls-verify",
            "--tls-ca-path",
            &authority(&world.gateway),
            "--auth",
            mechanism,
            "--auth-user",
            &world.tenant.user,
            "--auth-password",
            &world.tenant.secret,
            "--from",
            "sender@example.com",
            "--to",
            "someone@rcpt.test",
            "--data",
            &format!("@{}", body.display()),
        ])
        .unwrap();
        assert!(said.contains("250 2.0.0 queued as "), "{said}");
        assert!(world.arrived(count + 1).pop().unwrap().text().contains("ESMTPSA"));
    }
}

#[test]
fn swaks_is_refused_with_a_wrong_password_and_without_tls() {
    if !need::all(&[Need::Swaks]) {
        return;
    }
    let world = world();
    let server = format!("127.0.0.1:{}", world.gateway.starttls().port());
    let arguments = ["--server", &server, "--from", "sender@example.com", "--to", "someone@rcpt.test"];
    let wrong = ["--tls", "--auth", "PLAIN", "--auth-user", &world.tenant.user, "--auth-password", "wrong"];
    let refusal = peers::swaks(&[&arguments[..], &wrong[..]].concat()).unwrap_err().to_string();
    assert!(refusal.contains("535 5.7.8"), "{refusal}");
    let refusal = peers::swaks(&arguments).unwrap_err().to_string();
    assert!(refusal.contains("530 5.7.0"), "{refusal}");
    assert_eq!(world.receiver.arrived().len(), 0);
}

#[test]
fn python_sends_in_every_way_a_listener_offers() {
    if !need::all(&[Need::Python]) {
        return;
    }
    let world = world();
    let path =
        file(&world.gateway, "python.eml", &mails::all().into_iter().find(|(kind, _)| *kind == "eight-bit").unwrap().1);
    let doors = [
        ("starttls", world.gateway.starttls()),
        ("implicit", world.gateway.implicit()),
        ("clear", world.gateway.clear()),
    ];
    for (count, (mode, door)) in doors.into_iter().enumerate() {
        peers::smtplib(&[
            &door.port().to_string(),
            mode,
            &authority(&world.gateway),
            &world.tenant.user,
            &world.tenant.secret,
            "sender@example.com",
            "someone@rcpt.test,other@rcpt.test",
            &path.display().to_string(),
        ])
        .unwrap();
        let arrived = world.arrived(count + 1).pop().unwrap();
        assert_eq!(arrived.recipients().len(), 2, "one transaction for both recipients");
    }
}

#[test]
fn nodemailer_composes_and_sends_and_its_numbers_are_gone_on_arrival() {
    if !need::all(&[Need::Nodemailer, Need::Dkimpy]) {
        return;
    }
    let world = world();
    let said = peers::nodemailer(&[
        &world.gateway.starttls().port().to_string(),
        &authority(&world.gateway),
        &world.tenant.user,
        &world.tenant.secret,
        "sender@example.com",
        "someone@rcpt.test",
    ])
    .unwrap();
    assert!(said.contains("queued as"), "{said}");
    let arrived = world.arrived(1).remove(0);
    assert_both("dkimpy", "nodemailer", &peers::dkimpy(&arrived.message, &world.tenant.records));
    assert!(!arrived.text().contains("4111 1111"), "{}", arrived.text());
}

/// A Postfix that relays to the gateway over TLS and signs in with one mechanism only.
fn postfix_before(world: &World, mechanism: &str) -> Postfix {
    let (user, secret) = (&world.tenant.user, &world.tenant.secret);
    let next = world.gateway.starttls();
    Postfix::relaying_to(
        next,
        &[
            "smtp_tls_security_level = encrypt".to_owned(),
            "smtp_sasl_auth_enable = yes".to_owned(),
            format!("smtp_sasl_password_maps = inline:{{ {{ [{}]:{} = {user}:{secret} }} }}", next.ip(), next.port()),
            "smtp_sasl_security_options = noanonymous".to_owned(),
            format!("smtp_sasl_mechanism_filter = {mechanism}"),
        ],
    )
}

#[test]
fn postfix_relays_through_the_gateway_with_each_sasl_mechanism() {
    if !need::all(&[Need::Postfix]) {
        return;
    }
    let world = world();
    for (count, mechanism) in ["plain", "login", "scram-sha-256"].into_iter().enumerate() {
        let postfix = postfix_before(&world, mechanism);
        let mut client = waxseal_tests::client::Client::connect(postfix.address()).unwrap();
        client.expect("EHLO app.example", 250).unwrap();
        assert_eq!(client.send("sender@example.com", &["someone@rcpt.test"], &mail(mechanism)).unwrap().code, 250);
        let event = world.gateway.wait_event("smtp.auth", SOON, |event| {
            event["ok"] == true && event["mechanism"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(mechanism))
        });
        assert_eq!(event["user"], world.tenant.user.as_str());
        world.arrived(count + 1);
    }
}

#[test]
fn smtp_source_sends_in_parallel_through_postfix_and_nothing_is_lost() {
    if !need::all(&[Need::Postfix, Need::SmtpTools]) {
        return;
    }
    let world = world();
    let postfix = postfix_before(&world, "plain");
    let target = format!("127.0.0.1:{}", postfix.address().port());
    peers::run(std::process::Command::new("smtp-source").args([
        "-s",
        "5",
        "-m",
        "60",
        "-l",
        "5000",
        "-f",
        "sender@example.com",
        "-t",
        "someone@rcpt.test",
        &target,
    ]))
    .unwrap();
    assert_eq!(world.arrived(60).len(), 60);
}
