//! What a receiver would say of a message: the keys and the policy are looked up in the demo's DNS, then DKIM and
//! DMARC are checked by mail-auth.

use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::DemoError;
use crate::cli::verify::{DnsFixture, Verdicts, verify_message};

/// Verifies a message with what `dns` says of the names that its signatures and its From field name.
pub async fn verify(message: &[u8], from_domain: &str, dns: SocketAddr) -> Result<Verdicts, DemoError> {
    let inside = |e: &dyn std::fmt::Display| DemoError::Inside(e.to_string());
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    (udp.port, tcp.port) = (dns.port(), dns.port());
    let server = NameServerConfig::new(dns.ip(), true, vec![udp, tcp]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let resolver = resolver.build().map_err(|e| inside(&e))?;
    let mut names = key_names(message);
    names.push(format!("_dmarc.{from_domain}"));
    let mut records = Vec::new();
    for name in names {
        // A name without an answer stays out of the fixture, and is then missing for the verifier too.
        let Ok(answer) = resolver.txt_lookup(format!("{name}.")).await else { continue };
        let texts = answer.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        });
        let texts = texts.map(|octets| String::from_utf8_lossy(&octets).into_owned()).collect();
        records.push((name, texts));
    }
    let fixture = DnsFixture::new(records);
    verify_message(message, Some(&fixture)).await.map_err(|e| inside(&e.message))
}

/// The names of the keys of all signatures, from their `s=` and `d=`.
fn key_names(message: &[u8]) -> Vec<String> {
    let header = memchr::memmem::find(message, b"\r\n\r\n").map_or(message, |end| &message[..end]);
    let unfolded = String::from_utf8_lossy(header).replace("\r\n\t", "").replace("\r\n ", "");
    let signatures = unfolded.lines().filter_map(|line| line.strip_prefix("DKIM-Signature:"));
    let name = |signature: &str| {
        let tag = |wanted: &str| {
            let tags = signature.split(';').filter_map(|tag| tag.trim().split_once('='));
            tags.filter(|(name, _)| *name == wanted).map(|(_, value)| value.trim().to_owned()).next()
        };
        Some(format!("{}._domainkey.{}", tag("s")?, tag("d")?))
    };
    signatures.filter_map(name).collect()
}
