//! Sections `[[delivery.site]]` and `[[egress]]`: how much goes where, and from where.

use super::keys::{TLS_LEVEL, key, section};
use super::kind::Absent::{Is, Nothing, Required};
use super::kind::Kind::{Address, Choice, Domain, Integer, List, Pattern, Rate, Text};
use super::kind::{Occurs, Section};

pub(super) const SITE: Section = section(
    "delivery.site",
    Occurs::Repeated,
    "Limits for a group of destinations, by MX host or by recipient domain; the first match wins.",
    &[
        key(
            "name",
            Text,
            Nothing("\"google\""),
            "Its name in queue why and queue suspend; the first pattern if not written.",
        ),
        key("match_mx", List(&Pattern, 1), Nothing("[\"*.google.com\"]"), "MX hosts."),
        key("match_domain", List(&Pattern, 1), Nothing("[\"example.com\"]"), "Recipient domains."),
        key("connections", Integer(1, 10_000), Nothing("20"), "Connections at once."),
        key("messages_per_connection", Integer(1, 1_000_000), Nothing("100"), "Messages on one connection."),
        key("rate", Rate, Nothing("\"200/s\""), "Messages a second (/s), minute (/m) or hour (/h)."),
        key(
            "shared",
            Choice(&["group", "mx"]),
            Is("\"group\""),
            "Who shares the limits: group (all destinations that match) | mx (each set of MX hosts has them for itself)",
        ),
        key("tls", TLS_LEVEL, Nothing("\"verify\""), "The TLS level of these destinations."),
    ],
);

pub(super) const EGRESS: Section = section(
    "egress",
    Occurs::Repeated,
    "Source addresses; a tenant's policy names the pool that its letters leave from (egress_pool).",
    &[
        key("name", Text, Required("\"a\""), "Its name."),
        key("address", Address, Required("\"192.0.2.10\""), "The address that connections are bound to."),
        key(
            "ehlo",
            Domain,
            Nothing("\"mx1.relay.example\""),
            "The EHLO name that goes with it; the hostname if not written.",
        ),
        key("pool", Text, Is("\"default\""), "The pool that it belongs to; tenants that name none use \"default\"."),
        key("weight", Integer(1, 10_000), Is("1"), "Its share of the pool's letters, relative to the others'."),
        key(
            "warm_up",
            List(&Integer(1, 1_000_000_000), 0),
            Is("[]"),
            "Letters that it may take on its first day, its second, and so on; after the last one any number.",
        ),
        key("warm_up_from", Text, Nothing("\"2026-11-24\""), "The first day of warm_up, in UTC."),
    ],
);
