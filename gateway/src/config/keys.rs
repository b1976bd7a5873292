//! The table of keys: every section and key of the file with kind, default and one line on what it is for.
//!
//! A default is written as it would stand in the file and goes through the same check as what an operator writes.

use super::kind::{Absent, Key, Kind, Occurs, Section};

pub(super) const fn key(name: &'static str, kind: Kind, default: Absent, doc: &'static str) -> Key {
    Key { name, kind, default, doc }
}

pub(super) const fn section(path: &'static str, occurs: Occurs, doc: &'static str, keys: &'static [Key]) -> Section {
    Section { path, occurs, doc, keys, more: &[] }
}

use Absent::{Is, Nothing, Required};
use Kind::{
    Boolean, Choice, Domain, Endpoint, Fraction, Integer, Keep, List, Mailbox, MaybePath, Network, Path, Pattern,
    Secret, Server, Size, Socket, Span, Text, Url,
};
use Occurs::{Once, Optional, Repeated};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
pub(super) const DAY: u64 = 86_400;
pub(super) const YEARS: u64 = 3650 * DAY;
const MB: u64 = 1_000_000;
const TB: u64 = 1_000_000_000_000;
pub(super) const TLS_LEVEL: Kind = Choice(&["opportunistic", "require", "verify", "dane-only"]);

/// The whole file, in the order of the example.
pub(super) const SECTIONS: &[Section] = &[
    section(
        "",
        Once,
        "Sizes and times are strings: \"25MB\" (MB = 1,000,000 octets, MiB = 1,048,576), \"5d\", \"1m\", \"250ms\".\n\
        Secrets are references: \"file:PATH\", \"env:NAME\" or \"cred:NAME\" (a systemd credential).\n\
        The environment overrides a key of a [section]: WAXSEAL__LIMITS__MESSAGE_SIZE=30MB.",
        &[
            key("version", Integer(1, 1), Is("1"), "The version of this file's format."),
            key(
                "hostname",
                Domain,
                Required("\"mx1.relay.example\""),
                "The name of this gateway: EHLO, Received, and what the PTR record of its address says.",
            ),
            key(
                "data_dir",
                Path,
                Is("\"/var/lib/waxseal\""),
                "Everything that is kept: queue, tenants, keys, control socket.",
            ),
        ],
    ),
    Section {
        path: "listen",
        occurs: Repeated,
        doc: "The doors; any number.",
        keys: &[
            key("name", Text, Required("\"submission\""), "Its name in metrics and events."),
            key("addr", List(&Socket, 1), Required("[\"[::]:587\", \"[::]:2525\"]"), "Addresses with ports."),
            key(
                "kind",
                Choice(&["submission", "bounce", "posts", "http", "metrics"]),
                Required("\"submission\""),
                "submission | bounce (what comes back to return-path tokens) | posts | http | metrics",
            ),
            key(
                "tls",
                Choice(&["starttls-required", "starttls", "implicit", "none"]),
                Nothing("\"starttls-required\""),
                "starttls-required (default of submission) | starttls (default of bounce and posts) | implicit | none (default of http and metrics; loopback addresses only)",
            ),
            key(
                "proxy_from",
                List(&Network, 0),
                Is("[]"),
                "Networks of load balancers that speak the PROXY protocol here; from these it is then required.",
            ),
            key(
                "public_url",
                Url,
                Nothing("\"https://mail.example\""),
                "The address that browsers use for an http listener.",
            ),
        ],
        more: &[
            "name = \"web\"\naddr = [\"127.0.0.1:8080\"]\nkind = \"http\"\npublic_url = \"https://mail.example\"",
            "name = \"metrics\"\naddr = [\"127.0.0.1:9464\"]\nkind = \"metrics\"",
        ],
    },
    section(
        "tls",
        Optional,
        "The certificate of the listeners; read again on reload.",
        &[
            key(
                "certificate",
                Secret,
                Required("\"file:/etc/waxseal/tls/fullchain.pem\""),
                "The chain in PEM, this host's certificate first.",
            ),
            key("key", Secret, Required("\"cred:tls-key\""), "Its private key in PEM."),
        ],
    ),
    section(
        "store",
        Once,
        "The queue's store.",
        &[key("engine", Choice(&["sled"]), Is("\"sled\""), "sled is the only engine so far.")],
    ),
    section(
        "crypto",
        Once,
        "Everything at rest is sealed.",
        &[key(
            "kek",
            Secret,
            Required("\"cred:kek\""),
            "The key-encryption key: 32 octets in hexadecimal or base64. It wraps every data key; without it nothing can be read again.",
        )],
    ),
    section(
        "limits",
        Once,
        "Bounds on everything that comes from outside.",
        &[
            key("message_size", Size(1000, 2 * 1000 * MB), Is("\"25MB\""), "The largest message (SIZE)."),
            key(
                "recipients",
                Integer(100, 100_000),
                Is("1000"),
                "Recipients of one message; RFC 5321 wants at least 100.",
            ),
            key("connections", Integer(1, 1_000_000), Is("1000"), "Connections in all."),
            key("connections_per_ip", Integer(1, 1_000_000), Is("200"), "Connections from one address."),
            key("mime_depth", Integer(1, 1000), Is("50"), "How deep MIME parts may nest."),
            key("mime_parts", Integer(1, 100_000), Is("1000"), "MIME parts of one message."),
            key(
                "memory_for_messages",
                Size(MB, TB),
                Is("\"256MB\""),
                "Memory for messages between their first octet and their place in the store; short of it, clients wait or get 452.",
            ),
            key("commands", Integer(10, 100_000_000), Is("100000"), "Commands in one session."),
            key("errors", Integer(1, 10_000), Is("20"), "Refused commands before a session is ended."),
            key("messages_per_session", Integer(1, 10_000_000), Is("10000"), "Messages in one session."),
            key("chunks", Integer(1, 10_000_000), Is("10000"), "BDAT chunks of one message."),
            key(
                "idle",
                Span(1, DAY),
                Is("\"5m\""),
                "A client that says nothing for so long is sent away; RFC 5321 wants at least five minutes.",
            ),
            key("session", Span(MINUTE, 30 * DAY), Is("\"4h\""), "A session's whole life."),
            key(
                "data",
                Span(1, DAY),
                Is("\"10m\""),
                "The longest time for the data of one message, whatever drips in.",
            ),
            key(
                "authentication_failures",
                Integer(1, 1_000_000),
                Is("10"),
                "Failed sign-ins from one address or for one user inside the window before further ones are refused.",
            ),
            key("authentication_window", Span(1, DAY), Is("\"10m\""), "The window of authentication_failures."),
        ],
    ),
    section(
        "redaction",
        Once,
        "Card numbers; a tenant may have a policy of its own.",
        &[
            key(
                "mode",
                Choice(&["redact", "reject", "report", "off"]),
                Is("\"redact\""),
                "redact | reject; report | off only with allow_unredacted",
            ),
            key(
                "keep",
                Keep,
                Is("{ first = 0, last = 4 }"),
                "Digits that stay readable: at most six first, at most four last.",
            ),
            key(
                "unscannable",
                Choice(&["deliver", "reject"]),
                Is("\"deliver\""),
                "Encrypted or unreadable parts: deliver | reject",
            ),
            key(
                "signed_parts",
                Choice(&["reject", "redact"]),
                Is("\"reject\""),
                "An S/MIME or PGP signed part that holds a card number: reject | redact (its signature is dropped)",
            ),
            key(
                "allow_unredacted",
                Boolean,
                Is("false"),
                "The operator's consent to store a tenant's numbers (sealed) in modes report and off.",
            ),
        ],
    ),
    super::domains::DOMAINS,
    super::domains::RECORDS,
    super::domains::DKIM,
    section(
        "queue",
        Once,
        "What waits.",
        &[
            key(
                "retry",
                List(&Span(1, 30 * DAY), 1),
                Is("[\"1m\", \"5m\", \"15m\", \"30m\", \"1h\", \"2h\", \"4h\", \"8h\"]"),
                "The waits between attempts; the last one repeats.",
            ),
            key(
                "expire_after",
                Span(MINUTE, 60 * DAY),
                Is("\"5d\""),
                "When a letter is given up with a notice to its sender.",
            ),
            key(
                "history",
                Span(0, 400 * DAY),
                Is("\"14d\""),
                "How long it is kept what happened to a letter; bounces that come back later than this are not attributed.",
            ),
            key("warn_after", Span(MINUTE, 60 * DAY), Is("\"4h\""), "When its sender is told that it is late."),
            key(
                "reserve_free",
                Size(0, 1000 * TB),
                Is("\"2GB\""),
                "With less free disk than this nothing is accepted (452).",
            ),
        ],
    ),
    section(
        "delivery",
        Once,
        "To the other side.",
        &[
            key(
                "tls",
                TLS_LEVEL,
                Is("\"opportunistic\""),
                "opportunistic | require (encrypted) | verify (encrypted to a host that proves its name) | dane-only (that TLSA records prove)",
            ),
            key("mta_sts", Boolean, Is("true"), "Honour the policies of recipient domains (MTA-STS, RFC 8461)."),
            key(
                "dane",
                Boolean,
                Is("true"),
                "Honour TLSA records of receiving hosts (DANE, RFC 7672); needs DNS servers that pass DNSSEC signatures on.",
            ),
            key("ca_file", MaybePath, Is("\"\""), "Extra trust anchors (PEM) for verified TLS and MTA-STS."),
            key(
                "connections_per_destination",
                Integer(1, 10_000),
                Is("20"),
                "Connections to one destination at once, where no [[delivery.site]] says otherwise.",
            ),
            key("connections", Integer(1, 100_000), Is("500"), "Connections to all destinations at once."),
            key(
                "built_in_sites",
                Boolean,
                Is("true"),
                "Treat the large mailbox providers as they want to be treated, where no [[delivery.site]] says otherwise.",
            ),
        ],
    ),
    section(
        "delivery.timeouts",
        Once,
        "How long each step may take; the defaults are the least that RFC 5321 section 4.5.3.2 wants.",
        &[
            key("connect", Span(1, HOUR), Is("\"30s\""), "Opening the connection."),
            key("greeting", Span(1, HOUR), Is("\"5m\""), "The greeting."),
            key("command", Span(1, HOUR), Is("\"5m\""), "EHLO, STARTTLS, MAIL, RCPT, RSET."),
            key("data_block", Span(1, HOUR), Is("\"3m\""), "Each block of data."),
            key(
                "final_reply",
                Span(1, 2 * HOUR),
                Is("\"10m\""),
                "The reply after the last octet; shorter ones make duplicates.",
            ),
        ],
    ),
    section(
        "delivery.route",
        Repeated,
        "Where mail goes instead of to the MX; the first match wins.",
        &[
            key("domain", Pattern, Required("\"*.test\""), "A recipient domain, *.domain (all below it) or *."),
            key(
                "host",
                Endpoint,
                Required("\"127.0.0.1:2526\""),
                "The host or address with its port (25 without one).",
            ),
            key("tls", TLS_LEVEL, Nothing("\"require\""), "The TLS level of this route, if not the one of [delivery]."),
        ],
    ),
    super::shaping::SITE,
    section(
        "tls_report",
        Once,
        "Daily reports on TLS to the domains that ask for them (RFC 8460).",
        &[
            key("send", Boolean, Is("true"), "Send reports."),
            key(
                "from",
                Mailbox,
                Nothing("\"tls-reports@example.com\""),
                "Who sends them by mail: an address in a tenant's domain with an active DKIM key. Without it tls-reports@ the hostname, if that is such a domain; else reports go by HTTPS only.",
            ),
            key("organization", Text, Nothing("\"Example Inc.\""), "Who reports; the hostname if not written."),
        ],
    ),
    super::shaping::EGRESS,
    section(
        "dns",
        Once,
        "Looking up.",
        &[
            key(
                "servers",
                List(&Server, 1),
                Is("[\"system\"]"),
                "[\"system\"], or addresses such as [\"127.0.0.1:5300\"].",
            ),
            key("smtp_port", Integer(1, 65_535), Is("25"), "The port that MX hosts are dialled on; tests set another."),
            key(
                "https_port",
                Integer(1, 65_535),
                Is("443"),
                "The port that MTA-STS policies are fetched from; tests set another.",
            ),
            key(
                "trust_anchor",
                MaybePath,
                Is("\"\""),
                "A file of DNSKEY records that DNSSEC validation begins at, instead of the keys of the Internet's root.",
            ),
        ],
    ),
    section(
        "spam",
        Once,
        "Posts for help centers.",
        &[
            key("model", Text, Is("\"built-in\""), "\"built-in\", or a model's file."),
            key("publish_below", Fraction, Is("0.20"), "Below this probability of spam a post is published."),
            key("spam_above", Fraction, Is("0.97"), "Above this one it is spam; between the two a person decides."),
        ],
    ),
    super::web::SECTION,
    section(
        "log",
        Once,
        "Events on standard output.",
        &[
            key("format", Choice(&["json", "text"]), Is("\"json\""), "json (one object a line) | text (for people)"),
            key(
                "addresses",
                Choice(&["full", "hashed", "none"]),
                Is("\"full\""),
                "Mail addresses in events: full | hashed (keyed hash of the local part) | none (domain only)",
            ),
        ],
    ),
];

/// The section of this path.
pub(super) fn find(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.path == path)
}
