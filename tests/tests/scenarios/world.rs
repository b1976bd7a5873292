//! The world most stories start from: a gateway with one tenant, DNS, and a receiver that the DNS leads to.

use std::time::Duration;

use waxseal_tests::dns::Dns;
use waxseal_tests::gateway::{Gateway, Tenant};
use waxseal_tests::receiver::{Arrived, Receiver};
use waxseal_tests::setup::Setup;

/// How long a story waits for something that should happen at once; generous, for machines under load.
pub const SOON: Duration = Duration::from_secs(30);

/// A gateway that finds `receiver` through `dns` as the mail exchanger of `rcpt.test`.
pub struct World {
    pub gateway: Gateway,
    pub tenant: Tenant,
    pub receiver: Receiver,
    pub dns: Dns,
}

/// The usual world.
pub fn world() -> World {
    world_with(|_| ())
}

/// The usual world with a change to the configuration.
pub fn world_with(change: impl FnOnce(&mut Setup)) -> World {
    let receiver = Receiver::start().unwrap();
    let dns = Dns::start().unwrap();
    dns.mx("rcpt.test", 10, "mx.rcpt.test").a("mx.rcpt.test", [127, 0, 0, 1].into());
    let mut setup = Setup::new();
    setup.dns(&dns, receiver.address().port());
    change(&mut setup);
    let gateway = setup.start();
    let tenant = gateway.tenant("acme", &["example.com", "mail.example.com"]);
    for (name, text) in &tenant.records {
        dns.txt(name, text);
    }
    World { gateway, tenant, receiver, dns }
}

/// A gateway that sends everything to `to`, with one tenant.
pub fn routed_to(to: std::net::SocketAddr, change: impl FnOnce(&mut Setup)) -> (Gateway, Tenant) {
    let mut setup = Setup::new();
    setup.route_all(to);
    change(&mut setup);
    let gateway = setup.start();
    let tenant = gateway.tenant("acme", &["example.com", "mail.example.com"]);
    (gateway, tenant)
}

impl World {
    /// Sends one mail to `to` and returns its id.
    #[track_caller]
    pub fn submit(&self, to: &[&str], message: &[u8]) -> String {
        self.gateway.submit(&self.tenant, "sender@example.com", to, message)
    }

    /// Waits until the receiver took `count` mails.
    pub fn arrived(&self, count: usize) -> Vec<Arrived> {
        self.receiver.wait_for(count, SOON)
    }
}

/// A plain mail with this subject.
pub fn mail(subject: &str) -> Vec<u8> {
    format!(
        "From: Acme <sender@example.com>\r\nTo: <someone@rcpt.test>\r\nSubject: {subject}\r\n\
         Date: Mon, 23 Nov 2026 14:05:09 +0000\r\nMessage-ID: <{}@example.com>\r\n\r\nHello.\r\n",
        subject.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
    )
    .into_bytes()
}
