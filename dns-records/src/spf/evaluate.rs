//! SPF evaluated (RFC 7208 §4): whether an address may send for a domain, with look-ups counted by the term that
//! causes them.
//!
//! Promises: macros, includes and redirects are followed; more than ten terms that ask DNS, or more than two empty
//! look-ups, end in a permanent error as they do at receivers. Look-ups go through a closure that may say "not yet".

use std::net::IpAddr;

use super::{Mechanism, Modifier, Qualifier, SpfRecord, SpfTerm};
use crate::RecordError;
use crate::records::RecordType;

/// RFC 7208 §4.6.4.
pub const LOOKUPS_MAX: usize = 10;
/// The same section: look-ups without an answer.
const VOID_MAX: usize = 2;
/// The same section: hosts of an MX, names of a PTR.
const HOSTS_MAX: usize = 10;
/// Includes that are weighed at most: records of strangers may multiply without end.
const WEIGHED_MAX: usize = 200;
/// Includes inside includes: the look-up limit ends them first, this only guards the stack.
const DEPTH_MAX: usize = 12;

/// What one look-up gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The values; empty: there are none.
    Values(Vec<String>),
    /// The server could not tell.
    Failed,
    /// It was not asked yet; evaluate again when it was.
    Pending,
}

/// How an evaluation came out (RFC 7208 §2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpfResult {
    /// No record.
    None,
    /// The address may send.
    Pass,
    /// It may not.
    Fail,
    /// It probably may not.
    SoftFail,
    /// Nothing is said about it.
    Neutral,
    /// DNS failed: another day the answer may differ.
    TempError(String),
    /// The record is broken, or asks too much.
    PermError(String),
    /// Look-ups are missing.
    Pending,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// How it came out.
    pub result: SpfResult,
    /// Terms that asked DNS, all includes together, on the way to the result.
    pub lookups: usize,
}

/// Whose mail it is.
#[derive(Debug, Clone, Copy)]
pub struct SpfQuery<'q> {
    /// The address that sends.
    pub ip: IpAddr,
    /// The domain whose record is asked for.
    pub domain: &'q str,
    /// The whole reverse-path, for macros.
    pub sender: &'q str,
    /// The EHLO name, for macros.
    pub helo: &'q str,
}

/// Evaluates the record of `query.domain`.
pub fn evaluate(query: SpfQuery, lookup: &dyn Fn(&str, RecordType) -> Lookup) -> Evaluation {
    let mut run = Run { query, lookup, lookups: 0, voids: 0 };
    let result = run.domain(query.domain, 0);
    Evaluation { result, lookups: run.lookups }
}

/// The terms that ask DNS below each part of `record`, as many as there are, whatever the address: the parts with
/// their counts, heaviest first, and the sum. `None` while look-ups are missing.
pub fn weigh(record: &SpfRecord, lookup: &dyn Fn(&str, RecordType) -> Lookup) -> Option<(usize, Vec<(String, usize)>)> {
    let mut parts = Vec::new();
    let mut budget = WEIGHED_MAX;
    for term in &record.terms {
        let weight = weight(term, lookup, 0, &mut budget)?;
        if weight > 0 {
            parts.push((term.to_string(), weight));
        }
    }
    parts.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
    Some((parts.iter().map(|(_, weight)| weight).sum(), parts))
}

fn weight(
    term: &SpfTerm,
    lookup: &dyn Fn(&str, RecordType) -> Lookup,
    depth: usize,
    budget: &mut usize,
) -> Option<usize> {
    let domain = match term {
        SpfTerm::Directive(_, Mechanism::Include(domain)) | SpfTerm::Modifier(Modifier::Redirect(domain)) => domain,
        SpfTerm::Directive(_, Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..)) => return Some(0),
        SpfTerm::Directive(..) => return Some(1),
        SpfTerm::Modifier(_) => return Some(0),
    };
    *budget = budget.saturating_sub(1);
    if domain.as_str().contains('%') || depth >= DEPTH_MAX || *budget == 0 {
        return Some(1);
    }
    match lookup(domain.as_str(), RecordType::Txt) {
        Lookup::Pending => None,
        Lookup::Failed => Some(1),
        Lookup::Values(values) => {
            let record = values.iter().find_map(|value| value.parse::<SpfRecord>().ok()).unwrap_or_default();
            let below: Option<usize> = record.terms.iter().map(|term| weight(term, lookup, depth + 1, budget)).sum();
            Some(1 + below?)
        }
    }
}

struct Run<'q> {
    query: SpfQuery<'q>,
    lookup: &'q dyn Fn(&str, RecordType) -> Lookup,
    lookups: usize,
    voids: usize,
}

type Stop = SpfResult;

impl Run<'_> {
    fn domain(&mut self, domain: &str, depth: usize) -> SpfResult {
        if depth > DEPTH_MAX {
            return SpfResult::PermError("includes go round in a circle".to_owned());
        }
        let values = match (self.lookup)(domain, RecordType::Txt) {
            Lookup::Pending => return SpfResult::Pending,
            Lookup::Failed => return SpfResult::TempError(format!("the TXT records of {domain} cannot be had")),
            Lookup::Values(values) => values,
        };
        let mut records = values.iter().filter_map(|value| match value.parse::<SpfRecord>() {
            Err(RecordError::OtherKind(_)) => None,
            other => Some(other),
        });
        match (records.next(), records.next()) {
            (None, _) => SpfResult::None,
            (Some(_), Some(_)) => SpfResult::PermError(format!("{domain} has two SPF records")),
            (Some(Err(error)), None) => SpfResult::PermError(format!("{domain} has {error}")),
            (Some(Ok(record)), None) => self.record(&record, domain, depth),
        }
    }

    fn record(&mut self, record: &SpfRecord, domain: &str, depth: usize) -> SpfResult {
        for term in &record.terms {
            let SpfTerm::Directive(qualifier, mechanism) = term else { continue };
            match self.matches(mechanism, domain, depth) {
                Ok(false) => {}
                Ok(true) => {
                    return match qualifier {
                        Qualifier::Pass => SpfResult::Pass,
                        Qualifier::Fail => SpfResult::Fail,
                        Qualifier::SoftFail => SpfResult::SoftFail,
                        Qualifier::Neutral => SpfResult::Neutral,
                    };
                }
                Err(stop) => return stop,
            }
        }
        let redirect = record.terms.iter().find_map(|term| match term {
            SpfTerm::Modifier(Modifier::Redirect(target)) => Some(target),
            _ => None,
        });
        let Some(target) = redirect else { return SpfResult::Neutral };
        let result = self.count().and_then(|()| self.expand(target.as_str(), domain));
        match result.map(|target| (self.domain(&target, depth + 1), target)) {
            // RFC 7208 §6.1: a redirection to a domain without a record is an error.
            Ok((SpfResult::None, target)) => SpfResult::PermError(format!("redirect={target} has no SPF record")),
            Ok((other, _)) | Err(other) => other,
        }
    }

    fn count(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        if self.lookups > LOOKUPS_MAX {
            return Err(SpfResult::PermError(format!("more than {LOOKUPS_MAX} look-ups")));
        }
        Ok(())
    }

    fn values(&mut self, name: &str, record_type: RecordType) -> Result<Vec<String>, Stop> {
        match (self.lookup)(name, record_type) {
            Lookup::Pending => Err(SpfResult::Pending),
            Lookup::Failed => Err(SpfResult::TempError(format!("{name} {} cannot be had", record_type.as_str()))),
            Lookup::Values(values) => {
                if values.is_empty() {
                    self.voids += 1;
                    if self.voids > VOID_MAX {
                        return Err(SpfResult::PermError(format!("more than {VOID_MAX} look-ups without an answer")));
                    }
                }
                Ok(values)
            }
        }
    }

    fn matches(&mut self, mechanism: &Mechanism, domain: &str, depth: usize) -> Result<bool, Stop> {
        let ip = self.query.ip.to_canonical();
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, length) => Ok(within(ip, IpAddr::V4(*network), length.unwrap_or(32))),
            Mechanism::Ip6(network, length) => Ok(within(ip, IpAddr::V6(*network), length.unwrap_or(128))),
            Mechanism::Include(target) => {
                self.count()?;
                let target = self.expand(target.as_str(), domain)?;
                match self.domain(&target, depth + 1) {
                    SpfResult::Pass => Ok(true),
                    SpfResult::Fail | SpfResult::SoftFail | SpfResult::Neutral => Ok(false),
                    // RFC 7208 §5.2: an include without a record is an error.
                    SpfResult::None => Err(SpfResult::PermError(format!("include:{target} has no SPF record"))),
                    stop => Err(stop),
                }
            }
            Mechanism::A(target, four, six) => {
                self.count()?;
                let host = self.target(target.as_ref(), domain)?;
                self.host_matches(&host, ip, *four, *six)
            }
            Mechanism::Mx(target, four, six) => {
                self.count()?;
                let host = self.target(target.as_ref(), domain)?;
                let exchangers = self.values(&host, RecordType::Mx)?;
                if exchangers.len() > HOSTS_MAX {
                    return Err(SpfResult::PermError(format!("{host} has more than {HOSTS_MAX} MX records")));
                }
                for exchanger in exchangers {
                    let exchanger = exchanger.split_once(' ').map_or("", |(_, host)| host).to_owned();
                    if !exchanger.is_empty() && self.host_matches(&exchanger, ip, *four, *six)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Exists(target) => {
                self.count()?;
                let host = self.expand(target.as_str(), domain)?;
                Ok(!self.values(&host, RecordType::A)?.is_empty())
            }
            Mechanism::Ptr(target) => {
                self.count()?;
                let suffix = self.target(target.as_ref(), domain)?;
                self.ptr_matches(&suffix, ip)
            }
        }
    }

    fn target(&mut self, target: Option<&super::DomainSpec>, domain: &str) -> Result<String, Stop> {
        target.map_or_else(|| Ok(domain.to_owned()), |target| self.expand(target.as_str(), domain))
    }

    fn host_matches(&mut self, host: &str, ip: IpAddr, four: Option<u8>, six: Option<u8>) -> Result<bool, Stop> {
        let (record_type, length) =
            if ip.is_ipv4() { (RecordType::A, four.unwrap_or(32)) } else { (RecordType::Aaaa, six.unwrap_or(128)) };
        let addresses = self.values(host, record_type)?;
        Ok(addresses.iter().filter_map(|text| text.parse().ok()).any(|network| within(ip, network, length)))
    }

    fn ptr_matches(&mut self, suffix: &str, ip: IpAddr) -> Result<bool, Stop> {
        let names = match (self.lookup)(&crate::reverse_name(ip), RecordType::Ptr) {
            Lookup::Pending => return Err(SpfResult::Pending),
            // RFC 7208 §5.5: a PTR that cannot be had does not match.
            Lookup::Failed => return Ok(false),
            Lookup::Values(names) => names,
        };
        for name in names.iter().take(HOSTS_MAX) {
            let below = name == suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
            if below && self.host_matches(name, ip, None, None)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// RFC 7208 §7: macros. `p` is not looked up and gives `unknown`, as §7.3 lets.
    fn expand(&self, spec: &str, domain: &str) -> Result<String, Stop> {
        let mut out = String::new();
        let mut rest = spec;
        while let Some(at) = rest.find('%') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let bad = || SpfResult::PermError(format!("\"{spec}\" has a macro that is none"));
            let kind = rest.chars().next().ok_or_else(bad)?;
            rest = &rest[kind.len_utf8()..];
            match kind {
                '%' => out.push('%'),
                '_' => out.push(' '),
                '-' => out.push_str("%20"),
                '{' => {
                    let (body, after) = rest.split_once('}').ok_or_else(bad)?;
                    out.push_str(&self.macro_value(body, domain).ok_or_else(bad)?);
                    rest = after;
                }
                _ => return Err(bad()),
            }
        }
        out.push_str(rest);
        // RFC 7208 §7.3: too long a name loses labels on its left.
        while out.len() > 253 {
            out = out.split_once('.').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        }
        Ok(out.trim_end_matches('.').to_ascii_lowercase())
    }

    fn macro_value(&self, body: &str, domain: &str) -> Option<String> {
        let letter = body.chars().next()?;
        let transform = body.get(letter.len_utf8()..)?;
        let sender = self.query.sender;
        let (local, sender_domain) = sender.rsplit_once('@').unwrap_or(("postmaster", sender));
        let value = match letter.to_ascii_lowercase() {
            's' => sender.to_owned(),
            'l' => local.to_owned(),
            'o' => sender_domain.to_owned(),
            'd' => domain.to_owned(),
            'h' => self.query.helo.to_owned(),
            'i' => dotted(self.query.ip),
            'v' => if self.query.ip.to_canonical().is_ipv4() { "in-addr" } else { "ip6" }.to_owned(),
            'p' => "unknown".to_owned(),
            _ => return None,
        };
        let digits = transform.bytes().take_while(u8::is_ascii_digit).count();
        let keep: usize = if digits == 0 { usize::MAX } else { transform[..digits].parse().ok()? };
        let (reverse, delimiters) = match transform[digits..].strip_prefix(['r', 'R']) {
            Some(rest) => (true, rest),
            None => (false, &transform[digits..]),
        };
        if keep == 0 || !delimiters.chars().all(|c| matches!(c, '.' | '-' | '+' | ',' | '/' | '_' | '=')) {
            return None;
        }
        let mut parts: Vec<&str> = if delimiters.is_empty() {
            value.split('.').collect()
        } else {
            value.split(|c| delimiters.contains(c)).collect()
        };
        if reverse {
            parts.reverse();
        }
        let skip = parts.len().saturating_sub(keep);
        Some(parts[skip..].join("."))
    }
}

/// `i`: an IPv6 address has a dot between its nibbles.
fn dotted(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

fn within(ip: IpAddr, network: IpAddr, length: u8) -> bool {
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            let shift = 32 - u32::from(length.min(32));
            u32::from(ip).checked_shr(shift).unwrap_or(0) == u32::from(network).checked_shr(shift).unwrap_or(0)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            let shift = 128 - u32::from(length.min(128));
            u128::from(ip).checked_shr(shift).unwrap_or(0) == u128::from(network).checked_shr(shift).unwrap_or(0)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zone of TXT, A, MX and PTR values; `!` fails.
    fn zone(name: &str, record_type: RecordType) -> Lookup {
        let many = (0..11).map(|n| format!("include:i{n}.example")).collect::<Vec<_>>().join(" ");
        let text = match (name, record_type) {
            ("plain.example", RecordType::Txt) => "v=spf1 ip4:192.0.2.0/28 ip6:2001:db8::/32 -all".to_owned(),
            ("inc.example", RecordType::Txt) => "v=spf1 include:plain.example ~all".to_owned(),
            ("red.example", RecordType::Txt) => "v=spf1 redirect=plain.example".to_owned(),
            ("mx.example", RecordType::Txt) => "v=spf1 mx -all".to_owned(),
            ("mx.example", RecordType::Mx) => "10 host.example".to_owned(),
            ("host.example", RecordType::A) => "192.0.2.1".to_owned(),
            ("macro.example", RecordType::Txt) => "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all".to_owned(),
            ("1.2.0.192.in-addr._spf.macro.example", RecordType::A) => "127.0.0.2".to_owned(),
            ("many.example", RecordType::Txt) => format!("v=spf1 {many} -all"),
            ("loop.example", RecordType::Txt) => "v=spf1 include:loop.example -all".to_owned(),
            ("void.example", RecordType::Txt) => "v=spf1 a:n1.example a:n2.example a:n3.example -all".to_owned(),
            ("gone.example", RecordType::Txt) => "v=spf1 include:none.example -all".to_owned(),
            ("fails.example", _) => return Lookup::Failed,
            ("temp.example", RecordType::Txt) => "v=spf1 include:fails.example -all".to_owned(),
            ("ptr.example", RecordType::Txt) => "v=spf1 ptr:example -all".to_owned(),
            ("1.2.0.192.in-addr.arpa", RecordType::Ptr) => "host.example".to_owned(),
            (name, RecordType::Txt) if name.len() == 10 && name.starts_with('i') => "v=spf1 ?all".to_owned(),
            ("two.example", RecordType::Txt) => {
                return Lookup::Values(vec!["v=spf1 -all".into(), "v=spf1 +all".into()]);
            }
            _ => return Lookup::Values(Vec::new()),
        };
        Lookup::Values(vec![text])
    }

    fn ask(domain: &str, ip: &str) -> Evaluation {
        let sender = format!("bounces@{domain}");
        let query = SpfQuery { ip: ip.parse().unwrap(), domain, sender: &sender, helo: "mx1.relay.example" };
        evaluate(query, &zone)
    }

    #[test]
    fn records_are_evaluated_as_receivers_do() {
        for domain in ["plain.example", "inc.example", "red.example", "mx.example", "macro.example", "ptr.example"] {
            assert_eq!(ask(domain, "192.0.2.1").result, SpfResult::Pass, "{domain}");
        }
        assert_eq!(ask("plain.example", "192.0.2.16").result, SpfResult::Fail);
        assert_eq!(ask("plain.example", "2001:db8::1").result, SpfResult::Pass);
        assert_eq!(ask("inc.example", "198.51.100.1").result, SpfResult::SoftFail);
        assert_eq!(ask("macro.example", "192.0.2.2").result, SpfResult::Fail);
        assert_eq!(ask("nothing.example", "192.0.2.1").result, SpfResult::None);
        assert!(matches!(ask("temp.example", "192.0.2.1").result, SpfResult::TempError(_)));
        for broken in ["many.example", "loop.example", "void.example", "gone.example", "two.example"] {
            assert!(matches!(ask(broken, "198.51.100.1").result, SpfResult::PermError(_)), "{broken}");
        }
        assert_eq!(ask("inc.example", "192.0.2.1").lookups, 1);
    }

    #[test]
    fn the_heaviest_part_is_named() {
        let record: SpfRecord = "v=spf1 a include:many.example include:plain.example -all".parse().unwrap();
        let (sum, parts) = weigh(&record, &zone).unwrap();
        assert_eq!((sum, parts[0].0.as_str(), parts[0].1), (14, "include:many.example", 12));
        assert_eq!(weigh(&record, &|_, _| Lookup::Pending), None);
        // A record that includes itself ten times is weighed in no time.
        let itself = ["include:x.example"; 10].join(" ");
        let everywhere = |_: &str, _: RecordType| Lookup::Values(vec![format!("v=spf1 {itself} -all")]);
        assert!(weigh(&format!("v=spf1 {itself} -all").parse().unwrap(), &everywhere).unwrap().0 > LOOKUPS_MAX);
    }

    #[test]
    fn the_examples_of_the_standard_expand() {
        // RFC 7208 §7.4.
        let query = SpfQuery {
            ip: "192.0.2.3".parse().unwrap(),
            domain: "email.example.com",
            sender: "strong-bad@email.example.com",
            helo: "x",
        };
        let run = Run { query, lookup: &zone, lookups: 0, voids: 0 };
        for (spec, expanded) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l-}", "strong.bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
            ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ] {
            assert_eq!(run.expand(spec, "email.example.com").as_deref(), Ok(expanded), "{spec}");
        }
        assert!(run.expand("%{x}", "a").is_err() && run.expand("%", "a").is_err() && run.expand("%{d0}", "a").is_err());
    }
}
