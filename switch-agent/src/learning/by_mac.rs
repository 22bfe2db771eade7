//! Which places have a MAC. A million of them are to take little memory, so there is no set for each
//! MAC: places whose MACs have the same hash are chained, and the chains are made of the places' numbers.

use std::hash::{BuildHasher, RandomState};

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// A place's neighbours in its chain.
#[derive(Clone, Copy, Debug)]
struct Links {
    before: u32,
    behind: u32,
}

/// Chains of places.
#[derive(Debug)]
pub struct ByMac {
    /// Nobody outside can tell which MACs share a chain.
    hash: RandomState,
    /// The first place of each chain. How many there are is a power of two.
    heads: Vec<u32>,
    links: Vec<Links>,
}

impl ByMac {
    /// No place below `limit` has a MAC yet.
    pub fn new(limit: u32) -> Self {
        let alone = Links {
            before: NONE,
            behind: NONE,
        };
        Self {
            hash: RandomState::new(),
            heads: vec![NONE; (limit as usize).next_power_of_two()],
            links: vec![alone; limit as usize],
        }
    }

    /// A place without a MAC gets one.
    pub fn add(&mut self, place: u32, mac: [u8; 6]) {
        let chain = self.chain(mac);
        let behind = std::mem::replace(&mut self.heads[chain], place);
        self.links[place as usize] = Links {
            before: NONE,
            behind,
        };
        if behind != NONE {
            self.links[behind as usize].before = place;
        }
    }

    /// A place has its MAC no more.
    pub fn remove(&mut self, place: u32, mac: [u8; 6]) {
        let Links { before, behind } = self.links[place as usize];
        if before == NONE {
            let chain = self.chain(mac);
            self.heads[chain] = behind;
        } else {
            self.links[before as usize].behind = behind;
        }
        if behind != NONE {
            self.links[behind as usize].before = before;
        }
    }

    /// The places that may have a MAC: those that have it, and a few others.
    pub fn candidates(&self, mac: [u8; 6]) -> impl Iterator<Item = u32> {
        let exists = |place: u32| (place != NONE).then_some(place);
        let first = exists(self.heads[self.chain(mac)]);
        std::iter::successors(first, move |place| {
            exists(self.links[*place as usize].behind)
        })
    }

    fn chain(&self, mac: [u8; 6]) -> usize {
        self.hash.hash_one(mac) as usize & (self.heads.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_found_until_it_is_removed() {
        // Two chains for eight MACs, so that they share them.
        let mut by_mac = ByMac::new(8);
        by_mac.heads.truncate(2);
        let mac = |place: u32| [0, 0, 0, 0, 0, place as u8];
        for place in 0..8 {
            by_mac.add(place, mac(place));
        }
        let mut left: Vec<u32> = (0..8).collect();
        for gone in [3, 7, 0, 4, 1, 6, 5, 2] {
            by_mac.remove(gone, mac(gone));
            left.retain(|place| *place != gone);
            for place in 0..8 {
                let found = by_mac.candidates(mac(place)).filter(|at| *at == place);
                assert_eq!(found.count(), usize::from(left.contains(&place)));
            }
        }
        assert_eq!(by_mac.heads, [NONE; 2]);
    }

    #[test]
    fn no_places_at_all() {
        assert_eq!(ByMac::new(0).candidates([1; 6]).count(), 0);
    }
}
