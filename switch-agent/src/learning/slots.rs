//! Which places of the counters are free, and whose the others are.

use std::collections::{BTreeSet, HashMap};

use switch_ebpf::abi::BindingKey;

/// [`Owner::mac`] of a binding that nothing was heard for.
const NO_MAC: [u8; 6] = [0; 6];

/// Whose a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The binding's key.
    pub key: BindingKey,
    /// The MAC of its last evidence, zero if there was none.
    pub mac: [u8; 6],
}

/// Places below a limit, given out one at a time.
#[derive(Debug)]
pub struct Slots {
    owners: Vec<Option<Owner>>,
    free: Vec<u32>,
    /// The places of each MAC. An announcement asks for them, and a site may send many of these.
    by_mac: HashMap<[u8; 6], BTreeSet<u32>>,
}

impl Slots {
    /// All places below `limit`, of which those in `used` are taken.
    pub fn new(limit: u32, used: impl IntoIterator<Item = (u32, Owner)>) -> Self {
        let mut slots = Self {
            owners: vec![None; limit as usize],
            free: Vec::new(),
            by_mac: HashMap::new(),
        };
        for (slot, owner) in used {
            slots.set(slot, owner);
        }
        // The lowest one last, for it is given out first.
        slots.free = (0..limit)
            .rev()
            .filter(|slot| slots.owners[*slot as usize].is_none())
            .collect();
        slots
    }

    /// A free place, taken.
    pub fn take(&mut self, owner: Owner) -> Option<u32> {
        let slot = self.free.pop()?;
        self.set(slot, owner);
        Some(slot)
    }

    /// Whether a place is free.
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Changes the owner of a taken place.
    pub fn set(&mut self, slot: u32, owner: Owner) {
        let Some(place) = self.owners.get_mut(slot as usize) else {
            return;
        };
        if let Some(before) = place.replace(owner) {
            self.forget_mac(slot, before.mac);
        }
        if owner.mac != NO_MAC {
            self.by_mac.entry(owner.mac).or_default().insert(slot);
        }
    }

    /// Gives a place back.
    pub fn give_back(&mut self, slot: u32) {
        if let Some(place) = self.owners.get_mut(slot as usize)
            && let Some(before) = place.take()
        {
            self.forget_mac(slot, before.mac);
            self.free.push(slot);
        }
    }

    fn forget_mac(&mut self, slot: u32, mac: [u8; 6]) {
        if let Some(slots) = self.by_mac.get_mut(&mac) {
            slots.remove(&slot);
            if slots.is_empty() {
                self.by_mac.remove(&mac);
            }
        }
    }

    /// Whose a place is.
    pub fn owner(&self, slot: u32) -> Option<Owner> {
        self.owners.get(slot as usize).copied().flatten()
    }

    /// The keys bound for a MAC; none for the zero of those that nothing was heard for.
    pub fn of_mac(&self, mac: [u8; 6]) -> Vec<BindingKey> {
        let slots = self.by_mac.get(&mac).into_iter().flatten();
        slots
            .filter_map(|slot| Some(self.owner(*slot)?.key))
            .collect()
    }

    /// How many places there are.
    pub fn limit(&self) -> u32 {
        self.owners.len().try_into().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use switch_ebpf::frame::Address;

    use super::*;

    fn owner(last: u8) -> Owner {
        Owner {
            key: BindingKey {
                network: 0,
                address: Address::v4([10, 0, 0, last]),
            },
            mac: [2, 0, 0, 0, 0, last % 2],
        }
    }

    #[test]
    fn each_place_once() {
        let mut slots = Slots::new(3, [(1, owner(1))]);
        assert_eq!(
            (
                slots.take(owner(2)),
                slots.take(owner(3)),
                slots.take(owner(4))
            ),
            (Some(0), Some(2), None)
        );
        slots.give_back(2);
        slots.give_back(2);
        assert_eq!(slots.owner(2), None);
        assert_eq!(slots.take(owner(5)), Some(2));
        assert_eq!(slots.take(owner(6)), None);
    }

    #[test]
    fn a_mac_has_all_its_addresses() {
        let mut slots = Slots::new(8, (1..=4).map(|n| (u32::from(n), owner(n))));
        let odd: Vec<_> = slots.of_mac([2, 0, 0, 0, 0, 1]);
        assert_eq!(odd, [owner(1).key, owner(3).key]);
        assert_eq!(slots.of_mac([2, 9, 9, 9, 9, 9]), []);
        slots.set(3, owner(2));
        slots.give_back(1);
        assert_eq!(slots.of_mac([2, 0, 0, 0, 0, 1]), []);
        slots.set(
            5,
            Owner {
                mac: NO_MAC,
                ..owner(5)
            },
        );
        assert_eq!(slots.of_mac(NO_MAC), []);
        let even = slots.of_mac([2, 0, 0, 0, 0, 0]);
        assert_eq!(even, [owner(2).key, owner(2).key, owner(4).key]);
    }
}
