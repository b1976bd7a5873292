//! The courier against servers that stall, close, babble and lie.

mod dialogues;
mod faults;
mod pooling;
mod server;
mod tls;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::connect::default_timeouts;
use super::outcome::Outcome;
use super::{Courier, Transaction};
use crate::clock::Timestamp;
use crate::config::Delivery;
use crate::ids::LetterId;
use crate::message::{Recipient, ReversePath};
use crate::resolver::StaticResolver;
use crate::sign::TlsLevel;
use server::{Pipes, Script, Server};

const MESSAGE: &[u8] = b"From: shop@acme.example\r\nTo: ann@there.example\r\nSubject: hello\r\n\r\n\
    line\r\n.dot\r\n..two\r\nlast\r\n";

fn delivery() -> Delivery {
    Delivery {
        tls: TlsLevel::Opportunistic,
        mta_sts: false,
        dane: false,
        ca_file: None,
        routes: Vec::new(),
        sites: Vec::new(),
        connections_per_destination: 10,
        connections: 100,
        timeouts: default_timeouts(),
    }
}

/// `there.example` with one MX host for each server, `mx1.there.example` (192.0.2.1) the best.
fn courier_for(delivery: Delivery, servers: &[Arc<Server>], capacity: usize) -> Courier {
    let mut dns = StaticResolver::new();
    let mut by_address = HashMap::new();
    for (place, server) in servers.iter().enumerate() {
        let host = format!("mx{}.there.example", place + 1);
        let address: IpAddr = format!("192.0.2.{}", place + 1).parse().unwrap();
        dns = dns.with_mx("there.example", 10 * (place as u16 + 1), &host).with_address(&host, address);
        by_address.insert(address, Arc::clone(server));
    }
    let pipes = Pipes { servers: by_address, capacity };
    Courier::of_parts(delivery, Vec::new(), 25, Arc::new(dns), Arc::new(pipes))
}

fn courier(servers: &[Arc<Server>]) -> Courier {
    courier_for(delivery(), servers, 64 * 1024)
}

fn transaction(courier: &Courier, to: &[&str]) -> Transaction {
    let recipients: Vec<Recipient> = to.iter().map(|address| Recipient::new(address.parse().unwrap())).collect();
    Transaction {
        id: LetterId::new(Timestamp::from_millis(0)),
        destination: courier.destination(recipients[0].address.domain()),
        reverse_path: ReversePath::Mailbox("shop@acme.example".parse().unwrap()),
        recipients,
        message: Bytes::from_static(MESSAGE),
        smtputf8: false,
        eight_bit: false,
        require_tls: false,
        return_content: None,
        envelope_id: None,
        tls: TlsLevel::Opportunistic,
        report: false,
        egress_pool: None,
    }
}

async fn deliver_one(courier: &Courier) -> Outcome {
    let mut outcomes = courier.deliver(&transaction(courier, &["ann@there.example"])).await;
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered(_) => "delivered",
        Outcome::TryLater(_) => "try-later",
        Outcome::Refused(_) => "refused",
    }
}

/// Every way in which a server may take the envelope and the message.
fn modes() -> [Vec<&'static str>; 4] {
    [vec!["PIPELINING", "CHUNKING"], vec!["PIPELINING"], vec!["CHUNKING"], vec![]]
}

fn with(change: impl FnOnce(&mut Script)) -> Script {
    let mut script = Script::default();
    change(&mut script);
    script
}
