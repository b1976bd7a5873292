//! DMARC policy records (RFC 9989 §4.7). `pct`, `rf` and `ri` are history there, and kept as unknown tags are.

use std::fmt;
use std::str::FromStr;

use crate::RecordError;
use crate::tags::{self, list};

/// `p=`, `sp=`, `np=`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DmarcPolicy {
    /// `none`.
    None,
    /// `quarantine`.
    Quarantine,
    /// `reject`.
    Reject,
}

impl DmarcPolicy {
    const ALL: [Self; 3] = [Self::None, Self::Quarantine, Self::Reject];

    /// The value as records have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// `psd=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PublicSuffix {
    /// `y`: the domain is a public suffix.
    Yes,
    /// `n`: it is an organizational domain.
    No,
    /// `u`, the default: found by the tree walk.
    #[default]
    Unknown,
}

/// A DMARC record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DmarcRecord {
    /// `p=`; missing: `none` where `rua=` is there, else no DMARC (RFC 9989 §4.10.1).
    pub policy: Option<DmarcPolicy>,
    /// `sp=`, for subdomains that exist.
    pub subdomains: Option<DmarcPolicy>,
    /// `np=`, for subdomains that do not.
    pub nonexistent: Option<DmarcPolicy>,
    /// `adkim=s`.
    pub strict_dkim: bool,
    /// `aspf=s`.
    pub strict_spf: bool,
    /// `rua=`: URIs for aggregate reports.
    pub aggregate_reports: Vec<String>,
    /// `ruf=`: URIs for failure reports.
    pub failure_reports: Vec<String>,
    /// `fo=`: of `0`, `1`, `d`, `s`; empty: `0`.
    pub failure_options: Vec<String>,
    /// `psd=`.
    pub public_suffix: PublicSuffix,
    /// `t=y`: receivers act one step milder.
    pub testing: bool,
    /// Tags that are unknown or history, in order.
    pub others: Vec<(String, String)>,
}

impl FromStr for DmarcRecord {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let squeezed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).take(8).collect();
        if !squeezed.eq_ignore_ascii_case("v=DMARC1") {
            return Err(RecordError::OtherKind("DMARC"));
        }
        let broken = |problem: String| RecordError::Broken { kind: "DMARC", problem };
        let tags = tags::parse(text).map_err(broken)?;
        if tags.first() != Some(&("v", "DMARC1")) {
            return Err(broken("v= is not exactly DMARC1".to_owned()));
        }
        let mut record = Self::default();
        for (name, value) in tags.into_iter().skip(1) {
            record.take(name, value).map_err(broken)?;
        }
        Ok(record)
    }
}

impl DmarcRecord {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let bad = || format!("{name}= does not know \"{}\"", value.chars().take(40).collect::<String>());
        let policy = || {
            let named = DmarcPolicy::ALL.into_iter().find(|policy| policy.as_str().eq_ignore_ascii_case(value));
            named.map(Some).ok_or_else(bad)
        };
        let one_of = |yes: &str, no: &str| match value {
            _ if value.eq_ignore_ascii_case(yes) => Ok(true),
            _ if value.eq_ignore_ascii_case(no) => Ok(false),
            _ => Err(bad()),
        };
        match name {
            "p" => self.policy = policy()?,
            "sp" => self.subdomains = policy()?,
            "np" => self.nonexistent = policy()?,
            "adkim" => self.strict_dkim = one_of("s", "r")?,
            "aspf" => self.strict_spf = one_of("s", "r")?,
            "t" => self.testing = one_of("y", "n")?,
            "psd" => {
                self.public_suffix = match value {
                    "y" => PublicSuffix::Yes,
                    "n" => PublicSuffix::No,
                    "u" => PublicSuffix::Unknown,
                    _ => return Err(bad()),
                }
            }
            "rua" => self.aggregate_reports = uris(value).ok_or_else(bad)?,
            "ruf" => self.failure_reports = uris(value).ok_or_else(bad)?,
            "fo" => {
                let options = list(value, ':');
                if options.iter().any(|option| !matches!(option.as_str(), "0" | "1" | "d" | "s")) {
                    return Err(bad());
                }
                self.failure_options = options;
            }
            _ => self.others.push((name.to_owned(), value.to_owned())),
        }
        Ok(())
    }
}

/// URIs between commas; a forgotten `mailto:` is the commonest mistake and makes the list invalid.
fn uris(value: &str) -> Option<Vec<String>> {
    let uris = list(value, ',');
    let scheme = |uri: &String| {
        uri.split_once(':').is_some_and(|(scheme, rest)| {
            !rest.is_empty() && !scheme.is_empty() && scheme.bytes().all(|octet| octet.is_ascii_alphanumeric())
        })
    };
    (!uris.is_empty() && uris.iter().all(scheme)).then_some(uris)
}

/// The domain that a report URI leads to; `None` for one that is no `mailto:` address.
pub(crate) fn host_of(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    let address = rest.split(['!', '?']).next()?;
    scheme.eq_ignore_ascii_case("mailto").then_some(address)?.rsplit_once('@').map(|(_, host)| host)
}

impl fmt::Display for DmarcRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tags = vec![("v", "DMARC1".to_owned())];
        for (name, policy) in [("p", self.policy), ("sp", self.subdomains), ("np", self.nonexistent)] {
            tags.extend(policy.map(|policy| (name, policy.as_str().to_owned())));
        }
        for (name, on, value) in
            [("adkim", self.strict_dkim, "s"), ("aspf", self.strict_spf, "s"), ("t", self.testing, "y")]
        {
            tags.extend(on.then(|| (name, value.to_owned())));
        }
        match self.public_suffix {
            PublicSuffix::Yes => tags.push(("psd", "y".to_owned())),
            PublicSuffix::No => tags.push(("psd", "n".to_owned())),
            PublicSuffix::Unknown => {}
        }
        for (name, values, separator) in [
            ("rua", &self.aggregate_reports, ","),
            ("ruf", &self.failure_reports, ","),
            ("fo", &self.failure_options, ":"),
        ] {
            if !values.is_empty() {
                tags.push((name, values.join(separator)));
            }
        }
        tags.extend(self.others.iter().map(|(name, value)| (name.as_str(), value.clone())));
        tags::write(f, &tags)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_claims_are_told_from_other_records() {
        for other in ["", "v=spf1 -all", "v=DKIM1; p=", "dmarc"] {
            assert_eq!(other.parse::<DmarcRecord>(), Err(RecordError::OtherKind("DMARC")), "{other}");
        }
        for broken in ["v=dmarc1; p=none", "v=DMARC1 p=none", "v=DMARC1; p=rejekt", "v=DMARC1; p=none; rua=a@b.example"]
        {
            assert!(matches!(broken.parse::<DmarcRecord>(), Err(RecordError::Broken { .. })), "{broken}");
        }
        let record: DmarcRecord =
            "v=DMARC1;p=Reject ; pct=50; rua=mailto:a@b.example,mailto:c@d.example!10m;".parse().unwrap();
        assert_eq!((record.policy, record.aggregate_reports.len()), (Some(DmarcPolicy::Reject), 2));
        assert_eq!(record.others, [("pct".to_owned(), "50".to_owned())]);
    }

    fn any_record() -> impl Strategy<Value = DmarcRecord> {
        let policy = || prop::option::of(prop::sample::select(DmarcPolicy::ALL.to_vec()));
        let uris = || prop::collection::vec("mailto:[a-z]{1,8}@[a-z]{1,8}\\.example", 0..3);
        let suffix = prop::sample::select(vec![PublicSuffix::Yes, PublicSuffix::No, PublicSuffix::Unknown]);
        let options = prop::sample::subsequence(vec!["0", "1", "d", "s"], 0..4);
        let others = prop::collection::btree_map("z[a-z]{0,5}", "[a-z0-9]{0,9}", 0..3);
        (
            (policy(), policy(), policy(), any::<bool>(), any::<bool>(), any::<bool>()),
            (uris(), uris(), options, suffix, others),
        )
            .prop_map(
                |(
                    (policy, subdomains, nonexistent, strict_dkim, strict_spf, testing),
                    (rua, ruf, fo, public_suffix, others),
                )| {
                    DmarcRecord {
                        policy,
                        subdomains,
                        nonexistent,
                        strict_dkim,
                        strict_spf,
                        aggregate_reports: rua,
                        failure_reports: ruf,
                        failure_options: fo.into_iter().map(str::to_owned).collect(),
                        public_suffix,
                        testing,
                        others: others.into_iter().collect(),
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(record in any_record()) {
            prop_assert_eq!(record.to_string().parse::<DmarcRecord>().unwrap(), record);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(v=DMARC1;)?[;a-z=: ,\\PC]{0,40}") {
            let _ = text.parse::<DmarcRecord>();
        }
    }
}
