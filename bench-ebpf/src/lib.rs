//! What the benchmark and its programs share.

#![cfg_attr(target_arch = "bpf", no_std)]

pub mod stamped;

/// How many addresses [`address`] tells apart.
pub const ADDRESSES: u32 = 1 << 24;

/// How many bytes of its own the generator writes at the beginning of every frame: all headers up to
/// the ports. No frame is shorter.
pub const HEADERS: usize = 64;

/// The low 24 bits of the `number`th address: no address twice, and neighbours in number are strangers
/// in address, so that a table is asked for them in no order.
#[inline(always)]
#[must_use]
pub const fn address(number: u32) -> u32 {
    // An odd factor maps the numbers below a power of two onto themselves, one to one.
    number.wrapping_mul(0x9e37_79b1) % ADDRESSES
}

/// The checksum of RFC 1071 over words that add up to `sum`, and an address's low 24 bits.
#[inline(always)]
#[must_use]
pub const fn checksum(sum: u32, low: u32) -> [u8; 2] {
    let sum = sum + (low >> 16) + (low & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    (!sum as u16).to_be_bytes()
}

/// What the generator is to send. Offsets count bytes from the beginning of a frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The beginning of every frame, with the low 24 bits of the address and of the VM's MAC left zero.
    pub headers: [u8; HEADERS],
    /// Where the last three bytes of the VM's MAC are.
    pub mac_at: u32,
    /// Where the last three bytes of its address are.
    pub address_at: u32,
    /// Where the checksum is that the address goes into.
    pub checksum_at: u32,
    /// What else goes into it: the sum of the other words, in the host's byte order.
    pub sum: u32,
    /// The number of the first VM.
    pub first: u32,
    /// How many VMs there are from that one on; at least 1. For each frame one is drawn.
    pub flows: u32,
    /// How long a frame is in bytes.
    pub length: u32,
}

/// The sink looks at the clock with every frame of a number that this divides: always would cost as
/// much as all the rest.
pub const STEP: u64 = 64;

/// What has arrived at a sink on one CPU. Times are `CLOCK_MONOTONIC` in nanoseconds.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// How many frames.
    pub frames: u64,
    /// When the first of them came.
    pub first_ns: u64,
    /// When the last one came whose number [`STEP`] divides, counted from 0.
    pub last_ns: u64,
}

impl Arrived {
    /// How many frames came after the first one until `last_ns`.
    #[must_use]
    pub const fn timed(&self) -> u64 {
        self.frames.saturating_sub(1) / STEP * STEP
    }
}

#[cfg(feature = "user")]
// SAFETY: three integers of eight bytes.
unsafe impl aya::Pod for Arrived {}

#[cfg(feature = "user")]
// SAFETY: bytes and then integers of four bytes each, without padding, valid for any bytes.
unsafe impl aya::Pod for Stream {}

#[cfg(test)]
mod tests {
    use super::{ADDRESSES, address};

    #[test]
    fn no_address_comes_twice() {
        let mut seen = vec![false; ADDRESSES as usize];
        for number in 0..ADDRESSES {
            let seen = &mut seen[address(number) as usize];
            assert!(!*seen, "the address of {number} is another's");
            *seen = true;
        }
    }
}
