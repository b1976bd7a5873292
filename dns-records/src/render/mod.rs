//! Records in the form that a DNS host wants. One function a format, all of them pure.

mod tools;

use std::fmt::Write;
use std::str::FromStr;

use serde::Serialize;

use crate::records::{DnsRecord, RecordSet, RecordType};

/// The forms that are rendered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON document, which the others can be made from.
    Json,
    /// For a person who copies values into a web page: one string, no quotes.
    Text,
    /// A BIND zone file's lines, TXT in character-strings of at most 255 octets.
    Bind,
    /// RFC 4180 with a header line.
    Csv,
    /// A zone file as Cloudflare imports it.
    Cloudflare,
    /// A change batch of Route 53.
    Route53,
    /// Terraform or OpenTofu, for Route 53.
    TerraformRoute53,
    /// Terraform or OpenTofu, for Cloudflare.
    TerraformCloudflare,
    /// A zone of octoDNS.
    Octodns,
    /// DNSControl.
    Dnscontrol,
    /// Commands for nsupdate.
    Nsupdate,
    /// A custom resource of external-dns.
    ExternalDns,
}

impl Format {
    /// All of them, in the order in which people are offered them.
    pub const ALL: [Self; 12] = [
        Self::Json,
        Self::Text,
        Self::Bind,
        Self::Csv,
        Self::Cloudflare,
        Self::Route53,
        Self::TerraformRoute53,
        Self::TerraformCloudflare,
        Self::Octodns,
        Self::Dnscontrol,
        Self::Nsupdate,
        Self::ExternalDns,
    ];

    /// The word for it on command lines and in queries, the ending of its files, and its name for people.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Json => ("json", "json", "JSON"),
            Self::Text => ("text", "txt", "Text"),
            Self::Bind => ("bind", "zone", "BIND"),
            Self::Csv => ("csv", "csv", "CSV"),
            Self::Cloudflare => ("cloudflare", "zone", "Cloudflare"),
            Self::Route53 => ("route53", "json", "Route 53"),
            Self::TerraformRoute53 => ("terraform-route53", "tf", "Terraform (Route 53)"),
            Self::TerraformCloudflare => ("terraform-cloudflare", "tf", "Terraform (Cloudflare)"),
            Self::Octodns => ("octodns", "yaml", "octoDNS"),
            Self::Dnscontrol => ("dnscontrol", "js", "DNSControl"),
            Self::Nsupdate => ("nsupdate", "nsupdate", "nsupdate"),
            Self::ExternalDns => ("external-dns", "yaml", "external-dns"),
        }
    }

    /// The word for it: `terraform-route53`.
    pub const fn as_str(self) -> &'static str {
        self.names().0
    }

    /// The ending of its files: `tf`.
    pub const fn ending(self) -> &'static str {
        self.names().1
    }

    /// Its name for people, the same in every language: `Terraform (Route 53)`.
    pub const fn title(self) -> &'static str {
        self.names().2
    }
}

/// The text names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a format: {}", Format::ALL.map(Format::as_str).join(", "))]
pub struct UnknownFormat {
    text: String,
}

impl FromStr for Format {
    type Err = UnknownFormat;
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| UnknownFormat { text: text.chars().take(40).collect() })
    }
}

/// A TXT value in character-strings of at most 255 octets (RFC 1035 §3.3.14); receivers join them without a space.
pub fn chunks(value: &str) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = value;
    loop {
        let mut end = rest.len().min(255);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (chunk, after) = rest.split_at(end);
        chunks.push(chunk);
        if after.is_empty() {
            return chunks;
        }
        rest = after;
    }
}

/// Renders all records of a domain.
pub fn render(set: &RecordSet, format: Format) -> String {
    match format {
        Format::Json => json(set),
        Format::Text => text(set),
        Format::Bind => bind(set),
        Format::Csv => csv(set),
        Format::Cloudflare => tools::cloudflare(set),
        Format::Route53 => tools::route53(set),
        Format::TerraformRoute53 => tools::terraform_route53(set),
        Format::TerraformCloudflare => tools::terraform_cloudflare(set),
        Format::Octodns => tools::octodns(set),
        Format::Dnscontrol => tools::dnscontrol(set),
        Format::Nsupdate => tools::nsupdate(set),
        Format::ExternalDns => tools::external_dns(set),
    }
}

/// The name below the domain, as many DNS hosts ask for it; `@` for the domain itself.
fn relative<'r>(owner: &'r str, domain: &str) -> &'r str {
    if owner == domain {
        return "@";
    }
    owner.strip_suffix(domain).and_then(|name| name.strip_suffix('.')).unwrap_or(owner)
}

fn json(set: &RecordSet) -> String {
    #[derive(Serialize)]
    struct Row<'r> {
        name: &'r str,
        fqdn: String,
        chunks: Vec<&'r str>,
        #[serde(flatten)]
        record: &'r DnsRecord,
    }
    #[derive(Serialize)]
    struct Document<'r> {
        domain: &'r str,
        records: Vec<Row<'r>>,
    }
    let mut records = Vec::with_capacity(set.records.len());
    for record in &set.records {
        let pieces = if record.record_type == RecordType::Txt { chunks(&record.value) } else { vec![&*record.value] };
        let (name, fqdn) = (relative(&record.owner, &set.domain), format!("{}.", record.owner));
        records.push(Row { name, fqdn, chunks: pieces, record });
    }
    let document = Document { domain: &set.domain, records };
    // Strings, numbers and lists of them always serialize.
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn text(set: &RecordSet) -> String {
    let mut out = format!("DNS records for {}\n", set.domain);
    for (index, record) in set.records.iter().enumerate() {
        let need = if record.required { "required" } else { "recommended" };
        let DnsRecord { owner, record_type, value, ttl, purpose, .. } = record;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\n{}. {} ({need})\n   Type:  {}\n   Name:  {owner}\n   Value: {value}\n   TTL:   {ttl}\n",
            index + 1,
            purpose.explanation(),
            record_type.as_str(),
        );
    }
    out
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

fn bind(set: &RecordSet) -> String {
    let mut out = "$TTL 300\n".to_owned();
    for record in &set.records {
        let need = if record.required { "required" } else { "recommended" };
        let value = match record.record_type {
            RecordType::Txt => match chunks(&record.value).as_slice() {
                [one] => quoted(one),
                many => {
                    let lines: Vec<String> = many.iter().map(|chunk| format!("\t{}\n", quoted(chunk))).collect();
                    format!("(\n{})", lines.concat())
                }
            },
            RecordType::A | RecordType::Aaaa | RecordType::Tlsa => record.value.clone(),
            _ => format!("{}.", record.value),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "; {} ({need})\n{}. {} IN {} {value}\n",
            record.purpose.explanation(),
            record.owner,
            record.ttl,
            record.record_type.as_str(),
        );
    }
    out
}

fn csv(set: &RecordSet) -> String {
    let field = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut out = "type,name,fqdn,value,ttl,required,purpose\r\n".to_owned();
    for record in &set.records {
        let row = [
            record.record_type.as_str().to_owned(),
            field(relative(&record.owner, &set.domain)),
            field(&format!("{}.", record.owner)),
            field(&record.value),
            record.ttl.to_string(),
            record.required.to_string(),
            field(record.purpose.explanation()),
        ];
        out.push_str(&row.join(","));
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{DkimRecord, KeyType, Operator, PublishedKey, SpfRecord, records_for};

    fn set() -> RecordSet {
        let key = |selector: &str, key_type, octets| PublishedKey {
            selector: selector.to_owned(),
            record: DkimRecord::new(key_type, vec![7; octets]),
            delegated_to: None,
        };
        let operator = Operator {
            hostname: "mx1.relay.example".to_owned(),
            egress: vec!["192.0.2.10".parse().unwrap(), "2001:db8::10".parse().unwrap()],
            ..Operator::default()
        };
        let keys = [key("r1", KeyType::Rsa, 294), key("e1", KeyType::Ed25519, 32)];
        let records = records_for("example.com", &keys, Some("bounce.example.com"), &operator);
        RecordSet { domain: "example.com".to_owned(), records }
    }

    #[test]
    fn every_record_is_there_in_every_format() {
        let set = set();
        assert_eq!(
            set.records.iter().map(|record| record.required).collect::<Vec<_>>(),
            [true, false, true, true, false]
        );
        for format in [
            "json",
            "text",
            "bind",
            "csv",
            "cloudflare",
            "route53",
            "terraform-route53",
            "terraform-cloudflare",
            "octodns",
            "dnscontrol",
            "nsupdate",
            "external-dns",
        ] {
            let text = render(&set, format.parse().unwrap());
            for record in &set.records {
                let relative = relative(&record.owner, &set.domain);
                assert!(text.contains(&record.owner) || text.contains(relative), "{format}: {text}");
            }
        }
        assert!("yaml".parse::<Format>().is_err());
        let spf: SpfRecord = set.records[3].value.parse().unwrap();
        assert_eq!(spf.to_string(), "v=spf1 ip4:192.0.2.10 ip6:2001:db8::10 -all");
    }

    #[test]
    fn long_texts_are_cut_as_each_tool_wants_them() {
        let set = set();
        let long = &set.records[0].value;
        let (first, rest) = long.split_at(255);
        let text = |format: &str| render(&set, format.parse().unwrap());
        assert!(text("cloudflare").contains(&format!("\"{first}\" \"{rest}\"")));
        assert!(text("route53").contains(&format!("\\\"{first}\\\" \\\"{rest}\\\"")));
        assert!(text("terraform-route53").contains(&format!("{first}\\\"\\\"{rest}")));
        assert!(text("terraform-cloudflare").contains(&format!("\"{long}\"")));
        assert!(text("dnscontrol").contains(&format!("\"{long}\"")));
        assert!(text("octodns").contains(&long.replace(';', "\\\\;")));
        assert!(text("nsupdate").contains(&format!("TXT \"{first}\" \"{rest}\"")));
    }

    #[test]
    fn tools_that_replace_sets_keep_off_the_domains_own_name() {
        let operator = Operator { egress: vec!["192.0.2.10".parse().unwrap()], ..Operator::default() };
        let records = records_for("example.com", &[], None, &operator);
        let set = RecordSet { domain: "example.com".to_owned(), records };
        let batch: serde_json::Value = serde_json::from_str(&render(&set, Format::Route53)).unwrap();
        let names: Vec<&str> = batch["Changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["ResourceRecordSet"]["Name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["_dmarc.example.com."]);
        for format in [Format::Nsupdate, Format::TerraformRoute53, Format::ExternalDns] {
            assert!(render(&set, format).contains("merge by hand"), "{format:?}");
        }
    }

    #[test]
    fn json_has_the_value_whole_and_in_pieces() {
        let document: serde_json::Value = serde_json::from_str(&render(&set(), Format::Json)).unwrap();
        let first = &document["records"][0];
        assert_eq!((first["type"].as_str(), first["name"].as_str()), (Some("TXT"), Some("r1._domainkey")));
        assert_eq!(first["fqdn"], "r1._domainkey.example.com.");
        let pieces: String = first["chunks"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
        assert_eq!(first["value"].as_str().unwrap(), pieces);
        assert_eq!(first["chunks"].as_array().unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn pieces_are_short_and_make_the_value(value in "\\PC{0,700}") {
            let pieces = chunks(&value);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= 255));
            prop_assert_eq!(pieces.concat(), value);
        }
    }
}
