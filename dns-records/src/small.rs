//! The small records around mail: MTA-STS (RFC 8461 §3.1), TLS reporting (RFC 8460 §3), TLSA (RFC 6698 §2), BIMI.

use std::fmt;
use std::str::FromStr;

use crate::RecordError;
use crate::tags::{self, list};

/// `_mta-sts`: that there is a policy, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MtaStsRecord {
    /// `id=`: 1 to 32 letters and digits; a new one tells senders to fetch the policy again.
    pub id: String,
}

/// `_smtp._tls`: where reports go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsReportRecord {
    /// `rua=`: at least one `mailto:` or `https:` URI.
    pub uris: Vec<String>,
}

/// `default._bimi`: where the logo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BimiRecord {
    /// `l=`: an `https:` URI of an SVG; empty: the domain shows none.
    pub logo: String,
    /// `a=`: the mark certificate's URI.
    pub evidence: Option<String>,
}

/// `_25._tcp`: the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsaRecord {
    /// Certificate usage; of use to mail are 2 (a trust anchor) and 3 (the certificate itself).
    pub usage: u8,
    /// 0: the whole certificate, 1: its public key.
    pub selector: u8,
    /// 0: the octets, 1: SHA-256, 2: SHA-512.
    pub matching: u8,
    /// The octets or their digest.
    pub data: Vec<u8>,
}

/// Tags of a list that must begin with `v=version`.
fn tagged<'t>(text: &'t str, kind: &'static str, version: &str) -> Result<Vec<(&'t str, &'t str)>, RecordError> {
    let squeezed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).take(version.len() + 2).collect();
    if !squeezed.eq_ignore_ascii_case(&format!("v={version}")) {
        return Err(RecordError::OtherKind(kind));
    }
    let tags = tags::parse(text).map_err(|problem| RecordError::Broken { kind, problem })?;
    if tags.first() != Some(&("v", version)) {
        return Err(RecordError::Broken { kind, problem: format!("v= is not exactly {version}") });
    }
    Ok(tags)
}

fn tag<'t>(tags: &[(&'t str, &'t str)], name: &str) -> Option<&'t str> {
    tags.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

impl FromStr for MtaStsRecord {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let tags = tagged(text, "MTA-STS", "STSv1")?;
        let id = tag(&tags, "id").unwrap_or_default();
        if id.is_empty() || id.len() > 32 || !id.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
            let problem = "id= is not 1 to 32 letters and digits".to_owned();
            return Err(RecordError::Broken { kind: "MTA-STS", problem });
        }
        Ok(Self { id: id.to_owned() })
    }
}

impl fmt::Display for MtaStsRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=STSv1; id={};", self.id)
    }
}

impl FromStr for TlsReportRecord {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let tags = tagged(text, "TLS-RPT", "TLSRPTv1")?;
        let uris = list(tag(&tags, "rua").unwrap_or_default(), ',');
        if uris.is_empty() || !uris.iter().all(|uri| uri.starts_with("mailto:") || uri.starts_with("https:")) {
            let problem = "rua= has no mailto: or https: URI".to_owned();
            return Err(RecordError::Broken { kind: "TLS-RPT", problem });
        }
        Ok(Self { uris })
    }
}

impl fmt::Display for TlsReportRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=TLSRPTv1; rua={}", self.uris.join(","))
    }
}

impl FromStr for BimiRecord {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let tags = tagged(text, "BIMI", "BIMI1")?;
        let logo = tag(&tags, "l").unwrap_or_default().to_owned();
        if !logo.is_empty() && !logo.starts_with("https://") {
            let problem = "l= is no https: URI".to_owned();
            return Err(RecordError::Broken { kind: "BIMI", problem });
        }
        Ok(Self { logo, evidence: tag(&tags, "a").filter(|uri| !uri.is_empty()).map(str::to_owned) })
    }
}

impl fmt::Display for BimiRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=BIMI1; l={}", self.logo)?;
        self.evidence.iter().try_for_each(|uri| write!(f, "; a={uri}"))
    }
}

impl FromStr for TlsaRecord {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let broken = |problem: &str| RecordError::Broken { kind: "TLSA", problem: problem.to_owned() };
        let mut words = text.split_ascii_whitespace();
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let (Some(usage), Some(selector), Some(matching)) = (number(), number(), number()) else {
            return Err(broken("it does not begin with three numbers"));
        };
        let hex: String = words.collect();
        if hex.is_empty() || !hex.len().is_multiple_of(2) || !hex.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return Err(broken("the data is not in hexadecimal"));
        }
        let octets = (0..hex.len()).step_by(2).filter_map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok());
        let data: Vec<u8> = octets.collect();
        let length = match matching {
            1 => 32,
            2 => 64,
            _ => data.len(),
        };
        if data.len() != length {
            return Err(broken("the digest has the wrong length"));
        }
        Ok(Self { usage, selector, matching, data })
    }
}

impl fmt::Display for TlsaRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_claims_are_told_from_other_records() {
        assert_eq!("v=spf1 -all".parse::<MtaStsRecord>(), Err(RecordError::OtherKind("MTA-STS")));
        for broken in ["v=STSv1", "v=STSv1; id=a-b", "v=stsv1; id=1"] {
            assert!(matches!(broken.parse::<MtaStsRecord>(), Err(RecordError::Broken { .. })), "{broken}");
        }
        assert!("v=TLSRPTv1; rua=a@example.com".parse::<TlsReportRecord>().is_err());
        assert!("v=BIMI1; l=http://example.com/x.svg".parse::<BimiRecord>().is_err());
        for broken in ["", "3 1", "3 1 1 00", "3 1 1 zz", "3 1 0 0"] {
            assert!(broken.parse::<TlsaRecord>().is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            id in "[a-zA-Z0-9]{1,32}",
            uris in prop::collection::vec("(mailto:[a-z]{1,9}@[a-z]{1,9}|https://[a-z]{1,9}/[a-z]{0,9})", 1..3),
            logo in "(https://[a-z]{1,9}/[a-z]{1,9}\\.svg)?",
            evidence in prop::option::of("https://[a-z]{1,9}/x"),
            usage in 0..4_u8, selector in 0..2_u8, data in prop::collection::vec(any::<u8>(), 1..80),
        ) {
            let sts = MtaStsRecord { id };
            prop_assert_eq!(sts.to_string().parse::<MtaStsRecord>().unwrap(), sts);
            let reports = TlsReportRecord { uris };
            prop_assert_eq!(reports.to_string().parse::<TlsReportRecord>().unwrap(), reports);
            let bimi = BimiRecord { logo, evidence };
            prop_assert_eq!(bimi.to_string().parse::<BimiRecord>().unwrap(), bimi);
            let tlsa = TlsaRecord { usage, selector, matching: 0, data };
            prop_assert_eq!(tlsa.to_string().parse::<TlsaRecord>().unwrap(), tlsa);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(v=(STSv1|TLSRPTv1|BIMI1)|[0-9] [0-9] [0-9])?\\PC{0,40}") {
            let _ = (text.parse::<MtaStsRecord>(), text.parse::<TlsReportRecord>());
            let _ = (text.parse::<BimiRecord>(), text.parse::<TlsaRecord>());
        }
    }
}
