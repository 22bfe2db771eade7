//! What a gateway's program and its agent share. Ports, traffic, drops and names are as a switch's.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use super::Leg;
use crate::{frame::Address, limit::Limit};

/// The version of a gateway's maps. The upper half tells them from a switch's.
pub const LAYOUT_VERSION: u32 = 1 << 16 | 2;

/// The most stations, on both sides.
pub const MAX_STATIONS: u32 = 16_384;
/// The most addresses of all stations.
pub const MAX_ADDRESSES: u32 = 65_536;
/// The most addresses of one station: a router speaks with those of everyone behind it.
pub const MAX_STATION_ADDRESSES: u64 = 64;
/// Bytes of the ring of notices.
pub const RING: u32 = 1 << 20;
/// The most bytes of a frame in a notice. What is announced in a longer one is not believed.
pub const MAX_FRAME: usize = 256;
/// An address of a station counts as used again only after so long, so that CPUs do not fight over
/// the entries of busy stations.
pub const SEEN_STEP_NS: u64 = 1_000_000_000;

/// How often one station may announce: 20 times a second, and 64 times at once.
pub const STATION_LIMIT: Limit = Limit {
    interval_ns: 50_000_000,
    burst_ns: 63 * 50_000_000,
};
/// How often all stations may together: 1000 times a second, and 1024 times at once.
pub const LAN_LIMIT: Limit = Limit {
    interval_ns: 1_000_000,
    burst_ns: 1023 * 1_000_000,
};

/// The names of the maps that a switch does not have.
pub mod names {
    /// [`AttachmentKey`](crate::abi::AttachmentKey) → [`Crossing`](super::Crossing).
    pub const CROSSINGS: &str = "CROSSINGS";
    /// [`Station`](super::Station) → [`StationState`](super::StationState).
    pub const STATIONS: &str = "STATIONS";
    /// [`StationAddress`](super::StationAddress) → when it was last seen (`u64`, ns).
    pub const ADDRESSES: &str = "ADDRESSES";
    /// When the next announcement of anybody is due (`u64`), one.
    pub const LAN_DUE: &str = "LAN_DUE";
    /// The ring of notices.
    pub const NOTICES: &str = "NOTICES";
}

/// Indices of the counters that the agent writes, so that they outlive it. There are as many as of a
/// switch's ([`abi::agent`](super::agent)).
pub mod agent {
    /// Announcements that were read and believed, by what they are: the first, in the order of the
    /// numbers of [`Announcement`](crate::learning_packet::Announcement), from 1.
    pub const ANNOUNCED: u32 = 0;
    /// Frames that looked like an announcement and are none.
    pub const MALFORMED: u32 = 8;
    /// Learning packets that left.
    pub const SENT: u32 = 9;
    /// Learning packets that could not leave.
    pub const FAILED: u32 = 10;
    /// Announcements for which there is no destination of their family.
    pub const NO_DESTINATION: u32 = 11;
    /// Questions to stations of which only the MAC was known.
    pub const ASKED: u32 = 12;
    /// Answers to them.
    pub const ANSWERED: u32 = 13;
    /// RARPs after which no address was found.
    pub const UNANSWERED: u32 = 14;
    /// Announcements delivered to `--notify`.
    pub const NOTIFIED: u32 = 15;
    /// Announcements that could not be.
    pub const NOTIFY_FAILED: u32 = 16;
    /// Announcements beyond what the agent works on at a time.
    pub const OVERLOADED: u32 = 17;
}

/// [`Station::side`]: heard on the LAN.
pub const SIDE_LAN: u16 = 0;
/// [`Station::side`]: heard of on the trunk, where it is beyond the VPN.
pub const SIDE_TRUNK: u16 = 1;

/// [`Crossing::mode`]: frames go over to the other side.
pub const MODE_FORWARD: u16 = 0;
/// [`Crossing::mode`]: frames stay the host's.
pub const MODE_SNOOP: u16 = 1;

/// [`Notice::kind`]: a station has an address that was not known.
pub const KIND_ADDRESS: u32 = 1;
/// [`Notice::kind`]: a frame that may be an announcement.
pub const KIND_ANNOUNCEMENT: u32 = 2;
/// [`Notice::kind`]: a frame to the port's own MAC that may be the answer to a question.
pub const KIND_ANSWER: u32 = 3;

shared! {
    /// What becomes of an attachment's frames. Written by the agent.
    pub struct Crossing {
        /// [`MODE_FORWARD`] or [`MODE_SNOOP`].
        pub mode: u16,
        /// [`MODE_NATIVE`](super::MODE_NATIVE) or [`MODE_GENERIC`](super::MODE_GENERIC); 0 while the
        /// program is not attached yet.
        pub xdp_mode: u16,
        /// Index of the attachment's traffic counters: those of a switch's first client for the LAN,
        /// of its first site for the trunk.
        pub traffic: u32,
        /// How frames leave on the other side.
        pub out: Leg,
        /// The port's own MAC.
        pub mac: [u8; 6],
        /// [`SIDE_LAN`] or [`SIDE_TRUNK`].
        pub side: u16,
    }

    /// Somebody with a MAC.
    #[derive(Hash)]
    pub struct Station {
        /// The MAC.
        pub mac: [u8; 6],
        /// [`SIDE_LAN`] or [`SIDE_TRUNK`].
        pub side: u16,
    }

    /// What is known of a station. Times are `CLOCK_MONOTONIC` in nanoseconds.
    pub struct StationState {
        /// When its next announcement is due. Written by the datapath.
        pub due_ns: u64,
        /// How many addresses it has. Written by both: the agent says how many there are after it
        /// has removed some.
        pub addresses: u64,
    }

    /// An address of a station.
    pub struct StationAddress {
        /// The station.
        pub station: Station,
        /// The address.
        pub address: Address,
    }

    /// What stands in front of a notice's frame.
    pub struct Notice {
        /// When, `CLOCK_MONOTONIC` in nanoseconds.
        pub time_ns: u64,
        /// [`KIND_ADDRESS`], [`KIND_ANNOUNCEMENT`] or [`KIND_ANSWER`].
        pub kind: u32,
        /// The frame's length in bytes, 0 for [`KIND_ADDRESS`]. The record may be longer.
        pub length: u32,
        /// Whom it is about.
        pub about: StationAddress,
    }
}

impl Notice {
    /// Splits a record into notice and frame; nothing where the record contradicts itself.
    pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (notice, rest) = Self::read_from_prefix(record).ok()?;
        let frame = rest.get(..notice.length as usize)?;
        Some((notice, frame))
    }
}

counted! {
    /// What a gateway's datapath counts.
    pub enum Counter {
        /// Announcements above the limit of their station.
        StationBound = "station-bound",
        /// Announcements above the limit of all stations together.
        LanBound = "lan-bound",
        /// Announcements in frames longer than [`MAX_FRAME`].
        TooLong = "too-long",
        /// Notices for which there was no room in the ring.
        NoticeLost = "notice-lost",
        /// Addresses beyond the most that one station may have.
        AddressBound = "address-bound",
        /// Stations or addresses for which there was no room.
        StationsFull = "stations-full",
        /// Frames left to the host.
        Passed = "passed",
    }
}

const _: () = assert!(Counter::ENTRIES <= super::MAX_COUNTERS);
const _: () = assert!(agent::OVERLOADED < super::agent::ENTRIES);
