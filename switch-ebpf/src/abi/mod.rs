//! The maps' keys and values, their names and sizes, and the records of the rings.
//!
//! Every struct is made of plain integers and bytes without padding (the `zerocopy` derives prove
//! it at compile time), and any change of their meaning raises [`LAYOUT_VERSION`].

#[macro_use]
mod counters;
mod limits;
mod miss;
pub mod names;

pub use counters::{Counter, Drop, Limited};
pub use limits::{ANNOUNCE_LIMIT, NEWCOMER_LIMIT, REFUSED_NS, SOURCE_LIMIT, UNAUTHORISED_SAMPLE};
pub use miss::{
    KIND_ANSWER, KIND_FLOOD, KIND_HELD, KIND_LEARNING, KIND_MOVED, KIND_QUEUED, KIND_QUEUED_LATE,
    KIND_RARP, KIND_UNDECIDED, MissHeader,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::{frame::Address, replay::Window};

/// The version of everything in this module. An agent refuses pinned maps of another one.
pub const LAYOUT_VERSION: u32 = 5;

/// The most ports of one switch. A port's index is given by the agent and has nothing to do with
/// its ifindex.
pub const MAX_PORTS: u32 = 256;
/// The most sites of one switch, over all its networks.
pub const MAX_SITES: u32 = 1024;
/// The most networks of one switch.
pub const MAX_NETWORKS: u32 = 256;
/// The most gateways that a switch takes signed learning packets from.
pub const MAX_GATEWAYS: u32 = 1024;
/// How many prefixes all sites together may be given.
pub const MAX_ALLOWED: u32 = 65_536;
/// How many addresses of newcomers and of refusals are remembered. The oldest are forgotten, which
/// costs a few frames to the agent at worst.
pub const MAX_SOURCES: u32 = 65_536;
/// The most kinds of things that a datapath counts.
pub const MAX_COUNTERS: u32 = 32;
/// Bytes of each of the two rings, [`names::MISSES`] and [`names::NEWCOMERS`].
pub const RING: u32 = 1 << 25;
/// How many bindings a flow table holds unless it is told otherwise.
pub const DEFAULT_MAX_FLOWS: u32 = 65_536;

/// Indices of the traffic counters.
pub mod traffic {
    use super::{MAX_NETWORKS, MAX_PORTS, MAX_SITES};

    /// How many there are.
    pub const ENTRIES: u32 = MAX_SITES + MAX_NETWORKS + MAX_PORTS;

    /// A site's.
    pub const fn site(site: u32) -> u32 {
        site
    }

    /// A network's client attachment's.
    pub const fn client(network: u32) -> u32 {
        MAX_SITES + network
    }

    /// What a port saw that belongs to none of its attachments.
    pub const fn port(port: u32) -> u32 {
        MAX_SITES + MAX_NETWORKS + port
    }
}

/// Index of a site's counter of a limit.
pub const fn limited(site: u32, limit: Limited) -> u32 {
    site * Limited::ENTRIES + limit as u32
}

/// Indices of the counters that the agent writes, so that they outlive it.
pub mod agent {
    /// Bindings created.
    pub const CREATED: u32 = 0;
    /// Bindings moved.
    pub const MOVES: u32 = 1;
    /// Frames given back that could not leave.
    pub const UNDELIVERED: u32 = 2;
    /// Late frames that went through the agent.
    pub const LATE: u32 = 3;
    /// Moves after which the address still answered at the old site.
    pub const CONFLICTS: u32 = 4;
    /// Moves that nobody was asked about, because too many questions were open.
    pub const UNCONFIRMED: u32 = 5;
    /// Questions to old sites, sent.
    pub const QUESTIONS: u32 = 6;
    /// The first of the refusals, in the order of [`Refusal::ALL`](crate::rule::Refusal::ALL).
    pub const REFUSED: u32 = 16;
    /// How many there are.
    pub const ENTRIES: u32 = 32;
}

macro_rules! shared {
    ($($(#[$attribute:meta])* pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $type:ty,)* })*) => {$(
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                FromZeros::new_zeroed()
            }
        }

        #[cfg(feature = "user")]
        // SAFETY: `IntoBytes` proves that there is no padding, `FromBytes` that any bytes are valid.
        unsafe impl aya::Pod for $name {}
    )*};
}

mod attachment;
mod binding;
pub mod gateway;
pub mod shortcut;

pub use attachment::{Attachment, AttachmentKey, PLACES, Place, ROLE_CLIENT, ROLE_SITE};
pub use binding::{
    Binding, BindingKey, LEFT_CLAIMED, LEFT_UNKNOWN, PHASE_HANDOVER, PHASE_NEWCOMER, PHASE_SETTLED,
    Queued, STATE_LEARNED, STATE_QUARANTINED, STATE_STATIC,
};

/// No site.
pub const NO_SITE: u32 = u32::MAX;

/// [`Port::mode`]: the program runs in the driver.
pub const MODE_NATIVE: u16 = 1;
/// [`Port::mode`]: the program runs in the network stack.
pub const MODE_GENERIC: u16 = 2;

/// [`Network::unknown`]: frames to nobody known go to every site.
pub const UNKNOWN_FLOOD: u32 = 0;
/// [`Network::unknown`]: frames to nobody known are dropped.
pub const UNKNOWN_DROP: u32 = 1;

/// [`Network::learn_in_datapath`]: while the agent is away.
pub const LEARN_WHEN_AGENT_IS_DOWN: u32 = 0;
/// [`Network::learn_in_datapath`]: at all times.
pub const LEARN_ALWAYS: u32 = 1;
/// [`Network::learn_in_datapath`]: never.
pub const LEARN_NEVER: u32 = 2;

shared! {
    /// What the maps are made for. Written by the agent once, when they are whole.
    pub struct Meta {
        /// [`LAYOUT_VERSION`].
        pub layout: u32,
        /// The flow table's size.
        pub max_flows: u32,
        /// The kernel's id of the map [`names::EGRESS`].
        pub egress_map: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// What the programs of one CPU know of themselves. Counted by the datapath.
    pub struct Cpu {
        /// How often the program of a switch's port has begun or ended: odd while it runs. Where it has
        /// changed, no program runs on that CPU any more that had read the maps before.
        pub runs: u64,
        /// How many frames were handed to the kernel to be sent.
        pub handed: u64,
        /// Of how many of them the kernel has said what became of them.
        pub answered: u64,
        /// The tick (`bpf_jiffies64`) in which `now_ns` was read.
        pub tick: u64,
        /// `CLOCK_MONOTONIC_COARSE` in nanoseconds.
        pub now_ns: u64,
        /// Where the program last found a shortcut that was not in the first of its places: a bit, 15 unused
        /// ones, the place in 32 bits, the site in 16; or 0.
        pub elsewhere: u64,
    }

    /// A port. Written by the agent, read for frames that belong to no attachment.
    pub struct Port {
        /// Its index in the maps.
        pub index: u32,
        /// Its own MAC.
        pub mac: [u8; 6],
        /// [`MODE_NATIVE`] or [`MODE_GENERIC`].
        pub mode: u16,
    }

    /// How a frame leaves for an attachment. Written by the agent.
    pub struct Leg {
        /// The port's index.
        pub port: u32,
        /// Index of the attachment's traffic counters.
        pub traffic: u32,
        /// The longest frame that the port sends, in bytes, its tag included; 0 for no such leg.
        pub max_frame: u32,
        /// TPID, 0 for an untagged attachment.
        pub tpid: u16,
        /// VLAN id, 0 for an untagged attachment.
        pub vid: u16,
    }

    /// A network. Written by the agent.
    pub struct Network {
        /// Its client side.
        pub client: Leg,
        /// [`UNKNOWN_FLOOD`] or [`UNKNOWN_DROP`].
        pub unknown: u32,
        /// How many sites it has.
        pub sites: u32,
        /// Hold-down for data, in nanoseconds.
        pub hold_down_data_ns: u64,
        /// Hold-down for announcements, in nanoseconds.
        pub hold_down_announce_ns: u64,
        /// One of the `LEARN_` constants.
        pub learn_in_datapath: u32,
        /// [`Policy::quarantine_moves`](crate::rule::Policy::quarantine_moves).
        pub quarantine_moves: u16,
        /// 1 for [`Policy::pin_mac`](crate::rule::Policy::pin_mac).
        pub pin_mac: u16,
        /// [`Policy::quarantine_window_ns`](crate::rule::Policy::quarantine_window_ns).
        pub quarantine_window_ns: u64,
        /// [`Policy::quarantine_ns`](crate::rule::Policy::quarantine_ns).
        pub quarantine_ns: u64,
        /// Time between two frames to unknown stations, in nanoseconds.
        pub flood_interval_ns: u64,
        /// How far a burst of them may run ahead, in nanoseconds.
        pub flood_burst_ns: u64,
    }

    /// What the datapath has to know of who may speak at a site. Written by the agent.
    pub struct SitePolicy {
        /// 1 where only addresses of [`names::ALLOWED`] may.
        pub restricted: u32,
    }

    /// A prefix, or an address, at a site. Network byte order, for the trie compares from the left.
    pub struct AllowKey {
        /// The site's id.
        pub site: [u8; 4],
        /// The address.
        pub address: Address,
    }

    /// An address that speaks at a site.
    pub struct SourceKey {
        /// The site's id.
        pub site: u32,
        /// The address.
        pub address: Address,
    }

    /// A gateway that signs its learning packets. Written by the agent.
    pub struct Gateway {
        /// The sequence numbers that were there.
        pub window: Window,
        /// When its last packet came in, `CLOCK_MONOTONIC` in nanoseconds.
        pub heard_ns: u64,
        /// The site that came from.
        pub site: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// A binding's traffic, through the agent or by the datapath without a [`shortcut`].
    pub struct FlowTraffic {
        /// Frames to the VM.
        pub up_packets: u64,
        /// Their bytes, as they left.
        pub up_bytes: u64,
        /// Frames from the VM, late ones left out.
        pub down_packets: u64,
        /// Their bytes, as they left.
        pub down_bytes: u64,
        /// When the last of them came in, `CLOCK_MONOTONIC_COARSE` in nanoseconds; 0 for never.
        pub down_last_ns: u64,
    }

    /// Frames that the agent sent.
    pub struct Forwarded {
        /// How many.
        pub packets: u64,
        /// Their bytes, as they left.
        pub bytes: u64,
    }

    /// An attachment's traffic on one CPU. Counted by the datapath.
    pub struct Traffic {
        /// Frames that came in.
        pub rx_packets: u64,
        /// Their bytes.
        pub rx_bytes: u64,
        /// Frames that left.
        pub tx_packets: u64,
        /// Their bytes.
        pub tx_bytes: u64,
    }

    /// A name, filled up with zeroes.
    pub struct Label {
        /// UTF-8.
        pub bytes: [u8; 64],
    }
}

impl Leg {
    /// TPID and VLAN id, nothing for an untagged attachment.
    #[inline(always)]
    pub const fn tag(&self) -> Option<(u16, u16)> {
        if self.vid == 0 {
            None
        } else {
            Some((self.tpid, self.vid))
        }
    }
}

impl AllowKey {
    /// Bits of the site, which every prefix begins with.
    pub const SITE_BITS: u32 = u32::BITS;
    /// Bits of a whole key.
    pub const BITS: u32 = 8 * size_of::<Self>() as u32;

    /// The key of an address at a site.
    #[inline(always)]
    pub const fn new(site: u32, address: Address) -> Self {
        Self {
            site: site.to_be_bytes(),
            address,
        }
    }
}

impl Label {
    /// The name, or nothing where the entry is empty or no UTF-8.
    pub fn text(&self) -> Option<&str> {
        let end = self
            .bytes
            .iter()
            .position(|b| *b == 0)
            .unwrap_or(self.bytes.len());
        core::str::from_utf8(&self.bytes[..end])
            .ok()
            .filter(|text| !text.is_empty())
    }

    /// A label; what does not fit into 64 bytes is cut (the agent's names are shorter).
    pub fn new(text: &str) -> Self {
        let mut bytes = [0; 64];
        let length = text.len().min(bytes.len());
        bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
        Self { bytes }
    }
}

#[cfg(feature = "user")]
// SAFETY: sixteen bytes.
unsafe impl aya::Pod for Address {}
