//! Atomic operations on elements of array maps, which several CPUs share.
//!
//! The BPF target has had them since Linux 5.12, but Rust's description of the target does not say
//! so, which leaves `AtomicU64` without them: hence the intrinsics.

use core::intrinsics::{AtomicOrdering, atomic_and, atomic_cxchg, atomic_xadd};

/// An aligned `u64` in an array map that is only ever written atomically.
#[derive(Clone, Copy)]
pub struct Shared(*mut u64);

impl Shared {
    /// The element at `at`.
    ///
    /// # Safety
    /// `at` must point to an aligned `u64` in an array map that nothing writes but atomically.
    #[inline(always)]
    pub unsafe fn new(at: *mut u64) -> Self {
        Self(at)
    }

    /// No element; nothing may be asked of it but whether it is one.
    #[inline(always)]
    pub fn none() -> Self {
        Self(core::ptr::null_mut())
    }

    /// Whether this is no element.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        self.0.is_null()
    }

    /// Its value.
    #[inline(always)]
    pub fn load(self) -> u64 {
        // SAFETY: `new`. An aligned 64-bit load is one instruction.
        unsafe { self.0.read_volatile() }
    }

    /// Adds one and returns the sum.
    #[inline(always)]
    pub fn increment(self) -> u64 {
        // SAFETY: `new`.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(self.0, 1) + 1 }
    }

    /// Adds to it.
    #[inline(always)]
    pub fn add(self, by: u64) {
        // SAFETY: `new`.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(self.0, by) };
    }

    /// Keeps the bits that are in `mask`, and returns the value before that.
    #[inline(always)]
    pub fn keep(self, mask: u64) -> u64 {
        // SAFETY: `new`.
        unsafe { atomic_and::<u64, u64, { AtomicOrdering::SeqCst }>(self.0, mask) }
    }

    /// Writes `after` if the value is still `before`, and says whether it was.
    #[inline(always)]
    pub fn replace(self, before: u64, after: u64) -> bool {
        // SAFETY: `new`.
        let (_, replaced) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                self.0, before, after,
            )
        };
        replaced
    }
}
