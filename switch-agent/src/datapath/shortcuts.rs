//! The agent's side of [shortcuts](switch_ebpf::abi::shortcut): opened, closed, and given to others.

use std::{
    fs::File,
    io::Read,
    sync::atomic::{Ordering, fence},
};

use aya::{
    maps::{Array, MapData, MapError},
    util::nr_cpus,
};
use switch_ebpf::abi::{
    BindingKey, FlowTraffic, names,
    shortcut::{
        Line, Owner, Seed, Shortcut, ShortcutTraffic, Sought, WAYS, lines, neighbour, place,
    },
};
use zerocopy::IntoBytes;

use super::{
    DatapathError, Pins,
    mapped::Mapped,
    tables::{open, open_mapped},
};

/// A shortcut's number among all, which is also that of its owner and its counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    fn new(line: u32, way: usize) -> Self {
        Self(place(line, way))
    }

    fn line(self) -> u32 {
        self.0 / WAYS as u32
    }

    fn way(self) -> usize {
        self.0 as usize % WAYS
    }

    /// The same as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A shortcut that was found, as it was then.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Which it is.
    pub place: Place,
    shortcut: Shortcut,
    sought: Sought,
}

impl Found {
    /// Whether frames go straight to this site.
    pub fn leads_to(&self, site: u32) -> bool {
        self.shortcut.leads(&self.sought) == Some(site)
    }
}

/// The shortcuts.
pub struct Shortcuts {
    lines: Mapped<Line>,
    owners: Mapped<Owner>,
    traffic: Mapped<ShortcutTraffic>,
    seed: Seed,
}

/// A seed that nobody knows.
pub fn new_seed() -> Result<Seed, DatapathError> {
    let mut seed = Seed::default();
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(seed.as_mut_bytes()))
        .map_err(DatapathError::Random)?;
    Ok(seed)
}

/// The seed that an instance has pinned.
pub fn pinned_seed(pins: &Pins) -> Result<Seed, DatapathError> {
    let seed: Array<MapData, Seed> = open!(pins, names::SHORTCUT_SEED, Array);
    seed.get(&0, 0).map_err(|source| DatapathError::Open {
        map: names::SHORTCUT_SEED,
        source,
    })
}

/// Keeps a seed for those who open the maps later.
pub fn pin_seed(pins: &Pins, seed: Seed) -> Result<(), DatapathError> {
    let mut map: Array<MapData, Seed> = open!(pins, names::SHORTCUT_SEED, Array);
    map.set(0, seed, 0).map_err(|source| DatapathError::Open {
        map: names::SHORTCUT_SEED,
        source,
    })
}

/// How many elements the shortcuts' maps have for so many flows.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// [`names::SHORTCUTS`].
    pub lines: u32,
    /// [`names::SHORTCUT_OWNERS`].
    pub owners: u32,
    /// [`names::SHORTCUT_TRAFFIC`].
    pub traffic: u32,
}

impl Sizes {
    /// Those for so many flows on this machine.
    pub fn new(max_flows: u32) -> Result<Self, DatapathError> {
        let cpus = nr_cpus().map_err(|(_, source)| DatapathError::Cpus(source))?;
        let lines = lines(max_flows);
        let owners = lines.checked_mul(WAYS as u32);
        let traffic = u32::try_from(cpus)
            .ok()
            .and_then(|cpus| cpus.checked_mul(owners?));
        match (owners, traffic) {
            (Some(owners), Some(traffic)) => Ok(Self {
                lines,
                owners,
                traffic,
            }),
            _ => Err(DatapathError::TooManyFlows { max_flows, cpus }),
        }
    }
}

impl Shortcuts {
    /// Opens what an instance has pinned.
    pub fn open(pins: &Pins) -> Result<Self, DatapathError> {
        Ok(Self {
            lines: open_mapped!(pins, names::SHORTCUTS),
            owners: open_mapped!(pins, names::SHORTCUT_OWNERS),
            traffic: open_mapped!(pins, names::SHORTCUT_TRAFFIC),
            seed: pinned_seed(pins)?,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lines.len() as usize * WAYS
    }

    /// The shortcut of a bound address, open or not, if it has one.
    pub fn of(&self, key: &BindingKey) -> Result<Option<Found>, MapError> {
        self.find(key, |place, shortcut, sought| {
            Ok(shortcut.is_of(sought)
                && (key.address.is_v4()
                    || self.owners.get(place.0)?.address == key.address.halves()))
        })
    }

    fn find(
        &self,
        key: &BindingKey,
        is_it: impl Fn(Place, Shortcut, &Sought) -> Result<bool, MapError>,
    ) -> Result<Option<Found>, MapError> {
        let sought = Sought::new(key, &self.seed, self.lines.len());
        for line in [sought.line, neighbour(sought.line)] {
            let shortcuts = self.lines.get(line)?;
            for way in (0..WAYS).map(|more| (sought.way + more) % WAYS) {
                let (place, shortcut) = (Place::new(line, way), shortcuts[way]);
                if is_it(place, shortcut, &sought)? {
                    return Ok(Some(Found {
                        place,
                        shortcut,
                        sought,
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Whether it is nobody's: an agent that was killed may have written the owner, and no more.
    fn is_free(&self, place: Place, shortcut: Shortcut) -> Result<bool, MapError> {
        Ok(shortcut == Shortcut::FREE && self.owners.get(place.0)?.address == [0; 2])
    }

    fn shortcut(&self, place: Place) -> Result<Shortcut, MapError> {
        Ok(self.lines.get(place.line())?[place.way()])
    }

    fn set(&mut self, place: Place, shortcut: Shortcut) -> Result<(), MapError> {
        self.lines.set_word(place.line(), place.way(), shortcut.0)
    }

    /// Before a binding is changed: no program that begins after this goes by what it was.
    pub fn close(&mut self, key: &BindingKey) -> Result<(), MapError> {
        if let Some(found) = self.of(key)? {
            self.set(found.place, found.shortcut.closed())?;
            // Before what is written to the map.
            fence(Ordering::SeqCst);
        }
        Ok(())
    }

    /// After a binding was found to be settled: frames of its address go straight to its site. Whether
    /// there is room; if there is, the binding has to be looked at again, for a program may have moved it.
    pub fn lead(&mut self, key: &BindingKey, site: u32) -> Result<bool, MapError> {
        let found = match self.of(key)? {
            Some(found) => found,
            None => {
                let is_free = |place, shortcut, _: &Sought| self.is_free(place, shortcut);
                let Some(found) = self.find(key, is_free)? else {
                    return Ok(false);
                };
                if !key.address.is_v4() {
                    self.own(found.place, key.address.halves())?;
                }
                found
            }
        };
        self.set(found.place, Shortcut::to(&found.sought, site))?;
        // Before the binding is looked at.
        fence(Ordering::SeqCst);
        Ok(true)
    }

    fn own(&mut self, place: Place, address: [u64; 2]) -> Result<(), MapError> {
        for (word, half) in address.into_iter().enumerate() {
            self.owners.set_word(place.0, word, half)?;
        }
        Ok(())
    }

    /// Before a binding is removed: closes its shortcut for good.
    pub fn leave(&mut self, key: &BindingKey) -> Result<Option<Place>, MapError> {
        let place = self.of(key)?.map(|found| found.place);
        if let Some(place) = place {
            self.set_leaving(place)?;
        }
        Ok(place)
    }

    /// Closes a shortcut that is nobody's.
    pub fn set_leaving(&mut self, place: Place) -> Result<(), MapError> {
        self.set(place, self.shortcut(place)?.leaving())?;
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Empties a shortcut that no program goes by any more.
    pub fn empty(&mut self, place: Place) -> Result<(), MapError> {
        self.set(place, Shortcut::EMPTIED)?;
        self.owners.change(place.0, |_| Owner::default())?;
        for row in self.rows(place) {
            self.traffic.change(row, |_| ShortcutTraffic::default())?;
        }
        Ok(())
    }

    /// Frees a shortcut that no program knows any more.
    pub fn free(&mut self, place: Place) -> Result<(), MapError> {
        self.set(place, Shortcut::FREE)
    }

    /// All that are not free.
    pub fn taken(&self) -> impl Iterator<Item = Result<Place, MapError>> {
        let places = (0..self.len() as u32).map(Place);
        places.filter_map(|place| {
            let is_free = |shortcut| self.is_free(place, shortcut);
            match self.shortcut(place).and_then(is_free) {
                Ok(true) => None,
                Ok(false) => Some(Ok(place)),
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// What went by the shortcut of an address, over all CPUs.
    pub fn sum(&self, key: &BindingKey) -> Result<FlowTraffic, MapError> {
        let mut sum = FlowTraffic::default();
        let Some(Found { place, .. }) = self.of(key)? else {
            return Ok(sum);
        };
        sum.down_last_ns = self.owners.get(place.0)?.down_last_ns;
        for row in self.rows(place) {
            let ShortcutTraffic {
                up_packets,
                up_bytes,
                down_packets,
                down_bytes,
            } = self.traffic.get(row)?;
            sum.up_packets += up_packets;
            sum.up_bytes += up_bytes;
            sum.down_packets += down_packets;
            sum.down_bytes += down_bytes;
        }
        Ok(sum)
    }

    /// The counters of a shortcut, CPU by CPU.
    fn rows(&self, Place(place): Place) -> impl Iterator<Item = u32> + use<> {
        (place..self.traffic.len()).step_by(self.len())
    }
}

#[cfg(test)]
mod tests;
