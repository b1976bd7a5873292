//! What a key of the configuration is: the types that the table of keys is written in.

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A short text of printable characters.
    Text,
    /// A domain name.
    Domain,
    /// A mail address.
    Mailbox,
    /// A file or folder.
    Path,
    /// A file, or `""` for none.
    MaybePath,
    /// `http://` or `https://` and a host.
    Url,
    /// A whole number in a range.
    Integer(u64, u64),
    /// A probability.
    Fraction,
    /// `true` or `false`.
    Boolean,
    /// A size in a range of octets.
    Size(u64, u64),
    /// A time, in a range of seconds.
    Span(u64, u64),
    /// So many a second, minute or hour.
    Rate,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A secret by reference.
    Secret,
    /// Address and port.
    Socket,
    /// An address.
    Address,
    /// A network in CIDR form.
    Network,
    /// A domain, `*.domain` or `*`.
    Pattern,
    /// `host:port`.
    Endpoint,
    /// `system`, or a DNS server's address with or without a port.
    Server,
    /// `{ first = 0, last = 4 }`.
    Keep,
    /// At least so many values of a kind.
    List(&'static Kind, usize),
}

/// What stands where nothing is written. The texts are TOML.
#[derive(Debug, Clone, Copy)]
pub(super) enum Absent {
    /// This value.
    Is(&'static str),
    /// Nothing; the text is an example.
    Nothing(&'static str),
    /// The key must be written; the text is an example.
    Required(&'static str),
}

impl Absent {
    /// The value or example, as TOML.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Is(text) | Self::Nothing(text) | Self::Required(text) => text,
        }
    }
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) default: Absent,
    pub(super) doc: &'static str,
}

/// How often a section may stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occurs {
    /// `[section]`; without it every key has its default.
    Once,
    /// `[section]`; without it the feature is off.
    Optional,
    /// `[[section]]`, any number.
    Repeated,
}

/// One section.
#[derive(Debug)]
pub(super) struct Section {
    /// Its path; empty for the top of the file.
    pub(super) path: &'static str,
    pub(super) occurs: Occurs,
    pub(super) doc: &'static str,
    pub(super) keys: &'static [Key],
    /// For a repeated section: further instances that the example shows, as TOML lines.
    pub(super) more: &'static [&'static str],
}
