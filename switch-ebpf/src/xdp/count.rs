//! Counting, on this CPU only.

use aya_ebpf::programs::XdpContext;
use aya_log_ebpf::warn;

use super::maps;
use crate::abi::{Drop, Traffic, traffic};

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

/// A frame came in at an attachment.
#[inline(always)]
pub fn received(traffic: *mut Traffic, length: usize) {
    // SAFETY: `traffic` points to an element of the map.
    unsafe {
        add(&raw mut (*traffic).rx_packets, 1);
        add(&raw mut (*traffic).rx_bytes, length as u64);
    }
}

/// A frame leaves for an attachment.
#[inline(always)]
pub fn sent(index: u32, length: usize) {
    if let Some(traffic) = maps::traffic(index) {
        // SAFETY: `traffic` points to an element of the map.
        unsafe {
            add(&raw mut (*traffic).tx_packets, 1);
            add(&raw mut (*traffic).tx_bytes, length as u64);
        }
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

/// One more of what the counter of this index counts.
#[inline(always)]
pub fn counter(index: u32) {
    if let Some(at) = maps::counter(index) {
        // SAFETY: `at` points to an element of the map.
        unsafe { add(at, 1) };
    }
}

/// Frames are dropped.
#[inline(always)]
pub fn drops(reason: Drop, frames: u64) {
    if let Some(at) = maps::drops(reason) {
        // SAFETY: `at` points to an element of the map.
        unsafe { add(at, frames) };
    }
}

/// A frame is dropped.
#[inline(always)]
pub fn drop(ctx: &XdpContext, reason: Drop) {
    let Some(at) = maps::drops(reason) else {
        return;
    };
    // SAFETY: `at` points to an element of the map.
    let first = unsafe { add(at, 1) } == 1;
    // Once a CPU: a driver that leaves no headroom does so for every frame.
    if first && matches!(reason, Drop::NoHeadroom) {
        warn!(
            ctx,
            "ifindex {}: the driver leaves no room in front of a frame to push a VLAN tag",
            ctx.ingress_ifindex() as u32
        );
    }
}
