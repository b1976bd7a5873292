//! Identities: what a letter, a tenant and a session are called everywhere (logs, replies, store, pages).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The id of an accepted letter: a ULID, so that ids sort by the time of acceptance.
///
/// The same text stands in the SMTP reply, the `Received` field, events, notices and the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(u128);

impl LetterId {
    /// A new id for a letter accepted at `now`; 80 of its 128 bits are random.
    pub fn new(now: Timestamp) -> Self {
        let random = crate::chance::number();
        Self((u128::from(now.millis()) << 80) | (random & ((1 << 80) - 1)))
    }

    /// The first of all ids of this time.
    pub const fn first_at(time: Timestamp) -> Self {
        Self((time.millis() as u128) << 80)
    }

    /// The sixteen bytes that the store keeps, big-endian so that byte order is time order.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`LetterId::to_bytes`].
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// When the letter was accepted, as the id tells it.
    pub fn accepted_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 80) as u64)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&ulid::Ulid(self.0), f)
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a ULID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a letter id: 26 characters of Crockford base 32, as in \"250 2.0.0 queued as 01J…\"")]
pub struct BadLetterId(String);

impl FromStr for LetterId {
    type Err = BadLetterId;
    fn from_str(text: &str) -> Result<Self, BadLetterId> {
        ulid::Ulid::from_string(text).map(|ulid| Self(ulid.0)).map_err(|_| BadLetterId(text.to_owned()))
    }
}

impl Serialize for LetterId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for LetterId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(Self)
        }
    }
}

/// The number under which the store keeps a tenant; never reused, unlike a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantId(pub u32);

/// The name of one SMTP session in replies and events, `s-` and twelve hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(u64);

impl SessionId {
    /// A new random name.
    pub fn new() -> Self {
        Self(rand::random::<u64>() & 0xffff_ffff_ffff)
    }
}

impl Default for SessionId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s-{:012x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_and_its_bytes_and_tells_its_time() {
        let now = Timestamp::from_millis(1_795_000_000_123);
        let id = LetterId::new(now);
        assert_eq!(id.to_string().parse::<LetterId>(), Ok(id));
        assert_eq!(LetterId::from_bytes(id.to_bytes()), id);
        assert_eq!(id.accepted_at(), now);
        assert!("not-an-id".parse::<LetterId>().is_err());
    }
}
