//! Frames with a number and the time at which they were sent: what both sides know of them.
//!
//! ```text
//!  Ethernet, with or without a tag | IPv4 | UDP to PORT | number (4) | zero (4) | sent_ns (8) | zero (2)
//! ```
//! Number and time are in the machine's byte order: whoever writes them reads them.

/// The UDP port that they are sent to.
pub const PORT: u16 = 4600;
/// Bytes of the Ethernet header without a tag.
pub const UNTAGGED: usize = 14;
/// Bytes of the Ethernet header with one tag.
pub const TAGGED: usize = 18;
/// Bytes behind the UDP header.
pub const PAYLOAD: usize = 18;
/// Bytes behind the Ethernet header.
pub const PACKET: usize = 20 + 8 + PAYLOAD;
/// Numbers are below this.
pub const NUMBERS: u32 = 1 << 17;

/// Index of what VMs send, towards the client.
pub const DOWN: u32 = 0;
/// Index of what is sent to VMs.
pub const UP: u32 = 1;

/// What is sent next. Written by the benchmark before a run; `next` counts by itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The Ethernet header. The VM's MAC ends as its address does.
    pub header: [u8; TAGGED],
    /// What the IPv4 header's checksum is made of, but for the last three bytes of the VM's address.
    pub sum: u16,
    /// How many have been sent.
    pub next: u32,
    /// The first number.
    pub first: u32,
    /// After so many, the first one comes again; at least one.
    pub count: u32,
    /// Time between two frames in nanoseconds: runs in between send none. 0 for as fast as it goes.
    pub interval_ns: u64,
    /// When the next one is due, `CLOCK_MONOTONIC` in nanoseconds.
    pub due_ns: u64,
}

/// When a number was sent, and arrived for the first time. Times are `CLOCK_MONOTONIC` in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// When it was sent.
    pub sent_ns: u64,
    /// When it arrived; 0 if it has not.
    pub arrived_ns: u64,
    /// The TCI of the tag that it had at the sites.
    pub tci: u64,
}

#[cfg(feature = "user")]
// SAFETY: integers and bytes, 18 + 2 + 3 * 4 + 2 * 8 of them, without padding.
unsafe impl aya::Pod for Sender {}
#[cfg(feature = "user")]
// SAFETY: three integers of the same size.
unsafe impl aya::Pod for Arrival {}
