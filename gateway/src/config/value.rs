//! Checked values by section and key, with typed access.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::de::DeValue;

use super::complaint::Place;
use super::keys::SECTIONS;
use super::kind::{Absent, Key, Kind, Occurs, Section};
use super::read::read;
use super::{DomainPattern, SecretRef};
use crate::message::DomainName;
use crate::redact::Keep;

/// A value that passed the check of its kind.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(u64),
    Number(f64),
    Boolean(bool),
    Span(Duration),
    Secret(SecretRef),
    Socket(SocketAddr),
    Address(IpAddr),
    Network(IpNet),
    Domain(DomainName),
    Pattern(DomainPattern),
    Endpoint(String, u16),
    Keep(Keep),
    List(Vec<Self>),
}

/// A key's value with where it stands.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Option<Value>,
    pub(super) place: Place,
    /// A complaint was made about it; the value is a default that keeps the other checks going.
    pub(super) bad: bool,
}

/// The values of one section's instance.
#[derive(Debug, Clone)]
pub(super) struct SectionValues {
    pub(super) section: &'static Section,
    pub(super) place: Place,
    pub(super) entries: BTreeMap<&'static str, Entry>,
}

/// Every section's instances: one for a section that occurs once, any number otherwise.
#[derive(Debug, Clone)]
pub(super) struct Values {
    pub(super) file: PathBuf,
    pub(super) sections: BTreeMap<&'static str, Vec<SectionValues>>,
}

impl Values {
    /// Every default; the examples stand in for keys that must be written.
    pub(super) fn defaults() -> Self {
        let file = PathBuf::new();
        let place = Place::whole(&file);
        let mut sections = BTreeMap::new();
        for section in SECTIONS {
            let instances = match section.occurs {
                Occurs::Once => vec![SectionValues::defaults(section, &place)],
                Occurs::Optional | Occurs::Repeated => Vec::new(),
            };
            sections.insert(section.path, instances);
        }
        Self { file, sections }
    }

    /// The one instance of a section that occurs once.
    pub(super) fn one(&self, path: &str) -> &SectionValues {
        self.all(path).first().unwrap_or_else(|| unreachable!("[{path}] occurs once in the table of keys"))
    }

    /// The instances of a section.
    pub(super) fn all(&self, path: &str) -> &[SectionValues] {
        self.sections.get(path).map_or(&[], Vec::as_slice)
    }
}

/// Typed access. The table of keys fixes the kind of every key, and a test builds everything that is read here, so
/// a mismatch cannot reach a user.
impl SectionValues {
    pub(super) fn defaults(section: &'static Section, place: &Place) -> Self {
        let entries = section
            .keys
            .iter()
            .map(|key| {
                let value = match key.default {
                    Absent::Is(text) | Absent::Required(text) => Some(default_value(key.kind, text)),
                    Absent::Nothing(_) => None,
                };
                (key.name, Entry { value, place: place.clone(), bad: false })
            })
            .collect();
        Self { section, place: place.clone(), entries }
    }

    pub(super) fn entry(&self, name: &str) -> &Entry {
        self.entries.get(name).unwrap_or_else(|| unreachable!("[{}] has the key {name}", self.section.path))
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.entry(name).value.as_ref()
    }

    fn mismatch(&self, name: &str) -> ! {
        unreachable!("[{}] {name} is read as another kind than the table of keys says", self.section.path)
    }

    pub(super) fn maybe_text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Some(Value::Text(text)) => Some(text),
            None => None,
            Some(_) => self.mismatch(name),
        }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.maybe_text(name).unwrap_or_else(|| self.mismatch(name))
    }

    pub(super) fn maybe_integer(&self, name: &str) -> Option<u64> {
        match self.value(name) {
            Some(Value::Integer(number)) => Some(*number),
            None => None,
            Some(_) => self.mismatch(name),
        }
    }

    pub(super) fn integer(&self, name: &str) -> u64 {
        self.maybe_integer(name).unwrap_or_else(|| self.mismatch(name))
    }

    /// A count or size that a range of the table keeps small enough for this machine's `usize`.
    pub(super) fn count(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(usize::MAX)
    }

    pub(super) fn maybe_number(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Some(Value::Number(number)) => Some(*number),
            None => None,
            Some(_) => self.mismatch(name),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        match self.value(name) {
            Some(Value::Boolean(value)) => *value,
            _ => self.mismatch(name),
        }
    }

    pub(super) fn span(&self, name: &str) -> Duration {
        match self.value(name) {
            Some(Value::Span(span)) => *span,
            _ => self.mismatch(name),
        }
    }

    pub(super) fn secret(&self, name: &str) -> SecretRef {
        match self.value(name) {
            Some(Value::Secret(secret)) => secret.clone(),
            _ => self.mismatch(name),
        }
    }

    pub(super) fn domain(&self, name: &str) -> Option<DomainName> {
        match self.value(name) {
            Some(Value::Domain(domain)) => Some(domain.clone()),
            None => None,
            Some(_) => self.mismatch(name),
        }
    }

    /// The members of a list (none if it is not written) for which `pick` has something.
    pub(super) fn list<T>(&self, name: &str, pick: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        match self.value(name) {
            Some(Value::List(values)) => values.iter().filter_map(pick).collect(),
            None => Vec::new(),
            Some(_) => self.mismatch(name),
        }
    }
}

fn default_value(kind: Kind, text: &str) -> Value {
    let value = DeValue::parse(text).unwrap_or_else(|_| unreachable!("the table's default {text} is TOML"));
    let mut wrong = Vec::new();
    read(kind, &value, &mut wrong).unwrap_or_else(|| unreachable!("the table's default {text} is valid: {wrong:?}"))
}

/// The entry for a key in the defaults of `section`, with its place.
pub(super) fn default_entry(section: &'static Section, name: &str, place: &Place) -> Entry {
    let key = section.keys.iter().find(|key| key.name == name);
    let value = key.and_then(|key: &Key| match key.default {
        Absent::Is(text) | Absent::Required(text) => Some(default_value(key.kind, text)),
        Absent::Nothing(_) => None,
    });
    Entry { value, place: place.clone(), bad: false }
}

/// A path as written, `None` for `""`.
pub(super) fn maybe_path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| Path::new(text).to_owned())
}
