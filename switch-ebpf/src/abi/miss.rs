//! The records of the two rings: a header, then the whole frame.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// [`MissHeader::kind`]: a frame from a site that the datapath could not decide on.
pub const KIND_UNDECIDED: u32 = 1;
/// [`MissHeader::kind`]: a frame from a site of a bound address, behind others of that address.
pub const KIND_QUEUED: u32 = 2;
/// [`MissHeader::kind`]: a frame from the client for every site, which the agent copies.
pub const KIND_FLOOD: u32 = 3;
/// [`MissHeader::kind`]: a RARP request from a site, which goes no further.
pub const KIND_RARP: u32 = 4;
/// [`MissHeader::kind`]: a [learning packet](crate::learning_packet) from a site.
pub const KIND_LEARNING: u32 = 5;
/// [`MissHeader::kind`]: as [`KIND_QUEUED`], but from the site that the address has just left.
pub const KIND_QUEUED_LATE: u32 = 6;
/// [`MissHeader::kind`]: a frame by which the datapath itself has moved its address; it has left
/// already.
pub const KIND_MOVED: u32 = 7;
/// [`MissHeader::kind`]: a frame for which the datapath itself holds its address in quarantine where
/// it was; it was dropped.
pub const KIND_HELD: u32 = 8;

/// [`MissHeader::kind`]: an ARP reply or solicited neighbour advertisement from a site to the port's
/// own MAC. The host has it too.
pub const KIND_ANSWER: u32 = 9;

/// What the datapath knows of a frame that it hands to the agent.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct MissHeader {
    /// When, `CLOCK_MONOTONIC` in nanoseconds, taken before the record's place in the ring.
    pub time_ns: u64,
    /// For [`KIND_QUEUED`] and [`KIND_QUEUED_LATE`]: the frame's number in its slot's queue
    /// in this ring, from 1.
    /// For [`KIND_UNDECIDED`]: the same where it had to queue up, 0 where not.
    /// For [`KIND_MOVED`] and [`KIND_HELD`]: the site that the address was bound to.
    pub number: u64,
    /// One of the `KIND_` constants.
    pub kind: u32,
    /// The network's id.
    pub network: u32,
    /// The site it came from, [`NO_SITE`](super::NO_SITE) for the client.
    pub site: u32,
    /// For all five: the binding's slot, if there is a number.
    pub slot: u32,
    /// The frame's length in bytes. The record may be longer.
    pub length: u32,
    /// 1 where the frame's outer tag is the attachment's own.
    pub own_tag: u32,
}

impl MissHeader {
    /// Bytes of the header in a record.
    pub const LEN: usize = size_of::<Self>();

    /// Slot and number of a frame that queued up behind others of its address.
    pub const fn queued(&self) -> Option<(u32, u64)> {
        match self.kind {
            KIND_QUEUED | KIND_QUEUED_LATE | KIND_UNDECIDED if self.number != 0 => {
                Some((self.slot, self.number))
            }
            _ => None,
        }
    }

    /// Splits a record into header and frame; nothing where the record contradicts itself.
    pub fn split(record: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = Self::read_from_prefix(record).ok()?;
        let frame = rest.get(..header.length as usize)?;
        Some((header, frame))
    }
}
