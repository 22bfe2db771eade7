//! Counting, on this CPU only.

use switch_ebpf::{
    abi::{
        Drop, Traffic,
        gateway::{Counter, traffic},
    },
    xdp::count,
};

use crate::maps;

/// A frame came in.
#[inline(always)]
pub fn received(traffic: *mut Traffic, length: usize) {
    // SAFETY: `traffic` points to an element of the map.
    unsafe { count::received(traffic, length) };
}

/// A frame leaves for an attachment.
#[inline(always)]
pub fn sent(index: u32, length: usize) {
    if let Some(traffic) = maps::traffic(index) {
        // SAFETY: `traffic` points to an element of the map.
        unsafe { count::sent(traffic, length) };
    }
}

/// A frame came in at a port and belongs to none of its attachments.
#[inline(always)]
pub fn stray(ifindex: u32, length: usize) {
    if let Some(port) = maps::port(ifindex)
        && let Some(traffic) = maps::traffic(traffic::port(port.index))
    {
        received(traffic, length);
    }
}

/// One more of what `counter` counts.
#[inline(always)]
pub fn counter(counter: Counter) {
    if let Some(at) = maps::counter(counter) {
        // SAFETY: `at` points to an element of the map.
        unsafe { count::add(at, 1) };
    }
}

/// Frames are dropped.
#[inline(always)]
pub fn drops(reason: Drop, frames: u64) {
    if let Some(at) = maps::drops(reason) {
        // SAFETY: `at` points to an element of the map.
        unsafe { count::add(at, frames) };
    }
}
