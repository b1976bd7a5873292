//! How each kind of value is read from TOML, and what a complaint about it says.

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::DomainPattern;
use super::kind::Kind;
use super::units::{format_duration, format_size, parse_duration, parse_rate, parse_size};
use super::value::Value;
use crate::message::{DomainName, Mailbox};
use crate::redact::Keep;

/// What is wrong with a value, and what to write.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The byte range in the text that was read.
    pub(super) offset: usize,
    pub(super) problem: String,
    pub(super) remedy: String,
}

/// A value as a complaint may repeat it: short, on one line.
pub(super) fn shown(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if text.chars().count() > 60 { text.chars().take(57).chain("...".chars()).collect() } else { text }
}

/// Reads a value of this kind, or says what is wrong with it (with each member of a list).
pub(super) fn read(kind: Kind, value: &Spanned<DeValue<'_>>, wrong: &mut Vec<Wrong>) -> Option<Value> {
    let result = match kind {
        Kind::List(of, least) => return read_list(*of, least, value, wrong),
        Kind::Keep => return read_keep(value, wrong),
        Kind::Integer(least, most) => read_integer(value.get_ref(), least, most),
        Kind::Boolean => value
            .get_ref()
            .as_bool()
            .map(Value::Boolean)
            .ok_or_else(|| (not_a("true or false", value.get_ref()), "write true or false".into())),
        Kind::Fraction => read_fraction(value.get_ref()),
        _ => match value.get_ref() {
            DeValue::String(text) => read_text(kind, text),
            other => {
                let problem = if matches!(kind, Kind::Secret) {
                    "is not a reference to a secret".to_owned()
                } else {
                    not_a("a string in quotes", other)
                };
                Err((problem, remedy(kind)))
            }
        },
    };
    result.map_err(|(problem, remedy)| wrong.push(Wrong { offset: value.span().start, problem, remedy })).ok()
}

type Read = Result<Value, (String, String)>;

fn not_a(what: &str, value: &DeValue<'_>) -> String {
    format!("is {}, not {what}", with_article(value.type_str()))
}

fn with_article(kind: &str) -> String {
    if kind.starts_with(['a', 'i', 'o']) { format!("an {kind}") } else { format!("a {kind}") }
}

fn read_integer(value: &DeValue<'_>, least: u64, most: u64) -> Read {
    let remedy = || {
        if least == most { format!("write {least}") } else { format!("write a whole number from {least} to {most}") }
    };
    let Some(integer) = value.as_integer() else { return Err((not_a("a whole number", value), remedy())) };
    match u64::from_str_radix(integer.as_str(), integer.radix()) {
        Ok(number) if (least..=most).contains(&number) => Ok(Value::Integer(number)),
        _ => Err((format!("{} is out of range", shown(&format_args!("{}", integer.as_str()))), remedy())),
    }
}

fn read_fraction(value: &DeValue<'_>) -> Read {
    let text = match value {
        DeValue::Float(float) => float.as_str().to_owned(),
        DeValue::Integer(integer) => integer.as_str().to_owned(),
        other => return Err((not_a("a number", other), "write a number from 0.0 to 1.0".into())),
    };
    match text.replace('_', "").parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(Value::Number(number)),
        _ => Err((format!("{text} is out of range"), "write a number from 0.0 to 1.0".into())),
    }
}

fn read_list(of: Kind, least: usize, value: &Spanned<DeValue<'_>>, wrong: &mut Vec<Wrong>) -> Option<Value> {
    let Some(members) = value.get_ref().as_array() else {
        wrong.push(Wrong {
            offset: value.span().start,
            problem: not_a("a list", value.get_ref()),
            remedy: format!("write it in brackets; {}", remedy(of)),
        });
        return None;
    };
    let before = wrong.len();
    let values: Vec<Value> = members.iter().filter_map(|member| read(of, member, wrong)).collect();
    if members.len() < least {
        wrong.push(Wrong { offset: value.span().start, problem: "is an empty list".into(), remedy: remedy(of) });
    }
    (wrong.len() == before).then_some(Value::List(values))
}

fn read_keep(value: &Spanned<DeValue<'_>>, wrong: &mut Vec<Wrong>) -> Option<Value> {
    let table = value.get_ref().as_table();
    let digits = |table: &DeTable<'_>, name: &str, default: u8, most: u8| match table.get(name) {
        None => Ok(default),
        Some(value) => value
            .get_ref()
            .as_integer()
            .and_then(|integer| u8::from_str_radix(integer.as_str(), integer.radix()).ok())
            .filter(|number| *number <= most)
            .ok_or_else(|| format!("{name} is not a whole number from 0 to {most}")),
    };
    let kept = match table {
        None => Err(not_a("a table", value.get_ref())),
        Some(table) => match table.keys().find(|key| !["first", "last"].contains(&&**key.get_ref())) {
            Some(other) => Err(format!("has no key {}", shown(other.get_ref()))),
            None => digits(table, "first", 0, 6)
                .and_then(|first| digits(table, "last", 4, 4).map(|last| Keep { first, last })),
        },
    };
    kept.map(Value::Keep)
        .map_err(|problem| wrong.push(Wrong { offset: value.span().start, problem, remedy: remedy(Kind::Keep) }))
        .ok()
}

fn read_text(kind: Kind, text: &str) -> Read {
    let value = match kind {
        Kind::Text => printable(text).then(|| Value::Text(text.to_owned())),
        Kind::Path => (printable(text)).then(|| Value::Text(text.to_owned())),
        Kind::MaybePath => (text.is_empty() || printable(text)).then(|| Value::Text(text.to_owned())),
        Kind::Mailbox => text.parse::<Mailbox>().ok().map(|_| Value::Text(text.to_owned())),
        Kind::Url => is_url(text).then(|| Value::Text(text.trim_end_matches('/').to_owned())),
        Kind::Domain => text.parse().ok().map(Value::Domain),
        Kind::Size(least, most) => {
            return ranged(parse_size(text), kind, text, |size| (least..=most).contains(&size), Value::Integer);
        }
        Kind::Span(least, most) => {
            let inside = |span: Duration| (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&span);
            return ranged(parse_duration(text), kind, text, inside, Value::Span);
        }
        Kind::Rate => parse_rate(text).map(Value::Number),
        Kind::Choice(words) => words.contains(&text).then(|| Value::Text(text.to_owned())),
        Kind::Secret => {
            // The text is not repeated: whoever wrote the secret itself here must not find it in a log as well.
            return text
                .parse()
                .map(Value::Secret)
                .map_err(|_| ("is not a reference to a secret".to_owned(), remedy(kind)));
        }
        Kind::Socket => text.parse().ok().map(Value::Socket),
        Kind::Address => text.parse().ok().map(Value::Address),
        Kind::Network => text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)).map(Value::Network),
        Kind::Pattern => pattern(text).map(Value::Pattern),
        Kind::Endpoint => endpoint(text).map(|(host, port)| Value::Endpoint(host, port)),
        Kind::Server if text == "system" => Some(Value::Text(text.to_owned())),
        Kind::Server => text
            .parse()
            .ok()
            .or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))
            .map(Value::Socket),
        Kind::Integer(..) | Kind::Fraction | Kind::Boolean | Kind::Keep | Kind::List(..) => None,
    };
    value.ok_or_else(|| {
        let guess = match kind {
            Kind::Choice(words) => {
                super::check::closest(text, words.iter().copied()).map(|word| format!("did you mean \"{word}\"? "))
            }
            _ => None,
        };
        (format!("{} is not valid here", shown(&text)), format!("{}{}", guess.unwrap_or_default(), remedy(kind)))
    })
}

fn ranged<T: Copy>(
    parsed: Option<T>,
    kind: Kind,
    text: &str,
    inside: impl Fn(T) -> bool,
    wrap: impl Fn(T) -> Value,
) -> Read {
    match parsed {
        Some(value) if inside(value) => Ok(wrap(value)),
        Some(_) => Err((format!("{} is out of range", shown(&text)), remedy(kind))),
        None => Err((format!("{} is not valid here", shown(&text)), remedy(kind))),
    }
}

/// What to write for this kind.
pub(super) fn remedy(kind: Kind) -> String {
    match kind {
        Kind::Text => "write a text of 1 to 255 printable characters".into(),
        Kind::Domain => "write a domain name such as \"mx1.relay.example\"".into(),
        Kind::Path => "write a path".into(),
        Kind::Mailbox => "write a mail address such as \"tls-reports@example.com\"".into(),
        Kind::MaybePath => "write a path, or \"\" for none".into(),
        Kind::Url => "write an address such as \"https://mail.example\"".into(),
        Kind::Integer(least, most) => format!("write a whole number from {least} to {most}"),
        Kind::Fraction => "write a number from 0.0 to 1.0".into(),
        Kind::Boolean => "write true or false".into(),
        Kind::Size(least, most) => {
            format!("write a size such as \"25MB\" or \"64MiB\", from {} to {}", format_size(least), format_size(most))
        }
        Kind::Span(least, most) => format!(
            "write a time such as \"250ms\", \"30s\", \"5m\", \"4h\" or \"5d\", from {} to {}",
            format_duration(Duration::from_secs(least)),
            format_duration(Duration::from_secs(most))
        ),
        Kind::Rate => "write a rate such as \"200/s\", \"30/m\" or \"5000/h\"".into(),
        Kind::Choice(words) => format!("write {}", or_list(words)),
        Kind::Secret => "write \"file:PATH\", \"env:NAME\" or \"cred:NAME\"".into(),
        Kind::Socket => "write an address with its port such as \"127.0.0.1:2525\" or \"[::]:587\"".into(),
        Kind::Address => "write an address such as \"192.0.2.10\"".into(),
        Kind::Network => "write a network such as \"192.0.2.0/24\"".into(),
        Kind::Pattern => "write \"example.com\", \"*.example.com\" or \"*\"".into(),
        Kind::Endpoint => "write a host with its port such as \"relay.example:25\" or \"127.0.0.1:2526\"".into(),
        Kind::Server => "write \"system\", or an address such as \"127.0.0.1:5300\"".into(),
        Kind::Keep => "write { first = 0, last = 4 } with first at most 6 and last at most 4".into(),
        Kind::List(of, least) => format!("write a list of at least {least}: {}", remedy(*of)),
    }
}

fn or_list(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

fn printable(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

fn pattern(text: &str) -> Option<DomainPattern> {
    text.parse().ok()
}

fn endpoint(text: &str) -> Option<(String, u16)> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return (address.port() > 0).then(|| (address.ip().to_string(), address.port()));
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((address.to_string(), 25));
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port > 0)?),
        None => (text, 25),
    };
    host.parse::<DomainName>().ok().map(|host| (host.to_string(), port))
}
