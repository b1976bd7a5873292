//! Where persons may enter from. Tokens are not concerned: programs run where they run, and a token can be revoked.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{AccountError, Accounts, stored};
use crate::store::control::{ChangeSet, Namespace};

pub(super) const NETWORKS: &[u8] = b"networks";
/// More are no list that a person understands.
const MOST: usize = 200;

impl Accounts {
    /// The networks; empty: anywhere.
    pub fn networks(&self) -> Vec<IpNet> {
        self.known.read().networks.clone()
    }

    /// May a person enter from this address?
    pub fn admits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let known = self.known.read();
        known.networks.is_empty() || known.networks.iter().any(|network| network.contains(&address))
    }

    /// Sets the networks; empty: anywhere. `from` is where the person who does it is: a list that would shut them out is
    /// refused, since nobody could take it back on the pages. The command line (no `from`) always can.
    pub fn set_networks(&self, networks: &[IpNet], from: Option<IpAddr>, by: &str) -> Result<(), AccountError> {
        let networks: Vec<IpNet> = networks.iter().map(IpNet::trunc).collect();
        if networks.len() > MOST {
            return Err(AccountError::Refused(format!("more than {MOST} networks")));
        }
        let outside = |from: &IpAddr| !networks.iter().any(|network| network.contains(&from.to_canonical()));
        if let Some(from) = from.filter(|from| !networks.is_empty() && outside(from)) {
            let text = format!("you are at {from}, which is in none of these networks: you would shut yourself out");
            return Err(AccountError::Refused(text));
        }
        let _changing = self.changing.lock();
        let mut changes = ChangeSet::default();
        changes.put(Namespace::WebSetting, NETWORKS, stored(&networks)?);
        let list: Vec<String> = networks.iter().map(ToString::to_string).collect();
        let words = if list.is_empty() { "anywhere".to_owned() } else { list.join(", ") };
        self.keep(by, vec![format!("let persons enter from {words}")], changes)?;
        self.known.write().networks = networks;
        Ok(())
    }
}

/// Networks as a person writes them: one a line or by commas; a bare address is a network of one.
pub fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    let words = text.split([',', '\n', ' ', '\r']).map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let bare = || word.parse::<IpAddr>().map(IpNet::from);
            word.parse::<IpNet>()
                .or_else(|_| bare())
                .map_err(|_| format!("\"{word}\" is not a network such as 192.0.2.0/24"))
        })
        .collect()
}
