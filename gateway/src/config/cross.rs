//! Checks of several keys together. Only over values that passed alone: a mistake is told once.

use std::net::{IpAddr, SocketAddr};

use super::complaint::{Complaint, Place};
use super::units::{format_duration, format_size};
use super::value::{SectionValues, Value, Values};

/// Every complaint about keys that do not go together.
pub(super) fn check(values: &Values, before: &[Complaint]) -> Vec<Complaint> {
    let mut found = Vec::new();
    // A listener that could not be read has had its complaint, and so has a file that is not TOML.
    let lost = before.iter().any(|complaint| complaint.key.is_empty() || complaint.key == "listen");
    if values.all("listen").is_empty() && !lost {
        found.push(Complaint::at(
            Place::in_text(&values.file, "", 0),
            "listen",
            "there is no listener",
            "write at least one [[listen]] with name, addr and kind",
        ));
    }
    listeners(values, &mut found);
    overlaps(values, &mut found);
    redaction(values, &mut found);
    times_and_sizes(values, &mut found);
    super::domains::check(values, &mut found);
    dns(values, &mut found);
    names(values, &mut found);
    super::web::check(values, &mut found);
    found
}

pub(super) fn good(section: &SectionValues, names: &[&str]) -> bool {
    names.iter().all(|name| !section.entry(name).bad)
}

pub(super) fn complain(
    found: &mut Vec<Complaint>,
    section: &SectionValues,
    name: &str,
    problem: impl Into<String>,
    remedy: impl Into<String>,
) {
    let path = section.section.path;
    let key = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    found.push(Complaint::at(section.entry(name).place.clone(), key, problem, remedy));
}

/// What a listener's TLS is when nothing is written.
pub(super) fn tls_of(listener: &SectionValues) -> &str {
    let default = match listener.text("kind") {
        "http" | "metrics" => "none",
        // RFC 3207 §4: a public server must not require it.
        "bounce" | "posts" => "starttls",
        _ => "starttls-required",
    };
    listener.maybe_text("tls").unwrap_or(default)
}

fn sockets(listener: &SectionValues) -> Vec<SocketAddr> {
    listener.list("addr", |value| if let Value::Socket(address) = value { Some(*address) } else { None })
}

fn listeners(values: &Values, found: &mut Vec<Complaint>) {
    for listener in values.all("listen") {
        if !good(listener, &["kind", "tls", "addr"]) {
            continue;
        }
        let kind = listener.text("kind");
        let tls = tls_of(listener);
        if matches!(kind, "http" | "metrics") && tls.starts_with("starttls") {
            complain(
                found,
                listener,
                "tls",
                format!("a listener of kind \"{kind}\" has no STARTTLS"),
                "write \"implicit\" or \"none\"",
            );
        } else if tls == "none" {
            for address in sockets(listener).iter().filter(|address| !address.ip().to_canonical().is_loopback()) {
                complain(
                    found,
                    listener,
                    if listener.value("tls").is_some() { "tls" } else { "addr" },
                    format!("{address} is not a loopback address, and without TLS only loopback is served"),
                    "write another tls, or an address such as 127.0.0.1",
                );
            }
        } else if values.all("tls").is_empty() {
            let name = if listener.value("tls").is_some() { "tls" } else { "kind" };
            complain(
                found,
                listener,
                name,
                format!("this listener does TLS (\"{tls}\"), but there is no certificate"),
                "write a section [tls] with certificate and key",
            );
        }
    }
}

fn overlaps(values: &Values, found: &mut Vec<Complaint>) {
    let mut taken: Vec<(SocketAddr, String)> = Vec::new();
    for listener in values.all("listen").iter().filter(|listener| good(listener, &["addr", "name"])) {
        for address in sockets(listener) {
            if let Some((other, owner)) = taken.iter().find(|(other, _)| overlap(*other, address)) {
                complain(
                    found,
                    listener,
                    "addr",
                    format!("{address} overlaps {other} of listener \"{owner}\""),
                    "give each listener addresses of its own",
                );
            }
            taken.push((address, listener.text("name").to_owned()));
        }
    }
}

/// `[::]` takes IPv4 as well (Linux without `IPV6_V6ONLY`), so it overlaps every address with its port.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let everything = |ip: IpAddr, other: IpAddr| ip.is_unspecified() && (ip.is_ipv6() || other.is_ipv4());
    a.port() != 0
        && a.port() == b.port()
        && (a.ip() == b.ip() || everything(a.ip(), b.ip()) || everything(b.ip(), a.ip()))
}

fn redaction(values: &Values, found: &mut Vec<Complaint>) {
    let section = values.one("redaction");
    if !good(section, &["mode", "allow_unredacted"]) {
        return;
    }
    let mode = section.text("mode");
    if matches!(mode, "report" | "off") && !section.boolean("allow_unredacted") {
        complain(
            found,
            section,
            "mode",
            format!("\"{mode}\" stores card numbers, and allow_unredacted is false"),
            "write \"redact\" or \"reject\", or consent with allow_unredacted = true",
        );
    }
}

fn times_and_sizes(values: &Values, found: &mut Vec<Complaint>) {
    let queue = values.one("queue");
    let (expire, warn) = (queue.span("expire_after"), queue.span("warn_after"));
    if good(queue, &["expire_after", "warn_after"]) && expire <= warn {
        complain(
            found,
            queue,
            "expire_after",
            format!("{} is not longer than warn_after ({})", format_duration(expire), format_duration(warn)),
            "make expire_after longer, or warn_after shorter",
        );
    }
    let limits = values.one("limits");
    let (message, memory) = (limits.integer("message_size"), limits.integer("memory_for_messages"));
    if good(limits, &["message_size", "memory_for_messages"]) && message > memory {
        complain(
            found,
            limits,
            "message_size",
            format!("{} is more than memory_for_messages ({})", format_size(message), format_size(memory)),
            "make message_size smaller, or memory_for_messages larger",
        );
    }
    let spam = values.one("spam");
    if good(spam, &["publish_below", "spam_above"])
        && spam.maybe_number("publish_below") > spam.maybe_number("spam_above")
    {
        complain(found, spam, "publish_below", "is above spam_above", "make publish_below the smaller one");
    }
}

fn dns(values: &Values, found: &mut Vec<Complaint>) {
    let section = values.one("dns");
    let servers = section.list("servers", |value| Some(matches!(value, Value::Text(_))));
    if good(section, &["servers"]) && servers.len() > 1 && servers.contains(&true) {
        complain(
            found,
            section,
            "servers",
            "\"system\" stands beside other servers",
            "write [\"system\"] alone, or addresses only",
        );
    }
}

fn names(values: &Values, found: &mut Vec<Complaint>) {
    for path in ["listen", "egress"] {
        let mut seen = Vec::new();
        for section in values.all(path).iter().filter(|section| good(section, &["name"])) {
            let name = section.text("name");
            if seen.contains(&name) {
                complain(found, section, "name", format!("\"{name}\" is taken"), "give each a name of its own");
            }
            seen.push(name);
        }
    }
    for egress in values.all("egress").iter().filter(|one| good(one, &["warm_up", "warm_up_from"])) {
        let first = egress.maybe_text("warm_up_from");
        let days = egress.list("warm_up", |_| Some(())).len();
        if first.is_some_and(|text| super::build::day(text).is_none()) {
            complain(found, egress, "warm_up_from", "is no day", "write it as \"2026-11-24\"");
        } else if days > 0 && first.is_none() {
            complain(found, egress, "warm_up", "has no first day", "add warm_up_from = \"2026-11-24\"");
        }
    }
    for site in values.all("delivery.site").iter().filter(|site| good(site, &["match_mx", "match_domain"])) {
        if site.list("match_mx", |_| Some(())).is_empty() && site.list("match_domain", |_| Some(())).is_empty() {
            found.push(Complaint::at(
                site.place.clone(),
                "delivery.site",
                "matches nothing",
                "write match_mx = [\"*.example.com\"] or match_domain = [\"example.com\"]",
            ));
        }
    }
}
