//! Which addresses each station has, or may have.

use std::collections::HashMap;

use switch_ebpf::{
    abi::gateway::{MAX_STATION_ADDRESSES, SIDE_LAN, SIDE_TRUNK, Station, StationAddress},
    frame::Address,
};

use crate::types::MacAddress;

/// What is known of the addresses of a MAC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// It was heard with these on the LAN.
    pub has: Vec<Address>,
    /// It may have these: it was heard of with them beyond the VPN, or the operator says so.
    pub may_have: Vec<Address>,
}

/// All stations.
#[derive(Debug, Default)]
pub struct Stations {
    heard: HashMap<Station, Vec<Address>>,
    given: HashMap<MacAddress, Vec<Address>>,
}

impl Stations {
    /// Nobody, and what the operator says of some.
    pub fn new(given: HashMap<MacAddress, Vec<Address>>) -> Self {
        Self {
            heard: HashMap::new(),
            given,
        }
    }

    /// A station was heard with an address, or heard of. Whether that is new.
    pub fn add(&mut self, about: &StationAddress) -> bool {
        let addresses = self.heard.entry(about.station).or_default();
        let room = addresses.len() < MAX_STATION_ADDRESSES as usize;
        let new = room && !addresses.contains(&about.address);
        if new {
            addresses.push(about.address);
        }
        new
    }

    /// How many addresses a station was heard with.
    pub fn count(&self, station: &Station) -> u64 {
        self.heard.get(station).map_or(0, |all| all.len() as u64)
    }

    /// A station does not have an address any more. How many it still has.
    pub fn remove(&mut self, about: &StationAddress) -> u64 {
        let Some(addresses) = self.heard.get_mut(&about.station) else {
            return 0;
        };
        addresses.retain(|address| *address != about.address);
        let left = addresses.len() as u64;
        if left == 0 {
            self.heard.remove(&about.station);
        }
        left
    }

    /// What is known of a MAC.
    pub fn of(&self, mac: MacAddress) -> Known {
        let heard = |side| {
            let station = Station { mac: mac.0, side };
            self.heard.get(&station).cloned().unwrap_or_default()
        };
        let has = heard(SIDE_LAN);
        let mut may_have: Vec<Address> = Vec::new();
        let given = self.given.get(&mac).into_iter().flatten().copied();
        let elsewhere = heard(SIDE_TRUNK);
        for address in given.chain(elsewhere) {
            if !has.contains(&address) && !may_have.contains(&address) {
                may_have.push(address);
            }
        }
        Known { has, may_have }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([0x52, 0x54, 0, 0, 0, 13]);

    fn v4(last: u8) -> Address {
        Address::v4([10, 0, 0, last])
    }

    fn about(side: u16, address: Address) -> StationAddress {
        StationAddress {
            station: Station { mac: MAC.0, side },
            address,
        }
    }

    #[test]
    fn what_it_has_and_what_it_may_have() {
        let given = HashMap::from([(MAC, vec![v4(1), v4(2), v4(3)])]);
        let mut stations = Stations::new(given);
        assert!(stations.add(&about(SIDE_TRUNK, v4(2))));
        assert!(stations.add(&about(SIDE_TRUNK, v4(4))));
        assert!(stations.add(&about(SIDE_LAN, v4(1))));
        assert!(!stations.add(&about(SIDE_LAN, v4(1))));
        assert_eq!(
            stations.of(MAC),
            Known {
                has: vec![v4(1)],
                may_have: vec![v4(2), v4(3), v4(4)],
            }
        );
        assert_eq!(stations.of(MacAddress([2; 6])), Known::default());
        assert_eq!(stations.remove(&about(SIDE_LAN, v4(1))), 0);
        assert_eq!(stations.of(MAC).has, []);
        assert_eq!(stations.of(MAC).may_have.len(), 4);
    }

    #[test]
    fn a_router_is_not_followed_without_end() {
        let mut stations = Stations::default();
        let most = MAX_STATION_ADDRESSES as u8;
        let new = (0..=most).filter(|n| stations.add(&about(SIDE_LAN, v4(*n))));
        assert_eq!(new.count(), usize::from(most));
    }
}
