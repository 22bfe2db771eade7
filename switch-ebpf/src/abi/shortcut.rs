//! Where a settled address is, found without a call into the kernel.
//!
//! A frame of an address that is bound and [settled](super::PHASE_SETTLED) needs to know no more of the
//! binding than its site. A shortcut says that, in an array whose elements a program reaches by itself: the
//! kernel's hash map is four of its functions, and three lines of memory that have to be fetched one after
//! the other. Here it is one line, and one of counters whose place is known at the same time.
//!
//! The binding in [`names::BINDINGS`](super::names::BINDINGS) is what is true. A shortcut is there only
//! while that is settled, and what finds none asks the map: a bucket may be full, nothing is lost by it.
//!
//! * **One word opens and closes it**, [`Shortcut::place`]: `OPEN`, the network and the site. Before the
//!   agent changes a binding it closes the shortcut; it opens it when the map says that the binding is
//!   settled, and then looks at the map once more. A program that has moved a binding closes the shortcut
//!   after that. Whichever of the two is later, no shortcut stays open that the map contradicts. (What a
//!   program has read of a shortcut before it was closed is as old as what it might have read of the map:
//!   the handover waits for it.)
//! * **An address has its shortcut as long as it is bound**, open or not, for its counters are there. When
//!   the binding is gone the shortcut is `LEAVING`. After every program has ended that may know it, it is
//!   emptied and `EMPTIED`; after every program has ended that may have read the old address, it is free.
//!   So no program can take one address's site for another's, in whatever order it reads the words.
//! * **An agent that is killed** between two words leaves a shortcut that is not open, or one that the map
//!   agrees with. The next one goes through all of them.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::BindingKey;

/// How many shortcuts there are in a bucket: a line of memory.
pub const WAYS: usize = 2;

/// What the hash depends on, so that nobody can choose addresses of one bucket.
pub type Seed = [u64; 6];

shared! {
    /// The site of a bound address. Written by the agent; the datapath closes it, and says when it heard
    /// the address.
    pub struct Shortcut {
        /// The VM's address, 0 for nobody's. Written while it is not open.
        pub address: [u64; 2],
        /// Network and site, and whether it is open: see [`Shortcut::open`].
        pub place: u64,
        /// When the last frame of the address came in by this way, as
        /// [`FlowTraffic::down_last_ns`](super::FlowTraffic::down_last_ns).
        pub down_last_ns: u64,
    }

    /// What went by a shortcut, on one CPU: see [`FlowTraffic`](super::FlowTraffic).
    pub struct ShortcutTraffic {
        /// Frames to the VM.
        pub up_packets: u64,
        /// Their bytes, as they left.
        pub up_bytes: u64,
        /// Frames from the VM.
        pub down_packets: u64,
        /// Their bytes, as they left.
        pub down_bytes: u64,
    }
}

/// The shortcuts of a bucket.
pub type Bucket = [Shortcut; WAYS];
/// Their counters.
pub type BucketTraffic = [ShortcutTraffic; WAYS];

// Buckets are lines of memory: an array that can be mapped begins with a page.
const _: () = assert!(size_of::<Bucket>() == 64 && size_of::<BucketTraffic>() == 64);

/// [`Shortcut::place`]: frames may go this way.
pub const OPEN: u64 = 1 << 63;
/// [`Shortcut::place`]: the address is not bound any more.
pub const LEAVING: u64 = 1 << 62;
/// [`Shortcut::place`]: it is nobody's, but a program may have read whose it was.
pub const EMPTIED: u64 = 1 << 61;

impl Shortcut {
    /// The place of an address that is at a site, or was.
    #[inline(always)]
    pub const fn place(network: u32, site: u32) -> u64 {
        (network as u64) << 32 | site as u64
    }

    /// The site in a place, if frames of that network may go there.
    #[inline(always)]
    pub const fn open(place: u64, network: u32) -> Option<u32> {
        if place >> 32 == OPEN >> 32 | network as u64 {
            Some(place as u32)
        } else {
            None
        }
    }

    /// Whether it is this address's, open or not.
    pub fn is_of(&self, key: &BindingKey) -> bool {
        self.address == key.address.halves()
            && self.place & (LEAVING | EMPTIED) == 0
            && (self.place & !OPEN) >> 32 == u64::from(key.network)
    }

    /// Whether it is nobody's.
    pub fn is_free(&self) -> bool {
        self.address == [0; 2] && self.place == 0
    }
}

/// The binary logarithm of the number of buckets for so many bindings: as many buckets as bindings, or
/// more. In a table that is full, nine of ten addresses have a shortcut in their bucket, and two of three
/// others in the next.
pub const fn bucket_bits(max_flows: u32) -> u32 {
    // Not none, for then a shift by all bits of a hash would be undefined.
    let most = if max_flows < 2 { 2 } else { max_flows };
    (most as u64).next_power_of_two().ilog2()
}

/// The bucket of an address, among two to the power of `bits`, 1 to 32.
///
/// Multilinear hashing: the upper half of the sum is strongly universal for keys of 32-bit words (Lemire and
/// Kaser, "Strongly universal string hashing is fast", 2014, after Carter and Wegman). Two addresses that
/// were chosen without knowing the seed meet by chance only.
#[inline(always)]
pub const fn bucket(key: &BindingKey, seed: &Seed, bits: u32) -> u32 {
    let [a, b, c, d] = key.address.words();
    let sum = seed[0]
        .wrapping_add(seed[1].wrapping_mul(key.network as u64))
        .wrapping_add(seed[2].wrapping_mul(a as u64))
        .wrapping_add(seed[3].wrapping_mul(b as u64))
        .wrapping_add(seed[4].wrapping_mul(c as u64))
        .wrapping_add(seed[5].wrapping_mul(d as u64));
    (sum >> (u64::BITS - bits)) as u32
}

/// The bucket for those that have no room in theirs: the other one of a pair of lines of memory.
#[inline(always)]
pub const fn neighbour(bucket: u32) -> u32 {
    bucket ^ 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Address;

    const SEED: Seed = [
        0x9e37_79b9_7f4a_7c15,
        0xbf58_476d_1ce4_e5b9,
        0x94d0_49bb_1331_11eb,
        0xd6e8_feb8_6659_fd93,
        0xa076_1d64_78bd_642f,
        0xe703_7ed1_a0b4_28db,
    ];

    fn v4(number: u32, network: u32) -> BindingKey {
        BindingKey {
            network,
            address: Address::v4((0x0a00_0000 + number).to_be_bytes()),
        }
    }

    #[test]
    fn there_are_as_many_buckets_as_bindings() {
        let bits = [1, 2, 3, 1000, 1024, 65_536, 1_000_000, u32::MAX].map(bucket_bits);
        assert_eq!(bits, [1, 1, 2, 10, 10, 16, 20, 32]);
    }

    /// Addresses that follow each other, as a site's do, and the same addresses in several networks.
    #[test]
    fn all_but_a_few_addresses_find_room() {
        const NETWORKS: u32 = 4;
        const EACH: u32 = 16_384;
        let bits = bucket_bits(NETWORKS * EACH);
        let mut taken = vec![0; 1 << bits];
        let (mut elsewhere, mut nowhere) = (0, 0);
        for network in 0..NETWORKS {
            for number in 0..EACH {
                let mut bucket = bucket(&v4(number, network), &SEED, bits);
                if taken[bucket as usize] == WAYS {
                    elsewhere += 1;
                    bucket = neighbour(bucket);
                }
                match &mut taken[bucket as usize] {
                    &mut WAYS => nowhere += 1,
                    taken => *taken += 1,
                }
            }
        }
        // A tenth in the mean of all seeds (the Poisson distribution of one to a bucket), and a thirtieth.
        assert!(elsewhere < NETWORKS * EACH / 7, "{elsewhere}");
        assert!(nowhere < NETWORKS * EACH / 22, "{nowhere}");
    }

    #[test]
    fn another_seed_is_another_order() {
        let bits = bucket_bits(1024);
        let other = SEED.map(|word| word.rotate_left(7));
        let differs = |n| bucket(&v4(n, 0), &SEED, bits) != bucket(&v4(n, 0), &other, bits);
        assert!((0..1024).filter(|n| differs(*n)).count() > 900);
    }

    #[test]
    fn a_place_is_a_networks() {
        let place = OPEN | Shortcut::place(3, 7);
        assert_eq!(Shortcut::open(place, 3), Some(7));
        assert_eq!(Shortcut::open(place, 2), None);
        for flags in [0, LEAVING, EMPTIED, OPEN | LEAVING] {
            assert_eq!(Shortcut::open(place & !OPEN | flags, 3), None);
        }
    }

    #[test]
    fn whose_it_is() {
        let of = |key: &BindingKey, place| Shortcut {
            address: key.address.halves(),
            place,
            down_last_ns: 0,
        };
        let (mine, place) = (v4(1, 3), Shortcut::place(3, 7));
        assert!(of(&mine, place).is_of(&mine) && of(&mine, place | OPEN).is_of(&mine));
        assert!(!of(&mine, place).is_of(&v4(1, 2)) && !of(&mine, place).is_of(&v4(2, 3)));
        assert!(!of(&mine, place | LEAVING).is_of(&mine) && !of(&mine, place).is_free());
        let nobodys = Shortcut::default();
        assert!(nobodys.is_free());
        let emptied = Shortcut {
            place: EMPTIED,
            ..nobodys
        };
        assert!(!emptied.is_free());
    }
}
