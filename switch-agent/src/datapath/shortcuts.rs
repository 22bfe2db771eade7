//! The agent's side of [shortcuts](switch_ebpf::abi::shortcut): opened, closed, and given to others.

use std::{
    fs::File,
    io::Read,
    mem::offset_of,
    sync::atomic::{Ordering, fence},
};

use aya::{
    maps::{Array, MapData, MapError},
    util::nr_cpus,
};
use switch_ebpf::abi::{
    BindingKey, FlowTraffic, names,
    shortcut::{
        self, Bucket, BucketTraffic, EMPTIED, LEAVING, OPEN, Seed, Shortcut, ShortcutTraffic, WAYS,
        bucket_bits,
    },
};
use zerocopy::IntoBytes;

use super::{
    DatapathError, Pins,
    mapped::Mapped,
    tables::{open, open_mapped},
};

/// Words of a shortcut, and where its place is among them.
const WORDS: usize = size_of::<Shortcut>() / size_of::<u64>();
const PLACE: usize = offset_of!(Shortcut, place) / size_of::<u64>();
const HEARD: usize = offset_of!(Shortcut, down_last_ns) / size_of::<u64>();

/// Which shortcut: a bucket, and which of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    bucket: u32,
    way: usize,
}

impl Way {
    /// Its number among all.
    pub fn index(&self) -> usize {
        self.bucket as usize * WAYS + self.way
    }
}

/// A shortcut that was found, as it was then.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// Which it is.
    pub way: Way,
    place: u64,
    down_last_ns: u64,
}

impl Found {
    /// Whether frames go straight to this site.
    pub fn leads_to(&self, site: u32) -> bool {
        self.place & OPEN != 0 && self.place as u32 == site
    }
}

/// The shortcuts.
pub struct Shortcuts {
    buckets: Mapped<Bucket>,
    traffic: Mapped<BucketTraffic>,
    seed: Seed,
    bits: u32,
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

/// How many elements the counters have for so many flows.
pub fn traffic_entries(max_flows: u32) -> Result<u32, DatapathError> {
    let cpus = nr_cpus().map_err(|(_, source)| DatapathError::Cpus(source))?;
    u64::try_from(cpus)
        .ok()
        .and_then(|cpus| cpus.checked_mul(1 << bucket_bits(max_flows)))
        .and_then(|entries| u32::try_from(entries).ok())
        .ok_or(DatapathError::TooManyFlows { max_flows, cpus })
}

impl Shortcuts {
    /// Opens what an instance has pinned for so many flows.
    pub fn open(pins: &Pins, max_flows: u32) -> Result<Self, DatapathError> {
        Ok(Self {
            buckets: open_mapped!(pins, names::SHORTCUTS),
            traffic: open_mapped!(pins, names::SHORTCUT_TRAFFIC),
            seed: pinned_seed(pins)?,
            bits: bucket_bits(max_flows),
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.buckets.len() as usize * WAYS
    }

    /// The shortcut of a bound address, open or not, if it has one.
    pub fn of(&self, key: &BindingKey) -> Result<Option<Found>, MapError> {
        self.find(key, |shortcut| shortcut.is_of(key))
    }

    fn find(
        &self,
        key: &BindingKey,
        is_it: impl Fn(&Shortcut) -> bool,
    ) -> Result<Option<Found>, MapError> {
        let bucket = shortcut::bucket(key, &self.seed, self.bits);
        for bucket in [bucket, shortcut::neighbour(bucket)] {
            let shortcuts = self.buckets.get(bucket)?;
            if let Some(way) = shortcuts.iter().position(&is_it) {
                let Shortcut {
                    place,
                    down_last_ns,
                    ..
                } = shortcuts[way];
                return Ok(Some(Found {
                    way: Way { bucket, way },
                    place,
                    down_last_ns,
                }));
            }
        }
        Ok(None)
    }

    fn shortcut(&self, Way { bucket, way }: Way) -> Result<Shortcut, MapError> {
        Ok(self.buckets.get(bucket)?[way])
    }

    fn set(&mut self, Way { bucket, way }: Way, word: usize, value: u64) -> Result<(), MapError> {
        self.buckets.set_word(bucket, way * WORDS + word, value)
    }

    /// Before a binding is changed: no program that begins after this goes by what it was.
    pub fn close(&mut self, key: &BindingKey) -> Result<(), MapError> {
        if let Some(Found { way, place, .. }) = self.of(key)? {
            self.set(way, PLACE, place & !OPEN)?;
            // Before what is written to the map.
            fence(Ordering::SeqCst);
        }
        Ok(())
    }

    /// After a binding was found to be settled: frames of its address go straight to its site. Whether
    /// there is room; if there is, the binding has to be looked at again, for a program may have moved it.
    pub fn lead(&mut self, key: &BindingKey, site: u32) -> Result<bool, MapError> {
        let way = match self.of(key)? {
            Some(found) => found.way,
            None => {
                let Some(Found { way, .. }) = self.find(key, Shortcut::is_free)? else {
                    return Ok(false);
                };
                for (word, half) in key.address.halves().into_iter().enumerate() {
                    self.set(way, word, half)?;
                }
                way
            }
        };
        self.set(way, PLACE, OPEN | Shortcut::place(key.network, site))?;
        // Before the binding is looked at.
        fence(Ordering::SeqCst);
        Ok(true)
    }

    /// Before a binding is removed: closes its shortcut for good.
    pub fn leave(&mut self, key: &BindingKey) -> Result<Option<Way>, MapError> {
        let way = self.of(key)?.map(|found| found.way);
        if let Some(way) = way {
            self.set_leaving(way)?;
        }
        Ok(way)
    }

    /// Closes a shortcut that is nobody's.
    pub fn set_leaving(&mut self, way: Way) -> Result<(), MapError> {
        let place = self.shortcut(way)?.place;
        self.set(way, PLACE, place & !OPEN | LEAVING)?;
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Empties a shortcut that no program goes by any more.
    pub fn empty(&mut self, way: Way) -> Result<(), MapError> {
        self.set(way, PLACE, EMPTIED)?;
        for word in [0, 1, HEARD] {
            self.set(way, word, 0)?;
        }
        for index in self.rows(way) {
            self.traffic.change(index, |mut traffic| {
                traffic[way.way] = ShortcutTraffic::default();
                traffic
            })?;
        }
        Ok(())
    }

    /// Frees a shortcut that no program knows any more.
    pub fn free(&mut self, way: Way) -> Result<(), MapError> {
        self.set(way, PLACE, 0)
    }

    /// All that are not free.
    pub fn taken(&self) -> impl Iterator<Item = Result<Way, MapError>> {
        (0..self.buckets.len()).flat_map(move |bucket| {
            let (shortcuts, error) = match self.buckets.get(bucket) {
                Ok(shortcuts) => (shortcuts, None),
                Err(error) => (Bucket::default(), Some(error)),
            };
            let taken = (0..WAYS).filter(move |way| !shortcuts[*way].is_free());
            let taken = taken.map(move |way| Ok(Way { bucket, way }));
            error.map(Err).into_iter().chain(taken)
        })
    }

    /// What went by the shortcut of an address, over all CPUs.
    pub fn sum(&self, key: &BindingKey) -> Result<FlowTraffic, MapError> {
        let mut sum = FlowTraffic::default();
        let Some(Found {
            way, down_last_ns, ..
        }) = self.of(key)?
        else {
            return Ok(sum);
        };
        sum.down_last_ns = down_last_ns;
        for index in self.rows(way) {
            let ShortcutTraffic {
                up_packets,
                up_bytes,
                down_packets,
                down_bytes,
            } = self.traffic.get(index)?[way.way];
            sum.up_packets += up_packets;
            sum.up_bytes += up_bytes;
            sum.down_packets += down_packets;
            sum.down_bytes += down_bytes;
        }
        Ok(sum)
    }

    /// The counters of a shortcut's bucket, CPU by CPU.
    fn rows(&self, Way { bucket, .. }: Way) -> impl Iterator<Item = u32> + use<> {
        (bucket..self.traffic.len()).step_by(1 << self.bits)
    }
}

#[cfg(test)]
mod tests {
    use aya::maps::IterableMap as _;
    use switch_ebpf::frame::Address;

    use super::*;

    /// `BPF_F_MMAPABLE` of linux/bpf.h.
    const MAPPABLE: u32 = 1 << 10;
    const BITS: u32 = 3;
    const CPUS: u32 = 2;
    const SITE: u32 = 5;

    fn shortcuts() -> Shortcuts {
        let buckets: Array<MapData, Bucket> =
            Array::create(1 << BITS, MAPPABLE).expect("a map; these tests need root");
        let traffic: Array<MapData, BucketTraffic> =
            Array::create(CPUS << BITS, MAPPABLE).expect("a map");
        Shortcuts {
            buckets: Mapped::open(buckets.map()).expect("map it"),
            traffic: Mapped::open(traffic.map()).expect("map it"),
            seed: [1, 3, 5, 7, 9, 11].map(|word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            bits: BITS,
        }
    }

    fn key(number: u32) -> BindingKey {
        BindingKey {
            network: 2,
            address: Address::v4((0x0a00_0000 + number).to_be_bytes()),
        }
    }

    fn find(shortcuts: &Shortcuts, key: &BindingKey) -> Option<Way> {
        shortcuts.of(key).expect("read").map(|found| found.way)
    }

    fn way_of(shortcuts: &Shortcuts, key: &BindingKey) -> Way {
        find(shortcuts, key).expect("it has one")
    }

    fn leads(shortcuts: &Shortcuts, key: &BindingKey, site: u32) -> bool {
        let found = shortcuts.of(key).expect("read");
        found.expect("it has one").leads_to(site)
    }

    #[test]
    fn it_is_opened_and_closed_and_stays_the_address_s() {
        let mut shortcuts = shortcuts();
        let key = key(1);
        shortcuts.close(&key).expect("nothing to close");
        assert_eq!(find(&shortcuts, &key), None);
        assert!(shortcuts.lead(&key, SITE).expect("write"));
        let way = way_of(&shortcuts, &key);
        assert!(leads(&shortcuts, &key, SITE) && !leads(&shortcuts, &key, SITE + 1));
        shortcuts.close(&key).expect("close");
        assert!(!leads(&shortcuts, &key, SITE));
        assert!(shortcuts.lead(&key, SITE + 1).expect("write"));
        assert_eq!(way_of(&shortcuts, &key), way);
        assert!(leads(&shortcuts, &key, SITE + 1));
        let other_network = BindingKey { network: 1, ..key };
        assert_eq!(find(&shortcuts, &other_network), None);
    }

    #[test]
    fn what_goes_by_it_is_the_sum_of_the_cpus_and_is_gone_with_it() {
        let mut shortcuts = shortcuts();
        let key = key(1);
        assert!(shortcuts.lead(&key, SITE).expect("write"));
        let way = way_of(&shortcuts, &key);
        let rows: Vec<_> = shortcuts.rows(way).collect();
        assert_eq!(rows, [way.bucket, way.bucket + (1 << BITS)]);
        for (row, many) in rows.iter().zip([1, 10]) {
            let counted = ShortcutTraffic {
                up_packets: many,
                up_bytes: 2 * many,
                down_packets: 3 * many,
                down_bytes: 4 * many,
            };
            let write = |mut traffic: BucketTraffic| {
                traffic.fill(ShortcutTraffic {
                    up_packets: 77,
                    ..counted
                });
                traffic[way.way] = counted;
                traffic
            };
            shortcuts.traffic.change(*row, write).expect("count");
        }
        shortcuts.set(way, HEARD, 99).expect("hear");
        let sum = shortcuts.sum(&key).expect("read");
        let all = FlowTraffic {
            up_packets: 11,
            up_bytes: 22,
            down_packets: 33,
            down_bytes: 44,
            down_last_ns: 99,
        };
        assert_eq!(sum, all);

        assert_eq!(shortcuts.leave(&key).expect("leave"), Some(way));
        assert_eq!(find(&shortcuts, &key), None);
        let taken = |shortcuts: &Shortcuts| {
            shortcuts
                .taken()
                .map(|way| way.expect("read"))
                .collect::<Vec<_>>()
        };
        assert_eq!(taken(&shortcuts), [way]);
        // Until it is free nobody has it, not even who had it before.
        shortcuts.empty(way).expect("empty");
        assert_eq!(taken(&shortcuts), [way]);
        shortcuts.free(way).expect("free");
        assert_eq!(taken(&shortcuts), []);
        assert!(shortcuts.lead(&key, SITE).expect("write"));
        assert_eq!(way_of(&shortcuts, &key), way);
        assert_eq!(shortcuts.sum(&key).expect("read"), FlowTraffic::default());
        let others = shortcuts.traffic.get(way.bucket).expect("read")[1 - way.way];
        assert_eq!(others.up_packets, 77);
    }

    /// Nothing but room is missing: those who have a shortcut keep it, each its own.
    #[test]
    fn there_are_as_many_as_there_is_room_for() {
        let mut shortcuts = shortcuts();
        let keys: Vec<_> = (0..200).map(key).collect();
        let mut with = Vec::new();
        for key in &keys {
            if shortcuts.lead(key, SITE).expect("write") {
                with.push(way_of(&shortcuts, key).index());
            }
        }
        with.sort_unstable();
        let all: Vec<_> = (0..shortcuts.len()).collect();
        assert_eq!(with, all);
        let found = keys
            .iter()
            .filter(|key| shortcuts.of(key).expect("read").is_some());
        assert_eq!(found.count(), shortcuts.len());
    }
}
