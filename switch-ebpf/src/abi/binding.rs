//! Where an address is, and what queues up for it.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::frame::Address;

/// [`Binding::state`]: learned from evidence.
pub const STATE_LEARNED: u8 = 0;

/// [`Binding::state`]: pinned by the operator.
pub const STATE_STATIC: u8 = 1;

/// [`Binding::state`]: moved too often, held where it is.
pub const STATE_QUARANTINED: u8 = 2;

/// [`Binding::phase`]: the datapath forwards the address's frames by itself.
pub const PHASE_SETTLED: u8 = 0;

/// [`Binding::phase`]: the address's frames queue up behind those that the agent has, in the ring
/// [`names::MISSES`](super::names::MISSES).
pub const PHASE_HANDOVER: u8 = 1;

/// [`Binding::phase`]: the same in the ring [`names::NEWCOMERS`](super::names::NEWCOMERS), where the
/// frames are that came in before the address was bound. What would speak for a move queues up there, too.
pub const PHASE_NEWCOMER: u8 = 2;

/// [`Binding::left`]: frames are on their way that nobody has counted, so all others must queue up.
pub const LEFT_UNKNOWN: u64 = u64::MAX;

/// [`Binding::left`]: from here on, the number of the CPU which is about to put another binding in
/// the place of this one. Nobody else may meanwhile.
pub const LEFT_CLAIMED: u64 = 1 << 63;

shared! {
    /// An address of a network.
    #[derive(Hash)]
    pub struct BindingKey {
        /// The network's id.
        pub network: u32,
        /// The VM's address.
        pub address: Address,
    }

    /// Where an address is: the one entry that both flow rules are read from. Written by the agent, and
    /// by the datapath where that learns. Times are `CLOCK_MONOTONIC` in nanoseconds.
    pub struct Binding {
        /// The site's id.
        pub site: u32,
        /// The site it was at before, or [`NO_SITE`](super::NO_SITE).
        pub previous_site: u32,
        /// The site it was at before `previous_site`, plus 1; 0 for none.
        pub earlier_site: u16,
        /// [`STATE_LEARNED`], [`STATE_STATIC`] or [`STATE_QUARANTINED`].
        pub state: u8,
        /// [`PHASE_SETTLED`], [`PHASE_HANDOVER`] or [`PHASE_NEWCOMER`].
        pub phase: u8,
        /// The place of its counters.
        pub slot: u32,
        /// Unless it is settled: how many frames of the slot's queue in the phase's ring have left
        /// the agent, or [`LEFT_UNKNOWN`]. While the datapath moves it: [`LEFT_CLAIMED`] and more.
        pub left: u64,
        /// When it last moved, 0 for never.
        pub moved_at_ns: u64,
        /// When the first of the counted moves was; in quarantine: since when it is.
        pub window_start_ns: u64,
        /// When it was created.
        pub created_at_ns: u64,
        /// The MAC that the last evidence came from, zero if there was none.
        pub mac: [u8; 6],
        /// Moves counted since `window_start_ns`.
        pub window_moves: u16,
    }

    /// How many frames have ever queued up under a slot. Counted by the datapath, in each ring for
    /// itself: what a program that has begun long ago puts into one stands in no queue of the other.
    pub struct Queued {
        /// In [`names::MISSES`](super::names::MISSES).
        pub misses: u64,
        /// In [`names::NEWCOMERS`](super::names::NEWCOMERS).
        pub newcomers: u64,
    }
}

impl Queued {
    /// How many in the ring of a phase.
    pub const fn in_phase(&self, phase: u8) -> u64 {
        if phase == PHASE_NEWCOMER {
            self.newcomers
        } else {
            self.misses
        }
    }
}

/// The kernel's own bytes in front of the key of a hash map's element (`struct htab_elem` in
/// kernel/bpf/hashtab.c).
const HTAB_ELEM: usize = 48;
// A frame touches an entry in two neighbouring cache lines, and not in three.
const _: () =
    assert!(HTAB_ELEM + size_of::<BindingKey>().next_multiple_of(8) + size_of::<Binding>() == 128);

impl Binding {
    /// Whether a CPU is about to put another in the place of this one, or has.
    #[inline(always)]
    pub const fn is_claimed(left: u64) -> bool {
        left >= LEFT_CLAIMED && left != LEFT_UNKNOWN
    }
}
