//! Where persons may enter from: one list for everybody, and one for the people of each tenant.
//!
//! Tokens are not concerned: programs run where they run, and a token can be revoked. Neither is a role in all tenants by
//! the list of one: the operator's people must be able to help whom a list has shut out.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AccountError, Accounts, stored};
use crate::ids::TenantId;
use crate::store::control::{ChangeSet, Namespace};

/// The list for everybody. A tenant's has its number after a slash.
const EVERYBODY: &[u8] = b"networks";
/// More are no list that a person understands.
const MOST: usize = 200;

fn key_of(tenant: Option<TenantId>) -> Vec<u8> {
    match tenant {
        None => EVERYBODY.to_vec(),
        Some(tenant) => [EVERYBODY, b"/", &tenant.0.to_be_bytes()].concat(),
    }
}

/// Whose list stands under a key; `None` if it is none.
#[expect(clippy::option_option, reason = "the outer one says whether the key is a list's")]
pub(super) fn read_key(key: &[u8]) -> Option<Option<TenantId>> {
    match key.strip_prefix(EVERYBODY)? {
        [] => Some(None),
        [b'/', number @ ..] => Some(Some(TenantId(u32::from_be_bytes(number.try_into().ok()?)))),
        _ => None,
    }
}

fn holds(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

impl Accounts {
    /// The networks of everybody, or of a tenant's people; empty: anywhere.
    pub fn networks(&self, of: Option<TenantId>) -> Vec<IpNet> {
        self.known.read().networks.get(&of).cloned().unwrap_or_default()
    }

    /// May a person enter from this address? With a tenant: may its people touch its things from there?
    pub fn admits(&self, of: Option<TenantId>, address: IpAddr) -> bool {
        let known = self.known.read();
        known.networks.get(&of).is_none_or(|networks| networks.is_empty() || holds(networks, address))
    }

    /// Sets the networks; empty: anywhere. `from` is where the person is whom the list will concern: a list that would
    /// shut them out is refused, since nobody could take it back on the pages. The command line, and who is not concerned
    /// (no `from`), always can.
    pub fn set_networks(
        &self,
        of: Option<TenantId>,
        networks: &[IpNet],
        from: Option<IpAddr>,
        by: &str,
    ) -> Result<(), AccountError> {
        let networks: Vec<IpNet> = networks.iter().map(IpNet::trunc).collect();
        if networks.len() > MOST {
            return Err(AccountError::Refused(format!("more than {MOST} networks")));
        }
        if let Some(from) = from.filter(|from| !networks.is_empty() && !holds(&networks, *from)) {
            let text = format!("you are at {from}, which is in none of these networks: you would shut yourself out");
            return Err(AccountError::Refused(text));
        }
        let _changing = self.changing.lock();
        let mut changes = ChangeSet::default();
        changes.put(Namespace::WebSetting, &key_of(of), stored(&networks)?);
        let list: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let words = if list.is_empty() { "anywhere".to_owned() } else { list.join(", ") };
        let whom = match of {
            None => "persons".to_owned(),
            Some(tenant) => {
                let directory = self.registry.snapshot();
                format!("the people of tenant {}", directory.tenant_name(tenant).unwrap_or("that is gone"))
            }
        };
        self.keep(by, vec![format!("let {whom} enter from {words}")], changes)?;
        self.known.write().networks.insert(of, networks);
        Ok(())
    }
}

/// Networks as a person writes them: one a line or by commas; a bare address is a network of one.
pub fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    let words = text.split([',', '\n', ' ', '\r']).map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let bare = || word.parse::<IpAddr>().map(IpNet::from);
            let shown: String = word.chars().take(80).collect();
            word.parse::<IpNet>()
                .or_else(|_| bare())
                .map_err(|_| format!("\"{shown}\" is not a network such as 192.0.2.0/24"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_names_everybody_or_one_tenant() {
        for of in [None, Some(TenantId(0)), Some(TenantId(0x2f00_0001))] {
            assert_eq!(read_key(&key_of(of)), Some(of));
        }
        for other in [&b"network"[..], b"networks/", b"networks/12345", b"networksx", b""] {
            assert_eq!(read_key(other), None);
        }
    }

    proptest! {
        #[test]
        fn networks_are_read_as_they_are_written(octets in any::<[u8; 4]>(), bits in 0_u8..=32, text in "\\PC{0,40}") {
            let network = IpNet::new(octets.into(), bits).unwrap();
            let bare = std::net::Ipv4Addr::from(octets);
            let read = parse_networks(&format!(" {network},\r\n{bare} ")).unwrap();
            prop_assert_eq!(read, vec![network, IpNet::from(IpAddr::from(bare))]);
            let _ = parse_networks(&text);
        }
    }
}
