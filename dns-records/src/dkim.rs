//! DKIM key records (RFC 6376 §3.6.1, RFC 8463 §4).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::RecordError;
use crate::tags::{self, list};

/// `k=`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeyType {
    /// `rsa`, the default.
    #[default]
    Rsa,
    /// `ed25519`.
    Ed25519,
    /// One that nobody here knows; verifiers pass such a record over.
    Other(String),
}

impl KeyType {
    fn as_str(&self) -> &str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
            Self::Other(name) => name,
        }
    }
}

/// A key record. Compare two records by value, never by text: spacing and order differ among DNS hosts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DkimRecord {
    /// `k=`.
    pub key_type: KeyType,
    /// `h=`; empty: any hash.
    pub hashes: Vec<String>,
    /// `p=`, decoded; empty: the key is revoked.
    pub public_key: Vec<u8>,
    /// `t=y`: the domain tests DKIM.
    pub testing: bool,
    /// `t=s`: `i=` may not be of a subdomain.
    pub strict: bool,
    /// `s=`; empty: any service.
    pub services: Vec<String>,
    /// `n=`, for people.
    pub notes: Option<String>,
    /// Tags that nobody here knows, in order.
    pub others: Vec<(String, String)>,
}

impl DkimRecord {
    /// The record that a key needs: only SHA-256, for RFC 8301 leaves nothing else.
    pub fn new(key_type: KeyType, public_key: Vec<u8>) -> Self {
        Self { key_type, public_key, hashes: vec!["sha256".to_owned()], ..Self::default() }
    }

    /// Is the key revoked?
    pub fn revoked(&self) -> bool {
        self.public_key.is_empty()
    }
}

impl FromStr for DkimRecord {
    type Err = RecordError;

    /// `v=` may be missing (its default is DKIM1), and then `p=` is what makes the claim.
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let squeezed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).take(7).collect();
        let claims = squeezed.eq_ignore_ascii_case("v=DKIM1");
        let broken = |problem: String| RecordError::Broken { kind: "DKIM", problem };
        let tags = match tags::parse(text) {
            Ok(tags) => tags,
            Err(problem) if claims => return Err(broken(problem)),
            Err(_) => return Err(RecordError::OtherKind("DKIM")),
        };
        let get = |name: &str| tags.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        match get("v") {
            Some("DKIM1") if tags[0].0 == "v" => {}
            Some("DKIM1") => return Err(broken("v= does not stand first".to_owned())),
            Some(_) if claims => return Err(broken("v= is not exactly DKIM1".to_owned())),
            Some(_) => return Err(RecordError::OtherKind("DKIM")),
            None if get("p").is_none() => return Err(RecordError::OtherKind("DKIM")),
            None => {}
        }
        let key = get("p").ok_or_else(|| broken("p= is missing".to_owned()))?;
        let key: String = key.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let public_key = STANDARD.decode(key).map_err(|error| broken(format!("p= is not base64: {error}")))?;
        let key_type = match get("k") {
            None | Some("rsa") => KeyType::Rsa,
            Some("ed25519") => KeyType::Ed25519,
            Some(other) => KeyType::Other(other.to_owned()),
        };
        if key_type == KeyType::Ed25519 && !matches!(public_key.len(), 0 | 32) {
            let problem = "an Ed25519 key is the bare 32 octets, without ASN.1 around them (RFC 8463 section 4.2)";
            return Err(broken(problem.to_owned()));
        }
        let flags = list(get("t").unwrap_or_default(), ':');
        let services = list(get("s").unwrap_or_default(), ':');
        let known = ["v", "k", "h", "p", "t", "s", "n"];
        Ok(Self {
            key_type,
            hashes: list(get("h").unwrap_or_default(), ':'),
            public_key,
            testing: flags.iter().any(|flag| flag == "y"),
            strict: flags.iter().any(|flag| flag == "s"),
            services: if services == ["*"] { Vec::new() } else { services },
            notes: get("n").filter(|notes| !notes.is_empty()).map(str::to_owned),
            others: tags
                .iter()
                .filter(|(name, _)| !known.contains(name))
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        })
    }
}

impl fmt::Display for DkimRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tags = vec![("v", "DKIM1".to_owned()), ("k", self.key_type.as_str().to_owned())];
        if !self.hashes.is_empty() {
            tags.push(("h", self.hashes.join(":")));
        }
        let flags: Vec<&str> =
            [(self.testing, "y"), (self.strict, "s")].iter().filter(|(on, _)| *on).map(|(_, flag)| *flag).collect();
        if !flags.is_empty() {
            tags.push(("t", flags.join(":")));
        }
        if !self.services.is_empty() {
            tags.push(("s", self.services.join(":")));
        }
        if let Some(notes) = &self.notes {
            tags.push(("n", notes.clone()));
        }
        tags.extend(self.others.iter().map(|(name, value)| (name.as_str(), value.clone())));
        // Last, because it is long and people compare what stands before it.
        tags.push(("p", STANDARD.encode(&self.public_key)));
        tags::write(f, &tags)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_claims_are_told_from_other_records() {
        for other in ["", "v=spf1 -all", "google-site-verification=x", "hello", "v=DMARC1; p=none"] {
            assert_eq!(other.parse::<DkimRecord>(), Err(RecordError::OtherKind("DKIM")), "{other}");
        }
        for broken in [
            "v=DKIM1",
            "v=DKIM1; p=!",
            "v=DKIM1; p=AAAA; p=AAAA",
            "v=DKIM1;; p=AAAA",
            "v=DKIM1; \u{201c}p=AAAA",
            "k=rsa; v=DKIM1; p=AAAA",
            "v=DKIM12; p=AAAA",
            "v=dkim1; p=AAAA",
            "v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
        ] {
            assert!(matches!(broken.parse::<DkimRecord>(), Err(RecordError::Broken { .. })), "{broken}");
        }
    }

    #[test]
    fn spacing_and_order_make_no_difference() {
        let plain: DkimRecord = "v=DKIM1; k=rsa; h=sha256; p=AAAA".parse().unwrap();
        for same in ["v = DKIM1 ;p=AA\t AA;h=sha256;", "v=DKIM1;h = sha256 ; s=* ; p=AAAA ;"] {
            assert_eq!(same.parse::<DkimRecord>().unwrap(), plain);
        }
        assert_eq!(plain, DkimRecord::new(KeyType::Rsa, vec![0, 0, 0]));
        assert!("p=".parse::<DkimRecord>().unwrap().revoked());
    }

    fn any_record() -> impl Strategy<Value = DkimRecord> {
        let word = "[a-z][a-z0-9]{0,8}";
        let words = || prop::collection::vec(word, 0..3);
        let key = prop_oneof![
            (Just(KeyType::Rsa), prop::collection::vec(any::<u8>(), 0..300)),
            (Just(KeyType::Ed25519), prop::collection::vec(any::<u8>(), 32)),
            ("x[a-z]{1,5}".prop_map(KeyType::Other), prop::collection::vec(any::<u8>(), 0..40)),
        ];
        let others = prop::collection::btree_map("z[a-z0-9]{0,5}", "[!-:<-~]([!-:<-~ ]{0,9}[!-:<-~])?", 0..3);
        (key, words(), words(), any::<bool>(), any::<bool>(), prop::option::of("[!-:<-~]{1,20}"), others).prop_map(
            |((key_type, public_key), hashes, services, testing, strict, notes, others)| DkimRecord {
                key_type,
                hashes,
                public_key,
                testing,
                strict,
                services,
                notes,
                others: others.into_iter().collect(),
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(record in any_record()) {
            prop_assert_eq!(record.to_string().parse::<DkimRecord>().unwrap(), record);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(v=DKIM1)?[;a-z= \\PC]{0,40}") {
            let _ = text.parse::<DkimRecord>();
        }
    }
}
