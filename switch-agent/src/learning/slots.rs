//! Which places of the counters are free, and whose the others are.

use switch_ebpf::abi::BindingKey;

use super::by_mac::ByMac;

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

/// A place: an owner, if it is taken. As flat as can be, for there may be a million.
#[derive(Clone, Copy, Debug)]
struct Place {
    key: BindingKey,
    mac: [u8; 6],
    taken: bool,
}

/// Places below a limit, given out one at a time.
#[derive(Debug)]
pub struct Slots {
    places: Vec<Place>,
    free: Vec<u32>,
    /// An announcement asks for the places of a MAC, and a site may send many of these.
    by_mac: ByMac,
}

impl Slots {
    /// All places below `limit`, of which those in `used` are taken.
    pub fn new(limit: u32, used: impl IntoIterator<Item = (u32, Owner)>) -> Self {
        let free = Place {
            key: BindingKey::default(),
            mac: NO_MAC,
            taken: false,
        };
        let mut slots = Self {
            places: vec![free; limit as usize],
            free: Vec::new(),
            by_mac: ByMac::new(limit),
        };
        for (slot, owner) in used {
            slots.set(slot, owner);
        }
        // The lowest one last, for it is given out first.
        slots.free = (0..limit)
            .rev()
            .filter(|slot| !slots.places[*slot as usize].taken)
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
        let Some(place) = self.places.get_mut(slot as usize) else {
            return;
        };
        let before = place.mac;
        let Owner { key, mac } = owner;
        *place = Place {
            key,
            mac,
            taken: true,
        };
        self.change_mac(slot, before, mac);
    }

    /// Gives a place back.
    pub fn give_back(&mut self, slot: u32) {
        if let Some(place) = self.places.get_mut(slot as usize)
            && place.taken
        {
            let before = place.mac;
            place.taken = false;
            place.mac = NO_MAC;
            self.free.push(slot);
            self.change_mac(slot, before, NO_MAC);
        }
    }

    fn change_mac(&mut self, slot: u32, before: [u8; 6], after: [u8; 6]) {
        if before == after {
            return;
        }
        if before != NO_MAC {
            self.by_mac.remove(slot, before);
        }
        if after != NO_MAC {
            self.by_mac.add(slot, after);
        }
    }

    /// Whose a place is.
    pub fn owner(&self, slot: u32) -> Option<Owner> {
        let place = self.places.get(slot as usize)?;
        let &Place { key, mac, taken } = place;
        taken.then_some(Owner { key, mac })
    }

    /// The keys bound for a MAC, in the order of their places; none for the zero of those that nothing
    /// was heard for.
    pub fn of_mac(&self, mac: [u8; 6]) -> Vec<BindingKey> {
        if mac == NO_MAC {
            return Vec::new();
        }
        let candidates = self.by_mac.candidates(mac);
        let owners = candidates.filter_map(|slot| Some((slot, self.owner(slot)?)));
        let mut keys: Vec<_> = owners
            .filter(|(_, owner)| owner.mac == mac)
            .map(|(slot, owner)| (slot, owner.key))
            .collect();
        keys.sort_unstable_by_key(|(slot, _)| *slot);
        keys.into_iter().map(|(_, key)| key).collect()
    }

    /// How many places there are.
    pub fn limit(&self) -> u32 {
        self.places.len().try_into().unwrap_or(u32::MAX)
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
