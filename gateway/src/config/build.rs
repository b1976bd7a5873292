//! From checked values to the configuration as it is used. Cannot fail: every complaint was made before.

use std::path::{Path, PathBuf};

use super::cross::tls_of;
use super::value::{SectionValues, Value, Values, maybe_path};
use super::{
    AddressDetail, Config, Delivery, DialogueTimeouts, Dns, DomainPattern, Egress, Limits, Listener, ListenerKind,
    ListenerTls, Log, Queue, Route, Site, Spam, TlsFiles, TlsReport, WarmUp,
};
use crate::clock::Timestamp;
use crate::deliver::shaping::built_in_sites;
use crate::message::DomainName;
use crate::redact;
use crate::sign::TlsLevel;

pub(super) fn config(values: &Values, source: &Path) -> Config {
    let top = values.one("");
    let hostname = required_domain(top, "hostname");
    Config {
        source: Some(source.to_owned()),
        data_dir: PathBuf::from(top.text("data_dir")),
        listeners: values.all("listen").iter().map(listener).collect(),
        tls: values
            .all("tls")
            .first()
            .map(|tls| TlsFiles { certificate: tls.secret("certificate"), key: tls.secret("key") }),
        kek: values.one("crypto").secret("kek"),
        limits: limits(values),
        redaction: redaction(values),
        allow_unredacted: values.one("redaction").boolean("allow_unredacted"),
        proof_required: values.one("domains").text("proof") == "required",
        records: super::domains::records(values),
        dkim: super::domains::dkim(values),
        queue: queue(values),
        delivery: delivery(values),
        tls_report: tls_report(values),
        egress: values.all("egress").iter().map(|section| egress(section, &hostname)).collect(),
        dns: dns(values),
        spam: spam(values),
        web: super::web::web(values),
        log: log(values),
        hostname,
    }
}

fn required_domain(section: &SectionValues, name: &str) -> DomainName {
    section.domain(name).unwrap_or_else(|| unreachable!("{name} is required, so the check put something there"))
}

fn listener(section: &SectionValues) -> Listener {
    Listener {
        name: section.text("name").to_owned(),
        addresses: section.list("addr", |value| if let Value::Socket(address) = value { Some(*address) } else { None }),
        kind: match section.text("kind") {
            "submission" => ListenerKind::Submission,
            "bounce" => ListenerKind::Bounce,
            "posts" => ListenerKind::Posts,
            "http" => ListenerKind::Http,
            _ => ListenerKind::Metrics,
        },
        tls: match tls_of(section) {
            "starttls-required" => ListenerTls::StartTlsRequired,
            "starttls" => ListenerTls::StartTls,
            "implicit" => ListenerTls::Implicit,
            _ => ListenerTls::None,
        },
        proxy_from: section.list("proxy_from", |value| if let Value::Network(net) = value { Some(*net) } else { None }),
        public_url: section.maybe_text("public_url").map(str::to_owned),
    }
}

fn limits(values: &Values) -> Limits {
    let section = values.one("limits");
    Limits {
        message_size: section.count("message_size"),
        recipients: section.count("recipients"),
        connections: section.count("connections"),
        connections_per_ip: section.count("connections_per_ip"),
        mime_depth: section.count("mime_depth"),
        mime_parts: section.count("mime_parts"),
        memory_for_messages: section.count("memory_for_messages"),
        commands: section.count("commands"),
        errors: section.count("errors"),
        messages_per_session: section.count("messages_per_session"),
        chunks: section.count("chunks"),
        idle: section.span("idle"),
        session: section.span("session"),
        data: section.span("data"),
        authentication_failures: u32::try_from(section.integer("authentication_failures")).unwrap_or(u32::MAX),
        authentication_window: section.span("authentication_window"),
    }
}

fn redaction(values: &Values) -> redact::Policy {
    let section = values.one("redaction");
    let Some(Value::Keep(keep)) = section.value("keep") else { unreachable!("keep is a Keep in the table of keys") };
    redact::Policy {
        mode: match section.text("mode") {
            "redact" => redact::Mode::Redact,
            "reject" => redact::Mode::Reject,
            "report" => redact::Mode::Report,
            _ => redact::Mode::Off,
        },
        keep: *keep,
        unscannable: match section.text("unscannable") {
            "deliver" => redact::Unscannable::Deliver,
            _ => redact::Unscannable::Reject,
        },
        signed_parts: match section.text("signed_parts") {
            "redact" => redact::SignedParts::Redact,
            _ => redact::SignedParts::Reject,
        },
        allow: Vec::new(),
    }
}

fn queue(values: &Values) -> Queue {
    let section = values.one("queue");
    Queue {
        retry: section.list("retry", |value| if let Value::Span(span) = value { Some(*span) } else { None }),
        expire_after: section.span("expire_after"),
        warn_after: section.span("warn_after"),
        history: section.span("history"),
        reserve_free: section.integer("reserve_free"),
    }
}

fn delivery(values: &Values) -> Delivery {
    let section = values.one("delivery");
    Delivery {
        tls: level(section.text("tls")),
        mta_sts: section.boolean("mta_sts"),
        dane: section.boolean("dane"),
        ca_file: maybe_path(section.text("ca_file")),
        routes: values.all("delivery.route").iter().map(route).collect(),
        sites: sites(values, section.boolean("built_in_sites")),
        connections_per_destination: section.count("connections_per_destination"),
        connections: section.count("connections"),
        timeouts: timeouts(values),
    }
}

fn timeouts(values: &Values) -> DialogueTimeouts {
    let section = values.one("delivery.timeouts");
    DialogueTimeouts {
        connect: section.span("connect"),
        greeting: section.span("greeting"),
        command: section.span("command"),
        data_block: section.span("data_block"),
        final_reply: section.span("final_reply"),
    }
}

fn level(text: &str) -> TlsLevel {
    match text {
        "opportunistic" => TlsLevel::Opportunistic,
        "require" => TlsLevel::Require,
        "verify" => TlsLevel::Verify,
        _ => TlsLevel::DaneOnly,
    }
}

fn pattern(value: &Value) -> Option<DomainPattern> {
    if let Value::Pattern(pattern) = value { Some(pattern.clone()) } else { None }
}

fn route(section: &SectionValues) -> Route {
    let (Some(domain), Some(Value::Endpoint(host, port))) =
        (section.value("domain").and_then(pattern), section.value("host"))
    else {
        unreachable!("domain and host of a route are required, so the check put something there")
    };
    Route { domain, host: host.clone(), port: *port, tls: section.maybe_text("tls").map(level) }
}

fn sites(values: &Values, built_in: bool) -> Vec<Site> {
    let known = if built_in { built_in_sites() } else { Vec::new() };
    values.all("delivery.site").iter().map(site).chain(known).collect()
}

fn site(section: &SectionValues) -> Site {
    let count = |name| section.maybe_integer(name).map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let text = |value: &Value| pattern(value).map(|pattern| pattern.to_string());
    let first = section.list("match_domain", text).into_iter().chain(section.list("match_mx", text)).next();
    Site {
        name: section.maybe_text("name").map(str::to_owned).or(first).unwrap_or_default(),
        together: section.text("shared") == "group",
        match_mx: section.list("match_mx", pattern),
        match_domain: section.list("match_domain", pattern),
        connections: count("connections"),
        messages_per_connection: count("messages_per_connection"),
        rate: section.maybe_number("rate"),
        tls: section.maybe_text("tls").map(level),
    }
}

fn egress(section: &SectionValues, hostname: &DomainName) -> Egress {
    let Some(Value::Address(address)) = section.value("address") else {
        unreachable!("address of an egress is required, so the check put something there")
    };
    Egress {
        name: section.text("name").to_owned(),
        address: *address,
        ehlo: section.domain("ehlo").unwrap_or_else(|| hostname.clone()),
        pool: section.text("pool").to_owned(),
        weight: u32::try_from(section.integer("weight")).unwrap_or(u32::MAX),
        warm_up: warm_up(section),
    }
}

fn warm_up(section: &SectionValues) -> Option<WarmUp> {
    let letters = section.list("warm_up", |value| if let Value::Integer(count) = value { Some(*count) } else { None });
    let first_day = section.maybe_text("warm_up_from").and_then(day)?;
    (!letters.is_empty()).then_some(WarmUp { first_day, letters })
}

/// The beginning of a day that is written `2026-11-24`.
pub(super) fn day(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"))
}

fn tls_report(values: &Values) -> TlsReport {
    let section = values.one("tls_report");
    TlsReport {
        send: section.boolean("send"),
        from: section.maybe_text("from").and_then(|text| text.parse().ok()),
        organization: section.maybe_text("organization").map(str::to_owned),
    }
}

fn dns(values: &Values) -> Dns {
    let section = values.one("dns");
    Dns {
        servers: section
            .list("servers", |value| if let Value::Socket(address) = value { Some(*address) } else { None }),
        smtp_port: u16::try_from(section.integer("smtp_port")).unwrap_or(25),
        https_port: u16::try_from(section.integer("https_port")).unwrap_or(443),
        trust_anchor: maybe_path(section.text("trust_anchor")),
    }
}

fn spam(values: &Values) -> Spam {
    let section = values.one("spam");
    let model = section.text("model");
    Spam {
        model: (model != "built-in").then(|| PathBuf::from(model)),
        publish_below: section.maybe_number("publish_below").unwrap_or_default(),
        spam_above: section.maybe_number("spam_above").unwrap_or(1.0),
    }
}

fn log(values: &Values) -> Log {
    let section = values.one("log");
    Log {
        json: section.text("format") == "json",
        addresses: match section.text("addresses") {
            "full" => AddressDetail::Full,
            "hashed" => AddressDetail::Hashed,
            _ => AddressDetail::None,
        },
    }
}

macro_rules! default_from_the_table {
    ($($part:ty => $build:ident),+ $(,)?) => {
        $(impl Default for $part {
            /// As the table of keys has it.
            fn default() -> Self {
                $build(&Values::defaults())
            }
        })+
    };
}

default_from_the_table! {
    Limits => limits,
    Queue => queue,
    Delivery => delivery,
    DialogueTimeouts => timeouts,
    Dns => dns,
    Spam => spam,
    Log => log,
}
