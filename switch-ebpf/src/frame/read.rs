//! One bounds-checked way to read bytes of a frame, on the host and in an XDP program.

use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    vlan::VlanHdr,
};

/// A fixed-size piece of a header.
///
/// # Safety
/// The type must be `repr(C)` or an array of such, valid for any bytes, and without padding.
pub unsafe trait Wire: Copy {}

// SAFETY: arrays of bytes.
unsafe impl<const N: usize> Wire for [u8; N] {}
// SAFETY: `repr(C)`, made of byte arrays and one aligned `u16` each, 14 and 4 bytes.
unsafe impl Wire for EthHdr {}
// SAFETY: as above.
unsafe impl Wire for VlanHdr {}
// SAFETY: `repr(C)`, made of bytes and byte arrays, 20 bytes.
unsafe impl Wire for Ipv4Hdr {}
// SAFETY: `repr(C)`, made of bytes and byte arrays, 40 bytes.
unsafe impl Wire for Ipv6Hdr {}

/// The bytes of a frame.
pub trait Bytes {
    /// The `T` at `offset` bytes, or nothing where the frame ends before it does.
    fn at<T: Wire>(&self, offset: usize) -> Option<T>;
}

impl Bytes for [u8] {
    fn at<T: Wire>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        let bytes = self.get(offset..end)?;
        // SAFETY: `bytes` is `size_of::<T>()` long, and a `Wire` is valid for any bytes.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}
