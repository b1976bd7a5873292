//! The per-recipient token of a rewritten reverse-path, so that a bounce that comes back names its letter and
//! recipient, and nobody else can invent one.
//!
//! `b1-` and 53 characters of base32 in lower case, 56 octets in all (RFC 5321 §4.5.3.1.1 allows 64), readable in
//! either case, since hosts on the way may change it. Holds the letter's id, the recipient's number, the hour of
//! expiry, and 80 bits of HMAC-SHA-256 over these and the domain.

use waxseal_keys::sealing::DataKey;

use crate::clock::Timestamp;
use crate::ids::LetterId;
use crate::message::{DomainName, Mailbox};

const PREFIX: &str = "b1-";
const ID: usize = 16;
const BOUND: usize = ID + 4 + 3;
const MAC: usize = 10;
const TOKEN: usize = BOUND + MAC;
/// RFC 4648 §6 in lower case.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const MILLIS_PER_HOUR: u64 = 3_600_000;

/// What a token that came back says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// The letter.
    pub id: LetterId,
    /// The recipient's place in its envelope.
    pub recipient: u32,
}

fn mac(key: &DataKey, bound: &[u8], domain: &DomainName) -> [u8; MAC] {
    let mut data = bound.to_vec();
    data.extend_from_slice(domain.as_str().as_bytes());
    let full = key.derive(b"", b"waxseal return path v1").mac(&data);
    let mut short = [0; MAC];
    short.copy_from_slice(&full[..MAC]);
    short
}

/// Makes the address that notices about `recipient` come back to, until the hour after `expires`.
#[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
pub fn token(key: &DataKey, id: LetterId, recipient: u32, expires: Timestamp, domain: &DomainName) -> Mailbox {
    // 24 bits of hours last until the year 3883.
    let hours = u32::try_from(expires.millis().div_ceil(MILLIS_PER_HOUR)).unwrap_or(u32::MAX).min(0xff_ffff);
    let mut token = [0; TOKEN];
    token[..ID].copy_from_slice(&id.to_bytes());
    token[ID..ID + 4].copy_from_slice(&recipient.to_be_bytes());
    token[ID + 4..BOUND].copy_from_slice(&hours.to_be_bytes()[1..]);
    let tag = mac(key, &token[..BOUND], domain);
    token[BOUND..].copy_from_slice(&tag);
    let local = format!("{PREFIX}{}", base32(&token));
    // Letters, digits and one hyphen inside are always a dot-atom.
    Mailbox::new(&local, domain.clone()).expect("a token is a valid local part")
}

/// Reads a token; `None` if it is none of ours, changed, for another domain, or expired.
pub fn parse(key: &DataKey, address: &Mailbox, now: Timestamp) -> Option<Returned> {
    let local = address.local_part();
    let start = local.get(..PREFIX.len())?;
    if !start.eq_ignore_ascii_case(PREFIX) {
        return None;
    }
    let token = unbase32(&local[PREFIX.len()..])?;
    let expected = mac(key, &token[..BOUND], address.domain());
    aws_lc_rs::constant_time::verify_slices_are_equal(&expected, &token[BOUND..]).ok()?;
    let hours = u32::from_be_bytes([0, token[ID + 4], token[ID + 5], token[ID + 6]]);
    if now.millis() > u64::from(hours) * MILLIS_PER_HOUR {
        return None;
    }
    let id = LetterId::from_bytes(token[..ID].try_into().ok()?);
    let recipient = u32::from_be_bytes(token[ID..ID + 4].try_into().ok()?);
    Some(Returned { id, recipient })
}

fn base32(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 8 / 5 + 1);
    let (mut buffer, mut bits) = (0_u32, 0);
    for &octet in octets {
        buffer = buffer << 8 | u32::from(octet);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(ALPHABET[(buffer >> bits & 31) as usize] as char);
        }
    }
    if bits > 0 {
        text.push(ALPHABET[(buffer << (5 - bits) & 31) as usize] as char);
    }
    text
}

fn unbase32(text: &str) -> Option<[u8; TOKEN]> {
    let mut token = [0; TOKEN];
    let (mut buffer, mut bits, mut at) = (0_u32, 0, 0);
    for octet in text.bytes() {
        let digit = ALPHABET.iter().position(|&known| known == octet.to_ascii_lowercase())?;
        buffer = buffer << 5 | digit as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *token.get_mut(at)? = (buffer >> bits) as u8;
            at += 1;
        }
    }
    // All octets, and no bits left that another text could set.
    (at == TOKEN && bits < 5 && buffer & ((1 << bits) - 1) == 0).then_some(token)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_442_709_123);

    #[test]
    fn a_token_comes_back_in_any_case_until_it_expires_and_only_at_its_domain() {
        let key = DataKey::generate().unwrap();
        let domain: DomainName = "bounce.example.com".parse().unwrap();
        let id = LetterId::new(NOW);
        let expires = NOW + Duration::from_hours(24);
        let address = token(&key, id, 7, expires, &domain);
        assert!(address.local_part().len() <= 64);
        let loud = Mailbox::new(&address.local_part().to_uppercase(), domain).unwrap();
        let expected = Some(Returned { id, recipient: 7 });
        assert_eq!(parse(&key, &address, NOW), expected);
        assert_eq!(parse(&key, &loud, expires), expected);
        assert_eq!(parse(&key, &address, expires + Duration::from_hours(2)), None);
        let elsewhere = Mailbox::new(address.local_part(), "example.org".parse().unwrap()).unwrap();
        assert_eq!(parse(&key, &elsewhere, NOW), None);
        assert_eq!(parse(&DataKey::generate().unwrap(), &address, NOW), None);
    }

    proptest! {
        #[test]
        fn one_changed_character_is_refused(at in 3..56_usize, to in "[a-z2-7]") {
            let key = DataKey::generate().unwrap();
            let domain: DomainName = "b.example".parse().unwrap();
            let address = token(&key, LetterId::new(NOW), 0, NOW, &domain);
            let mut local = address.local_part().to_owned();
            prop_assume!(local[at..=at] != to);
            local.replace_range(at..=at, &to);
            prop_assert_eq!(parse(&key, &Mailbox::new(&local, domain).unwrap(), NOW), None);
        }

        #[test]
        fn no_local_part_makes_it_panic(local in "\\PC{1,64}") {
            if let Ok(address) = Mailbox::new(&local, "b.example".parse().unwrap()) {
                prop_assert_eq!(parse(&DataKey::generate().unwrap(), &address, NOW), None);
            }
        }
    }
}
