//! Where a settled address is, found without a call into the kernel.
//!
//! A frame of an address that is bound and [settled](super::PHASE_SETTLED) needs to know no more of the
//! binding than its site. A shortcut says that, in an array whose elements a program reaches by itself: the
//! kernel's hash map is four of its functions, and three lines of memory that have to be fetched one after
//! the other. Here it is one line, of eight addresses, and one of counters whose place is known at the same time.
//!
//! The binding in [`names::BINDINGS`](super::names::BINDINGS) is what is true. A shortcut is there only
//! while that is settled, and what finds none asks the map: there may be no room, nothing is lost by it.
//!
//! * **A shortcut is one word**, and its place in the array is also that of its counters and its
//!   [`Owner`]. An IPv4 address is in the word; of an IPv6 address there is a part of its hash, and the whole
//!   address is the owner's.
//! * **One bit opens and closes it.** Before the agent changes a binding it closes the shortcut; it opens
//!   it when the map says that the binding is settled, and then looks at the map once more. A program that
//!   has moved a binding closes the shortcut after that. Whichever of the two is later, no shortcut stays
//!   open that the map contradicts. (What a program has read of a shortcut before it was closed is as old
//!   as what it might have read of the map: the handover waits for it.)
//! * **An address has its shortcut as long as it is bound**, open or not, for its counters are there. When
//!   the binding is gone the shortcut is `LEAVING`. After every program has ended that may know it, it is
//!   emptied and `EMPTIED`; after every program has ended that may have read the old address, it is free.
//!   So no program can take one address's site for another's, in whatever order it reads the words.
//! * **An agent that is killed** between two words leaves a shortcut that is not open, or one that the map
//!   agrees with. The next one goes through all of them.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::{BindingKey, MAX_NETWORKS, MAX_SITES};

/// How many shortcuts there are in a line of memory.
pub const WAYS: usize = 8;

/// What the hash depends on, so that nobody can choose addresses of one line.
pub type Seed = [u64; 6];
/// The shortcuts of a line of memory.
pub type Line = [Shortcut; WAYS];

shared! {
    /// Whose a shortcut is, and when it was heard.
    pub struct Owner {
        /// An IPv6 address, written by the agent while the shortcut is not open; else 0.
        pub address: [u64; 2],
        /// When the last frame of the address came in by this way, as
        /// [`FlowTraffic::down_last_ns`](super::FlowTraffic::down_last_ns). Written by the datapath.
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

// Lines of memory are lines of the array: one that can be mapped begins with a page.
const _: () = assert!(size_of::<Line>() == 64 && size_of::<ShortcutTraffic>() == 32);
// Both have their place in a word.
const _: () = assert!(MAX_SITES <= 1 << 16 && MAX_NETWORKS <= 1 << 8);

/// Frames may go this way.
const OPEN: u64 = 1 << 63;
/// The address is not bound any more.
const LEAVING: u64 = 1 << 62;
/// It is nobody's, but a program may have read whose it was.
const EMPTIED: u64 = 1 << 61;
/// It is an IPv6 address's.
const V6: u64 = 1 << 60;
const NETWORK_SHIFT: u32 = 48;
const SITE_SHIFT: u32 = 32;
const SITE: u64 = 0xffff << SITE_SHIFT;

/// A shortcut: whose it is, where it leads, and whether it is open. Written by the agent, and closed by the
/// datapath.
#[repr(transparent)]
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
pub struct Shortcut(pub u64);

impl Shortcut {
    /// Nobody's.
    pub const FREE: Self = Self(0);
    /// Nobody's, but a program may have read whose it was.
    pub const EMPTIED: Self = Self(EMPTIED);
    /// What stays of a word when it is closed.
    pub const CLOSED: u64 = !OPEN;

    /// An open one.
    pub const fn to(sought: &Sought, site: u32) -> Self {
        Self(OPEN | sought.word | (site as u64) << SITE_SHIFT & SITE)
    }

    /// The site, if it is open and the address is the one that is sought, or an IPv6 address with the same
    /// part of its hash.
    #[inline(always)]
    pub const fn leads(self, sought: &Sought) -> Option<u32> {
        if self.0 & !SITE == OPEN | sought.word {
            Some(((self.0 & SITE) >> SITE_SHIFT) as u32)
        } else {
            None
        }
    }

    /// Whether it is that address's, open or not.
    pub const fn is_of(self, sought: &Sought) -> bool {
        self.0 & !(SITE | OPEN) == sought.word
    }

    /// The same that is not open.
    #[must_use]
    pub const fn closed(self) -> Self {
        Self(self.0 & Self::CLOSED)
    }

    /// The same whose address is bound no more.
    #[must_use]
    pub const fn leaving(self) -> Self {
        Self(self.0 & !OPEN | LEAVING)
    }
}

/// What a program or the agent looks for.
#[derive(Clone, Copy, Debug)]
pub struct Sought {
    /// The line that the shortcut is in, or else it is in the line's neighbour.
    pub line: u32,
    /// Which of the line it is, if that was free.
    pub way: usize,
    /// Network and address, as they are in the shortcut.
    word: u64,
}

impl Sought {
    /// The shortcut of an address, among so many lines.
    ///
    /// Multilinear hashing: the upper half of the sum is strongly universal for keys of 32-bit words (Lemire
    /// and Kaser, "Strongly universal string hashing is fast", 2014, after Carter and Wegman). Two addresses
    /// that were chosen without knowing the seed meet by chance only.
    #[inline(always)]
    pub const fn new(key: &BindingKey, seed: &Seed, lines: u32) -> Self {
        let [a, b, c, d] = key.address.words();
        let mut sum = seed[0]
            .wrapping_add(seed[1].wrapping_mul(key.network as u64))
            .wrapping_add(seed[2].wrapping_mul(d as u64));
        let mut word = (key.network as u64) << NETWORK_SHIFT;
        if key.address.is_v4() {
            word |= d as u64;
        } else {
            sum = sum
                .wrapping_add(seed[3].wrapping_mul(a as u64))
                .wrapping_add(seed[4].wrapping_mul(b as u64))
                .wrapping_add(seed[5].wrapping_mul(c as u64));
            word |= V6 | sum as u32 as u64;
        }
        // The upper half as a fraction of all lines, and what follows that as one of a line's ways.
        let at = (sum >> 32) * lines as u64;
        Self {
            line: (at >> 32) as u32,
            way: (at as u32 >> (u32::BITS - WAYS.ilog2())) as usize,
            word,
        }
    }
}

/// How many lines there are for so many bindings: half as many shortcuts again, so that all but one of 100
/// have room in a table that is full. An even number, for they are pairs.
pub const fn lines(max_flows: u32) -> u32 {
    let pairs = (max_flows as u64 * 3).div_ceil(4 * WAYS as u64);
    2 * if pairs == 0 { 1 } else { pairs as u32 }
}

/// The line for those that have no room in theirs: the other one of a pair.
#[inline(always)]
pub const fn neighbour(line: u32) -> u32 {
    line ^ 1
}

/// The number of a shortcut among those of all lines.
#[inline(always)]
pub const fn place(line: u32, way: usize) -> u32 {
    line * WAYS as u32 + way as u32
}

#[cfg(test)]
mod tests;
