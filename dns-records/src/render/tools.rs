//! Records for the tools that DNS hosts are driven with. Each has its own way with TXT, and each is read back by the
//! tool itself or its parser in the scenarios.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use super::{chunks, quoted, relative};
use crate::records::{DnsRecord, Purpose, RecordSet, RecordType};

/// `preference host` in two; a value that is not so gives preference 10.
fn exchange(value: &str) -> (u16, &str) {
    value.split_once(' ').and_then(|(n, host)| Some((n.parse().ok()?, host))).unwrap_or((10, value))
}

/// A name where other people's records of the type may stand: a tool that replaces whole sets must keep off.
fn is_shared(record: &DnsRecord, set: &RecordSet) -> bool {
    record.record_type == RecordType::Txt && (record.owner == set.domain || record.purpose == Purpose::Spf)
}

fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

/// The data as a zone file has it, TXT in quoted strings with spaces between them.
fn zone_data(record: &DnsRecord) -> String {
    match record.record_type {
        RecordType::Txt => chunks(&record.value).iter().map(|chunk| quoted(chunk)).collect::<Vec<_>>().join(" "),
        RecordType::A | RecordType::Aaaa | RecordType::Tlsa => record.value.clone(),
        _ => absolute(&record.value),
    }
}

/// Records of one name and type together, in the order of the set; tools know sets only.
fn grouped(set: &RecordSet, keep: impl Fn(&DnsRecord) -> bool) -> Vec<Vec<&DnsRecord>> {
    let mut groups: Vec<Vec<&DnsRecord>> = Vec::new();
    for record in set.records.iter().filter(|record| keep(record)) {
        let same =
            |group: &&mut Vec<&DnsRecord>| group[0].owner == record.owner && group[0].record_type == record.record_type;
        match groups.iter_mut().find(same) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

/// What a comment says about records that were left out; empty if none was.
fn left_out(set: &RecordSet) -> Vec<String> {
    let shared = set.records.iter().filter(|record| is_shared(record, set));
    shared
        .map(|record| format!("merge by hand, it may be there already: {} TXT {}", record.owner, record.value))
        .collect()
}

fn pretty(value: &Value) -> String {
    // A tree of strings and numbers always serializes.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// A JSON string, which is a YAML and a JavaScript one too.
fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// Cloudflare's import: a zone file with every record on one line, and aliases that its proxy leaves alone.
pub(super) fn cloudflare(set: &RecordSet) -> String {
    let mut out = String::new();
    for record in &set.records {
        let unproxied = if record.record_type == RecordType::Cname { " ; cf_tags=cf-proxied:false" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "{} {} IN {} {}{unproxied}",
            absolute(&record.owner),
            record.ttl,
            record.record_type.as_str(),
            zone_data(record),
        );
    }
    out
}

/// A change batch for `aws route53 change-resource-record-sets`. UPSERT replaces a set, so shared names stay out.
pub(super) fn route53(set: &RecordSet) -> String {
    let changes: Vec<Value> = grouped(set, |record| !is_shared(record, set))
        .iter()
        .map(|group| {
            let values: Vec<Value> = group.iter().map(|record| json!({"Value": zone_data(record)})).collect();
            json!({"Action": "UPSERT", "ResourceRecordSet": {
                "Name": absolute(&group[0].owner), "Type": group[0].record_type.as_str(),
                "TTL": group[0].ttl, "ResourceRecords": values,
            }})
        })
        .collect();
    let mut comment = format!("mail records of {}", set.domain);
    for text in left_out(set) {
        comment.push_str("; ");
        comment.push_str(&text);
    }
    // Route 53 takes 256 characters.
    let comment: String = comment.chars().take(256).collect();
    pretty(&json!({"Comment": comment, "Changes": changes}))
}

/// A string of HCL: `${` and `%{` begin templates there, and SPF has macros that look like them.
fn hcl(text: &str) -> String {
    string(text).replace("${", "$${").replace("%{", "%%{")
}

fn terraform(set: &RecordSet, rows: &[(String, Vec<(&str, String)>)], resource: &str) -> String {
    let mut out = format!("# Mail records of {}.\n", set.domain);
    out.push_str("variable \"zone_id\" {\n  type = string\n}\n\nlocals {\n  mail_records = {\n");
    for (key, fields) in rows {
        let _ = writeln!(out, "    {} = {{", hcl(key));
        for (name, value) in fields {
            let _ = writeln!(out, "      {name} = {value}");
        }
        out.push_str("    }\n");
    }
    out.push_str("  }\n}\n\n");
    out.push_str(resource);
    out
}

/// `aws_route53_record`: a TXT value of more than 255 octets is broken by `""` inside one string.
pub(super) fn terraform_route53(set: &RecordSet) -> String {
    let groups = grouped(set, |record| !is_shared(record, set));
    let rows = groups.iter().map(|group| {
        let first = group[0];
        let values = group.iter().map(|record| match record.record_type {
            RecordType::Txt => hcl(&chunks(&record.value).join("\"\"")),
            RecordType::Mx => {
                let (preference, host) = exchange(&record.value);
                hcl(&format!("{preference} {}", absolute(host)))
            }
            _ => hcl(&zone_data(record)),
        });
        let fields = vec![
            ("name", hcl(&first.owner)),
            ("type", hcl(first.record_type.as_str())),
            ("ttl", first.ttl.to_string()),
            ("records", format!("[{}]", values.collect::<Vec<_>>().join(", "))),
        ];
        (format!("{} {}", first.owner, first.record_type.as_str()), fields)
    });
    let notes: String = left_out(set).iter().fold(String::new(), |notes, text| notes + "# " + text + "\n");
    let resource = "resource \"aws_route53_record\" \"mail\" {\n  for_each = local.mail_records\n  zone_id  = var.zone_id\n  \
                    name     = each.value.name\n  type     = each.value.type\n  ttl      = each.value.ttl\n  \
                    records  = each.value.records\n}\n";
    notes + &terraform(set, &rows.collect::<Vec<_>>(), resource)
}

/// `cloudflare_dns_record`: one value a resource, TXT plain, never proxied.
pub(super) fn terraform_cloudflare(set: &RecordSet) -> String {
    let rows = set.records.iter().enumerate().map(|(index, record)| {
        let (preference, content) = match record.record_type {
            RecordType::Mx => exchange(&record.value),
            _ => (0, record.value.as_str()),
        };
        let priority = if record.record_type == RecordType::Mx { preference.to_string() } else { "null".to_owned() };
        let fields = vec![
            ("name", hcl(&record.owner)),
            ("type", hcl(record.record_type.as_str())),
            ("content", hcl(content)),
            ("ttl", record.ttl.to_string()),
            ("priority", priority),
        ];
        (format!("{} {} {index}", record.owner, record.record_type.as_str()), fields)
    });
    let resource = "resource \"cloudflare_dns_record\" \"mail\" {\n  for_each = local.mail_records\n  zone_id  = var.zone_id\n  \
                    name     = each.value.name\n  type     = each.value.type\n  content  = each.value.content\n  \
                    ttl      = each.value.ttl\n  priority = each.value.priority\n  proxied  = false\n}\n";
    terraform(set, &rows.collect::<Vec<_>>(), resource)
}

/// A name in pieces of text and number, so that `wax2` sorts before `wax10`.
type Natural = Vec<(String, Option<u64>)>;

fn natural(name: &str) -> Natural {
    let mut pieces = Natural::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(digits);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        pieces.push((text.to_owned(), number.parse().ok()));
        rest = after;
    }
    pieces
}

/// A zone of octoDNS' YAML source: semicolons escaped, which is its default and an error when done twice.
pub(super) fn octodns(set: &RecordSet) -> String {
    let mut names: BTreeMap<Natural, (&str, Vec<String>)> = BTreeMap::new();
    for group in grouped(set, |_| true) {
        let name = relative(&group[0].owner, &set.domain);
        let values: Vec<String> = group
            .iter()
            .map(|record| match record.record_type {
                RecordType::Txt => string(&record.value.replace(';', "\\;")),
                RecordType::Mx => {
                    let (preference, host) = exchange(&record.value);
                    format!("{{exchange: {}, preference: {preference}}}", string(&absolute(host)))
                }
                _ => string(&zone_data(record)),
            })
            .collect();
        // octoDNS refuses keys that are not sorted.
        let mut text = format!("  - ttl: {}\n    type: {}\n", group[0].ttl, group[0].record_type.as_str());
        if group[0].record_type == RecordType::Cname {
            let _ = writeln!(text, "    value: {}", values[0]);
        } else {
            text.push_str("    values:\n");
            for value in &values {
                let _ = writeln!(text, "      - {value}");
            }
        }
        let name = if name == "@" { "" } else { name };
        names.entry(natural(name)).or_insert_with(|| (name, Vec::new())).1.push(text);
    }
    let mut out = format!("---\n# Mail records of {}.\n", set.domain);
    for (name, sets) in names.into_values() {
        let _ = writeln!(out, "{}:", string(name));
        out.push_str(&sets.concat());
    }
    out
}

/// DNSControl: plain strings; it splits long ones by itself.
pub(super) fn dnscontrol(set: &RecordSet) -> String {
    let mut out = format!(
        "// Mail records of {0}; the domain itself is declared by your D({1}, …).\n",
        set.domain,
        string(&set.domain)
    );
    let _ = writeln!(out, "D_EXTEND({},", string(&set.domain));
    let last = set.records.len();
    for (index, record) in set.records.iter().enumerate() {
        let name = string(relative(&record.owner, &set.domain));
        let value = match record.record_type {
            RecordType::Mx => {
                let (preference, host) = exchange(&record.value);
                format!("{preference}, {}", string(&absolute(host)))
            }
            RecordType::Txt => string(&record.value),
            _ => string(&zone_data(record)),
        };
        let comma = if index + 1 == last { "" } else { "," };
        let _ = writeln!(out, "  {}({name}, {value}, TTL({})){comma}", record.record_type.as_str(), record.ttl);
    }
    out.push_str(");\n");
    out
}

/// Commands for nsupdate (RFC 2136): one update a record, each refused where something stands already.
pub(super) fn nsupdate(set: &RecordSet) -> String {
    let mut out = format!("; Mail records of {}. Run: nsupdate -k KEYFILE THIS-FILE\n", set.domain);
    for text in left_out(set) {
        let _ = writeln!(out, "; {text}");
    }
    for group in grouped(set, |record| !is_shared(record, set)) {
        let (owner, record_type) = (absolute(&group[0].owner), group[0].record_type);
        if record_type == RecordType::Cname {
            let _ = writeln!(out, "prereq nxdomain {owner}");
        } else {
            let _ = writeln!(out, "prereq nxrrset {owner} {}\nprereq nxrrset {owner} CNAME", record_type.as_str());
        }
        for record in group {
            let _ = writeln!(out, "update add {owner} {} {} {}", record.ttl, record_type.as_str(), zone_data(record));
        }
        out.push_str("send\n");
    }
    out
}

/// A `DNSEndpoint` of external-dns.
pub(super) fn external_dns(set: &RecordSet) -> String {
    let mut out = String::from(
        "# external-dns needs --source=crd and --managed-record-types for each type below. TXT is not taken by every\n\
         # provider: where it is not, delegate the keys by CNAME.\n",
    );
    for text in left_out(set) {
        let _ = writeln!(out, "# {text}");
    }
    let name = format!("mail-{}", set.domain.replace(['.', '_'], "-"));
    let _ = writeln!(
        out,
        "apiVersion: externaldns.k8s.io/v1alpha1\nkind: DNSEndpoint\nmetadata:\n  name: {}",
        string(&name)
    );
    out.push_str("spec:\n  endpoints:\n");
    for group in grouped(set, |record| !is_shared(record, set)) {
        let _ = writeln!(
            out,
            "    - dnsName: {}\n      recordType: {}",
            string(&group[0].owner),
            group[0].record_type.as_str()
        );
        let _ = writeln!(out, "      recordTTL: {}\n      targets:", group[0].ttl);
        for record in group {
            let target = if record.record_type == RecordType::Txt {
                record.value.clone()
            } else {
                record.value.trim_end_matches('.').to_owned()
            };
            let _ = writeln!(out, "        - {}", string(&target));
        }
    }
    out
}
