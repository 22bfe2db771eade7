//! Counting in elements of per-CPU maps.

use crate::abi::Traffic;

/// Adds to a counter of this CPU, and returns the sum.
///
/// # Safety
/// `at` must point to a `u64` in a per-CPU element, which only programs at ports write.
#[inline(always)]
pub unsafe fn add(at: *mut u64, by: u64) -> u64 {
    // SAFETY: XDP programs of one CPU do not interrupt each other. Volatile, because the agent
    // reads it.
    unsafe {
        let sum = at.read_volatile() + by;
        at.write_volatile(sum);
        sum
    }
}

/// A frame came in.
///
/// # Safety
/// `traffic` must point to an element of a per-CPU map.
#[inline(always)]
pub unsafe fn received(traffic: *mut Traffic, length: usize) {
    // SAFETY: the caller's.
    unsafe {
        add(&raw mut (*traffic).rx_packets, 1);
        add(&raw mut (*traffic).rx_bytes, length as u64);
    }
}

/// A frame leaves.
///
/// # Safety
/// As [`received`].
#[inline(always)]
pub unsafe fn sent(traffic: *mut Traffic, length: usize) {
    // SAFETY: the caller's.
    unsafe {
        add(&raw mut (*traffic).tx_packets, 1);
        add(&raw mut (*traffic).tx_bytes, length as u64);
    }
}
