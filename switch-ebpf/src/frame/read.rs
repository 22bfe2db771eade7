//! One bounds-checked way to read bytes of a frame, on the host and in an XDP program.

use core::mem::transmute_copy;

use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    vlan::VlanHdr,
};

use super::unaligned::load;

/// A header or a piece of one, of a fixed size.
///
/// # Safety
/// The type must be `repr(C)` or an array of such, valid for any bytes, and without padding.
pub unsafe trait Wire: Copy {
    /// The piece at `at`, which need not be aligned.
    ///
    /// # Safety
    /// `at` must point to so many bytes that may be read.
    #[inline(always)]
    unsafe fn load_from(at: *const Self) -> Self {
        // SAFETY: the caller's promise, and a `Wire` is valid for any bytes.
        unsafe { at.read_unaligned() }
    }

    /// The same of a piece of a header that is in the frame.
    #[inline(always)]
    fn load(&self) -> Self {
        // SAFETY: a reference.
        unsafe { Self::load_from(self) }
    }
}

// SAFETY: arrays of bytes.
unsafe impl<const N: usize> Wire for [u8; N] {
    #[inline(always)]
    unsafe fn load_from(at: *const Self) -> Self {
        let at = at.cast::<u8>();
        // SAFETY: the caller's promise: there are N bytes, and what is made of them is as long or longer.
        unsafe {
            match N {
                2 => transmute_copy(&load::<u16>(at)),
                4 => transmute_copy(&load::<u32>(at)),
                6 => {
                    let (low, high) = (load::<u32>(at), load::<u16>(at.add(4)));
                    transmute_copy(&(u64::from(low) | u64::from(high) << 32).to_le())
                }
                8 => transmute_copy(&load::<u64>(at)),
                16 => transmute_copy(&[load::<u64>(at), load::<u64>(at.add(8))]),
                _ => at.cast::<Self>().read_unaligned(),
            }
        }
    }
}

/// A header of which a program reads all: piece by piece, for its pieces are not aligned as a whole.
macro_rules! pieces {
    ($($header:ident { $($field:ident: $piece:ty),* })*) => {$(
        // SAFETY: `repr(C)`, made of byte arrays and an aligned `u16`, without padding.
        unsafe impl Wire for $header {
            #[inline(always)]
            unsafe fn load_from(at: *const Self) -> Self {
                // SAFETY: the caller's promise; each piece lies within the header.
                unsafe { Self { $($field: <$piece>::load_from(&raw const (*at).$field)),* } }
            }
        }
    )*};
}

pieces! {
    EthHdr { dst_addr: [u8; 6], src_addr: [u8; 6], ether_type: u16 }
    VlanHdr { tci: [u8; 2], ether_type: u16 }
}

// SAFETY: two bytes.
unsafe impl Wire for u16 {
    #[inline(always)]
    unsafe fn load_from(at: *const Self) -> Self {
        // SAFETY: the caller's promise.
        unsafe { load(at.cast()) }
    }
}

// SAFETY: `repr(C)`, made of bytes and byte arrays, 20 bytes.
unsafe impl Wire for Ipv4Hdr {}
// SAFETY: `repr(C)`, made of bytes and byte arrays, 40 bytes.
unsafe impl Wire for Ipv6Hdr {}

/// The bytes of a frame.
pub trait Bytes {
    /// The `T` at `offset` bytes, where it lies; nothing where the frame ends before it does. It must be
    /// made of single bytes.
    fn view<T: Wire>(&self, offset: usize) -> Option<&T>;

    /// The same, read. A large one is better viewed: the compiler would copy it to the stack byte by byte,
    /// and read words of it there, for which the processor has to wait.
    fn at<T: Wire>(&self, offset: usize) -> Option<T>;
}

/// A type that may lie anywhere.
pub const fn is_unaligned<T>() -> bool {
    align_of::<T>() == 1
}

impl Bytes for [u8] {
    fn view<T: Wire>(&self, offset: usize) -> Option<&T> {
        const { assert!(is_unaligned::<T>()) };
        let end = offset.checked_add(size_of::<T>())?;
        let bytes = self.get(offset..end)?;
        // SAFETY: `bytes` is `size_of::<T>()` long, and a `Wire` is valid for any bytes.
        Some(unsafe { &*bytes.as_ptr().cast() })
    }

    fn at<T: Wire>(&self, offset: usize) -> Option<T> {
        let end = offset.checked_add(size_of::<T>())?;
        let bytes = self.get(offset..end)?;
        // SAFETY: `bytes` is `size_of::<T>()` long.
        Some(unsafe { T::load_from(bytes.as_ptr().cast()) })
    }
}
